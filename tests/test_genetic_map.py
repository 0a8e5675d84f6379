"""`--genetic-map`: centimorgans in `.bim` and `.pvar`, as PLINK 1.9 and plink2 have them."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles import plink2, plink19
from support.stores import make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files, parse, plan_view

from biofuse.errors import BiofuseError
from biofuse.table_files import read_genetic_map

CHROMS = ("chr1", "chr2", "chrX", "chrM", "HLA-A*01:01")
POSITIONS = (1, 500, 999, 1000, 1001, 1500, 1999, 2000, 2333, 2666, 3000, 3001, 500_000, 2**31 - 2)
FORMATS = ("--format", "plink", "--format", "plink2")
HEADER = "position COMBINED_rate(cM/Mb) Genetic_Map(cM)\n"
# Position, rate and centimorgans.
POINTS = {
    "1": [
        (1000, "0.5", "0.1234567890123"),
        (2000, "0.3", "0.5"),
        (2333, "1", "0.5"),
        (3000, "0", "1.98765432109"),
    ],
    "2": [(1500, "2345.678", "0"), (2500, "NA", "1e-9"), (2700, "3", "123456.789")],
    "X": [(1200, "0", "3.5")],
}


def plink_map(points, header: str = HEADER) -> str:
    return header + "".join(f"{p} {rate} {cm}\n" for p, rate, cm in points)


@pytest.fixture(scope="module")
def source(made):
    sites = [
        Site(chrom, position, ["0/1", "1/1"], id=f"{chrom}_{position}", info="DP=3", qual="5")
        for chrom in CHROMS
        for position in POSITIONS
    ]
    vcf = Vcf(sample_names(2), sites)
    return made("genetic-map", lambda folder: vcf_store(vcf, folder))


@pytest.fixture(scope="module")
def store(source):
    return source[1]


@pytest.fixture
def maps(tmp_path) -> Path:
    """A file a chromosome; the name in which one stands for it."""
    for name, points in POINTS.items():
        (tmp_path / f"map_{name}.txt").write_text(plink_map(points))
    return tmp_path / "map_@.txt"


def cm_of(stem: Path) -> dict[str, str]:
    """Centimorgans by the IDs of a `.bim`."""
    rows = [line.split("\t") for line in stem.with_suffix(".bim").read_text().splitlines()]
    return {row[1]: row[2] for row in rows}


def as_plink19(store: Path, folder: Path, *options, map_options) -> Path:
    """A `.bim` into which PLINK 1.9 puts centimorgans. Returns the stem."""
    stem = make_files(store, folder, "--format", "plink", *options)
    plink19(
        *("--bfile", stem, "--allow-extra-chr", "--keep-allele-order"),
        *("--cm-map", *map_options, "--make-bed", "--out", folder / "theirs"),
    )
    return folder / "theirs"


def test_as_plink19_has_them(store, maps, tmp_path):
    """It does autosomes of such files only, and one chromosome if it is named."""
    ours = make_files(store, tmp_path / "made", *FORMATS, "--genetic-map", maps)
    found = cm_of(ours)
    theirs = cm_of(as_plink19(store, tmp_path / "all", map_options=[maps]))
    x = [maps.with_name("map_X.txt"), "23"]
    theirs_x = cm_of(as_plink19(store, tmp_path / "x", map_options=x))
    expected = {name: (theirs_x if name.startswith("chrX") else theirs)[name] for name in theirs}
    assert found == expected
    assert len({found[f"chr1_{position}"] for position in POSITIONS}) > 8
    assert found["chr2_1"].startswith("-3.5")
    assert set(found[name] for name in found if name[:4] in ("chrM", "HLA-")) == {"0"}


def test_the_other_columns_stay(store, maps, tmp_path):
    plain = make_files(store, tmp_path / "plain", *FORMATS)
    ours = make_files(store, tmp_path / "made", *FORMATS, "--genetic-map", maps)
    for suffix in (".bed", ".fam", ".pgen", ".psam"):
        assert ours.with_suffix(suffix).read_bytes() == plain.with_suffix(suffix).read_bytes()
    before = [line.split("\t") for line in plain.with_suffix(".bim").read_text().splitlines()]
    after = [line.split("\t") for line in ours.with_suffix(".bim").read_text().splitlines()]
    assert [[*row[:2], "0", *row[3:]] for row in after] == before
    before = plain.with_suffix(".pvar").read_text().splitlines()
    after = ours.with_suffix(".pvar").read_text().splitlines()
    assert [line if line[:2] == "##" else line.rpartition("\t")[0] for line in after] == before


@pytest.mark.parametrize("info", [(), ("--no-pvar-info",)], ids=["info", "no-info"])
def test_the_pvar_as_plink2_writes_it(info, source, maps, tmp_path):
    """The column of it that plink2 makes of PLINK 1.9's `.bim`, after INFO."""
    options = ("-r", "chr1,chr2", "--genetic-map", maps)
    ours = make_files(source[1], tmp_path / "made", "--format", "plink2", *options, *info)
    theirs = as_plink19(source[1], tmp_path / "all", "-r", "chr1,chr2", map_options=[maps])
    plink2("--bfile", theirs, "--make-just-pvar", "--out", tmp_path / "theirs")
    lines = ours.with_suffix(".pvar").read_text().splitlines()
    mine = [line.split("\t") for line in lines if not line.startswith("##")]
    found = [line.split("\t") for line in (tmp_path / "theirs.pvar").read_text().splitlines()]
    assert mine[0] == [*found[0][:5], *([] if info else ["QUAL", "INFO"]), "CM"]
    assert [[*row[:5], row[-1]] for row in mine] == found
    # And reads it.
    plink2("--pfile", ours, "--make-just-bim", "--out", tmp_path / "read")
    assert cm_of(tmp_path / "read") == cm_of(theirs)


def test_no_column_where_nothing_is_known(store, tmp_path):
    """As plink2, which leaves out a column of zeros."""
    (tmp_path / "m").write_text(plink_map([(1000, "0", "0"), (2000, "0", "0")]))
    options = ("--genetic-map", tmp_path / "m", "-r", "chr1")
    ours = make_files(store, tmp_path / "made", *FORMATS, *options)
    assert "CM" not in ours.with_suffix(".pvar").read_text()
    assert set(cm_of(ours).values()) == {"0"}


def test_a_column_that_begins_late(tmp_path):
    """Lines that were written before the first value have it too: of many variants."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(30, 3), chunks=(4, 3))
    (tmp_path / "m").write_text("chr pos rate cM\n2 1 0.5 7\n")
    ours = make_files(store, tmp_path / "made", *FORMATS, "--genetic-map", tmp_path / "m")
    lines = ours.with_suffix(".pvar").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("##")]
    assert rows[0][-1] == "CM"
    assert {(row[0], row[-1]) for row in rows[1:]} == {("1", "0"), ("2", "7")}
    assert {len(row) for row in rows} == {len(rows[0])}


def eagle(points, name: str = "{}") -> str:
    header = "chr position COMBINED_rate(cM/Mb) Genetic_Map(cM)\n"
    return header + "".join(
        f"{name.format(chrom)} {p} {rate} {cm}\n"
        for chrom, rows in points.items()
        for p, rate, cm in rows
    )


HAPMAP = "Chromosome\tPosition(bp)\tRate(cM/Mb)\tMap(cM)\n"
FORMS = {
    "eagle": eagle(POINTS),
    "eagle-numbers": eagle(POINTS).replace("\nX ", "\n23 "),
    "eagle-chr": eagle(POINTS, "chr{}"),
    "hapmap": HAPMAP + eagle(POINTS, "chr{}").partition("\n")[2].replace(" ", "\t"),
    "no-header": eagle(POINTS).partition("\n")[2],
    "other-order": eagle(dict(reversed(POINTS.items()))),
    "others-too": eagle({"7": POINTS["1"], "chrUn_1": POINTS["2"], **POINTS, "22": POINTS["1"]}),
    "crlf": eagle(POINTS).replace("\n", "\r\n"),
    "empty-lines": "\n" + eagle(POINTS).replace("\n", "\n\n") + "\n",
    "spaces": eagle(POINTS).replace(" ", "   ").replace("\n", "\n  "),
    "no-last-line-feed": eagle(POINTS).rstrip("\n"),
    "gzip": gzip.compress(eagle(POINTS).encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_chromosomes_in_a_file(form, store, maps, tmp_path):
    data = FORMS[form]
    (tmp_path / "all.txt").write_bytes(data if isinstance(data, bytes) else data.encode())
    one = make_files(store, tmp_path / "one", *FORMATS, "--genetic-map", tmp_path / "all.txt")
    each = make_files(store, tmp_path / "each", *FORMATS, "--genetic-map", maps)
    for suffix in (".bim", ".pvar"):
        assert one.with_suffix(suffix).read_text() == each.with_suffix(suffix).read_text()


SHAPEIT = {
    "header": "pos\tchr\tcM\n{}",
    "names": "pos chr cM\n{}".replace("1\t", "chr1\t"),
    "no-header": "{}",
}


@pytest.mark.parametrize("form", SHAPEIT)
def test_shapeit_has_no_rates(form, store, tmp_path):
    """Before the first point and behind the last one all is as there; between, as PLINK 1.9."""
    name = "1" if form == "header" else "chr1"
    lines = "".join(f"{p}\t{name}\t{cm}\n" for p, _, cm in POINTS["1"])
    (tmp_path / "m").write_text(SHAPEIT[form].format(lines))
    options = ("-r", "chr1")
    ours = make_files(store, tmp_path / "made", *FORMATS, *options, "--genetic-map", tmp_path / "m")
    # A rate of 0 says so.
    flat = [(p, "0", cm) for p, _, cm in POINTS["1"]]
    (tmp_path / "flat").write_text(plink_map(flat))
    theirs = as_plink19(store, tmp_path / "x", *options, map_options=[tmp_path / "flat", "1"])
    assert cm_of(ours) == cm_of(theirs)
    assert cm_of(ours)["chr1_1"] == "0.12345679"


@pytest.mark.parametrize("names", ["plink2", "store"])
def test_names_of_contigs_do_not_matter(names, store, maps, tmp_path):
    options = ("--genetic-map", maps, "--contig-names", names)
    ours = make_files(store, tmp_path / "made", "--format", "plink", *options)
    assert cm_of(ours)["chr1_2000"] == "0.5"
    assert cm_of(ours)["chrX_1"] == "3.5"


def test_a_folder_with_an_at_in_its_name(store, maps, tmp_path):
    """What stands for the chromosome is in the file's name."""
    expected = cm_of(make_files(store, tmp_path / "before", *FORMATS, "--genetic-map", maps))
    folder = tmp_path / "user@host"
    folder.mkdir()
    for path in tmp_path.glob("map_*.txt"):
        path.rename(folder / path.name)
    pattern = folder / maps.name
    assert len(read_genetic_map(str(pattern))) == len(POINTS)
    ours = make_files(store, tmp_path / "made", *FORMATS, "--genetic-map", pattern)
    assert cm_of(ours) == expected
    with pytest.raises(BiofuseError, match=r"cannot read .*host/none\.txt"):
        read_genetic_map(str(folder / "none.txt"))


@pytest.mark.parametrize("files", [("X", "23"), ("chrX",), ("23",)])
def test_names_of_files(files, store, tmp_path):
    """X before 23; any before or after the chromosome; a name with @ in it is itself first."""
    for i, name in enumerate(files):
        (tmp_path / f"{name}.b37.gmap.gz").write_bytes(
            gzip.compress(plink_map([(1000, "0", str(i + 1))]).encode())
        )
    at = "chr@" if files == ("chrX",) else "@"
    options = ("-r", "chrX", "--genetic-map", tmp_path / f"{at}.b37.gmap.gz")
    ours = make_files(store, tmp_path / "made", "--format", "plink", *options)
    assert set(cm_of(ours).values()) == {"1"}
    (tmp_path / f"{at}.b37.gmap.gz").write_text(plink_map([(1000, "0", "9")]))
    ours = make_files(store, tmp_path / "again", "--format", "plink", *options)
    assert set(cm_of(ours).values()) == {"9"}


def test_a_map_of_one_chromosome(store, maps, tmp_path):
    """That does not say of which: it is that of the view, if there is one."""
    one = maps.with_name("map_1.txt")
    ours = make_files(store, tmp_path / "made", *FORMATS, "-r", "chr2", "--genetic-map", one)
    assert cm_of(ours)["chr2_2000"] == "0.5"
    with pytest.raises(BiofuseError, match=r"map_1\.txt does not say .*the view has chr1 and chr2"):
        plan_view(store, tmp_path / "plan", "--genetic-map", one)


def test_a_line_names_contigs_without_a_map(store, maps, tmp_path):
    plan = plan_view(store, tmp_path / "plan", "--genetic-map", maps)
    [said] = plan.warnings
    assert said == ("the genetic map has nothing of chrM, HLA-A*01:01: centimorgans are 0 there")
    options = ("-r", "chr1,chr2", "--genetic-map", maps)
    assert plan_view(store, tmp_path / "known", *options).warnings == []


def test_no_variants(store, maps, tmp_path):
    options = ("-r", "chr1:7-8", "--genetic-map", maps)
    ours = make_files(store, tmp_path / "made", *FORMATS, *options)
    assert ours.with_suffix(".bim").read_text() == ""


ERRORS = {
    "no-file": (None, r"cannot read .*m\.txt, which --genetic-map names: No such file"),
    "empty": ("", r"m\.txt has no points; a genetic map has"),
    "only-header": (HEADER, r"m\.txt has no points"),
    "two-columns": ("a b\n1 2\n", "line 2 of .* is not understood; a genetic map has"),
    "beagle": ("1 . 0.5 1000\n1 . 0.7 2000\n", r"the position in line 1 of .* is '\.'"),
    "none-of-them": (
        "chr pos rate cM\n7 1 0 0\n8 1 0 0\n",
        "nothing of the view's contigs, chr1.*: it is a map of 7, 8",
    ),
    "at-two-places": (
        "chr pos rate cM\n1 1000 0 0\n2 5 0 0\n1 2000 0 1\n",
        r"lines of chromosome 1 are at several places in .*m\.txt, again from line 4",
    ),
    "two-names": ("chr pos rate cM\n1 1000 0 0\nchr1 2000 0 1\n", "chromosome chr1 are at several"),
    "no-name": ("h chr h\n1000 1 0.1\n1010\t\v\v\n", r"line 3 of .* has the character U\+000B"),
    "pasted": ("h chr h\n1000 1 0.1\n1010\u00a01 0.2\n", r"line 3 of .* the character U\+00A0"),
    "cut-short": ("h chr h\n1000 1 0.1\n2000 1 0.2\n30", "line 4 of .* has not the column"),
    "order": (
        "h chr h\n1000 1 0.1\n2000 1 0.5\n1500 1 1.5\n",
        "position in line 4 of .*, 1500, is not after 2000",
    ),
    "same": (
        "h chr h\n1000 1 0.1\n1000 1 0.5\n",
        "position in line 3 of .*, 1000, is not after 1000",
    ),
    "falls": (
        "h chr h\n1000 1 0.5\n\n2000 1 0.4\n",
        "centimorgans in line 4 of .*, 0.4, are less than 0.5",
    ),
    "word": ("h chr h\n1000 1 0.5\n2000 1 x\n", "the centimorgans in line 3 of .* are 'x'"),
    "nan": ("h chr h\n1000 1 0.5\n2000 1 nan\n", "the centimorgans in line 3 of .* are 'nan'"),
    "inf": ("h chr h\n1000 1 0.5\n2000 1 inf\n", "the centimorgans in line 3 of .* are 'inf'"),
    "position": ("h chr h\n1000 1 0.5\n2k 1 0.6\n", "the position in line 3 of .* is '2k'"),
    "half-a-base": (
        "h chr h\n1000 1 0.5\n2000.5 1 0.6\n",
        "the position in line 3 of .* is '2000.5'",
    ),
    "rate": ("chr pos rate cM\n1 1000 NA 0.5\n", "the rate in line 2 of .* is 'NA'"),
    "short": ("chr pos rate cM\n1 1000 0 0.5\n1 2000 0\n", "line 3 of .* has 3 columns only"),
    "short-of-three": ("h chr h\n1000 1 0.5\n2000 1\n", "line 3 of .* has 2 columns only"),
    "not-utf8": (
        b"chr pos rate cM\n1 1 0 0\n\xff 1 0 0\n",
        r"line 3 of .*m\.txt is no text in UTF-8",
    ),
    "cut-gzip": (gzip.compress(b"1 1 0 0\n" * 99)[:-9], r"cannot read .*m\.txt: .*cut off"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(name, store, tmp_path):
    text, expected = ERRORS[name]
    path = tmp_path / "m.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BiofuseError) as caught:
        plan_view(store, tmp_path / "plan", "--genetic-map", path)
    message = str(caught.value)
    assert re.search(expected, message), message
    assert "\n" not in message
    assert len(message) < 400


def test_errors_of_a_file_a_chromosome(store, maps, tmp_path):
    with pytest.raises(BiofuseError, match="there is no such file, with 1 to 22, X, Y, XY or MT"):
        parse(store, "--genetic-map", tmp_path / "other_@.txt")
    maps.with_name("map_2.txt").write_text("chr pos rate cM\nchr3 1000 0 0\n")
    with pytest.raises(BiofuseError, match=r"map_2\.txt has lines of chromosome 3, and its name"):
        plan_view(store, tmp_path / "plan", "--genetic-map", maps)
    # Of which nothing is wanted.
    make_files(store, tmp_path / "made", "--format", "plink", "-r", "chr1", "--genetic-map", maps)


def test_formats_that_do_not_show_it(store, maps):
    with pytest.raises(BiofuseError, match=r"--genetic-map is for \.bim and \.pvar, none of"):
        parse(store, "--genetic-map", maps, "--format", "bgen")


NUMBER = st.one_of(
    st.integers(0, 10**11).map(lambda n: f"{n / 10**9:.9f}"),
    st.integers(0, 10**6).map(lambda n: f"{n}.5"),
    st.floats(0, 300).map(repr),
)


@settings(max_examples=20)
@given(data=st.data())
def test_any_map_as_plink19_has_it(data, source, tmp_path_factory):
    """Numbers of many digits, of which a last one of 5 is often half of what is shown."""
    folder = tmp_path_factory.mktemp("any")
    positions = data.draw(
        st.lists(st.integers(0, 4000), min_size=1, max_size=40, unique=True).map(sorted)
    )
    count = len(positions)
    cm = sorted(data.draw(st.lists(NUMBER, min_size=count, max_size=count)), key=float)
    rate = data.draw(st.sampled_from(["0", "0.123456789", "2000", "1e3"]))
    (folder / "m").write_text(plink_map([(p, rate, c) for p, c in zip(positions, cm, strict=True)]))
    options = ("-r", "chr1")
    ours = make_files(source[1], folder / "made", *FORMATS, *options, "--genetic-map", folder / "m")
    theirs = as_plink19(source[1], folder / "x", *options, map_options=[folder / "m", "1"])
    assert cm_of(ours) == cm_of(theirs)


def test_every_point_as_plink19_has_it(tmp_path):
    """At points themselves the numbers of the map are shown: thousands, and between them."""
    rng = np.random.default_rng(4)
    points = np.cumsum(rng.integers(1, 50, 4000))
    cm = np.sort(rng.integers(0, 10**10, 4000)) * 5 / 10**9
    positions = np.sort(np.unique(np.concatenate((points, points + rng.integers(0, 20, 4000)))))
    genotypes = random_genotypes(len(positions), 2)
    store = make_store(
        tmp_path / "x.vcz", genotypes, positions=positions.tolist(), contigs=("1", "1b")
    )
    (tmp_path / "m").write_text(
        plink_map(
            [(p, "0.5", f"{c:.9f}") for p, c in zip(points.tolist(), cm.tolist(), strict=True)]
        )
    )
    template = ("--variant-id-template", "@:#", "-r", "1")
    ours = make_files(
        store, tmp_path / "made", *FORMATS, *template, "--genetic-map", tmp_path / "m"
    )
    theirs = as_plink19(store, tmp_path / "x", *template, map_options=[tmp_path / "m", "1"])
    assert cm_of(ours) == cm_of(theirs)
    assert len(cm_of(ours)) > 4000
