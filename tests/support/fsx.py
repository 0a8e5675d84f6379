"""Random reads of a mount's files in every way there is, against copies of the files.

A program that needs nothing but the standard library:

    python tests/support/fsx.py MOUNT COPIES --seconds 60 --seed 3 [--names x.bed x.bgen]

In the manner of fsx, whose operations that write are left out. It ends with code 1 at the first
byte that is another one, and says of which operation; and else prints how many there were.
"""

import argparse
import itertools
import json
import mmap
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PAGE = mmap.PAGESIZE
# The largest of one operation, mostly; now and then all that is left of the file.
MOST = 256 << 10
SIZES = (1, 100, PAGE, 5 * PAGE, 60_000, MOST)


class DifferenceError(Exception):
    """An operation failed, or gave other bytes than it had to."""


class File:
    """A file of the mount, open twice, and mapped, and what it must hold."""

    def __init__(self, path: Path, expected: bytes):
        self.path = path
        self.expected = expected
        self.cached = self.direct = -1
        self.map: mmap.mmap | None = None
        self.reopen()

    def reopen(self) -> None:
        self.close()
        self.cached = os.open(self.path, os.O_RDONLY)
        self.direct = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        self.map = mmap.mmap(self.cached, 0, prot=mmap.PROT_READ)

    def close(self) -> None:
        if self.map is not None:
            self.map.close()
            os.close(self.cached)
            os.close(self.direct)


Operation = Callable[[File, int, int], bytes]


class Reader:
    """Makes operations, each of which returns the bytes that it got.

    Parameters
    ----------
    rng : random.Random
        Decides whatever they need beside a file, an offset and a size.
    """

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._buffer = mmap.mmap(-1, 32 << 20)
        self._pipe = os.pipe()
        self._scratch = os.memfd_create("fsx")

    def pread(self, file: File, offset: int, size: int) -> bytes:
        return os.pread(file.cached, size, offset)

    def seek_and_read(self, file: File, offset: int, size: int) -> bytes:
        os.lseek(file.cached, offset, os.SEEK_SET)
        return os.read(file.cached, size)

    def preadv(self, file: File, offset: int, size: int) -> bytes:
        cuts = sorted(self._rng.randrange(size + 1) for _ in range(self._rng.randrange(9)))
        bounds = [0, *cuts, size]
        buffers = [bytearray(b - a) for a, b in itertools.pairwise(bounds)]
        count = os.preadv(file.cached, buffers, offset)
        return b"".join(buffers)[:count]

    def uncached(self, file: File, offset: int, size: int) -> bytes:
        os.posix_fadvise(file.cached, offset, size, os.POSIX_FADV_DONTNEED)
        return os.pread(file.cached, size, offset)

    def advised(self, file: File, offset: int, size: int) -> bytes:
        kind = self._rng.choice(["NORMAL", "SEQUENTIAL", "RANDOM", "WILLNEED"])
        os.posix_fadvise(file.cached, offset, size, getattr(os, f"POSIX_FADV_{kind}"))
        return os.pread(file.cached, size, offset)

    def all_forgotten(self, file: File, offset: int, size: int) -> bytes:
        os.posix_fadvise(file.cached, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(file.cached, size, offset)

    def mapped(self, file: File, offset: int, size: int) -> bytes:
        assert file.map is not None
        return file.map[offset : offset + size]

    def mapped_anew(self, file: File, offset: int, size: int) -> bytes:
        assert file.map is not None
        begin = min(offset, len(file.expected) - 1) // PAGE * PAGE
        length = min(offset + size, len(file.expected)) - begin
        if self._rng.random() < 0.5:
            file.map.madvise(mmap.MADV_DONTNEED, begin, length)
        flags = self._rng.choice([mmap.MAP_PRIVATE, mmap.MAP_SHARED])
        if self._rng.random() < 0.3:
            flags |= mmap.MAP_POPULATE
        with mmap.mmap(file.cached, length, flags, mmap.PROT_READ, offset=begin) as part:
            return part[offset - begin :]

    def direct(self, file: File, offset: int, size: int) -> bytes:
        shift = self._rng.choice([0, 0, 1, 512, 777])
        with memoryview(self._buffer) as memory, memory[shift : shift + size] as part:
            return bytes(part[: os.preadv(file.direct, [part], offset)])

    def sendfile(self, file: File, offset: int, size: int) -> bytes:
        os.lseek(self._scratch, 0, os.SEEK_SET)
        done = 0
        while count := os.sendfile(self._scratch, file.cached, offset + done, size - done):
            done += count
        return os.pread(self._scratch, done, 0)

    def splice(self, file: File, offset: int, size: int) -> bytes:
        reader, writer = self._pipe
        found = b""
        while count := os.splice(
            file.cached, writer, size - len(found), offset_src=offset + len(found)
        ):
            found += os.read(reader, count)
            if len(found) == size:
                break
        return found

    def opened(self, file: File, offset: int, size: int) -> bytes:
        fd = os.open(file.path, os.O_RDONLY)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)

    def reopened(self, file: File, offset: int, size: int) -> bytes:
        file.reopen()
        return os.pread(file.cached, size, offset)

    def operations(self) -> list[Operation]:
        """All of them, some more than once since they are to be more frequent."""
        common = [self.pread, self.uncached, self.mapped, self.direct]
        rare = [self.all_forgotten, self.reopened]
        others = [self.seek_and_read, self.preadv, self.advised, self.mapped_anew, self.opened]
        return common * 4 + [*others, self.sendfile, self.splice] * 2 + rare


def spans(rng: random.Random, size: int) -> Iterator[tuple[int, int]]:
    """Offsets and sizes, in runs of reads one behind the other and at random."""
    while True:
        offset = rng.randrange(size + PAGE)
        if rng.random() < 0.2:
            offset = max(0, size - rng.randrange(2 * PAGE))
        for _ in range(rng.choice([1, 1, 1, 10])):
            length = 1 + rng.randrange(rng.choice(SIZES))
            if rng.random() < 0.001:
                length = max(1, size - offset + 1)
            yield offset, length
            offset = (offset + length) % (size + PAGE)


def run(
    mount: Path,
    copies: Path,
    names: Sequence[str],
    seed: int,
    seconds: float,
    only: Sequence[str] = (),
) -> Counter:
    """Go on for a time, with all operations or only some, but each once at least.

    Returns how many of each there were.

    Raises
    ------
    DifferenceError
    """
    rng = random.Random(seed)
    files = [File(mount / name, (copies / name).read_bytes()) for name in names]
    places = [spans(rng, len(file.expected)) for file in files]
    reader = Reader(rng)
    operations = [o for o in reader.operations() if not only or o.__name__ in only]
    counts: Counter = Counter()
    # Each once, however slow they are.
    first = list({o.__name__: o for o in operations}.values())
    rng.shuffle(first)
    deadline = time.monotonic() + seconds
    while first or time.monotonic() < deadline:
        which = rng.randrange(len(files))
        file = files[which]
        offset, size = next(places[which])
        operation = first.pop() if first else rng.choice(operations)
        counts[operation.__name__] += 1
        problem = "gave other bytes"
        try:
            if operation(file, offset, size) == file.expected[offset : offset + size]:
                continue
        except OSError as error:
            problem = f"failed: {error.strerror}"
        raise DifferenceError(
            f"{file.path}: {operation.__name__} of {size} bytes at {offset} {problem} "
            f"(operation {counts.total()} of seed {seed})"
        )
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mount", type=Path)
    parser.add_argument("copies", type=Path)
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--only", nargs="+", default=[], help="names of operations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    names = options.names or sorted(path.name for path in options.copies.iterdir())
    try:
        counts = run(
            *(options.mount, options.copies, names, options.seed, options.seconds, options.only)
        )
    except (DifferenceError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
