"""The process of a mount: its directory, where its reads go, the worker's lifecycle.

It imports the standard library and `fuse`, and never formats, genotypes or stores: what it
knows of a view is in the plan's files.
"""
