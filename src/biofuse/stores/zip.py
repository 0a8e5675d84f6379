"""Stores in one zip file."""

import lzma
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Sequence

from biofuse.errors import BiofuseError, one_line
from biofuse.stores.base import Part, Piece, Range
from biofuse.stores.listing import Listing
from biofuse.stores.local import pread_all
from biofuse.stores.regular import open_regular

# A member's header in the file; its name and more, of lengths that it ends with, follow.
_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
# What zipfile raises for damaged members, and for those of a kind that it does not read.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
)


class ZipStore:
    """A store whose objects are members of a zip file.

    Members that are stored as they are, as Zarr's should be, are read in place. Of others
    what precedes a range is decompressed as well, and forgotten.
    """

    far = False

    def __init__(self, path: str):
        self.path = path
        # Open as long as the store is.
        self._file = os.fdopen(open_regular(path, path), "rb")
        self._size = os.fstat(self._file.fileno()).st_size
        try:
            self._archive = zipfile.ZipFile(self._file)
        except BaseException:
            self._file.close()
            raise
        self._lock = threading.Lock()

    def get_many(self, ranges: Sequence[Range]) -> list[Piece | None]:
        return [self._get(r) for r in ranges]

    def _get(self, wanted: Range) -> Piece | None:
        try:
            info = self._archive.getinfo(wanted.key)
        except KeyError:
            return None
        stop = info.file_size if wanted.stop is None else min(wanted.stop, info.file_size)
        size = max(0, stop - wanted.start)
        try:
            if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
                start = self._data_start(info)
                if start + info.file_size > self._size:
                    raise zipfile.BadZipFile("it is longer than the archive")
                data = pread_all(self._file.fileno(), start + wanted.start, size)
                if size == info.file_size and zlib.crc32(data) != info.CRC:
                    raise zipfile.BadZipFile("its checksum does not match its content")
            else:
                # A ZipFile's members share one file position.
                with self._lock, self._archive.open(info) as member:
                    member.seek(wanted.start)
                    data = member.read(size)
                if len(data) < size:
                    raise zipfile.BadZipFile("it ends early")
        except _ERRORS as error:
            raise BiofuseError(f"{wanted.key} cannot be read: {why_not_read(error)}") from error
        return Piece(data, wanted.start, info.file_size, None)

    def part(self, key: str) -> Part | None:
        """Where a member that is stored as it is lies in the file; None if there is none."""
        try:
            info = self._archive.getinfo(key)
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                return None
            start = self._data_start(info)
        except (KeyError, *_ERRORS):
            return None
        if start + info.file_size > self._size:
            return None
        return Part(self._file.fileno(), start, info.file_size)

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        header = os.pread(self._file.fileno(), _HEADER.size, info.header_offset)
        if len(header) < _HEADER.size or not header.startswith(_SIGNATURE):
            raise zipfile.BadZipFile("its header is damaged")
        _, name, extra = _HEADER.unpack(header)
        return info.header_offset + _HEADER.size + name + extra

    def list_folders(self, key: str) -> list[str]:
        """Names of the folders in a folder."""
        prefix = f"{key}/" if key else ""
        rest = (n[len(prefix) :] for n in self._archive.namelist() if n.startswith(prefix))
        return sorted({name.partition("/")[0] for name in rest if "/" in name})

    @property
    def names(self) -> list[str]:
        """All keys."""
        return self._archive.namelist()

    def hint(self, keys: Sequence[str]) -> None:
        pass

    def listing(self, folder: str) -> Listing | None:
        prefix = f"{folder}/" if folder else ""
        names = self._archive.namelist()
        return Listing([name[len(prefix) :] for name in names if name.startswith(prefix)])

    def signature(self, keys: Sequence[str]) -> str | None:
        try:
            status = os.stat(self.path)
        except OSError as error:
            return f"error {error.errno}"
        return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"

    def close(self) -> None:
        self._archive.close()
        self._file.close()


def why_not_read(error: BaseException) -> str:
    """What is said of a member of a zip file that cannot be read."""
    text = one_line(error)
    if text.startswith("File name in directory"):
        # It goes on with what is in place of the name: up to 64 KiB of anything.
        return "its header has another name"
    return "it ends early" if isinstance(error, EOFError) else text
