"""Calls compared with words: GT="het", GT="0/1"."""

import re
from collections.abc import Callable

import numpy as np

_CALL = re.compile(r"(?:\d+|\.)(?:[/|](?:\d+|\.))*")


class Calls:
    """What calls are.

    Parameters
    ----------
    alleles : ndarray of int, shape (variants, samples, ploidy)
        -1 where missing, -2 where a call has no more.

    Attributes
    ----------
    missing, reference, alternative, hap, hom, het, with_reference : ndarray of bool
        Of shape (variants, samples). A call of which an allele is missing is missing, and
        nothing else.
    """

    def __init__(self, alleles: np.ndarray):
        count = (alleles != -2).sum(axis=2)
        self.missing = (alleles == -1).any(axis=2) | (count == 0)
        there = ~self.missing
        alike = ((alleles == alleles[:, :, :1]) | (alleles == -2)).all(axis=2)
        self.alternative = there & (alleles > 0).any(axis=2)
        self.reference = there & ~self.alternative
        self.hap = there & (count == 1)
        self.hom = there & (count > 1) & alike
        self.het = there & (count > 1) & ~alike
        self.with_reference = (alleles == 0).any(axis=2)


_WORDS: dict[str, Callable[[Calls], np.ndarray]] = {
    "mis": lambda calls: calls.missing,
    "ref": lambda calls: calls.reference,
    "alt": lambda calls: calls.alternative,
    "hom": lambda calls: calls.hom,
    "het": lambda calls: calls.het,
    "hap": lambda calls: calls.hap,
    "rr": lambda calls: calls.hom & calls.reference,
    "aa": lambda calls: calls.hom & calls.alternative,
    "ra": lambda calls: calls.het & calls.with_reference,
    "ar": lambda calls: calls.het & calls.with_reference,
    "aA": lambda calls: calls.het & ~calls.with_reference,
    "r": lambda calls: calls.hap & calls.reference,
    "a": lambda calls: calls.hap & calls.alternative,
}
WORDS = "ref, alt, mis, hom, het, hap, RR, AA, RA, Aa, R, A, or a call such as 0/1"


def _key(word: str) -> str:
    return "aA" if word in ("Aa", "aA") else word.lower()


def is_word(word: str) -> bool:
    """Whether calls can be compared with this: a kind of call, or a call as VCF writes it."""
    return _key(word) in _WORDS or _CALL.fullmatch(word) is not None


def compare(alleles: np.ndarray, phased: np.ndarray | None, word: str) -> np.ndarray:
    """Which calls are of a kind, or equal a call.

    Parameters
    ----------
    alleles : ndarray of int, shape (variants, samples, ploidy)
    phased : ndarray of bool, shape (variants, samples), or None
        None if none is.
    word : str
        One that `is_word`.

    Returns
    -------
    ndarray of bool, shape (variants, samples)
    """
    if _key(word) in _WORDS:
        return _WORDS[_key(word)](Calls(alleles))
    wanted = [-1 if text == "." else int(text) for text in re.split(r"[/|]", word)]
    ploidy = alleles.shape[2]
    if len(wanted) > ploidy:
        return np.zeros(alleles.shape[:2], dtype=bool)
    equal: np.ndarray = (alleles == [*wanted, *[-2] * (ploidy - len(wanted))]).all(axis=2)
    if len(wanted) > 1:
        is_phased = np.zeros(equal.shape, dtype=bool) if phased is None else phased.astype(bool)
        equal &= is_phased == ("|" in word)
    return equal
