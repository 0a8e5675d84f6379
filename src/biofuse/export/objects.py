"""Write a view's files to an object store, as uploads in parts that end all at once."""

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from biofuse import temporary
from biofuse.api.fileset import Fileset
from biofuse.errors import BiofuseError
from biofuse.export.cluster import Cluster, Package, upload_span
from biofuse.export.compress import Compression
from biofuse.export.parts import INDEXES
from biofuse.stores import Location
from biofuse.stores.multipart import LEAST_PART, MOST_PARTS, MultipartUpload
from biofuse.stores.uploads import Uploads

# Bytes of a part, where not more are needed for there to be few enough.
_PART = 16 << 20
# Of a worker's part, which it holds in memory.
_LARGEST = 64 << 20
# Parts that are made or on their way.
_AT_ONCE = 4


def export_to_place(
    fileset: Fileset,
    place: Location,
    *,
    compression: Compression | None = None,
    verify: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    cluster: Cluster | None = None,
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
        Of the `.bgen` and `.bcf`, which are then made on this machine first.
    verify : bool
        Whether what is there is read and compared.
    progress : callable
        Called with what is done, and with the bytes so far and in all.
    cluster : Cluster, optional
        Whose workers make and upload the streamed files' parts.

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
            local = _compress(fileset, compression, stack, progress, cluster)
        sizes = {name: os.path.getsize(path) for name, path in local.items()}
        files = {name: sizes.get(name, size) for name, size in fileset.files.items()}
        total = sum(files.values())
        done = 0

        def show(more: int) -> None:
            nonlocal done
            done += more
            progress("uploading", done, total)

        # Sidecars last: programs look for the large file by what lies beside it.
        for name in sorted(files, key=lambda each: fileset.number_of(each) is None):
            number = fileset.number_of(name)
            if cluster is not None and number is not None and name not in local:
                _upload_by(cluster, fileset, number, name, files[name], place, show)
            else:
                part_size = max(_PART, -(-files[name] // MOST_PARTS))
                parts = _parts(fileset, name, local.get(name), files[name], show)
                uploads.put(name, parts, part_size, _AT_ONCE)
            if verify:
                _verify(fileset, name, local.get(name), files[name], uploads)
    return {f"{place.path.rstrip('/')}/{name}": size for name, size in files.items()}


def _upload_by(
    cluster: Cluster,
    fileset: Fileset,
    file: int,
    name: str,
    size: int,
    place: Location,
    show: Callable[[int], None],
) -> None:
    """Have the workers of a cluster upload a file's parts."""
    package = cluster.send(Package.of(fileset.opening))
    upload = MultipartUpload.begin(place, name)
    step = max(min(cluster.span_size(size), _LARGEST), LEAST_PART, -(-size // MOST_PARTS))
    spans = [(at, min(at + step, size)) for at in range(0, size, step)]
    work = ((package, file, span, upload, i) for i, span in enumerate(spans, 1))
    try:
        parts = []
        for (_, _, span, _, _), part in cluster.each(work, upload_span):
            parts.append(part)
            show(span[1] - span[0])
        upload.end(parts)
    except BaseException:
        # What has been uploaded of it costs as long as it is there.
        with contextlib.suppress(Exception):
            upload.abort()
        raise


def _verify(fileset: Fileset, name: str, path: str | None, size: int, uploads: Uploads) -> None:
    """Raise `BiofuseError` if an object is not what it should be."""
    with fileset.open(name) if path is None else open(path, "rb") as file:
        for data in uploads.read(name):
            if file.read(len(data)) != data:
                raise BiofuseError(f"{name} is not there as it was written")
        if file.tell() != size:
            raise BiofuseError(f"{name} is shorter than it was written")


def _compress(
    fileset: Fileset,
    compression: Compression,
    stack: contextlib.ExitStack,
    progress: Callable[[str, int, int], None],
    cluster: Cluster | None,
) -> dict[str, str]:
    """Make what is compressed here; returns the paths of these files."""
    from biofuse.export.local import export_to_folder

    folder = stack.enter_context(temporary.folder("export"))
    names = [name for name in fileset.files if name.endswith((*INDEXES, *INDEXES.values()))]
    export_to_folder(
        fileset,
        folder,
        "",
        compression=compression,
        progress=progress,
        names=names,
        durable=False,
        cluster=cluster,
    )
    return {name: os.path.join(folder, name) for name in names}


def _parts(
    fileset: Fileset, name: str, path: str | None, size: int, show: Callable[[int], None]
) -> Iterator[bytes]:
    """A file's bytes, some at a time, of which the next are made meanwhile."""
    if path is not None:
        with open(path, "rb") as file:
            while data := file.read(_PART):
                yield data
                show(len(data))
        return
    waiting: deque[Future[bytes]] = deque()
    with fileset.open(name) as made, ThreadPoolExecutor(2) as pool:
        try:
            starts = iter(range(0, size, _PART))
            for at in itertools.islice(starts, 3):
                waiting.append(pool.submit(made.pread, _PART, at))
            while waiting:
                data = waiting.popleft().result()
                yield data
                show(len(data))
                for at in itertools.islice(starts, 1):
                    waiting.append(pool.submit(made.pread, _PART, at))
        finally:
            pool.shutdown(cancel_futures=True)
