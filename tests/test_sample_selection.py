"""Samples of a selection, held against bcftools; and PLINK's files of them."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.oracles import plink19
from support.stores import make_store, random_genotypes
from support.vcf import Site, Vcf
from support.views import parse

from biofuse.errors import BiofuseError
from biofuse.options import ViewOptions
from biofuse.plan.samples import select_samples
from biofuse.selection_files import read_selection

# Among them names that are ploidies and sexes, a space, and letters that are not ASCII.
NAMES = ["S1", "S2", "S3", "1", "2", "M", "a b", "Zoë", "F"]


def selected(options: dict, names: list[str] = NAMES) -> list[str]:
    """Names of the samples that a selection keeps."""
    found, _ = select_samples(np.array(names, dtype=object), read_selection(**options))
    return list(names) if found is None else [names[i] for i in found]


@pytest.fixture(scope="session")
def vcf(tmp_path_factory) -> Path:
    site = Site("1", 5, ["0/1"] * len(NAMES))
    return Vcf(NAMES, [site]).write(tmp_path_factory.mktemp("samples") / "x.vcf")


def selected_by_bcftools(vcf: Path, *words) -> list[str] | None:
    """The same of bcftools; None where it fails."""
    done = subprocess.run(["bcftools", "view", "-h", *words, vcf], capture_output=True, text=True)
    if done.returncode:
        return None
    return done.stdout.splitlines()[-1].split("\t")[9:]


names_given = st.lists(st.sampled_from([*NAMES, "nobody"]), min_size=1, max_size=5)


@given(
    names=names_given,
    mark=st.sampled_from(["", "^"]),
    force=st.booleans(),
    kind=st.sampled_from(["text", "file", "windows", "gzip", "empty-lines"]),
)
def test_as_bcftools(names, mark, force, kind, vcf, tmp_path):
    end = "\r\n" if kind == "windows" else "\n"
    path = tmp_path / "samples.txt"
    data = (end.join(names) + end * (3 if kind == "empty-lines" else 1)).encode()
    path.write_bytes(gzip.compress(data) if kind == "gzip" else data)
    name, value = ("samples_file", path) if kind != "text" else ("samples", ",".join(names))
    words = ["-S" if name == "samples_file" else "-s", f"{mark}{value}"]
    expected = selected_by_bcftools(vcf, *words, *["--force-samples"] * force)
    options = {name: f"{mark}{value}", "force_samples": force}
    if expected:
        assert selected(options) == expected
    else:
        # No view is without samples.
        with pytest.raises(BiofuseError):
            selected(options)


@pytest.mark.parametrize(
    "text", ["S1,", "", "^", ",S1", "S1,S1", "^nobody", "nobody", "S1 ", "^S1,,S2"]
)
def test_refused_as_in_bcftools(text, vcf):
    assert selected_by_bcftools(vcf, "-s", text) is None
    with pytest.raises(BiofuseError):
        selected({"samples": text})


def test_null_samples_are_never_selected():
    names = ["S1", "", "S2"]
    assert selected({}, names) == ["S1", "S2"]
    assert selected({"samples": "^S1"}, names) == ["S2"]
    with pytest.raises(BiofuseError, match="no sample ''"):
        selected({"samples": "S1,"}, names)


def test_samples_of_one_name():
    names = ["S1", "S2", "S1"]
    assert selected({"samples": "S2"}, names) == ["S2"]
    assert selected({"samples": "^S1"}, names) == ["S2"]
    with pytest.raises(BiofuseError, match="more than one sample 'S1'"):
        selected({"samples": "S2,S1"}, names)


# Files of columns, and the samples that they name.
COLUMNS = {
    "keep": ("f1 S3\nf1 S1\nf2 S2\n", ["S3", "S1", "S2"]),
    "keep-tabs": ("f1\tS3\nf1\tS1\n", ["S3", "S1"]),
    "same-twice": ("S3 S3\nS1 S1\n", ["S3", "S1"]),
    "zero-family": ("0 S3\n0 S1\n", ["S3", "S1"]),
    "fam": ("f1 S3 0 0 1 -9\nf1 S1 0 0 2 -9\n", ["S3", "S1"]),
    "family-named-by-a-sample": ("S1 S1\nS1 S2\nS1 S3\n", ["S1", "S2", "S3"]),
    "header": ("#FID\tIID\tSEX\nf\tS3\t1\nf\tS1\t2\n", ["S3", "S1"]),
    "old-header": ("FID IID\nf S3\nf S1\n", ["S3", "S1"]),
    "psam": ("#IID\tSEX\nS3\t1\nS1\t2\n", ["S3", "S1"]),
    "header-of-one": ("#IID\nS3\nS1\n", ["S3", "S1"]),
    "header-decides": ("#FID IID\n1 2\n2 1\n", ["2", "1"]),
    "psam-decides": ("#IID SEX\n1 2\n2 1\n", ["1", "2"]),
    "ploidy": ("S3\t2\nS1\t1\n", ["S3", "S1"]),
    "sex": ("S3 M\nS1 F\nS2 F\n", ["S3", "S1", "S2"]),
    "one-of-them-alone": ("S3\nf S1\n", ["S3", "S1"]),
    "space-in-a-name": ("a b\nS1\n", ["a b", "S1"]),
    "space-after-a-name": ("S3 \nS1\t\n", ["S3", "S1"]),
    "byte-order-mark": ("\ufeffS3\r\nS1\r\n", ["S3", "S1"]),
    "no-end-of-line": ("S3\nZoë", ["S3", "Zoë"]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns(name, tmp_path):
    text, expected = COLUMNS[name]
    path = tmp_path / "keep.txt"
    path.write_bytes(text.encode())
    # Names of ploidies and sexes only where they are meant.
    odd = {"header-decides", "psam-decides", "space-in-a-name", "no-end-of-line"}
    names = NAMES if name in odd else NAMES[:3]
    assert selected({"samples_file": str(path)}, names) == expected
    left = [name for name in names if name not in expected]
    if left:
        assert selected({"samples_file": f"^{path}"}, names) == left


def test_samples_that_are_named_as_ploidies(tmp_path):
    """Where both columns have names of samples, and nothing tells which are meant."""
    path = tmp_path / "keep.txt"
    path.write_text("1 2\n2 1\n")
    with pytest.raises(BiofuseError, match=r"both columns of .*'#FID IID'"):
        selected({"samples_file": str(path)})


def test_keep_files_as_in_plink(tmp_path):
    """plink1.9 keeps the same samples of a fileset with the same names."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(5, 7))
    stem = tmp_path / "p"
    names = [f"S{i:04d}" for i in range(7)]
    calls = ["0/1"] * 7
    vcf = Vcf(names, [Site("1", 5, calls)]).write(tmp_path / "x.vcf")
    plink19("--vcf", vcf, "--double-id", "--make-bed", "--out", stem)
    keep = tmp_path / "keep.txt"
    keep.write_text("S0003 S0003\nS0001 S0001\nS0006 S0006\n")
    plink19("--bfile", stem, "--keep", keep, "--make-bed", "--out", tmp_path / "q")
    kept = [line.split()[1] for line in (tmp_path / "q.fam").read_text().splitlines()]
    found, _ = select_samples(np.array(names), parse(store, "-S", keep).selection)
    assert sorted(names[i] for i in found) == kept


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": "S1,x,y"}, ["samples 'x', 'y' (2 in all)", "-s names", "--force-samples"]),
        ({"samples": "x"}, ["no sample 'x'"]),
        ({"samples": "S1,S2,S1"}, ["duplicate sample 'S1'"]),
        ({"samples": "S1", "samples_file": "x"}, ["-s and -S"]),
        ({"samples_file": ""}, ["empty"]),
        ({"samples_file": "^"}, ["empty"]),
        ({"samples_file": "/nowhere"}, ["cannot read /nowhere: No such file"]),
        ({"samples_file": "/"}, ["cannot read /: Is a directory"]),
        ({"samples_file": "-", "regions_file": "/dev/stdin"}, ["-R /dev/stdin and -S -"]),
    ],
)
def test_what_is_said(options, words):
    with pytest.raises(BiofuseError) as caught:
        selected(options)
    for word in words:
        assert word in str(caught.value)


def test_what_is_left_out_is_said():
    options = {"samples": "S1,x,y", "force_samples": True}
    _, said = select_samples(np.array(NAMES, dtype=object), read_selection(**options))
    assert said == ["the store has no samples 'x', 'y' (2 in all), which -s names: left out"]


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    assert selected({"samples_file": f"^{tmp_path}/empty.txt"}) == NAMES
    with pytest.raises(BiofuseError, match="no samples are left"):
        selected({"samples_file": f"{tmp_path}/empty.txt"})


def test_what_files_say_is_in_the_key(tmp_path):
    """And travels as JSON to the process that makes the plan."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(5, 7))
    regions, samples = tmp_path / "regions.txt", tmp_path / "samples.txt"
    keys = []
    for region, sample in (("1\t5\t5", "S0001"), ("1\t5\t5\n2\t9\t20", "S0001"), ("1\t5", "S\xe9")):
        regions.write_text(region, encoding="utf-8")
        samples.write_text(sample, encoding="latin-1")
        view = parse(store, "-R", regions, "-T", f"^{regions}", "-S", samples)
        assert ViewOptions.from_json(view.to_json()) == view
        keys.append(view.digest("1"))
    assert len(set(keys)) == 3
