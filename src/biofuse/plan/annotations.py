"""QUAL, FILTER and INFO of sites, and the lines of a VCF's header that tell of them."""

import re
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.formats.base import Annotations, SiteHeader
from biofuse.formats.chromosome import chromosome_name
from biofuse.plan.columns import Column, read_field
from biofuse.plan.texts import Array, TextArray
from biofuse.stores import Store
from biofuse.stores.members import Members

QUALITY, FILTER = "variant_quality", "variant_filter"
# What a header is made from, beside the fields themselves.
_NAMES = ("filter_id", "filter_description", "contig_length")

_PREFIX = "variant_"
# Fields of variants that are no INFO.
_OTHERS = frozenset(
    f"{_PREFIX}{name}" for name in ("contig", "position", "length", "id", "allele")
) | {QUALITY, FILTER}
_PARTS = ("_mask", "_fill")
# The keys that VCF allows.
_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
_NUMBERS = {"alt_alleles": "A", "alleles": "R", "genotypes": "G"}
_TEXT = "OSTU"
# Bytes of a value as it is read and put together, at most.
_VALUE_BYTES = 16
# Missing and fill of floats of other sizes, whose fill is told by its bits.
_FLOAT_FILL = {
    2: (np.uint16, 0x7C02),
    4: (np.uint32, 0x7F800002),
    8: (np.uint64, 0x7FF0000000000002),
}
# Lines of a header that are made from fields, or that tell of a file that this is not.
_MADE = ("INFO", "FILTER", "FORMAT", "contig", "fileformat", "fileDate", "source")


def annotation_fields(group: Members) -> list[str]:
    """Names of all fields that annotations and the header may be made from."""
    known = {QUALITY, FILTER, *_NAMES}
    names = [
        name
        for name in group.folder_names()
        if name in known
        or (name.startswith(_PREFIX) and name not in _OTHERS and not name.endswith(_PARTS))
    ]
    return sorted(names)


def info_fields(group: Members) -> list[str]:
    """Names of the fields of INFO that a store has, sorted; those of other kinds are left out."""
    count = group["variant_position"].shape[0]
    return [
        name
        for name in annotation_fields(group)
        if name not in _OTHERS
        and name not in _NAMES
        and _KEY.fullmatch(name.removeprefix(_PREFIX))
        and name in group
        and _is_info(group[name], count)
    ]


def _is_info(array: Any, count: int) -> bool:
    if array.ndim not in (1, 2) or array.shape[0] != count or 0 in array.shape[1:]:
        return False
    kind = str(array.dtype.kind)
    return kind in f"iuf{_TEXT}" or (kind == "b" and array.ndim == 1)


def _is_flag(array: Any) -> bool:
    # xarray writes booleans as integers.
    return bool(array.dtype.kind == "b" or (array.ndim == 1 and array.attrs.get("dtype") == "bool"))


def read_header(group: Members, contig_names: str) -> SiteHeader:
    """What a VCF's header says of sites, from a store's fields.

    Parameters
    ----------
    group : Members
    contig_names : str
        "plink2" or "store": how a view names contigs.

    Raises
    ------
    BiofuseError
        If a field cannot be read.
    """
    return SiteHeader(
        filters=tuple(_filter_lines(group)),
        info=tuple(_info_line(group[name]) for name in info_fields(group)),
        contigs=tuple(_contig_lines(group, contig_names)),
        others=tuple(_other_lines(group)),
    )


def _filter_lines(group: Members) -> Iterator[str]:
    if FILTER not in group or "filter_id" not in group:
        return
    names = read_field(group, "filter_id").tolist()
    described = [""] * len(names)
    if "filter_description" in group:
        described = read_field(group, "filter_description").tolist()
    if len(described) != len(names):
        raise BiofuseError(
            f"filter_description has {len(described)} entries where filter_id has {len(names)}"
        )
    for name, description in zip(names, described, strict=True):
        yield _line(f'##FILTER=<ID={name},Description="{description}">')


def _info_line(array: Any) -> str:
    key = array.path.rpartition("/")[2].removeprefix(_PREFIX)
    kind = array.dtype.kind
    if _is_flag(array):
        number, what = "0", "Flag"
    else:
        number = "1" if array.ndim == 1 else _NUMBERS.get(_last_dimension(array), ".")
        one = array.dtype.str[1:] in ("S1", "U1")
        what = {"i": "Integer", "u": "Integer", "f": "Float"}.get(
            kind, "Character" if one else "String"
        )
    description = array.attrs.get("description", "")
    return _line(f'##INFO=<ID={key},Number={number},Type={what},Description="{description}">')


def _last_dimension(array: Any) -> str:
    names = array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
    return str(names[-1]) if names else ""


def _contig_lines(group: Members, contig_names: str) -> Iterator[tuple[str, str]]:
    names = read_field(group, "contig_id").tolist()
    lengths = [0] * len(names)
    if "contig_length" in group:
        lengths = read_field(group, "contig_length").tolist()
    if len(lengths) != len(names):
        raise BiofuseError(
            f"contig_length has {len(lengths)} entries where contig_id has {len(names)}"
        )
    for name, length in zip(names, lengths, strict=True):
        shown = chromosome_name(name) if contig_names == "plink2" else name
        known = f",length={length}" if length > 0 else ""
        yield shown, _line(f"##contig=<ID={name}{known}>")


def _other_lines(group: Members) -> Iterator[str]:
    """Lines that a store keeps as they were."""
    found = group.attrs.get("vcf_meta_information")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, (list, tuple)) and len(each) == 2 and each[0] not in _MADE:
            yield _line(f"##{each[0]}={each[1]}")


def _line(text: str) -> str:
    return " ".join(text.splitlines())


class AnnotationReader:
    """Reads QUAL, FILTER and INFO.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.

    Attributes
    ----------
    row_bytes : int
        What a variant takes while it is read, without its texts.
    """

    def __init__(self, group: Members, store: Store):
        def column(name: str) -> Column | None:
            return Column(group[name], store) if name in group else None

        self._quality = column(QUALITY)
        self._filter = column(FILTER) if "filter_id" in group else None
        self._filter_names: list[str] = []
        if self._filter is not None:
            self._filter_names = read_field(group, "filter_id").tolist()
            shape = group[FILTER].shape
            if len(shape) != 2 or shape[1] != len(self._filter_names):
                raise BiofuseError(
                    f"{FILTER} is of shape {shape} where filter_id has "
                    f"{len(self._filter_names)} entries"
                )
        names = info_fields(group)
        self._info = [(name.removeprefix(_PREFIX), group[name], column(name)) for name in names]
        widths = [prod(array.shape[1:]) for _, array, _ in self._info]
        self.row_bytes = _VALUE_BYTES * sum(widths) + len(self._filter_names)

    def read(self, start: int, stop: int, rows: slice | Array) -> Annotations:
        """Those of some variants from start to stop.

        Parameters
        ----------
        start, stop : int
        rows : slice or ndarray of int
            Which of them, counted from start.

        Raises
        ------
        BiofuseError
            If a field cannot be read.
        """
        count = len(range(*rows.indices(stop - start))) if isinstance(rows, slice) else len(rows)
        quality = None
        if self._quality is not None:
            quality = _float32(self._quality.read(start, stop)[rows]).data
        filters = None
        if self._filter is not None:
            filters = self._filter_texts(self._filter.read(start, stop)[rows])
        fields: list[tuple[str, Any]] = []
        for key, array, column in self._info:
            assert column is not None
            fields.append((key, _info_values(array, column, start, stop, rows)))
        info = native.info_texts(fields, count) if fields else None
        return Annotations(quality, filters, info)

    def _filter_texts(self, flags: Array) -> native.Texts:
        """The filters of each variant between semicolons, empty where there are none."""
        packed = np.packbits(flags.astype(bool), axis=1)
        if not packed.size:
            return TextArray.of([""] * len(flags)).column()
        # Rows of bytes, which differ in more than zeros at their end, as all are of one size.
        keys = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").reshape(-1)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        texts = [
            ";".join(self._filter_names[i] for i in np.flatnonzero(row)) for row in flags[first]
        ]
        return TextArray.of(texts)[which.reshape(-1)].column()


def _info_values(array: Any, column: Column, start: int, stop: int, rows: slice | Array) -> Any:
    """Values of a field of INFO, flat, as `native.info_texts` takes them."""
    if array.dtype.kind in _TEXT:
        texts = column.read_texts(start, stop)[rows]
        return TextArray(texts.data, texts.starts.reshape(-1), texts.sizes.reshape(-1)).column()
    values = column.read(start, stop)[rows]
    if _is_flag(array):
        return np.ascontiguousarray(values.astype(bool).view(np.uint8)).data
    if array.dtype.kind == "f":
        return _float32(values).reshape(-1).data
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        values = np.minimum(values, np.iinfo(np.int64).max)
    return np.ascontiguousarray(values, dtype=np.int64).reshape(-1).data


def _float32(values: Array) -> Array:
    """The same as float32, with its bits for fill."""
    with np.errstate(invalid="ignore", over="ignore"):
        out: Array = np.ascontiguousarray(values, dtype=np.float32)
    kind, bits = _FLOAT_FILL.get(values.dtype.itemsize, (None, 0))
    if values.dtype.itemsize != 4 and kind is not None:
        filled = np.ascontiguousarray(values).view(kind) == bits
        out.view(np.uint32)[filled] = 0x7F800002
    return out
