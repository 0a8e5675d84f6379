"""What is done with the files of a view: a function of a seed."""

import os
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fs_tests.model.oracle import ViewFile

_PAGE = 4096
# What a kernel, a worker and an engine do their work in.
_GRAINS = (1, _PAGE, 64 << 10, 128 << 10, 1 << 20)
_LARGEST = 3 << 20
_HANDLES = 6


class Operation(NamedTuple):
    """One thing to do.

    Attributes
    ----------
    kind : str
        open, close, seek, holes (seek to data or a hole), read, readinto, pread, readv, mmap,
        sendfile, splice, copy (to another file), stat, listdir, forget (what the kernel has of the
        file), or burst (many small reads, for some seconds at most). `faces` tells what each face
        does for it.
    handle : int
        Which of the handles that a thread has.
    file : int
        The file that it is open on.
    offset : int
        Of seek, holes, pread, readv, mmap, sendfile, splice, copy; of a burst, where it plays.
    size : int
        Of what is read, of a burst of each read.
    sizes : tuple of int
        Of readv: its buffers'; of seek and holes: (whence,); of a burst: its seed, and how wide it
        is.
    direct : bool
        Of open: whether the kernel's cache is passed by.
    """

    kind: str
    handle: int = 0
    file: int = 0
    offset: int = 0
    size: int = 0
    sizes: tuple[int, ...] = ()
    direct: bool = False


def operations(
    seed: int, reader: int, thread: int, files: Sequence[ViewFile]
) -> Iterator[Operation]:
    """What a thread of a reader does, without end."""
    rng = random.Random(f"{seed}/{reader}/{thread}")
    open_on: dict[int, int] = {}
    weights = [8 if file.is_streamed else 1 for file in files]

    def opened(handle: int) -> Operation:
        open_on[handle] = rng.choices(range(len(files)), weights)[0]
        return Operation("open", handle, open_on[handle], direct=rng.random() < 0.4)

    while True:
        handle = rng.randrange(_HANDLES)
        if handle not in open_on:
            yield opened(handle)
        number = open_on[handle]
        file = files[number]
        kind = rng.choices(_KINDS, _WEIGHTS)[0]
        if kind == "close":
            yield Operation(kind, handle, number)
            del open_on[handle]
        elif kind in ("stat", "listdir", "forget"):
            yield Operation(kind, handle, number)
        elif kind == "seek":
            whence = rng.randrange(3)
            yield Operation(kind, handle, number, _sought(rng, file, whence), 0, (whence,))
        elif kind == "holes":
            whence = rng.choice((os.SEEK_DATA, os.SEEK_HOLE))
            yield Operation(kind, handle, number, _offset(rng, file), 0, (whence,))
        elif kind in ("read", "readinto"):
            yield Operation("seek", handle, number, _offset(rng, file), 0, (0,))
            yield Operation(kind, handle, number, 0, _size(rng, file))
        elif kind == "run":
            yield Operation("seek", handle, number, _offset(rng, file), 0, (0,))
            size = _size(rng, file, 256 << 10)
            for _ in range(rng.randint(2, 30)):
                yield Operation("read", handle, number, 0, size)
        elif kind == "readv":
            sizes = tuple(_size(rng, file, 256 << 10) for _ in range(rng.randint(1, 8)))
            yield Operation(kind, handle, number, _offset(rng, file), sum(sizes), sizes)
        elif kind == "burst":
            wide = rng.choice((_PAGE, 64 << 10, 1 << 20))
            start = rng.randrange(max(1, file.size - wide))
            sizes = (rng.getrandbits(32), min(wide, file.size))
            yield Operation(kind, handle, number, start, rng.choice((1, 8, 61, 400)), sizes)
        else:
            yield Operation(kind, handle, number, _offset(rng, file), _size(rng, file))


_SHARES = {
    "pread": 24,
    "read": 10,
    "readinto": 10,
    "readv": 6,
    "mmap": 8,
    "sendfile": 4,
    "splice": 4,
    "copy": 4,
    "holes": 2,
    "run": 5,
    "burst": 14,
    "seek": 4,
    "stat": 4,
    "listdir": 1,
    "close": 5,
    "forget": 6,
}
_KINDS, _WEIGHTS = tuple(_SHARES), tuple(_SHARES.values())


def _offset(rng: random.Random, file: ViewFile) -> int:
    """Where to read: anywhere, or about where something begins or ends, or beyond the end."""
    where = rng.random()
    if where < 0.35 or (not file.edges and where < 0.6):
        return rng.randrange(file.size)
    if where < 0.6:
        at = rng.choice(file.edges) + rng.randint(-9, 9)
    elif where < 0.75:
        grain = rng.choice(_GRAINS)
        at = rng.randrange(file.size // grain + 1) * grain + rng.randint(-2, 2)
    elif where < 0.95:
        at = file.size - rng.choice((0, 1, 2, 100, _PAGE, 128 << 10)) + rng.randint(-3, 3)
    else:
        at = file.size + rng.choice((1, _PAGE, 1 << 30, 1 << 40))
    return max(0, at)


def _size(rng: random.Random, file: ViewFile, most: int = _LARGEST) -> int:
    """How much to read: all kinds of sizes, most of them small."""
    kind = rng.random()
    if kind < 0.2:
        return rng.randint(0, 9)
    if kind < 0.4:
        return min(most, max(0, rng.choice(_GRAINS) + rng.randint(-1, 1)))
    if kind < 0.43:
        return most
    return min(most, int(2 ** rng.uniform(1, 18)))


def _sought(rng: random.Random, file: ViewFile, whence: int) -> int:
    """An offset for lseek, from the begin, the position or the end."""
    if whence == 0:
        return _offset(rng, file)
    if whence == 1:
        return rng.randint(-file.size // 4, file.size // 4)
    return rng.randint(-file.size, 100)
