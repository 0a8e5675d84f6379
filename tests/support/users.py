"""Other users of the machine: commands that run as them, where the tests run as root."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.program import Program

# Users that every machine has: fusermount3 wants to know their names.
NOBODY = 65534
SOMEBODY = 1


def can_become_others() -> bool:
    return os.geteuid() == 0


def command_as(uid: int, command: Sequence[object]) -> list[str]:
    """A command as a user runs it, who may read what root may: Python may lie in root's home.

    Where that cannot be, the command itself.
    """
    words = [str(word) for word in command]
    if not can_become_others() or uid == os.geteuid():
        return words
    read_all = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    ids = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    return ["setpriv", *ids, *read_all, "--", *words]


def give(path: Path, uid: int) -> Path:
    """Make a file, or a folder with all that is in it, a user's own."""
    if can_become_others():
        for each in (path, *(path.rglob("*") if path.is_dir() else ())):
            os.chown(each, uid, uid, follow_symlinks=False)
    return path


def fuse_for_all() -> None:
    """Give all users the device, as udev does; a container may have it for root alone."""
    if can_become_others():
        os.chmod("/dev/fuse", 0o666)


class ProgramOf(Program):
    """The program as a user runs it."""

    def __init__(self, home: Path, uid: int):
        super().__init__(home)
        self.uid = uid
        give(home, uid)

    def command(self, *arguments) -> list[str]:
        return command_as(self.uid, super().command(*arguments))

    def new_directory(self) -> Path:
        return give(super().new_directory(), self.uid)


@contextmanager
def program_of(uid: int) -> Iterator[ProgramOf]:
    """The program of a user, whose home any user can reach; watched for what it leaves."""
    folder = Path(tempfile.mkdtemp(prefix="u", dir="/tmp"))
    folder.chmod(0o755)
    # In a folder of its own: what else is mounted below /tmp is not looked at.
    home = folder / "h"
    home.mkdir(mode=0o755)
    fuse_for_all()
    program = ProgramOf(home, uid)
    try:
        yield program
        program.check_nothing_left()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
