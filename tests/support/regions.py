"""One VCF's sites in stores as several writers leave them, and which of them are kept."""

import random
import shutil
from functools import cache
from pathlib import Path

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.plan.regions import select_regions
from biofuse.selection_files import read_selection
from biofuse.stores import Location, open_store
from biofuse.stores.location import open_group
from support.oracles import run
from support.stores import convert
from support.vcf import Site, Vcf

CONTIGS = ("1", "chr2", "X")
# Where positions begin: smaller ones are stored, and indexed, as smaller integers.
BASE = 100_000


def sites(base: int) -> list[Site]:
    """On three contigs, with deletions and INFO/END that reach over what follows."""
    rng = random.Random(4)
    found = []
    for contig in CONTIGS:
        positions = sorted(base + i for i in rng.choices(range(1, 120), k=40))
        for pos in positions:
            ref = "A" + "C" * rng.choice([0, 0, 0, 1, 5, 30])
            info = f"END={pos + rng.choice([3, 50])}" if rng.random() < 0.1 else "."
            found.append(
                Site(contig, pos, ["0/1"], ref=ref, alt="A" if len(ref) > 1 else "G", info=info)
            )
    return found


def write_vcf(path: Path, base: int) -> Path:
    named = [Site(**{**vars(site), "id": f"v{i}"}) for i, site in enumerate(sites(base))]
    text = Vcf(["S1"], named).write(path).read_text()
    end = '##INFO=<ID=END,Number=1,Type=Integer,Description="End">\n'
    path.write_text(text.replace("##FORMAT", end + "##FORMAT", 1))
    return path


def make_stores(directory: Path) -> dict[str, Path]:
    """One VCF's store, and copies that lack what other writers leave out."""
    path = write_vcf(directory / "sites.vcf", BASE)
    paths = {"vcf": path.with_suffix(".vcf.gz")}
    paths["whole"] = convert(path, directory / "whole.vcz", variants_chunk_size=7)
    paths["v3"] = convert(path, directory / "v3.vcz", variants_chunk_size=16, zarr_format=3)
    for name, lost in {
        "no-index": ["region_index"],
        "no-length": ["variant_length"],
        "neither": ["region_index", "variant_length"],
    }.items():
        paths[name] = shutil.copytree(paths["whole"], directory / f"{name}.vcz")
        for field in lost:
            shutil.rmtree(paths[name] / field)
        (paths[name] / ".zmetadata").unlink(missing_ok=True)
    return paths


STORES = ("whole", "v3", "no-index", "no-length", "neither")


@cache
def opened(path: Path):
    location = Location(str(path))
    return open_group(location), open_store(location)


def kept(path: Path, **options) -> list[int]:
    """Indices of the variants that a selection keeps."""
    group, store = opened(path)
    found, _ = select_regions(group, store, read_selection(**options))
    if found is None:
        return list(range(group["variant_position"].shape[0]))
    assert found.dtype == np.uint32
    return found.tolist()


LETTERS = {"regions": "-r", "regions_file": "-R", "targets": "-t", "targets_file": "-T"}


def kept_by_bcftools(vcf: Path, **options) -> list[int]:
    """The same of bcftools, in the order of the file."""
    words = [word for name, value in options.items() for word in (LETTERS[name], value)]
    lines = run("bcftools", "view", "-H", *words, vcf).splitlines()
    indices = [int(line.split("\t")[2][1:]) for line in lines]
    assert len(set(indices)) == len(indices)
    return sorted(indices)


def assert_as_bcftools(stores: dict[str, Path], name: str, **options) -> list[int]:
    expected = kept_by_bcftools(stores["vcf"], **options)
    try:
        assert kept(stores[name], **options) == expected
    except BiofuseError as error:
        # What is likely to be mistyped is told.
        assert expected == []
        assert "no contig" in str(error)
    return expected
