"""Programs and libraries at work on a mounted `.bgen`: BOLT-LMM and bgen-reader."""

import errno
import subprocess
from pathlib import Path

import bgen_reader
import numpy as np
import pytest
import zarr
from support.bgen import check_reader, parse, same_number
from support.oracles import run
from support.stores import copy_store

from biofuse.demo import make_demo_store

SAMPLES = 400
CAUSAL_EFFECT = 1.5


@pytest.fixture
def store(made):
    """Of 400 samples and 2,500 variants, some of them phased."""

    def make(folder):
        make_demo_store(folder / "x.vcz", num_samples=SAMPLES, num_variants=2500)
        return folder / "x.vcz"

    return made("bgen-programs", make)


def dosages(store: Path) -> np.ndarray:
    """Copies of ALT, (variants, samples): NaN where missing, twice where haploid."""
    calls = zarr.open_group(store, mode="r")["call_genotype"][...].astype(float)
    second = np.where(calls[..., 1] == -2, calls[..., 0], calls[..., 1])
    missing = (calls[..., 0] < 0) | (second < 0)
    return np.where(missing, np.nan, calls[..., 0] + second)


def write_phenotype(path: Path, names, values: np.ndarray) -> np.ndarray:
    """A BOLT-LMM phenotype that one variant decides in part. Returns it."""
    noise = np.random.default_rng(3).normal(size=len(values))
    phenotype = (CAUSAL_EFFECT * np.nan_to_num(values) + noise).round(4)
    lines = [f"{name} {name} {y:.4f}\n" for name, y in zip(names, phenotype, strict=True)]
    path.write_text("FID IID y\n" + "".join(lines))
    return phenotype


def bolt_words(mount, folder: Path) -> list:
    """A quick association run over the mounted `.bgen`, its model made from the `.bed`."""
    return [
        *("bolt", "--lmmInfOnly", "--LDscoresUseChip", "--noMapCheck", "--numThreads", "1"),
        *("--bfile", mount.stem, "--phenoFile", folder / "phenotype", "--phenoCol", "y"),
        *("--bgenFile", f"{mount.stem}.bgen", "--sampleFile", f"{mount.stem}.sample"),
        *("--statsFile", folder / "bed.stats", "--statsFileBgenSnps", folder / "bgen.stats"),
    ]


def rows_of(path: Path) -> list[dict[str, str]]:
    names, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def column(rows, name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def check_association(store: Path, mount, folder: Path) -> None:
    """BOLT-LMM's statistics of all variants against the store's calls and its own of the `.bed`."""
    group = zarr.open_group(store, mode="r")
    of_alt = dosages(store)
    frequency = np.nanmean(of_alt, axis=1) / 2
    complete = ~np.isnan(of_alt).any(axis=1)
    causal = int(np.argmin(np.abs(frequency - 0.4) + ~complete))
    phenotype = write_phenotype(folder / "phenotype", group["sample_id"][...], of_alt[causal])
    run(*bolt_words(mount, folder))
    rows = rows_of(folder / "bgen.stats")
    alleles = group["variant_allele"][...].tolist()
    contigs = group["contig_id"][...][group["variant_contig"][...]].tolist()
    assert [(r["ALLELE1"], r["ALLELE0"]) for r in rows] == [tuple(a) for a in alleles]
    assert [f"chr{r['CHR']}" for r in rows] == contigs
    assert [int(r["BP"]) for r in rows] == group["variant_position"][...].tolist()
    # ALLELE1 is the first, REF.
    assert np.abs(column(rows, "A1FREQ") - (1 - frequency)).max() < 1e-6
    beta = column(rows, "BETA")
    slope = np.polyfit(of_alt[causal], phenotype, 1)[0]
    assert abs(slope - CAUSAL_EFFECT) < 0.2
    # A mixed model, whose random effects take a part of the slope.
    assert abs(-beta[causal] - slope) < 0.4
    assert float(rows[causal]["P_BOLT_LMM_INF"]) < 1e-20
    # Of the .bed ALLELE1 is ALT, and BOLT-LMM leaves out variants that lack many calls.
    by_position = {(r["CHR"], r["BP"]): r for r in rows_of(folder / "bed.stats")}
    pairs = [
        (float(r["BETA"]), -float(by_position[r["CHR"], r["BP"]]["BETA"]))
        for r, full in zip(rows, complete, strict=True)
        if full and (r["CHR"], r["BP"]) in by_position
    ]
    assert len(pairs) > 1000
    assert same_number(*np.array(pairs).T, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--phased"], []])
def test_bolt_lmm(options, store, biofuse, tmp_path):
    formats = ["--format", "plink", "--format", "bgen"]
    with biofuse.mount(store, *formats, *options) as mount:
        phased = sum(v.phased for v in parse(Path(f"{mount.stem}.bgen").read_bytes()).variants)
        assert (phased > 500) == (bool(options))
        check_association(store, mount, tmp_path)
        assert mount.status()["counters"]["errors"] == 0


@pytest.mark.slow
def test_bolt_lmm_wants_haploid_calls_as_diploid_ones(store, biofuse, tmp_path):
    haploid = copy_store(store, tmp_path / "x.vcz")
    array = zarr.open_group(haploid, mode="r+")["call_genotype"]
    calls = array[...]
    calls[2000:, ::2, 1] = -2
    array[...] = calls
    formats = ["--format", "plink", "--format", "bgen"]
    with biofuse.mount(haploid, *formats, "--haploid-as-diploid") as mount:
        check_association(haploid, mount, tmp_path)
    with biofuse.mount(haploid, *formats) as mount:
        words = [str(word) for word in bolt_words(mount, tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert "minimum ploidy = 1 (not 2)" in done.stdout + done.stderr


OPENERS = {
    "open_bgen": lambda path: bgen_reader.open_bgen(path, verbose=False),
    "complex": lambda path: bgen_reader.open_bgen(path, allow_complex=True, verbose=False),
    "read_bgen": lambda path: bgen_reader.read_bgen(path, verbose=False),
}


@pytest.mark.slow
def test_bgen_reader_with_its_metadata_elsewhere(store, biofuse, tmp_path):
    wanted = dosages(store)
    with biofuse.mount(store, "--format", "bgen", "--unphased") as mount:
        path = f"{mount.stem}.bgen"
        for name, opener in OPENERS.items():
            with pytest.raises(OSError, match="Read-only file system") as caught:
                opener(path)
            assert caught.value.errno == errno.EROFS, name
        assert {p.name for p in mount.dir.iterdir()} == {"x.bgen", "x.bgen.bgi", "x.sample"}

        file = parse(Path(path).read_bytes())
        check_reader("bgen-reader", mount.stem, tmp_path, file.variants)
        with bgen_reader.open_bgen(
            path, metadata_filepath=tmp_path / "x.mmm", verbose=False
        ) as opened:
            assert opened.samples.tolist() == file.samples
            probs = opened.read()
            found = (probs[..., 1] + 2 * probs[..., 2]).T
            assert same_number(found, wanted, 1e-6)

        metafile = tmp_path / "x.metafile"
        bgen_reader.create_metafile(path, metafile, verbose=False)
        read = bgen_reader.read_bgen(path, metafile_filepath=metafile, verbose=False)
        assert read["samples"].tolist() == file.samples
        for i in (0, 1234, 2499):
            probs = read["genotype"][i].compute()["probs"]
            assert same_number(probs[:, 1] + 2 * probs[:, 2], wanted[i], 1e-6)
        assert mount.status()["counters"]["errors"] == 0
