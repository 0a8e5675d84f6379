"""Regions and targets, held against bcftools on the VCF that a store was made from."""

import gzip
import shutil
import subprocess

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from support.oracles import run
from support.regions import (
    BASE,
    CONTIGS,
    STORES,
    assert_as_bcftools,
    kept,
    kept_by_bcftools,
    make_stores,
    opened,
)

from biofuse.errors import BiofuseError
from biofuse.plan.regions import select_regions
from biofuse.selection_files import read_selection


@pytest.fixture
def stores(made):
    return made("regions", make_stores)


positions = st.one_of(st.integers(BASE, BASE + 170), st.sampled_from([0, 1, 150_000_000]))
contigs = st.sampled_from([*CONTIGS, "chr1", "2"])


@st.composite
def region_texts(draw) -> str:
    contig, first = draw(contigs), draw(positions)
    forms = ["", f":{first}", f":{first}-", f":{first}-{first + draw(st.integers(0, 170))}"]
    return contig + draw(st.sampled_from(forms))


texts = st.lists(region_texts(), min_size=1, max_size=4).map(",".join)


@given(
    name=st.sampled_from(STORES),
    regions=st.none() | texts,
    targets=st.none() | texts,
    mark=st.sampled_from(["", "^"]),
)
def test_random_texts(name, regions, targets, mark, stores):
    options = {"regions": regions, "targets": None if targets is None else mark + targets}
    options = {option: text for option, text in options.items() if text is not None}
    assert_as_bcftools(stores, name, **options)


@st.composite
def region_files(draw) -> tuple[str, bytes]:
    """A file's suffix, and what is in it."""
    kind = draw(st.sampled_from(["tsv", "two", "more", "bed", "BED", "named", "vcf"]))
    lines = []
    for _ in range(draw(st.integers(1, 8))):
        contig, first, last = draw(contigs), draw(positions), draw(positions)
        columns = {
            "two": [contig, first],
            "named": [contig, first, "rs1"],
            "more": [contig, first, last, "+", "a name"],
            "vcf": [contig, max(first, 1), ".", "AC", "A", ".", ".", "END=90"],
        }.get(kind, [contig, first, last])
        lines.append("\t".join(map(str, columns)))
    if kind == "vcf":
        head = ["##fileformat=VCFv4.2", *(f"##contig=<ID={c}>" for c in [*CONTIGS, "chr1", "2"])]
        head.append('##INFO=<ID=END,Number=1,Type=Integer,Description="End">')
        lines = [*head, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines]
    elif kind not in ("two", "named") and draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), "# a comment")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(lines) + draw(st.sampled_from(["", end]))
    suffix = f".{kind}"
    data = text.encode()
    packed = draw(st.sampled_from(["", "gzip", "bgzip"]))
    if packed:
        suffix += ".gz"
        data = gzip.compress(data) if packed == "gzip" else bgzipped(data)
    return suffix, data


def bgzipped(data: bytes) -> bytes:
    return subprocess.run(["bgzip", "-c"], input=data, capture_output=True, check=True).stdout


@given(
    name=st.sampled_from(STORES),
    file=region_files(),
    option=st.sampled_from(["regions_file", "targets_file", "^targets_file"]),
    other=st.none() | texts,
)
def test_random_files(name, file, option, other, stores, tmp_path):
    suffix, data = file
    path = tmp_path / f"regions{suffix}"
    path.write_bytes(data)
    mark, option = ("^", option[1:]) if option.startswith("^") else ("", option)
    options = {option: f"{mark}{path}"}
    if other is not None:
        options["targets" if option == "regions_file" else "regions"] = other
    assert_as_bcftools(stores, name, **options)


# What bcftools 1.16 reads in a way of its own is below.
AS_BCFTOOLS = [
    {"regions": "1:0-100050"},
    {"regions": "chr2:1e5-0.10005M"},
    {"regions": "1:1.0002e5-100.09k"},
    {"regions": "X: 100020-100040"},
    {"regions": "X,1:100050-100060,X:1-100009,1:100055-100070,1"},
    {"regions": "1,"},
    {"targets": "^21"},
    {"targets": "^X:1-100050,1"},
    {"regions": "2,X:1-100050"},
    {"regions": "1:100010-100090", "targets": "^1:100030-100040"},
]


@pytest.mark.parametrize("options", AS_BCFTOOLS)
@pytest.mark.parametrize("name", ["whole", "neither"])
def test_texts(name, options, stores):
    assert 0 < len(assert_as_bcftools(stores, name, **options)) <= 120


AS_BCFTOOLS_FILES = {
    "inverted.tsv": "1\t100090\t100010\nX\t100005\t100030\n",
    "numbers.tsv": "1\t1e1\t100.05k\n",
    "negative.tsv": "1\t-50\t100030\n",
    "names.tsv": "1\t100002\tT\nX\t100001\t100100\nX\t100031\n",
    "empty.bed": "1\t100005\t100005\nX\t100004\t100020\n",
    "letters.Bed": "1\t100009\t100020\nX\t100004\t100020\tname\t0\t+\n",
}


@pytest.mark.parametrize("file", AS_BCFTOOLS_FILES)
@pytest.mark.parametrize("option", ["regions_file", "targets_file"])
def test_files(file, option, stores, tmp_path):
    path = tmp_path / file
    path.write_text(AS_BCFTOOLS_FILES[file])
    assert 0 < len(assert_as_bcftools(stores, "whole", **{option: str(path)})) < 120


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (["-p", "bed"], "1\t100009\t100020\nX\t100004\t100020\n"),
        (["-s1", "-b2", "-e3"], "1\t100009\t100020\nX\t100004\t100020\n"),
        (["-s2", "-b3", "-e1"], "100020\t1\t100009\n100020\tX\t100004\n"),
        (["-s1", "-b2", "-e2"], "1\t100002\t99\nX\t100001\t99\n"),
        (["-s1", "-b2", "-e3", "-C"], "1\t100009\t100020\nX\t100004\t100020\n"),
    ],
)
@pytest.mark.parametrize("suffix", [".tsv", ".bed"])
def test_a_tabix_index_tells_the_columns(columns, lines, suffix, stores, tmp_path):
    plain = tmp_path / f"regions{suffix}"
    plain.write_text(lines)
    run("bgzip", plain)
    path = f"{plain}.gz"
    run("tabix", *columns, path)
    for option in ("regions_file", "targets_file"):
        assert assert_as_bcftools(stores, "whole", **{option: path})


# Files that bcftools 1.16 refuses or reads in part: name, content, an equal file that it reads.
POSITIONS = "1\t100002\nX\t100001\n"
INTERVALS = "1\t100001\t100020\nX\t100001\t100020\n"
BEYOND_BCFTOOLS = {
    "header-of-two-columns": (f"#CHROM\tPOS\n{POSITIONS}", POSITIONS),
    "comment-first": ("# made by hand\n1\t100002\tA\nX\t100001\tC\n", POSITIONS),
    "empty-lines": (f"\n\r\n{INTERVALS}\n\n".replace("X", "\nX"), INTERVALS),
    "byte-order-mark": (f"\ufeff{INTERVALS}", INTERVALS),
    "spaces": (INTERVALS.replace("\t", "  "), INTERVALS),
}


@pytest.mark.parametrize("name", BEYOND_BCFTOOLS)
def test_files_that_bcftools_does_not_read_whole(name, stores, tmp_path):
    given, equal = (tmp_path / f for f in ("given.txt", "equal.txt"))
    given.write_bytes(BEYOND_BCFTOOLS[name][0].encode())
    equal.write_text(BEYOND_BCFTOOLS[name][1])
    for option in ("regions_file", "targets_file"):
        expected = kept_by_bcftools(stores["vcf"], **{option: str(equal)})
        assert expected
        assert kept(stores["whole"], **{option: str(given)}) == expected


def test_lines_of_browsers_in_bed(stores, tmp_path):
    (tmp_path / "given.bed").write_text("browser position 1:1-9\ntrack name=x\n1\t100001\t100020\n")
    (tmp_path / "equal.bed").write_text("1\t100001\t100020\n")
    expected = kept_by_bcftools(stores["vcf"], targets_file=str(tmp_path / "equal.bed"))
    assert kept(stores["whole"], targets_file=str(tmp_path / "given.bed")) == expected


# A selection that is refused, and what is said.
REFUSED = {
    "from-nowhere": ({"regions": "1:-100"}, ["'1:-100'", "1:1-100"]),
    "commas": ({"regions": "1:1,000-2,000"}, ["'000-2'", "without commas"]),
    "comma-in-one-number": ({"targets": "1:5,200"}, ["'200'", "without commas"]),
    "long": ({"regions": "1:" + "x" * 3000}, ["'1:xxx", "...' is not understood"]),
    "backwards": ({"regions": "1:9-5"}, ["'1:9-5'", "ends before it begins"]),
    "letters": ({"targets": "1:a-b"}, ["'1:a-b'"]),
    "no-number": ({"regions": "1:"}, ["'1:'"]),
    "three-numbers": ({"regions": "1:1-2-3"}, ["'1:1-2-3'"]),
    "caret-in-regions": ({"regions": "^1"}, ["-r", "'^1'"]),
    "caret-within": ({"targets": "^1,^X"}, ["-t", "'^X'", "first"]),
    "open-brace": ({"regions": "{1:5"}, ["'{1:5'"]),
    "empty": ({"regions": ""}, ["empty"]),
    "only-commas": ({"targets": "^,,"}, ["empty"]),
    "other-contigs": (
        {"regions": "chr1,2:5"},
        ["no contigs 'chr1', '2'", "it has 1, chr2, X: write 1 for chr1, chr2 for 2"],
    ),
    "both-regions": ({"regions": "1", "regions_file": "x"}, ["-r and -R"]),
    "both-targets": ({"targets": "1", "targets_file": "x"}, ["-t and -T"]),
    "input-twice": ({"regions_file": "-", "targets_file": "^-"}, ["-R -", "-T ^-", "one option"]),
    "caret-file": ({"regions_file": "^x"}, ["cannot read ^x"]),
    "no-name": ({"targets_file": "^"}, ["empty"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, stores):
    options, words = REFUSED[name]
    with pytest.raises(BiofuseError) as caught:
        kept(stores["whole"], **options)
    for word in words:
        assert word in str(caught.value)


REFUSED_FILES = {
    "no-columns.txt": (b"1\n", ["line 1 of", "'1'", "CHROM, POS"]),
    "no-end.txt": (b"1\t5\t6\n\n1\t7\n", ["line 3 of", "in the lines before"]),
    "end-in-one.txt": (b"1\t5\nX\t7\t9\n", ["line 2 of", "'X 7 9'", "have no END"]),
    "no-number.txt": (b"1\t5\nX\tfive\n", ["line 2 of", "'X five'"]),
    "two-columns.bed": (b"1\t5\n", ["line 1 of", "BED has"]),
    "empty.txt": (b"", ["has no regions"]),
    "comments.txt": (b"#a\n\n", ["has no regions"]),
    "wide.txt": ("1\t5\n".encode("utf-16"), ["no text in UTF-8"]),
    "sites.bcf": (b"BCF\x02\x02", ["is a BCF"]),
    "cut.gz": (gzip.compress(b"1\t5\n")[:-5], ["cannot read"]),
    "damaged.gz": (b"\x1f\x8bnothing of the kind", ["cannot read"]),
    "elsewhere.txt": (b"chr1\t5\n2\t7\n", ["no contigs 'chr1', '2'", "-R "]),
}


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_refused_files(name, stores, tmp_path):
    content, words = REFUSED_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BiofuseError) as caught:
        kept(stores["whole"], regions_file=str(tmp_path / name))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_what_is_said_of_contigs_that_are_not_there(stores, tmp_path):
    def said(**options) -> list[str]:
        return select_regions(*opened(stores["whole"]), read_selection(**options))[1]

    has = "it has 1, chr2, X"
    assert said(regions="1,20") == [f"the store has no contig '20', which -r names; {has}"]
    assert said(targets="^20") == [f"the store has no contig '20', which -t names; {has}"]
    assert said(targets="^1") == []
    file = tmp_path / "genome.txt"
    file.write_text("1\t5\n20\t5\n")
    assert said(regions_file=str(file)) == []
    file.write_text("20\t5\n")
    assert said(targets_file=f"^{file}") == [
        f"the store has no contig '20', which -T {file} names; {has}"
    ]


COLONS = ("HLA", "HLA:1", "6:5-9", "6", "^7", "w")


@pytest.fixture
def store_with_colons(stores, tmp_path):
    """The VCF's store, with contigs of other names and as many positions on each as there are."""
    path = shutil.copytree(stores["neither"], tmp_path / "colons.vcz")
    root = zarr.open_group(path, mode="r+")
    del root["contig_id"]
    names = np.array(COLONS, dtype=object)
    root.create_array("contig_id", shape=names.shape, dtype=str)[...] = names
    del root["variant_END"]
    root["variant_allele"][:, 0] = "A"
    root["variant_contig"][:] = np.arange(120) % len(COLONS)
    root["variant_position"][:] = np.arange(120) // len(COLONS) + 1
    return path


@pytest.mark.parametrize(
    ("text", "contig", "first", "last"),
    [
        ("HLA:1", "HLA:1", 1, 20),
        ("{HLA}:1", "HLA", 1, 1),
        ("{HLA:1}", "HLA:1", 1, 20),
        ("HLA:1:7", "HLA:1", 7, 7),
        ("{HLA:1}:7-9", "HLA:1", 7, 9),
        ("{6:5-9}:5-9", "6:5-9", 5, 9),
        ("6:5-8", "6", 5, 8),
        ("6:5-9:2-", "6:5-9", 2, 20),
        ("^7:3", "^7", 3, 3),
        ("{w}", "w", 1, 20),
    ],
)
def test_contigs_with_colons(text, contig, first, last, store_with_colons):
    if text == "HLA:1":
        # It may be either.
        with pytest.raises(BiofuseError, match="in braces"):
            kept(store_with_colons, regions=text)
        return
    expected = [COLONS.index(contig) + len(COLONS) * (p - 1) for p in range(first, last + 1)]
    assert kept(store_with_colons, regions=text) == expected
    if not text.startswith("^"):
        assert kept(store_with_colons, targets=text) == expected


def test_contigs_that_come_back(store_with_colons):
    """Positions in no order: every one is looked at."""
    assert kept(store_with_colons, targets="w:20,{HLA}:1-2") == [0, 6, 119]


def test_contigs_of_one_name(stores, tmp_path):
    path = shutil.copytree(stores["neither"], tmp_path / "twice.vcz")
    root = zarr.open_group(path, mode="r+")
    root["contig_id"][2] = "1"
    with pytest.raises(BiofuseError, match="contig_id names a contig more than once"):
        kept(path, regions="1")
    assert len(kept(path)) == 120
