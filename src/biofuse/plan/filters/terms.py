"""What the names in an expression stand for: values of variants or of their calls.

Numbers are float64, in which the VCF Zarr specification's patterns tell what is missing
and what is no value at all (fill).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from biofuse.genotypes.floats import NANS
from biofuse.plan.filters.alleles import classify
from biofuse.plan.filters.frequencies import frequencies
from biofuse.plan.filters.grammar import ExpressionError, Field
from biofuse.plan.filters.slab import Fields, Slab

MISSING, FILL = np.array(NANS[8][1:], dtype="u8").view("f8")


@dataclass(frozen=True)
class Term:
    """A name of an expression.

    Attributes
    ----------
    kind : str
        "numbers", "texts", "genotype", "type" or "filter".
    of_calls : bool
        Whether there is a value a call: of shape (variants, samples) or (variants, samples,
        values), else (variants,) or (variants, values).
    read : callable
        The values of a `Slab`: float64, or objects of str with "." where missing and "" for
        no value.
    fields : tuple of str
        Fields of calls that are read.
    may_be_missing : bool
        Whether it may be asked if a number is missing: it is of the store.
    """

    kind: str
    of_calls: bool
    read: Callable[[Slab], np.ndarray]
    fields: tuple[str, ...] = ()
    may_be_missing: bool = False


def masks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where numbers are missing, and where there is no value."""
    fill = values.view("u8") == FILL.view("u8")
    return np.isnan(values) & ~fill, fill


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Integers, floating-point numbers or booleans of a store as numbers."""
    if values.dtype.kind in "iu":
        out = values.astype(np.float64)
        if values.dtype.kind == "i":
            out[values == -1] = MISSING
            out[values == -2] = FILL
        return out
    if values.dtype.kind == "b":
        return values.astype(np.float64)
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values).view(f"u{size}")
    _, _, fill_bits = NANS[size]
    with np.errstate(invalid="ignore"):
        out = values.astype(np.float64)
    out[np.isnan(out)] = MISSING
    out[bits == fill_bits] = FILL
    return out


def find_term(field: Field, fields: Fields) -> Term:
    """What a name stands for.

    Raises
    ------
    ExpressionError
        If there is no such field, or it cannot be used so.
    """
    term = _find(field, fields)
    return term if field.index is None else _subscript(field, term)


def _find(field: Field, fields: Fields) -> Term:
    prefix, _, name = field.name.rpartition("/")
    if name == "GT" and prefix != "INFO":
        return _needing(field, fields, "call_genotype", _GENOTYPE)
    if fields.is_subset and name in _WRITTEN and prefix in ("", "INFO"):
        return _WRITTEN[name]
    if prefix:
        where = "variant" if prefix == "INFO" else "call"
        return _stored(field, fields, [f"{where}_{name}"])
    # bcftools takes these in any case.
    if name.upper() in _OF_SITES:
        needed, term = _OF_SITES[name.upper()]
        return _needing(field, fields, needed, term)
    counted = _COUNTED.get(name.upper())
    stored = [f"{where}_{name}" for where in ("variant", "call") if f"{where}_{name}" in fields]
    if counted is not None and not stored:
        return counted
    return _stored(field, fields, stored)


def _needing(field: Field, fields: Fields, name: str, term: Term) -> Term:
    if name and name not in fields:
        raise ExpressionError(f"{field.name} needs {name}, which the store has not", field.start)
    return term


# Columns of the store that are no INFO field, whatever their names suggest.
_NOT_INFO = {
    f"variant_{name}"
    for name in (*("contig", "position", "length", "id", "id_mask", "allele", "quality", "filter"),)
} | {f"call_{name}" for name in ("genotype", "genotype_mask", "genotype_phased")}


def _stored(field: Field, fields: Fields, names: list[str]) -> Term:
    found = [name for name in names if name in fields and name not in _NOT_INFO]
    if not found:
        raise ExpressionError(f"the store has no field {field.name}", field.start)
    if len(found) > 1:
        raise ExpressionError(
            f"{field.name} may be INFO/{field.name} or FORMAT/{field.name}: write which",
            field.start,
        )
    name = found[0]
    array = fields.group[name]
    of_calls = name.startswith("call_")
    lowest = 2 if of_calls else 1
    if not lowest <= array.ndim <= lowest + 1:
        raise ExpressionError(
            f"{field.name} has {array.ndim} dimensions, which is not understood", field.start
        )
    needed = (name,) if of_calls else ()
    if array.dtype.kind in "iufb":
        return Term(
            "numbers",
            of_calls,
            lambda slab: as_numbers(slab.field(name)),
            needed,
            may_be_missing=array.dtype.kind != "b",
        )
    return Term("texts", of_calls, lambda slab: _texts(slab.field(name)), needed)


def _texts(values: np.ndarray) -> np.ndarray:
    """Texts, with those that are lists taken apart."""
    values = values.astype(object)
    if not any("," in text for text in values.flat):
        return values
    lists = [text.split(",") for text in values.flat]
    width = max(map(len, lists))
    apart = np.array([each + [""] * (width - len(each)) for each in lists], dtype=object)
    keep = 1 if values.ndim == 1 else 2
    return apart.reshape(*values.shape[:keep], -1)


def _subscript(field: Field, term: Term) -> Term:
    index = field.index or ""
    number = index
    if term.of_calls:
        # Of every sample the value of this number.
        samples, colon, number = index.partition(":")
        if not colon or samples not in ("", "*"):
            number = "?"
    is_counted = any(term is each for each in _COUNTED.values())
    if not number.isdigit() or term.kind != "numbers" or is_counted:
        raise ExpressionError(
            f"{field.name}[{index}] is not understood: numbers INFO/X[1] and FORMAT/X[*:1] are",
            field.start,
        )
    which = int(number)
    axis = 2 if term.of_calls else 1

    def read(slab: Slab) -> np.ndarray:
        values = term.read(slab)
        if values.ndim == axis:
            values = values[..., np.newaxis]
        if which < values.shape[axis]:
            found = values[..., which].copy()
        else:
            found = np.full(values.shape[:axis], FILL)
        _, none = masks(found)
        if not term.of_calls:
            # What bcftools compares with there is of no use to anyone.
            short = np.flatnonzero(none & ~np.logical_or(*masks(values[:, 0].copy())))
            if len(short):
                raise ExpressionError(
                    f"{field.name} has no value {which} at variant {slab.rows[short[0]]} of the "
                    "store, counted from 0",
                    field.start,
                )
        found[none] = MISSING
        return found

    return replace(term, read=read, may_be_missing=False)


def _alternatives(slab: Slab) -> np.ndarray:
    alts = np.array(slab.field("variant_allele")[:, 1:], dtype=object)
    if alts.shape[1]:
        alts[alts[:, 0] == "", 0] = "."
    return alts


def _per_allele(
    slab: Slab, of_counts: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """A number an alternative allele, of their counts and of all there are."""
    found = frequencies(slab)
    total = found.total
    with np.errstate(invalid="ignore", divide="ignore"):
        values = of_counts(found.counts[:, 1:].astype(np.float64), total[:, np.newaxis])
    values[~found.present[:, 1:]] = FILL
    if values.shape[1]:
        values[~found.present[:, 1], 0] = 0
        values[total == 0, 0] = MISSING
    values[total == 0, 1:] = FILL
    return values


def _written_counts(slab: Slab) -> np.ndarray:
    """INFO/AC of a subset: missing where there is no alternative allele."""
    found = frequencies(slab)
    values = np.where(found.present, found.counts, FILL)[:, 1:]
    if values.shape[1]:
        values[~found.present[:, 1], 0] = MISSING
    return values


def _indel_lengths(slab: Slab) -> np.ndarray:
    alleles = slab.field("variant_allele")
    lengths = np.array([len(text) for text in alleles.flat], dtype=np.float64)
    lengths = lengths.reshape(alleles.shape)
    # bcftools has none of an allele that is as long as the reference, or is not there.
    values = lengths[:, 1:] - lengths[:, :1]
    values[(values == 0) | (lengths[:, 1:] == 0)] = MISSING
    values[:, 1:][lengths[:, 2:] == 0] = FILL
    return values


def _contigs(slab: Slab) -> np.ndarray:
    names = slab.fields.group["contig_id"][:].astype(object)
    return np.asarray(names[slab.field("variant_contig")])


def _of_site(read: Callable[[Slab], np.ndarray]) -> Term:
    return Term("numbers", False, lambda slab: read(slab).astype(np.float64))


_COUNTED = {
    "AC": Term("numbers", False, lambda s: _per_allele(s, lambda ac, an: ac)),
    "AF": Term("numbers", False, lambda s: _per_allele(s, lambda ac, an: ac / an)),
    "MAC": Term(
        "numbers",
        False,
        lambda s: _per_allele(s, lambda ac, an: np.minimum(ac, an - ac)),
    ),
    "MAF": Term(
        "numbers",
        False,
        lambda s: _per_allele(s, lambda ac, an: np.minimum(ac, an - ac) / an),
    ),
    "AN": Term("numbers", False, lambda s: frequencies(s).total.astype(np.float64)),
}
# INFO fields that `bcftools view -s` writes anew; it leaves all others as they are.
_WRITTEN = {
    "AC": Term("numbers", False, _written_counts, may_be_missing=True),
    "AN": _COUNTED["AN"],
}
_GENOTYPE = Term("genotype", True, lambda slab: slab.field("call_genotype"), ("call_genotype",))
# Names that are no INFO field: what the store must have, and the term.
_OF_SITES = {
    "CHROM": ("", Term("texts", False, _contigs)),
    "POS": ("", _of_site(lambda slab: slab.field("variant_position"))),
    "ID": ("variant_id", Term("texts", False, lambda s: s.field("variant_id").astype(object))),
    "REF": ("", Term("texts", False, lambda s: s.field("variant_allele")[:, 0].astype(object))),
    "ALT": ("", Term("texts", False, _alternatives)),
    "QUAL": (
        "variant_quality",
        Term(
            "numbers",
            False,
            lambda slab: as_numbers(slab.field("variant_quality")),
            may_be_missing=True,
        ),
    ),
    "FILTER": ("variant_filter", Term("filter", False, lambda s: s.field("variant_filter"))),
    "TYPE": ("", Term("type", False, lambda s: classify(s.field("variant_allele")))),
    "N_ALT": ("", _of_site(lambda slab: slab.num_alternatives)),
    "N_SAMPLES": ("", _of_site(lambda slab: np.full(len(slab), slab.fields.num_samples))),
    "ILEN": ("", Term("numbers", False, _indel_lengths)),
    "N_MISSING": (
        "call_genotype",
        Term("numbers", False, lambda s: s.counts.incomplete.astype(np.float64)),
    ),
    "F_MISSING": (
        "call_genotype",
        Term(
            "numbers",
            False,
            lambda s: s.counts.incomplete / max(1, s.fields.num_samples),
        ),
    ),
}
