"""The demo store: the same for a seed, sound, and shown as its converters show it."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.oracles import plink2, plink2_make_bed, vcztools_view_plink
from support.vcf import Site, Vcf

from biofuse.demo import make_demo_store
from biofuse.errors import BiofuseError


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store by name."""
    files = [p for p in store.rglob("*") if p.is_file()]
    return {str(p.relative_to(store)): p.read_bytes() for p in files}


def as_vcf(store: Path) -> Vcf:
    """The store as the VCF that it might have been made from."""
    group = zarr.open_group(store, mode="r")
    field = {name: array[...] for name, array in group.arrays()}
    contig = [str(field["contig_id"][i]) for i in field["variant_contig"]]
    sites = []
    for i, alleles in enumerate(field["variant_allele"]):
        mark = "|" if field["call_genotype_phased"][i].all() else "/"
        calls = [
            mark.join("." if a < 0 else str(a) for a in call) for call in field["call_genotype"][i]
        ]
        ref, alt = (str(a) for a in alleles)
        position = int(field["variant_position"][i])
        sites.append(Site(contig[i], position, calls, ref, alt, str(field["variant_id"][i])))
    return Vcf([str(name) for name in field["sample_id"]], sites)


@pytest.mark.slow
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_equal_arguments_give_equal_stores(zarr_format, tmp_path):
    options = {"num_samples": 20, "num_variants": 1500, "zarr_format": zarr_format}
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_demo_store(tmp_path / name, seed=seed, **options)
        made.append(contents(tmp_path / name))
    assert made[0] == made[1]
    assert made[0].keys() == made[2].keys()
    assert made[0] != made[2]


def test_the_command_makes_the_same_store(biofuse, tmp_path):
    words = ["--samples", "7", "--variants", "40", "--seed", "5"]
    biofuse("demo", tmp_path / "a", *words)
    summary = make_demo_store(tmp_path / "b", num_samples=7, num_variants=40, seed=5)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert (summary.num_samples, summary.num_variants) == (7, 40)
    assert summary.path == tmp_path / "b"


@pytest.mark.slow
@pytest.mark.parametrize(("num_samples", "num_variants"), [(61, 2300), (1, 1), (3, 7)])
def test_the_mount_equals_vcztools_and_plink2(num_samples, num_variants, biofuse, tmp_path):
    store = tmp_path / "demo.vcz"
    make_demo_store(store, num_samples=num_samples, num_variants=num_variants)
    vcf = as_vcf(store)
    with biofuse.mount(store) as mount:
        seen = mount.fileset()
    assert seen == vcztools_view_plink(store, tmp_path / "v")
    assert seen == plink2_make_bed(vcf.write(tmp_path / "demo.vcf"), tmp_path / "p")
    assert seen.bed == vcf.bed()
    assert seen.bim.count("\n") == num_variants
    assert seen.fam.count("\n") == num_samples


def test_selections_of_it(biofuse, tmp_path):
    store = tmp_path / "demo.vcz"
    make_demo_store(store, num_samples=30, num_variants=2000)
    options = ["-r", "chr21", "-s", "west002,north001,south003", "-i", "QUAL>50 & AC>0"]
    with biofuse.mount(store, *options) as mount:
        seen = mount.fileset()
    assert seen == vcztools_view_plink(store, tmp_path / "v", *options)
    assert set(line.split("\t")[0] for line in seen.bim.splitlines()) == {"21"}


def test_it_looks_like_real_data(biofuse, tmp_path):
    store = tmp_path / "demo.vcz"
    make_demo_store(store)
    field = {name: array[...] for name, array in zarr.open_group(store, mode="r").arrays()}
    genotypes = field["call_genotype"]
    assert genotypes.shape == (12_000, 300, 2)
    assert set(np.unique(genotypes)) == {-1, 0, 1}
    missing = (genotypes < 0).any(axis=2).mean()
    assert 0.001 < missing < 0.02
    # Rare alleles are the most common kind, and no site is without one.
    count = (genotypes == 1).sum(axis=(1, 2))
    assert np.median(count) < 60
    assert (count > 0).mean() > 0.95
    # Neighbours are alike, in one contig after the other; positions ascend.
    for contig in range(3):
        of_contig = field["variant_contig"] == contig
        assert of_contig.sum() > 1000
        assert (np.diff(field["variant_position"][of_contig]) > 0).all()
    ids = [i for i in field["variant_id"] if i != "."]
    assert 0 < len(genotypes) - len(ids) < 2000
    assert len(set(ids)) == len(ids)
    # It takes the fast path, and populations are told apart.
    assert json.loads(biofuse("info", store, "--json").stdout)["fast_path"] is True
    with biofuse.mount(store) as mount:
        plink2("--bfile", mount.stem, "--maf", "0.05", "--pca", "2", "--out", tmp_path / "pca")
    rows = [line.split() for line in (tmp_path / "pca.eigenvec").read_text().splitlines()[1:]]
    scores = {name: [] for name in ("north", "south", "west")}
    for row in rows:
        scores[row[1].rstrip("0123456789")].append([float(x) for x in row[2:4]])
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    spread = max(np.std(values, axis=0).max() for values in scores.values())
    for one, other in (("north", "south"), ("south", "west"), ("west", "north")):
        assert np.abs(means[one] - means[other]).max() > 3 * spread


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_samples": 0}, "at least one sample"),
        ({"num_variants": 0}, "at least one"),
        ({"num_variants": 10**8}, "no room for 100,000,000 variants"),
        ({"zarr_format": 4}, "no Zarr format 4"),
    ],
)
def test_what_cannot_be_made(options, words, tmp_path):
    with pytest.raises(BiofuseError, match=words):
        make_demo_store(tmp_path / "demo", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "file").write_text("precious")
    with pytest.raises(BiofuseError, match="exists"):
        make_demo_store(tmp_path / "demo")
    assert (tmp_path / "demo" / "file").read_text() == "precious"
