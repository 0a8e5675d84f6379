"""The codecs of numcodecs and zarr-python, with an end to what they decompress.

`install` puts these in the place of theirs for this process, in the ways that both
libraries have for it. Classes have the names of theirs, by which zarr-python tells some.
"""

import lzma
import warnings
from typing import Any, ClassVar

import numcodecs
import numcodecs.bz2
import numcodecs.lzma
import numcodecs.registry
import numcodecs.vlen
import numcodecs.zlib
import zarr
import zarr.codecs
import zarr.registry
from numcodecs.compat import ensure_contiguous_ndarray
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer

from biofuse.stores import inflate
from biofuse.stores.limits import most_decoded


def _bytes(data: Any) -> memoryview:
    return memoryview(ensure_contiguous_ndarray(data)).cast("B")


class GZip(numcodecs.GZip):
    """gzip."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        return _give(inflate.inflate_gzip(_bytes(buf), most_decoded()), out)


class Zlib(numcodecs.zlib.Zlib):
    """zlib."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        return _give(inflate.inflate_zlib(_bytes(buf), most_decoded()), out)


class BZ2(numcodecs.bz2.BZ2):
    """bzip2."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        return _give(inflate.inflate_bz2(_bytes(buf), most_decoded()), out)


class LZMA(numcodecs.lzma.LZMA):
    """LZMA."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        kind = lzma.FORMAT_AUTO if self.format is None else self.format
        found = inflate.inflate_lzma(_bytes(buf), most_decoded(), kind, self.filters)
        return _give(found, out)


class Blosc(numcodecs.Blosc):
    """Blosc."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        inflate.check_header("blosc", _bytes(buf), most_decoded())
        return super().decode(buf, out)


class Zstd(numcodecs.Zstd):
    """zstd."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        inflate.check_header("zstd", _bytes(buf), most_decoded())
        return super().decode(buf, out)


class LZ4(numcodecs.LZ4):
    """lz4."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress; more than a chunk may have is an error."""
        inflate.check_header("lz4", _bytes(buf), most_decoded())
        return super().decode(buf, out)


class VLenUTF8(numcodecs.vlen.VLenUTF8):
    """Texts."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode; fewer texts than are said to be there are an error."""
        inflate.check_texts(_bytes(buf))
        return super().decode(buf, out)


class VLenBytes(numcodecs.vlen.VLenBytes):
    """Byte strings."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode; fewer than are said to be there are an error."""
        inflate.check_texts(_bytes(buf))
        return super().decode(buf, out)


def _give(data: bytes, out: Any) -> Any:
    return numcodecs.compat.ndarray_copy(data, out)


class GzipCodec(zarr.codecs.GzipCodec):
    """gzip of Zarr v3."""

    @property
    def _gzip_codec(self) -> GZip:
        return GZip(self.level)


class ZstdCodec(zarr.codecs.ZstdCodec):
    """zstd of Zarr v3."""

    @property
    def _zstd_codec(self) -> Zstd:
        codec: Zstd = Zstd.from_config({"level": self.level, "checksum": self.checksum})
        return codec


class BloscCodec(zarr.codecs.BloscCodec):
    """Blosc of Zarr v3."""

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        inflate.check_header("blosc", _bytes(chunk_bytes.as_numpy_array()), most_decoded())
        return super()._decode_sync(chunk_bytes, chunk_spec)


class _Counted(ArrayBytesCodec):
    """Texts of Zarr v3."""

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        inflate.check_texts(_bytes(chunk_bytes.as_numpy_array()))
        return await super()._decode_single(chunk_bytes, chunk_spec)


class VLenUTF8Codec(_Counted, zarr.codecs.VLenUTF8Codec):
    """Texts of Zarr v3."""


class VLenBytesCodec(_Counted, zarr.codecs.VLenBytesCodec):
    """Byte strings of Zarr v3."""


class _Installed:
    yet: ClassVar[bool] = False


def install() -> None:
    """Have this process decode with these."""
    if _Installed.yet:
        return
    _Installed.yet = True
    # These are meant for who writes stores.
    warnings.filterwarnings("ignore", module=r"(zarr|numcodecs)\b")
    for numcodec in (GZip, Zlib, BZ2, LZMA, Blosc, Zstd, LZ4, VLenUTF8, VLenBytes):
        numcodecs.registry.register_codec(numcodec)
    for name, codec in (
        ("gzip", GzipCodec),
        ("zstd", ZstdCodec),
        ("blosc", BloscCodec),
        ("vlen-utf8", VLenUTF8Codec),
        ("vlen-bytes", VLenBytesCodec),
    ):
        zarr.registry.register_codec(name, codec)
        zarr.config.set({f"codecs.{name}": zarr.registry.fully_qualified_name(codec)})
