"""A zip file that is spoilt under a mount: ESTALE, and never other bytes."""

import errno
import os
import threading
import time

import pytest
from support import reference
from support.damage import read_everywhere, read_uncached
from support.program import wait_until
from support.stores import make_store, random_genotypes, zip_store

import biofuse
from biofuse.stores import Location, open_store

# Three rows of two chunks; 251 bytes a record.
GENOTYPES = random_genotypes(600, 1003, seed=21)
BED = reference.bed(GENOTYPES)
RECORD = 251
ROW = 200 * RECORD

ZIP_CHANGES = {
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "truncated": lambda path: os.truncate(path, 1000),
    "empty": lambda path: os.truncate(path, 0),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", ZIP_CHANGES)
def test_a_zip_that_is_no_zip_any_more_has_changed(change, biofuse, tmp_path):
    """Also for a worker that begins then, and cannot open it."""
    path = zip_store(make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(200, 502)))
    with biofuse.mount(path, "--idle-timeout", "0.5") as mount:
        mount.expect_log("the store changed while it was mounted")
        assert read_uncached(mount.bed, 0, 3000) == BED[:3000]
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        ZIP_CHANGES[change](path)
        errors = read_everywhere(mount.bed, BED, 10 * RECORD)
        assert set(errors.values()) == {errno.ESTALE}
        assert len(errors) >= len(range(ROW, len(BED), 10 * RECORD))


@pytest.mark.parametrize("instead", ["nothing", "no-folder"])
def test_what_fails_for_another_reason_where_the_zip_is_gone(instead, tmp_path):
    """Of a store that is not there any more nobody can say why."""
    folder = tmp_path / "folder"
    store = make_store(folder / "x.vcz", GENOTYPES, chunks=(200, 502))
    [chunk] = store.glob("call_genotype/1.0.0")
    chunk.write_bytes(bytes(chunk.stat().st_size))
    path = zip_store(store)
    with (
        biofuse.open(path, formats="plink", no_cache=True) as fileset,
        fileset.open("x.bed") as file,
    ):
        assert file.read(3 + RECORD) == BED[: 3 + RECORD]
        for expected in (errno.EIO, errno.ESTALE):
            with pytest.raises(biofuse.BiofuseError) as caught:
                file.pread(RECORD, 3 + ROW)
            assert caught.value.errno == expected
            if instead == "nothing":
                path.unlink(missing_ok=True)
            elif folder.is_dir():
                folder.rename(tmp_path / "moved")
                folder.touch()


def test_a_zip_whose_time_of_change_follows_its_size(tmp_path):
    """A file that is being cut short has its new size first, and is opened then."""
    path = tmp_path / "x.vcz.zip"
    path.write_bytes(bytes(1000))
    location = Location(str(path))
    with pytest.raises(biofuse.BiofuseError) as caught:
        open_store(location, time.time_ns() + 10**9)
    assert caught.value.errno == errno.EIO
    follows = threading.Timer(0.03, os.utime, (path,))
    follows.start()
    with pytest.raises(biofuse.BiofuseError) as caught:
        open_store(location, time.time_ns() + 10_000_000)
    follows.join()
    assert caught.value.errno == errno.ESTALE
