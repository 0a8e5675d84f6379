"""Calls as five readers see them in `.bgen` files equal the store's, for every kind of call."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import bgen_reference as reference
from support.bgen import by_plink2, check_all_readers, check_index, parse
from support.stores import add_field, make_store, random_genotypes, vcf_store
from support.vcf import DIPLOID, HALF, HAPLOID, Site, Vcf, random_calls, random_vcf, sample_names
from support.views import make_files

PHASED = ("0|0", "0|1", "1|0", "1|1")
UNPHASED = ("0/0", "0/1", "1/1", "./.")


def sites(*groups, **fields) -> Vcf:
    """A VCF of sites with calls of one kind each, a few sites a kind."""
    lines = []
    for number, (choices, count) in enumerate(groups):
        for _ in range(count):
            calls = random_calls(13, choices, seed=100 * number + len(lines))
            lines.append(Site("1", 10 * len(lines) + 10, calls, id=f"v{len(lines)}", **fields))
    return Vcf(sample_names(13), lines)


def on_contigs(*chroms) -> Vcf:
    return random_vcf(11, 6 * len(chroms), DIPLOID, chroms, seed=3)


def long_alleles() -> Vcf:
    calls = ["0/1", "1/1", "0/0", "./.", "1|1"]
    long = "ACGT" * 16_500
    lines = [
        Site("1", 10, calls, ref="A" + long[:300], alt="A", id="deletion"),
        Site("1", 1000, calls, ref="A", alt="A" + long, id="x" * 300),
        Site("1", 2000, calls, ref="C" + long, alt="C", id="y"),
        Site("1", 70_000, calls, ref="G", alt="<DEL>", id="z"),
        Site("1", 70_001, calls, ref="G", alt="*", id="w"),
    ]
    return Vcf(sample_names(5), lines)


CASES = {
    "diploid": random_vcf(19, 40, UNPHASED, seed=1),
    "one-sample": random_vcf(1, 30, DIPLOID + HAPLOID, seed=2),
    "haploid": sites((HAPLOID, 6)),
    "mixed-ploidy": sites((DIPLOID + HAPLOID, 12)),
    "mixed-ploidy-phased": sites(((*PHASED, "0", "1"), 6), (DIPLOID + HAPLOID, 6)),
    "phased": sites((PHASED, 8)),
    "phased-and-missing": sites(((*PHASED, ".|."), 8)),
    "partly-phased": sites((PHASED, 3), (UNPHASED, 3), ((*PHASED, "0/1"), 3)),
    "half-calls": sites((HALF, 6), (HALF + DIPLOID + HAPLOID, 6)),
    "all-missing": sites((("./.",), 2), ((".|.",), 2), ((".",), 2)),
    "no-alt": random_vcf(9, 20, ("0/0", "./.", "0|0"), seed=4),
    "alt-absent": sites((("0/0", "./."), 3), alt="."),
    "contigs": on_contigs("1", "2", "10", "22", "GL000192.1"),
    "chr-contigs": on_contigs("chr1", "chr2", "chr22"),
    "long-alleles": long_alleles(),
    "long-ids": sites((DIPLOID, 1), ref="A"),
}
CASES["long-ids"] = Vcf(
    ["s" * 250, *sample_names(12)],
    [dataclasses.replace(s, id="r" * 3000) for s in CASES["long-ids"].sites],
)

OPTIONS = {
    "default": ([], {}),
    "unphased": (["--unphased"], {"unphased": True}),
    "16-bits": (["--bits", "16"], {"bits": 16}),
    "as-diploid": (["--haploid-as-diploid"], {"as_diploid": True}),
    "all": (
        ["--unphased", "--bits", "16", "--haploid-as-diploid"],
        {"unphased": True, "bits": 16, "as_diploid": True},
    ),
}

# cbgen and what is built on it write alleles of more than 65,535 bytes wrongly to their
# metadata; plink2's names of IDs end at 16,000 bytes.
PHASES = ("mixed-ploidy-phased", "partly-phased", "phased-and-missing")
TRIED = [(name, "default") for name in CASES]
TRIED += [(n, o) for n in ("mixed-ploidy", *PHASES) for o in list(OPTIONS)[1:]]


def store_of(made, name: str) -> Path:
    variants, samples = (5, 4) if list(CASES).index(name) % 2 else (1000, 1000)
    zarr_format = 3 if list(CASES).index(name) % 3 == 1 else 2

    def make(directory):
        return vcf_store(
            CASES[name],
            directory,
            variants_chunk_size=variants,
            samples_chunk_size=samples,
            zarr_format=zarr_format,
        )[1]

    return made(f"bgen-{name}", make)


# As the store has phase and contigs, which the reference reads.
SHOWN = ("--format", "bgen", "--phased", "--contig-names", "store")


def check_files(store: Path, folder: Path, options, but=(), **expected):
    """Files made with options hold what is expected, and all readers see it. Returns the file."""
    stem = make_files(store, folder / "files", *SHOWN, *options)
    data = Path(f"{stem}.bgen").read_bytes()
    file = parse(data)
    reference.check_stored(file.variants, reference.expected(store, **expected))
    check_index(stem, data, file)
    check_all_readers(stem, folder, file.variants, but)
    return file


@pytest.mark.parametrize(("name", "options"), TRIED)
def test_all_readers_see_the_calls_of_the_store(name, options, made, tmp_path):
    words, expected = OPTIONS[options]
    store = store_of(made, name)
    file = check_files(store, tmp_path, words, **expected)
    assert file.samples == list(CASES[name].samples)


@pytest.mark.parametrize("name", ["mixed-ploidy", "partly-phased", "half-calls"])
def test_the_store_is_the_vcf(name, made, tmp_path):
    """What the tests above compare with is what the VCF's texts say."""
    for site, variant in zip(
        CASES[name].sites, reference.expected(store_of(made, name)), strict=True
    ):
        parts = [call.replace("|", "/").split("/") for call in site.calls]
        assert variant.ploidy.tolist() == [len(p) for p in parts]
        assert variant.missing.tolist() == ["." in p for p in parts]
        counts = [None if "." in p else 2 * sum(map(int, p)) / len(p) for p in parts]
        seen = [None if np.isnan(d) else d for d in variant.dosage()]
        assert seen == counts
        diploid = [call for call in site.calls if "/" in call or "|" in call]
        assert variant.phased == all("|" in call for call in diploid)


@pytest.mark.parametrize("name", ["mixed-ploidy", "partly-phased"])
def test_records_are_of_one_size_but_for_their_strings(name, made, tmp_path):
    stem = make_files(store_of(made, name), tmp_path / "files", "--format", "bgen", "--phased")
    data = Path(f"{stem}.bgen").read_bytes()
    sizes = {
        v.size - sum(len(text.encode()) for text in (*v.names[:3], *v.names[4]))
        for v in parse(data).variants
    }
    assert len(sizes) == 1


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v2-gzip"])
@pytest.mark.parametrize("options", OPTIONS)
def test_haploid_stores(encoding, options, tmp_path):
    """call_genotype of ploidy 1: no padding."""
    genotypes = random_genotypes(12, 37, ploidy=1, seed=5)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(5, 10), encoding=encoding)
    words, expected = OPTIONS[options]
    file = check_files(store, tmp_path, words, **expected)
    assert (file.variants[0].ploidy == (2 if "as_diploid" in expected else 1)).all()


@pytest.mark.parametrize("encoding", ["v2-blosc-zstd-bit", "v3-gzip", "v3-sharded"])
def test_phase_that_is_stored_otherwise_than_calls(encoding, tmp_path):
    """In other chunks, of another codec, with a subset of samples that alone is phased."""
    genotypes = np.abs(random_genotypes(40, 31, seed=6))
    genotypes[genotypes == 2] = 1
    phased = np.ones((40, 31), dtype=bool)
    phased[::3, 3] = phased[1::7, 30] = False
    version = "v3-blosc-zstd-bit" if encoding.startswith("v3") else "v2-blosc-zstd-bit"
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(9, 8), encoding=version)
    add_field(store, "call_genotype_phased", phased, chunks=(7, 12), encoding=encoding)
    check_files(store, tmp_path, [])
    # vcztools wants fields of calls to be chunked alike over the variants.
    add_field(store, "call_genotype_phased", phased, chunks=(9, 12), encoding=encoding)
    kept = [30, 5, 2, 29, 11]
    stem = make_files(
        store,
        tmp_path / "some",
        *("--format", "bgen", "--phased", "-s", ",".join(f"S{i:04d}" for i in kept)),
    )
    file = parse(Path(f"{stem}.bgen").read_bytes())
    reference.check_stored(file.variants, reference.expected(store, samples=kept))
    found = [v.phased for v in file.variants]
    assert found == phased[:, kept].all(axis=1).tolist() and 0 < sum(found) < 40


def test_names_that_are_not_ascii(tmp_path):
    """UTF-8, in samples and IDs; bgen-reader and cbgen take bytes for ASCII."""
    names = ["Łódź", "日本", "Ä", "plain"]
    genotypes = random_genotypes(6, 4, seed=7)
    store = make_store(tmp_path / "x.vcz", genotypes, samples=names, contigs=("1", "2"))
    array = zarr.open_group(store, mode="r+")["variant_id"]
    array[...] = np.array([f"变体{i}" for i in range(6)], dtype=object)
    file = check_files(store, tmp_path, [], but=["bgen-reader"])
    assert file.samples == names
    assert file.variants[0].names[:3] == (".", "变体0", "1")
    with open(tmp_path / "files" / "x.sample", encoding="utf-8") as f:
        assert [line.split()[0] for line in f][2:] == names


def test_plink2_counts_haploid_calls_of_males_on_x_once(tmp_path):
    """With sexes, which a store does not have, from a `.sample` beside the mount's."""
    vcf = random_vcf(12, 10, ("0", "1", "."), ("X",), seed=8)
    calls = [
        [c if i % 2 else {"0": "0/0", "1": "0/1", ".": "./."}[c] for i, c in enumerate(s.calls)]
        for s in vcf.sites
    ]
    lines = [
        dataclasses.replace(s, calls=c, alt="G") for s, c in zip(vcf.sites, calls, strict=True)
    ]
    _, store = vcf_store(Vcf(vcf.samples, lines), tmp_path)
    stem = make_files(store, tmp_path / "files", "--format", "bgen", "--phased")
    sample = Path(f"{stem}.sample")
    head, *rest = sample.read_text().splitlines()[1:]
    sexes = "".join(
        f"{line.rsplit(' ', 1)[0]} {1 if i % 2 else 2}\n" for i, line in enumerate(rest)
    )
    sample.write_text(f"ID_1 ID_2 missing sex\n{head}\n{sexes}")
    seen = by_plink2(stem, tmp_path)
    for variant, site in zip(seen, lines, strict=True):
        counts = [c.count("1") for c in site.calls]
        wanted = [np.nan if "." in c else n for c, n in zip(site.calls, counts, strict=True)]
        assert np.array_equal(variant.dosage(), wanted, equal_nan=True)
