"""`biofuse status`: what it adds up, and how it watches."""

import json
import mmap
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from support import reference
from support.commands import finish
from support.damage import read_uncached
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.stores import copy_store, make_store, random_genotypes

from biofuse.api.live import MountEndedError, ProcessGoneError, read_status
from biofuse.cli.status_text import requests_text
from biofuse.cli.watch import History, sparkline, watch_lines
from biofuse.encode.report import RequestReport
from biofuse.errors import BiofuseError
from biofuse.serve.counters import CACHES, Counters, caches_to_json, requests_to_json
from biofuse.stores.link import LinkUse
from biofuse.table import COUNTERS, Table

GENOTYPES = random_genotypes(90, 41, seed=2)
BED = reference.bed(GENOTYPES)


@pytest.fixture
def store(made):
    return made("status", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 15)))


@pytest.mark.parametrize("options", [[], ["--no-cache"]], ids=["kept", "not-kept"])
def test_size_of_the_plan(options, store, biofuse):
    """Also of one that was removed when the mount began."""
    with biofuse.mount(store, *options) as mount:
        size = mount.status()["plan"]["size"]
        kept = sum(path.stat().st_size for path in biofuse.cache.rglob("*") if path.is_file())
        if options:
            assert kept == 0
            assert size > sum(mount.status()["files"][f"x.{s}"] for s in ("bim", "fam", "bgen.bgi"))
        else:
            assert size == kept
        text = biofuse("status", mount.dir).stdout
        assert re.search(r"^  plan +[\d.]+ KiB on disk$", text, re.MULTILINE)
        assert len(re.findall(r"^  \w+ +pid .*, peak [\d.]+ MiB\)$", text, re.MULTILINE)) == 2


def test_caches_of_one_worker_after_another(store, biofuse):
    with biofuse.mount(store, "--format", "plink", "--idle-timeout", "0.5") as mount:
        mount.bed.read_bytes()
        first = mount.status()["caches"]
        assert first["plane_misses"] > 0
        assert first["size"] > 0
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        assert mount.status()["caches"] == {**first, "size": 0}
        fd = os.open(mount.bed, os.O_RDONLY | os.O_DIRECT)
        try:
            os.preadv(fd, [mmap.mmap(-1, 4096)], 0)
        finally:
            os.close(fd)
        assert mount.status()["caches"]["plane_misses"] > first["plane_misses"]
        text = biofuse("status", mount.dir).stdout
    assert re.search(
        r"^  caches +[\d.]+ [KM]?i?B \(budget 128.0 MiB\); found there: \w+%? of blocks",
        text,
        re.MULTILINE,
    )


def test_what_the_worker_counts_is_told():
    """By the other mapping of the same memory, each in its place."""
    ours = Table()
    theirs = Table(os.dup(ours.fd))
    for number, _ in enumerate(COUNTERS):
        theirs.add(number, 5)
        theirs.add(number, number)
    told = Counters(errors=3).to_json(ours) | {
        ("cache_size" if name == "size" else name): value
        for name, value in caches_to_json(ours).items()
    }
    requests = requests_to_json(ours)
    told["store_delay_us"] = round(requests.pop("delay") * 1e6)
    told |= {f"store_{name}": value for name, value in requests.items()}
    expected = {name: 5 + number for number, name in enumerate(COUNTERS)}
    assert told == expected | {"worker_starts": 0, "worker_deaths": 0, "errors": 3}
    assert set(CACHES) <= set(expected)


def test_requests_of_one_worker_after_another():
    """Totals go on; what a worker has not measured is as the one before has seen it."""
    table = Table()
    RequestReport(table).update(LinkUse(5, 1000, 1, 2, 0.02, 8e6, 3, 70))
    second = RequestReport(table)
    second.update(LinkUse(0, 0, 0, 0, 0.0, 0.0))
    second.update(LinkUse(1, 10, 0, 1, 0.0, 0.0))
    second.update(LinkUse(3, 50, 2, 1, 0.5, 0.0, 1, 7))
    assert requests_to_json(table) == {
        "requests": 8,
        "bytes": 1050,
        "retries": 3,
        "kept": 4,
        "bytes_kept": 77,
        "under_way": 1,
        "delay": 0.5,
        "bandwidth": 8_000_000,
    }


def test_requests_in_words():
    some = {"requests": 1041, "bytes": 1 << 20, "retries": 0, "under_way": 0, "kept": 0}
    assert requests_text({**some, "delay": 0.0204, "bandwidth": 0}) == (
        "1,041 (0 again), 1.0 MiB, delay 20 ms"
    )
    some |= {"retries": 3, "under_way": 12, "kept": 7, "bytes_kept": 3 << 20}
    assert requests_text({**some, "delay": 0.00042, "bandwidth": 85_123_456}) == (
        "1,041 (3 again), 1.0 MiB, delay 0.4 ms, 85.1 MB/s, 12 under way, "
        "3.0 MiB from --chunk-cache"
    )


@pytest.mark.parametrize("place", PLAIN)
def test_requests_to_a_store_at_some_distance(place, store, tmp_path, placer, biofuse):
    there = placer.put(place, consolidated(copy_store(store, tmp_path / "x.vcz")), delay=0.02)
    line = re.compile(r"^  requests   [\d,]+ \(\d+ again\), .*, delay \d+ ms", re.MULTILINE)
    with there.mount(biofuse, "--format", "plink", "--idle-timeout", "0.5") as mount:
        assert mount.bed.read_bytes() == BED
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        first = mount.status()["requests"]
        assert first["requests"] >= 15
        assert first["bytes"] > 0
        assert (first["retries"], first["under_way"]) == (0, 0)
        assert first["delay"] >= 0.02
        assert line.search(biofuse("status", mount.dir).stdout)
        # Another worker's requests are added, the one that is made again too.
        there.proxy.clear()
        fault = there.proxy.fault("answer", "*/call_genotype/*", status=503, times=1)
        read_uncached(mount.bed, 3, 10)
        wait_until(lambda: mount.status()["requests"]["under_way"] == 0, "all have ended")
        second = mount.status()["requests"]
        assert fault.happened == 1
        assert second["retries"] == 1
        assert second["requests"] == first["requests"] + len(there.proxy.traffic)
    value = json.loads(biofuse("info", there.url, "--json").stdout)["requests"]
    assert set(value) == set(first)
    assert value["requests"] > 0
    assert re.search(
        r"^requests    \d+ \(0 again\), ", biofuse("info", there.url).stdout, re.MULTILINE
    )


def test_nothing_is_told_of_requests_to_a_local_store(store, biofuse):
    with biofuse.mount(store) as mount:
        mount.bed.read_bytes()
        assert set(mount.status()["requests"].values()) == {0}
        assert "requests" not in biofuse("status", mount.dir).stdout
    assert json.loads(biofuse("info", store, "--json").stdout)["requests"] is None
    assert "requests" not in biofuse("info", store).stdout


def test_keys_that_scripts_depend_on(store, biofuse):
    with biofuse.mount(store) as mount:
        mount.bed.read_bytes()
        status = mount.status()
    assert {"mountpoint", "store", "processes", "budget", "under_way", "counters"} <= set(status)
    for process in status["processes"]:
        assert {"pid", "role", "rss", "pss", "anonymous", "peak"} <= set(process)
    assert {"reads", "bytes_served", "bytes_encoded", "worker_deaths", "errors"} <= set(
        status["counters"]
    )


def test_a_process_that_does_not_answer_is_not_gone(store, biofuse, monkeypatch):
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))
    with biofuse.mount(store) as mount:
        pid = mount.pid("serve")
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(BiofuseError, match=rf"\(pid {pid}\) does not answer") as caught:
                read_status(str(mount.dir), timeout=0.2)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert type(caught.value) is BiofuseError
        assert read_status(str(mount.dir))["counters"]["errors"] == 0
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not biofuse.processes(), "it has ended")
        with pytest.raises(ProcessGoneError, match=rf"\(pid {pid}\) is gone"):
            read_status(str(mount.dir))
    with pytest.raises(MountEndedError):
        read_status(str(mount.dir))


def test_watching_as_json(store, biofuse):
    with biofuse.mount(store) as mount:
        process = biofuse.popen("status", mount.dir, "--json", "--watch", "--interval", "0.1")
        first = json.loads(process.stdout.readline())
        mount.bed.read_bytes()
        second = first
        while second["counters"]["bytes_served"] < len(BED):
            second = json.loads(process.stdout.readline())
        assert second["uptime"] > first["uptime"] > 0
        assert second["started"] == first["started"]
        assert set(second) == set(mount.status())
        mount.umount()
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == f"biofuse: the mount at {mount.dir} has ended\n"
    for line in rest.splitlines():
        assert json.loads(line)["mountpoint"] == str(mount.dir)


def read_block(stream) -> list[str]:
    return list(iter(lambda: stream.readline().rstrip("\n"), ""))


def test_watching_where_there_is_no_terminal(store, biofuse):
    with biofuse.mount(store) as mount:
        process = biofuse.popen("status", mount.dir, "--watch", "--interval", "0.1")
        first = read_block(process.stdout)
        assert first[0] == str(mount.dir)
        assert not any("throughput" in line for line in first)
        mount.bed.read_bytes()
        served = ""
        while not re.search(r" [1-9][\d.]* \w+/s$", served):
            block = read_block(process.stdout)
            [served] = [line for line in block if line.startswith("  throughput")]
            assert block[0] == str(mount.dir)
            assert re.fullmatch(r"  memory +[\d.]+ MiB  [▁▂▃▄▅▆▇█]+", block[-1])
        process.send_signal(signal.SIGINT)
        assert finish(process, 0) == ""


@pytest.mark.parametrize("end", ["interrupt", "umount"])
def test_watching_on_a_terminal(end, store, biofuse):
    with biofuse.mount(store) as mount:
        ours, theirs = pty.openpty()
        command = biofuse.command("status", mount.dir, "--watch", "--interval", "0.1")
        process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**biofuse.env, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
        )
        os.close(theirs)
        said = b""
        while said.count(b"  throughput ") < 3:
            said += os.read(ours, 65536)
        # One view, drawn again over the last.
        assert b"\x1b[1A" in said
        assert b"\x1b[?25l" in said
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            mount.umount()
        rest = b""
        try:
            while more := os.read(ours, 65536):
                rest += more
        except OSError:
            # Nobody has the terminal any more.
            pass
        os.close(ours)
        assert process.wait(30) == 0
    said = (said + rest).decode()
    assert "Traceback" not in said
    # The cursor is shown again.
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")
    ended = f"biofuse: the mount at {mount.dir} has ended"
    assert (ended in said) == (end == "umount")


def test_watching_all_mounts_goes_on_when_one_ends(store, biofuse):
    with biofuse.mount(store) as mount:
        process = biofuse.popen("status", "--watch", "--interval", "0.1", "--json")
        while json.loads(process.stdout.readline())["mountpoint"] != str(mount.dir):
            pass
    with biofuse.mount(store) as mount:
        while json.loads(process.stdout.readline())["mountpoint"] != str(mount.dir):
            pass
        process.send_signal(signal.SIGINT)
        assert finish(process, 0) == ""


def test_watching_what_is_not_a_mount(biofuse):
    directory = biofuse.new_directory()
    said = biofuse.fails("status", directory, "--watch")
    assert said == f"{directory} is not a biofuse mount"
    assert "--watch" in biofuse.fails("status", "--interval", "3", code=2)
    assert "--interval" in biofuse.fails("status", "--watch", "--interval", "0", code=2)


def test_a_reader_of_the_watch_that_goes_away(store, biofuse):
    with biofuse.mount(store) as mount:
        process = biofuse.popen("status", mount.dir, "--json", "--watch", "--interval", "0.1")
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) != 0
        assert process.stderr.read() == ""
        process.stderr.close()


def sample(served: int, uptime: float, pss: int, started: float = 5.0) -> dict:
    return {
        "mountpoint": "/m",
        "started": started,
        "uptime": uptime,
        "counters": {"bytes_served": served},
        "processes": [{"pss": pss}, {"pss": 1}],
    }


def test_throughput_and_memory_over_time():
    history = History()
    assert history.add(sample(100, 10.0, 7)) == ([8], None)
    assert history.add(sample(400, 12.0, 9)) == ([8, 10], 150.0)
    assert history.add(sample(400, 13.0, 3)) == ([8, 10, 4], 0.0)
    # Another mount at the same place.
    assert history.add(sample(50, 14.0, 1, started=13.5)) == ([2], None)
    for i in range(100):
        memory, _ = history.add(sample(50, 15.0 + i, i, started=13.5))
    assert (memory[-1], len(memory)) == (100, 48)


@pytest.mark.parametrize(
    ("values", "top", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], 8, "▁▂▃▄▅▆▇██"),
        ([0], 8, "▁"),
        ([0, 50, 100], 10, "▁▅█"),
        ([0, 0], 0, "▁▁"),
    ],
)
def test_sparkline(values, top, line):
    assert sparkline(values, top) == line


def test_watching_a_dead_mount_among_others():
    dead = {"mountpoint": "/m", "error": "the process is gone"}
    lines = watch_lines([dead], History(), "_#")
    assert lines == ["/m", "  the process is gone"]
    assert watch_lines([], History(), "_#") == ["no biofuse mounts"]


def test_only_the_live_view_imports_rich(store, biofuse):
    """It takes longer than all else that the command does."""
    with biofuse.mount(store) as mount:
        program = (
            "import sys; from biofuse.cli.main import main\n"
            "sys.argv[0] = 'biofuse'\n"
            "try:\n    main()\n"
            "finally:\n    print(*sys.modules, file=sys.stderr)\n"
        )
        words = ["status", str(mount.dir)]
        done = subprocess.run(
            [sys.executable, "-c", program, *words], env=biofuse.env, capture_output=True, text=True
        )
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert done.stdout.startswith(f"{mount.dir}\n")
    assert "biofuse" in loaded
    assert loaded & {"rich", "numpy"} == set()
