"""Missing variant IDs, filled in from a template. Against plink2: test_selection.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.native import Texts
from biofuse.plan.ids import fill_missing, parse_template
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


def filled(ids: TextArray, template: str | None, rows: list[tuple]) -> list[str]:
    """IDs of variants: chromosome, position, ref and alt of each."""
    chroms, positions, refs, alts = zip(*rows, strict=True)
    parts = parse_template(template) if template is not None else None
    numbers = np.array(positions, dtype=np.int64).data
    columns = [Texts.of(texts) for texts in (chroms, refs, alts)]
    return list(fill_missing(ids, parts, columns[0], numbers, *columns[1:]).column())


def fill(template: str, *row) -> str:
    return filled(TextArray.of(["."]), template, [row])[0]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template(template):
    assert fill(template, "X", 17, "T", "GA") == TEMPLATES[template]


@pytest.mark.parametrize(
    "template", ["", "@", "#", "rs", "@@:#", "@:##", "$@:#", "@:#:$x", "@:#:$", "@:#:$R", "@: #"]
)
def test_no_template(template):
    with pytest.raises(BiofuseError, match="--variant-id-template"):
        parse_template(template)


def test_no_alt_allele():
    assert fill("@:#:$r:$a", "1", 5, "A", "") == "1:5:A:."


def test_values_are_not_templates_again():
    """An allele or a contig with # or $ in it is left as it is."""
    assert fill("@:#:$r:$a", "HLA#1", 5, "<$a>", "<@>") == "HLA#1:5:<$a>:<@>"


ROWS = [(chrom, 7, "A", "C") for chrom in "12345"]


def test_only_missing_ids_are_filled_in():
    ids = TextArray.of(["rs1", ".", "", "x.", "1:2"])
    assert filled(ids, "@:#", ROWS) == ["rs1", "2:7", "3:7", "x.", "1:2"]


def test_without_a_template_they_stay_missing():
    assert filled(TextArray.of(["rs1", ".", ""]), None, ROWS[:3]) == ["rs1", "", ""]


def test_ids_that_share_their_bytes():
    """One that is filled in is not so where else its bytes are shown."""
    ids = TextArray.of(["rsé", ".", "é"])[np.array([1, 0, 0, 2, 1])]
    assert filled(ids, "@#", ROWS) == ["17", "rsé", "rsé", "é", "57"]


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
ALLELES = st.one_of(st.sampled_from(["A", "C", "AC", "é", "\uffff", "\U0001f9ec"]), TEXT)
IDS = st.one_of(st.sampled_from([".", "", "rs1", "..", "é"]), TEXT)
PARTS = st.lists(st.sampled_from(["$r", "$a", "$1", "$2", ":", "_é"]), max_size=6)


@given(
    st.lists(st.tuples(IDS, TEXT, st.integers(0, 2**63 - 1), ALLELES, ALLELES), min_size=1), PARTS
)
def test_any_template(variants, parts):
    """As strings of Python are put together."""
    parts = ["@", *parts, "#"]
    wanted = []
    for name, chrom, position, ref, alt in variants:
        alt = alt or "."
        first, second = sorted((ref, alt))
        values = {"@": chrom, "#": str(position), "$r": ref, "$a": alt, "$1": first, "$2": second}
        made = "".join(values.get(part, part) for part in parts)
        wanted.append(made if name in ("", ".") else name)
    ids = TextArray.of([variant[0] for variant in variants])
    assert filled(ids, "".join(parts), [variant[1:] for variant in variants]) == wanted


@pytest.mark.parametrize(("row", "position"), [(1, 5), (2**64 - 1, 5), (0, -1)])
def test_variants_that_no_id_is_made_of(row, position):
    text = Texts.of(["x"])
    rows, numbers = np.array([row], dtype=np.uint64), np.array([position])
    with pytest.raises(native.NativeError, match="no ID"):
        native.variant_ids(["@"], text, numbers, text, text, rows)
