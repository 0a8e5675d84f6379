"""Commands that stay, such as `biofuse mount --foreground`."""

import os

from support.program import mounts_below, wait_until


def wait_mounted(directory, process=None):
    def mounted():
        assert process is None or process.poll() is None, process.stderr.read()
        return str(directory) in mounts_below(directory.parent) and os.listdir(directory)

    return wait_until(mounted, f"{directory} is mounted")


def finish(process, code):
    """Wait for the end of a process. Returns what it wrote to standard error."""
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said
