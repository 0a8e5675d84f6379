"""The three files equal plink2's and vcztools' on stores made from VCFs, and a naive encoder's."""

import pytest
from support.oracles import plink2_make_bed, vcztools_view_plink
from support.stores import vcf_store, zip_store
from support.vcf import DIPLOID, HALF, HAPLOID, Site, Vcf, random_calls, random_vcf, sample_names

MIXED = DIPLOID + HAPLOID + HALF


def vcf_of(calls_of_sites, **fields) -> Vcf:
    """A VCF of these calls at one site after another."""
    sites = [Site("1", 10 * i + 10, calls, **fields) for i, calls in enumerate(calls_of_sites)]
    return Vcf(sample_names(len(calls_of_sites[0])), sites)


def long_alleles() -> Vcf:
    long = "ACGT" * 700
    sites = [
        Site("1", 10, ["0/1"] * 6, ref="A" + long, alt="A", id="deletion"),
        Site("1", 20000, ["0/1"] * 6, ref="A", alt="A" + long, id="x" * 300),
        Site("1", 30000, ["1/1"] * 6, ref="G", alt="<DEL>"),
        Site("1", 40000, ["0/0"] * 6, ref="G", alt="*"),
    ]
    return Vcf(sample_names(6), sites)


CASES = {
    "one-sample": random_vcf(1, 60, seed=1),
    "five-samples": random_vcf(5, 60, seed=2),
    "1003-samples": random_vcf(1003, 70, seed=3),
    "3202-samples": random_vcf(3202, 230, seed=4),
    "one-site": random_vcf(9, 1, seed=5),
    "mixed-ploidy": random_vcf(41, 90, MIXED, seed=6),
    "mixed-ploidy-3202": random_vcf(3202, 50, MIXED, seed=7),
    "haploid-in-places": random_vcf(21, 40, (*HAPLOID, "0/1"), seed=8),
    "half-calls": random_vcf(17, 40, HALF, seed=9),
    "phased": random_vcf(13, 30, ("0|0", "0|1", "1|0", "1|1"), seed=10),
    "all-missing": vcf_of([["./."] * 11, [".|."] * 11, ["./."] * 11]),
    "all-reference": vcf_of([["0/0"] * 7] * 5),
    "all-reference-v2": vcf_of([["0/0"] * 7] * 5),
    "all-alternate": vcf_of([["1/1"] * 8] * 5),
    "all-het": vcf_of([["0/1"] * 4] * 3),
    "monomorphic": vcf_of([["0/0", "./.", "0|0", "0/.", "0/0"]] * 3, alt="."),
    "long-alleles": long_alleles(),
    "contigs": random_vcf(6, 88, chroms=("1", "2", "10", "22", "X", "Y", "MT", "GL000192.1")),
    "chr-contigs": random_vcf(6, 70, chroms=("chr1", "chr22", "chrX", "chrY", "chrM", "chrUn_7")),
}

# Chunks of variants and samples that divide nothing.
CHUNKS = {
    "1003-samples": (23, 101),
    "3202-samples": (97, 1000),
    "mixed-ploidy": (7, 13),
    "mixed-ploidy-3202": (33, 707),
}


@pytest.mark.parametrize("name", CASES)
def test_the_mount_equals_plink2_and_vcztools(name, biofuse, made, tmp_path):
    vcf = CASES[name]
    zarr_format = 3 if list(CASES).index(name) % 2 else 2
    variants, samples = CHUNKS.get(name, (None, None))

    def make(directory):
        return vcf_store(
            vcf,
            directory,
            variants_chunk_size=variants,
            samples_chunk_size=samples,
            zarr_format=zarr_format,
        )

    path, store = made(f"bytes-{name}", make)
    by_plink2 = plink2_make_bed(path, tmp_path / "p")
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen.bim == by_plink2.bim
    assert seen.fam == by_plink2.fam
    assert seen.bed == by_plink2.bed
    assert seen.bed == vcf.bed()
    assert vcztools_view_plink(store, tmp_path / "v") == seen


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_both_zarr_formats(zarr_format, biofuse, tmp_path):

    vcf = random_vcf(37, 55, MIXED, seed=20)
    _, store = vcf_store(
        vcf, tmp_path, variants_chunk_size=10, samples_chunk_size=11, zarr_format=zarr_format
    )
    by_vcztools = vcztools_view_plink(store, tmp_path / "v")
    with biofuse.mount(store) as mount:
        assert mount.fileset() == by_vcztools
    assert by_vcztools.bed == vcf.bed()


def test_a_zip_file(biofuse, tmp_path):

    vcf = random_vcf(37, 55, MIXED, seed=21)
    _, store = vcf_store(vcf, tmp_path, variants_chunk_size=10, samples_chunk_size=11)
    archive = zip_store(store)
    by_vcztools = vcztools_view_plink(archive, tmp_path / "v")
    with biofuse.mount(archive, "--format", "plink") as mount:
        assert sorted(p.name for p in mount.dir.iterdir()) == ["x.bed", "x.bim", "x.fam"]
        assert mount.fileset() == by_vcztools


def test_a_call_beyond_the_oracles(made):
    """The naive encoder itself, against codes worked out by hand."""
    vcf = vcf_of([["0/0", "0/1", "1/1", "./.", "0/."], ["0", "1", ".", "1|0", "./1"]])
    first = 0b01_00_10_11, 0b01
    second = 0b10_01_00_11, 0b01
    assert vcf.bed() == b"\x6c\x1b\x01" + bytes([*first, *second])
    assert random_calls(3, seed=1) == random_calls(3, seed=1)
