"""Missing variant IDs, filled in from a template. Against plink2: test_selection.py."""

import numpy as np
import pytest

from biofuse.errors import BiofuseError
from biofuse.native import Texts
from biofuse.plan.ids import fill_missing, template_function
from biofuse.plan.texts import TextArray

TEMPLATES = {
    "@:#": "X:17",
    "#_@": "17_X",
    "@:#:$r:$a": "X:17:T:GA",
    "@:#:$a:$r": "X:17:GA:T",
    "@:#[b38]$1,$2": "X:17[b38]GA,T",
    "$r$r@$a#": "TTXGA17",
    "chr@-#": "chrX-17",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template(template):
    assert template_function(template)("X", 17, "T", "GA") == TEMPLATES[template]


@pytest.mark.parametrize(
    "template", ["", "@", "#", "rs", "@@:#", "@:##", "$@:#", "@:#:$x", "@:#:$", "@:#:$R", "@: #"]
)
def test_no_template(template):
    with pytest.raises(BiofuseError, match="--variant-id-template"):
        template_function(template)


def test_no_alt_allele():
    assert template_function("@:#:$r:$a")("1", 5, "A", "") == "1:5:A:."


def test_values_are_not_templates_again():
    """An allele or a contig with # or $ in it is left as it is."""
    assert template_function("@:#:$r:$a")("HLA#1", 5, "<$a>", "<@>") == "HLA#1:5:<$a>:<@>"


def filled(ids: list[str], template: str | None) -> list[str]:
    fill = template_function(template) if template is not None else None
    chroms, refs, alts = (Texts.of(list(t[: len(ids)])) for t in ("12345", "ATATA", "CCCCC"))
    found = fill_missing(TextArray.of(ids), fill, chroms, [7] * len(ids), refs, alts)
    return list(found.column())


def test_only_missing_ids_are_filled_in():
    ids = filled(["rs1", ".", "", "x.", "1:2"], "@:#:$r")
    assert ids == ["rs1", "2:7:T", "3:7:A", "x.", "1:2"]


def test_without_a_template_they_stay_missing():
    assert filled(["rs1", ".", ""], None) == ["rs1", "", ""]


def test_ids_that_share_their_bytes():
    """None are copied but those that are filled in."""
    ids = TextArray.of(["rsé", ".", "."])[np.array([2, 0, 0])]
    columns = [Texts.of(["a", "b", "c"]) for _ in range(3)]
    fill = template_function("@#")
    found = fill_missing(ids, fill, columns[0], [1, 2, 3], columns[1], columns[2])
    assert list(found.column()) == ["a1", "rsé", "rsé"]
