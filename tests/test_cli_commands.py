"""The commands, as a user runs them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from support import reference
from support.commands import finish, wait_mounted
from support.oracles import vcztools_view_plink
from support.program import mounts_below, wait_until
from support.stores import (
    copy_store,
    make_store,
    random_genotypes,
    vcf_store,
    zip_store,
)
from support.vcf import random_vcf
from support.views import parse

import biofuse as package
from biofuse.cli.mount_plink import command as mount_plink
from biofuse.stores import store_stem

GENOTYPES = random_genotypes(90, 41, seed=2)
BED = reference.bed(GENOTYPES)
COMMANDS = ["mount", "umount", "run", "export", "status", "info", "check", "plan", "demo"]
COMMANDS += ["mount-plink", "mount-bgen"]
SUFFIXES = ("bed", "bgen", "bgen.bgi", "bim", "fam", "sample")


@pytest.fixture
def store(made):
    return made("commands", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 15)))


def test_mount_and_umount_say_nothing_when_all_is_well(store, biofuse):
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, "--haploid-as-diploid")
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(os.listdir(directory)) == [f"x.{s}" for s in SUFFIXES]
    assert (directory / "x.bed").read_bytes() == BED
    done = biofuse("umount", directory)
    assert (done.stdout, done.stderr) == ("", "")
    assert os.listdir(directory) == []


def test_several_mounts_and_one_umount(store, biofuse):
    directories = [biofuse.new_directory() for _ in range(3)]
    for directory in directories:
        biofuse("mount", store, directory)
    assert {(d / "x.bed").read_bytes() for d in directories} == {BED}
    biofuse("umount", *directories)
    assert mounts_below(biofuse.home) == []


def test_paths_with_spaces_and_commas(store, biofuse, tmp_path):
    odd = copy_store(store, tmp_path / "my store, v=2 (ü).vcz")
    directory = biofuse.home / "a mount, of mine"
    directory.mkdir()
    with biofuse.mount(odd, directory=directory, stem="my store, v=2 (ü)") as mount:
        assert mount.bed.read_bytes() == BED
        assert mount.status()["mountpoint"] == str(directory)
    assert mounts_below(biofuse.home) == []


def test_relative_paths(store, biofuse, tmp_path):
    copy_store(store, tmp_path / "r.vcz")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "m").mkdir()
    (tmp_path / "ids.txt").write_text("S0003\nS0001\n")
    biofuse("mount", "../r.vcz", "../m/", "-S", "../ids.txt", cwd=tmp_path / "elsewhere")
    try:
        assert (tmp_path / "m" / "r.bed").read_bytes() == reference.bed(GENOTYPES[:, [3, 1]])
        assert "r.bed" in biofuse("status", "m", cwd=tmp_path).stdout
    finally:
        biofuse("umount", "./m", cwd=tmp_path)
    assert mounts_below(tmp_path) == []


def test_a_mountpoint_behind_a_link(store, biofuse):
    real = biofuse.new_directory()
    link = biofuse.home / "link"
    link.symlink_to(real)
    biofuse("mount", store, link)
    assert (real / "x.bed").read_bytes() == BED
    assert biofuse("status", link).stdout
    biofuse("umount", link)
    assert mounts_below(biofuse.home) == []


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.vcz", "a"),
        ("a.zarr", "a"),
        ("a.vcz.zip", "a"),
        ("a.zarr.zip", "a"),
        ("a.chr20.vcz", "a.chr20"),
        ("a", "a"),
        ("dir.vcz/a.vcz/", "a"),
        ("s3://bucket/dir/a.vcz?x=1", "a"),
        (".vcz", ".vcz"),
    ],
)
def test_the_stem(name, stem):
    assert store_stem(name) == stem


@pytest.mark.parametrize("name", ["a.zarr", "b.vcz.zip", "c.chr20.vcz"])
def test_the_files_are_named_after_the_store(name, store, biofuse, tmp_path):
    if name.endswith(".zip"):
        shutil.move(zip_store(copy_store(store, tmp_path / "copy.vcz")), tmp_path / name)
    else:
        copy_store(store, tmp_path / name)
    stem = re.sub(r"\.(zarr|vcz|vcz\.zip)$", "", name)
    with biofuse.mount(tmp_path / name, stem=stem) as mount:
        assert sorted(os.listdir(mount.dir)) == [f"{stem}.{s}" for s in SUFFIXES]
        assert mount.bed.read_bytes() == BED


def test_which_files_and_their_name(store, biofuse):
    options = ["--no-bim", "--no-bgi", "--no-sample-file", "--basename", "cohort.1"]
    with biofuse.mount(store, *options, stem="cohort.1") as mount:
        assert sorted(os.listdir(mount.dir)) == ["cohort.1.bed", "cohort.1.bgen", "cohort.1.fam"]
        assert mount.bed.read_bytes() == BED
    with biofuse.mount(store, "--no-fam", "--format", "plink") as mount:
        assert sorted(os.listdir(mount.dir)) == ["x.bed", "x.bim"]


def test_access_log(store, biofuse, tmp_path):
    log = tmp_path / "reads.jsonl"
    with biofuse.mount(store, "--access-log", log) as mount:
        mount.bed.read_bytes()
        mount.fam.read_bytes()
        with mount.bed.open("rb", 0) as one, mount.bed.open("rb", 0) as another:
            for f in (one, another):
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                f.read(1)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert {row["path"] for row in rows} == {"x.bed", "x.fam"}
    # Each opening is told from the others.
    assert len({row["fh"] for row in rows if row["path"] == "x.bed"}) == 3
    assert len({row["fh"] for row in rows if row["path"] == "x.fam"}) == 1
    for row in rows:
        assert set(row) == {"path", "fh", "offset", "size", "t_start", "t_end", "kind"}
        assert row["kind"] == "read"
        assert row["t_start"] <= row["t_end"]
    assert min(row["offset"] for row in rows if row["path"] == "x.bed") == 0


def test_the_log_of_what_the_processes_do(store, biofuse):
    with biofuse.mount(store, "--log-level", "debug", "--idle-timeout", "1") as mount:
        mount.expect_log("DEBUG")
        mount.bed.read_bytes()
        serve = mount.pid("serve")
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        text = mount.log_text()
    [worker, *_] = re.findall(r"worker (\d+) started", text)
    by_serve = [line for line in text.splitlines() if f"biofuse[{serve}] DEBUG" in line]
    by_worker = [line for line in text.splitlines() if f"biofuse[{worker}] DEBUG" in line]
    for part in (f"worker {worker} started", "open x.bed", "idle for 1 s"):
        assert any(part in line for line in by_serve), part
    read = re.compile(r"(read \d+: file 0, \d+ bytes at 0)\b")
    asked, answered = (read.findall("\n".join(lines)) for lines in (by_serve, by_worker))
    assert asked
    assert sorted(asked) == sorted(answered)
    with biofuse.mount(store) as mount:
        mount.bed.read_bytes()
        assert mount.log_text() == ""


def test_status(store, biofuse):
    with biofuse.mount(store, "-s", "S0001,S0002,S0003", "--memory", "32MiB") as mount:
        mount.bed.read_bytes()
        status = mount.status()
        assert status["mountpoint"] == str(mount.dir)
        assert status["store"] == str(store)
        assert (status["num_samples"], status["num_variants"]) == (3, 90)
        sizes = {name: (mount.dir / name).stat().st_size for name in os.listdir(mount.dir)}
        assert status["files"] == sizes
        assert status["budget"] == 32 << 20
        assert status["log"] == str(mount.log)
        roles = [process["role"] for process in status["processes"]]
        assert roles == ["serve", "encode"]
        for process in status["processes"]:
            assert 0 < process["anonymous"] <= process["rss"] <= process["peak"]
            assert 0 < process["pss"] <= process["rss"]
        counters = status["counters"]
        assert counters["errors"] == counters["worker_deaths"] == 0
        assert counters["worker_starts"] == 1
        assert counters["bytes_served"] >= 3 + 90
        text = biofuse("status", mount.dir).stdout
        assert "3 samples, 90 variants" in text
        assert all(word in text for word in ("x.bed", "serve", "encode", "budget", "errors"))
        everything = json.loads(biofuse("status", "--json").stdout)
        assert str(mount.dir) in [one["mountpoint"] for one in everything]
        assert str(mount.dir) in biofuse("status").stdout


def test_info(store, biofuse):
    value = json.loads(biofuse("info", store, "--json").stdout)
    assert value["store"] == str(store)
    assert (value["num_samples"], value["num_variants"]) == (41, 90)
    assert (value["ploidy"], value["max_alleles"], value["zarr_format"]) == (2, 2, 2)
    assert value["contigs"] == ["1", "2"]
    assert value["chunks"] == {"variants": 20, "samples": 15}
    assert value["chunk_bytes"] == 20 * 15 * 2
    assert value["fast_path"] is True
    assert value["slow_reason"] is None
    assert value["codec"] == "blosc zstd 5, bit shuffle"
    view = value["views"]["plink"]
    assert (view["file"], view["size"]) == ("x.bed", len(BED))
    text = biofuse("info", store).stdout
    assert all(word in text for word in ("41", "90", "20 variants x 15 samples", "x.bed"))
    assert re.search(r"fast path +yes", text)


def test_info_says_why_a_store_is_slow(biofuse, tmp_path):
    names = ["", *(f"S{i}" for i in range(40))]
    slow = make_store(tmp_path / "y.vcz", GENOTYPES, encoding="v2-gzip", samples=names)
    value = json.loads(biofuse("info", slow, "--json").stdout)
    assert value["fast_path"] is False
    assert "gzip" in value["slow_reason"]
    assert (value["num_samples"], value["num_null_samples"]) == (40, 1)
    assert value["views"]["plink"]["size"] == 3 + 90 * 10


def test_demo_makes_a_store_that_can_be_mounted(biofuse, tmp_path):
    demo = tmp_path / "demo.vcz"
    done = biofuse("demo", demo, "--samples", "21", "--variants", "300")
    assert done.stdout == f"made {demo}: 21 samples, 300 variants\n"
    with biofuse.mount(demo) as mount:
        assert mount.bed.stat().st_size == 3 + 300 * 6
        assert mount.fam.read_text().count("\n") == 21


def test_umount_of_a_dead_mount(store, biofuse):
    with biofuse.mount(store) as mount:
        mount.bed.read_bytes()
        pid = mount.pid("serve")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not biofuse.processes(), "the worker ends with its server")
        with pytest.raises(OSError):
            os.listdir(mount.dir)
        said = biofuse.fails("status", mount.dir)
        assert said == (
            f"the process behind {mount.dir} (pid {pid}) is gone; "
            f"end the mount with 'biofuse umount {mount.dir}'"
        )
        assert "is gone" in biofuse.fails("status", mount.dir, "--watch", "--json")
        biofuse("umount", mount.dir)
        assert os.listdir(mount.dir) == []
    with biofuse.mount(store, directory=mount.dir) as again:
        assert again.bed.read_bytes() == BED


@pytest.mark.parametrize("how", ["umount", "sigint", "sigterm", "fusermount3"])
def test_foreground(how, store, biofuse):
    directory = biofuse.new_directory()
    process = biofuse.popen("mount", store, directory, "--foreground", "--format", "plink")
    wait_mounted(directory, process)
    assert (directory / "x.bed").read_bytes() == BED
    if how == "umount":
        biofuse("umount", directory)
    elif how == "fusermount3":
        subprocess.run(["fusermount3", "-u", directory], check=True)
    else:
        process.send_signal({"sigint": signal.SIGINT, "sigterm": signal.SIGTERM}[how])
    assert finish(process, 0) == f"mounted at {directory}\n"
    assert os.listdir(directory) == []


def test_foreground_with_nobody_to_tell(store, biofuse):
    """As under nohup, when the terminal is closed before the mount is ready."""
    directory = biofuse.new_directory()
    process = biofuse.popen("mount", store, directory, "--foreground", "--format", "plink")
    process.stderr.close()
    wait_mounted(directory, process)
    biofuse("umount", directory)
    assert process.wait(20) == 0


# Every option of `mount-plink` in biofuse 0.1.0, in command lines that work.
OPTIONS_OF_0_1_0 = {
    "long": "--basename old --no-bim --no-fam --regions 1,chr2 --targets 1 --samples S0004,no,S0001"
    " --force-samples --include POS>150 --types snps --min-alleles 2",
    "files": "--basename old --no-bim --no-fam --regions-file {}/regions --targets-file ^{}/targets"
    " --samples-file {}/samples --exclude POS<150 --exclude-types snps --max-alleles 2",
    "short": "--basename old --no-bim --no-fam -r 1,chr2 -t ^1:100-120 -s ^S0003 -e POS<150 -V snps"
    " -m 1 -M 2",
    "short-files": "--basename old --no-bim --no-fam -R {}/regions -T ^{}/targets -S {}/samples"
    " -i POS>150 -v snps",
}
LOGGING = (
    "--readahead-workers 32 --readahead-buffer-size 256MiB --log-level debug --log-file {}/log"
    " --access-log {}/reads"
)


@pytest.mark.parametrize("name", ["long", "files"])
def test_mount_plink_takes_the_options_of_0_1_0(name, biofuse, made, tmp_path):
    vcf = random_vcf(41, 90, chroms=("1", "chr2"), seed=4)
    _, converted = made("old", lambda folder: vcf_store(vcf, folder))
    (tmp_path / "regions").write_text("1\t1\t300\nchr2\t1\t9000\n")
    (tmp_path / "targets").write_text("chr2\t200\t300\n")
    (tmp_path / "samples").write_text("S0007\nS0002\n")
    options = OPTIONS_OF_0_1_0[name].replace("{}", str(tmp_path)).split(" ")
    logging = LOGGING.replace("{}", str(tmp_path)).split(" ")
    directory = biofuse.new_directory()
    process = biofuse.popen("mount-plink", converted, directory, *options, *logging)
    assert wait_mounted(directory, process) == ["old.bed"]
    seen = (directory / "old.bed").read_bytes()
    process.send_signal(signal.SIGINT)
    finish(process, 0)
    assert os.listdir(directory) == []
    expected = vcztools_view_plink(converted, tmp_path / "v", *options[4:])
    assert len(expected.bed) > 3 + 5
    assert seen == expected.bed
    assert (tmp_path / "reads").read_text().count("\n") > 0
    assert (tmp_path / "log").exists()


@pytest.mark.parametrize("name", OPTIONS_OF_0_1_0)
def test_short_options_mean_the_same(name, store, tmp_path):
    for file in ("regions", "targets", "samples"):
        (tmp_path / file).write_text("1\t1\t300\n")
    words = OPTIONS_OF_0_1_0[name].replace("{}", str(tmp_path)).split(" ")
    selection = parse(store, *words).selection
    assert selection != parse(store).selection
    long = {o: max(p.opts, key=len) for p in mount_plink.params for o in p.opts}
    assert parse(store, *(long.get(word, word) for word in words)).selection == selection


def test_mount_plink_has_every_option_name_of_0_1_0(biofuse):
    text = biofuse("mount-plink", "--help").stdout
    words = " ".join([*OPTIONS_OF_0_1_0.values(), LOGGING]).split(" ")
    words += ["--backend-storage", "--storage-option"]
    for word in words:
        if word.startswith("-"):
            assert re.search(rf"(^|[\s,]){re.escape(word)}\b", text), word
    assert "VCZ_URL" in text
    assert "MOUNT_DIR" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, biofuse):
    text = biofuse(command, "--help").stdout
    assert text.startswith(f"Usage: biofuse {command} ")
    assert re.search(rf"Examples?:\s+biofuse {command} \S", text)
    options = re.findall(r"^  (-\S.*)", text, re.MULTILINE)
    assert options


def test_help_of_the_program(biofuse):
    text = biofuse("--help").stdout
    assert text == biofuse("-h").stdout
    listed = text.partition("Commands:")[2].partition("Examples:")[0]
    assert re.findall(r"^  (\S+) ", listed, re.MULTILINE) == COMMANDS
    assert "biofuse mount cohort.vcz" in text
    assert package.__version__ in biofuse("--version").stdout
    env = {"_BIOFUSE_COMPLETE": "bash_source"}
    assert "complete" in biofuse(env=env).stdout


@pytest.mark.parametrize("words", [[], ["mount"], ["run"], ["status"], ["umount"]])
def test_help_loads_nothing_heavy(words):
    program = (
        "import sys\n"
        "from biofuse.cli.main import main\n"
        f"sys.argv = ['biofuse', *{words}, '--help']\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Usage:" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert loaded & {"numpy", "zarr", "vcztools", "rich", "numcodecs"} == set()
