"""What a store says of its sites: their fields, and columns of these as records hold them.

The fields of INFO are those that vcztools takes for them: `variant_NAME` but those that a VCF has
columns for. Their types and numbers are those of the arrays, as bio2zarr makes arrays of a VCF's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats.base import InfoField, SiteColumns, Sites
from biofuse.native import Texts
from biofuse.plan.columns import Column, read_field
from biofuse.plan.texts import Array, TextArray
from biofuse.stores import Store
from biofuse.stores.members import Members

_PREFIX = "variant_"
# What a VCF has columns for, or what is none of it.
_COLUMNS = ("contig", "position", "length", "id", "id_mask", "allele", "quality", "filter")
_NUMBERS = {"alt_alleles": "A", "alleles": "R", "genotypes": "G"}
_TYPES = {"b": "Flag", "i": "Integer", "u": "Integer", "f": "Float"}
_MAX_INT = 2**31 - 1
# Bits of what is missing and of what is none, by the bytes of a float.
_NANS: dict[int, tuple[Any, int, int]] = {
    2: (np.uint16, 0x7C01, 0x7C02),
    4: (np.uint32, 0x7F800001, 0x7F800002),
    8: (np.uint64, 0x7FF0000000000001, 0x7FF0000000000002),
}


def read_sites(group: Members) -> Sites:
    """What a store says of all its sites.

    Raises
    ------
    BiofuseError
        If it cannot be read, or a field is of a kind that INFO cannot have.
    """
    contigs = read_field(group, "contig_id").tolist()
    lengths = _as_many(group, "contig_length", len(contigs), 0)
    filters = read_field(group, "filter_id").tolist() if "filter_id" in group else []
    descriptions = _as_many(group, "filter_description", len(filters), "")
    fields = [_info_field(group[name], name.removeprefix(_PREFIX)) for name in info_names(group)]
    return Sites(
        meta=_meta(dict(group.attrs)),
        contigs=[(str(n), int(length)) for n, length in zip(contigs, lengths, strict=True)],
        filters=[(str(n), str(text)) for n, text in zip(filters, descriptions, strict=True)],
        info=fields,
        max_alleles=group["variant_allele"].shape[1],
    )


def info_names(group: Members) -> list[str]:
    """Names of the arrays that are fields of INFO."""
    found = []
    count = group["variant_position"].shape[0]
    for name in sorted(group.array_keys()):
        key = name.removeprefix(_PREFIX)
        if key == name or key in _COLUMNS or key.endswith(("_fill", "_mask")):
            continue
        array = group[name]
        if 1 <= array.ndim <= 2 and array.shape[0] == count and 0 not in array.shape[1:]:
            found.append(name)
    return found


def site_names(group: Members) -> list[str]:
    """Names of all arrays of sites that columns are made of."""
    names = [_PREFIX + key for key in ("quality", "filter", "END")]
    return [*dict.fromkeys([*(name for name in names if name in group), *info_names(group)])]


def _as_many(group: Members, name: str, count: int, default: Any) -> list[Any]:
    """A field with an entry for each of something, if the store has it."""
    if name not in group or group[name].shape != (count,):
        return [default] * count
    found: list[Any] = read_field(group, name).tolist()
    return found


def _meta(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the header that a store was made from."""
    found = attributes.get("vcf_meta_information")
    if found is None:
        # As stores of earlier versions have it.
        lines = str(attributes.get("vcf_header", "")).splitlines()
        found = [line[2:].split("=", 1) for line in lines if line[:2] == "##" and "=" in line]
    return [(str(line[0]), str(line[1])) for line in found if len(line) == 2]


def _dimensions(array: Any) -> Sequence[str]:
    names = array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
    return [str(name) for name in names or ()]


def _info_field(array: Any, key: str) -> InfoField:
    kind = _kind(array)
    if kind not in "biufOSTU":
        raise BiofuseError(
            f"variant_{key} is of type {array.dtype}, which INFO of a .bcf cannot have"
        )
    type_ = _TYPES.get(kind, "String")
    if kind in "SU" and array.dtype.itemsize == np.dtype(f"{kind}1").itemsize:
        type_ = "Character"
    dimensions = _dimensions(array)
    if type_ == "Flag":
        if array.ndim > 1:
            raise BiofuseError(f"variant_{key} has {array.ndim} dimensions, and a flag has one")
        number = "0"
    elif array.ndim == 1:
        number = "1"
    else:
        # How many values a VCF's header asked for is not stored.
        number = _NUMBERS.get(dimensions[-1] if dimensions else "", ".")
    width = array.shape[1] if array.ndim > 1 else 1
    description = str(array.attrs.get("description", ""))
    return InfoField(key, type_, number, width, description)


def _kind(array: Any) -> str:
    """The kind of its type; flags may be stored as numbers that say so."""
    return "b" if array.attrs.get("dtype") == "bool" else str(array.dtype.kind)


class SiteReader:
    """Reads columns of all fields of sites.

    Parameters
    ----------
    group : zarr.Group
    store : Store
        The same store.
    """

    def __init__(self, group: Members, store: Store):
        self._fields = read_sites(group).info
        self._columns = {name: Column(group[name], store) for name in site_names(group)}
        self._num_filters = group["filter_id"].shape[0] if "filter_id" in group else 0
        shape = group["variant_filter"].shape if "variant_filter" in group else None
        if shape is not None and shape[1:] != (self._num_filters,):
            raise BiofuseError(
                f"the store is damaged: variant_filter is of shape {shape}, and filter_id has "
                f"{self._num_filters} filters"
            )

    def read(
        self,
        start: int,
        stop: int,
        everything: "slice | Array",
        keep: "slice | Array",
        contig: Array,
        position: Array,
        alleles: TextArray,
    ) -> SiteColumns:
        """Columns of the kept ones among variants start to stop.

        Parameters
        ----------
        start, stop : int
        everything, keep : slice or ndarray
            Which of them are kept, and which of those.
        contig, position : ndarray
        alleles : TextArray
            Those of the kept ones.

        Raises
        ------
        BiofuseError
            If values cannot be read, or are none that a `.bcf` can have.
        """

        def values(name: str) -> Array:
            read: Array = self._columns[name].read(start, stop)[everything][keep]
            return read

        info: list[Texts | memoryview] = []
        for field in self._fields:
            name = _PREFIX + field.key
            if field.type in ("String", "Character"):
                texts = self._columns[name].read_texts(start, stop)[everything][keep]
                info.append(_column(texts))
            elif field.type == "Flag":
                info.append(_flags(values(name)))
            elif field.type == "Integer":
                info.append(_int32(values(name), name))
            else:
                info.append(_float32(values(name)))
        has = self._columns.__contains__
        end = values("variant_END") if has("variant_END") else None
        return SiteColumns(
            contig=np.ascontiguousarray(contig, dtype=np.int32).data,
            length=_lengths(position, alleles, end),
            alleles=_column(alleles).or_else("."),
            quality=_float32(values("variant_quality")) if has("variant_quality") else None,
            filters=(
                _flags(values("variant_filter"))
                if has("variant_filter")
                else np.zeros(len(contig) * self._num_filters, np.uint8).data
            ),
            info=info,
        )


def _column(texts: TextArray) -> Texts:
    return TextArray(texts.data, texts.starts.reshape(-1), texts.sizes.reshape(-1)).column()


def _flags(values: Array) -> memoryview:
    return np.ascontiguousarray(values != 0).reshape(-1).view(np.uint8).data


def _int32(values: Array, name: str) -> memoryview:
    if values.dtype.itemsize > 4 or values.dtype == np.uint32:
        beyond = np.asarray((values > _MAX_INT) | (values < -_MAX_INT))
        if beyond.any():
            raise BiofuseError(
                f"{name} has the value {values[beyond][0]}, and integers of a .bcf are of 32 bits"
            )
    return np.ascontiguousarray(values, dtype=np.int32).reshape(-1).data


def _float32(values: Array) -> memoryview:
    """Floats of 32 bits; what is missing and none in others is so in these."""
    values = np.ascontiguousarray(values).reshape(-1)
    if values.dtype.itemsize == 4:
        return values.astype("<f4", copy=False).data
    unsigned, missing, none = _NANS[values.dtype.itemsize]
    bits = values.astype(values.dtype.newbyteorder("=")).view(unsigned)
    with np.errstate(invalid="ignore", over="ignore"):
        found = values.astype(np.float32)
    found.view(np.uint32)[bits == missing] = _NANS[4][1]
    found.view(np.uint32)[bits == none] = _NANS[4][2]
    return found.data


def _lengths(position: Array, alleles: TextArray, end: Array | None) -> memoryview:
    """Positions that sites take, as bcftools has it: up to END if that is not before them."""
    found = np.maximum(alleles.sizes[:, 0], 1).astype(np.int64)
    if end is not None and end.ndim == 1 and end.dtype.kind in "iu":
        last = end.astype(np.int64)
        told = (last > 0) & (last >= position)
        found[told] = (last - position.astype(np.int64) + 1)[told]
    return np.minimum(found, _MAX_INT).astype(np.int32).data
