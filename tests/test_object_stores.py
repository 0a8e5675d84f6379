"""Stores on object stores, behind HTTP, in zips and in Icechunk: the files of a local one."""

from pathlib import Path

import numpy as np
import pytest
from support.layouts import LAYOUTS, key_at, lay_out, lose
from support.places import PLACES, consolidated, contents
from support.program import HAPLOID
from support.regions import make_stores
from support.stores import ENCODINGS, add_field, copy_store, make_store, random_genotypes, vcf_store
from support.vcf import random_vcf

GENOTYPES = random_genotypes(60, 23, seed=11)
ZARR_3 = [name for name in ENCODINGS if name.startswith("v3")]
# Icechunk has chunks of no other names than Zarr v3's own.
IN_ICECHUNK = [name for name in ZARR_3 if name != "v3-v2-keys"]
ICECHUNK = [place for place in PLACES if "icechunk" in place]
OTHERS = [place for place in PLACES if "icechunk" not in place]


def make(encoding: str):
    def make(folder: Path) -> Path:
        path = folder / "x.vcz"
        return make_store(path, GENOTYPES, chunks=(20, 9), variant_chunk=20, encoding=encoding)

    return make


@pytest.fixture
def same_as_local(biofuse, placer):
    """`same_as_local(place, store)`: that each file of a mount is the local one's."""

    def check(place: str, store: Path, *options, **more) -> None:
        with biofuse.mount(store, *options, stem="x") as mount:
            expected = contents(mount.dir)
        assert len(expected) >= 3
        there = placer.put(place, store)
        with there.mount(biofuse, *options, **more) as mount:
            found = contents(mount.dir)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []

    return check


@pytest.mark.parametrize("place", PLACES)
def test_every_place(place, made, same_as_local):
    encoding = "v3-blosc-zstd-bit"
    same_as_local(place, made(f"objects-{encoding}", make(encoding)))


@pytest.mark.parametrize("place", OTHERS)
def test_zarr_2_with_consolidated_metadata(place, made, same_as_local):
    def make_it(folder):
        return consolidated(make("v2-blosc-zstd-bit")(folder))

    same_as_local(place, made("objects-consolidated", make_it))


@pytest.mark.slow
@pytest.mark.parametrize("place", OTHERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, place, made, same_as_local):
    plain = made("objects-v2-blosc-zstd-bit", make("v2-blosc-zstd-bit"))
    same_as_local(
        place, made(f"objects-laid-{layout}", lambda folder: lay_out(plain, folder / "x", layout))
    )


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["v3-sharded"])
def test_layouts_in_icechunk(layout, made, same_as_local):
    plain = made("objects-v2-blosc-zstd-bit", make("v2-blosc-zstd-bit"))
    store = made(f"objects-laid-{layout}", lambda folder: lay_out(plain, folder / "x", layout))
    same_as_local("icechunk", store)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["s3", "http-zip"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(encoding, place, made, same_as_local):
    same_as_local(place, made(f"objects-{encoding}", make(encoding)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", IN_ICECHUNK)
def test_encodings_in_icechunk(encoding, made, same_as_local):
    same_as_local("icechunk", made(f"objects-{encoding}", make(encoding)))


@pytest.mark.slow
@pytest.mark.parametrize("place", OTHERS)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_bio2zarr_makes(zarr_format, place, made, same_as_local):
    def make_it(folder):
        vcf = random_vcf(17, 90, chroms=("1", "2"), seed=5)
        chunks = {"variants_chunk_size": 20, "samples_chunk_size": 7}
        return vcf_store(vcf, folder, zarr_format=zarr_format, **chunks)[1]

    same_as_local(place, made(f"objects-vcf-{zarr_format}", make_it))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_probabilities(place, made, same_as_local):
    """Another field, which is not on the fast path."""

    def make_it(folder):
        store = make("v3-blosc-zstd-bit")(folder)
        rng = np.random.default_rng(3)
        values = rng.dirichlet([1, 1, 1], size=(60, 23)).astype(np.float32)
        return add_field(
            store, "call_GP", values, chunks=(20, 9), encoding="v3-zstd", fill_value=float("nan")
        )

    store = made("objects-gp", make_it)
    same_as_local(place, store, "--format", "bgen", "--bgen-field", "GP")


@pytest.mark.slow
@pytest.mark.parametrize("place", OTHERS)
def test_a_region_some_samples_and_an_expression(place, made, same_as_local, tmp_path):
    store = copy_store(made("regions", make_stores)["whole"], tmp_path / "x.vcz")
    same_as_local(place, store, "-r", "chr2:100040-100900", "--format", "plink")
    same_as_local(place, store, "-i", "POS > 100040 && POS < 200000", "--format", "plink")


@pytest.mark.parametrize("place", [place for place in PLACES if "zip" not in place])
def test_chunks_that_are_not_stored(place, made, same_as_local):
    def make_it(folder):
        store = make("v3-blosc-zstd-bit")(folder)
        for index in ((1, 0, 0), (1, 1, 0), (1, 2, 0), (2, 1, 0)):
            lose(store, key_at(store, "call_genotype", *index))
        return store

    # A web server cannot tell before that it lacks them.
    options = ["--missing-chunks", "fill"] if place == "http" else []
    same_as_local(place, made("objects-absent", make_it), *options)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["fsspec", "obstore"])
def test_backends_that_are_named_go_on(backend, made, placer, biofuse, same_as_local):
    store = made("objects-v2-blosc-zstd-bit", make("v2-blosc-zstd-bit"))
    options = ["--backend-storage", backend]
    if backend == "obstore":
        options += ["--storage-option", 'client_options={"allow_http": true}']
    with biofuse.mount(store, stem="x") as mount:
        expected = contents(mount.dir)
    with placer.put("http", store).mount(biofuse, *options) as mount:
        assert contents(mount.dir) == expected


@pytest.mark.slow
@pytest.mark.parametrize("place", ICECHUNK)
def test_icechunk_that_is_named(place, made, placer, biofuse):
    store = made("objects-v3-blosc-zstd-bit", make("v3-blosc-zstd-bit"))
    with biofuse.mount(store, stem="x") as mount:
        expected = contents(mount.dir)
    there = placer.put(place, store)
    with there.mount(biofuse, "--backend-storage", "icechunk") as mount:
        assert contents(mount.dir) == expected


@pytest.mark.parametrize("place", ["s3", "http", "s3-icechunk"])
def test_other_commands(place, made, placer, biofuse):
    there = placer.put(place, made("objects-v3-blosc-zstd-bit", make("v3-blosc-zstd-bit")))
    biofuse.env.update(there.env)
    assert "23" in biofuse("info", there.url).stdout
    done = biofuse("run", there.url, "--", "sh", "-c", "cat {bed} | wc -c")
    assert int(done.stdout) == 3 + 60 * 6
    assert [line for line in done.stderr.splitlines() if HAPLOID not in line] == []
