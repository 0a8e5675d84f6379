"""A mount for the time of a block."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from biofuse import temporary
from biofuse.api.checks import check_path
from biofuse.api.errors import public
from biofuse.api.leftovers import clear_leftovers
from biofuse.api.live import end_mount, failed_reads, read_status
from biofuse.api.options import MountOptions, Options, Path
from biofuse.api.planning import plan_view
from biofuse.api.serving import ServingProcess, check_mountpoint
from biofuse.api.settings import serve_config
from biofuse.errors import BiofuseError
from biofuse.mounts import find_mount, resolve_mountpoint


class Mount:
    """A live mount, as `mounted` gives it.

    Attributes
    ----------
    directory : str
        Where it is.
    stem : str
        Path of its files, without suffix: what ``plink2 --bfile`` takes.
    files : mapping of str to str
        The files' names, and their paths.
    contigs : mapping of str to str
        With `per_contig`, the contigs that have files, in the order of their sites, and the path
        of these files without suffix; else empty.
    warnings : tuple of str
        What their user should know, a line each.
    """

    def __init__(
        self, directory: str, stem: str, contigs: Mapping[str, str], warnings: tuple[str, ...]
    ):
        self.directory = directory
        self.stem = os.path.join(directory, stem)
        self.contigs: Mapping[str, str] = MappingProxyType(
            {contig: os.path.join(directory, name) for contig, name in contigs.items()}
        )
        self.warnings = warnings
        self.files: Mapping[str, str] = MappingProxyType(
            {name: os.path.join(directory, name) for name in sorted(os.listdir(directory))}
        )

    def __repr__(self) -> str:
        return f"<Mount {self.directory!r}>"

    def status(self) -> dict[str, Any]:
        """What ``biofuse status --json`` tells.

        Raises
        ------
        BiofuseError
            If the mount does not answer.
        """
        with public():
            return read_status(self.directory)


@contextlib.contextmanager
def mounted(
    store: Path,
    directory: Path | None = None,
    options: Options | None = None,
    **keywords: Any,
) -> Iterator[Mount]:
    """Mount a store for the time of a block. It takes FUSE.

    Parameters
    ----------
    store : path-like
        A VCF Zarr store: a directory, a zip file or a URL.
    directory : path-like, optional
        An empty directory; one is made, and removed, where there is none.
    options : MountOptions or Options, optional
    **keywords
        Options by name, such as ``regions="20"``; see `MountOptions`.

    Yields
    ------
    Mount

    Raises
    ------
    BiofuseError
        If the store cannot be mounted; at the end, if a read of the files has failed: what
        was made of them cannot be trusted.

    Examples
    --------
    >>> with biofuse.mounted("cohort.vcz") as mount:
    ...     subprocess.run(["plink2", "--bfile", mount.stem, "--freq"], check=True)
    """
    chosen = MountOptions.of(options, keywords)
    with public():
        check_path("directory", "" if directory is None else directory)
    with contextlib.ExitStack() as stack:
        if directory is None:
            made = stack.enter_context(temporary.folder("mount"))
            place = os.path.join(made, "files")
            os.mkdir(place)
            if chosen.log_file is None:
                chosen = dataclasses.replace(chosen, log_file=os.path.join(made, "log"))
        else:
            place = os.fspath(directory)
        mount = _mount(store, place, chosen, stack)
        try:
            yield mount
            with public():
                errors = read_status(place)["counters"]["errors"]
        finally:
            _unmount(place)
        if errors:
            raise BiofuseError(failed_reads(errors, os.fspath(chosen.log_file or "")))


def _mount(store: Path, place: str, options: MountOptions, stack: contextlib.ExitStack) -> Mount:
    """Mount until a stack is closed, at the latest."""
    with public():
        location = options.location(store)
        view = options.view(location)
        cleared = clear_leftovers(place)
        target = check_mountpoint(place)
        serving, cache = options.serving(), options.caches()
        is_local = location.is_local
        config = serve_config(os.fspath(store), target, is_local, serving, cache, options.logs())
        with ServingProcess(config, True, view.secrets) as process:
            stack.callback(process.let_go)
            planned = plan_view(view, cache.open(), config.memory, config.timeout)
            process.serve(planned.directory)
        return Mount(target, view.stem, planned.plan.contigs, (*cleared, *planned.warnings))


def _unmount(place: str) -> None:
    if find_mount(resolve_mountpoint(place)) is None:
        return
    with public():
        try:
            end_mount(place)
        except BiofuseError:
            # Somebody has a file open.
            end_mount(place, lazy=True)
