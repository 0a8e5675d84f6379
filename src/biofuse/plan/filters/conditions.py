"""The options that choose variants by what they are, as conditions on slabs."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.options import Selection
from biofuse.plan.filters.alleles import Kind, classify
from biofuse.plan.filters.evaluate import Expression
from biofuse.plan.filters.frequencies import Frequencies, frequencies
from biofuse.plan.filters.genotypes import Calls
from biofuse.plan.filters.slab import Fields, Slab
from biofuse.plan.filters.words import filter_names

_TYPES = {
    "snps": Kind.SNP,
    "indels": Kind.INDEL,
    "mnps": Kind.MNP,
    "other": Kind.OTHER,
    "bnd": Kind.BND,
}


@dataclass(frozen=True)
class Condition:
    """A condition on variants.

    Attributes
    ----------
    matches : callable
        For which of a `Slab`'s variants it is true: bool.
    call_fields : list of str
        Fields of calls that it reads.
    """

    matches: Callable[[Slab], np.ndarray]
    call_fields: tuple[str, ...] = ()


def conditions(selection: Selection, fields: Fields) -> list[Condition]:
    """What a selection asks of variants, the cheapest first.

    Raises
    ------
    BiofuseError
        If an option is not understood, or needs what the store has not.
    """
    found = [
        *_of_alleles(selection),
        *_of_ids(selection, fields),
        *_of_filters(selection, fields),
        *_of_counts(selection, fields),
        *_of_calls(selection, fields),
    ]
    if selection.include is not None and selection.exclude is not None:
        raise BiofuseError("--include and --exclude are not given together: join them with &&")
    if selection.include is not None:
        expression = Expression(selection.include, fields)
        found.append(Condition(expression.matches, tuple(expression.call_fields)))
    if selection.exclude is not None:
        without = Expression(selection.exclude, fields)
        found.append(Condition(lambda slab: ~without.matches(slab), tuple(without.call_fields)))
    return found


def _kinds(option: str, text: str) -> int:
    kinds = 0
    for name in text.split(","):
        if name not in _TYPES:
            # bcftools 1.16 takes -v ref for -v other.
            why = "; sites without variation: -i 'TYPE=\"ref\"'" if name == "ref" else ""
            raise BiofuseError(f"{option} {name!r}: types are {', '.join(_TYPES)}{why}")
        kinds |= _TYPES[name]
    return kinds


def _of_alleles(selection: Selection) -> list[Condition]:
    found: list[Condition] = []
    for option, least in (
        ("--min-alleles", selection.min_alleles),
        ("--max-alleles", selection.max_alleles),
    ):
        if least is not None and least < 1:
            raise BiofuseError(f"{option} {least}: every site has an allele, give 1 or more")
    if selection.min_alleles is not None:
        least = selection.min_alleles
        found.append(Condition(lambda slab: slab.num_alternatives + 1 >= least))
    if selection.max_alleles is not None:
        most = selection.max_alleles
        found.append(Condition(lambda slab: slab.num_alternatives + 1 <= most))
    if selection.types is not None:
        wanted = _kinds("--types", selection.types)
        found.append(Condition(lambda slab: _has_kind(slab, wanted)))
    if selection.exclude_types is not None:
        unwanted = _kinds("--exclude-types", selection.exclude_types)
        found.append(Condition(lambda slab: ~_has_kind(slab, unwanted)))
    return found


def _has_kind(slab: Slab, kinds: int) -> np.ndarray:
    found = classify(slab.field("variant_allele"))
    return np.asarray(((found & kinds) != 0).any(axis=1))


def _of_ids(selection: Selection, fields: Fields) -> list[Condition]:
    if not selection.known and not selection.novel:
        return []
    if "variant_id" not in fields:
        raise BiofuseError("--known and --novel need variant_id, which the store has not")

    def is_known(slab: Slab) -> np.ndarray:
        ids = slab.field("variant_id")
        return np.asarray((ids != ".") & (ids != ""), dtype=bool)

    found = [Condition(is_known)] if selection.known else []
    return [*found, Condition(lambda slab: ~is_known(slab))] if selection.novel else found


def _of_filters(selection: Selection, fields: Fields) -> list[Condition]:
    if selection.apply_filters is None:
        return []
    if "variant_filter" not in fields:
        raise BiofuseError("--apply-filters needs variant_filter, which the store has not")
    names = filter_names(fields)
    wanted = selection.apply_filters.split(",")
    for name in wanted:
        if name != "." and name not in names:
            raise BiofuseError(
                f"--apply-filters {name!r}: the store has no such filter, but {', '.join(names)}"
            )
    columns = np.isin(names, wanted)

    def is_wanted(slab: Slab) -> np.ndarray:
        values = slab.field("variant_filter").astype(bool)
        found = np.asarray(values[:, columns].any(axis=1))
        return found | ~values.any(axis=1) if "." in wanted else found

    return [Condition(is_wanted)]


def _minor(found: Frequencies) -> np.ndarray:
    most = np.iinfo(np.int64).max
    return np.asarray(np.where(found.present, found.counts, most).min(axis=1))


# From allele counts to a number a variant.
_Count = Callable[[Frequencies], np.ndarray]
# What allele counts are asked of, by the words behind the colon.
_COUNTS: dict[str, _Count] = {
    "nref": lambda found: found.counts[:, 1:].sum(axis=1),
    "alt1": lambda found: found.counts[:, 1:2].sum(axis=1),
    "minor": _minor,
    "major": lambda found: found.counts.max(axis=1),
    "nonmajor": lambda found: found.total - found.counts.max(axis=1),
}


def _limit(option: str, text: str, number: str) -> tuple[float, _Count]:
    """The number and the allele counts that it limits."""
    value, _, which = text.partition(":")
    if re.fullmatch(number, value) is None or (which or "nref") not in _COUNTS:
        raise BiofuseError(
            f"{option} {text!r} is not understood: it is a number, and perhaps one of "
            f"{', '.join(':' + name for name in _COUNTS)}"
        )
    return float(value), _COUNTS[which or "nref"]


_INTEGER = r"\d+"
_FRACTION = r"0*(?:0|1|1\.0*|0?\.\d+|0\.)(?:[eE]-\d+)?"


def _of_counts(selection: Selection, fields: Fields) -> list[Condition]:
    found: list[Condition] = []
    for option, text, sign in (
        ("--min-ac", selection.min_ac, 1),
        ("--max-ac", selection.max_ac, -1),
    ):
        if text is not None:
            found.append(_count_limit(*_limit(option, text, _INTEGER), sign))
    for option, text, sign in (
        ("--min-af", selection.min_af, 1),
        ("--max-af", selection.max_af, -1),
    ):
        if text is not None:
            found.append(_frequency_limit(*_limit(option, text, _FRACTION), sign))
    if selection.uncalled and selection.exclude_uncalled:
        raise BiofuseError("--uncalled and --exclude-uncalled are not given together")
    if selection.uncalled:
        found.append(Condition(lambda slab: frequencies(slab).total == 0))
    if selection.exclude_uncalled:
        found.append(Condition(lambda slab: frequencies(slab).total > 0))
    return [*found, *_of_private(selection, fields)]


def _count_limit(limit: float, count: _Count, sign: int) -> Condition:
    return Condition(lambda slab: sign * count(frequencies(slab)) >= sign * limit)


def _frequency_limit(limit: float, count: _Count, sign: int) -> Condition:
    # In single precision, as bcftools has it, but not the frequency: 1 of 20 is less than 0.05.
    limit = float(np.float32(limit))

    def matches(slab: Slab) -> np.ndarray:
        found = frequencies(slab)
        total = found.total
        # There is no frequency where nothing is called.
        frequency = count(found) / np.maximum(total, 1)
        return np.asarray((total > 0) & (sign * frequency >= sign * limit))

    return Condition(matches)


def _of_private(selection: Selection, fields: Fields) -> list[Condition]:
    if not selection.private and not selection.exclude_private:
        return []
    if selection.private and selection.exclude_private:
        raise BiofuseError("--private and --exclude-private are not given together")
    if not fields.is_subset:
        raise BiofuseError("--private and --exclude-private need some of the samples: add -s or -S")
    every = fields.every_sample()
    count = _COUNTS["nref"]

    def is_private(slab: Slab) -> np.ndarray:
        here = count(frequencies(slab))
        return np.asarray((here > 0) & (here == count(frequencies(Slab(every, slab.rows)))))

    if selection.private:
        return [Condition(is_private)]
    return [Condition(lambda slab: ~is_private(slab))]


def _of_calls(selection: Selection, fields: Fields) -> list[Condition]:
    if selection.genotype is None:
        return []
    kinds: dict[str, Callable[[Calls], np.ndarray]] = {
        "hom": lambda calls: ~calls.missing & ~calls.het,
        "het": lambda calls: calls.het,
        "miss": lambda calls: calls.missing,
    }
    word = selection.genotype.removeprefix("^")
    if word not in kinds:
        raise BiofuseError(
            f"--genotype {selection.genotype!r} is not understood: it is one of "
            f"{', '.join(kinds)}, with ^ for sites without any"
        )
    if "call_genotype" not in fields:
        raise BiofuseError("--genotype needs call_genotype, which the store has not")
    negative = word != selection.genotype

    def matches(slab: Slab) -> np.ndarray:
        found = np.asarray(kinds[word](Calls(slab.field("call_genotype"))).any(axis=1))
        return ~found if negative else found

    return [Condition(matches, ("call_genotype",))]
