"""Read the encoding of an array of calls off its Zarr metadata."""

from biofuse.errors import BiofuseError
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.plain import zarr2_encoding, zarr3_encoding

# Kinds of arrays, as numpy names them: calls, their probabilities and dosages, and what else a
# sample may have.
CALLS, VALUES, ANYTHING = "iu", "f", "biufSUOT"
_TEXT = "SUOT"
_CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q"}
_CODES |= {"u8": "Q"}
# Bytes of a character of UTF-8, at most.
_UTF8 = 4
_BIT_SHUFFLE = "bit shuffle"
# By their names in Zarr v2, and in v3.
_SHUFFLES: dict[int | str, str] = {
    **{0: "no shuffle", 1: "byte shuffle", 2: _BIT_SHUFFLE, -1: "automatic shuffle"},
    **{"noshuffle": "no shuffle", "shuffle": "byte shuffle", "bitshuffle": _BIT_SHUFFLE},
}


def describe(array, kinds: str = CALLS) -> GenotypeArray:
    """Describe a zarr-python array.

    Parameters
    ----------
    array : zarr.Array
        call_genotype, of shape (variants, samples, ploidy) and an integer dtype, or
        call_genotype_phased, of shape (variants, samples) and bool, or int8 with the
        attribute dtype "bool", as xarray writes them.
    kinds : str
        `VALUES` if it is a field of floating-point values instead, or `ANYTHING`: of either
        shape.

    Raises
    ------
    BiofuseError
        If it is not such an array.
    """
    kind = array.dtype.kind
    flat = array.ndim == 2 and (_is_bool(array) if kinds == CALLS else kind in kinds)
    if not flat and (array.ndim != 3 or kind not in kinds):
        raise BiofuseError(
            f"{array.path} has {array.ndim} dimensions of {array.dtype}; genotypes are "
            "(variants, samples, ploidy) integers, their phasing (variants, samples) booleans, "
            "probabilities and dosages floating-point numbers"
        )
    metadata = array.metadata
    prefix = f"{array.path}/" if array.path else ""
    if metadata.zarr_format == 2:
        separator = metadata.dimension_separator
        codec, reason = _zarr2_codec(metadata)
        plain = zarr2_encoding(array.dtype, metadata)
    else:
        encoding = metadata.chunk_key_encoding
        separator = encoding.separator
        if encoding.name == "default":
            prefix += f"c{separator}"
        codecs = [codec.to_dict() for codec in metadata.codecs]
        codec, reason = _zarr3_codec(codecs)
        plain = zarr3_encoding(array.dtype, codecs)
    unit = (1,) if flat else ()
    chunks = (*(max(1, int(n)) for n in array.chunks), *unit)
    shape = (*(int(n) for n in array.shape), *unit)
    if reason is None:
        reason = _slow_type(array.dtype, kinds)
    if reason is None and array.dtype.itemsize > 1 and codec.endswith(_BIT_SHUFFLE):
        reason = "values are bit shuffled"
    if reason is None and chunks[2] != shape[2]:
        reason = "chunks don't span the last dimension"
    elif reason is None and chunks[0] * chunks[1] * chunks[2] * array.dtype.itemsize >= 2**31:
        reason = "chunks are larger than a Blosc frame can be"
    # zarr-python leaves out chunks of zeros where no fill value is set, as in bio2zarr's stores.
    fill = metadata.fill_value or 0 if kind in "iub" else 0
    text = kind in _TEXT
    return GenotypeArray(
        path=array.path,
        shape=shape,
        chunks=chunks,
        prefix=prefix,
        separator=separator,
        tail="" if flat else f"{separator}0",
        fill=max(-128, min(127, int(fill))),
        slow_reason=reason,
        sharded=array.shards is not None,
        codec=codec,
        item_size=array.dtype.itemsize,
        per_object=_chunks_per_object(array),
        plain=plain if chunks[2] == shape[2] else None,
        code="s" if text else "f" if kind == "f" else _CODES[f"{kind}{array.dtype.itemsize}"],
        text_width=_text_width(array.dtype, shape[2]) if text else 0,
    )


def _slow_type(dtype, kinds: str) -> str | None:
    """Why values of a type are not read from frames as they are; None if they are."""
    if kinds == CALLS:
        if dtype.itemsize != 1:
            return f"alleles are {dtype}"
        return "alleles are unsigned" if dtype.kind == "u" else None
    native = dtype.kind in "biu" and dtype.byteorder != ">"
    return None if native or dtype.str == "<f4" else f"values are {dtype}"


def _text_width(dtype, values: int) -> int:
    """Bytes of a sample's texts, with commas between them; 0 if the type does not tell."""
    if dtype.kind not in "SU":
        return 0
    characters = dtype.itemsize if dtype.kind == "S" else dtype.itemsize // 4
    each = characters if dtype.kind == "S" else _UTF8 * characters
    return max(1, values * each + values - 1)


def _is_bool(array) -> bool:
    """Whether an array has booleans; xarray writes them as int8 and says so in an attribute."""
    if array.dtype.kind == "b":
        return True
    return array.dtype.str in ("|i1", "|u1") and array.attrs.get("dtype") == "bool"


def _chunks_per_object(array) -> tuple[int, int]:
    rows, columns = (
        shard // chunk
        for shard, chunk in zip((array.shards or array.chunks)[:2], array.chunks[:2], strict=True)
    )
    return rows, columns


def _zarr2_codec(metadata) -> tuple[str, str | None]:
    compressor = metadata.compressor
    if compressor is None:
        return "none", "chunks are not compressed"
    config = compressor.get_config()
    name = str(config.get("id"))
    text = _blosc_text(config) if name == "blosc" else name
    if metadata.filters:
        filters = [str(each.get_config().get("id")) for each in metadata.filters]
        return "+".join([*filters, text]), "chunks are filtered"
    if name != "blosc" or config.get("cname") != "zstd":
        return text, f"chunks are compressed with {text}"
    if metadata.order != "C":
        return text, "chunks are in Fortran order"
    return text, None


def _zarr3_codec(codecs: list[dict]) -> tuple[str, str | None]:
    names = [codec["name"] for codec in codecs]
    text = "+".join(names)
    if names != ["bytes", "blosc"]:
        return text, f"chunks are encoded with {text}"
    # A frame says all of it; so metadata without is read.
    config = codecs[1].get("configuration") or {}
    config = {key: getattr(value, "value", value) for key, value in config.items()}
    text = _blosc_text(config)
    if config.get("cname") != "zstd":
        return text, f"chunks are compressed with {text}"
    return text, None


def _blosc_text(config) -> str:
    kind = config.get("shuffle")
    shown = _SHUFFLES.get(kind, kind) if isinstance(kind, (int, str)) else kind
    return f"blosc {config.get('cname')} {config.get('clevel')}, {shown}"
