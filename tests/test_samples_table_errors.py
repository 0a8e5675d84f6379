"""Tables of samples that are not understood, and options that do not fit: one line each."""

import gzip
import re
from pathlib import Path

import pytest
from support.stores import make_store, random_genotypes
from support.views import parse, plan_view

from biofuse.errors import BiofuseError

TABLE = "IID\tSEX\nS0001\t1\n"


@pytest.fixture(scope="module")
def store(made):
    return made("table-errors", lambda folder: make_store(folder / "x.vcz", random_genotypes(6, 6)))


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "t.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ERRORS = {
    "no-file": (None, (), r"cannot read .*t\.tsv, which --samples-table names: No such file"),
    "empty": ("", (), r"t\.tsv is empty"),
    "no-header": ("S0000\t1\n", (), r"line 1 of .*t\.tsv is 'S0000\\t1', no header with IID"),
    "commas": ("IID,SEX\nS0000,1\n", (), "no header with IID.*separated by tabs"),
    "no-samples": ("IID\tSEX\n", (), r"t\.tsv has no samples"),
    "none-of-them": (
        "IID\tSEX\nA\t1\n",
        (),
        "has none of the samples to show: it has 'A' in line 2",
    ),
    "twice": (
        "IID\tSEX\nS0001\t1\nx\t1\n\nS0001\t1\n",
        (),
        r"sample 'S0001' is in line 5 of .*t\.tsv for the second time, after line 2",
    ),
    "twice-elsewhere": ("IID\tSEX\nS0001\t1\nx\t1\nx\t2\n", (), "sample 'x' is in line 4"),
    "two-families": ("FID\tIID\nA\tS0001\nB\tS0001\n", (), "sample 'S0001' is in line 3"),
    "sex": ("IID\tSEX\nS0001\t1\nS0002\t3\n", (), r"the sex in line 3 of .*t\.tsv is '3': 1, M"),
    "sex-word": ("IID\tSEX\n\nS0001\tmann\n", (), "the sex in line 3 of .* is 'mann'"),
    "sex-of-fam": ("F S0001 0 0 3 1\n", (), "the sex in line 1 of .* is '3'"),
    "no-id": ("IID\tSEX\nS0001\t1\n\t2\n", (), r"line 3 of .*t\.tsv has no IID"),
    "short": ("IID\tSEX\nS0001\t1\nS0002\n", (), "line 3 of .* has 1 columns, and the header 2"),
    "long": ("IID\tSEX\nS0001\t1\t4\n", (), "line 2 of .* has 3 columns, and the header 2"),
    "short-fam": ("F S0001 0 0 1 1\nF S2 0 0 1\n", (), "line 2 of .* has 5 columns, and the first"),
    "quoted": ('IID\tSEX\nS0001\t1\n"S0002"\t1\n', (), "line 3 of .* has quotes.*quote=FALSE"),
    "quoted-header": ('"IID" "SEX"\n"S0001" 1\n', (), "line 1 of .* has quotes"),
    "quoted-spaces": ('IID SEX\nS0001 1\nS0002 "not known"\n', (), "line 3 of .* has quotes"),
    "two-columns": ("IID\tSEX\tsex\nS0001\t1\t1\n", (), "has two columns SEX"),
    "two-phenotypes": ("IID\tSEX\ty\ty\nS0001\t1\t1\t2\n", (), "has two columns y"),
    "only-ids": ("IID\nS0001\n", (), "has none of the columns SEX, PAT, MAT and FID"),
    "only-phenotypes": (
        "IID\tBMI\nS0001\t2\n",
        (),
        "none of the columns.*--pheno-name shows one of BMI",
    ),
    "no-such-phenotype": (
        "IID\tSEX\tBMI\tage\nS0001\t1\t2\t3\n",
        ("--pheno-name", "BMI,bmi"),
        "has no phenotype bmi: it has BMI, age",
    ),
    "no-phenotypes": (
        "IID\tSEX\nS1\t1\n",
        ("--pheno-name", "SEX"),
        "no phenotype SEX: it has none",
    ),
    "phenotype-name": (
        "IID\tSEX\tbody mass\nS0001\t1\t2\n",
        ("--pheno-name", "body mass"),
        "the phenotype 'body mass' of .* has white space in its name",
    ),
    "empty-name": ("IID\tSEX\ty\nS1\t1\t2\n", ("--pheno-name", "y,"), "'y,' has an empty name"),
    "mixed": (
        "IID\tSEX\ty\nS0001\t1\t2\nS0002\t1\tred\n",
        ("--pheno-name", "y"),
        "the phenotype y is 'red' in line 3 of .* and '2' in line 2: numbers or words",
    ),
    "like-a-number": (
        "IID\tSEX\tday\nS0001\t1\tNA\nS0002\t1\t2020-01-01\n",
        ("--pheno-name", "day"),
        "the phenotype day is '2020-01-01' in line 3 of .*, which begins as a number",
    ),
    "too-large": (
        "IID\tSEX\ty\nS0001\t1\t1e400\n",
        ("--pheno-name", "y"),
        "y in line 2 of .* is '1e400', which is too large",
    ),
    "space-in-family": ("IID\tFID\nS0001\ta b\n", (), "FID in line 2 of .* is 'a b', with white"),
    "space-in-phenotype": (
        "IID\tSEX\ty\nS0001\t1\ta\nS0002\t1\tb c\n",
        ("--pheno-name", "y"),
        "y in line 3 of .* is 'b c', with white space",
    ),
    "oxford": ("ID_1 ID_2 missing sex\nS1 S0001 0 1\n", (), "line 2 of .* is not the second one"),
    "oxford-cut": ("ID_1 ID_2 missing sex\n", (), "line 2 of .* is not the second one"),
    "not-utf8": (b"IID\tSEX\nS0001\t1\nS\xff\t1\n", (), "line 3 of .* is no text in UTF-8"),
    "utf16": ("IID\tSEX\nS0001\t1\n".encode("utf-16"), (), "is no text in UTF-8"),
    "bcf": (b"BCF\x02\x02\x00", (), "is no text in UTF-8"),
    "cut-gzip": (gzip.compress(b"IID\tSEX\n" * 100)[:-9], (), r"cannot read .*t\.tsv: .*cut off"),
    "broken-gzip": (b"\x1f\x8bxxxxxxxxxx", (), r"cannot read .*t\.tsv"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line(name, store, tmp_path):
    text, options, expected = ERRORS[name]
    table = tmp_path / "t.tsv" if text is None else write(tmp_path, text)
    with pytest.raises(BiofuseError) as caught:
        plan_view(store, tmp_path / "plan", "--samples-table", table, *options)
    message = str(caught.value)
    assert re.search(expected, message), message
    assert "\n" not in message
    assert len(message) < 400


def test_options_that_do_not_go_together(store, tmp_path):
    table = write(tmp_path, TABLE)
    with pytest.raises(BiofuseError, match="--pheno-name is for --samples-table"):
        parse(store, "--pheno-name", "BMI")
    with pytest.raises(BiofuseError, match=r"--samples-table is for \.fam, \.psam and \.sample"):
        parse(store, "--samples-table", table, "--format", "bcf")
    with pytest.raises(BiofuseError, match="the name of the file of --samples-table is empty"):
        parse(store, "--samples-table", "")


def test_a_file_that_is_too_large(store, tmp_path):
    path = tmp_path / "t.tsv"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BiofuseError, match=r"t\.tsv is larger than 512 MiB"):
        parse(store, "--samples-table", path)
