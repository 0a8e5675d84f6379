"""Ways to spoil a store, and careful reads of what it gives then."""

import os
from pathlib import Path

from support.stores import chunk_files


def read_uncached(path: Path, offset: int, size: int) -> bytes:
    """A read that serve sees as it is: neither page cache nor read-ahead."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def error_of(path: Path, offset: int, size: int) -> int | None:
    """The errno of a read; None if it succeeds."""
    try:
        read_uncached(path, offset, size)
    except OSError as error:
        return error.errno
    return None


def read_everywhere(path: Path, expected: bytes, step: int) -> dict[int, int]:
    """Read the file in steps: what comes must be right. Returns errno by offset."""
    errors = {}
    for offset in range(0, len(expected), step):
        try:
            data = read_uncached(path, offset, 100)
        except OSError as error:
            errors[offset] = error.errno
        else:
            assert data == expected[offset : offset + 100], offset
    return errors


def _write_at(offset: int, data: bytes):
    def change(chunk: Path) -> None:
        with open(chunk, "r+b") as f:
            f.seek(offset)
            f.write(data)

    return change


def _replace_by_directory(chunk: Path) -> None:
    chunk.unlink()
    chunk.mkdir()


# Of a Blosc frame: version, versionlz, flags, typesize; nbytes, blocksize, cbytes; offsets.
DAMAGE = {
    "empty": lambda chunk: os.truncate(chunk, 0),
    "ten-bytes": lambda chunk: os.truncate(chunk, 10),
    "half": lambda chunk: os.truncate(chunk, chunk.stat().st_size // 2),
    "last-byte": lambda chunk: os.truncate(chunk, chunk.stat().st_size - 1),
    "longer": lambda chunk: chunk.write_bytes(chunk.read_bytes() + b"\0"),
    "zeros": lambda chunk: chunk.write_bytes(bytes(chunk.stat().st_size)),
    "text": lambda chunk: chunk.write_bytes(b"<html>404</html>" * 400),
    "version": _write_at(0, b"\xff"),
    "raw-size": _write_at(4, b"\x00\x00\x00\x40"),
    "block-size": _write_at(8, b"\x01\x00\x00\x00"),
    "stored-size": _write_at(12, b"\xff\xff\xff\x7f"),
    "block-offset": _write_at(16, b"\xff\xff\xff\xff"),
    "block-start": _write_at(20, b"\xff\xff\xff\x7f"),
    "zstd-magic": _write_at(24, b"\0\0\0\0"),
    "directory": _replace_by_directory,
}


def flip(chunk: Path) -> None:
    """Change one byte in the middle, in place."""
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 0xFF
    with open(chunk, "r+b") as f:
        f.write(data)


def chunk_of(store: Path, number: int) -> Path:
    return chunk_files(store)[number]


def key_of(store: Path, chunk: Path) -> str:
    return str(chunk.relative_to(store))
