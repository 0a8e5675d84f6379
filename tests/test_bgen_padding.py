"""Genotype data of `.bgen` records that are padded to one size, whatever their calls' ploidy."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from support import bgen_reference as reference
from support.bgen import Stored, check_all_readers, check_reader, parse
from support.oracles import plink2
from support.stores import add_field, make_store
from support.views import make_files

BLOCK = 65_535


def haploid_counts(num_samples: int, counts) -> np.ndarray:
    """Calls of one variant a count, of which that many are haploid, at places of their own."""
    rng = np.random.default_rng(num_samples)
    genotypes = rng.integers(-1, 2, size=(len(counts), num_samples, 2)).astype(np.int8)
    for calls, count in zip(genotypes, counts, strict=True):
        calls[rng.permutation(num_samples)[:count], 1] = -2
    return genotypes


def stored_size(size: int) -> int:
    """Of a zlib stream of stored blocks: its header, theirs, the data, the checksum."""
    return 2 + 5 * -(-size // BLOCK) + size + 4


def streams(data: bytes, variants: list[Stored]) -> list[tuple[int, bytes]]:
    """What every record says of its data's size, and its zlib stream."""
    result = []
    for v in variants:
        texts = (*v.names[:3], *v.names[4])
        # Lengths of the strings, a position and a number of alleles are 20 bytes.
        start = v.offset + 20 + sum(len(text.encode()) for text in texts)
        size, raw = struct.unpack_from("<II", data, start)
        assert start + 4 + size == v.offset + v.size
        stream = data[start + 8 : start + 4 + size]
        result.append((raw, stream))
    return result


def check(store: Path, folder: Path, *options, **expected):
    """Files hold what is expected, in zlib streams of one size. Returns stem, variants, raw
    sizes and bytes of padding."""
    stem = make_files(store, folder, "--format", "bgen", "--phased", *options)
    data = Path(f"{stem}.bgen").read_bytes()
    variants = parse(data).variants
    reference.check_stored(variants, reference.expected(store, **expected))
    found = streams(data, variants)
    assert len({len(stream) for _, stream in found}) == 1
    assert all(len(zlib.decompress(stream)) == raw for raw, stream in found)
    raws = [raw for raw, _ in found]
    return stem, variants, raws, [len(stream) - stored_size(raw) for raw, stream in found]


@pytest.mark.parametrize("options", [[], ["--unphased"], ["--bits", "16"]])
def test_every_number_of_haploid_calls(options, tmp_path):
    """From none to all, so every remainder of the padding, and all readers take it."""
    genotypes = haploid_counts(41, range(42))
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(10, 10))
    phased = np.arange(42)[:, None] % 2 * np.ones((1, 41), bool)
    add_field(store, "call_genotype_phased", phased.astype(bool), chunks=(10, 10))
    bits = 16 if "16" in options else 8
    stem, variants, _, padding = check(
        store, tmp_path / "files", *options, bits=bits, unphased="--unphased" in options
    )
    assert padding == [n * bits // 8 for n in range(42)]
    assert {n % 5 for n in padding} == {0, 1, 2, 3, 4}
    check_all_readers(stem, tmp_path, variants)


@pytest.mark.parametrize("bits", [8, 16])
def test_values_are_padded_too(bits, tmp_path):
    genotypes = haploid_counts(23, range(24))
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(10, 10))
    ds = np.random.default_rng(1).random((24, 23)).astype(np.float32)
    add_field(store, "call_DS", ds)
    stem, variants, _, padding = check(
        *(store, tmp_path / "files", "--bgen-field", "DS", "--bits", str(bits)),
        field="DS",
        bits=bits,
    )
    assert {n % 5 for n in padding} == {0, 1, 2, 3, 4}
    check_all_readers(stem, tmp_path, variants)


def alternate_counts(stem: Path, folder: Path) -> list[tuple[int, int]]:
    """Copies of ALT and of both alleles that plink2 counts: haploid calls are homozygous."""
    plink2(
        "--bgen",
        f"{stem}.bgen",
        "ref-first",
        "--sample",
        f"{stem}.sample",
        "--freq",
        "counts",
        "--out",
        folder / "freq",
    )
    rows = [line.split("\t") for line in (folder / "freq.acount").read_text().splitlines()[1:]]
    return [(int(r[4]), int(r[5])) for r in rows]


# Samples, bits, and the sizes of data that haploid calls make of them: about one and two
# stored blocks, each with an empty one more or less, at all remainders.
BORDERS = [(21_842, 8), (21_843, 8), (21_845, 8), (43_687, 8), (43_689, 8), (13_105, 16)]
BORDERS += [(13_107, 16), (26_213, 16)]
WANTED = {65_533, 65_534, 65_535, 65_536, 65_537, 131_069, 131_070, 131_071, 131_072}


@pytest.mark.slow
@pytest.mark.parametrize(("num_samples", "bits"), BORDERS)
def test_data_of_about_whole_blocks(num_samples, bits, tmp_path):
    genotypes = haploid_counts(num_samples, range(12))
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(5, 10_000))
    options = ["--bits", str(bits)]
    stem, variants, raws, padding = check(store, tmp_path / "files", *options, bits=bits)
    width = bits // 8
    assert raws == [10 + num_samples + width * (2 * num_samples - n) for n in range(12)]
    assert min(raws) <= BLOCK * round(raws[0] / BLOCK) <= max(raws)
    assert {n % 5 for n in padding} == {0, 1, 2, 3, 4}
    for reader in ("cbgen", "bgen", "bgen-reader"):
        check_reader(reader, stem, tmp_path, variants)
    counts = []
    for calls in genotypes:
        second = np.where(calls[:, 1] == -2, calls[:, 0], calls[:, 1])
        present = (calls[:, 0] >= 0) & (second >= 0)
        counts.append((int((calls[:, 0] + second)[present].sum()), 2 * int(present.sum())))
    assert alternate_counts(stem, tmp_path) == counts


def test_the_sizes_above_are_all_about_the_borders():
    sizes = {10 + n + b // 8 * (2 * n - h) for n, b in BORDERS for h in range(12)}
    assert sizes >= WANTED


def test_haploid_stores_and_diploid_records_are_not_padded(tmp_path):
    for name, ploidy, options in (("a", 1, []), ("b", 2, ["--haploid-as-diploid"])):
        genotypes = haploid_counts(30, range(12))[..., :ploidy]
        store = make_store(tmp_path / f"{name}.vcz", genotypes)
        *_, padding = check(store, tmp_path / name, *options, as_diploid=bool(options))
        assert set(padding) == {0}
