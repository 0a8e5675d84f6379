"""What a store says of its sites: their fields, and columns of these as records hold them.

The fields of INFO are those that vcztools takes for them: `variant_NAME` but those that a VCF has
columns for. Their types and numbers are those of the arrays, as bio2zarr makes arrays of a VCF's.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.formats import get_format
from biofuse.formats.chromosome import chromosome_name
from biofuse.formats.site_fields import Contig, InfoField, SiteColumns, Sites
from biofuse.genotypes.floats import NANS, float32
from biofuse.native import Texts
from biofuse.options import ViewOptions
from biofuse.plan.columns import Column, read_field
from biofuse.plan.split import Split, columns_of
from biofuse.plan.texts import Array, TextArray
from biofuse.stores import Store
from biofuse.stores.members import Members

T = TypeVar("T")

_PREFIX = "variant_"
_QUALITY, _FILTER, _END = "variant_quality", "variant_filter", "variant_END"
# What tells of sites but for the fields of each.
_NAMES = ("filter_id", "filter_description", "contig_length")
# What a VCF has columns for, or what is none of it.
_COLUMNS = frozenset(
    f"{_PREFIX}{key}"
    for key in ("contig", "position", "length", "id", "allele", "quality", "filter")
)
_PARTS = ("_mask", "_fill")
# The keys that VCF allows.
KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
_NUMBERS = {"alt_alleles": "A", "alleles": "R", "genotypes": "G"}
_TYPES = {"b": "Flag", "i": "Integer", "u": "Integer", "f": "Float"}
_TEXT = "OSTU"
_MAX_INT = 2**31 - 1
_FEW_FILTERS = 12


def need_sites(options: ViewOptions) -> bool:
    """Whether a format that may be shown is made from all fields of sites."""
    modules = [(get_format(name), options.format_options.get(name, {})) for name in options.formats]
    return any(module.needs_sites(module.Options(**chosen)) for module, chosen in modules)


def site_fields(group: Members) -> list[str]:
    """Names of all arrays that may tell of sites, sorted, whether or not they can be read."""
    known = {_QUALITY, _FILTER, *_NAMES}
    return sorted(
        name
        for name in group.folder_names()
        if name in known
        or (name.startswith(_PREFIX) and name not in _COLUMNS and not name.endswith(_PARTS))
    )


def info_names(group: Members) -> list[str]:
    """Names of the arrays that are fields of INFO, sorted; those of other kinds are left out."""
    return [name for name, why in _info_candidates(group) if why is None]


def no_info(group: Members) -> dict[str, str]:
    """Names of the arrays that may tell of sites and that INFO cannot have, and why."""
    return {name: why for name, why in _info_candidates(group) if why is not None}


def _info_candidates(group: Members) -> Iterator[tuple[str, str | None]]:
    count = group["variant_position"].shape[0]
    for name in site_fields(group):
        if name in _COLUMNS or name in _NAMES:
            continue
        if not KEY.fullmatch(name.removeprefix(_PREFIX)):
            yield name, "VCF allows no such name"
        elif name not in group:
            yield name, "it is no array"
        else:
            yield name, _why_no_info(group[name], count)


def _why_no_info(array: Any, count: int) -> str | None:
    """Why an array is no field of INFO; None if it is one."""
    if array.ndim not in (1, 2):
        return f"it has {array.ndim} dimensions, and INFO has room for two"
    if array.shape[0] != count or 0 in array.shape[1:]:
        return f"its shape is {array.shape}, of {count} variants"
    kind = _kind(array)
    if kind in f"iuf{_TEXT}" or (kind == "b" and array.ndim == 1):
        return None
    return "flags have one value a site" if kind == "b" else f"INFO has no type for {array.dtype}"


def _kind(array: Any) -> str:
    """The kind of its type; flags may be stored as numbers that say so."""
    # xarray writes booleans as integers.
    is_flag = array.ndim == 1 and array.attrs.get("dtype") == "bool"
    return "b" if is_flag else str(array.dtype.kind)


def read_sites(group: Members, contig_names: str) -> Sites:
    """What a store says of all its sites.

    Parameters
    ----------
    group : Members
    contig_names : str
        "plink2" or "store": how a view names contigs.

    Raises
    ------
    BiofuseError
        If it cannot be read.
    """
    names = read_field(group, "contig_id").tolist()
    lengths = _as_many(group, "contig_length", "contig_id", names, 0)
    contigs = [
        Contig(
            str(name),
            chromosome_name(name) if contig_names == "plink2" else str(name),
            max(0, int(length)),
        )
        for name, length in zip(names, lengths, strict=True)
    ]
    filters = _filter_names(group)
    descriptions = _as_many(group, "filter_description", "filter_id", filters, "")
    return Sites(
        meta=_meta(dict(group.attrs)),
        contigs=contigs,
        filters=[(name, str(text)) for name, text in zip(filters, descriptions, strict=True)],
        info=[_info_field(group[name]) for name in info_names(group)],
        max_alleles=group["variant_allele"].shape[1],
    )


def _filter_names(group: Members) -> list[str]:
    if "filter_id" not in group:
        return []
    return [str(name) for name in read_field(group, "filter_id").tolist()]


def _as_many(
    group: Members, name: str, of: str, names: Sequence[str], default: Any
) -> Sequence[Any]:
    """A field with an entry for each of something, if the store has it."""
    if name not in group or not names:
        return [default] * len(names)
    found: list[Any] = read_field(group, name).tolist()
    if len(found) != len(names):
        raise BiofuseError(f"{name} has {len(found)} entries where {of} has {len(names)}")
    return found


def _meta(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the header that a store was made from."""
    found = attributes.get("vcf_meta_information")
    if found is None:
        # As stores of earlier versions have it.
        lines = str(attributes.get("vcf_header", "")).splitlines()
        found = [line[2:].split("=", 1) for line in lines if line[:2] == "##" and "=" in line]
    return [
        (str(each[0]), str(each[1]))
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, (list, tuple)) and len(each) == 2
    ]


def _info_field(array: Any) -> InfoField:
    key = array.path.rpartition("/")[2].removeprefix(_PREFIX)
    type_ = header_type(array)
    number = "0" if type_ == "Flag" else header_number(array, 1)
    width = array.shape[1] if array.ndim > 1 else 1
    return InfoField(key, type_, number, width, str(array.attrs.get("description", "")))


def header_type(array: Any) -> str:
    """The type of a field, as a VCF's header has it."""
    kind = _kind(array)
    if kind in "SU" and array.dtype.itemsize == np.dtype(f"{kind}1").itemsize:
        return "Character"
    return _TYPES.get(kind, "String")


def header_number(array: Any, single: int) -> str:
    """How many values a field has, as a VCF's header has it: 1 where it has `single` dimensions."""
    if array.ndim == single:
        return "1"
    # How many values a VCF's header asked for is not stored.
    return _NUMBERS.get(_last_dimension(array), ".")


def _last_dimension(array: Any) -> str:
    names = array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
    return str(names[-1]) if names else ""


class SiteReader:
    """Reads columns of all fields of sites, until one cannot be read.

    Which is told where the columns are wanted: so views that do without them are shown.

    Parameters
    ----------
    group : Members
    store : Store
        The same store.
    """

    def __init__(self, group: Members, store: Store):
        self._error: BiofuseError | None = None
        self._attempt(lambda: self._open(group, store))

    def _attempt(self, make: Callable[[], T]) -> T | None:
        if self._error is None:
            try:
                return make()
            except BiofuseError as error:
                self._error = error
        return None

    def _open(self, group: Members, store: Store) -> None:
        self._fields = [(name, _info_field(group[name])) for name in info_names(group)]
        names = [name for name in (_QUALITY, _FILTER, _END) if name in group]
        names += [name for name, _ in self._fields]
        self._columns = {name: Column(group[name], store) for name in dict.fromkeys(names)}
        self._filters = _filter_names(group)
        if _FILTER in group:
            shape = group[_FILTER].shape
            if shape[1:] != (len(self._filters),):
                raise BiofuseError(
                    f"the store is damaged: {_FILTER} is of shape {shape}, and filter_id has "
                    f"{len(self._filters)} entries"
                )

    def read(
        self,
        index: Array,
        contig: Array,
        position: Array,
        alleles: TextArray,
        split: Split | None = None,
    ) -> Callable[[], SiteColumns]:
        """Read columns of some sites.

        Parameters
        ----------
        index : ndarray of uint32
            Theirs in the store, ascending.
        contig, position : ndarray
        alleles : TextArray
            Of shape (sites, alleles).
        split : Split, optional
            Records of these sites that are wanted, if not one of each.

        Returns
        -------
        callable
            Gives the columns, or raises `BiofuseError` if they cannot be read.
        """
        found = self._attempt(lambda: self._read(index, contig, position, alleles, split))

        def give() -> SiteColumns:
            if found is None:
                assert self._error is not None
                raise self._error
            return found

        return give

    def _read(
        self,
        index: Array,
        contig: Array,
        position: Array,
        alleles: TextArray,
        split: Split | None,
    ) -> SiteColumns:
        slab = _Slab(self._columns, index, split)
        info: list[Texts | memoryview] = []
        for name, field in self._fields:
            if field.type in ("String", "Character"):
                info.append(_column(slab.texts(name, field.number)))
            elif field.type == "Flag":
                info.append(_flags(slab.values(name)))
            elif field.type == "Integer":
                info.append(_integers(slab.values(name, field.number)))
            else:
                info.append(slab.floats(name, field.number))
        has = self._columns.__contains__
        if has(_FILTER) and self._filters:
            filters = slab.values(_FILTER) != 0
        else:
            filters = np.zeros((slab.count, len(self._filters)), bool)
        if split is not None:
            contig, position, alleles = (
                contig[split.rows],
                position[split.rows],
                alleles[split.rows],
            )
        return SiteColumns(
            contig=np.ascontiguousarray(contig, dtype=np.int32).data,
            length=_lengths(position, alleles, slab.values(_END) if has(_END) else None),
            alleles=_column(alleles).or_else("."),
            quality=slab.floats(_QUALITY) if has(_QUALITY) else None,
            filters=_flags(filters),
            filter_texts=partial(_filter_texts, filters, self._filters),
            info=info,
        )


class _Slab:
    """Reads fields of some sites."""

    def __init__(self, columns: dict[str, Column], index: Array, split: Split | None):
        self._columns = columns
        self._split = split
        self.count = len(index) if split is None else len(split.rows)
        self._start = int(index[0]) if len(index) else 0
        self._stop = int(index[-1]) + 1 if len(index) else 0
        self._rows: slice | Array = slice(None)
        if len(index) != self._stop - self._start:
            self._rows = index.astype(np.int64) - self._start
        if split is not None:
            self._rows = split.rows if isinstance(self._rows, slice) else self._rows[split.rows]

    def values(self, name: str, number: str = "") -> Array:
        read: Array = self._columns[name].read(self._start, self._stop)[self._rows]
        if self._split is None:
            return read
        columns = columns_of(number, self._split.alts)
        if columns is None or read.ndim < 2:
            return read
        inside = columns < read.shape[1]
        found = np.take_along_axis(read, np.where(inside, columns, 0), axis=1)
        found[~inside] = _none(read.dtype)
        return np.asarray(found)

    def floats(self, name: str, number: str = "") -> memoryview:
        return _float32(self.values(name, number))

    def texts(self, name: str, number: str) -> TextArray:
        read = self._columns[name].read_texts(self._start, self._stop)[self._rows]
        columns = None if self._split is None else columns_of(number, self._split.alts)
        if columns is None or read.sizes.ndim < 2:
            return read
        inside = columns < read.sizes.shape[1]
        rows = np.arange(len(columns))[:, None]
        found = read[rows, np.where(inside, columns, 0)]
        return TextArray(found.data, found.starts, np.where(inside, found.sizes, 0))


def _none(dtype: Any) -> Any:
    """What stands for no value in an array of numbers."""
    if dtype.kind != "f":
        return -2 if dtype.kind == "i" else 0
    unsigned, _, bits = NANS[dtype.itemsize]
    return np.array(bits, unsigned).view(dtype.newbyteorder("="))


def _column(texts: TextArray) -> Texts:
    return TextArray(texts.data, texts.starts.reshape(-1), texts.sizes.reshape(-1)).column()


def _flags(values: Array) -> memoryview:
    return np.ascontiguousarray(values != 0).reshape(-1).view(np.uint8).data


def _integers(values: Array) -> memoryview:
    """Integers, of 64 bits where those of the store may not fit in 32."""
    if values.dtype.itemsize <= 4 and values.dtype != np.uint32:
        return np.ascontiguousarray(values, dtype=np.int32).reshape(-1).data
    if values.dtype == np.uint64:
        values = np.minimum(values, np.iinfo(np.int64).max)
    return np.ascontiguousarray(values, dtype=np.int64).reshape(-1).data


def _float32(values: Array) -> memoryview:
    """Floats of 32 bits; what is missing and none in others is so in these."""
    found: Array = float32(np.ascontiguousarray(values).reshape(-1))
    return found.data


def _lengths(position: Array, alleles: TextArray, end: Array | None) -> memoryview:
    """Positions that sites take, as bcftools has it: up to END if that is not before them."""
    found = np.maximum(alleles.sizes[:, 0], 1).astype(np.int64)
    if end is not None and end.ndim == 1 and end.dtype.kind in "iu":
        last = end.astype(np.int64)
        told = (last > 0) & (last >= position)
        found[told] = (last - position.astype(np.int64) + 1)[told]
    return np.minimum(found, _MAX_INT).astype(np.int32).data


def _filter_texts(flags: Array, names: Sequence[str]) -> Texts:
    """The filters of each variant between semicolons, empty where there are none."""
    if not flags.size:
        return TextArray.of([""] * len(flags)).column()
    if len(names) <= _FEW_FILTERS:
        # Those of a variant are the bits of a number, of which there are few.
        bits = np.left_shift(1, np.arange(len(names))).astype(np.uint16)
        numbers = flags.astype(np.uint16) @ bits
        found = np.flatnonzero(np.bincount(numbers))
        rows = (found[:, None] & bits.astype(np.int64)) != 0
        which = np.zeros(int(found[-1]) + 1, np.intp)
        which[found] = np.arange(len(found))
        which = which[numbers]
    else:
        packed = np.packbits(flags, axis=1)
        # Rows of bytes, which differ in more than zeros at their end, as all are of one size.
        keys = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").reshape(-1)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        rows = flags[first]
    texts = [";".join(names[int(i)] for i in np.flatnonzero(row)) for row in rows]
    return TextArray.of(texts)[which.reshape(-1)].column()
