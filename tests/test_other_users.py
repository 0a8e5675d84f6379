"""Plans, folders and records that another user may have made: not used, and not in the way."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from support import reference
from support.stores import make_store, random_genotypes
from support.users import NOBODY, SOMEBODY, can_become_others, give, program_of
from support.views import plan_view

from biofuse import runtime
from biofuse.errors import BiofuseError
from biofuse.manifest import PlanFolder, checksum_of, read_plan
from biofuse.options import ViewOptions
from biofuse.plan.build import build_plan
from biofuse.plan.cache import PlanCache
from biofuse.trust import UntrustedError, open_file, open_folder, open_plain

GENOTYPES = random_genotypes(60, 23, seed=5)
BED = reference.bed(GENOTYPES)
KEY = "a" * 32


@pytest.fixture
def store(tmp_path) -> Path:
    return make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9))


@pytest.fixture
def plan(store, tmp_path) -> Path:
    made = tmp_path / "plan"
    plan_view(store, made, "-s", "S0004,S0002")
    return made


@pytest.fixture
def another(monkeypatch):
    """Have this process be another user than the one whom its files belong to."""
    monkeypatch.setattr("os.geteuid", lambda: SOMEBODY)
    # Root's files are trusted: have them be somebody's, where the tests run as root.
    monkeypatch.setattr("biofuse.trust._ROOT", 2)


def kept(store: Path, directory: Path) -> tuple[PlanCache, Path]:
    """A cache with one plan."""
    cache = PlanCache(str(directory))
    made = Path(cache.new())
    made.rmdir()
    plan_view(store, made, "-s", "S0004,S0002")
    entry = Path(cache.keep(str(made), KEY))
    assert cache.find(KEY) == str(entry)
    return cache, entry


EVIL = {
    "folder-for-all": lambda entry: entry.chmod(0o777),
    "folder-for-a-group": lambda entry: entry.chmod(0o770),
    "folder-of-plans-for-all": lambda entry: entry.parent.chmod(0o777),
    "manifest-for-all": lambda entry: (entry / "plan.json").chmod(0o666),
    "dependencies-for-a-group": lambda entry: (entry / "store.json").chmod(0o660),
    "sidecar-for-all": lambda entry: (entry / "0.bim").chmod(0o646),
    "linked-sidecar": lambda entry: link(entry / "0.bim"),
    "linked-manifest": lambda entry: link(entry / "plan.json"),
    "linked-table": lambda entry: link(entry / "samples.u32"),
    "fifo-for-a-sidecar": lambda entry: replace_by_fifo(entry / "0.fam"),
    "fifo-for-a-manifest": lambda entry: replace_by_fifo(entry / "plan.json"),
    "folder-for-a-sidecar": lambda entry: ((entry / "0.fam").unlink(), (entry / "0.fam").mkdir()),
    "longer-sidecar": lambda entry: (entry / "0.bim").write_text("x" * 100_000),
    "linked-entry": lambda entry: link(entry),
    "linked-folder-of-plans": lambda entry: link(entry.parent),
}


def link(path: Path) -> None:
    """Put a symbolic link to it in its place."""
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", EVIL)
def test_a_plan_that_others_may_have_changed_is_not_found(name, store, tmp_path):
    cache, entry = kept(store, tmp_path / "cache")
    EVIL[name](entry)
    assert cache.find(KEY) is None


def test_a_plan_of_another_user_is_not_found(store, tmp_path, monkeypatch):
    cache, entry = kept(store, tmp_path / "cache")
    monkeypatch.setattr("os.geteuid", lambda: SOMEBODY)
    monkeypatch.setattr("biofuse.trust._ROOT", 2)
    assert cache.find(KEY) is None
    with pytest.raises(UntrustedError, match="belongs to another user"):
        PlanFolder(str(entry))


def test_a_folder_of_plans_that_others_may_write_to_gets_none(store, tmp_path):
    cache, entry = kept(store, tmp_path / "cache")
    entry.parent.chmod(0o777)
    with pytest.raises(PermissionError):
        cache.new()
    assert [path.name for path in entry.parent.iterdir()] == [KEY]


PATHS = ["../x", "/etc/shadow", "..", ".", "", "a/b", "a\0b", None, 5]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", ["path", "name", "header", "offsets", "samples"])
def test_a_manifest_with_a_path_is_refused(field, path, plan):
    value = json.loads((plan / "plan.json").read_text())
    owners = {"path": value["static"][0], "name": value["static"][0]}
    owners |= {"header": value["streamed"][0], "offsets": value["streamed"][0]}
    owners.get(field, value)[field] = path
    rest = {name: each for name, each in value.items() if name not in ("format", "checksum")}
    value["checksum"] = checksum_of(rest)
    if path is None and field in ("offsets", "samples"):
        read_plan(json.dumps(value))
        return
    why = "where the name of a file is to be" if isinstance(path, str) else f"{field} is {path}"
    with pytest.raises(BiofuseError, match=why):
        read_plan(json.dumps(value))


def test_what_a_manifest_does_not_tell_of_is_not_opened(plan):
    (plan / "more").write_text("x")
    with PlanFolder(str(plan)) as folder:
        os.close(folder.open("0.bim"))
        with pytest.raises(UntrustedError, match="size"):
            folder.open("more")


def test_modes_do_not_depend_on_the_umask(store, tmp_path):
    before = os.umask(0)
    try:
        cache = PlanCache(str(tmp_path / "cache"))
        made = Path(cache.new())
        options = ViewOptions({"path": str(store), "backend": None}, "x", ["plink"])
        build_plan(options, str(made), lambda done, total: None)
        entry = Path(cache.keep(str(made), KEY))
    finally:
        os.umask(before)
    files = list(entry.iterdir())
    assert len(files) > 4
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (entry, entry.parent, *files)}
    assert modes == {0}
    assert cache.find(KEY) == str(entry)


def test_what_is_opened_in_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    folder = open_folder(str(tmp_path))
    os.close(open_plain("file", folder))
    for name in ("fifo", "folder", "../file", str(tmp_path / "file")):
        with pytest.raises(UntrustedError):
            open_plain(name, folder)
    with pytest.raises(OSError, match="link"):
        open_plain("link", folder)
    (tmp_path / "file").chmod(0o664)
    os.close(open_plain("file", folder))
    with pytest.raises(UntrustedError, match="others may write"):
        open_file("file", folder)
    os.close(folder)


@pytest.mark.slow
def test_everyone_has_plans_in_a_shared_folder():
    """Each makes a plan of one's own, root's is for all, and that of another is not used."""
    users = [NOBODY, SOMEBODY] if can_become_others() else [os.geteuid()]
    with program_of(os.geteuid()) as biofuse:
        shared = biofuse.home / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        store = make_store(shared / "x.vcz", GENOTYPES, chunks=(20, 9))
        words = ("run", store, "--cache-dir", shared, "--")
        for user in users:
            with program_of(user) as other:
                for name in ("seen", "seen-again"):
                    other(*words, "cp", "{bed}", other.home / name)
                    assert (other.home / name).read_bytes() == BED
            assert [path.stat().st_uid for path in plans(shared, user)] == [user]
        assert len({path.name for user in users for path in plans(shared, user)}) == 1
        # What another user has put there in this one's name, with wrong names in it.
        folder = shared / f"biofuse-plans-{users[0]}"
        for path in plans(shared, users[0]):
            (path / "0.fam").write_bytes((path / "0.fam").read_bytes().replace(b"S", b"X"))
        give(folder, SOMEBODY)
        folder.chmod(0o755)
        with program_of(users[0]) as other:
            other(*words, "cp", "{fam}", other.home / "seen")
            mine = not can_become_others()
            assert (other.home / "seen").read_text().startswith("X" if mine else "S0000\tS0000")
        # Root's, with another name for a sample: it shows that it is used.
        biofuse(*words, "true")
        root = shared / f"biofuse-plans-{os.geteuid()}"
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for path in plans(shared, os.geteuid()):
            (path / "0.fam").write_bytes((path / "0.fam").read_bytes().replace(b"S", b"Y"))
        with program_of(users[0]) as other:
            other(*words, "cp", "{fam}", other.home / "seen")
            assert (other.home / "seen").read_text().startswith("Y0000")


def plans(shared: Path, user: int) -> list[Path]:
    """A user's plans in a folder."""
    return [path.parent for path in shared.glob(f"biofuse-plans-{user}/*/plan.json")]


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_runtime_folder_that_others_may_write_to(mode, store, biofuse):
    biofuse.runtime.chmod(mode)
    said = biofuse.fails("mount", store, biofuse.new_directory())
    assert str(biofuse.runtime) in said
    assert "chmod go-w" in said


def test_a_runtime_folder_that_is_a_link(store, biofuse, tmp_path):
    link = biofuse.home / "link"
    link.symlink_to(biofuse.runtime)
    said = biofuse.fails(
        "mount", store, biofuse.new_directory(), env={"BIOFUSE_RUNTIME_DIR": str(link)}
    )
    assert "symbolic link" in said
    assert "BIOFUSE_RUNTIME_DIR" in said


def test_a_runtime_folder_of_another(biofuse, monkeypatch, another):
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))
    with pytest.raises(BiofuseError, match="belongs to another user"):
        runtime.runtime_dir()


def test_records_that_are_not_what_they_seem(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(tmp_path))
    path = runtime.path_for("/mnt", ".json")
    right = runtime.MountRecord("/mnt", "x", 77, runtime.path_for("/mnt", ".77.sock"), None)
    runtime.write_record(right)
    assert runtime.read_record("/mnt") == right
    value = json.loads(Path(path).read_text())
    for odd in ({"socket": "/tmp/x.sock"}, {"pid": "77"}, {"mountpoint": "/other"}, {"more": 1}):
        Path(path).write_text(json.dumps(value | odd))
        assert runtime.read_record("/mnt") is None
    Path(path).write_text(json.dumps(value))
    os.chmod(path, 0o666)
    assert runtime.read_record("/mnt") is None
    os.chmod(path, 0o600)
    link(Path(path))
    assert runtime.read_record("/mnt") is None


def test_the_socket_of_another_user_is_not_asked(store, biofuse, monkeypatch):
    from biofuse.api import live

    with biofuse.mount(store) as mount:
        monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(biofuse.runtime))
        record = runtime.read_record(str(mount.dir))
        assert live._ask(record, 10)["mountpoint"] == str(mount.dir)
        monkeypatch.setattr("os.geteuid", lambda: SOMEBODY)
        with pytest.raises(PermissionError):
            live._ask(record, 10)


def test_status_lists_ones_own_mounts(store):
    """Those of others are neither shown nor errors, but told where they are asked for."""
    with program_of(os.geteuid()) as biofuse, biofuse.mount(store) as mount:
        assert str(mount.dir) in biofuse("status").stdout
        assert can_become_others(), "root runs these tests"
        with program_of(NOBODY) as other:
            done = other("status")
            assert str(mount.dir) not in done.stdout + done.stderr
            assert f"by another user (uid {os.geteuid()})" in other.fails("status", mount.dir)


def test_a_socket_that_nobody_listens_at(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(tmp_path))
    # No process has this number.
    path = runtime.path_for("/mnt", ".4194305.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        runtime.sweep()
        assert os.path.exists(path)
    runtime.write_record(runtime.MountRecord("/mnt", "x", 4194305, path, None))
    runtime.sweep()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_a_process_has_open_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFUSE_RUNTIME_DIR", str(tmp_path))
    path = Path(runtime.path_for("/mnt", ".log"))
    with runtime.open_log(str(path)):
        runtime.sweep()
        assert path.exists()
    runtime.sweep()
    assert not path.exists()
    path.write_text("an error\n")
    runtime.sweep()
    assert path.exists()
