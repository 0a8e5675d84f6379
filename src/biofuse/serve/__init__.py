"""The FUSE process: window, read-ahead, the worker's lifecycle, file operations.

It imports pyfuse3, trio and the standard library, and never formats, genotypes or
stores: what it knows of a view is in the plan's files.
"""
