"""Make a plan: selection, layouts and sidecars, written to a directory.

Runs in a process of its own, `python -m biofuse.plan`, that is gone when the mount
is up; `client` starts it and `cache` keeps what it made.
"""
