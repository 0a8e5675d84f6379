"""A mounted `.bcf`, against the VCF that its store was made from, by programs that read both."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cyvcf2
import numpy as np
import pysam
import pytest
from support import bcf
from support.oracles import run
from support.stores import convert

# Calls, samples, the most alleles of a site, sites.
VCFS = {
    "diploid": (bcf.DIPLOID, 7, 4, 90),
    "mixed": (bcf.MIXED, 13, 3, 90),
    "haploid": (bcf.HAPLOID, 5, 2, 60),
    "triploid": (bcf.TRIPLOID, 9, 5, 60),
    "one sample": (bcf.MIXED, 1, 6, 60),
    "thirty alleles": (bcf.DIPLOID, 65, 30, 90),
    "many alleles": (bcf.MIXED, 6, 70, 150),
    "two alleles": (bcf.DIPLOID, 300, 2, 400),
}
REGIONS = (
    "chr1",
    "2:1-1",
    "2:1-50",
    "2:100000-300000",
    "HLA-A*01:01",
    "chr1:4200-4200",
    "2:9999999-",
)


@dataclass(frozen=True)
class Seen:
    """A VCF, and the file that shows the store made from it."""

    vcf: Path
    bcf: Path


@pytest.fixture(scope="module")
def seen(module_biofuse, made) -> Callable[[str], Seen]:
    """`seen(name)` mounts a store the first time, until the module's end."""
    found: dict[str, Seen] = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> Seen:
            if name not in found:
                calls, samples, alleles, sites = VCFS[name]

                def make(folder: Path) -> Path:
                    path = folder / "x.vcf"
                    bcf.write_vcf(path, samples, sites, calls, alleles, len(name))
                    convert(path, folder / "x.vcz", variants_chunk_size=37, samples_chunk_size=50)
                    return folder

                folder = made(f"bcf-{name}", make)
                mount = stack.enter_context(
                    module_biofuse.mount(folder / "x.vcz", "--format", "bcf")
                )
                assert sorted(path.name for path in mount.dir.iterdir()) == ["x.bcf", "x.bcf.csi"]
                found[name] = Seen(folder / "x.vcf.gz", mount.dir / "x.bcf")
            return found[name]

        yield get


@pytest.mark.parametrize("name", VCFS)
def test_every_field_of_every_site(name, seen):
    files = seen(name)
    assert bcf.query(files.bcf) == bcf.query(files.vcf)


@pytest.mark.parametrize("name", VCFS)
def test_the_bytes_are_those_of_bcftools(name, seen, tmp_path):
    """What bcftools makes of the text that it reads from the file is the file, but for widths."""
    files = seen(name)
    text, again = tmp_path / "x.vcf", tmp_path / "x.bcf"
    run("bcftools", "view", "--no-version", "-o", text, files.bcf)
    run("bcftools", "view", "--no-version", "-l", "0", "-Ob", "-o", again, text)
    ours, theirs = files.bcf.read_bytes(), again.read_bytes()
    our_header, our_records = bcf.take_apart(ours)
    their_header, their_records = bcf.take_apart(theirs)
    assert our_header == their_header
    assert [record.site for record in our_records] == [record.site for record in their_records]
    samples = len(run("bcftools", "query", "-l", files.bcf).split())
    if name != "many alleles":
        for one, other in zip(our_records, their_records, strict=True):
            assert bcf.same_calls(one.calls, other.calls, samples)
    if name in ("diploid", "thirty alleles", "two alleles"):
        # Where each site has a diploid call, nothing is of another width.
        assert ours == theirs


def test_the_header(seen, tmp_path):
    """It says what the VCF's does, as far as a store tells it."""

    def lines(path: Path) -> set[str]:
        found = run("bcftools", "view", "-h", "--no-version", path).splitlines()
        return {line for line in found if not line.startswith("##bcftools")}

    files = seen("diploid")
    ours, theirs = lines(files.bcf), lines(files.vcf)
    # A store does not tell of which fields the number of values is always one, or two.
    assert {line.replace("Number=.", "Number=2") for line in ours - theirs} == {
        line for line in theirs - ours if "ID=I2," in line
    }
    assert sum("##INFO" in line for line in ours) == len(bcf.INFO)


@pytest.mark.parametrize("name", ["diploid", "mixed", "thirty alleles", "two alleles"])
@pytest.mark.parametrize("region", REGIONS)
def test_regions(region, name, seen):
    files = seen(name)
    assert bcf.query(files.bcf, "-r", region) == bcf.query(files.vcf, "-r", region)


def test_regions_as_an_index_of_bcftools_has_them(seen, tmp_path):
    """Of every site's neighbourhood, among them those that sites reach into from afar."""
    files = seen("two alleles")
    copy = tmp_path / "x.bcf"
    copy.write_bytes(files.bcf.read_bytes())
    run("bcftools", "index", copy)
    places = sorted({tuple(line.split("\t")[:2]) for line in bcf.query(files.bcf)})
    for chrom, pos in places[::5]:
        if ":" in chrom:
            # bcftools 1.16 has no way to tell such a name from a region.
            continue
        region = f"{chrom}:{int(pos) + 20_000}-{int(pos) + 40_000}"
        assert bcf.query(files.bcf, "-r", region) == bcf.query(copy, "-r", region)
    ours, theirs = (run("bcftools", "index", "-s", path) for path in (files.bcf, copy))
    assert ours == theirs


@pytest.mark.parametrize("name", ["mixed", "thirty alleles"])
def test_statistics(name, seen):
    def numbers(path: Path) -> list[str]:
        found = run("bcftools", "stats", "-s", "-", path).splitlines()
        return [line for line in found if line[:1] != "#" and not line.startswith("ID\t")]

    files = seen(name)
    assert numbers(files.bcf) == numbers(files.vcf)


@pytest.mark.parametrize("name", ["diploid", "two alleles", "thirty alleles"])
def test_plink2(name, seen, tmp_path):
    """The `.pgen` of both is the same."""
    files = seen(name)
    for kind, path in (("bcf", files.bcf), ("vcf", files.vcf)):
        words = ("--allow-extra-chr", "--vcf-half-call", "missing", "--make-pgen", "erase-phase")
        run("plink2", f"--{kind}", path, *words, "--out", tmp_path / kind)
    for suffix in ("pgen", "psam"):
        ours, theirs = ((tmp_path / f"{kind}.{suffix}").read_bytes() for kind in ("bcf", "vcf"))
        assert ours == theirs
    ours, theirs = (
        [line for line in (tmp_path / f"{kind}.pvar").read_text().splitlines() if line[:2] != "##"]
        for kind in ("bcf", "vcf")
    )
    # INFO is in another order.
    columns = [[line.split("\t")[:7] for line in lines] for lines in (ours, theirs)]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("name", ["mixed", "triploid", "thirty alleles", "many alleles"])
@pytest.mark.parametrize("region", [None, "2:1-200000"])
def test_cyvcf2(name, region, seen):
    files = seen(name)
    pairs = [cyvcf2.VCF(str(path)) for path in (files.bcf, files.vcf)]
    assert pairs[0].samples == pairs[1].samples
    count = 0
    for ours, theirs in zip(*(v(region) if region else v for v in pairs), strict=True):
        assert dict(ours.INFO) == dict(theirs.INFO)
        one, other = ours.genotype.array(), theirs.genotype.array()
        # Where all calls have fewer alleles, that of the file is wider.
        width = other.shape[1] - 1
        assert np.array_equal(one[:, :width], other[:, :-1])
        assert (one[:, width:-1] == -2).all()
        assert (ours.CHROM, ours.POS, ours.ID, ours.REF, ours.ALT, ours.FILTERS, ours.end) == (
            *(theirs.CHROM, theirs.POS, theirs.ID, theirs.REF, theirs.ALT),
            *(theirs.FILTERS, theirs.end),
        )
        count += 1
    assert count > 10


@pytest.mark.parametrize("name", ["mixed", "triploid"])
def test_pysam(name, seen):
    def info(record: pysam.VariantRecord) -> dict:
        # It takes Number=G for FORMAT only.
        return {key: record.info[key] for key in record.info if key != "IG"}

    files = seen(name)
    with pysam.VariantFile(str(files.bcf)) as ours, pysam.VariantFile(str(files.vcf)) as theirs:
        for region in (None, ("2", 0, 200_000)):
            count = 0
            for one, other in zip(
                ours.fetch(*region or ()), theirs.fetch(*region or ()), strict=True
            ):
                assert (one.pos, one.alleles, one.stop) == (other.pos, other.alleles, other.stop)
                assert info(one) == info(other)
                calls = [
                    [call["GT"] for call in record.samples.values()] for record in (one, other)
                ]
                assert calls[0] == calls[1]
                count += 1
            assert count > 10
