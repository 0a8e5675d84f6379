"""`.bgen` files of selections and naming options: vcztools, the index and all readers agree."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.bgen import check_all_readers, check_index, parse
from support.oracles import bcftools_view, vcztools_view_bgen
from support.stores import vcf_store
from support.vcf import DIPLOID, HAPLOID, Vcf, random_vcf, sample_names
from support.views import make_files

SAMPLES = 31


@pytest.fixture
def store(made) -> Path:
    def make(folder):
        vcf = random_vcf(SAMPLES, 60, DIPLOID + HAPLOID, ("1", "2", "X"), seed=6)
        (folder / "regions").write_text("1\t1\t150\nX\t1\t120\n")
        (folder / "targets").write_text("2\t100\t300\n")
        (folder / "samples").write_text("S0017\nS0003\nS0030\n")
        return vcf_store(vcf, folder, variants_chunk_size=7, samples_chunk_size=9)[1]

    return made("bgen-selection", make)


OPTIONS = {
    "samples-file": ["-S", "{}/samples"],
    "samples-complement": ["-S", "^{}/samples"],
    "regions-file": ["-R", "{}/regions"],
    "targets": ["-t", "^2"],
    "targets-file": ["-T", "{}/targets", "-s", "S0009,S0002"],
    "exclude": ["-e", "POS<150"],
    "min-alleles": ["-m", "2"],
    "force-samples": ["-s", "S0004,nobody,S0001", "--force-samples"],
    "no-header-samples": ["--no-header-samples", "--unphased"],
    "unphased-of-some": ["--unphased", "-s", "S0030,S0000"],
}


def files(store: Path, folder: Path, *options, like: str = "mount"):
    """Stem and parsed file, after the index and five readers agreed with it."""
    more = ["--format", "bgen", "--phased"] if like == "mount" else []
    stem = make_files(store, folder / "files", *more, *options, like=like)
    data = Path(f"{stem}.bgen").read_bytes()
    file = parse(data)
    check_index(stem, data, file)
    check_all_readers(stem, folder, file.variants)
    return stem, file


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_selections(name, store, tmp_path):
    options = [word.replace("{}", str(store.parent)) for word in OPTIONS[name]]
    _, file = files(store, tmp_path, *options)
    oracle = parse(Path(f"{vcztools_view_bgen(store, tmp_path / 'v', *options)}.bgen").read_bytes())
    assert file.samples == oracle.samples and file.num_samples == oracle.num_samples
    assert (file.samples is None) == (name == "no-header-samples")
    assert len(file.variants) == len(oracle.variants) > 5
    for a, b in zip(file.variants, oracle.variants, strict=True):
        assert (a.names, a.phased) == (b.names, b.phased)
        for field in ("ploidy", "missing", "integers"):
            assert np.array_equal(getattr(a, field), getattr(b, field)), (a.names, field)


def ids(store: Path, folder: Path) -> list[str]:
    """Of the VCF that the store was made of."""
    path = bcftools_view(store.with_suffix(".vcf"), folder / "plain.vcf")
    return [line.split("\t")[2] for line in path.read_text().splitlines() if line[0] != "#"]


def test_the_id_as_varid(store, tmp_path):
    _, file = files(store, tmp_path, "--variant-id-field", "varid", like="mount-bgen")
    found = ids(store, tmp_path)
    assert [v.names[:2] for v in file.variants] == [(i, ".") for i in found]
    assert len(set(found)) > 20


def test_ids_from_a_template(store, tmp_path):
    """Missing ones alone are filled in, with plink2's names of chromosomes."""
    _, file = files(store, tmp_path, "--variant-id-template", "@:#:$r:$a")
    wanted = [
        (i if i != "." else f"{v.names[2]}:{v.names[3]}:{v.names[4][0]}:{v.names[4][1]}")
        for i, v in zip(ids(store, tmp_path), file.variants, strict=True)
    ]
    assert [v.names[1] for v in file.variants] == wanted
    assert 0 < sum(":" in name for name in wanted) < len(wanted)


def test_names_of_samples_are_in_their_order(store, tmp_path):
    stem, file = files(store, tmp_path, "-S", store.parent / "samples")
    assert file.samples == ["S0017", "S0003", "S0030"]
    lines = Path(f"{stem}.sample").read_text().splitlines()[2:]
    assert [line.split()[0] for line in lines] == file.samples
    assert set(file.samples) < set(sample_names(SAMPLES))


@pytest.mark.slow
def test_alleles_of_a_million_bases_on_a_mount(biofuse, tmp_path):
    """Records of more than a read asks for."""
    vcf = random_vcf(5, 12, DIPLOID, ("1",), seed=8)
    long = {i: {"ref": "A" + "CGT" * 333_333, "alt": "A"} for i in (3, 5, 7)}
    # bio2zarr takes the width of its region index off the positions.
    long[11] = {"pos": 3_000_000}
    sites = [dataclasses.replace(site, **long.get(i, {})) for i, site in enumerate(vcf.sites)]
    _, store = vcf_store(Vcf(vcf.samples, sites), tmp_path)
    stem = make_files(store, tmp_path / "files", "--format", "bgen", "--phased")
    data = Path(f"{stem}.bgen").read_bytes()
    with biofuse.mount(store) as mount:
        mounted = Path(f"{mount.stem}.bgen")
        file = parse(mounted.read_bytes())
        assert mounted.read_bytes() == data
        check_index(mount.stem, data, file)
        assert [len(v.names[4][0]) for v in file.variants[3:8:2]] == [1_000_000] * 3
        assert mount.bim.read_text().count("\n") == 12
        for variant in file.variants[::-1]:
            with open(mounted, "rb") as f:
                f.seek(variant.offset + variant.size - 40)
                assert f.read(40) == data[f.tell() - 40 : f.tell()]
        assert mount.status()["counters"]["errors"] == 0
