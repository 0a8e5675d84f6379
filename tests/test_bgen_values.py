"""`.bgen` files made from call_GP and call_DS: values, rounding, and how a store holds them."""

from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from support import bgen_reference as reference
from support.bgen import check_all_readers, check_index, parse
from support.oracles import plink2
from support.stores import ENCODINGS, add_field, make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files

from biofuse.errors import BiofuseError

VARIANTS, SAMPLES = 23, 37
OPTIONS = {
    "8-bits": ([], {}),
    "16-bits": (["--bits", "16"], {"bits": 16}),
    "as-diploid": (["--haploid-as-diploid"], {"as_diploid": True}),
    "both": (["--haploid-as-diploid", "--bits", "16"], {"bits": 16, "as_diploid": True}),
}


def genotypes_for(values_seed: int, ploidy: int = 2) -> np.ndarray:
    return random_genotypes(VARIANTS, SAMPLES, ploidy, seed=values_seed)


def random_gp(genotypes: np.ndarray, seed: int, width: int = 3) -> np.ndarray:
    """Probabilities of many kinds, as converters write them for these calls.

    Sure ones, even ones, some of three decimals whose sum is not quite 1, some of sum 0, some
    below 0 by a rounding error; missing ones; haploid ones, which end in fill or in missing.
    """
    rng = np.random.default_rng(seed)
    shape = genotypes.shape[:2]
    gp = rng.dirichlet((0.7, 0.7, 0.7), size=shape).astype(np.float32)
    kind = rng.integers(12, size=shape)
    gp[kind == 0] = np.eye(3)[rng.integers(3, size=(kind == 0).sum())]
    gp[kind == 1] = 1 / 3
    gp[kind == 2] = (0.5, 0.5, 0)
    gp[kind == 3] = gp[kind == 3].round(2)
    gp[kind == 4] = (0.9995, 0.0009, -0.0004)
    gp[kind == 5] = 0
    gp[kind == 6] *= 0.95
    haploid = np.ones(shape, bool) if genotypes.shape[2] == 1 else genotypes[..., 1] == -2
    two = haploid | (kind == 7)
    gp[two, 1] = 1 - gp[two, 0].clip(0, 1)
    gp[two, 2] = reference.special(reference.FILL)
    gp[haploid & (kind == 8), 2] = reference.special(reference.MISSING)
    gp[kind == 9] = reference.special(reference.MISSING)
    gp[kind == 10] = reference.special(reference.FILL)
    gp[kind == 10, 0] = reference.special(reference.MISSING)
    gp[(kind == 11) & ~two, 2] = reference.special(reference.MISSING)
    more = np.full((*shape, max(0, width - 3)), reference.special(reference.FILL))
    return np.concatenate([gp, more], axis=2)[..., :width]


def random_ds(genotypes: np.ndarray, seed: int) -> np.ndarray:
    """Dosages up to the ploidy of the calls, some at the ends, beyond them by a rounding error,
    or missing."""
    rng = np.random.default_rng(seed)
    shape = genotypes.shape[:2]
    haploid = np.ones(shape, bool) if genotypes.shape[2] == 1 else genotypes[..., 1] == -2
    most = np.where(haploid, 1, 2)
    ds = (rng.random(shape) * most).astype(np.float32)
    kind = rng.integers(10, size=shape)
    ds[kind == 0] = 0
    ds[kind == 1] = most[kind == 1]
    ds[kind == 2] = 0.5
    ds[kind == 3] = 1
    ds[kind == 4] = ds[kind == 4].round(2)
    ds[kind == 5] = -0.0005
    ds[kind == 6] = most[kind == 6] + 0.0005
    ds[kind == 7] = reference.special(reference.MISSING)
    ds[kind == 8] = reference.special(reference.FILL)
    return ds


FIELDS = {"GP": random_gp, "DS": random_ds}


def value_store(
    path: Path, field: str, *, chunks=(5, 11), genotypes_chunks=(7, 13), encoding, genotypes=None
) -> Path:
    """A store whose values are of this encoding, its calls of one for the same Zarr format."""
    if genotypes is None:
        genotypes = genotypes_for(11)
    version = f"v{ENCODINGS[encoding][0]}-blosc-zstd-bit"
    make_store(path, genotypes, chunks=genotypes_chunks, encoding=version)
    values = FIELDS[field](genotypes, seed=12)
    return add_field(path, f"call_{field}", values, chunks=chunks, encoding=encoding)


def make(store: Path, folder: Path, field: str, *options):
    """The stem of the files, and the `.bgen` parsed."""
    stem = make_files(store, folder, "--format", "bgen", "--bgen-field", field, *options)
    return stem, parse(Path(f"{stem}.bgen").read_bytes())


def check(store: Path, folder: Path, field: str, *options, **expected):
    """Files hold what the reference makes of the store. Returns stem and file."""
    stem, file = make(store, folder, field, *options)
    reference.check_stored(file.variants, reference.expected(store, field=field, **expected))
    return stem, file


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("field", FIELDS)
def test_all_readers_see_the_values_of_the_store(field, options, tmp_path):
    words, expected = OPTIONS[options]
    store = value_store(tmp_path / "x.vcz", field, encoding="v2-blosc-zstd-byte")
    stem, file = check(store, tmp_path / "files", field, *words, **expected)
    check_index(stem, Path(f"{stem}.bgen").read_bytes(), file)
    check_all_readers(stem, tmp_path, file.variants)
    ploidies = {int(p) for v in file.variants for p in v.ploidy}
    assert ploidies == ({2} if "as_diploid" in expected else {1, 2})
    assert not any(v.phased for v in file.variants)


@pytest.mark.parametrize("bits", [8, 16])
def test_values_are_within_one_unit_of_the_store(bits, tmp_path):
    """Without any rounding rule: a unit below or above, whatever the value is."""
    store = value_store(tmp_path / "x.vcz", "GP", encoding="v2-blosc-zstd-byte")
    _, file = make(store, tmp_path / "gp", "GP", "--bits", str(bits))
    gp = zarr.open_group(store, mode="r")["call_GP"][...]
    seen = 0
    for variant, values in zip(file.variants, gp, strict=True):
        of = np.where(np.isnan(values), 0, values.clip(0))[~variant.missing]
        found = np.nan_to_num(variant.probs[~variant.missing, :3])
        of /= of.sum(axis=1, keepdims=True)
        assert (np.abs(found - of) < 1 / (2**bits - 1) + 1e-7).all()
        seen += len(of)
    assert seen > VARIANTS * SAMPLES / 2


@pytest.mark.parametrize("bits", [8, 16])
def test_dosages_are_within_one_unit_of_the_store(bits, tmp_path):
    store = value_store(tmp_path / "x.vcz", "DS", encoding="v2-blosc-zstd-byte")
    _, file = make(store, tmp_path / "ds", "DS", "--bits", str(bits))
    ds = zarr.open_group(store, mode="r")["call_DS"][...]
    for variant, values in zip(file.variants, ds, strict=True):
        assert np.array_equal(variant.missing, np.isnan(values))
        found = np.where(variant.ploidy == 1, variant.dosage() / 2, variant.dosage())
        wanted = np.where(variant.missing, 0, values).clip(0, variant.ploidy)
        wanted[variant.missing] = np.nan
        assert np.allclose(found, wanted, rtol=0, atol=1 / (2**bits - 1) + 1e-7, equal_nan=True)


def test_rounding_by_hand(tmp_path):
    """Worked out by hand from the specification's text, for 8 bits."""
    calls = {
        (1.0, 0.0, 0.0): (255, 0),
        (0.0, 0.0, 1.0): (0, 0),
        # 127.5 and 127.5: of equal parts the first.
        (0.5, 0.5, 0.0): (128, 127),
        # 58.65, 109.65, 86.7: equal but for the rounding errors of floats.
        (0.23, 0.43, 0.34): (59, 109),
        (0.43, 0.23, 0.34): (110, 58),
        # 63.75, 127.5, 63.75: two units are left.
        (0.25, 0.5, 0.25): (64, 127),
        # 31.875, 63.75, 159.375: two again.
        (0.125, 0.25, 0.625): (32, 64),
        # 0.9 * 255 = 229.5, 0.06 * 255 = 15.3, 0.04 * 255 = 10.2
        (0.9, 0.06, 0.04): (230, 15),
        # 0.01 * 255 = 2.55, 0.019 * 255 = 4.845, 0.971 * 255 = 247.605: two units are left.
        (0.01, 0.019, 0.971): (2, 5),
        # 84.15, 84.15, 84.15 of a sum of 0.99: 85 each.
        (0.33, 0.33, 0.33): (85, 85),
    }
    genotypes = np.zeros((1, len(calls), 2), dtype=np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes)
    add_field(store, "call_GP", np.array([list(calls)], dtype=np.float32))
    _, file = make(store, tmp_path / "files", "GP")
    (variant,) = file.variants
    found = dict(zip(calls, map(tuple, variant.integers.tolist()), strict=True))
    assert found == calls


# The filter is one of int8.
NOT_TRIED = ("v2-dot-keys", "v3-v2-keys", "v2-filter")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "encoding"),
    [("GP", e) for e in ENCODINGS if e not in NOT_TRIED]
    + [("DS", e) for e in ("v2-blosc-zstd-bit", "v2-fortran", "v3-blosc-zstd-byte", "v3-sharded")],
)
def test_encodings(field, encoding, tmp_path):
    """Chunks divide neither each other nor the array."""
    store = value_store(tmp_path / "x.vcz", field, encoding=encoding)
    check(store, tmp_path / "files", field)


@pytest.mark.parametrize("chunks", [(4, 1), (1, 37), (22, 36), (24, 40), (3, 17)])
def test_chunks(chunks, tmp_path):
    store = value_store(tmp_path / "x.vcz", "GP", chunks=chunks, encoding="v2-blosc-zstd-byte")
    check(store, tmp_path / "files", "GP")


def test_blocks_that_cut_a_call_in_two(tmp_path):
    """Blosc blocks of 512 bytes, rows of 333 bytes; and one of calls over several blocks."""
    genotypes = random_genotypes(9, 1003, seed=31)
    for name, chunks in (("a", (4, 111)), ("b", (9, 1003))):
        store = value_store(
            tmp_path / f"{name}.vcz",
            "GP",
            chunks=chunks,
            encoding="v2-blosc-zstd-small-blocks",
            genotypes=genotypes,
        )
        check(store, tmp_path / name, "GP", "--bits", "16", bits=16)


@pytest.mark.slow
@pytest.mark.parametrize(("field", "bits"), [("GP", 8), ("GP", 16), ("DS", 8)])
def test_many_samples(field, bits, tmp_path):
    """More than are made at a time, of mixed ploidy."""
    genotypes = random_genotypes(3, 9001, seed=32)
    store = value_store(
        tmp_path / "x.vcz",
        field,
        chunks=(2, 4000),
        genotypes_chunks=(2, 4000),
        encoding="v2-blosc-zstd-byte",
        genotypes=genotypes,
    )
    check(store, tmp_path / "files", field, "--bits", str(bits), bits=bits)


def test_more_values_than_are_read_at_a_time(tmp_path):
    """A chunk of 12 MB, three times what is read at a time, then a part of it by samples."""
    rng = np.random.default_rng(5)
    genotypes = np.zeros((250, 4001, 2), dtype=np.int8)
    gp = rng.integers(256, size=(250, 4001, 3)).astype(np.float32)
    gp[..., 0] += gp.sum(axis=2) == 0
    gp /= gp.sum(axis=2, keepdims=True)
    store = make_store(tmp_path / "x.vcz", genotypes)
    add_field(store, "call_GP", gp)
    _, file = make(store, tmp_path / "files", "GP")
    for variant, values in zip(file.variants, gp, strict=True):
        assert np.abs(variant.probs[:, :3] - values).max() < 1 / 255 + 1e-7


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("field", FIELDS)
def test_other_floats(field, dtype, tmp_path):
    """They are taken as the nearest float32; their NaNs are missing."""
    genotypes = genotypes_for(13)
    values = FIELDS[field](genotypes, seed=14)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 13))
    with np.errstate(invalid="ignore"):
        values = values.astype(dtype)
    add_field(store, f"call_{field}", values, chunks=(5, 11), encoding="v2-gzip")
    assert zarr.open_group(store, mode="r")[f"call_{field}"].dtype == np.dtype(dtype)
    check(store, tmp_path / "files", field, "--bits", "16", bits=16)


@pytest.mark.parametrize("compressor", [numcodecs.Zlib(1), numcodecs.BZ2(1), numcodecs.LZMA()])
def test_codecs_that_only_zarr_python_knows(compressor, tmp_path):
    store = value_store(tmp_path / "x.vcz", "GP", encoding="v2-none")
    root = zarr.open_group(store, mode="r+")
    values = root["call_GP"][...]
    array = root.create_array(
        "call_GP",
        shape=values.shape,
        dtype="float32",
        chunks=(5, 11, 3),
        compressors=[compressor],
        overwrite=True,
    )
    array[...] = values
    check(store, tmp_path / "files", "GP")


@pytest.mark.parametrize(
    ("field", "options"),
    [("GP", "8-bits"), ("GP", "both"), ("DS", "16-bits"), ("DS", "as-diploid")],
)
def test_haploid_stores(field, options, tmp_path):
    """call_genotype of ploidy 1, with two probabilities a call."""
    words, expected = OPTIONS[options]
    genotypes = genotypes_for(15, ploidy=1)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 13))
    values = random_gp(genotypes, 16, width=2) if field == "GP" else random_ds(genotypes, 16)
    add_field(store, f"call_{field}", values, chunks=(5, 11))
    stem, file = check(store, tmp_path / "files", field, *words, **expected)
    check_all_readers(stem, tmp_path, file.variants)
    assert {int(p) for v in file.variants for p in v.ploidy} == {
        2 if "as_diploid" in expected else 1
    }


@pytest.mark.parametrize("width", [3, 6])
def test_more_probabilities_than_two_alleles_have(width, tmp_path):
    """As where some sites of the store have three alleles; dosages are then one an ALT allele."""
    genotypes = genotypes_for(17)
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 13))
    add_field(store, "call_GP", random_gp(genotypes, 18, width), chunks=(5, 11))
    ds = np.stack([random_ds(genotypes, 19), np.full((VARIANTS, SAMPLES), 9, np.float32)], axis=2)
    add_field(store, "call_DS", ds, chunks=(5, 11))
    check(store, tmp_path / "gp", "GP")
    check(store, tmp_path / "ds", "DS")


KEPT = [30, 5, 2, 29, 11, 36, 0]


@pytest.mark.parametrize(
    ("field", "encoding"),
    [("GP", "v2-blosc-zstd-byte"), ("GP", "v3-sharded"), ("DS", "v2-gzip")],
)
def test_samples_and_variants_of_a_selection(field, encoding, tmp_path):
    store = value_store(
        tmp_path / "x.vcz", field, chunks=(7, 13), genotypes_chunks=(7, 13), encoding=encoding
    )
    names = ",".join(f"S{i:04d}" for i in KEPT)
    _, file = check(store, tmp_path / "samples", field, "-s", names, samples=KEPT)
    assert file.samples == names.split(",")
    left = [i for i in range(SAMPLES) if i not in KEPT]
    check(store, tmp_path / "left", field, "-s", f"^{names}", samples=left)
    # They lie 7 bases apart.
    some = [*range(3, 12), *range(15, 18)]
    words = "(POS >= 28 & POS <= 84) | (POS >= 112 & POS <= 126)"
    check(store, tmp_path / "stretches", field, "-i", words, variants=some)
    few = [0, 8, 9, 22]
    words = " | ".join(f"POS == {7 * i + 7}" for i in few)
    check(store, tmp_path / "both", field, "-i", words, "-s", names, samples=KEPT, variants=few)


def test_chunks_that_are_not_stored(tmp_path):
    """Where the array has a fill value, it is shown; a NaN is missing."""
    genotypes = genotypes_for(21)
    gp = random_gp(genotypes, 22)
    for name, fill in (("nan", np.nan), ("third", 1 / 3)):
        store = make_store(tmp_path / f"{name}.vcz", genotypes, chunks=(7, 13))
        add_field(store, "call_GP", gp, chunks=(7, 13), fill_value=fill)
        (store / "call_GP" / "1.1.0").unlink()
        (store / "call_GP" / "3.0.0").unlink()
        _, file = check(store, tmp_path / name, "GP")
        assert file.variants[8].missing[13:26].all() == (name == "nan")


BAD = {
    "above-1": ("GP", (1.2, 0, 0), "not a probability"),
    "below-0": ("GP", (1, -0.2, 0.2), "not a probability"),
    "sum": ("GP", (0.3, 0.3, 0.2), "sum to 1"),
    "infinite": ("GP", (np.inf, 0, 0), "not a probability"),
    "dosage": ("DS", 2.5, "not a dosage"),
    "negative-dosage": ("DS", -0.5, "not a dosage"),
    "infinite-dosage": ("DS", np.inf, "not a dosage"),
}


def test_three_probabilities_of_calls_of_ploidy_1(tmp_path):
    genotypes = np.zeros((2, 3, 1), dtype=np.int8)
    store = make_store(tmp_path / "x.vcz", genotypes)
    add_field(store, "call_GP", np.full((2, 3, 3), 1 / 3, dtype=np.float32))
    with pytest.raises(BiofuseError, match="more values of call_GP than its ploidy allows"):
        make(store, tmp_path / "files", "GP")


@pytest.mark.parametrize("case", BAD)
def test_values_that_are_no_probabilities(case, tmp_path):
    field, value, text = BAD[case]
    genotypes = np.zeros((VARIANTS, SAMPLES, 2), dtype=np.int8)
    values = FIELDS[field](genotypes, seed=23)
    values[16, 20] = value
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 13))
    add_field(store, f"call_{field}", values, chunks=(5, 11))
    with pytest.raises(BiofuseError, match=text) as caught:
        make(store, tmp_path / "files", field)
    said = str(caught.value)
    assert said.startswith(f"call_{field}/3.1{'.0' if field == 'GP' else ''}: ")
    numbers = ", ".join(f"{x:g}" for x in np.atleast_1d(values[16, 20]))
    assert f": {numbers} (variant 16 of the store and sample 20, counted from 0)" in said
    assert said.endswith("; --bgen-field GT and --dosage GT show its calls instead")


def test_an_error_names_the_sample_of_the_store_not_of_the_view(tmp_path):
    genotypes = np.zeros((VARIANTS, SAMPLES, 2), dtype=np.int8)
    values = random_ds(genotypes, seed=23)
    values[16, 30] = 2.5
    store = make_store(tmp_path / "x.vcz", genotypes, chunks=(7, 13))
    add_field(store, "call_DS", values, chunks=(7, 13))
    with pytest.raises(BiofuseError, match="sample 30,") as caught:
        make(store, tmp_path / "files", "DS", "-s", "S0003,S0030", "-i", "POS > 70")
    assert str(caught.value).startswith("call_DS/2.2: ")
    assert "variant 16 of the store" in str(caught.value)


def gp_text(values) -> str:
    return ",".join(f"{x:.3f}" for x in values)


def test_values_of_a_vcf_through_bio2zarr(tmp_path):
    """The VCF's own texts, and what plink2 makes of that VCF, within a unit and its 1/16384."""
    rng = np.random.default_rng(24)
    lines, dosages, given = [], [], []
    for i in range(12):
        calls, row, given_row = [], [], []
        for p in rng.dirichlet((0.5, 0.5, 0.5), size=19):
            p = p.round(3)
            p[2] = 1 - p[0] - p[1]
            dosage = round(p[1] + 2 * p[2], 3)
            if rng.random() < 0.1:
                calls.append("./.:.:.")
                row.append(np.nan)
                given_row.append(np.nan)
            else:
                calls.append(f"{('0/0', '0/1', '1/1')[p.argmax()]}:{gp_text(p)}:{dosage:.3f}")
                row.append(p[1] + 2 * p[2])
                given_row.append(dosage)
        lines.append(Site("1", 10 * i + 10, calls, id=f"v{i}", format="GT:GP:DS"))
        dosages.append(row)
        given.append(given_row)
    vcf, store = vcf_store(Vcf(sample_names(19), lines), tmp_path)
    for field, name, wanted in (("GP", "GP-force", dosages), ("DS", "DS", given)):
        stem, file = check(store, tmp_path / field, field, "--bits", "16", bits=16)
        check_all_readers(stem, tmp_path, file.variants)
        found = np.array([v.dosage() for v in file.variants])
        assert np.allclose(found, wanted, rtol=0, atol=4 / 65535, equal_nan=True)
        plink2(
            *("--vcf", vcf, f"dosage={name}", "--double-id"),
            *("--export", "A", "--out", tmp_path / "plink2"),
        )
        rows = [r.split("\t")[6:] for r in (tmp_path / "plink2.raw").read_text().splitlines()[1:]]
        # Of the REF allele, samples by variants.
        by_plink2 = 2 - np.array([[np.nan if x == "NA" else float(x) for x in r] for r in rows]).T
        assert np.allclose(found, by_plink2, rtol=0, atol=2e-4, equal_nan=True)
