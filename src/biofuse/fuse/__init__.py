"""The kernel's FUSE protocol in Python, for a flat directory of files that never change.

`mounting` gets a session's descriptor from the kernel, `session` speaks the protocol on it
(7.31 and later, as linux/fuse.h has it), `directory` answers for the files. It imports the
standard library and nothing of biofuse: it knows names, sizes and who is to be asked for
bytes, and any process that holds the descriptor may answer a request in its place.
"""
