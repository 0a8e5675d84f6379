"""A view's files in this process, without FUSE."""

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from biofuse.api.errors import public
from biofuse.api.file import ViewFile
from biofuse.api.options import Options, Path
from biofuse.api.planning import Planned, plan_view
from biofuse.api.settings import CHUNK_CACHE_SIZE, CacheOptions, ServingOptions
from biofuse.encode.maker import Maker
from biofuse.encode.opening import Opening
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError
from biofuse.manifest import PACK, PlanFolder, StaticFile, StreamedFile
from biofuse.open_files import check_open_files
from biofuse.options import ViewOptions
from biofuse.stores import Location, forget
from biofuse.temporary import remove_folder


class Fileset:
    """The files that a mount of a store would show, without one. Thread-safe.

    Made by `biofuse.open`. Use as a context manager, or close it.

    Attributes
    ----------
    stem : str
        Name of the files, without suffix.
    files : mapping of str to int
        The files' names, and their sizes in bytes.
    contigs : mapping of str to str
        With `per_contig`, the contigs that have files, in the order of their sites, and these
        files' names without suffix; else empty.
    num_samples, num_variants : int
    warnings : tuple of str
        What their user should know, a line each.
    """

    def __init__(
        self,
        view: ViewOptions,
        planned: Planned,
        serving: ServingOptions,
        cache: CacheOptions,
    ):
        self._view = view
        self._location = Location.planned(planned.plan.store, view.secrets).scoped()
        self._descriptors = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._closed = False
        # Of the plan's files that sidecars are, or are in.
        self._fds: dict[str, int] = {}
        plan = self._plan = planned.plan
        left_out = planned.directory.left_out
        self._static = {each.name: each for each in plan.static if each.format not in left_out}
        self._streamed = {
            each.name: i for i, each in enumerate(plan.streamed) if each.format not in left_out
        }
        self.stem = plan.stem
        self.contigs: Mapping[str, str] = MappingProxyType(plan.contigs)
        self.num_samples = plan.num_samples
        self.num_variants = plan.num_variants
        self.warnings = planned.warnings
        shown: list[StaticFile | StreamedFile] = [*self._static.values()]
        shown += [plan.streamed[i] for i in self._streamed.values()]
        self.files: Mapping[str, int] = MappingProxyType(
            {each.name: each.size for each in sorted(shown, key=lambda each: each.name)}
        )
        self._maker: Maker | None = None
        try:
            self._opening = self._open(planned.directory.path, serving, cache)
        except BaseException:
            self._descriptors.close()
            raise
        finally:
            if planned.directory.temporary:
                # What is open stays.
                remove_folder(planned.directory.path)

    def _open(self, path: str, serving: ServingOptions, cache: CacheOptions) -> Opening:
        plan = self._plan
        tables = MappedTables(plan)
        with PlanFolder(path) as folder:
            names = plan.on_disk(plan.table_names())
            sidecars = plan.on_disk(each.path for each in self._static.values())
            check_open_files(len(names) + len(sidecars))
            for name in names:
                fd = folder.open(name)
                try:
                    tables.add(name, fd)
                finally:
                    os.close(fd)
            for name in sidecars:
                self._fds[name] = folder.open(name)
                self._descriptors.callback(os.close, self._fds[name])
        is_local = self._location.is_local
        kept = None
        if cache.chunk_cache is not None and not is_local:
            size = cache.chunk_cache_size
            kept = (os.path.abspath(cache.chunk_cache), CHUNK_CACHE_SIZE if size is None else size)
        return Opening(
            plan,
            self._location,
            tables,
            serving.budget,
            serving.num_threads(is_local),
            time.time_ns(),
            serving.seconds_to_answer(is_local),
            chunk_cache=kept,
        )

    def __enter__(self) -> "Fileset":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Nobody has one that could not be made.
        if hasattr(self, "_opening"):
            self.close()

    def __repr__(self) -> str:
        return f"<Fileset {', '.join(self.files)}>"

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __contains__(self, name: object) -> bool:
        return name in self.files

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """IDs of the samples, in the files' order."""
        from biofuse.plan.selection import read_field
        from biofuse.stores.location import open_group

        with public():
            names = read_field(open_group(self._location), "sample_id")
            kept = self._plan.samples
            if kept is None:
                return tuple(name for name in names.tolist() if name)
            return tuple(names[list(self._opening.tables.views[kept].cast("I"))].tolist())

    @property
    def opening(self) -> Opening:
        """What the streamed files' bytes are made from."""
        return self._opening

    def open_as_of(self, opened_ns: int) -> None:
        """Refuse what was changed in the store after a time, if that is before this opening.

        Parameters
        ----------
        opened_ns : int
            Nanoseconds since 1970. Called before any streamed file is read.
        """
        with self._lock:
            earlier = min(opened_ns, self._opening.opened_ns)
            self._opening = dataclasses.replace(self._opening, opened_ns=earlier)

    def number_of(self, name: str) -> int | None:
        """The number of a streamed file in the plan; None for a sidecar."""
        return self._streamed.get(name)

    @property
    def maker(self) -> Maker:
        """What makes the streamed files' bytes."""
        with self._lock:
            if self._maker is None:
                try:
                    self._maker = Maker(self._opening)
                except OSError as error:
                    raise BiofuseError(f"cannot open the store: {error}") from error
            return self._maker

    def open(self, name: str, mode: str = "rb") -> ViewFile:
        """Open one of the files, in binary.

        Parameters
        ----------
        name : str
            One of `files`.
        mode : str
            ``"rb"`` or ``"r"``: the files are bytes, and are not written.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        BiofuseError
            If the store cannot be opened.
        """
        if mode not in ("rb", "r"):
            raise ValueError(f"mode {mode!r}: the files are read-only, and of bytes")
        if self._closed:
            raise ValueError("the fileset is closed")
        if name not in self.files:
            raise FileNotFoundError(f"there is no {name}, but {', '.join(self.files)}")
        size = self.files[name]
        if name in self._static:
            path = self._static[name].path
            start, _ = self._plan.packed.get(path, (0, size))
            fd = os.dup(self._fds[PACK if path in self._plan.packed else path])
            return ViewFile(
                name,
                size,
                lambda offset, out: _pread(fd, start + offset, out, name),
                lambda: os.close(fd),
            )
        number = self._streamed[name]
        with public():
            maker = self.maker

        def read_into(offset: int, out: memoryview, _: Fileset = self) -> None:
            # With whoever reads the fileset stays, which nobody else may have any more.
            maker.read_into(number, offset, out)

        return ViewFile(name, size, read_into)

    def close(self) -> None:
        """Let go of everything: what is open of the streamed files cannot be read any more."""
        with self._lock:
            self._closed = True
            if self._maker is not None:
                self._maker.close()
            # The maps of the tables go with whoever uses them.
            self._descriptors.close()
        forget(self._location)


def _pread(fd: int, offset: int, out: memoryview, name: str) -> None:
    while out:
        done = os.preadv(fd, [out], offset)
        if done == 0:
            raise BiofuseError(f"{name} of the plan is shorter than it was")
        out, offset = out[done:], offset + done


def open_fileset(store: Path, options: Options | None = None, **keywords: Any) -> Fileset:
    """Open the files that a mount of a store would show, without one.

    Parameters
    ----------
    store : path-like
        A VCF Zarr store: a directory, a zip file or a URL.
    options : Options, optional
    **keywords
        Options by name, such as ``regions="20"``; see `Options`.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked.

    Examples
    --------
    >>> with biofuse.open("cohort.vcz", formats="plink", regions="20") as fileset:
    ...     with fileset.open("cohort.bed") as bed:
    ...         magic = bed.read(3)
    """
    chosen = Options.of(options, keywords)
    with public():
        location = chosen.location(store)
        view = chosen.view(location)
        serving, cache = chosen.serving(), chosen.caches()
        timeout = serving.seconds_to_answer(location.is_local)
        planned = plan_view(view, cache.open(), serving.budget, timeout)
        return Fileset(view, planned, serving, cache)
