"""Formats of a mount: what cannot be shown is left out, unless it was asked for."""

import os

import numpy as np
import pytest
import zarr
from support.stores import add_field, chunk_files, make_store, random_genotypes
from support.views import parse as parse_options

GENOTYPES = np.abs(random_genotypes(40, 9, seed=1)).clip(0, 1)
PLINK = {"x.bed", "x.bim", "x.fam"}
BGEN = {"x.bgen", "x.bgen.bgi", "x.sample"}
PLINK2 = {"x.pgen", "x.pvar", "x.psam"}


def with_string(store, field, index, text):
    array = zarr.open_group(store, mode="r+")[field]
    values = array[...]
    values[index] = text
    array[...] = values


def phased(dtype, shape=(40, 9)):
    return lambda store: add_field(
        store, "call_genotype_phased", np.ones(shape, dtype), chunks=(10, 9)
    )


# How a store comes to have no `.bgen`, and what is said of it.
ONLY_BGEN = {
    "long-id": (
        lambda store: with_string(store, "variant_id", 25, "x" * 70_000),
        ["has an ID of 70000 bytes, and BGEN holds up to 65535"],
    ),
    "large-alleles": (
        lambda store: with_string(store, "variant_allele", (7, 1), "C" * 3_000_000),
        ["the memory budget is too small for records of 300", "use --memory"],
    ),
}


# Phase that cannot be read matters to who asks for it.
PHASE = {
    "of-integers": (phased("int8"), ["call_genotype_phased", "int8", "--unphased"]),
    "of-fewer-variants": (
        phased("bool", (35, 9)),
        ["call_genotype_phased is of shape (35, 9)", "40 variants and 9 samples", "--unphased"],
    ),
    "of-fewer-samples": (phased("bool", (40, 8)), ["is of shape (40, 8)", "--unphased"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PHASE)
def test_phase_that_cannot_be_read(name, biofuse, tmp_path):
    spoil, said_words = PHASE[name]
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(10, 9))
    spoil(store)
    whole = make_store(tmp_path / "whole.vcz", GENOTYPES, chunks=(10, 9))
    command = ["--", "sh", "-c", "md5sum < {bgen}"]
    assert biofuse("run", store, *command).stdout == biofuse("run", whole, *command).stdout
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--phased")
    for words in said_words:
        assert words in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ONLY_BGEN)
def test_stores_that_bgen_alone_cannot_show(name, biofuse, tmp_path):
    spoil, said_words = ONLY_BGEN[name]
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(10, 9))
    spoil(store)
    small = ["--memory", "16MiB"]
    # The second time from the kept plan.
    for _ in range(2):
        directory = biofuse.new_directory()
        done = biofuse("mount", store, directory, *small)
        try:
            assert {p.name for p in directory.iterdir()} == PLINK
            assert (directory / "x.bed").stat().st_size == 3 + 40 * 3
            assert (directory / "x.bed").read_bytes()[:3] == b"\x6c\x1b\x01"
            assert (directory / "x.bim").read_text().count("\n") == 40
        finally:
            biofuse("umount", directory)
        (line,) = done.stderr.splitlines()
        assert line.startswith("biofuse: there is no .bgen: ")
        for words in said_words:
            assert words in line
        # What asks for it, in whatever way, is told that it cannot be had.
        for more in (["--format", "bgen"], ["--no-header-samples"], ["--bits", "16"]):
            said = biofuse.fails("mount", store, biofuse.new_directory(), *small, *more)
            assert not said.startswith("there is no")
            for words in said_words:
                assert words in said
    said = biofuse.fails("run", store, *small, "--", "test", "-s", "{bgen}")
    assert said_words[0] in said
    biofuse("run", store, *small, "--", "test", "-s", "{bed}")


def test_unphased_does_without_a_field_of_another_kind(biofuse, tmp_path):
    store = phased("int8")(make_store(tmp_path / "x.vcz", GENOTYPES))
    with biofuse.mount(store, "--unphased") as mount:
        assert {p.name for p in mount.dir.iterdir()} == PLINK | BGEN


def test_a_damaged_phase_chunk_fails_its_own_reads_only(biofuse, tmp_path):
    """As one of calls does; nobody is kept from the rest, and the plan is not kept."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(10, 9))
    add_field(store, "call_genotype_phased", np.eye(40, 9, dtype=bool), chunks=(10, 9))
    chunk = chunk_files(store, "call_genotype_phased")[0]
    sound = chunk.read_bytes()
    chunk.write_bytes(b"x" * 100)
    for more in ([], ["--format", "bgen"]):
        directory = biofuse.new_directory()
        log = ["--log-file", tmp_path / "log"]
        done = biofuse("mount", store, directory, "--phased", *log, *more)
        try:
            assert "call_genotype_phased/0.0" in done.stderr
            assert "reads of them fail" in done.stderr
            assert {p.name for p in directory.iterdir()} >= BGEN
            with open(directory / "x.bgen", "rb") as f, pytest.raises(OSError, match="Input"):
                f.read()
        finally:
            biofuse("umount", directory)
    assert list(biofuse.cache.rglob("plan.json")) == []
    chunk.write_bytes(sound)
    with biofuse.mount(store) as mount:
        assert os.path.getsize(f"{mount.stem}.bgen") == len((mount.dir / "x.bgen").read_bytes())


def test_white_space_in_a_sample_id(biofuse, tmp_path):
    """A reason of `.fam`, `.sample` and `.psam`, each of which can be done without."""
    names = ["a b", *"cdefghij"[:8]]
    store = make_store(tmp_path / "x.vcz", GENOTYPES, samples=names)
    shown = {
        "--no-fam": (PLINK - {"x.fam"}, {".bgen"}),
        "--no-sample-file": (BGEN - {"x.sample"}, {".bed"}),
        "--no-psam": (PLINK2 - {"x.psam"}, {".bed", ".bgen"}),
    }
    for option, (left, lost) in shown.items():
        directory = biofuse.new_directory()
        done = biofuse("mount", store, directory, option)
        try:
            assert {p.name for p in directory.iterdir()} == left
        finally:
            biofuse("umount", directory)
        lines = done.stderr.splitlines()
        said = "biofuse: there is no {}: sample ID 'a b' contains"
        assert {x for x in lost if any(y.startswith(said.format(x)) for y in lines)} == lost
        assert len(lines) == len(lost)
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--format", "bgen")
    assert said.endswith("rename it, or do without that file with --no-sample-file")


def test_an_option_of_bgen_where_ploidy_is_3(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", np.zeros((4, 3, 3), dtype=np.int8))
    for more in (["--format", "bgen"], ["--unphased"], ["--bgen-field", "GP"]):
        said = biofuse.fails("mount", store, biofuse.new_directory(), *more)
        assert "3 alleles a call; BGEN files are made of haploid and diploid calls" in said


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("plink", ["--bgen-field", "DS"]),
        ("plink", ["--bits", "16"]),
        ("plink", ["--haploid-as-diploid"]),
        ("plink", ["--phased"]),
        ("plink", ["--unphased"]),
        ("bgen", ["--no-fam"]),
        ("plink", ["--dosage", "DS"]),
        ("plink", ["--no-pvar-info"]),
    ],
)
def test_an_option_of_a_format_that_is_not_shown(shown, words, biofuse, tmp_path):
    """Who asks for dosages is not to get calls."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--format", shown, *words)
    other = {"plink": "bgen", "bgen": "plink"}[shown]
    if words[0] in ("--dosage", "--no-pvar-info"):
        other = "plink2"
    assert said.startswith(f"{words[0]} is for --format {other}, which is not among")


def test_a_format_named_twice_is_one(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    words = ["--format", "bgen", "--format", "plink", "--format", "bgen"]
    options = parse_options(store, *words)
    assert options.formats == options.required == ["bgen", "plink"]
    with biofuse.mount(store, *words) as mount:
        assert {p.name for p in mount.dir.iterdir()} == PLINK | BGEN


def test_one_plan_for_all_that_is_required(biofuse, tmp_path):
    """Whether a format must be there is no part of a plan."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    for words in (["true"], ["test", "-s", "{bgen}"], ["test", "{bed}", "-nt", "{bgi}a"]):
        biofuse("run", store, "--", *words)
    assert len(list(biofuse.cache.rglob("plan.json"))) == 1


RUNS = {
    "no-psam": (["--no-psam"], "{psam}", "there is no {psam} with --no-psam"),
    "plink2": (
        ["--format", "plink"],
        "a={pvar}",
        "there is no {pvar} with --format plink: add --format plink2",
    ),
    "no-bgi": (["--no-bgi"], "{bgi}", "there is no {bgi} with --no-bgi"),
    "no-sample": (["--no-sample-file"], "a={sample}", "there is no {sample} with --no-sample-file"),
    "no-fam": (["--no-fam"], "{fam}", "there is no {fam} with --no-fam"),
    "plink": (
        ["--format", "plink"],
        "{bgen}",
        "there is no {bgen} with --format plink: add --format bgen",
    ),
    "bgen": (
        ["--format", "bgen"],
        "{bed}",
        "there is no {bed} with --format bgen: add --format plink",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_run_with_a_file_that_is_not_shown(name, biofuse, tmp_path):
    options, word, said = RUNS[name]
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    out = tmp_path / "ran"
    assert biofuse.fails("run", store, *options, "--", "touch", out, word) == said
    assert not out.exists()


def test_other_braces_stay(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    words = ["awk '{print}'", "{", "{}", "{bed", "{NF}", "{print bed}"]
    done = biofuse("run", store, "--format", "bgen", "--", "printf", "%s\\n", *words)
    assert done.stdout.splitlines() == words
