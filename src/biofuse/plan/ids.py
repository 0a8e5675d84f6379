"""Variant IDs made from a template, in plink2's syntax."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.native import Texts, variant_ids
from biofuse.plan.texts import Array, TextArray

# Bytes of the longest ID that plink and plink2 take.
MAX_ID = 16_000
# Of a longer one so many bytes stay, before a checksum of all.
_KEPT = 80
_CHECKSUM = 8


class Filled(NamedTuple):
    """IDs of records.

    Attributes
    ----------
    ids : TextArray
        Empty where missing.
    made : ndarray of bool
        Which of them are made from a template.
    shortened : int
        How many would be longer than plink2 takes.
    """

    ids: TextArray
    made: Array
    shortened: int = 0


def parse_template(template: str, splits: bool = False) -> list[str]:
    """The parts of a template, as `native.variant_ids` takes them.

    `@` stands for the chromosome, `#` for the position, `$r` and `$a` for the REF and
    ALT alleles, `$1` and `$2` for both in alphabetical order.

    Parameters
    ----------
    template : str
    splits : bool
        Whether records may differ in nothing but their ALT.

    Raises
    ------
    BiofuseError
        If the template has not exactly one `@` and one `#`, or another use of `$`, or does not
        tell such records apart.
    """
    parts: list[str] = []
    i = 0
    while i < len(template):
        width = 2 if template[i] == "$" else 1
        parts.append(template[i : i + width])
        i += width
    if parts.count("@") != 1 or parts.count("#") != 1:
        raise BiofuseError(
            f"--variant-id-template {template!r} needs exactly one @ (chromosome) and one # "
            "(position); for example '@:#:$r:$a'"
        )
    for part in parts:
        if part[0] == "$" and part not in ("$r", "$a", "$1", "$2"):
            raise BiofuseError(
                f"--variant-id-template {template!r}: {part} is none of $r (REF), $a (ALT), "
                "$1 and $2 (both, in alphabetical order)"
            )
        if part.isspace():
            raise BiofuseError(f"--variant-id-template {template!r} contains white space")
    if splits and "$a" not in parts and not {"$1", "$2"} <= set(parts):
        raise BiofuseError(
            f"--variant-id-template {template!r} gives all ALTs of a site that is split the same "
            "ID: it needs $a, as in '@:#:$r:$a'"
        )
    return parts


def fill_missing(
    ids: TextArray,
    template: Sequence[str] | None,
    chroms: Texts,
    positions: memoryview,
    refs: Texts,
    alts: Texts,
) -> Filled:
    """IDs with `.` and empty ones filled in, or made empty if there is no template.

    Those that would be longer than `MAX_ID` are their first bytes, `~` and a checksum: so they
    tell sites apart, and are the same in every view.
    """
    dots = ids.are(".")
    made = np.zeros(len(ids), bool)
    if template is None:
        return Filled(ids.replaced(dots, TextArray.of([""] * len(dots))), made)
    missing = np.concatenate([dots, np.flatnonzero(ids.sizes == 0)]).astype(np.uint64)
    made[missing] = True
    found = TextArray.from_column(
        variant_ids(template, chroms, positions, refs, alts.or_else("."), missing)
    )
    long = np.flatnonzero(found.sizes > MAX_ID)
    if len(long):
        found = found.replaced(long, TextArray.of(list(map(_shortened, found[long].column()))))
    return Filled(ids.replaced(missing, found), made, len(long))


def _shortened(text: str) -> str:
    data = text.encode()
    checksum = blake2b(data, digest_size=_CHECKSUM).hexdigest()
    return f"{data[:_KEPT].decode(errors='ignore')}~{checksum}"
