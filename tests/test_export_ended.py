"""Exports that were ended at any moment, and begun again: the right bytes, and nothing beside."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from support import endings, reference
from support.stores import add_field, make_store, random_genotypes

from biofuse.export.journal import Journal
from biofuse.export.spans import _Notes

GENOTYPES = random_genotypes(60, 43, seed=51)
# The samples in another order: files of the same size, of other bytes.
REVERSED = [f"S{i:04}" for i in reversed(range(43))]


@pytest.fixture(scope="module")
def store(made):
    return made("ended", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 30)))


def hidden(folder):
    """Names of what is hidden in a folder, and in hidden folders."""
    return [path.name for path in folder.rglob("*") if "/." in str(path)]


ALL_WAYS = ["again", "other", "back"]


def check_ended_at_every_call(store, folder, formats, compress, dask, how, ways):
    asked = {
        "store": str(store),
        "folder": str(folder),
        "formats": formats,
        "compress": compress,
        "dask": dask,
        "how": how,
        "samples": REVERSED,
        "ways": ways,
    }
    done = subprocess.run(
        [sys.executable, endings.__file__, json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [*wrong, calls] = done.stdout.splitlines()
    assert wrong == []
    assert int(calls) > 20


def test_killed_at_every_call(store, tmp_path):
    check_ended_at_every_call(store, tmp_path, "plink", None, False, "kill", ALL_WAYS)


def test_killed_at_every_call_of_a_compressed_one(store, tmp_path):
    check_ended_at_every_call(store, tmp_path, "bgen", "zstd:1", False, "kill", ["again"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "error"])
@pytest.mark.parametrize(
    ("formats", "compress", "dask"),
    [
        ("plink", None, False),
        ("plink", None, True),
        (["plink2", "bcf"], None, False),
        ("bgen", "zstd:1", False),
        (["bgen", "bcf"], "zlib:1", True),
    ],
    ids=["plink", "dask", "several", "compressed", "compressed-dask"],
)
def test_ended_at_every_call(formats, compress, dask, how, store, tmp_path):
    check_ended_at_every_call(store, tmp_path, formats, compress, dask, how, ALL_WAYS)


def expected_bed():
    return reference.bed(GENOTYPES)


# What is written at a time, and noted; else all of a small file is.
SMALL_SPANS = """
from biofuse.export import spans
spans.PIECE, spans._SYNC_BYTES = 100, 1
"""
# It ends once the `.bed` has its name, and nothing else.
AFTER_THE_BED = """
import os
rename = os.replace
def of_bed(*paths, **more):
    rename(*paths, **more) if paths[1].endswith(".bed") else os._exit(9)
os.replace = of_bed
"""
# It ends once some of the first file is noted.
MIDWAY = f"""{SMALL_SPANS}
import os
from biofuse.export.journal import Journal
add = Journal.add
def add_one(journal, entry, **more):
    add(journal, entry, **more)
    if "stop" in entry: os._exit(9)
Journal.add = add_one
"""


def changed(biofuse, code, *words):
    """Run `biofuse export` after some code."""
    code += "\nfrom biofuse.cli.main import main\nmain()"
    return subprocess.run(
        [sys.executable, "-P", "-c", code, "export", *words],
        env=biofuse.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_file_that_has_its_name_stays(store, biofuse, tmp_path):
    """It is the one that was written; one that was put in its place is written anew."""
    options = ("--format", "plink")
    assert changed(biofuse, AFTER_THE_BED, store, tmp_path / "out", *options).returncode == 9
    first = (tmp_path / "out.bed").stat().st_ino
    biofuse("export", store, tmp_path / "out", *options, "--verify")
    assert (tmp_path / "out.bed").read_bytes() == expected_bed()
    assert (tmp_path / "out.bed").stat().st_ino == first
    assert changed(biofuse, AFTER_THE_BED, store, tmp_path / "out", *options).returncode == 9
    status = (tmp_path / "out.bed").stat()
    (tmp_path / "out.bed").write_bytes(bytes(status.st_size))
    os.utime(tmp_path / "out.bed", ns=(status.st_mtime_ns, status.st_mtime_ns))
    biofuse("export", store, tmp_path / "out", *options)
    assert (tmp_path / "out.bed").read_bytes() == expected_bed()
    assert sorted(os.listdir(tmp_path)) == ["out.bed", "out.bim", "out.fam"]


def remove(draft):
    draft.unlink()


def zeros(draft):
    """Another file of that name and size."""
    size = draft.stat().st_size
    draft.rename(draft.parents[1] / "away")
    with open(draft, "wb") as file:
        file.truncate(size)


def shorter(draft):
    os.truncate(draft, draft.stat().st_size - 1)


def elsewhere(draft):
    """A copy of the folder that was made while the export went on."""
    folder = draft.parent
    subprocess.run(["cp", "-r", folder, folder.with_name("copy")], check=True)
    os.truncate(folder.with_name("copy") / draft.name, 0)
    os.truncate(folder.with_name("copy") / draft.name, draft.stat().st_size)
    subprocess.run(["rm", "-r", folder], check=True)
    folder.with_name("copy").rename(folder)


@pytest.mark.parametrize("change", [remove, zeros, shorter, elsewhere], ids=lambda f: f.__name__)
def test_what_was_noted_is_of_that_draft_alone(change, store, biofuse, tmp_path):
    options = ("--format", "plink")
    assert changed(biofuse, MIDWAY, store, tmp_path / "y", *options).returncode == 9
    [draft] = tmp_path.glob(".y.export/*.bed")
    change(draft)
    biofuse("export", store, tmp_path / "y", *options)
    assert (tmp_path / "y.bed").read_bytes() == expected_bed()
    assert hidden(tmp_path) == []


def test_a_folder_in_place_of_a_file_is_told_of_before(store, biofuse, tmp_path):
    (tmp_path / "out.bim").mkdir()
    said = biofuse.fails("export", store, tmp_path / "out", "--format", "plink")
    assert f"{tmp_path}/out.bim is a folder, and a file of that name is to be written" in said
    assert os.listdir(tmp_path) == ["out.bim"]


@pytest.mark.parametrize(("chunk", "stays"), [("0.0.0", False), ("2.0.0", True)])
def test_what_stays_is_said(chunk, stays, store, biofuse, tmp_path):
    """With how to go on; where there is nothing with which to go on nothing stays."""
    bad, folder = tmp_path / "z.vcz", tmp_path / ".z.export"
    subprocess.run(["cp", "-r", store, bad], check=True)
    os.truncate(bad / "call_genotype" / chunk, 20)
    words = (bad, tmp_path / "z", "--format", "plink", "--threads", "1", "--no-cache")
    done = changed(biofuse, SMALL_SPANS, *words)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert f"call_genotype/{chunk}" in said
    told = f"what was written stays in {folder}: the same command goes on, or remove it"
    assert (told in said) == folder.exists() == stays


PLANTED = ["link", "file", "open-to-all", *(["another-users"] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("what", PLANTED)
def test_nothing_is_written_through_what_lies_there(what, store, biofuse, tmp_path):
    elsewhere, planted = tmp_path / "elsewhere", tmp_path / ".p.export"
    elsewhere.mkdir()
    if what == "link":
        planted.symlink_to(elsewhere)
    elif what == "file":
        planted.write_text("mine")
    else:
        planted.mkdir()
        if what == "open-to-all":
            planted.chmod(0o777)
        else:
            os.chown(planted, 1234, 1234)
    said = biofuse.fails("export", store, tmp_path / "p", "--format", "plink")
    assert f"{planted}" in said and "remove it" in said
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "p.bed").exists()


@pytest.mark.parametrize("options", [("plink",), ("bgen", "--compress", "zlib:1")], ids=str)
def test_links_that_are_planted_are_not_followed(options, store, biofuse, tmp_path):
    biofuse("export", store, tmp_path / "q", "--format", *options)
    names = [path.name for path in tmp_path.iterdir()]
    evil = tmp_path / "evil"
    evil.write_text("mine")
    for name in names:
        other = name.replace("q.", "p.")
        (tmp_path / other).symlink_to(evil)
    biofuse("export", store, tmp_path / "p", "--format", *options)
    assert evil.read_text() == "mine"
    for name in names:
        assert (tmp_path / name.replace("q.", "p.")).lstat().st_size > 100
        assert not (tmp_path / name.replace("q.", "p.")).is_symlink()


@pytest.mark.parametrize("options", [(), ("--compress", "zlib:1")], ids=["plain", "compressed"])
def test_what_was_begun_of_a_store_that_was_changed_since(options, biofuse, tmp_path):
    """It is of no use: the next command begins anew, and the one that finds it out says nothing."""
    path = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 30))
    out = tmp_path / "out"
    out.mkdir()
    dosages = np.full(GENOTYPES.shape[:2], 0.25, np.float32)
    add_field(path, "call_DS", dosages, chunks=(20, 30))
    chunk = path / "call_DS/1.0"
    sound = chunk.read_bytes()
    chunk.write_bytes(sound[:20])
    # The .bed is whole before the .bgen is begun.
    options = ["--format", "plink", "--format", "bgen", "--bgen-field", "DS", *options]
    words = ["export", path, out / "p", *options]
    assert "the same command goes on" in biofuse.fails(*words)
    assert hidden(out)
    # Of a file that planning does not look at.
    chunk.write_bytes(sound)
    said = biofuse.fails(*words)
    assert "changed" in said and "goes on" not in said
    assert hidden(out) == []
    biofuse(*words)
    biofuse("export", path, out / "q", *options)
    for made in out.glob("q.*"):
        same = endings.content(str(out / made.name.replace("q.", "p.")))
        assert same == endings.content(str(made))


def test_an_error_of_the_disk_is_not_forgotten(tmp_path):
    """It is told once: what was written before is not noted the next time either."""
    journal = Journal(str(tmp_path / "j"), "key")
    sync, failures = journal.sync, [OSError(5, "Input/output error")]

    def fail_once(fd):
        if failures:
            raise failures.pop()
        sync(fd)

    journal.sync = fail_once
    with (
        open(tmp_path / "x", "wb") as file,
        pytest.raises(OSError, match="Input"),
        _Notes(file.fileno(), journal, "x") as notes,
    ):
        notes.add((0, 10))
        notes._note()
    journal.close()
    journal = Journal(str(tmp_path / "j"), "key")
    assert not failures and journal.spans("x") == []
    journal.close()


def test_names_as_long_as_can_be(store, biofuse, tmp_path):
    for stem in ("n" * 251, "ä" * 125):
        biofuse("export", store, tmp_path / stem, "--format", "plink")
        assert (tmp_path / f"{stem}.bed").read_bytes() == expected_bed()
    said = biofuse.fails("export", store, tmp_path / ("n" * 252), "--format", "plink")
    assert "251 is the most: choose a shorter one (--basename, or the OUT of an export)" in said
    assert hidden(tmp_path) == []


def test_exports_of_stems_that_meet(store, biofuse, tmp_path):
    """One with --per-contig writes to names that another one has: neither takes the other's."""
    words = ("--format", "plink")
    biofuse("export", store, tmp_path / "x", *words, "--per-contig")
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = changed(biofuse, AFTER_THE_BED, store, tmp_path / "out", *words, "--per-contig")
    assert done.returncode == 9
    biofuse("export", store, tmp_path / "out_1", *words, "-r", "1", "-s", ",".join(REVERSED))
    assert (tmp_path / "out_1.bed").read_bytes() != whole["x_1.bed"]
    biofuse("export", store, tmp_path / "out", *words, "--per-contig")
    for name, data in whole.items():
        assert (tmp_path / name.replace("x_", "out_")).read_bytes() == data
    assert hidden(tmp_path) == []


def test_what_was_written_is_not_written_again(store, biofuse, tmp_path):
    """Nor believed with --verify, after which it is."""
    words = (store, tmp_path / "y", "--format", "plink")
    assert changed(biofuse, MIDWAY, *words).returncode == 9
    [draft] = tmp_path.glob(".y.export/*.bed")
    with open(draft, "r+b") as file:
        file.write(b"xyz")
    assert "y.bed is not on disk what was written" in biofuse.fails("export", *words, "--verify")
    assert not draft.exists()
    biofuse("export", *words, "--verify")
    assert (tmp_path / "y.bed").read_bytes() == expected_bed()


# It ends when all is written, and nothing has its name.
BEFORE_NAMES = "import os\nos.replace = lambda *paths, **more: os._exit(9)\n"


@pytest.mark.parametrize("change", [remove, zeros, shorter], ids=lambda f: f.__name__)
@pytest.mark.parametrize("suffix", ["bed", "bim"])
def test_what_was_whole_and_is_not_any_more(suffix, change, store, biofuse, tmp_path):
    words = (store, tmp_path / "y", "--format", "plink")
    biofuse("export", store, tmp_path / "z", "--format", "plink")
    assert changed(biofuse, BEFORE_NAMES, *words).returncode == 9
    [draft] = tmp_path.glob(f".y.export/*.{suffix}")
    change(draft)
    biofuse("export", *words)
    for each in ("bed", "bim", "fam"):
        assert (tmp_path / f"y.{each}").read_bytes() == (tmp_path / f"z.{each}").read_bytes()
    assert hidden(tmp_path) == []


def test_an_index_is_of_the_file_that_is_there(store, biofuse, tmp_path):
    words = (store, tmp_path / "y", "--format", "bgen", "--compress", "zlib:1")
    assert changed(biofuse, BEFORE_NAMES, *words).returncode == 9
    [draft] = tmp_path.glob(".y.export/*.bgen")
    draft.unlink()
    # The index has seconds.
    time.sleep(1.1)
    biofuse("export", *words)
    _, fits = endings.content(str(tmp_path / "y.bgen.bgi"))
    assert fits
