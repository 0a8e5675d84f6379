"""A plan's tables, mapped."""

import mmap
import os
from collections.abc import Iterable

from biofuse.manifest import PACK, Plan
from biofuse.trust import open_plain


class MappedTables:
    """Tables mapped from files, whose pages can be given up.

    Parameters
    ----------
    plan : Plan, optional
        Tells what the file `PACK` consists of.

    Attributes
    ----------
    files : dict of str to memoryview
        Bytes of the files.
    views : dict of str to memoryview
        Those of the tables, each of which is a file or a part of one.
    """

    def __init__(self, plan: Plan | None = None):
        self._maps: list[mmap.mmap] = []
        self._plan = plan
        self.files: dict[str, memoryview] = {}
        self.views: dict[str, memoryview] = {}

    def add(self, name: str, fd: int) -> None:
        """Map a file, which need not stay open."""
        if os.fstat(fd).st_size == 0:
            data = memoryview(b"")
        else:
            self._maps.append(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
            data = memoryview(self._maps[-1])
        self.files[name] = data
        if name != PACK or self._plan is None:
            self.views[name] = data
            return
        for part, (start, size) in self._plan.packed.items():
            self.views[part] = data[start : start + size]

    @classmethod
    def open(cls, directory: str, names: Iterable[str], plan: Plan | None = None) -> "MappedTables":
        """Map files that lie in a directory."""
        tables = cls(plan)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                fd = open_plain(name, folder)
                try:
                    tables.add(name, fd)
                finally:
                    os.close(fd)
        finally:
            os.close(folder)
        return tables

    @classmethod
    def of_plan(cls, plan: Plan, directory: str) -> "MappedTables":
        """Map all that the encoder needs of a plan."""
        return cls.open(directory, plan.on_disk(plan.table_names()), plan)

    def release_pages(self) -> None:
        """Give up the pages that were read; they are read again where they are wanted.

        Else a process that has read a whole file would hold the whole of its tables.
        """
        for each in self._maps:
            each.madvise(mmap.MADV_DONTNEED)
