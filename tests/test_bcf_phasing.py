"""A mounted `.bcf` in programs that phase and count, against the VCF that its store came from."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from support.oracles import run
from support.stores import convert
from support.vcf import Site, Vcf

SAMPLES, SITES = 48, 400
# Of vcftools: words, and the suffix of what they write.
COUNTS = {
    "frq": ("--freq",),
    "hwe": ("--hardy",),
    "imiss": ("--missing-indv",),
    "het": ("--het",),
    "012": ("--012",),
    "geno.ld": ("--geno-r2", "--ld-window", "5"),
    "Tajima.D": ("--TajimaD", "2000"),
    "DP.FORMAT": ("--extract-FORMAT-info", "DP"),
    "idepth": ("--depth",),
}


@pytest.fixture(scope="module")
def files(module_biofuse, made):
    """A VCF of people who share stretches of a few ancestors' chromosomes, and the `.bcf`."""

    def make(folder: Path) -> Path:
        rng = np.random.default_rng(5)
        ancestors = (rng.random((SITES, 12)) < rng.random((SITES, 1)) * 0.5).astype(int)
        ancestors[:, 0] = 1 - ancestors[:, 1]
        of = np.repeat(rng.integers(0, 12, (SITES // 40, 2 * SAMPLES)), 40, axis=0)
        haplotypes = np.take_along_axis(ancestors, of, axis=1)
        sites = []
        for i, row in enumerate(haplotypes):
            calls = [
                ("./.", "0/1", f"{a}/{b}", f"{a}|{b}")[k] + f":{depth}"
                for a, b, k, depth in zip(
                    *(row[::2], row[1::2]),
                    rng.choice([0, 2, 2, 3], SAMPLES, p=[0.02, 0.28, 0.3, 0.4]),
                    rng.integers(1, 60, SAMPLES),
                    strict=True,
                )
            ]
            sites.append(Site("20", 1000 + 50 * i, calls, id=f"v{i}", qual="50", format="GT:DP"))
        path = folder / "x.vcf"
        Vcf([f"S{i}" for i in range(SAMPLES)], sites).write(path)
        text = path.read_text()
        line = '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n#CHROM'
        # vcftools takes no VCF of a later version.
        text = text.replace("VCFv4.3", "VCFv4.2", 1).replace("#CHROM", line, 1)
        path.write_text(text)
        convert(path, folder / "x.vcz", variants_chunk_size=100, samples_chunk_size=20)
        return folder

    folder = made("bcf-phasing", make)
    options = ("--format", "bcf", "--bcf-fields", "GT,DP", "--contig-names", "store")
    with module_biofuse.mount(folder / "x.vcz", *options) as mount:
        yield folder / "x.vcf.gz", mount.dir / "x.bcf"


@pytest.mark.parametrize("suffix", COUNTS)
def test_vcftools(suffix, files, tmp_path):
    found = []
    for option, path in zip(("--gzvcf", "--bcf"), files, strict=True):
        run("vcftools", option, path, *COUNTS[suffix], "--out", tmp_path / option)
        found.append(Path(f"{tmp_path / option}.{suffix}").read_text())
    assert found[0] == found[1]
    assert len(found[0].splitlines()) > 5


def test_vcftools_reads_a_bcf_of_bcftools_alike(files, tmp_path):
    """It writes missing calls of any `.bcf` as -1/-1, and of a VCF as ./."""
    theirs = tmp_path / "theirs.bcf"
    run("bcftools", "view", "-Ob", "-o", theirs, files[0])
    found = []
    for number, path in enumerate((theirs, files[1])):
        out = tmp_path / str(number)
        run("vcftools", "--bcf", path, "--recode", "--out", out)
        text = Path(f"{out}.recode.vcf").read_text()
        found.append([line for line in text.splitlines() if line[:2] != "##"])
    assert found[0] == found[1]
    assert len(found[0]) == SITES + 1


def calls(path: Path) -> list[str]:
    return run("bcftools", "query", "-f", r"%POS\t%REF\t%ALT[\t%GT]\n", path).splitlines()


def phased(lines: list[str]) -> None:
    """All of them, heterozygous ones among them."""
    assert len(lines) > 100
    assert all("/" not in line for line in lines) and any("0|1" in line for line in lines)


def test_shapeit4(files, tmp_path):
    found = []
    for path in files:
        out = tmp_path / f"{path.suffix}.vcf.gz"
        words = ("--region", "20:1000-18000", "--seed", "1", "--thread", "1", "--output", out)
        run("shapeit4", "--input", path, *words, cwd=tmp_path)
        found.append(calls(out))
    assert found[0] == found[1]
    phased(found[0])


def write_map(path: Path) -> Path:
    lines = [f"20 {pos} 1.5 {pos * 1.5e-4:.6f}" for pos in range(0, 30_001, 500)]
    head = "chr position COMBINED_rate(cM/Mb) Genetic_Map(cM)"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_eagle(files, tmp_path):
    genetic_map = write_map(tmp_path / "map.txt")
    found = []
    for path in files:
        out = tmp_path / path.suffix
        run(
            *("bio-eagle", "--vcf", path, "--geneticMapFile", genetic_map, "--chrom", "20"),
            *("--bpStart", "1000", "--bpEnd", "18000", "--numThreads", "1", "--outPrefix", out),
        )
        found.append(calls(Path(f"{out}.vcf.gz")))
    assert found[0] == found[1]
    phased(found[0])


@pytest.fixture
def panel(files, tmp_path) -> tuple[Path, Path, Path]:
    """Two people to phase, and the `.bcf` and a VCF that have all others' phase."""
    vcf = tmp_path / "panel.vcf"
    with gzip.open(files[0], "rt") as f:
        text = f.read()
    vcf.write_text(text.replace("./.", "0|0").replace("/", "|"))
    store = convert(vcf, tmp_path / "panel.vcz", variants_chunk_size=64)
    target = tmp_path / "target.vcf.gz"
    run("bcftools", "view", "-s", "S0,S1", "-Oz", "-o", target, files[0])
    run("bcftools", "index", "-t", target)
    return target, tmp_path / "panel.vcf.gz", store


def test_as_a_reference_panel(panel, tmp_path, biofuse):
    target, vcf, store = panel
    genetic_map = write_map(tmp_path / "map.txt")
    with biofuse.mount(store, "--format", "bcf") as mount:
        found = {}
        for name, reference in (("vcf", vcf), ("bcf", mount.dir / "panel.bcf")):
            out = tmp_path / f"eagle-{name}"
            run(
                *("bio-eagle", "--vcfTarget", target, "--vcfRef", reference, "--chrom", "20"),
                *("--geneticMapFile", genetic_map, "--numThreads", "1", "--outPrefix", out),
            )
            out = Path(f"{out}.vcf.gz")
            other = tmp_path / f"shapeit-{name}.vcf.gz"
            run(
                *("shapeit4", "--input", target, "--reference", reference, "--output", other),
                *("--region", "20:1000-18000", "--seed", "1", "--thread", "1"),
                cwd=tmp_path,
            )
            found[name] = (calls(out), calls(other))
    assert found["vcf"] == found["bcf"]
    for lines in found["bcf"]:
        phased(lines)
