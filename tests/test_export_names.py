"""What may be the OUT of an export, and the examples of its help."""

import subprocess
from pathlib import Path

import pytest
from support.stores import make_store, random_genotypes

from biofuse.demo import make_demo_store

GENOTYPES = random_genotypes(30, 11, seed=3)


@pytest.fixture(scope="module")
def store(made):
    return made("export-names", lambda folder: make_store(folder / "x.vcz", GENOTYPES))


@pytest.mark.parametrize("out", ["out.bed", "folder/out.bgen.bgi", "out.psam"])
def test_a_name_with_a_suffix(out, store, biofuse, tmp_path):
    (tmp_path / "folder").mkdir()
    said = biofuse.fails("export", store, out, cwd=tmp_path)
    name = Path(out).name
    assert said == (
        f"OUT is the files' name without suffix: for {name} write {name.partition('.')[0]}"
    )
    # A folder may have any name.
    (tmp_path / "x.bed").mkdir()
    biofuse("export", store, "x.bed", "--format", "plink", cwd=tmp_path)
    assert (tmp_path / "x.bed/x.bed").exists()


@pytest.mark.parametrize(
    "out", ["http://127.0.0.1:9/folder/x", "https://user:secret@example.org/x"]
)
def test_a_web_server(out, store, biofuse):
    said = biofuse.fails("export", store, out)
    assert "is on a web server, to which no files can be written" in said
    assert "secret" not in said


def test_a_bucket_is_a_folder(store, placer, biofuse):
    there = placer.put("s3", store)
    bucket = "/".join(there.url.split("/")[:3])
    for out in (bucket, f"{bucket}/"):
        words = ("--format", "plink", *there.options)
        done = biofuse("export", there.url, out, *words, env=there.env)
        assert f"{bucket}/x.bed: " in done.stdout


def test_the_examples_of_the_help(biofuse, tmp_path):
    """As they are pasted after `biofuse demo cohort.vcz`."""
    make_demo_store(tmp_path / "cohort.vcz", num_samples=20, num_variants=300)
    text = biofuse("export", "--help").stdout
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line.startswith("biofuse export cohort.vcz ")]
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=biofuse.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert {"out.bed", "chr20.bed", "small.bgen"} <= {path.name for path in tmp_path.iterdir()}
