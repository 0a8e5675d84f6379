"""Every fuzz target, of the kernels in C and of what is in Python: `make fuzz`."""
