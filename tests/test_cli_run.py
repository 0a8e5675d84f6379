"""`biofuse run`: mount, run a command, unmount, whatever happens."""

import os
import re
import signal
import sys
import time

import numpy as np
import pytest
from support import reference
from support.commands import finish
from support.oracles import plink2, vcztools_view_plink
from support.program import mounts_below, wait_until
from support.stores import chunk_files, copy_store, make_store, random_genotypes

# Without haploid calls, of which it would be told.
GENOTYPES = np.maximum(random_genotypes(90, 41, seed=2), -1)
BED = reference.bed(GENOTYPES)


@pytest.fixture
def store(made):
    return made("run", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 15)))


def test_run_fills_in_names(store, biofuse):
    script = 'printf "%s\\n" "$@"; env | grep ^BIOFUSE_ | sort; wc -c <"$BIOFUSE_BED"'
    words = ["{bed}", "{bim}", "{fam}", "{stem}", "{dir}", "--out={stem}.x", "{other}", "{bed"]
    done = biofuse("run", store, "--", "sh", "-c", script, "sh", *words)
    lines = done.stdout.splitlines()
    directory = lines[4]
    assert directory.startswith(str(biofuse.temporary))
    names = [f"{directory}/x{suffix}" for suffix in (".bed", ".bim", ".fam", "")]
    assert lines[:8] == [*names, directory, f"--out={directory}/x.x", "{other}", "{bed"]
    values = dict(zip(["BED", "BIM", "FAM", "STEM", "DIR"], [*names, directory], strict=True))
    told = dict(line.split("=", 1) for line in lines if line.startswith("BIOFUSE_"))
    assert {f"BIOFUSE_{k}": v for k, v in values.items()}.items() <= told.items()
    assert lines[-1].strip() == str(len(BED))
    assert done.stderr == ""
    assert not os.path.exists(directory)
    assert list(biofuse.temporary.iterdir()) == []


def test_run_plink2(store, biofuse, tmp_path):
    vcztools_view_plink(store, tmp_path / "real")
    plink2("--bfile", tmp_path / "real", "--freq", "--out", tmp_path / "real")
    words = ["plink2", "--threads", "1", "--memory", "640", "--bfile", "{stem}", "--freq", "--out"]
    biofuse("run", store, "--", *words, tmp_path / "mount")
    frequencies = [(tmp_path / name).read_text() for name in ("real.afreq", "mount.afreq")]
    assert frequencies[0] == frequencies[1]
    assert frequencies[0].count("\n") == 91


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("exit 74", 74)]
)
def test_run_returns_the_exit_code(script, code, store, biofuse):
    done = biofuse("run", store, "-s", "S0001", "--", "sh", "-c", script, code=code)
    assert done.stderr == ""


@pytest.mark.slow
def test_run_fails_where_a_read_failed(store, biofuse, tmp_path):
    """Though the command ignores it, as some do."""
    bad = copy_store(store, tmp_path / "bad.vcz")
    chunk = chunk_files(bad)[4]
    chunk.write_bytes(b"\xff" * chunk.stat().st_size)
    done = biofuse("run", bad, "--", "sh", "-c", "cat {bed} >/dev/null 2>&1; exit 0", code=74)
    assert len(done.stderr.splitlines()) == 1
    assert re.match(r"biofuse: \d+ reads? of the mounted files failed", done.stderr)
    assert "bad.bed" in done.stderr
    assert "call_genotype/1.1.0" in done.stderr
    # The command's own failure is what it is.
    biofuse("run", bad, "--", "sh", "-c", "cat {bed} >/dev/null 2>&1; exit 5", code=5)
    # What was not touched does no harm.
    biofuse("run", bad, "--", "sh", "-c", "cat {fam} >/dev/null")


def test_run_fails_for_one_error_that_a_program_saw(store, biofuse, tmp_path):
    """A direct read is asked for once; nothing tells it from the kernel's own read-ahead."""
    bad = copy_store(store, tmp_path / "bad.vcz")
    chunk = chunk_files(bad)[4]
    chunk.write_bytes(b"\xff" * chunk.stat().st_size)
    program = (
        "import errno, mmap, os, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)\n"
        "try:\n    os.preadv(fd, [mmap.mmap(-1, 8192)], 0)\n"
        "except OSError as error:\n    assert error.errno == errno.EIO\n"
        "else:\n    sys.exit('no error')\n"
    )
    done = biofuse("run", bad, "--", sys.executable, "-c", program, "{bed}", code=74)
    assert done.stderr.startswith("biofuse: 1 read of the mounted files failed; ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_run_leaves_nothing(number, code, store, biofuse):
    # Under nohup the signal is ignored, which the program respects.
    process = biofuse.popen(
        *("run", store, "--", "sleep", "100"),
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    [path] = wait_until(lambda: mounts_below(biofuse.temporary), "the store is mounted")
    wait_until(
        lambda: [p.pid for p in biofuse.processes() if p.command.startswith("sleep")],
        "the command runs",
    )
    process.send_signal(number)
    assert finish(process, code) == ""
    assert mounts_below(biofuse.temporary) == []
    assert not os.path.exists(path)
    wait_until(lambda: not biofuse.processes(), "no process is left")
    assert list(biofuse.temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "mount"])
@pytest.mark.parametrize("later", [0, 0.002, 0.005, 0.01, 0.02, 0.05])
def test_a_signal_while_the_mount_comes_up_leaves_nothing(command, later, store, biofuse):
    """At any moment from that at which the kernel has the mount."""
    directory = biofuse.new_directory() if command == "mount" else None
    words = [directory] if directory else ["--", "sleep", "100"]
    process = biofuse.popen(
        *(command, store, *words), preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
    )
    deadline = time.monotonic() + 20
    while not mounts_below(biofuse.home):
        assert time.monotonic() < deadline
    time.sleep(later)
    process.send_signal(signal.SIGTERM)
    if command == "mount" and process.wait(20) == 0:
        # It was ready by then.
        biofuse("umount", directory)
    else:
        assert process.wait(20) == 143
    assert finish(process, process.returncode) == ""
    assert mounts_below(biofuse.home) == []
    wait_until(lambda: not biofuse.processes(), "no process is left")


def test_a_mount_of_run_ends_with_run(store, biofuse):
    """Even where that was given no chance to clean up."""
    process = biofuse.popen("run", store, "--", "sleep", "100")
    [path] = wait_until(lambda: mounts_below(biofuse.temporary), "the store is mounted")
    [pid] = wait_until(
        lambda: [p.pid for p in biofuse.processes() if p.command.startswith("sleep")], "it runs"
    )
    process.kill()
    os.kill(pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    wait_until(lambda: not os.path.exists(os.path.dirname(path)), "nothing is left")
    assert mounts_below(biofuse.temporary) == []


def test_unknown_samples_are_said(store, biofuse):
    words = ["-s", "S0001,nobody", "--force-samples", "--", "true"]
    for _ in range(2):
        # Again from the kept plan.
        said = biofuse("run", store, *words).stderr
        assert said.startswith("biofuse: ")
        assert "nobody" in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("words", [["true"], ["plink2", "--bfile", "{stem}"], []])
def test_a_command_without_dashes_before_it(words, store, biofuse):
    said = biofuse.fails("run", store, *words, code=2)
    assert said.startswith("there is no -- before the command: biofuse run STORE [options] -- ")


@pytest.mark.parametrize(
    ("word", "meant"), [("{bedd}", "bed"), ("{Bim}", "bim"), ("x={samples}.txt", "sample")]
)
def test_almost_a_placeholder(word, meant, store, biofuse):
    said = biofuse.fails("run", store, "--", "echo", word)
    assert f"did you mean {{{meant}}}?" in said and "{bgi}" in said


def test_braces_of_other_programs(store, biofuse):
    words = ["{print}", "{}", "${x}", "{a,b}", "{1}", "{NF}", "{other}"]
    assert biofuse("run", store, "--", "echo", *words).stdout.split() == words
