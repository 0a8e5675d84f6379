"""Missing variant IDs, filled in from a template. Against plink2: test_selection.py."""

import pytest

from biofuse.errors import BiofuseError
from biofuse.plan.ids import fill_missing, template_function

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


def test_only_missing_ids_are_filled_in():
    fill = template_function("@:#")
    ids = fill_missing(["rs1", ".", "", "x.", "1:2"], fill, "12345", [7] * 5, "A" * 5, "C" * 5)
    assert ids == ["rs1", "2:7", "3:7", "x.", "1:2"]


def test_without_a_template_they_stay_missing():
    assert fill_missing(["rs1", ".", ""], None, "123", [7] * 3, "AAA", "CCC") == ["rs1", "", ""]
