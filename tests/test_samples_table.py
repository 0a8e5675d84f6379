"""`--samples-table`: sexes, parents, families and phenotypes, as plink2 reads and writes them."""

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles import plink2
from support.stores import make_store, random_genotypes, vcf_store
from support.vcf import random_vcf, sample_names
from support.views import make_files, plan_view

from biofuse.errors import BiofuseError

NAMES = sample_names(6)
SUFFIXES = (".fam", ".psam", ".sample")
FORMATS = ("--format", "plink", "--format", "plink2", "--format", "bgen")
# As plink2 takes it, of every column.
FULL = [
    ("#FID", "IID", "PAT", "MAT", "SEX", "BMI", "T2D", "BATCH"),
    ("F1", "S0000", "0", "0", "1", "23.25", "2", "red"),
    ("F1", "S0001", "0", "0", "2", "31", "1", "blue"),
    ("0", "S0002", "S0000", "S0001", "M", "NA", "NA", "b10"),
    ("F2", "S0003", "0", "S0001", "F", "-9", "-9", "NONE"),
    ("F2", "S0004", "0", "0", "NA", "1e-07", "0", "b9"),
    ("F3", "S0005", "0", "0", "0", "-2.5", "1", "Blue"),
]


def text_of(rows, separator: str = "\t") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def source(made):
    """A VCF and its store."""
    vcf = random_vcf(len(NAMES), 20, chroms=("1",), seed=5)
    return made("samples-table", lambda folder: vcf_store(vcf, folder))


@pytest.fixture(scope="module")
def store(source):
    return source[1]


def write(folder: Path, text: str | bytes, name: str = "t.tsv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def shown(store: Path, folder: Path, text: str | bytes, *options, **more) -> dict[str, str]:
    """The files of samples that a table makes, by suffix."""
    table = write(folder, text)
    stem = make_files(store, folder / "made", "--samples-table", table, *FORMATS, *options, **more)
    found = {suffix: stem.with_suffix(suffix) for suffix in SUFFIXES}
    return {suffix: path.read_text() for suffix, path in found.items() if path.exists()}


def theirs(source: tuple[Path, Path], folder: Path, text: str, *options) -> dict[str, str]:
    """What plink2 makes of the VCF and a `.psam`."""
    psam = write(folder, text, "theirs.psam")
    command = ("--vcf", source[0], "--psam", psam, "--allow-extra-chr", *options)
    plink2(
        *(*command, "--make-just-fam", "--make-just-psam", "--export", "bgen-1.2", "bits=8"),
        *("--out", folder / "theirs"),
    )
    found = {suffix: (folder / f"theirs{suffix}").read_text() for suffix in SUFFIXES}
    head, types, *lines = found[".sample"].splitlines()
    # The share of missing calls, which a mount does not look for.
    lines = [re.sub(r"^(\S+ \S+) \S+", r"\1 0", line) for line in lines]
    found[".sample"] = "".join(f"{line}\n" for line in (head, types, *lines))
    if found[".psam"].startswith("#IID"):
        # Which REGENIE does not take: a mount's has the families, if nothing but zeros.
        rows = found[".psam"].splitlines()
        found[".psam"] = "".join(
            f"{'0' if i else '#FID'}\t{row.removeprefix('#')}\n" for i, row in enumerate(rows)
        )
    return found


def warnings(store: Path, folder: Path, text: str, *options) -> list[str]:
    table = write(folder, text)
    return plan_view(store, folder / "plan", "--samples-table", table, *options).warnings


def columns_of(*names: str) -> list[list[str]]:
    """Some columns of the full table."""
    where = [[name.removeprefix("#") for name in FULL[0]].index(name) for name in names]
    rows = [[row[i] for i in where] for row in FULL]
    return [list(names), *rows[1:]]


CHOICES = [(), ("BMI",), ("T2D",), ("BATCH",), ("T2D", "BMI"), ("BMI", "BATCH", "T2D")]


@pytest.mark.parametrize("names", CHOICES, ids="-".join)
def test_as_plink2_writes_them(names, source, tmp_path):
    chosen = ("--pheno-name", ",".join(names)) if names else ()
    ours = shown(source[1], tmp_path, text_of(FULL), *chosen)
    # plink2 has them in the order of the file.
    ordered = [["#FID", *row[1:]] for row in columns_of("FID", "IID", "PAT", "MAT", "SEX", *names)]
    rows = [ordered[0], *columns_of("FID", "IID", "PAT", "MAT", "SEX", *names)[1:]]
    assert ours == theirs(source, tmp_path, text_of(rows))


@pytest.mark.parametrize("known", ["", "SEX", "PAT MAT", "SEX PAT MAT", "SEX T2D"])
@pytest.mark.parametrize("family", [True, False])
@pytest.mark.parametrize("header", ["#", ""])
def test_columns_that_there_are(header, family, known, source, tmp_path):
    """As plink2 has them; without families, as it has them where both IDs are one."""
    names = ["FID"] * family + ["IID", *known.split()]
    if not family and not known:
        names.append("T2D")
    rows = columns_of(*names)
    ours_rows = [[header + rows[0][0], *rows[0][1:]], *rows[1:]]
    chosen = ("--pheno-name", "T2D") if "T2D" in names else ()
    ours = shown(source[1], tmp_path, text_of(ours_rows), *chosen)
    if not family:
        rows = [[row[0] if i else "FID", *row] for i, row in enumerate(rows)]
    rows[0][0] = "#FID"
    assert ours == theirs(source, tmp_path, text_of(rows))


def test_no_table_is_as_ever(source, tmp_path):
    stem = make_files(source[1], tmp_path / "made", *FORMATS)
    files = {suffix: stem.with_suffix(suffix).read_text() for suffix in SUFFIXES}
    assert files == {
        ".fam": "".join(f"{name}\t{name}\t0\t0\t0\t-9\n" for name in NAMES),
        ".psam": "#FID\tIID\tSEX\n" + "".join(f"{name}\t{name}\tNA\n" for name in NAMES),
        ".sample": "ID_1 ID_2 missing sex\n0 0 0 D\n"
        + "".join(f"{name} {name} 0 NA\n" for name in NAMES),
    }


@pytest.mark.parametrize("kind", SUFFIXES)
def test_what_is_shown_is_read_again(kind, store, tmp_path):
    """The files of a mount, and so plink2's, are tables themselves."""
    (tmp_path / "again").mkdir()
    first = shown(store, tmp_path, text_of(FULL), "--pheno-name", "T2D")
    name = "PHENO1" if kind == ".fam" else "T2D"
    again = shown(store, tmp_path / "again", first[kind], "--pheno-name", name)
    if kind == ".sample":
        # Which has no parents.
        first = shown_without_parents(first)
    again = {suffix: text.replace("PHENO1", "T2D") for suffix, text in again.items()}
    assert again == first


def shown_without_parents(files: dict[str, str]) -> dict[str, str]:
    fam = [line.split("\t") for line in files[".fam"].splitlines()]
    psam = [line.split("\t") for line in files[".psam"].splitlines()]
    return {
        **files,
        ".fam": text_of([*row[:2], "0", "0", *row[4:]] for row in fam),
        ".psam": text_of([*row[:2], *row[4:]] for row in psam),
    }


def test_a_fam_shows_its_phenotype(source, tmp_path):
    """Without being told to, as plink2 does."""
    rows = [[*row[:5], row[6]] for row in FULL[1:]]
    rows[2][4], rows[3][4], rows[4][4] = "1", "2", "0"
    ours = shown(source[1], tmp_path, text_of(rows, " "))
    psam = [["#FID", "IID", "PAT", "MAT", "SEX", "PHENO1"], *rows]
    assert ours == theirs(source, tmp_path, text_of(psam))
    # There is none.
    rows = [[*row[:5], "-9"] for row in rows]
    (tmp_path / "none").mkdir()
    none = shown(source[1], tmp_path / "none", text_of(rows))
    psam = [["#FID", "IID", "PAT", "MAT", "SEX"], *[row[:5] for row in rows]]
    assert none == theirs(source, tmp_path / "none", text_of(psam))


def test_an_oxford_sample_file(source, tmp_path):
    """With the columns of covariates and parents that it may have."""
    header = "ID_1 ID_2 missing father mother sex age T2D batch\n0 0 0 D D D C B D\n"
    lines = [
        f"F{i} {name} 0.1 0 0 {i % 3} {i}.5 {i % 2} {i % 3 + 1}" for i, name in enumerate(NAMES)
    ]
    ours = shown(source[1], tmp_path, header + "\n".join(lines), "--pheno-name", "T2D,age,batch")
    psam = [["#FID", "IID", "SEX", "T2D", "age"]]
    psam += [[f"F{i}", name, str(i % 3), str(i % 2 + 1), f"{i}.5"] for i, name in enumerate(NAMES)]
    found = theirs(source, tmp_path, text_of(psam))
    assert ours[".fam"] == found[".fam"]
    mine = [line.split("\t") for line in ours[".psam"].splitlines()]
    assert text_of([row[:-1] for row in mine]) == found[".psam"]
    assert [row[-1] for row in mine] == ["batch", "1", "2", "3", "1", "2", "3"]


SEXES = {
    "1": ("1", "M", "m", "male", "MALE", "Male"),
    "2": ("2", "F", "f", "female", "FEMALE", "Female"),
    "": ("0", "NA", "na", "", "-9", ".", "NaN", "N/A", "U", "Unknown"),
}


@pytest.mark.parametrize("sex", SEXES)
def test_every_way_to_write_a_sex(sex, store, tmp_path):
    for i, way in enumerate(SEXES[sex]):
        folder = tmp_path / str(i)
        folder.mkdir()
        files = shown(store, folder, f"IID\tsex\nS0003\t{way}\n")
        assert files[".fam"].splitlines()[3].split("\t")[4] == (sex or "0"), way
        assert files[".psam"].splitlines()[4].split("\t")[2] == (sex or "NA"), way
        assert files[".sample"].splitlines()[5].split(" ")[3] == (sex or "NA"), way


def test_other_orders_and_samples(store, tmp_path):
    """Those that are not in the table are unknown, those of others are of no use."""
    text = "IID\tSEX\tFID\tx\nother\t1\tA\t3\nS0004\t2\tB\t4\nS0001\t1\tA\tNA\n"
    files = shown(store, tmp_path, text, "--pheno-name", "x", "-s", "S0004,S0002,S0001")
    assert files == {
        ".fam": "B\tS0004\t0\t0\t2\t4\n0\tS0002\t0\t0\t0\t-9\nA\tS0001\t0\t0\t1\t-9\n",
        ".psam": "#FID\tIID\tSEX\tx\nB\tS0004\t2\t4\n0\tS0002\tNA\tNA\nA\tS0001\t1\tNA\n",
        ".sample": "ID_1 ID_2 missing sex x\n0 0 0 D P\n"
        "B S0004 0 2 4\n0 S0002 0 NA NA\nA S0001 0 1 NA\n",
    }


def test_a_line_says_how_many_there_are(store, tmp_path):
    text = "IID\tSEX\nS0004\t2\nother\t1\nS0001\t1\nS0003\tF\nS0000\tNA\n"
    found = warnings(store, tmp_path, text)
    path = tmp_path / "t.tsv"
    assert found == [f"{path} has 4 of 6 samples: 1 male, 2 female, 3 of unknown sex"]


def test_without_sexes_the_line_has_none(store, tmp_path):
    text = "IID\tFID\nS0004\t2\n"
    assert warnings(store, tmp_path, text) == [f"{tmp_path}/t.tsv has 1 of 6 samples"]


FORMS = {
    "tabs": text_of(FULL).encode(),
    "spaces": text_of(FULL, " ").encode(),
    "aligned": text_of(FULL, "   ").replace("F1", "  F1").encode(),
    "no-hash": text_of(FULL).removeprefix("#").encode(),
    "crlf": text_of(FULL).replace("\n", "\r\n").encode(),
    "bom": b"\xef\xbb\xbf" + text_of(FULL).encode(),
    "no-last-line-feed": text_of(FULL).rstrip("\n").encode(),
    "empty-lines": ("\n" + text_of(FULL).replace("\n", "\n\n") + "\n").encode(),
    "comments": ("##a\tb\n##c\n" + text_of(FULL)).encode(),
    "gzip": gzip.compress(text_of(FULL).encode()),
    "two-members": gzip.compress(b"#FID\t") + gzip.compress(text_of(FULL).encode()[5:]),
    "lower-case": (text_of(FULL).lower().split("\n")[0] + text_of(FULL)[len("\t".join(FULL[0])) :])
    .replace("bmi", "BMI")
    .encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_table(form, store, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "form").mkdir()
    options = ("--pheno-name", "BMI")
    plain = shown(store, tmp_path / "plain", text_of(FULL), *options)
    assert shown(store, tmp_path / "form", FORMS[form], *options) == plain


def test_no_value_is_missing(store, tmp_path):
    """In a table between tabs; `NA` as a parent, which R writes, is none."""
    text = "IID\tPAT\tMAT\tSEX\tx\nS0000\t\tNA\t\t\nS0001\tS0000\t\t2\t1.5\n"
    files = shown(store, tmp_path, text, "--pheno-name", "x")
    assert files[".fam"].splitlines()[:2] == [
        "S0000\tS0000\t0\t0\t0\t-9",
        "S0001\tS0001\tS0000\t0\t2\t1.5",
    ]


@pytest.mark.parametrize(
    ("values", "sample"),
    [
        (["0", "1", "2", "NA", "nan", "-9"], ["B", "NA", "0", "1", "NA", "NA", "NA"]),
        (["1", "1", "1", "NA", "1", "1"], ["B", "0", "0", "0", "NA", "0", "0"]),
        (["NA", "na", "-9", "NaN", "NA", "NA"], ["B", "NA", "NA", "NA", "NA", "NA", "NA"]),
        (["01", "2.0", "1", "2", "1.0", "2"], ["B", "0", "1", "0", "1", "0", "1"]),
        (["0", "0.5", "1", "2", "2", "NA"], ["P", "0", "0.5", "1", "2", "2", "NA"]),
        (["a1", "a10", "a2", "b", "A2", "NONE"], ["D", "1", "4", "3", "5", "2", "NA"]),
        (["-a", "x,y", "X_", "Z9y", "z10", "a"], ["D", "1", "3", "4", "5", "6", "2"]),
    ],
    ids=lambda value: value[0] if len(value) == 7 else "values",
)
def test_kinds_of_phenotypes(values, sample, source, tmp_path):
    rows = [["#FID", "IID", "SEX", "y"]]
    rows += [["0", name, "1", value] for name, value in zip(NAMES, values, strict=True)]
    ours = shown(source[1], tmp_path, text_of(rows), "--pheno-name", "y")
    assert ours == theirs(source, tmp_path, text_of(rows))
    lines = ours[".sample"].splitlines()[1:]
    assert [line.split(" ")[4] for line in lines] == sample


def test_numbers_keep_their_digits(source, tmp_path):
    """plink2 reads the same of them, and writes six."""
    values = ["23.456789123", "1e-7", "-0.1", "+5", "1234567.25", "100000"]
    rows = [["#FID", "IID", "SEX", "y"]]
    rows += [["0", name, "1", value] for name, value in zip(NAMES, values, strict=True)]
    ours = shown(source[1], tmp_path, text_of(rows), "--pheno-name", "y")
    for suffix, column in ((".fam", 5), (".psam", 3)):
        lines = ours[suffix].splitlines()[-len(NAMES) :]
        assert [line.split("\t")[column] for line in lines] == values
    read = theirs(source, tmp_path, ours[".psam"])
    assert read == theirs(source, tmp_path, text_of(rows))


def test_words_of_other_alphabets(store, tmp_path):
    """Digits of theirs are no numbers."""
    words = ["\u0663", "\u00e9", "\u4e09", "x\u0663", "NA", "b"]
    rows = [["IID", "y"], *([name, word] for name, word in zip(NAMES, words, strict=True))]
    files = shown(store, tmp_path, text_of(rows), "--pheno-name", "y")
    found = [line.split("\t")[3] for line in files[".psam"].splitlines()[1:]]
    assert found == [word if word != "NA" else "NONE" for word in words]


def test_zero_and_one(source, tmp_path):
    """Are shown as they are, and said to be what plink takes for something else."""
    rows = [["#FID", "IID", "SEX", "y"]]
    values = ["0", "1", "0", "NA", "1", "1"]
    rows += [["0", name, "1", value] for name, value in zip(NAMES, values, strict=True)]
    text = text_of(rows)
    ours = shown(source[1], tmp_path, text, "--pheno-name", "y")
    found = [line.split("\t")[5] for line in ours[".fam"].splitlines()]
    assert found == ["0", "1", "0", "-9", "1", "1"]
    told = theirs(source, tmp_path, ours[".psam"], "--1")
    assert ours[".sample"] == told[".sample"]
    (tmp_path / "said").mkdir()
    said = warnings(source[1], tmp_path / "said", text, "--pheno-name", "y")
    assert any("the phenotype y is 0 and 1" in line and "--1" in line for line in said)


def test_plink2_reads_the_sample_file(store, tmp_path):
    """And finds in it what the table has; missing phenotypes plink2 a3.5 does not take."""
    rows = [["FID", "IID", "SEX", "y", "case", "batch"]]
    rows += [
        [f"F{i}", name, "120"[i % 3], f"{i}.5", str(i % 2 + 1), "ab"[i % 2]]
        for i, name in enumerate(NAMES)
    ]
    shown(store, tmp_path, text_of(rows), "--pheno-name", "y,case,batch")
    made = tmp_path / "made" / "x"
    bgen = (made.with_suffix(".bgen"), "ref-first", "--sample", made.with_suffix(".sample"))
    plink2("--bgen", *bgen, "--make-just-psam", "--out", tmp_path / "read")
    read = (tmp_path / "read.psam").read_text().replace("C1", "a").replace("C2", "b")
    assert read == made.with_suffix(".psam").read_text()


def test_categories_are_not_for_a_fam(store, tmp_path):
    options = ("--pheno-name", "BATCH")
    said = warnings(store, tmp_path, text_of(FULL), *options, "--format", "plink")
    assert any("BATCH is of categories, which a .fam does not hold" in line for line in said)
    (tmp_path / "psam").mkdir()
    said = warnings(store, tmp_path / "psam", text_of(FULL), *options, "--format", "plink2")
    assert len(said) == 1


TOKEN = st.text(st.sampled_from("ABab01_-."), min_size=1, max_size=4).filter(
    lambda text: text not in ("0", "NA", "-9", ".")
)


@settings(max_examples=20)
@given(data=st.data())
def test_any_table_as_plink2_has_it(data, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    parents = data.draw(st.sampled_from([(), ("PAT", "MAT")]))
    kinds = data.draw(st.lists(st.sampled_from(["cases", "numbers", "words"]), max_size=2))
    rows = [["#FID", "IID", *parents, "SEX", *(f"y{i}" for i in range(len(kinds)))]]
    values = {
        "cases": st.sampled_from(["0", "1", "2", "NA", "-9"]),
        "numbers": st.sampled_from(["0.25", "-3", "7", "NA", "1e-05", "123456"]),
        "words": st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.]{0,4}", fullmatch=True).filter(
            lambda word: word.upper() not in ("NA", "NAN", "NONE")
        ),
    }
    names = data.draw(st.permutations(NAMES))
    for name in names:
        row = [data.draw(st.one_of(st.just("0"), TOKEN)), name]
        row += [data.draw(st.one_of(st.just("0"), st.sampled_from(NAMES))) for _ in parents]
        row.append(data.draw(st.sampled_from(["0", "1", "2", "M", "f", "NA"])))
        row += [data.draw(values[kind]) for kind in kinds]
        rows.append(row)
    chosen = ("--pheno-name", ",".join(rows[0][-len(kinds) :])) if kinds else ()
    ours = shown(source[1], folder, text_of(rows), *chosen)
    # plink2 wants the samples in the order of the VCF's.
    ordered = [rows[0], *sorted(rows[1:], key=lambda row: row[1])]
    assert ours == theirs(source, folder, text_of(ordered))


def test_samples_of_awkward_names(tmp_path):
    """What no file of PLINK's can have is an error of its own, and a `.bcf` does not mind."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(3, 2), samples=["a b", "é"])
    table = write(tmp_path, "IID\tSEX\na b\t1\né\t2\n")
    with pytest.raises(BiofuseError, match="sample ID 'a b' contains white space"):
        plan_view(store, tmp_path / "plan", "--samples-table", table)
    options = ("-s", "é", "--samples-table", table)
    stem = make_files(store, tmp_path / "made", *options)
    assert stem.with_suffix(".fam").read_text() == "é\té\t0\t0\t2\t-9\n"


def test_mount_bgen_has_sexes_where_there_are_any(store, tmp_path):
    table = write(tmp_path, "IID\tSEX\nS0001\t2\n")
    stem = make_files(store, tmp_path / "made", "--samples-table", table, like="mount-bgen")
    lines = stem.with_suffix(".sample").read_text().splitlines()
    assert lines[:4] == ["ID_1 ID_2 missing sex", "0 0 0 D", "S0000 S0000 0 NA", "S0001 S0001 0 2"]
    plain = make_files(store, tmp_path / "plain", like="mount-bgen")
    assert plain.with_suffix(".sample").read_text().startswith("ID_1 ID_2 missing\n0 0 0\n")


def test_many_samples(tmp_path):
    """Of another order, with a phenotype each, against lines that Python makes."""
    names = [f"HG{i:05d}" for i in range(3000)]
    store = make_store(tmp_path / "x.vcz", random_genotypes(2, 3000), samples=names)
    rows = [[f"F{i % 700}", name, str(i % 3), f"{i / 7:.4f}"] for i, name in enumerate(names)]
    text = text_of([["FID", "IID", "SEX", "y"], *rows[::-1]])
    files = shown(store, tmp_path, text, "--pheno-name", "y")
    assert files[".fam"] == text_of([f, i, "0", "0", s, y] for f, i, s, y in rows)
    known = ["NA", "1", "2"]
    assert files[".psam"] == text_of(
        [["#FID", "IID", "SEX", "y"], *([f, i, known[int(s)], y] for f, i, s, y in rows)]
    )
    assert files[".sample"] == "ID_1 ID_2 missing sex y\n0 0 0 D P\n" + text_of(
        ([f, i, "0", known[int(s)], y] for f, i, s, y in rows), " "
    )
