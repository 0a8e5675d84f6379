"""The text of a file that an option names."""

import base64
import zlib

import numpy as np

from biofuse.errors import BiofuseError, one_line
from biofuse.options import NamedFile
from biofuse.plan.texts import Array
from biofuse.stores.inflate import TooLargeError, inflate_gzip

# Bytes that a file may decompress to.
_MOST = 2 << 30
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_LINE_FEED = ord("\n")


def read_text(file: NamedFile) -> bytes:
    """A file's text in UTF-8, decompressed, whose lines all end with a line feed.

    Raises
    ------
    BiofuseError
        If it is no text, may be gzipped.
    """
    data = base64.b64decode(file.data)
    if data.startswith(_GZIP):
        try:
            data = inflate_gzip(data, _MOST)
        except TooLargeError:
            raise BiofuseError(f"{file.name} decompresses to more than {_MOST:,} bytes") from None
        except (EOFError, zlib.error) as error:
            raise BiofuseError(f"cannot read {file.name}: {one_line(error)}") from error
    data = data.removeprefix(_BOM)
    if b"\0" in data or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BiofuseError(f"{file.name} is no text in UTF-8, which may be gzipped")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BiofuseError(f"line {line} of {file.name} is no text in UTF-8") from None
    return data if data.endswith(b"\n") or not data else data + b"\n"


def find_lines(text: bytes) -> tuple[Array, Array]:
    """Where lines begin, and where their line feeds are: int64."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_FEED)
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    return starts, ends


def shown(text: str) -> str:
    """A text as messages have it: quoted, and not too long."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
