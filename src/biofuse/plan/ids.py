"""Variant IDs made from a template, in plink2's syntax."""

from collections.abc import Callable, Sequence

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.native import Texts
from biofuse.plan.texts import TextArray


def template_function(template: str) -> Callable[[str, int, str, str], str]:
    """A function of (chromosome, position, ref, alt) that fills in a template.

    `@` stands for the chromosome, `#` for the position, `$r` and `$a` for the REF and
    ALT alleles, `$1` and `$2` for both in alphabetical order.

    Raises
    ------
    BiofuseError
        If the template has not exactly one `@` and one `#`, or another use of `$`.
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

    def fill(chrom: str, position: int, ref: str, alt: str) -> str:
        alt = alt or "."
        values = {"@": chrom, "#": str(position), "$r": ref, "$a": alt}
        values["$1"], values["$2"] = sorted((ref, alt))
        return "".join(values.get(part, part) for part in parts)

    return fill


def fill_missing(
    ids: TextArray,
    fill: Callable[[str, int, str, str], str] | None,
    chroms: Texts,
    positions: Sequence[int],
    refs: Texts,
    alts: Texts,
) -> TextArray:
    """IDs with `.` and empty ones filled in, or made empty if there is no template."""
    missing = np.concatenate([ids.are("."), np.flatnonzero(ids.sizes == 0)])
    if fill is None:
        texts = [""] * len(missing)
    else:
        texts = [fill(chroms[i], positions[i], refs[i], alts[i]) for i in missing.tolist()]
    return ids.replaced(missing, texts)
