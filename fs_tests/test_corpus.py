"""What is broken, made from a seed: all of it in the long form, some of each kind in the short one.

Each kind is checked in a process of its own, which a crash or a hang would end; a case tells its
name before it begins. A few go through the real command too.
"""

import errno
import gzip
import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import reference
from support.program import HAPLOID
from support.stores import copy_store, make_store, zip_store
from support.views import parse

from biofuse import bgzf
from biofuse.errors import BiofuseError
from biofuse.fuse.session import Session
from biofuse.plan.save import save_plan
from biofuse.serve.router import Router

from .corpus import frames, messages, plans, stores, zips
from .corpus.case import not_stuck
from .corpus.kinds import KINDS
from .corpus.shown import Shown
from .corpus.view import View

ROOT = Path(__file__).parents[1]
# Cases of each kind in the short form, and seconds in which a process has to be done.
FEW, LIMIT = 25, 280
COMMANDS_SHORT, COMMANDS_LONG = 3, 30


@pytest.fixture(scope="module")
def outcomes(seed, is_long):
    """What each kind's process has said; all of them begin at once, one a core."""
    words = [] if is_long else ["--most", str(FEW)]
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def run(kind: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-P", "-m", "fs_tests.corpus", kind, "--seed", str(seed), *words],
            capture_output=True,
            text=True,
            env=env,
            timeout=LIMIT,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {kind: pool.submit(run, kind) for kind in KINDS}


def said_by(outcome: Future) -> tuple[list[dict], str]:
    try:
        done = outcome.result()
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        text = out if isinstance(out, str) else out.decode()
        pytest.fail(f"not done in {LIMIT} s, with {text.splitlines()[-1:]}")
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_gives_what_it_must(kind, outcomes, seed, is_long):
    lines, errors = said_by(outcomes[kind])
    again = f"python -m fs_tests.corpus {kind} --seed {seed}"
    wrong = [line for line in lines if "wrong" in line]
    assert not wrong, f"{len(wrong)} cases, with {again}: {wrong[0]['name']}\n{wrong[0]['wrong']}"
    assert lines and "done" in lines[-1], (
        f"the process has ended with {lines[-1:]}: {again}\n{errors[-3000:]}"
    )
    assert "Traceback" not in errors
    assert lines[-1]["done"] == (lines[0]["cases"] if is_long else FEW)


def test_there_are_thousands(outcomes):
    assert sum(said_by(each)[0][0]["cases"] for each in outcomes.values()) > 3000


def test_a_wrong_byte_is_found(tmp_path):
    """In a file that is sound, and in the part of a damaged one that is."""
    bench = frames.Bench(tmp_path, "v2-blosc-zstd-bit")
    bench.check(lambda chunk: os.truncate(chunk, 10), False, False)
    number = bench.bed
    sound = bench.expected[number]
    bench.expected[number] = sound[:-1] + bytes([sound[-1] ^ 1])
    with pytest.raises(AssertionError, match="a sound part is not what it was"):
        bench.check(lambda chunk: os.truncate(chunk, 10), False, False)


def test_other_calls_are_found(tmp_path):
    """Those of a chunk in which another is, which nothing tells."""
    bench = frames.Bench(tmp_path, "v2-blosc-zstd-bit")
    other = (bench.path.parent / "0.0.0").read_bytes()
    with pytest.raises(AssertionError, match="other bytes were read"):
        bench.check(lambda chunk: chunk.write_bytes(other), False, False)
    bench.check(lambda chunk: chunk.write_bytes(other), True, False)
    bench.check(lambda chunk: chunk.write_bytes(other), False, True)


WRONG = {
    "bim": lambda data: b"nonsense",
    "fam": lambda data: b"",
    "pvar": lambda data: data.replace(b"rs4", b"rs5"),
    "psam": lambda data: data.replace(b"S0003", b"S0004"),
    "sample": lambda data: data.replace(b"S0003", b"S0004"),
    "bgen": lambda data: data.replace(b"rs4", b"rs5"),
    "bcf": lambda data: bgzf.compressed(gzip.decompress(data).replace(b"CTT", b"CTC")),
    "pgen": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "bed": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("suffix", WRONG)
def test_other_files_are_found(suffix, tmp_path, monkeypatch):
    """A file that is wrong, of a store in which something else is damaged, or a zip or a plan."""

    def files(view: View) -> dict[str, bytes]:
        found = right.func(view)
        assert WRONG[suffix](found[suffix]) != found[suffix]
        return found | {suffix: WRONG[suffix](found[suffix])}

    right = View.files
    store = make_store(tmp_path / "x.vcz", stores.GENOTYPES, chunks=(20, 5))
    shown = Shown.of(store)
    archive = zip_store(store).read_bytes()
    save_plan(parse(store), str(tmp_path / "x.plan"), lambda done, total: None)
    with zipfile.ZipFile(tmp_path / "x.plan") as saved:
        members = {name: saved.read(name) for name in saved.namelist()}
    checks = [
        partial(stores.check, store, lambda copy: (copy / "more").touch(), ()),
        partial(zips.check, archive, (), shown),
        partial(plans.check_saved, store, members, shown),
    ]
    for number, check in enumerate(checks):
        folders = [tmp_path / f"{number}-{what}" for what in ("right", "wrong")]
        for folder in folders:
            folder.mkdir()
        check(folders[0])
        with monkeypatch.context() as patch:
            patch.setattr(View, "files", property(files))
            with pytest.raises(AssertionError):
                check(folders[1])


def test_a_lie_of_a_plan_is_found(tmp_path, monkeypatch):
    """One that is believed where the manifest's checksum is not looked at."""
    bench = plans.Bench(tmp_path)
    text = bench.sound["plan.json"].replace(b'"wide": false', b'"wide": true')
    damage = partial(plans.write, "plan.json", text)
    bench.is_made_anew(damage, tmp_path)
    value = json.loads(text)["checksum"]
    monkeypatch.setattr("biofuse.manifest.checksum_of", lambda _: value)
    with pytest.raises(AssertionError, match="a damaged plan is used"):
        bench.is_made_anew(damage, tmp_path)


def test_what_stops_serve_is_found(tmp_path, monkeypatch):
    def break_down(self, data):
        raise ValueError("not understood")

    monkeypatch.setattr(Router, "on_message", break_down)
    with pytest.raises(ValueError):
        messages.check_router(b"x", tmp_path)
    monkeypatch.setattr(Session, "fail", lambda *_: True)
    with pytest.raises(AssertionError, match="not answered"):
        messages.check_session(messages.k.HEADER.pack(40, 99, 2, 1, 0, 0, 0, 0, 0), tmp_path)


def test_a_line_that_is_for_no_user_is_found():
    with pytest.raises(AssertionError):
        stores.check_refused(BiofuseError("'NoneType' object has no attribute 'x'"))
    with pytest.raises(AssertionError):
        stores.check_refused(BiofuseError("it is damaged"), "call_genotype")
    with pytest.raises(AssertionError, match="stuck"), not_stuck("a case", seconds=1):
        while True:
            pass


def try_to_mount(biofuse, store: Path) -> bytes | None:
    """The `.bed` of a mount of a store; None if it is refused, or cannot be read."""
    directory = biofuse.new_directory()
    log = biofuse.home / "log"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        biofuse.command("mount", store, directory, "--log-file", log, "--format", "plink"),
        env=biofuse.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if HAPLOID not in line]
    if done.returncode:
        assert done.returncode == 1
        assert len(lines) == 1, lines
        assert lines[0].startswith("biofuse: ")
        return None
    assert "Traceback" not in done.stderr
    try:
        return (directory / "x.bed").read_bytes()
    except OSError as error:
        assert error.errno == errno.EIO
        return None
    finally:
        biofuse("umount", directory)
        assert "Traceback" not in log.read_text()


def test_stores_by_the_real_command(biofuse, seed, is_long, tmp_path):
    rng = np.random.default_rng(seed)
    sound = make_store(tmp_path / "sound.vcz", stores.GENOTYPES, chunks=(20, 5))
    made = list(stores.changes(sound, rng))
    count = COMMANDS_LONG if is_long else COMMANDS_SHORT
    for number in rng.choice(len(made), count, replace=False).tolist():
        key, what, damage = made[number]
        store = copy_store(sound, tmp_path / str(number) / "x.vcz")
        damage(store)
        bed = try_to_mount(biofuse, store)
        if bed is not None and bed != reference.bed(stores.GENOTYPES):
            calls = stores.zarr.open_group(store, mode="r")["call_genotype"][...]
            assert bed == reference.bed(np.clip(calls, -2, 1)), (key, what)


def test_plans_by_the_real_command(biofuse, seed, is_long, tmp_path):
    """A plan that is damaged between two mounts is made anew."""
    rng = np.random.default_rng(seed)
    store = make_store(tmp_path / "x.vcz", stores.GENOTYPES, chunks=(20, 5))
    expected = reference.bed(stores.GENOTYPES)
    assert try_to_mount(biofuse, store) == expected
    [manifest] = biofuse.cache.rglob(plans.MANIFEST)
    made = list(plans.changes_of_json(manifest.read_bytes(), rng))
    count = COMMANDS_LONG if is_long else COMMANDS_SHORT
    for number in rng.choice(len(made), count, replace=False).tolist():
        what, data = made[number]
        plans.write(plans.MANIFEST, data, manifest.parent)
        assert try_to_mount(biofuse, store) == expected, what
