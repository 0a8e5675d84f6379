"""Regions and targets, held against bcftools on the VCF that a store was made from."""

import gzip
import mmap
import random
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from support.oracles import run
from support.stores import convert
from support.vcf import Site, Vcf

from biofuse.errors import BiofuseError
from biofuse.plan.regions import select_regions
from biofuse.selection_files import read_selection
from biofuse.stores import Location, open_store
from biofuse.stores.location import zarr_group

CONTIGS = ("1", "chr2", "X")
# Where positions begin: smaller ones are stored, and indexed, as smaller integers.
BASE = 100_000


def sites(base: int) -> list[Site]:
    """On three contigs, with deletions and INFO/END that reach over what follows."""
    rng = random.Random(4)
    found = []
    for contig in CONTIGS:
        positions = sorted(base + i for i in rng.choices(range(1, 120), k=40))
        for pos in positions:
            ref = "A" + "C" * rng.choice([0, 0, 0, 1, 5, 30])
            info = f"END={pos + rng.choice([3, 50])}" if rng.random() < 0.1 else "."
            found.append(
                Site(contig, pos, ["0/1"], ref=ref, alt="A" if len(ref) > 1 else "G", info=info)
            )
    return found


def write_vcf(path: Path, base: int) -> Path:
    named = [Site(**{**vars(site), "id": f"v{i}"}) for i, site in enumerate(sites(base))]
    text = Vcf(["S1"], named).write(path).read_text()
    end = '##INFO=<ID=END,Number=1,Type=Integer,Description="End">\n'
    path.write_text(text.replace("##FORMAT", end + "##FORMAT", 1))
    return path


def make_stores(directory: Path) -> dict[str, Path]:
    """One VCF's store, and copies that lack what other writers leave out."""
    path = write_vcf(directory / "sites.vcf", BASE)
    paths = {"vcf": path.with_suffix(".vcf.gz")}
    paths["whole"] = convert(path, directory / "whole.vcz", variants_chunk_size=7)
    paths["v3"] = convert(path, directory / "v3.vcz", variants_chunk_size=16, zarr_format=3)
    for name, lost in {
        "no-index": ["region_index"],
        "no-length": ["variant_length"],
        "neither": ["region_index", "variant_length"],
    }.items():
        paths[name] = shutil.copytree(paths["whole"], directory / f"{name}.vcz")
        for field in lost:
            shutil.rmtree(paths[name] / field)
        (paths[name] / ".zmetadata").unlink(missing_ok=True)
    return paths


STORES = ("whole", "v3", "no-index", "no-length", "neither")


@pytest.fixture
def stores(made):
    return made("regions", make_stores)


@cache
def opened(path: Path):
    location = Location(str(path))
    return zarr_group(location), open_store(location)


def kept(path: Path, **options) -> list[int]:
    """Indices of the variants that a selection keeps."""
    group, store = opened(path)
    found, _ = select_regions(group, store, read_selection(**options))
    if found is None:
        return list(range(group["variant_position"].shape[0]))
    assert found.dtype == np.uint32
    return found.tolist()


LETTERS = {"regions": "-r", "regions_file": "-R", "targets": "-t", "targets_file": "-T"}


def kept_by_bcftools(vcf: Path, **options) -> list[int]:
    """The same of bcftools, in the order of the file."""
    words = [word for name, value in options.items() for word in (LETTERS[name], value)]
    lines = run("bcftools", "view", "-H", *words, vcf).splitlines()
    indices = [int(line.split("\t")[2][1:]) for line in lines]
    assert len(set(indices)) == len(indices)
    return sorted(indices)


def assert_as_bcftools(stores: dict[str, Path], name: str, **options) -> list[int]:
    expected = kept_by_bcftools(stores["vcf"], **options)
    try:
        assert kept(stores[name], **options) == expected
    except BiofuseError as error:
        # What is likely to be mistyped is told.
        assert expected == []
        assert "no contig" in str(error)
    return expected


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
    "backwards": ({"regions": "1:9-5"}, ["'1:9-5'", "ends before it begins"]),
    "letters": ({"targets": "1:a-b"}, ["'1:a-b'"]),
    "no-number": ({"regions": "1:"}, ["'1:'"]),
    "three-numbers": ({"regions": "1:1-2-3"}, ["'1:1-2-3'"]),
    "caret-in-regions": ({"regions": "^1"}, ["-r", "'^1'"]),
    "caret-within": ({"targets": "^1,^X"}, ["-t", "'^X'", "first"]),
    "open-brace": ({"regions": "{1:5"}, ["'{1:5'"]),
    "empty": ({"regions": ""}, ["empty"]),
    "only-commas": ({"targets": "^,,"}, ["empty"]),
    "other-contigs": ({"regions": "chr1,2:5"}, ["no contigs 'chr1', '2'", "it has 1, chr2, X"]),
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


class Recorded:
    """A store that remembers which keys are read of it."""

    def __init__(self, store):
        self._store = store
        self.keys: set[str] = set()

    def get_many(self, ranges):
        self.keys.update(wanted.key for wanted in ranges)
        return self._store.get_many(ranges)


def test_only_chunks_that_the_index_points_to_are_read(stores):
    group, store = opened(stores["whole"])
    recorded = Recorded(store)
    selection = read_selection(**{"regions": "chr2:100040-100050", "targets": "chr2"})
    found, _ = select_regions(group, recorded, selection)
    assert found.tolist() == kept_by_bcftools(stores["vcf"], regions="chr2:100040-100050")
    index = group["region_index"][:]
    on_contig = index[index[:, 1] == CONTIGS.index("chr2")]
    wanted = on_contig[(on_contig[:, 2] <= 100050) & (on_contig[:, 4] >= 100040)][:, 0]
    read = {int(key.split("/")[1]) for key in recorded.keys if key.startswith("variant_position")}
    assert read == set(wanted.tolist())
    assert 0 < len(read) < 6


def test_what_is_kept_is_in_a_file(stores):
    """Tens of millions of indices are no memory that stays."""
    found, _ = select_regions(*opened(stores["whole"]), read_selection(**{"regions": "1,X"}))
    assert isinstance(found.base, mmap.mmap)


def test_nothing_is_read_where_the_index_has_no_such_position(stores):
    group, store = opened(stores["whole"])
    recorded = Recorded(store)
    found, _ = select_regions(group, recorded, read_selection(**{"regions": "chr2:500000-"}))
    assert len(found) == 0
    assert recorded.keys == set()


@pytest.mark.parametrize("change", ["positions", "contigs", "rows", "order", "columns"])
def test_an_index_that_does_not_fit_is_not_used(change, stores, tmp_path):
    path = shutil.copytree(stores["whole"], tmp_path / "stale.vcz")
    root = zarr.open_group(path, mode="r+")
    index = root["region_index"][:]
    if change == "positions":
        root["variant_position"][35:50] = np.arange(200500, 200515)
    elif change == "contigs":
        root["variant_contig"][40:60] = 0
        root["variant_position"][:] = np.arange(120) + BASE
    elif change == "rows":
        index[3, 5] += 1
    elif change == "order":
        index[:, 2], index[:, 3] = index[:, 3].copy(), index[:, 2].copy()
        index[2, 2:4] = 100100, 100001
    else:
        index = index[:, :5]
    del root["region_index"]
    root.create_array("region_index", data=index)
    without = shutil.copytree(path, tmp_path / "without.vcz")
    shutil.rmtree(without / "region_index")
    for store in (path, without):
        (store / ".zmetadata").unlink(missing_ok=True)
    for regions in ("1:100020-100060", "chr2:100030-100060"):
        assert kept(path, regions=regions) == kept(without, regions=regions) != []


def test_the_user_is_told_of_an_index_that_differs(stores, tmp_path):
    path = shutil.copytree(stores["whole"], tmp_path / "stale.vcz")
    root = zarr.open_group(path, mode="r+")
    root["variant_position"][:] = root["variant_position"][:] + 1
    _, said = select_regions(*opened(path), read_selection(**{"regions": "1:100020-100060"}))
    assert said == ["region_index is not used: it differs from variant_contig and variant_position"]


def test_an_index_of_small_integers(made):
    """Where positions are stored as int8 or int16, bio2zarr's index has ends that overflowed."""

    def make(directory: Path) -> tuple[Path, Path]:
        path = write_vcf(directory / "small.vcf", 0)
        return path.with_suffix(".vcf.gz"), convert(path, directory / "small.vcz")

    vcf, store = made("small-positions", make)
    index = zarr.open_group(store, mode="r")["region_index"]
    assert index.dtype == np.int8
    for regions in ("1:113", "X:118-130", "chr2:1-5"):
        expected = kept_by_bcftools(vcf, regions=regions)
        assert kept(store, regions=regions) == expected != []


def test_contigs_of_one_name(stores, tmp_path):
    path = shutil.copytree(stores["neither"], tmp_path / "twice.vcz")
    root = zarr.open_group(path, mode="r+")
    root["contig_id"][2] = "1"
    with pytest.raises(BiofuseError, match="contig_id names a contig more than once"):
        kept(path, regions="1")
    assert len(kept(path)) == 120
