"""Plans kept between mounts: used when they hold, and only then."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from support import reference
from support.changes import change_a_name_in_place, change_positions, rewrite_in_place
from support.oracles import vcztools_view_plink
from support.stores import chunk_files, copy_store, make_store, random_genotypes, zip_store
from support.views import parse, plan_view

from biofuse.plan.cache import PlanCache, is_current

GENOTYPES = random_genotypes(60, 23, seed=3)
BED = reference.bed(GENOTYPES)
OTHER = random_genotypes(60, 23, seed=4)
KEYS = [letter * 32 for letter in "abcdef"]


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


def entries(program) -> dict[str, int]:
    """The kept plans by name, with the inode of each."""
    found = [p for p in program.cache.rglob("*") if p.name == "plan.json"]
    return {p.parent.name: p.parent.stat().st_ino for p in found}


def test_a_second_mount_uses_the_kept_plan(store, biofuse):
    with biofuse.mount(store) as mount:
        first = mount.fileset()
    kept = entries(biofuse)
    assert len(kept) == 1
    # Neither the mountpoint nor how it is served has to do with the plan.
    with biofuse.mount(store, "--memory", "64MiB", "--threads", "1") as mount:
        assert mount.fileset() == first
    assert entries(biofuse) == kept
    assert first.bed == BED


def test_other_options_make_another_plan(store, biofuse):
    with biofuse.mount(store) as mount:
        mount.fileset()
    kept = entries(biofuse)
    with biofuse.mount(store, "-s", "S0003,S0001") as mount:
        assert mount.bed.read_bytes() == reference.bed(GENOTYPES[:, [3, 1]])
    assert len(entries(biofuse)) == 2
    assert kept.items() <= entries(biofuse).items()


def test_every_option_that_matters_changes_the_key(store, tmp_path):
    for name, text in (("a.txt", "S0001\n"), ("b.txt", "S0002\n"), ("r.txt", "1\t5\t90\n")):
        (tmp_path / name).write_text(text)
    shutil.copy(tmp_path / "a.txt", tmp_path / "a2.txt")
    views = [
        [],
        ["-r", "1"],
        ["-t", "1"],
        ["-t", "^1"],
        ["-R", tmp_path / "r.txt"],
        ["-T", tmp_path / "r.txt"],
        ["-T", f"^{tmp_path}/r.txt"],
        ["-s", "S0001"],
        ["-s", "S0001,S0002"],
        ["-s", "S0002,S0001"],
        ["-s", "^S0001"],
        ["-S", tmp_path / "a.txt"],
        ["-S", f"^{tmp_path}/a.txt"],
        ["-S", tmp_path / "b.txt"],
        ["-S", tmp_path / "a.txt", "--force-samples"],
        ["-i", "POS>5"],
        ["-e", "POS>5"],
        ["-v", "snps"],
        ["-V", "snps"],
        ["-m", "2"],
        ["-M", "2"],
        ["--multiallelic", "drop"],
        ["--variant-id-template", "@:#"],
        ["--variant-id-template", "@:#:$r:$a"],
        ["--basename", "y"],
        ["--no-bim"],
        ["--no-fam"],
        ["--no-bim", "--no-fam"],
    ]
    keys = [parse(store, *options).digest("1") for options in views]
    assert len(set(keys)) == len(views)
    assert [parse(store, *options).digest("1") for options in views] == keys
    other = copy_store(store, tmp_path / "y.vcz")
    keys.append(parse(other, "--basename", "x").digest("1"))
    keys.append(parse(store).digest("2"))
    assert len(set(keys)) == len(views) + 2
    same = [["--memory", "1GiB"], ["--threads", "3"], ["--idle-timeout", "1"], ["--no-cache"]]
    assert {parse(store, *options).digest("1") for options in same} == {keys[0]}


def test_the_content_of_files_changes_the_key(store, biofuse, tmp_path):
    samples = tmp_path / "samples.txt"
    for number in (3, 7):
        # Of one size: only the content tells.
        samples.write_text(f"S000{number}\n")
        with biofuse.mount(store, "-S", samples) as mount:
            assert mount.bed.read_bytes() == reference.bed(GENOTYPES[:, [number]])
    assert len(entries(biofuse)) == 2


def replace_a_chunk(store: Path) -> None:
    zarr.open_group(store, mode="r+")["call_genotype"][20:40] = OTHER[20:40]


def rewrite_a_chunk_in_place(store: Path) -> None:
    other = make_store(store.parent / "other.vcz", OTHER, chunks=(20, 9))
    rewrite_in_place(chunk_files(store)[4], chunk_files(other)[4].read_bytes())


def replace_the_store(store: Path) -> None:
    shutil.rmtree(store)
    make_store(store, OTHER[:50], chunks=(25, 10))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        change_positions,
        change_a_name_in_place,
        replace_a_chunk,
        rewrite_a_chunk_in_place,
        replace_the_store,
    ],
    ids=lambda change: change.__name__,
)
def test_a_store_that_changed(change, store, biofuse, tmp_path):
    with biofuse.mount(store) as mount:
        before = mount.fileset()
    kept = entries(biofuse)
    change(store)
    expected = vcztools_view_plink(store, tmp_path / "v")
    assert expected != before
    with biofuse.mount(store) as mount:
        assert mount.fileset() == expected
    assert entries(biofuse).keys() == kept.keys()
    if change is not rewrite_a_chunk_in_place:
        # The plan has nothing of the genotypes themselves in it.
        assert entries(biofuse) != kept


def test_genotypes_that_a_selection_depended_on(store, biofuse, tmp_path):
    """What an expression decides by is looked at, file by file."""
    options = ["-i", "AC>14"]
    with biofuse.mount(store, *options) as mount:
        before = mount.fileset()
    rewrite_a_chunk_in_place(store)
    expected = vcztools_view_plink(store, tmp_path / "v", *options)
    assert expected.bim != before.bim
    with biofuse.mount(store, *options) as mount:
        assert mount.fileset() == expected


def test_a_zip_file_that_changed(store, biofuse):
    archive = zip_store(store)
    with biofuse.mount(archive) as mount:
        assert mount.bed.read_bytes() == BED
    replace_a_chunk(store)
    zip_store(store)
    with biofuse.mount(archive) as mount:
        seen = mount.bed.read_bytes()
    assert seen == reference.bed(np.concatenate([GENOTYPES[:20], OTHER[20:40], GENOTYPES[40:]]))


def test_no_cache_leaves_nothing(store, biofuse):
    with biofuse.mount(store, "--no-cache") as mount:
        assert mount.bed.read_bytes() == BED
        assert list(biofuse.temporary.iterdir()) == []
        assert list(biofuse.cache.rglob("*")) == []
    biofuse("run", store, "--no-cache", "--", "true")
    assert list(biofuse.cache.rglob("*")) == []


def test_a_cache_of_the_users_choice(store, biofuse, tmp_path):
    (tmp_path / "mine").mkdir()
    precious = tmp_path / "mine" / ("a" * 32)
    precious.mkdir()
    (precious / "data").write_text("precious")
    with biofuse.mount(store, "--cache-dir", tmp_path / "mine") as mount:
        assert mount.bed.read_bytes() == BED
    assert list(biofuse.cache.rglob("*")) == []
    assert len(list((tmp_path / "mine").rglob("plan.json"))) == 1
    assert (precious / "data").read_text() == "precious"


@pytest.mark.parametrize("where", ["option", "environment"])
def test_a_cache_that_cannot_be_written(where, store, biofuse, tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "cache"
    options = ["--cache-dir", place] if where == "option" else []
    biofuse.env["XDG_CACHE_HOME"] = str(place)
    with biofuse.mount(store, *options) as mount:
        assert mount.bed.read_bytes() == BED


def test_two_mounts_at_once(store, biofuse):
    for _ in range(2):
        shutil.rmtree(biofuse.cache / "biofuse", ignore_errors=True)
        directories = [biofuse.new_directory() for _ in range(3)]
        started = [
            biofuse.popen("mount", store, directory, "--format", "plink")
            for directory in directories
        ]
        for process in started:
            _, said = process.communicate(timeout=60)
            assert (process.returncode, said) == (0, "")
        assert [(d / "x.bed").read_bytes() for d in directories] == [BED] * 3
        biofuse("umount", *directories)
        assert len(entries(biofuse)) == 1
        names = [p.name for p in biofuse.cache.rglob("*")]
        assert not [name for name in names if name.startswith(("new-", "old-"))]


def test_an_array_that_is_added_makes_the_plan_anew(store, biofuse, tmp_path):
    ids = tmp_path / "variant_id"
    (store / "variant_id").rename(ids)
    (store / ".zmetadata").unlink(missing_ok=True)
    with biofuse.mount(store, "--format", "plink") as mount:
        assert {line.split("\t")[1] for line in mount.bim.read_text().splitlines()} == {"."}
    ids.rename(store / "variant_id")
    with biofuse.mount(store, "--format", "plink") as mount:
        names = [line.split("\t")[1] for line in mount.bim.read_text().splitlines()]
    assert names[:4] == [".", "rs1", "rs2", "."]


DAMAGES = {
    "no-manifest": lambda entry: (entry / "plan.json").unlink(),
    "empty-manifest": lambda entry: (entry / "plan.json").write_text(""),
    "number-for-manifest": lambda entry: (entry / "plan.json").write_text("5"),
    "null-for-manifest": lambda entry: (entry / "plan.json").write_text("null"),
    "cut-manifest": lambda entry: os.truncate(entry / "plan.json", 100),
    "older-manifest": lambda entry: edit(entry / "plan.json", format=1),
    "other-manifest": lambda entry: edit(entry / "plan.json", num_variants=59),
    "odd-boot": lambda entry: (entry / "unsettled").write_bytes(b"\xff\xfe"),
    "no-fingerprint": lambda entry: (entry / "store.json").unlink(),
    "cut-fingerprint": lambda entry: os.truncate(entry / "store.json", 20),
    "odd-fingerprint": lambda entry: (entry / "store.json").write_text("[]"),
    "no-sidecar": lambda entry: (entry / "0.bim").unlink(),
    "cut-sidecar": lambda entry: os.truncate(entry / "0.bim", 10),
    "empty-header": lambda entry: os.truncate(entry / "0.header", 0),
    "cut-table": lambda entry: os.truncate(entry / "samples.u32", 4),
    "nothing": lambda entry: [p.unlink() for p in entry.iterdir()],
}


def edit(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_entry_is_ignored(name, store, tmp_path):
    cache = PlanCache(str(tmp_path / "cache"))
    kept = keep_plan(cache, store, KEYS[0], 0, options=["-s", "S0004,S0002"])
    assert cache.find(KEYS[0]) == str(kept)
    DAMAGES[name](kept)
    assert cache.find(KEYS[0]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cut-manifest", "cut-table", "nothing"])
def test_a_damaged_entry_is_made_again(name, store, biofuse):
    expected = reference.bed(GENOTYPES[:, [4, 2, 11]])
    seen = biofuse.home / "seen"
    words = [store, "-s", "S0004,S0002,S0011", "--", "cp", "{bed}", seen]
    for damage in (None, DAMAGES[name], None):
        if damage is not None:
            [entry] = [p.parent for p in biofuse.cache.rglob("plan.json")]
            damage(entry)
        biofuse("run", *words)
        assert seen.read_bytes() == expected
    assert entry.name in entries(biofuse)


def keep_plan(
    cache: PlanCache, store: Path, key: str, age: float, size: int = 1000, options=()
) -> Path:
    """An entry last used so many seconds ago."""
    made = Path(cache.new())
    made.rmdir()
    plan_view(store, made, "--variant-id-template", "@:#" + "x" * (size // 20), *options)
    kept = Path(cache.keep(str(made), key))
    then = time.time() - age
    os.utime(kept, (then, then))
    return kept


def test_the_oldest_entries_go(store, tmp_path):
    cache = PlanCache(str(tmp_path / "cache"), limit=500_000)
    ages = [5000, 9000, 7000, 6000]
    kept = [keep_plan(cache, store, KEYS[i], ages[i], 200_000) for i in range(4)]
    # 800 KB: the two oldest went when the others came.
    cache.prune()
    assert [path.exists() for path in kept] == [True, False, False, True]
    # Use makes young.
    assert cache.find(KEYS[0]) == str(kept[0])
    keep_plan(cache, store, KEYS[4], 0, 200_000)
    assert [path.exists() for path in kept] == [True, False, False, False]


def test_what_was_used_just_now_stays(store, tmp_path):
    """It may be about to be opened."""
    cache = PlanCache(str(tmp_path / "cache"), limit=1)
    kept = [keep_plan(cache, store, key, 10) for key in KEYS[:3]]
    cache.prune()
    assert all(path.exists() for path in kept)
    os.utime(kept[1], (0, 0))
    cache.prune()
    assert [path.exists() for path in kept] == [True, False, True]


def test_prune_touches_nothing_of_others(store, tmp_path):
    cache = PlanCache(str(tmp_path / "cache"), limit=0)
    kept = keep_plan(cache, store, KEYS[0], 9000)
    folder = kept.parent
    unfinished = Path(cache.new())
    abandoned = Path(cache.new())
    others = [folder / "notes", folder / KEYS[1], folder / "new-things"]
    for path in others:
        path.mkdir()
        (path / "file").write_text("precious")
    (folder / KEYS[2]).write_text("a file")
    (folder / KEYS[3]).symlink_to(tmp_path)
    for path in (*others, abandoned, folder / KEYS[2]):
        os.utime(path, (0, 0))
    cache.prune()
    assert not kept.exists()
    assert not abandoned.exists()
    assert unfinished.exists()
    assert all((path / "file").exists() for path in others)
    assert (folder / KEYS[2]).exists()
    assert (tmp_path / "x.vcz").exists()


def test_find_and_keep(store, tmp_path):
    cache = PlanCache(str(tmp_path / "cache"))
    assert cache.find(KEYS[0]) is None
    kept = keep_plan(cache, store, KEYS[0], 0)
    assert is_current(str(kept))
    assert cache.find(KEYS[0]) == str(kept)
    assert cache.find(KEYS[1]) is None
    # Another mount made the same plan meanwhile: the first one stays.
    inode = kept.stat().st_ino
    assert keep_plan(cache, store, KEYS[0], 0) == kept
    assert kept.stat().st_ino == inode
    # It does not where the store has changed since.
    change_positions(store)
    assert cache.find(KEYS[0]) is None
    assert keep_plan(cache, store, KEYS[0], 0) == kept
    assert kept.stat().st_ino != inode
    assert cache.find(KEYS[0]) == str(kept)
    assert [p.name for p in kept.parent.iterdir()] == [KEYS[0]]
    shutil.rmtree(store)
    assert cache.find(KEYS[0]) is None
