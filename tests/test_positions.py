"""Positions at the ends of what formats hold, and beyond."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import zarr
from support.bgen import by_bgenix, by_cbgen, index_rows
from support.oracles import plink2_make_bed
from support.stores import add_field, make_store, random_genotypes, vcf_store
from support.vcf import Site, Vcf
from support.views import make_files, make_view, plan_view

from biofuse.errors import BiofuseError

GENOTYPES = random_genotypes(6, 5, seed=2)
PLINK_MOST = 2**31 - 2
BGEN_MOST = 2**32 - 1
# By format; BCF counts from 0.
MOST = {"plink": PLINK_MOST, "plink2": PLINK_MOST, "bcf": 2**31 - 1, "bgen": BGEN_MOST}


def store_with(folder, positions, dtype):
    store = make_store(folder / "x.vcz", GENOTYPES, chunks=(4, 5), contigs=("1", "2"))
    return add_field(store, "variant_position", np.array(positions, dtype=dtype), chunks=(4,))


def plink_says(program: str, stem) -> subprocess.CompletedProcess:
    command = [program, "--bfile", stem, "--freq", "--out", stem.with_name("out")]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_telomere(tmp_path):
    """Position 0 of a VCF stays, as in plink2."""
    positions = (0, 0, 5)
    sites = [Site("1", pos, ["0/1", "1/1", "./."]) for pos in positions]
    path = Vcf(["a", "b", "c"], sites).write(tmp_path / "y.vcf")
    # bio2zarr's index has no place for them.
    moved = [replace(site, pos=site.pos + 1) for site in sites]
    _, store = vcf_store(Vcf(["a", "b", "c"], moved), tmp_path)
    zarr.open_group(store, mode="r+")["variant_position"][...] = np.array(positions)
    seen = make_view(store, tmp_path / "view")
    assert seen == plink2_make_bed(path, tmp_path / "p")
    assert [line.split("\t")[3] for line in seen.bim.splitlines()] == ["0", "0", "5"]
    assert plan_view(store, tmp_path / "plan").warnings == []


@pytest.mark.parametrize("program", ["plink2", "plink1.9"])
def test_the_most_that_plink_takes(program, tmp_path):
    store = store_with(tmp_path, [1, 2, 3, PLINK_MOST, 1, 2], "uint32")
    stem = make_files(store, tmp_path / "files", "--format", "plink")
    assert f"\t{PLINK_MOST}\t" in stem.with_suffix(".bim").read_text()
    assert plink_says(program, stem).returncode == 0
    # One more, and the file is refused.
    bim = stem.with_suffix(".bim")
    bim.write_text(bim.read_text().replace(str(PLINK_MOST), str(PLINK_MOST + 1)))
    done = plink_says(program, stem)
    assert done.returncode != 0 and "Invalid bp coordinate" in done.stdout + done.stderr


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("most", [PLINK_MOST + 1, 2**31, BGEN_MOST])
def test_what_a_bgen_alone_holds(most, dtype, tmp_path):
    positions = [1, 2, 3, most, 1, 2]
    store = store_with(tmp_path, positions, dtype)
    with pytest.raises(BiofuseError, match=f"^the variant 1:{most} has a position above"):
        plan_view(store, tmp_path / "plan", "--format", "plink")
    stem = make_files(store, tmp_path / "files", "--format", "bgen")
    rows, _ = index_rows(stem.with_suffix(".bgen.bgi"))
    assert sorted(row[1] for row in rows) == sorted(positions)
    for read in (by_cbgen, by_bgenix):
        folder = tmp_path / read.__name__
        folder.mkdir()
        assert sorted(variant.names[3] for variant in read(stem, folder)) == sorted(positions)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("most", [2**32, 2**62])
def test_what_no_file_holds(most, dtype, tmp_path):
    store = store_with(tmp_path, [1, 2, 3, most, 1, 2], dtype)
    for name in MOST:
        with pytest.raises(BiofuseError, match=f"^the variant 1:{most} has a position above"):
            plan_view(store, tmp_path / name, "--format", name)


@pytest.mark.parametrize("name", MOST)
def test_the_most_that_each_format_holds(name, tmp_path):
    most = MOST[name]
    store = store_with(tmp_path, [1, 2, 3, most, 1, 2], "int64")
    options = ("--format", name)
    plan = plan_view(store, tmp_path / "most", *options)
    assert [streamed.records for streamed in plan.streamed] == [6]
    store_with(tmp_path, [1, 2, 3, most + 1, 1, 2], "int64")
    text = f"^the variant 1:{most + 1} has a position above {most}, which "
    with pytest.raises(BiofuseError, match=text):
        plan_view(store, tmp_path / "more", *options)


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_position_below_zero(dtype, name, tmp_path):
    store = store_with(tmp_path, [1, 2, 3, -5, 1, 2], dtype)
    with pytest.raises(BiofuseError, match=r"^the site 1:-5 \(variant 3 of the store.*below 0"):
        plan_view(store, tmp_path / "plan", "--format", name)
    kept = make_view(store, tmp_path / "view", "-e", "POS<0")
    assert len(kept.bim.splitlines()) == 5


def test_the_mount_leaves_out_what_does_not_hold_it(biofuse, tmp_path):
    store = store_with(tmp_path, [1, 2, 3, 2**31, 1, 2], "int64")
    directory = biofuse.new_directory()
    said = biofuse("mount", store, directory).stderr
    names = sorted(path.name for path in directory.iterdir())
    biofuse("umount", directory)
    assert names == ["x.bgen", "x.bgen.bgi", "x.sample"]
    assert "there is no .bed: the variant 1:2147483648 has a position above 2147483646" in said
