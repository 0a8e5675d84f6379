"""`biofuse export`: the mount's bytes on disk, whole or not at all, and gone on with."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import pytest
from support import reference
from support.oracles import Fileset
from support.program import wait_until
from support.stores import make_store, random_genotypes
from test_surroundings import small_disk

from biofuse.export.journal import Journal, missing_spans

GENOTYPES = random_genotypes(500, 203, seed=44)


@pytest.fixture(scope="module")
def store(made):
    return made("export", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(64, 50)))


@pytest.fixture(scope="module")
def large(made):
    """A `.bed` of 40 MB, of chunks that are slow to read."""

    def make(folder):
        genotypes = random_genotypes(4000, 10_000, seed=45, alike=True)
        return make_store(folder / "y.vcz", genotypes, chunks=(100, 5000), encoding="v2-gzip")

    return made("export-large", make)


def test_the_mounts_bytes(store, biofuse, tmp_path):
    done = biofuse("export", store, tmp_path / "x", "--verify")
    with biofuse.mount(store) as mount:
        for path in mount.dir.iterdir():
            written = tmp_path / path.name
            assert written.stat().st_size == path.stat().st_size
            assert written.stat().st_mtime_ns == path.stat().st_mtime_ns
            if path.suffix != ".bgi":
                assert written.read_bytes() == path.read_bytes()
            assert f"{written}: " in done.stdout
    assert (tmp_path / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    # And nothing else.
    assert len(list(tmp_path.iterdir())) == 6


def test_a_selection_under_another_name(store, biofuse, tmp_path):
    biofuse("export", store, tmp_path / "few", "--format", "plink", "-s", "S0007,S0002", "-r", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.bed", "few.bim", "few.fam"]
    found = Fileset.read(tmp_path / "few")
    second = GENOTYPES[333:]
    assert found.bed == reference.bed(second[:, [7, 2]])
    assert len(found.bim.splitlines()) == len(second)


def test_where_it_goes(store, biofuse, tmp_path):
    (tmp_path / "folder").mkdir()
    for out in ("folder/", "folder"):
        biofuse("export", store, out, "--format", "plink", cwd=tmp_path)
        assert (tmp_path / "folder/x.bed").exists()
    biofuse("export", store, "plain", "--format", "plink", cwd=tmp_path)
    assert (tmp_path / "plain.bed").exists()
    said = biofuse.fails("export", store, tmp_path / "no/x")
    assert f"there is no folder {tmp_path}/no; make it with 'mkdir -p" in said


def test_what_is_there_is_replaced_at_the_end(store, biofuse, tmp_path):
    (tmp_path / "x.bed").write_bytes(b"old")
    os.link(tmp_path / "x.bed", tmp_path / "kept")
    biofuse("export", store, tmp_path / "x", "--format", "plink")
    assert (tmp_path / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    assert (tmp_path / "kept").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--compress", "gzip"], "'gzip' is no way to compress: write zlib, zstd"),
        (["--compress", "zlib:13"], "the level of zlib is 1 to 12, not 13"),
        (["--compress", "zstd:0"], "the level of zstd is 1 to 22, not 0"),
        (["--compress", "zlib", "--format", "plink"], "--compress is for --format bgen"),
    ],
)
def test_mistakes(options, words, store, biofuse, tmp_path):
    assert words in biofuse.fails("export", store, tmp_path / "x", *options)
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_said_before(large, biofuse):
    with small_disk(biofuse.home / "small", "8m") as disk:
        said = biofuse.fails("export", large, disk / "y", "--format", "plink")
        assert f"there is no room in {disk}: the files take " in said
        assert list(disk.iterdir()) == []


def test_a_disk_that_fills_up(large, biofuse):
    """While it is written: nothing under the name, and with room the same command goes on."""
    with small_disk(biofuse.home / "filling", "16m") as disk:
        process = biofuse.popen("export", large, disk / "y", "--format", "plink", "--threads", "1")
        wait_until(lambda: list(disk.glob(".y.export/*.bed")), "it has begun")
        with open(disk / "filler", "wb") as filler, contextlib.suppress(OSError):
            while True:
                os.write(filler.fileno(), bytes(1 << 16))
        _, said = process.communicate(timeout=60)
        lines = [line for line in said.splitlines() if "haploid" not in line]
        assert process.returncode == 1
        assert len(lines) == 1 and "the disk is full at" in lines[0], said
        assert not (disk / "y.bed").exists()
        (disk / "filler").unlink()
        biofuse("export", large, disk / "y", "--format", "plink", "--verify")
        assert sorted(path.name for path in disk.iterdir()) == ["y.bed", "y.bim", "y.fam"]


@pytest.mark.parametrize("compress", [(), ("--compress", "zstd:1")])
def test_it_goes_on_after_a_kill(compress, large, biofuse, tmp_path):
    """Killed at random moments, and begun again, until it is done."""
    options = ["export", large, tmp_path / "y", "--format", "bgen", "--no-bgi", *compress]
    chooser = random.Random(9)
    kills = 0
    done = None
    while done is None and kills < 6:
        process = subprocess.Popen(
            biofuse.command(*options),
            env=biofuse.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(0.4 + chooser.random())
            done = (tmp_path / "y.bgen").read_bytes()
        except subprocess.TimeoutExpired:
            process.send_signal(chooser.choice([signal.SIGKILL, signal.SIGTERM]))
            process.wait()
            kills += 1
            if (tmp_path / "y.bgen").exists():
                # All was written when it was killed.
                done = (tmp_path / "y.bgen").read_bytes()
    biofuse(*options, "--verify")
    assert kills
    assert done in (None, (tmp_path / "y.bgen").read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["y.bgen", "y.sample"]
    with biofuse.mount(large, "--format", "bgen") as mount:
        expected = (mount.dir / "y.bgen").read_bytes()
    if not compress:
        assert (tmp_path / "y.bgen").read_bytes() == expected
    for path in biofuse.temporary.iterdir():
        # A plan of one that was killed.
        assert path.name.startswith("biofuse-plan-")
        subprocess.run(["rm", "-r", path], check=True)


def test_what_was_done_is_not_done_again(store, tmp_path):
    journal = Journal(str(tmp_path / "j"), "key")
    journal.add({"file": "a", "start": 0, "stop": 10})
    journal.add({"file": "a", "start": 20, "stop": 30})
    journal.add({"file": "a", "start": 8, "stop": 12})
    journal.add({"file": "b", "start": 1, "stop": 2})
    journal.close()
    with open(tmp_path / "j", "ab") as file:
        file.write(b'{"file": "a", "start": 12')
    journal = Journal(str(tmp_path / "j"), "key")
    assert journal.spans("a") == [(0, 12), (20, 30)]
    assert list(missing_spans(35, journal.spans("a"), 6)) == [(12, 18), (18, 20), (30, 35)]
    journal.add({"file": "a", "start": 12, "stop": 20})
    journal.close()
    journal = Journal(str(tmp_path / "j"), "key")
    assert journal.spans("a") == [(0, 30)]
    journal.close()
    # What was begun anew was not done.
    journal = Journal(str(tmp_path / "j"), "key")
    journal.add({"file": "a", "draft": "x"})
    journal.add({"file": "a", "start": 4, "stop": 5})
    assert (journal.spans("a"), journal.spans("b")) == ([(4, 5)], [(1, 2)])
    journal.close()
    # A copy of it is of no files there are.
    (tmp_path / "copy").write_bytes((tmp_path / "j").read_bytes())
    journal = Journal(str(tmp_path / "copy"), "key")
    assert journal.names == []
    journal.close()
    # Of another export there is nothing.
    journal = Journal(str(tmp_path / "j"), "another")
    assert journal.names == []
    journal.close()
    [line] = (tmp_path / "j").read_text().splitlines()
    assert json.loads(line)["key"] == "another"


def test_a_store_that_was_changed_in_between(biofuse, tmp_path):
    """No file has chunks of both."""
    genotypes = random_genotypes(4000, 4000, seed=46, alike=True)
    shape = {"chunks": (100, 4000), "encoding": "v2-gzip"}
    store = make_store(tmp_path / "z.vcz", genotypes, **shape)
    options = ["export", store, tmp_path / "out", "--format", "plink", "--no-cache"]
    process = biofuse.popen(*options, "--threads", "1")
    drafts = lambda: list(tmp_path.glob(".out.export/*.bed"))  # noqa: E731
    [draft] = wait_until(drafts, "it has begun")
    wait_until(lambda: draft.stat().st_blocks > 5000, "it goes on")
    process.terminate()
    process.wait(30)
    lines = (tmp_path / ".out.export/journal").read_text().splitlines()
    assert len(lines) > 1
    time.sleep(1.1)
    genotypes[3900:] = 1
    other = make_store(tmp_path / "other.vcz", genotypes, **shape)
    (store / "call_genotype/39.0.0").write_bytes((other / "call_genotype/39.0.0").read_bytes())
    said = biofuse("export", *options[1:], code=1).stderr
    assert "call_genotype/39.0.0 was changed" in said
    assert not (tmp_path / "out.bed").exists()
    # What was written is forgotten.
    biofuse(*options)
    assert (tmp_path / "out.bed").read_bytes() == reference.bed(genotypes)


def test_two_at_the_same_files(large, biofuse, tmp_path):
    options = ["export", large, tmp_path / "y", "--format", "plink"]
    first = biofuse.popen(*options)
    wait_until(lambda: (tmp_path / ".y.export/journal").exists(), "the first has begun")
    time.sleep(0.1)
    said = biofuse("export", *options[1:], code=1).stderr
    assert "another process exports to the same files" in said
    assert first.wait(60) == 0


def test_what_is_not_what_was_written_is_found(store, biofuse, tmp_path):
    from biofuse.api.fileset import open_fileset
    from biofuse.encode.maker import Maker
    from biofuse.errors import BiofuseError
    from biofuse.export.verify import verify_file

    biofuse("export", store, tmp_path / "x", "--format", "plink")
    path = tmp_path / "x.bed"
    with open_fileset(store, formats="plink", no_cache=True) as fileset:
        maker: Maker = fileset.maker
        size = fileset.files["x.bed"]

        def verify():
            with open(path, "rb") as file:
                verify_file(maker, 0, size, file.fileno(), "x.bed", 2, lambda more: None)

        verify()
        data = bytearray(path.read_bytes())
        data[20_000] ^= 1
        path.write_bytes(data)
        with pytest.raises(BiofuseError, match="differs from byte 20,000 on"):
            verify()
        path.write_bytes(data[:-1])
        with pytest.raises(BiofuseError, match="bytes, not"):
            verify()


@pytest.mark.parametrize("place", ["s3"])
def test_to_and_from_an_object_store(place, store, placer, biofuse, tmp_path):
    there = placer.put(place, store)
    folder = there.url.rpartition("/")[0]
    words = [*there.options]
    biofuse("export", there.url, tmp_path / "x", "--format", "plink", *words, env=there.env)
    assert (tmp_path / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    for more in ((), ("--compress", "zlib:1")):
        done = biofuse(
            *("export", there.url, f"{folder}/made/z", "--format", "bgen", "--verify"),
            *(*more, *words),
            env=there.env,
        )
        assert f"{folder}/made/z.bgen: " in done.stdout


def test_commands_without_fuse(store, biofuse, tmp_path):
    words = ["--format", "plink", "--", "cp", "{bed}", tmp_path / "copy"]
    done = biofuse("run", store, "--without-fuse", *words)
    assert (tmp_path / "copy").read_bytes() == reference.bed(GENOTYPES)
    assert list(biofuse.temporary.iterdir()) == []
    # Chosen by itself, which is said.
    done = biofuse("run", store, *words, env={"BIOFUSE_FUSE_DEVICE": "/dev/nothing"})
    assert "/dev/nothing is not there" in done.stderr and "--without-fuse" in done.stderr
    # What is not used is not written.
    names = biofuse("run", store, "--without-fuse", "--", "sh", "-c", "ls $(dirname $0)", "{bed}")
    assert names.stdout.split() == ["x.bed", "x.bim", "x.fam"]
    assert biofuse("run", store, "--without-fuse", "--", "sh", "-c", "exit 7", code=7)


@pytest.mark.parametrize(
    "words",
    [
        ["--metrics", "0"],
        ["--allow-other"],
        ["--read-ahead-kb", "64"],
        ["--no-trim"],
        ["--access-log", "log"],
    ],
    ids=lambda words: words[0],
)
def test_options_of_mounts_without_one(words, store, biofuse):
    said = biofuse.fails("run", store, "--without-fuse", *words, "--", "true")
    assert said.startswith(f"{words[0]} is for a mount")
    # Where it is not asked for, they may be of use elsewhere.
    env = {"BIOFUSE_FUSE_DEVICE": "/dev/nothing"}
    done = biofuse("run", store, *words, "--format", "plink", "--", "true", env=env)
    assert f"biofuse: no mount, so no use: {words[0]}\n" in done.stderr


def test_copies_of_a_damaged_store_do_not_stay(biofuse, tmp_path):
    """And nothing says that they do."""
    path = make_store(tmp_path / "x.vcz", random_genotypes(60, 43, seed=51), chunks=(20, 30))
    chunk = path / "call_genotype/2.0.0"
    chunk.write_bytes(chunk.read_bytes()[:30])
    said = biofuse.fails("run", path, "--without-fuse", "--format", "plink", "--", "true")
    assert "call_genotype/2.0.0" in said and "stays" not in said


@pytest.mark.parametrize("kind", ["nothing", "a file"])
def test_temporary_files_go_nowhere_but_to_tmpdir(kind, store, biofuse, tmp_path):
    place = tmp_path / "place"
    if kind == "a file":
        place.touch()
    env = {"TMPDIR": str(place)}
    for words in (["run", store, "--without-fuse", "--", "true"], ["run", store, "--", "true"]):
        said = biofuse.fails(*words, env=env)
        assert said == f"TMPDIR names {place}, which is no folder"


@pytest.mark.parametrize("more", [(), ("--no-cache",)], ids=["kept-plan", "plan"])
def test_a_run_that_may_not_mount_writes_the_files(more, store, biofuse, tmp_path):
    """As in a container that has the device and the helper, and not the right."""
    words = ["run", store, *more, "--format", "plink", "--", "cp", "{bed}", tmp_path / "copy"]
    may_not = ["--bounding-set", "-sys_admin"] if os.geteuid() == 0 else ["--no-new-privs"]
    done = subprocess.run(
        ["setpriv", *may_not, "--", *biofuse.command(*words)],
        env=biofuse.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot mount: " in done.stderr and "not permitted; in a container" in done.stderr
    assert "as with --without-fuse" in done.stderr
    assert (tmp_path / "copy").read_bytes() == reference.bed(GENOTYPES)
    assert list(biofuse.temporary.iterdir()) == []
    biofuse.check_nothing_left()


def test_no_room_without_fuse(large, biofuse):
    with small_disk(biofuse.home / "small", "8m") as disk:
        env = {"TMPDIR": str(disk)}
        said = biofuse.fails("run", large, "--without-fuse", "--no-cache", "--", "true", env=env)
        assert "no room" in said and "TMPDIR names another folder" in said
        assert list(disk.iterdir()) == []


def test_copies_of_one_that_was_killed_are_removed_by_the_next(store, biofuse):
    words = ["run", store, "--without-fuse", "--format", "plink", "--"]
    process = biofuse.popen(*words, "sleep", "100")
    copies = lambda: list(biofuse.temporary.glob("biofuse-copies-*/files/x.fam"))  # noqa: E731
    [copy] = wait_until(copies, "the copies are there")
    wait_until(lambda: any("sleep" in p.command for p in biofuse.processes()), "it runs")
    # Another one at the same time leaves it alone.
    biofuse(*words, "true")
    assert copy.exists()
    process.kill()
    process.wait()
    assert copy.exists()
    biofuse(*words, "true")
    assert list(biofuse.temporary.iterdir()) == []
