"""Comparisons of a field with a text in quotes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biofuse.plan.filters import genotypes
from biofuse.plan.filters.alleles import Kind
from biofuse.plan.filters.grammar import ExpressionError, Field, Text
from biofuse.plan.filters.slab import Fields, Slab
from biofuse.plan.filters.terms import Term, masks
from biofuse.plan.texts import as_text

_KINDS = {
    "ref": Kind.NONE,
    **{
        name + ending: kind
        for name, kind in (
            ("snp", Kind.SNP),
            ("indel", Kind.INDEL),
            ("mnp", Kind.MNP),
            ("other", Kind.OTHER),
            ("bnd", Kind.BND),
            ("overlap", Kind.OVERLAP),
        )
        for ending in ("", "s")
    },
}
# Patterns that mean the same as POSIX's basic and extended ones and as Python's.
_ALIKE = re.compile(r"\^?(?:(?:[^][\\*+?(){}|^$]|\\[.*$^]|\[\^?[\w,:;./ -]+\])\*?)*\$?")


@dataclass(frozen=True)
class Words:
    """A comparison with a text, made ready.

    Attributes
    ----------
    of_calls : bool
        Whether it says something of each call.
    compare : callable
        Where it is true for a `Slab`: bool, of shape (variants, samples or 1, values or 1).
    fields : tuple of str
        Fields of calls that are read.
    """

    of_calls: bool
    compare: Callable[[Slab], np.ndarray]
    fields: tuple[str, ...] = ()


def compile_words(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    """Make the comparison of a field with a text ready.

    Raises
    ------
    ExpressionError
        If they cannot be compared.
    """
    if operator not in ("=", "!=", "~", "!~"):
        raise ExpressionError(f"{operator} does not compare texts", text.start)
    make = {
        "genotype": _genotype,
        "type": _type,
        "filter": _filter,
        "numbers": _missing,
        "texts": _texts,
    }[term.kind]
    return make(field, term, operator, text, fields)


def _negated(found: np.ndarray, operator: str) -> np.ndarray:
    return ~found if operator[0] == "!" else found


def _genotype(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    # Several are joined by commas; bcftools takes calls for these, not kinds of calls.
    words = text.value.split(",")
    known = all(genotypes.is_word(word) for word in words)
    if len(words) > 1:
        known = known and operator == "=" and all(word[0] in ".0123456789" for word in words)
    if not known or "~" in operator:
        raise ExpressionError(
            f"calls are not compared with {operator}{text.value!r}, but with =, != and one of "
            f"{genotypes.WORDS}",
            text.start,
        )
    reads_phase = any("/" in word or "|" in word for word in words)
    phase = ("call_genotype_phased",) if reads_phase and "call_genotype_phased" in fields else ()

    def compare(slab: Slab) -> np.ndarray:
        alleles = term.read(slab)
        phased = slab.field(phase[0]) if phase else None
        found = np.logical_or.reduce([genotypes.compare(alleles, phased, word) for word in words])
        return _negated(found, operator)[:, :, np.newaxis]

    return Words(True, compare, (*term.fields, *phase))


def _type(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    if text.value not in _KINDS:
        known = ", ".join(name for name in _KINDS if name[-1] != "s")
        raise ExpressionError(f"there is no type {text.value!r}: types are {known}", text.start)
    kind = _KINDS[text.value]

    def compare(slab: Slab) -> np.ndarray:
        there = np.bitwise_or.reduce(term.read(slab), axis=1)
        found = there == kind if "~" not in operator or not kind else (there & kind) != 0
        return _negated(found, operator)[:, np.newaxis, np.newaxis]

    return Words(False, compare)


def filter_names(fields: Fields) -> list[str]:
    """The filters that columns of variant_filter are for.

    Raises
    ------
    ExpressionError
        If the store does not tell.
    """
    if "filter_id" not in fields:
        raise ExpressionError("FILTER needs filter_id, which the store has not")
    return [str(name) for name in as_text(fields.group["filter_id"][:])]


def _filter(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    names = filter_names(fields)
    wanted = [] if text.value == "." else text.value.split(";")
    for name in wanted:
        if name not in names:
            raise ExpressionError(
                f"the store has no filter {name!r}, but {', '.join(names)}", text.start
            )
    columns = np.isin(names, wanted)

    def compare(slab: Slab) -> np.ndarray:
        values = term.read(slab).astype(bool)
        if "~" in operator and wanted:
            found = np.asarray(values[:, columns].all(axis=1))
        else:
            found = np.asarray((values == columns).all(axis=1))
        return _negated(found, operator)[:, np.newaxis, np.newaxis]

    return Words(False, compare)


def _spread(values: np.ndarray, of_calls: bool) -> np.ndarray:
    """Values with axes of variants, samples and values."""
    if not of_calls:
        values = values[:, np.newaxis]
    return values if values.ndim == 3 else values[:, :, np.newaxis]


def _missing(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    if text.value != "." or "~" in operator or not term.may_be_missing:
        raise ExpressionError(
            f"{field.name} is compared with numbers"
            + (', or with "." (missing)' if term.may_be_missing else ""),
            text.start,
        )

    def compare(slab: Slab) -> np.ndarray:
        missing, absent = (_spread(mask, term.of_calls) for mask in masks(term.read(slab)))
        return np.asarray(_negated(missing, operator) & ~absent)

    return Words(term.of_calls, compare, term.fields)


def _texts(field: Field, term: Term, operator: str, text: Text, fields: Fields) -> Words:
    if "~" in operator:
        pattern = _pattern(text)
        # A missing text matches no pattern, but stores don't tell one from a dot.
        if pattern.search(".") and field.name.upper() not in ("CHROM", "ID", "REF"):
            raise ExpressionError(
                f"the pattern {text.value!r} would match a missing text", text.start
            )
        tests: list[Callable[[str], bool]] = [lambda value: pattern.search(value) is not None]
    else:
        # Of IDs a comma is a part.
        words = [text.value] if field.name.upper() == "ID" else text.value.split(",")
        tests = [word.__eq__ for word in words]
    negative = operator[0] == "!"

    def is_match(value: str) -> bool:
        return value != "" and any(test(value) != negative for test in tests)

    def compare(slab: Slab) -> np.ndarray:
        values = _spread(term.read(slab), term.of_calls)
        found = np.fromiter(map(is_match, values.flat), dtype=bool, count=values.size)
        return found.reshape(values.shape)

    return Words(term.of_calls, compare, term.fields)


def _pattern(text: Text) -> re.Pattern[str]:
    source, case = text.value, 0
    if source.endswith("/i"):
        source, case = source[:-2], re.IGNORECASE
    if _ALIKE.fullmatch(source) is None:
        raise ExpressionError(
            f"the pattern {text.value!r} is not offered: . * [] ^ $ are, not + ? | () {{}}",
            text.start,
        )
    try:
        return re.compile(source, case)
    except re.error as error:
        raise ExpressionError(f"the pattern {text.value!r} is wrong: {error}", text.start) from None
