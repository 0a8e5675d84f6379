"""Fields of FORMAT in a `.bcf`, against the VCF that its store was made from."""

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cyvcf2
import numpy as np
import pysam
import pytest
from support import bcf, bcf_formats
from support.bcf_formats import values_of
from support.oracles import run
from support.places import contents
from support.stores import convert, copy_store

# Calls, ploidy, samples, the most alleles of a site, sites.
VCFS = {
    "diploid": (bcf.DIPLOID, 2, 7, 4, 90),
    "mixed": (bcf.MIXED, 2, 13, 3, 90),
    "haploid": (bcf.HAPLOID, 1, 5, 3, 60),
    "triploid": (bcf.TRIPLOID, 3, 9, 5, 60),
    "tetraploid": (bcf.Calls(("%/%/%/%", "%|%|%|%", "%/%", ".", "%/././%")), 4, 6, 3, 60),
    "thirty alleles": (bcf.DIPLOID, 2, 20, 30, 60),
    "one sample": (bcf.MIXED, 2, 1, 6, 60),
}


@dataclass(frozen=True)
class Seen:
    """A VCF, the store made from it, and the file that shows that."""

    vcf: Path
    store: Path
    bcf: Path


@pytest.fixture(scope="module")
def seen(module_biofuse, made) -> Callable[[str], Seen]:
    """`seen(name)` mounts a store the first time, until the module's end."""
    found: dict[str, Seen] = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> Seen:
            if name not in found:
                calls, ploidy, samples, alleles, sites = VCFS[name]

                def make(folder: Path) -> Path:
                    path = folder / "x.vcf"
                    bcf_formats.write_vcf(path, samples, sites, calls, alleles, len(name), ploidy)
                    convert(path, folder / "x.vcz", variants_chunk_size=17, samples_chunk_size=4)
                    return folder

                folder = made(f"bcf-fields-{name}", make)
                options = ("--format", "bcf", "--bcf-fields", "all")
                mount = stack.enter_context(module_biofuse.mount(folder / "x.vcz", *options))
                files = (folder / "x.vcf.gz", folder / "x.vcz", mount.dir / "x.bcf")
                found[name] = Seen(*files)
            return found[name]

        yield get


@pytest.mark.parametrize("name", VCFS)
def test_what_bcftools_reads(name, seen):
    """Every site, call and value, but for fields of which a site has none."""
    files = seen(name)
    ours, theirs = (bcf_formats.calls_of(path) for path in (files.bcf, files.vcf))
    assert [calls for _, calls in ours] == [calls for _, calls in theirs]
    keys = {key for _, calls in theirs for call in calls for key in call}
    assert keys >= {"GT", *bcf_formats.FORMATS}
    assert bcf.query(files.bcf) == bcf.query(files.vcf)


@pytest.mark.parametrize("name", ["diploid", "triploid"])
def test_regions(name, seen):
    files = seen(name)
    for region in ("chr1:1-50000", "2", "2:100000-300000"):
        ours, theirs = (
            [calls for _, calls in bcf_formats.calls_of(path, "-r", region)]
            for path in (files.bcf, files.vcf)
        )
        assert ours == theirs


def test_the_header(seen):
    def lines(path: Path) -> set[str]:
        found = run("bcftools", "view", "-h", "--no-version", path).splitlines()
        return {line for line in found if line.startswith("##FORMAT")}

    files = seen("diploid")
    ours, theirs = lines(files.bcf), lines(files.vcf)
    assert len(ours) == len(bcf_formats.FORMATS) + 1
    # A store does not tell that the number of values is always three.
    assert {line.replace("Number=.", "Number=3") for line in ours - theirs} == {
        line for line in theirs - ours if "ID=I3," in line
    }


@pytest.mark.parametrize("name", ["diploid", "thirty alleles"])
def test_sites_that_bcftools_splits(name, seen):
    """It asks of fields of Number A, R and G that a site has as many values as alleles."""
    files = seen(name)
    # bcftools 1.16 makes zeros of floats that are missing.
    keys = "GT,AD,EC,PL"
    found = []
    for path in (files.bcf, files.vcf):
        drop = f"^FORMAT/{',FORMAT/'.join(keys.split(','))}"
        small = subprocess.run(
            ["bcftools", "annotate", "-x", f"INFO,{drop}", "-Ou", path],
            check=True,
            capture_output=True,
        ).stdout
        done = subprocess.run(
            ["bcftools", "norm", "-m", "-any", "-Ov", "--no-version"],
            input=small,
            capture_output=True,
            check=True,
        )
        assert b"wrong number" not in done.stderr.lower()
        text = files.store.parent / "split.vcf"
        text.write_bytes(done.stdout)
        found.append([calls for _, calls in bcf_formats.calls_of(text)])
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["mixed", "triploid"])
def test_pysam(name, seen):
    files = seen(name)

    def values(record: pysam.VariantRecord) -> list[dict]:
        found = []
        for call in record.samples.values():
            each = {}
            for key in call:
                value = call[key]
                several = value if isinstance(value, tuple) else (value,)
                if bcf_formats.FORMATS.get(key, ("", ""))[1] == "Float":
                    while several and several[-1] is None:
                        several = several[:-1]
                    value = several
                if key == "GT" or any(v not in (None, ".") for v in several):
                    each[key] = value
            found.append(each)
        return found

    with pysam.VariantFile(str(files.bcf)) as ours, pysam.VariantFile(str(files.vcf)) as theirs:
        for one, other in zip(ours, theirs, strict=True):
            assert values(one) == values(other)


@pytest.mark.parametrize("name", ["diploid", "mixed"])
def test_cyvcf2(name, seen):
    files = seen(name)
    count = 0
    for ours, theirs in zip(cyvcf2.VCF(str(files.bcf)), cyvcf2.VCF(str(files.vcf)), strict=True):
        for key, (_, kind, _) in bcf_formats.FORMATS.items():
            one, other = ours.format(key), theirs.format(key)
            if other is None:
                continue
            if kind in ("String", "Character"):
                assert one.tolist() == other.tolist()
                continue
            none = np.iinfo(np.int32).min if kind == "Integer" else None
            for mine, their in zip(one, other, strict=True):
                if none is not None:
                    # Behind the last value are those that are none; missing ones are the lowest.
                    mine, their = (v[v != none + 1] for v in (mine, their))
                    assert mine.tolist() == their.tolist()
                else:
                    # NaN of both kinds.
                    width = min(len(mine), len(their))
                    assert np.array_equal(mine[:width], their[:width], equal_nan=True)
                    assert np.isnan(mine[width:]).all() and np.isnan(their[width:]).all()
                count += 1
    assert count > 1000


def test_plink2_takes_dosages(tmp_path, biofuse):
    """plink2 imports DS of the file as it does of the VCF."""
    rng = np.random.default_rng(1)
    names = [f"S{i}" for i in range(30)]
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1,length=1000000>"]
    lines += [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=DS,Number=1,Type=Float,Description="Dosage">',
    ]
    lines.append(
        "\t".join(["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT", *names]).replace(" ", "\t")
    )
    for i in range(50):
        each = [f"0/0:{d:g}" for d in rng.integers(0, 2001, 30) / 1000]
        lines.append("\t".join(["1", str(i + 1), f"v{i}", "A", "C", ".", ".", ".", "GT:DS", *each]))
    (tmp_path / "x.vcf").write_text("\n".join(lines) + "\n")
    convert(tmp_path / "x.vcf", tmp_path / "x.vcz")
    with biofuse.mount(tmp_path / "x.vcz", "--format", "bcf", "--bcf-fields", "GT,DS") as mount:
        for kind, path in (("bcf", mount.dir / "x.bcf"), ("vcf", tmp_path / "x.vcf")):
            words = (f"--{kind}", path, "dosage=DS", "--make-pgen", "--out", tmp_path / kind)
            run("plink2", *words)
    assert (tmp_path / "bcf.pgen").read_bytes() == (tmp_path / "vcf.pgen").read_bytes()


def test_a_place_far_away(seen, placer, biofuse):
    options = ("--format", "bcf", "--bcf-fields", "all")
    store = seen("mixed").store
    with biofuse.mount(store, *options) as mount:
        expected = contents(mount.dir)
    with placer.put("s3", store).mount(biofuse, *options) as mount:
        assert contents(mount.dir) == expected


def test_zip_files_and_names_in_python(seen, tmp_path):
    from support.stores import zip_store

    import biofuse as api

    files = seen("diploid")
    copy = copy_store(files.store, tmp_path / "x.vcz")
    for store in (copy, zip_store(copy)):
        with api.open(store, formats="bcf", bcf_fields=["DP", "GT"], no_cache=True) as fileset:
            (tmp_path / "x.bcf").write_bytes(fileset.open("x.bcf").read())
        assert values_of(tmp_path / "x.bcf", "DP") == values_of(files.vcf, "DP")
        assert values_of(tmp_path / "x.bcf", "GT") == values_of(files.vcf, "GT")
