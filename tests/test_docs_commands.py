"""The commands of the documentation are run, or at least parse."""

import os
import re
import subprocess
import sys
from pathlib import Path

import bgen_reader
import click
import numpy as np
import pytest
import zarr
from support.docs import PAGES, PROGRAM_PAGES, ROOT, Block, blocks, check_parses, script
from support.stores import add_field

from biofuse.demo import make_demo_store
from biofuse.mounts import find_mount

# What a page's commands must have left behind, so that a page that runs nothing is found out.
PRODUCTS = {
    "README.md": ["plink2.afreq", "result.afreq", "pgen.afreq", "range.txt"],
    "plink2.md": [
        *("freq.afreq", "freq-bgen.afreq", "freq19.frq", "pruned.prune.in", "pca.eigenvec"),
        *("assoc.y.glm.linear", "assoc.case.glm.logistic.hybrid", "part.afreq"),
    ],
    "bolt-lmm.md": ["bed.stats", "bgen.stats"],
    "regenie.md": ["pheno.txt", "step1.prune.in"],
    "saige.md": ["pheno.txt"],
    "gcta.md": ["pheno.txt"],
    "export.md": [
        *("out.bed", "out.bim", "out.fam", "out.bgen", "out.bgen.bgi", "out.sample"),
        *("chr20.bed", "small.bgen", "small.bgen.bgi", "result.afreq"),
    ],
    "python.md": ["freq.afreq"],
    "bcf.md": ["region.vcf", "bcf.afreq", "calls.txt"],
    "pgen.md": ["pgen.afreq"],
    "sites.md": ["split.afreq", "freq_20.afreq"],
    "presets.md": ["freq.afreq", "stats.txt"],
    "samples.md": [
        *("cohort.tsv", "map.txt", "cohort.fam", "cohort.bim", "cohort.sample"),
        "bmi.PHENO1.glm.linear",
    ],
    "readers.md": ["cohort.mmm", "links/cohort.bgen.metadata2.mmm", "region.txt", "region.vcf"],
}
# Pages of commands for a store that is there already.
PAGES_OF_A_STORE = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("bcf", "export", "pgen", "presets", "python", "samples", "sites")
    ),
]
# Programs that tests have: no block of ours needs a mark for them.
HERE = {"plink2", "plink1.9", "bolt", "bcftools", "bgenix"}


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks(page)]


@pytest.fixture
def paths(made, monkeypatch):
    """A working directory that has the files that our pages name."""

    def make(folder):
        make_demo_store(folder / "cohort.vcz", num_samples=1, num_variants=1)
        (folder / "mnt").mkdir()
        (folder / "keep.txt").write_text("north001\n")
        (folder / "exome.bed").write_text("chr20\t8000000\t9000000\n")
        return folder

    monkeypatch.chdir(made("docs-paths", make))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_line_of_biofuse_parses(page, paths):
    for block in blocks(page):
        if block.language == "sh":
            for words in block.commands():
                if words[0] == "biofuse":
                    check_parses(words)


def test_a_line_that_does_not_parse_is_found_out():
    check_parses(["biofuse", "mount", "cohort.vcz", "mnt", "--bits", "16"])
    for words in (
        ["mount", "x", "y", "--bits", "9"],
        ["run", "x", "plink2"],
        ["status", "--nothing"],
    ):
        with pytest.raises(click.ClickException):
            check_parses(["biofuse", *words])


def test_python_blocks_compile():
    for block in all_blocks():
        if block.language == "python":
            compile(block.text, block.name, "exec")


def test_programs_that_are_here_are_not_marked():
    for block in all_blocks():
        assert not {mark.removeprefix("needs=") for mark in block.marks} & HERE, block.name


@pytest.fixture
def folder(tmp_path):
    """A folder to run a page in; what it leaves mounted there is unmounted."""
    yield tmp_path
    for path in tmp_path.iterdir():
        if path.is_dir() and find_mount(str(path)):
            subprocess.run([biofuse_program(), "umount", "--lazy", path], check=True, timeout=60)


def biofuse_program() -> Path:
    return Path(sys.executable).parent / "biofuse"


def add_depths(store: Path) -> None:
    """DP and AD of each call, as stores of sequenced genomes have."""
    shape = zarr.open_group(store)["call_genotype_phased"].shape
    rng = np.random.default_rng(3)
    depths = rng.integers(1, 40, (*shape, 2), dtype=np.int16)
    add_field(store, "call_AD", depths)
    add_field(store, "call_DP", depths.sum(axis=2, dtype=np.int16))


def run_page(page: Path, folder: Path) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PATH": f"{biofuse_program().parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        ["bash", "-c", script(blocks(page), sys.executable)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES_OF_A_STORE, *PROGRAM_PAGES], ids=lambda page: page.name)
def test_a_page(page, folder):
    if page in PAGES_OF_A_STORE:
        make_demo_store(folder / "cohort.vcz")
        add_depths(folder / "cohort.vcz")
        (folder / "keep.txt").write_text("south001\nnorth001\n")
        (folder / "exome.bed").write_text("chr20\t8000000\t9000000\n")
    done = run_page(page, folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for name in PRODUCTS[page.name]:
        assert (folder / name).stat().st_size > 0, name


def test_a_page_whose_command_fails_fails(folder):
    page = ROOT / "docs" / "programs" / "plink2.md"
    (block, *_) = blocks(page)
    bad = Block(page, 1, "sh", [], "biofuse mount nothing.vcz mnt\necho went on\n")
    done = subprocess.run(
        ["bash", "-c", script([block, bad], sys.executable)],
        cwd=folder,
        env={**os.environ, "PATH": f"{biofuse_program().parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0 and "went on" not in done.stdout


def test_every_programs_page_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[\w/.-]+)\)", (ROOT / "README.md").read_text()))
    assert PROGRAM_PAGES
    assert {str(page.relative_to(ROOT)) for page in PROGRAM_PAGES} <= linked


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([\w/.-]+\.md)(?:#[\w-]+)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


MESSAGES = {
    "plink2 --bfile mnt/x --freq --out mnt/out": "Read-only file system",
    "plink2 --bfile mnt/x --indep-pairwise 50 5 0.2 --out out": "requires unique variant IDs",
    "plink2 --bgen mnt/x.bgen --freq --out out": "--bgen now requires a REF/ALT mode",
    "biofuse mount x.vcz other -r 20": "the store has no contig '20'",
}


def test_messages_are_what_programs_print(folder):
    """Those of programs that are here; each is in the troubleshooting."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    make_demo_store(folder / "x.vcz", num_samples=60, num_variants=900)
    for name in ("mnt", "other"):
        (folder / name).mkdir()
    biofuse = [str(biofuse_program())]
    subprocess.run([*biofuse, "mount", "x.vcz", "mnt"], cwd=folder, check=True, timeout=60)
    for line, message in MESSAGES.items():
        words = line.split()
        done = subprocess.run(
            [*(biofuse if words[0] == "biofuse" else words[:1]), *words[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0, line
        assert message in " ".join((done.stdout + done.stderr).split()), line
        assert message in text, message


BGEN_READER_PATHS = {
    None: (OSError, "Read-only file system: '"),
    "x.mmm": (FileNotFoundError, "No such file or directory: 'x.mmm.temp'"),
}


def test_messages_of_bgen_reader(folder, monkeypatch):
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    make_demo_store(folder / "x.vcz", num_samples=10, num_variants=40)
    (folder / "mnt").mkdir()
    words = [biofuse_program(), "mount", "x.vcz", "mnt"]
    subprocess.run(words, cwd=folder, check=True, timeout=60)
    monkeypatch.chdir(folder)
    for path, (error, message) in BGEN_READER_PATHS.items():
        with pytest.raises(error) as caught:
            bgen_reader.open_bgen("mnt/x.bgen", metadata_filepath=path, verbose=False)
        assert message in str(caught.value)
        assert message in text
    path = folder / "x.mmm"
    with bgen_reader.open_bgen("mnt/x.bgen", metadata_filepath=path, verbose=False) as opened:
        assert opened.nvariants == 40
