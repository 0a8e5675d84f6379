"""What is beyond a `.bgen` file's limits is said at once; what is just within them is read."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import bgen_reference as reference
from support.bgen import by_bgen, check_index, check_reader, parse
from support.damage import error_of, key_of, read_everywhere
from support.program import Program
from support.stores import add_field, chunk_files, make_store, random_genotypes
from support.views import make_files

from biofuse.errors import BiofuseError
from biofuse.formats import bgen
from biofuse.formats.base import Subject

MOST = 65_535
GENOTYPES = random_genotypes(12, 9, seed=1)


def changed(store: Path, field: str, index, value) -> Path:
    """Set one string of a store."""
    array = zarr.open_group(store, mode="r+")[field]
    values = array[...]
    values[index] = value
    array[...] = values
    return store


def refusal(program: Program, store: Path, *options) -> str:
    return program.fails(
        "mount", store, program.new_directory(), "--format", "bgen", "--phased", *options
    )


@pytest.mark.parametrize("text", ["x" * (MOST + 1), "é" * 32_768])
def test_an_id_that_is_too_long(text, biofuse, tmp_path):
    store = changed(make_store(tmp_path / "x.vcz", GENOTYPES), "variant_id", 8, text)
    said = refusal(biofuse, store)
    size = len(text.encode())
    assert said == f"the variant 2:63 has an ID of {size} bytes, and BGEN holds up to 65535"


def test_an_id_that_a_template_makes_too_long(biofuse, tmp_path):
    """It is shortened, as for PLINK; the allele itself does no harm."""
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    changed(store, "variant_allele", (3, 0), "A" * 70_000)
    for more, least in (((), 0), (("--variant-id-template", "@:#:$r:$a"), 80)):
        with biofuse.mount(store, "--format", "bgen", "--phased", *more) as mount:
            with closing(
                sqlite3.connect(f"file:{mount.dir}/x.bgen.bgi?mode=ro", uri=True)
            ) as index:
                query = "SELECT rsid FROM Variant WHERE position = 28"
                [[name]] = index.execute(query).fetchall()
            assert least <= len(name) < 200
            assert mount.status()["counters"]["errors"] == 0


def test_a_chromosome_name_that_is_too_long(biofuse, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, contigs=("1", "2" * (MOST + 1)))
    said = refusal(biofuse, store)
    assert said.startswith(f"the variant {'2' * 40}:63 has a chromosome name of 65536 bytes")
    assert len(said) < 200


def test_a_sample_id_that_is_too_long(biofuse, tmp_path):
    names = ["a", "b" * (MOST + 1), *"cdefghi"]
    store = make_store(tmp_path / "x.vcz", GENOTYPES, samples=names)
    said = refusal(biofuse, store)
    assert said.startswith("sample ID bbbbbbbbbbbbbbbbbbbb... is of 65536 bytes")
    # Who doesn't ask for a format gets those that can show the store.
    done = biofuse("mount", store, directory := biofuse.new_directory())
    try:
        assert done.stderr.startswith("biofuse: there is no .bgen: sample ID bbbb")
        assert {p.name for p in directory.iterdir()} == {"x.bed", "x.bim", "x.fam"}
    finally:
        biofuse("umount", directory)


def test_a_position_below_0(biofuse, tmp_path):
    positions = np.arange(12) - 1
    store = make_store(tmp_path / "x.vcz", GENOTYPES, positions=positions)
    assert refusal(biofuse, store).startswith("the site 1:-1 (variant ")


@pytest.mark.parametrize("bits", [8, 16])
def test_more_samples_than_a_record_can_hold(bits):
    """Its size is one of 32 bits. The one that just fits has it to a few bytes."""

    def subject(count: int) -> Subject:
        shapes = {"call_genotype": (1, count, 2)}
        return Subject(range(count), 2, shapes)

    options = bgen.Options(bits=bits, no_header_samples=True)

    low, high = 1, 2**31
    while high - low > 1:
        middle = (low + high) // 2
        try:
            bgen.layout(subject(middle), options)
        except BiofuseError as error:
            assert str(error) == f"{middle} samples are more than a BGEN file can hold"
            high = middle
        else:
            low = middle
    data = 10 + low * (1 + 2 * bits // 8)
    size = 8 + 6 + 5 * -(-data // 65_535) + data
    assert bgen.layout(subject(low), options).record_size == size
    assert 0 <= 2**32 - size < 20
    with pytest.raises(BiofuseError, match="5000000000 samples"):
        bgen.layout(subject(5_000_000_000), options)


def test_names_of_the_greatest_length(tmp_path):
    """65,535 bytes of ID, chromosome and sample, in readers that have no limits of their own."""
    samples = ["s" * MOST, *"bcdefghi"]
    contigs = ("1", "c" * MOST)
    store = make_store(tmp_path / "x.vcz", GENOTYPES, samples=samples, contigs=contigs)
    changed(store, "variant_id", 8, "é" * 32_767 + "x")
    changed(store, "variant_id", 9, "y" * MOST)
    stem = make_files(store, tmp_path / "files", "--format", "bgen", "--phased")
    data = Path(f"{stem}.bgen").read_bytes()
    file = parse(data)
    assert file.samples == samples
    reference.check_stored(file.variants, reference.expected(store))
    assert [len(t.encode()) for t in file.variants[9].names[1:3]] == [MOST, MOST]
    check_index(stem, data, file)
    check_reader("bgen", stem, tmp_path, file.variants)
    check_reader("bgenix", stem, tmp_path, file.variants)


def test_alleles_of_a_million_bases(tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES)
    rng = np.random.default_rng(2)
    long = ["".join(rng.choice(list("ACGT"), size)) for size in (1_000_000, 700_001)]
    changed(store, "variant_allele", (4, 0), long[0])
    changed(store, "variant_allele", (7, 1), long[1])
    stem = make_files(store, tmp_path / "files", "--format", "bgen", "--phased")
    data = Path(f"{stem}.bgen").read_bytes()
    file = parse(data)
    reference.check_stored(file.variants, reference.expected(store))
    check_index(stem, data, file)
    found = by_bgen(stem, tmp_path)
    assert (found[4].names[4][0], found[7].names[4][1]) == tuple(long)
    check_reader("bgen", stem, tmp_path, file.variants)
    check_reader("bgenix", stem, tmp_path, file.variants)


FIELDS = {
    "phased": ("call_genotype_phased", []),
    "GP": ("call_GP", ["--bgen-field", "GP"]),
    "DS": ("call_DS", ["--bgen-field", "DS"]),
}
DAMAGE = {
    "half": lambda chunk: os.truncate(chunk, chunk.stat().st_size // 2),
    "text": lambda chunk: chunk.write_bytes(b"<html>404</html>" * 400),
}


def damaged_store(path: Path, name: str, encoding: str) -> Path:
    """Three rows of chunks, of which the second has a damaged one in a field of calls."""
    genotypes = np.abs(random_genotypes(90, 201, seed=3)).clip(0, 1)
    make_store(path, genotypes, chunks=(30, 120))
    rng = np.random.default_rng(4)
    values = {
        "phased": lambda: np.ones((90, 201), dtype=bool),
        "GP": lambda: rng.dirichlet((1, 1, 1), size=(90, 201)).astype(np.float32),
        "DS": lambda: rng.random((90, 201)).astype(np.float32),
    }[name]()
    return add_field(path, FIELDS[name][0], values, chunks=(30, 120), encoding=encoding)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding", "damage"),
    [
        ("phased", "v2-blosc-zstd-bit", "half"),
        ("phased", "v2-gzip", "text"),
        ("GP", "v2-blosc-zstd-byte", "half"),
        ("GP", "v2-blosc-zstd-byte", "text"),
        ("GP", "v2-gzip", "half"),
        ("DS", "v2-blosc-zstd-bit", "text"),
    ],
)
def test_a_damaged_chunk_of_another_field(name, encoding, damage, biofuse, tmp_path):
    """Its records fail with EIO, the log has its key, and all others are right."""
    field, options = FIELDS[name]
    store = damaged_store(tmp_path / "x.vcz", name, encoding)
    stem = make_files(store, tmp_path / "files", "--format", "bgen", "--phased", *options)
    data = Path(f"{stem}.bgen").read_bytes()
    variants = parse(data).variants
    reference.check_stored(
        variants, reference.expected(store, field="GT" if name == "phased" else name)
    )
    chunk = chunk_files(store, field)[3]
    assert key_of(store, chunk).startswith(f"{field}/1.1")
    DAMAGE[damage](chunk)
    first, last = variants[30].offset, variants[60].offset
    with biofuse.mount(store, "--format", "bgen", "--phased", *options) as mount:
        # A frame that is none of Blosc's is tried with zarr-python first.
        mount.expect_log("chunks that are not what its metadata says")
        path = Path(f"{mount.stem}.bgen")
        mount.expect_log(key_of(store, chunk))
        errors = read_everywhere(path, data, 700)
        assert set(errors.values()) == {errno.EIO}
        inside = [o for o in range(0, len(data), 700) if first <= o < last - 100]
        assert len(inside) > 20 and set(inside) <= set(errors)
        assert [o for o in errors if not first - 8192 < o < last + 8192] == []
        assert error_of(path, first + 100, 50) == errno.EIO
        assert mount.status()["counters"]["worker_deaths"] == 0
        log = mount.log_text()
    assert key_of(store, chunk) in log
    assert "x.bgen" in log
