"""A plan's tables, mapped."""

import mmap
import os

from biofuse.trust import open_plain


class MappedTables:
    """Tables mapped from files, whose pages can be given up.

    Parameters
    ----------
    fds : dict of str to int
        Files by name; they need not stay open.

    Attributes
    ----------
    views : dict of str to memoryview
        Their bytes.
    """

    def __init__(self, fds: dict[str, int]):
        self._maps: list[mmap.mmap] = []
        self.views: dict[str, memoryview] = {}
        for name, fd in fds.items():
            if os.fstat(fd).st_size == 0:
                self.views[name] = memoryview(b"")
                continue
            self._maps.append(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
            self.views[name] = memoryview(self._maps[-1])

    @classmethod
    def open(cls, directory: str, names: list[str]) -> "MappedTables":
        """Map tables that lie in a directory."""
        fds: dict[str, int] = {}
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                fds[name] = open_plain(name, folder)
            return cls(fds)
        finally:
            for fd in (folder, *fds.values()):
                os.close(fd)

    def release_pages(self) -> None:
        """Give up the pages that were read; they are read again where they are wanted.

        Else a process that has read a whole file would hold the whole of its tables.
        """
        for each in self._maps:
            each.madvise(mmap.MADV_DONTNEED)
