"""The command line: words in, words out. Nothing heavy is imported here."""
