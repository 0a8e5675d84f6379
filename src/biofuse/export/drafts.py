"""Files on their way to a folder: drafts in a hidden folder there, until all of them are whole.

What the journal says of a draft counts for that one alone: its name is a new one each time it is
begun, and it lies where no other export, and no other user, writes. So a draft that was removed,
copied or made anew is not taken for the one that was written. The hidden folder is opened once and
all in it had through its descriptor, so it does not matter who may give its name to another.
"""

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable

from biofuse.durable import sync_folder
from biofuse.errors import BiofuseError
from biofuse.export.journal import Journal
from biofuse.trust import UntrustedError, open_folder

_SUFFIX = ".export"
_JOURNAL = "journal"
_MAX_NAME = 255
# Names of drafts: nothing else is removed.
_DRAFT = re.compile(r"[0-9a-f]{16}(\..*)?", re.DOTALL)
# How often who has just ended is waited for: it takes its folder away.
_TRIES = 100
# What is noted of a file that is whole: inode, size, time of its last byte. Of one that has its
# name, the time of its last change too.
_WHOLE, _PLACED = 3, 4


def hidden_folder(folder: str, stem: str) -> str:
    """The path of the folder in which an export has its drafts."""
    name = f".{stem}{_SUFFIX}"
    if len(os.fsencode(name)) > _MAX_NAME:
        name = f".{hashlib.sha256(os.fsencode(stem)).hexdigest()}{_SUFFIX}"
    return os.path.join(folder, name)


class Drafts:
    """The files of an export that are being written.

    One process at a time has them.

    Parameters
    ----------
    folder : str
        Where the files will be.
    stem : str
        Of their names.
    key : str
        Of the export. Drafts of another one are removed.
    durable : bool
        Whether what is done is to be on disk.

    Attributes
    ----------
    path : str
        The hidden folder.
    journal : Journal

    Raises
    ------
    BiofuseError
        If another process is at it, or something else has the name of the hidden folder.
    OSError
        If it cannot be made.
    """

    def __init__(self, folder: str, stem: str, key: str, durable: bool = True):
        self._folder = folder
        self._durable = durable
        self.path = hidden_folder(folder, stem)
        self._fd, self.journal = self._open(key)
        try:
            drafts = [self._noted(name) for name in self.journal.names]
            self._sweep(draft for draft in drafts if draft is not None)
        except BaseException:
            self.close()
            raise

    def _open(self, key: str) -> tuple[int, Journal]:
        for left in reversed(range(_TRIES)):
            fd = -1
            try:
                fd = self._open_folder()
                path = os.path.join(self.path, _JOURNAL)
                return fd, Journal(path, key, self._durable, folder=fd)
            except BaseException as error:
                if fd != -1:
                    os.close(fd)
                gone = isinstance(error, FileNotFoundError) and os.path.isdir(self._folder)
                if not left or not gone:
                    raise
        raise AssertionError

    def _open_folder(self) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.path, 0o700)
        try:
            return open_folder(self.path)
        except NotADirectoryError:
            raise BiofuseError(
                f"{self.path} is not a folder, and one of that name is needed: remove it"
            ) from None
        except UntrustedError as error:
            untrusted = error
        # File systems without modes, or with an owner for all files, make any folder so.
        if not os.path.islink(self.path):
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if _rights(os.fstat(fd)) == self._rights_of_any():
                return fd
            os.close(fd)
        raise BiofuseError(f"{untrusted}, and a folder of that name is needed: remove it")

    def _rights_of_any(self) -> tuple[int, int]:
        """Whose a new folder is here, and with which mode."""
        path = hidden_folder(self._folder, secrets.token_hex(8))
        os.mkdir(path, 0o700)
        try:
            return _rights(os.lstat(path))
        finally:
            os.rmdir(path)

    def _sweep(self, kept: Iterable[str] = ()) -> None:
        """Remove all drafts but some."""
        names = set(kept)
        for name in os.listdir(self._fd):
            if _DRAFT.fullmatch(name) and name not in names:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._fd)

    def _noted(self, name: str) -> str | None:
        """What a file's draft has as a name in the hidden folder, by the journal."""
        noted = self.journal.of(name)
        found: str | None = noted[0].get("draft") if noted else None
        return found

    def _path(self, draft: str) -> str:
        return f"/proc/self/fd/{self._fd}/{draft}"

    def as_others_see(self, path: str) -> str:
        """A draft's path as it is for other processes."""
        return os.path.join(self.path, os.path.basename(path))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing with which to go on."""
        done = ("stop", "records", "whole", "placed")
        noted = (entry for name in self.journal.names for entry in self.journal.of(name))
        return not any(entry.get(word) for entry in noted for word in done)

    def draft(self, name: str) -> str | None:
        """The path of a file's draft, for this process; None if there is none of the journal's."""
        draft = self._noted(name)
        if draft is None:
            return None
        path = self._path(draft)
        marks = _marks(path)
        made = self.journal.of(name)[0].get("inode")
        return path if marks is not None and marks[0] == made else None

    def where(self, name: str) -> str | None:
        """The path of a file that is whole: of its draft, or its own; None if it is not."""
        for entry in self.journal.of(name):
            draft = self.draft(name) if "whole" in entry else None
            if draft is not None and _marks(draft, _WHOLE) == entry["whole"]:
                return draft
            path = os.path.join(self._folder, name)
            if "placed" in entry and _marks(path, _PLACED) == entry["placed"]:
                return path
        return None

    def had(self, name: str) -> int:
        """Bytes on the disk that a file has already."""
        path = self.where(name) or self.draft(name)
        return 0 if path is None else os.stat(path).st_blocks * 512

    def forget(self, name: str) -> None:
        """Begin a file anew the next time."""
        if not self.journal.of(name):
            return
        path = self.draft(name)
        self.journal.add({"file": name, "draft": None})
        if path is not None:
            os.unlink(path)

    def discard(self, name: str) -> None:
        """The same for one that is not what it should be: nor is it there under its name."""
        path = self.where(name)
        self.forget(name)
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def create(self, name: str, size: int = 0) -> tuple[str, int]:
        """Begin a file: the path of its new draft, and a descriptor that is written to.

        Parameters
        ----------
        name : str
        size : int
            Of the draft, which has zeros in it.
        """
        self.forget(name)
        suffix = os.path.splitext(name)[1]
        draft = f"{secrets.token_hex(8)}{suffix}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(draft, flags, 0o666, dir_fd=self._fd)
        try:
            begun = {"file": name, "draft": draft, "inode": os.fstat(fd).st_ino}
            self.journal.add(begun, durable=False)
            os.ftruncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return self._path(draft), fd

    def resume(self, name: str, size: int | None = None) -> tuple[str, int]:
        """The same for the draft that was begun, if there is one, of that size where it is told."""
        path = self.draft(name)
        if path is not None:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            if size in (None, os.fstat(fd).st_size):
                return path, fd
            os.close(fd)
        return self.create(name, size or 0)

    def finish(self, name: str, size: int | None = None) -> None:
        """Say that a file's draft is whole, once it is on disk, and of that size where it is told.

        Raises
        ------
        BiofuseError
            If it is not.
        """
        path = self.draft(name)
        if path is None or size not in (None, os.path.getsize(path)):
            raise BiofuseError(f"{name} was changed in {self.path} while it was written")
        if self._durable:
            _sync(path, os.O_NOFOLLOW)
        self.journal.add({"file": name, "whole": _marks(path, _WHOLE)})

    def place(self, names: Iterable[str]) -> dict[str, int]:
        """Give files their names, of which all are whole. Returns their paths, and sizes."""
        drafts = {name: self.where(name) for name in names}
        found = {}
        for name, draft in drafts.items():
            if draft is None:
                raise BiofuseError(f"{name} was changed after it was written")
        for name, draft in drafts.items():
            path = os.path.join(self._folder, name)
            if draft is not None and draft != path:
                os.replace(os.path.basename(draft), path, src_dir_fd=self._fd)
                placed = {"file": name, "placed": _marks(path, _PLACED)}
                self.journal.add(placed, durable=False)
            found[path] = os.path.getsize(path)
        if self._durable:
            _sync(self._folder, os.O_DIRECTORY)
        return found

    def remove(self) -> None:
        """Forget everything: it is complete, or of no use."""
        self._sweep()
        # As long as it is there nobody else begins.
        self.journal.remove()
        with contextlib.suppress(OSError):
            os.rmdir(self.path)

    def close(self) -> None:
        """Let another process go on."""
        self.journal.close()
        os.close(self._fd)


def _rights(status: os.stat_result) -> tuple[int, int]:
    return status.st_uid, stat.S_IMODE(status.st_mode)


def _marks(path: str, count: int = 1) -> list[int] | None:
    """By what a regular file is known again, that many of it; None if there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns][:count]


def _sync(path: str, flags: int) -> None:
    """Have a file on disk, or the names in a folder."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        if flags & os.O_DIRECTORY:
            sync_folder(fd)
        else:
            os.fsync(fd)
    finally:
        os.close(fd)
