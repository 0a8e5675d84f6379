"""Bad input: one clear line, a failing exit code, and nothing left behind."""

import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import zarr
from support.program import mounts_below
from support.stores import make_store, random_genotypes
from support.users import NOBODY, give, program_of
from support.views import parse, plan_view

from biofuse.errors import BiofuseError

GENOTYPES = random_genotypes(20, 9, seed=1)


def make_stores(directory: Path) -> Path:
    """A folder of one sound store and many that are not."""
    make_store(directory / "good.vcz", GENOTYPES, chunks=(6, 4))
    (directory / "plain.txt").write_text("hello\n")
    (directory / "plain.zip").write_text("not a zip file\n")
    (directory / "folder").mkdir()
    (directory / "folder" / "file").touch()
    zarr.open_group(directory / "empty.vcz", mode="w", zarr_format=2)
    array = zarr.open_group(directory / "array.vcz", mode="w", zarr_format=3)
    array.create_array("x", shape=(3,), dtype="int8")
    sites = shutil.copytree(directory / "good.vcz", directory / "sites.vcz")
    shutil.rmtree(sites / "call_genotype")
    no_names = shutil.copytree(directory / "good.vcz", directory / "no-names.vcz")
    shutil.rmtree(no_names / "sample_id")
    triploid = np.zeros((4, 3, 3), dtype=np.int8)
    make_store(directory / "triploid.vcz", triploid)
    make_store(directory / "spaces.vcz", GENOTYPES[:, :2], samples=["S1", "Ann Lee"])
    make_store(directory / "nobody.vcz", GENOTYPES[:, :2], samples=["", ""])
    short = make_store(directory / "short.vcz", GENOTYPES)
    zarr.open_group(short, mode="r+")["variant_position"].resize((19,))
    flat = shutil.copytree(directory / "good.vcz", directory / "flat.vcz")
    shutil.rmtree(flat / "call_genotype")
    group = zarr.open_group(flat, mode="r+")
    group.create_array("call_genotype", shape=(20, 9), dtype="int8")
    # A record of 600 KB in a .bgen of 16 bits.
    make_store(directory / "broad.vcz", np.ones((2, 120_000, 2), dtype=np.int8))
    return directory


@pytest.fixture
def stores(made) -> Path:
    return made("bad-stores", make_stores)


# Store, words that the message must have. Each is one line.
BAD_STORES = {
    "nowhere.vcz": ["no such store", "nowhere.vcz"],
    "plain.txt": ["plain.txt is a file, not a VCF Zarr store", "vcf2zarr convert"],
    "plain.zip": ["cannot open", "plain.zip"],
    "folder": ["not a VCF Zarr store", "no Zarr group"],
    "empty.vcz": ["call_genotype"],
    "array.vcz": ["call_genotype"],
    "sites.vcz": ["sites only", "call_genotype"],
    "no-names.vcz": ["not a VCF Zarr store", "sample_id"],
    "triploid.vcz": ["3 alleles a call", "haploid and diploid"],
    "spaces.vcz": ["'Ann Lee'", "white space", "-s ^"],
    "nobody.vcz": ["an empty sample ID cannot be right"],
    "short.vcz": ["damaged", "variant_position", "19", "20"],
    "flat.vcz": ["call_genotype has 2 dimensions"],
    "ftp://host/x.vcz": ["is a URL of a kind that is not known", "--backend-storage fsspec"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_STORES)
def test_mounting_a_bad_store(name, biofuse, stores):
    store = name if "://" in name else stores / name
    said = biofuse.fails("mount", store, biofuse.new_directory())
    for words in BAD_STORES[name]:
        assert words in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nowhere.vcz", "sites.vcz", "flat.vcz"])
@pytest.mark.parametrize("command", ["info", "run", "mount-plink"])
def test_bad_stores_in_other_commands(name, command, biofuse, stores):
    more = {"info": [], "run": ["--", "true"], "mount-plink": [biofuse.new_directory()]}[command]
    said = biofuse.fails(command, stores / name, *more)
    for words in BAD_STORES[name]:
        assert words in said


# Options of a sound store, the exit code, words that the message must have.
BAD_OPTIONS = {
    "unknown-sample": (["-s", "S0001,nobody"], 1, ["nobody"]),
    "no-samples-file": (["-S", "{}/nowhere"], 1, ["nowhere"]),
    "bad-expression": (["-i", "POS >> 3"], 1, ["'POS >> 3'", "is not expected"]),
    "unknown-contig": (["-r", "nochrom"], 1, ["no contig 'nochrom'", "; it has "]),
    "bad-template": (["--variant-id-template", "@"], 1, ["'@'", "exactly one"]),
    "unknown-policy": (["--multiallelic", "keep"], 2, ["--multiallelic", "keep"]),
    "basename-with-slash": (["--basename", "a/b"], 1, ["--basename", "a/b"]),
    "bad-memory": (["--memory", "lots"], 2, ["--memory", "'lots'", "128MiB"]),
    "storage-option-alone": (["--storage-option", "a=b"], 1, ["--backend-storage"]),
    "bad-storage-option": (["--storage-option", "ab"], 1, ["'ab'", "KEY=VALUE"]),
    "unknown-backend": (["--backend-storage", "ftp"], 2, ["--backend-storage", "ftp"]),
    "unknown-option": (["--fast"], 2, ["--fast", "biofuse mount --help"]),
    "log-in-no-folder": (["--log-file", "{}/nowhere/log"], 1, ["nowhere/log"]),
    "access-log-in-no-folder": (["--access-log", "{}/nowhere/log"], 1, ["nowhere/log"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options(name, biofuse, stores):
    options, code, said_words = BAD_OPTIONS[name]
    options = [option.replace("{}/", f"{stores}/") for option in options]
    directory = biofuse.new_directory()
    said = biofuse.fails("mount", stores / "good.vcz", directory, *options, code=code)
    for words in said_words:
        assert words in said
    assert list(directory.iterdir()) == []


# More of them, without a process each: only the message differs from those above.
BAD_SELECTIONS = {
    "unknown-sample-in-file": (["-S", "{}/plain.txt"], ["hello"]),
    "unknown-sample-left-out": (["-s", "^nobody"], ["nobody"]),
    "no-sample-left": (["-s", "nobody", "--force-samples"], ["no samples are left"]),
    "repeated-sample": (["-s", "S0001,S0001"], ["S0001", "uplicate"]),
    "no-regions-file": (["-R", "{}/nowhere"], ["nowhere"]),
    "no-targets-file": (["-T", "^{}/nowhere"], ["nowhere"]),
    "unfinished-expression": (["-e", "POS >"], ["'POS >'", "is not expected"]),
    "unknown-field": (["-i", "NOSUCH > 3"], ["NOSUCH"]),
    "both-expressions": (["-i", "POS>1", "-e", "POS>2"], ["include", "exclude"]),
    "unknown-contig-in-targets": (["-t", "nochrom:1-5"], ["no contig 'nochrom'"]),
    "unknown-type": (["-v", "snakes"], ["snakes"]),
    "template-of-other-letters": (["--variant-id-template", "@:#$x"], ["$x", "$r"]),
    "template-with-space": (["--variant-id-template", "@ #"], ["white space"]),
}


@pytest.mark.parametrize("name", BAD_SELECTIONS)
def test_bad_selections(name, stores, tmp_path):
    options, said_words = BAD_SELECTIONS[name]
    options = [option.replace("{}/", f"{stores}/") for option in options]
    with pytest.raises(BiofuseError) as caught:
        plan_view(stores / "good.vcz", tmp_path / "plan", *options)
    said = str(caught.value)
    for words in said_words:
        assert words in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize(
    "options",
    [
        ["--memory", "-5"],
        ["--memory", "0"],
        ["--memory", "4095KiB"],
        ["--threads", "0"],
        ["--idle-timeout", "0"],
        ["--timeout", "soon"],
        ["--format", "bam"],
        ["-m", "two"],
        ["--read-ahead-kb", "-1"],
        ["--log-level", "loud"],
    ],
    ids="-".join,
)
def test_bad_values(options, stores):
    with pytest.raises(click.UsageError) as caught:
        parse(stores / "good.vcz", *options)
    assert options[0] in caught.value.format_message()


def test_memory_too_small_for_a_record(biofuse, stores):
    options = ["--memory", "4MiB", "--format", "bgen", "--bits", "16"]
    said = biofuse.fails("mount", stores / "broad.vcz", biofuse.new_directory(), *options)
    assert "use --memory 5MiB or more" in said


def test_memory_that_is_none(biofuse, stores):
    target = biofuse.new_directory()
    said = biofuse.fails("mount", stores / "good.vcz", target, "--memory", "0", code=2)
    assert "'--memory': 0 is less than 4.0 MiB" in said


def test_missing_arguments(biofuse, stores):
    assert "'DIR'" in biofuse.fails("mount", stores / "good.vcz", code=2)
    assert "'STORE'" in biofuse.fails("mount", code=2)
    assert "COMMAND" in biofuse.fails("run", stores / "good.vcz", code=2)
    assert "'nosuch'" in biofuse.fails("nosuch", code=2)


@pytest.mark.parametrize("command", ["mount", "mount-plink"])
def test_bad_mountpoints(command, biofuse, stores):
    store = stores / "good.vcz"
    said = biofuse.fails(command, store, biofuse.home / "nowhere")
    assert "nowhere does not exist; make it with 'mkdir" in said
    file = biofuse.home / "file"
    file.touch()
    assert "is not a directory" in biofuse.fails(command, store, file)
    full = biofuse.new_directory()
    (full / "precious").write_text("data")
    assert "is not empty" in biofuse.fails(command, store, full)
    assert (full / "precious").read_text() == "data"


def test_a_mountpoint_in_use(biofuse, stores):
    store = stores / "good.vcz"
    with biofuse.mount(store) as mount:
        said = biofuse.fails("mount", store, mount.dir)
        assert "is in use" in said
        assert f"biofuse umount {mount.dir}" in said
        assert mount.bed.stat().st_size > 3


def said_without_fuse(command, biofuse, store, env) -> str:
    """What `mount` fails with, and `run` says before it writes the files to a folder."""
    if command == "mount":
        return biofuse.fails("mount", store, biofuse.new_directory(), env=env)
    said = biofuse("run", store, "--", "true", env=env).stderr
    assert "as with --without-fuse" in said
    return said


@pytest.mark.parametrize("command", ["mount", "run"])
def test_no_fuse_device(command, biofuse, stores):
    env = {"BIOFUSE_FUSE_DEVICE": "/nonexistent"}
    said = said_without_fuse(command, biofuse, stores / "good.vcz", env)
    assert "/nonexistent is not there" in said
    assert "--device /dev/fuse" in said


@pytest.mark.parametrize("command", ["mount", "run"])
def test_no_fusermount(command, stores):
    """Without it nobody but root can mount."""
    with program_of(NOBODY) as biofuse:
        store = give(shutil.copytree(stores / "good.vcz", biofuse.home / "good.vcz"), NOBODY)
        # setpriv is what the command is run as that user by.
        folder = biofuse.home / "bin"
        folder.mkdir()
        for name in ("setpriv", "true"):
            (folder / name).symlink_to(shutil.which(name))
        said = said_without_fuse(command, biofuse, store, {"PATH": str(folder)})
    assert "fusermount3 is not installed; it is in the package fuse3" in said


def test_umount_of_what_is_not_ours(biofuse, stores):
    directory = biofuse.new_directory()
    assert f"nothing is mounted at {directory}" in biofuse.fails("umount", directory)
    assert "nothing is mounted" in biofuse.fails("umount", directory / "nowhere")
    said = biofuse.fails("umount", "/proc")
    assert "/proc is a proc mount, not a biofuse one" in said
    assert Path("/proc/self").exists()
    assert "'DIR...'" in biofuse.fails("umount", code=2)
    # The good ones of several directories are unmounted, in whatever order they come.
    with biofuse.mount(stores / "good.vcz") as mount:
        assert str(directory) in biofuse("umount", directory, mount.dir, code=1).stderr
        assert mounts_below(biofuse.home) == []


def test_status_of_what_is_not_a_mount(biofuse):
    directory = biofuse.new_directory()
    assert f"{directory} is not a biofuse mount" in biofuse.fails("status", directory)
    assert "not a biofuse mount" in biofuse.fails("status", "/proc", "--json")


def test_run_of_no_such_command(biofuse, stores):
    """The exit codes are those of shells."""
    store = stores / "good.vcz"
    said = biofuse.fails("run", store, "--", "nosuchprogram", "{bed}", code=127)
    assert said == "no such command: nosuchprogram"
    said = biofuse.fails("run", store, "--", stores / "nowhere" / "x", code=127)
    assert said == f"no such command: {stores / 'nowhere' / 'x'}"
    for path in (stores / "plain.txt", stores / "folder"):
        said = biofuse.fails("run", store, "--", path, code=126)
        assert said == f"{path} is not a program that can be run"


def test_run_of_a_program_in_this_folder(biofuse, stores, tmp_path):
    (tmp_path / "mine").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "mine").chmod(0o755)
    store = stores / "good.vcz"
    said = biofuse.fails("run", store, "--", "mine", code=127, cwd=tmp_path)
    assert said == "no such command: mine; did you mean ./mine?"
    biofuse("run", store, "--", "./mine", code=7, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (b"#!/nonexistent/sh\n", 127, "No such file or directory"),
        (b"\x7fELF\0\0\0\0", 126, "Exec format error"),
    ],
    ids=["no-interpreter", "no-program"],
)
def test_run_of_what_the_kernel_cannot_run(text, code, reason, biofuse, stores, tmp_path):
    """That is known only when all is mounted."""
    program = tmp_path / "program"
    program.write_bytes(text)
    program.chmod(0o755)
    said = biofuse.fails("run", stores / "good.vcz", "--", program, code=code)
    assert said == f"cannot run {program}: {reason}"


def test_demo_stores_that_cannot_be(biofuse, stores, tmp_path):
    assert "exists" in biofuse.fails("demo", stores / "good.vcz")
    assert "at least one sample" in biofuse.fails("demo", tmp_path / "d", "--samples", "0")
    assert "cannot create" in biofuse.fails("demo", tmp_path / "no" / "d")
    biofuse.fails("demo", tmp_path / "d", "--samples", "many", code=2)
    assert list(tmp_path.iterdir()) == []


def test_standard_output_that_is_closed(biofuse):
    """As in `biofuse info X | head -1`: no traceback."""
    done = biofuse.popen("--help")
    done.stdout.close()
    assert "Traceback" not in done.stderr.read()
    done.stderr.close()
    done.wait()
