"""plink2, plink1.9 and bed-reader take the mounted files for real ones."""

import numpy as np
import pytest
from bed_reader import open_bed
from support.oracles import plink2, plink2_make_bed, plink19
from support.stores import vcf_store
from support.vcf import random_vcf

NUM_SAMPLES, NUM_SITES = 1003, 400


@pytest.fixture(scope="module")
def inputs(made):
    """A VCF with two contigs and its store, awkwardly chunked."""
    vcf = random_vcf(NUM_SAMPLES, NUM_SITES, chroms=("1", "22"), seed=30)

    def make(directory):
        return vcf_store(vcf, directory, variants_chunk_size=61, samples_chunk_size=251)

    return made("readers", make)


@pytest.fixture(scope="module")
def real(inputs, tmp_path_factory):
    """The stem of a fileset on disk, made by plink2."""
    stem = tmp_path_factory.mktemp("real") / "x"
    plink2_make_bed(inputs[0], stem)
    return stem


@pytest.fixture(scope="module")
def mount(inputs, module_biofuse):
    with module_biofuse.mount(inputs[1]) as mount:
        yield mount


PLINK2 = {
    "freq": (["--freq"], "afreq"),
    "missing": (["--missing"], "vmiss"),
    "missing-by-sample": (["--missing"], "smiss"),
    "hardy": (["--hardy"], "hardy"),
    "het": (["--het"], "het"),
    "export": (["--export", "vcf"], "vcf"),
    "one-chromosome": (["--freq", "--chr", "22"], "afreq"),
    "recode": (["--make-bed"], "bed"),
    "subset": (["--freq", "--thin-count", "50", "--seed", "1"], "afreq"),
}

PLINK19 = {
    "freq": (["--freq"], "frq"),
    "missing": (["--missing"], "lmiss"),
    "missing-by-sample": (["--missing"], "imiss"),
    "hardy": (["--hardy"], "hwe"),
    "prune": (["--indep-pairwise", "50", "5", "0.2", "--set-missing-var-ids", "@:#"], "prune.in"),
    "recode": (["--make-bed"], "bed"),
}


def result(program, stem, arguments, suffix, out):
    program("--bfile", stem, "--allow-extra-chr", *arguments, "--out", out)
    text = out.with_name(f"{out.name}.{suffix}").read_bytes()
    assert text
    return text


@pytest.mark.parametrize("name", PLINK2)
def test_plink2(name, mount, real, tmp_path):
    arguments, suffix = PLINK2[name]
    on_real = result(plink2, real, arguments, suffix, tmp_path / "real")
    assert result(plink2, mount.stem, arguments, suffix, tmp_path / "mounted") == on_real


@pytest.mark.parametrize("name", PLINK19)
def test_plink19(name, mount, real, tmp_path):
    arguments, suffix = PLINK19[name]
    on_real = result(plink19, real, arguments, suffix, tmp_path / "real")
    assert result(plink19, mount.stem, arguments, suffix, tmp_path / "mounted") == on_real


def dosages(vcf) -> np.ndarray:
    """Copies of ALT, -127 where missing: (samples, variants)."""
    values = {"0/0": 0, "0|0": 0, "0/1": 1, "0|1": 1, "1|0": 1, "1/1": 2, "1|1": 2}
    return np.array([[values.get(call, -127) for call in site.calls] for site in vcf.sites]).T


def test_bed_reader(mount):
    expected = dosages(random_vcf(NUM_SAMPLES, NUM_SITES, chroms=("1", "22"), seed=30))
    with open_bed(mount.bed) as bed:
        assert bed.shape == (NUM_SAMPLES, NUM_SITES)
        assert list(bed.iid[:2]) == ["S0000", "S0001"]
        assert set(bed.chromosome) == {"1", "22"}
        # bed-reader counts A1, which is ALT.
        assert np.array_equal(bed.read(dtype="int8"), expected)
        samples, variants = [1002, 0, 517], [399, 3, 4, 5, 120]
        part = bed.read(index=np.s_[samples, variants], dtype="int8")
        assert np.array_equal(part, expected[np.ix_(samples, variants)])
        assert np.array_equal(
            bed.read(index=np.s_[:, ::7], dtype="int8", num_threads=4), expected[:, ::7]
        )
    with open_bed(mount.bed, count_A1=False) as bed:
        other = np.where(expected < 0, -127, 2 - expected)
        assert np.array_equal(bed.read(dtype="int8"), other)


def test_bed_reader_of_real_files_agrees(mount, real):
    with open_bed(mount.bed) as mounted, open_bed(f"{real}.bed") as on_disk:
        a, b = mounted.read(), on_disk.read()
        assert np.array_equal(a, b, equal_nan=True)
        for name in ("fid", "iid", "sid", "chromosome", "bp_position", "allele_1", "allele_2"):
            assert list(getattr(mounted, name)) == list(getattr(on_disk, name))
