"""`biofuse mount-bgen`, BGEN beside PLINK, and `biofuse run` on BGEN files."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bgen import bgenix, listed, parse
from support.commands import finish, wait_mounted
from support.oracles import plink2, vcztools_view_bgen, vcztools_view_plink
from support.stores import vcf_store
from support.vcf import DIPLOID, HAPLOID, random_vcf

from biofuse.formats.chromosome import chromosome_name

PHASED = ("0|0", "0|1", "1|0", "1|1")


@pytest.fixture
def store(made):
    def make(folder):
        vcf = random_vcf(41, 60, PHASED, ("1", "chr2"), seed=4)
        for i, site in enumerate(vcf.sites):
            if i % 3:
                calls = random_vcf(41, 1, DIPLOID + HAPLOID, seed=i).sites[0].calls
                site.calls[:] = [c.replace("1", "0") if site.alt == "." else c for c in calls]
        return vcf_store(vcf, folder, variants_chunk_size=13, samples_chunk_size=17)[1]

    return made("mount-bgen", make)


def check_same(stem: Path, oracle: Path, contig: Callable[[str], str] = str) -> None:
    """A `.bgen` has what another has, by names of contigs, whatever its zlib streams' size."""
    mine, its = (parse(Path(f"{s}.bgen").read_bytes()) for s in (stem, oracle))
    assert mine.samples == its.samples and mine.num_samples == its.num_samples
    assert len(mine.variants) == len(its.variants) > 5
    for a, b in zip(mine.variants, its.variants, strict=True):
        names = (*b.names[:2], contig(b.names[2]), *b.names[3:])
        assert (tuple(a.names), a.phased, a.bits) == (names, b.phased, b.bits)
        for field in ("ploidy", "missing", "integers"):
            assert np.array_equal(getattr(a, field), getattr(b, field)), (a.names, field)


# Every option of `mount-bgen` in biofuse 0.1.0, in command lines that work.
OPTIONS_OF_0_1_0 = {
    "long": "--regions 1,chr2 --targets 1 --samples S0004,no,S0001 --force-samples"
    " --include POS>150 --types snps --min-alleles 2",
    "files": "--no-bgi --regions-file {}/regions --targets-file ^{}/targets"
    " --samples-file {}/samples --exclude POS<150 --exclude-types snps --max-alleles 2",
    "short": "--no-sample-file -r 1,chr2 -t ^1:100-120 -s ^S0003 -e POS<150 -V snps -m 1 -M 2",
    "short-files": "--no-header-samples -R {}/regions -T ^{}/targets -S {}/samples -i POS>150",
    "bgen": "--unphased --variant-id-field varid",
}
INERT = "--pad-byte X --total-string-length 80"
LOGGING = (
    "--readahead-workers 32 --readahead-buffer-size 256MiB --log-level debug --log-file {}/log"
    " --access-log {}/reads"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS_OF_0_1_0)
def test_mount_bgen_takes_the_options_of_0_1_0(name, store, biofuse, tmp_path):
    (tmp_path / "regions").write_text("1\t1\t300\nchr2\t1\t9000\n")
    (tmp_path / "targets").write_text("chr2\t200\t300\n")
    (tmp_path / "samples").write_text("S0007\nS0002\n")
    options = OPTIONS_OF_0_1_0[name].replace("{}", str(tmp_path)).split(" ")
    more = f"--basename old {LOGGING} {INERT}".replace("{}", str(tmp_path)).split(" ")
    oracle = vcztools_view_bgen(store, tmp_path / "old", *options)
    directory = biofuse.new_directory()
    process = biofuse.popen("mount-bgen", store, directory, *options, *more)
    try:
        shown = {n: (directory / n).read_bytes() for n in wait_mounted(directory, process)}
        check_same(directory / "old", oracle)
        if "old.bgen.bgi" in shown:
            variants = parse(shown["old.bgen"]).variants
            found = listed(bgenix(directory / "old", "-list"))
            assert sorted(found) == sorted(v.names for v in variants)
    finally:
        process.send_signal(signal.SIGINT)
        finish(process, 0)
    assert os.listdir(directory) == []
    assert shown.keys() == {p.name for p in tmp_path.iterdir() if p.name.startswith("old.")}
    if "old.sample" in shown:
        assert shown["old.sample"] == Path(f"{oracle}.sample").read_bytes()
    assert (tmp_path / "reads").read_text().count("\n") > 0
    assert (tmp_path / "log").exists()


def test_mount_bgen_has_every_option_name_of_0_1_0(biofuse):
    text = biofuse("mount-bgen", "--help").stdout
    words = " ".join([*OPTIONS_OF_0_1_0.values(), LOGGING]).split(" ")
    for word in [*words, "--basename", "--backend-storage", "--storage-option"]:
        if word.startswith("-"):
            assert re.search(rf"(^|[\s,]){re.escape(word)}\b", text), word
    assert "VCZ_URL" in text
    assert "three columns" in text
    assert "MOUNT_DIR" in text


def test_both_formats_in_one_mount(store, biofuse, tmp_path):
    options = ["-s", "^S0003", "-e", "POS<150"]
    bed = vcztools_view_plink(store, tmp_path / "plink", *options)
    oracle = vcztools_view_bgen(store, tmp_path / "bgen", *options)
    formats = ["--format", "plink", "--format", "bgen", "--phased"]
    with biofuse.mount(store, *formats, *options) as mount:
        names = {p.name for p in mount.dir.iterdir()}
        assert names == {f"x.{s}" for s in ("bed", "bim", "fam", "bgen", "bgen.bgi", "sample")}
        assert mount.fileset() == bed
        check_same(mount.stem, oracle, chromosome_name)
        # One after the other again: neither keeps the other from being read.
        assert mount.bed.read_bytes() == bed.bed
        sources = {
            "bed": ["--bfile", mount.stem],
            "bgen": [
                *("--bgen", f"{mount.stem}.bgen", "ref-first", "--sample", f"{mount.stem}.sample")
            ],
        }
        found = {}
        for name, words in sources.items():
            plink2(*words, "--allow-extra-chr", "--freq", "counts", "--out", tmp_path / name)
            rows = (tmp_path / f"{name}.acount").read_text().splitlines()[1:]
            found[name] = [row.split("\t") for row in rows]
        assert [r[2:] for r in found["bgen"]] == [r[2:] for r in found["bed"]]
        assert len(found["bed"]) == len(bed.bim.splitlines())


def test_run_fills_in_names_of_bgen_files(store, biofuse):
    script = 'printf "%s\\n" "$@"; env | grep ^BIOFUSE_ | sort; wc -c <"$BIOFUSE_BGEN"'
    words = ["{bgen}", "{bgi}", "{sample}", "{stem}", "{dir}", "{9}", "{bgen.bgi}"]
    shown = ["--format", "bgen", "--unphased", "--haploid-as-diploid"]
    done = biofuse("run", store, *shown, "--", "sh", "-c", script, "sh", *words)
    lines = done.stdout.splitlines()
    directory = lines[4]
    names = [f"{directory}/x{suffix}" for suffix in (".bgen", ".bgen.bgi", ".sample", "")]
    assert lines[:7] == [*names, directory, "{9}", "{bgen.bgi}"]
    values = dict(zip(["BGEN", "BGI", "SAMPLE", "STEM", "DIR"], [*names, directory], strict=True))
    told = dict(line.split("=", 1) for line in lines if line.startswith("BIOFUSE_"))
    assert {f"BIOFUSE_{k}": v for k, v in values.items()}.items() <= told.items()
    assert "BIOFUSE_BED" not in told
    assert int(lines[-1]) > 60 * 41 * 3
    assert done.stderr == ""
    assert not os.path.exists(directory)


def test_run_plink2_on_bgen_files(store, biofuse, tmp_path):
    oracle = vcztools_view_bgen(store, tmp_path / "real")
    shared = ["--threads", "1", "--memory", "640", "--allow-extra-chr", "--freq", "--out"]
    real = ["--bgen", f"{oracle}.bgen", "ref-first", "--sample", f"{oracle}.sample"]
    plink2(*real, *shared[4:], tmp_path / "real")
    words = ["plink2", "--bgen", "{bgen}", "ref-first", "--sample", "{sample}", *shared]
    biofuse("run", store, "--format", "bgen", "--", *words, tmp_path / "mount")
    frequencies = [(tmp_path / name).read_text() for name in ("real.afreq", "mount.afreq")]
    assert frequencies[0] == frequencies[1]
    assert frequencies[0].count("\n") == 61
