"""What is broken, made by a script from seeds, and what each of it must give."""
