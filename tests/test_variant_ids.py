"""Missing variant IDs, filled in from a template. Against plink2: test_selection.py."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.native import Texts
from biofuse.plan.ids import MAX_ID, fill_missing, parse_template
from biofuse.plan.shared_ids import SharedIds
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
    return list(fill_missing(ids, parts, columns[0], numbers, *columns[1:]).ids.column())


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


def test_ids_that_are_too_long():
    """They are told apart by their last alleles still, and stored ones stay."""
    start = len("1:5:A:")
    rows = [("1", 5, "A", "C" * (MAX_ID - start + more)) for more in (0, 1, 1)]
    rows[2] = (*rows[2][:3], rows[2][3][:-1] + "G")
    ids = filled(TextArray.of(["", "", "."]), "@:#:$r:$a", rows)
    assert ids[0] == f"1:5:A:{rows[0][3]}" and len(ids[0]) == MAX_ID
    assert len(set(ids)) == 3
    assert all(name.startswith("1:5:A:CCCC") and name[-17] == "~" for name in ids[1:])
    assert all(len(name) < 100 for name in ids[1:])
    assert ids == filled(TextArray.of(["", "", "."]), "@:#:$r:$a", rows)
    long = "x" * (MAX_ID + 1)
    assert filled(TextArray.of([long]), "@:#", ROWS[:1]) == [long]
    # Characters are not cut through.
    (cut,) = filled(TextArray.of([""]), "@#$a", [("é" * 50, 1, "A", "C" * MAX_ID)])
    assert cut.startswith("é" * 40 + "~")


NAMES = st.sampled_from(["", "1:5:A:C", "1:5:A:G", "x" * 30 + "a", "y" + "x" * 29 + "a"])
RECORDS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 3), NAMES, st.booleans()), max_size=30
)


_COLUMNS = [(0, np.int32), (1, np.int64), (3, bool)]


@given(RECORDS.map(sorted), st.lists(st.integers(0, 30), max_size=4).map(sorted))
def test_shared_ids_are_counted_in_any_batches(records, cuts):
    """Those of a position that are the same, of which one is made."""
    shared = SharedIds()
    for start, stop in zip([0, *cuts], [*cuts, 30], strict=True):
        part = records[start:stop]
        columns = [np.array([record[i] for record in part], dtype) for i, dtype in _COLUMNS]
        names = TextArray.of([record[2] for record in part])
        shared.add(columns[0], columns[1], names, columns[2])
    counts = Counter(record[:3] for record in records)
    made = {record[:3] for record in records if record[3]}
    assert shared.count() == sum(n for key, n in counts.items() if n > 1 and key in made)
