"""Write a view's files to an object store, as uploads in parts that end all at once."""

import contextlib
import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from biofuse.api.fileset import Fileset
from biofuse.errors import BiofuseError
from biofuse.export.compress import Compression
from biofuse.stores import Location
from biofuse.stores.uploads import Uploads

# Bytes of a part: no object has more than 10,000 of them, and none is below 5 MiB.
_PART, _MAX_PARTS = 16 << 20, 9_000
# Parts that are made or on their way.
_AT_ONCE = 4


def export_to_place(
    fileset: Fileset,
    place: Location,
    *,
    compression: Compression | None = None,
    verify: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, int]:
    """Write a view's files to an object store.

    An object is there once it is whole; one that is not is never seen. What is ended begins
    anew.

    Parameters
    ----------
    fileset : Fileset
    place : Location
        The URL of the folder.
    compression : Compression, optional
        Of the `.bgen`, which is then made on this machine first.
    verify : bool
        Whether what is there is read and compared.
    progress : callable
        Called with what is done, and with the bytes so far and in all.

    Returns
    -------
    dict of str to int
        The objects' URLs, and their sizes.

    Raises
    ------
    BiofuseError
        If they cannot be made or written.
    """
    uploads = Uploads(place)
    with contextlib.ExitStack() as stack:
        local: dict[str, str] = {}
        if compression is not None:
            local = _compress(fileset, compression, stack, progress)
        sizes = {name: os.path.getsize(path) for name, path in local.items()}
        files = {name: sizes.get(name, size) for name, size in fileset.files.items()}
        total = sum(files.values())
        done = 0
        # Sidecars last: programs look for the large file by what lies beside it.
        for name in sorted(files, key=lambda each: fileset.number_of(each) is None):
            digest = hashlib.sha256()

            def parts(name: str = name, digest: "hashlib._Hash" = digest) -> Iterator[bytes]:
                nonlocal done
                for data in _parts(fileset, name, local.get(name), files[name]):
                    digest.update(data)
                    yield data
                    done += len(data)
                    progress("uploading", done, total)

            part_size = max(_PART, -(-files[name] // _MAX_PARTS))
            uploads.put(name, parts(), part_size, _AT_ONCE)
            if verify:
                found = hashlib.sha256()
                for data in uploads.read(name):
                    found.update(data)
                if found.digest() != digest.digest():
                    raise BiofuseError(f"{name} is not there as it was written")
    return {f"{place.path.rstrip('/')}/{name}": size for name, size in files.items()}


def _compress(
    fileset: Fileset,
    compression: Compression,
    stack: contextlib.ExitStack,
    progress: Callable[[str, int, int], None],
) -> dict[str, str]:
    """Make what is compressed here; returns the paths of these files."""
    from biofuse.export.local import export_to_folder

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="biofuse-export-"))
    names = [name for name in fileset.files if name.endswith((".bgen", ".bgen.bgi"))]
    export_to_folder(fileset, folder, "", compression=compression, progress=progress, names=names)
    return {name: os.path.join(folder, name) for name in names}


def _parts(fileset: Fileset, name: str, path: str | None, size: int) -> Iterator[bytes]:
    """A file's bytes, some at a time, of which the next are made meanwhile."""
    step = _PART
    if path is not None:
        with open(path, "rb") as file:
            while data := file.read(step):
                yield data
        return
    waiting: deque[Future[bytes]] = deque()
    with fileset.open(name) as file, ThreadPoolExecutor(2) as pool:
        try:
            for at in range(0, size, step):
                waiting.append(pool.submit(file.pread, step, at))
                if len(waiting) > 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
