"""The hidden folder of an export, and what it says of itself when it is asked again."""

import errno
import json
import os

import pytest

from biofuse.errors import BiofuseError, NoRoomError, StoreChangedError
from biofuse.export import drafts as drafts_module
from biofuse.export import journal as journal_module
from biofuse.export import local
from biofuse.export.drafts import Drafts
from biofuse.export.journal import Journal

# As a draft is called.
ALIEN = "0123456789abcdef.bed"


def begin(folder, key="key"):
    return Drafts(str(folder), "x", key)


def write(drafts, name, data=b"data"):
    path, fd = drafts.create(name)
    os.write(fd, data)
    os.close(fd)
    return path


def begin_twice(folder):
    """Drafts of an export that goes on with what it has begun."""
    drafts = begin(folder)
    write(drafts, "x.bed")
    drafts.close()
    drafts = begin(folder)
    assert drafts.draft("x.bed") is not None
    return drafts


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_the_journal_does_not_name_is_removed(tmp_path):
    """Unless it is called as no draft is: that is somebody's."""
    drafts = begin(tmp_path)
    draft = drafts.as_others_see(write(drafts, "x.bed"))
    alien, others = tmp_path / ".x.export" / ALIEN, tmp_path / ".x.export/thesis.tex"
    alien.write_text("x")
    others.write_text("x")
    drafts.close()
    drafts = begin(tmp_path)
    assert drafts.as_others_see(drafts.draft("x.bed")) == draft
    assert not alien.exists()
    drafts.close()
    drafts = begin(tmp_path, "another")
    assert (drafts.draft("x.bed"), os.path.exists(draft)) == (None, False)
    drafts.remove()
    drafts.close()
    assert content(tmp_path / ".x.export") == {"thesis.tex": b"x"}


@pytest.mark.parametrize("link", [True, False])
def test_another_folder_in_its_place(link, tmp_path):
    """Whoever may write to OUT's folder may put one there: nothing in it is touched."""
    out, home = tmp_path / "out", tmp_path / "home"
    out.mkdir()
    home.mkdir()
    drafts = begin(out)
    write(drafts, "x.bed", b"first")
    mine = {ALIEN: b"mine", "thesis.tex": b"mine", "journal": b"mine"}
    for name, data in mine.items():
        (home / name).write_bytes(data)
    (out / ".x.export").rename(out / "away")
    if link:
        (out / ".x.export").symlink_to(home)
    else:
        home.rename(out / ".x.export")
    there = home if link else out / ".x.export"
    write(drafts, "x.bed", b"second")
    write(drafts, "x.bim", b"third")
    assert len(content(out / "away")) == 3
    for name in ("x.bed", "x.bim"):
        drafts.finish(name)
    drafts.place(["x.bed", "x.bim"])
    drafts.remove()
    drafts.close()
    assert content(there) == mine
    assert list((out / "away").iterdir()) == []
    assert ((out / "x.bed").read_bytes(), (out / "x.bim").read_bytes()) == (b"second", b"third")


def test_a_folder_of_that_name_that_is_not_an_exports(tmp_path):
    """Such as one that was this user's before, and somebody has moved there."""
    folder = tmp_path / ".x.export"
    folder.mkdir(0o700)
    (folder / "thesis.tex").write_text("mine")
    drafts = begin(tmp_path)
    drafts.remove()
    drafts.close()
    assert content(folder) == {"thesis.tex": b"mine"}


def test_a_file_system_without_modes(tmp_path, monkeypatch):
    make = os.mkdir

    def make_for_all(path, *_):
        make(path)
        os.chmod(path, 0o777)

    monkeypatch.setattr(os, "mkdir", make_for_all)
    drafts = begin_twice(tmp_path)
    drafts.remove()
    drafts.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_gives_all_files_another_owner(tmp_path, monkeypatch):
    """As over sshfs: what is made here is another's, and so is the folder."""
    make = os.mkdir

    def make_for_another(path, *mode):
        make(path, *mode)
        os.chown(path, 1234, -1)

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", make_for_another)
        begin_twice(tmp_path).close()
    with pytest.raises(BiofuseError, match=r"belongs to another user.*remove it"):
        begin(tmp_path)


def test_spans_of_another_export_are_not_its_own(tmp_path):
    """Where files cannot be locked, two may write one journal."""
    ours = begin(tmp_path)
    write(ours, "x.bed")
    journal = tmp_path / ".x.export/journal"
    span = {"file": "x.bed", "start": 0, "stop": 2}
    with open(journal, "a") as file:
        file.write(json.dumps({**span, "of": ALIEN}) + "\n")
    ours.journal.add({**span, "start": 2, "stop": 4})
    assert ours.journal.spans("x.bed") == [(2, 4)]
    ours.close()
    again = begin(tmp_path)
    assert again.journal.spans("x.bed") == [(2, 4)]
    assert again.draft("x.bed") is not None
    again.close()


def test_what_is_not_what_it_should_be_has_no_name(tmp_path):
    drafts = begin(tmp_path)
    write(drafts, "x.bed")
    drafts.finish("x.bed")
    drafts.place(["x.bed"])
    assert (tmp_path / "x.bed").exists() and not drafts.is_empty
    drafts.discard("x.bed")
    assert not (tmp_path / "x.bed").exists()
    # What was done before does not count any more.
    assert drafts.is_empty
    drafts.close()


@pytest.mark.parametrize("kind", [StoreChangedError, NoRoomError, BiofuseError])
def test_an_error_stays_what_it_is(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_stays", lambda drafts, of_use: "it stays")
    job = local.Job(None, str(tmp_path), None, 1, {}, durable=True)
    with pytest.raises(kind, match=r"^why; it stays$") as found, local._one_line(job):
        raise kind("why")
    assert type(found.value) is kind
    assert (found.value.errno == errno.ESTALE) == (kind is StoreChangedError)


def test_only_what_may_not_be_lost_waits_for_the_disk(tmp_path, monkeypatch):
    drafts = begin(tmp_path)
    synced = []
    monkeypatch.setattr(journal_module.os, "fdatasync", synced.append)
    monkeypatch.setattr(drafts_module.os, "fsync", lambda fd: None)
    write(drafts, "x.bed")
    assert synced == []
    drafts.finish("x.bed")
    assert len(synced) == 1
    drafts.place(["x.bed"])
    assert len(synced) == 1
    # That it is of no use may not be lost.
    drafts.forget("x.bed")
    assert len(synced) == 2
    drafts.close()


def test_a_journal_whose_end_no_disk_had(tmp_path):
    path = tmp_path / "j"
    journal = Journal(str(path), "key")
    journal.add({"file": "a", "start": 0, "stop": 10})
    journal.close()
    with open(path, "ab") as file:
        file.write(bytes(20) + b"\n" + b'{"file": "a", "start": 20, "stop": 30}\n')
    journal = Journal(str(path), "key")
    assert journal.spans("a") == [(0, 10)]
    journal.add({"file": "a", "start": 10, "stop": 12})
    journal.close()
    journal = Journal(str(path), "key")
    assert journal.spans("a") == [(0, 12)]
    journal.close()
