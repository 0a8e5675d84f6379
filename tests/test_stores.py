"""Ranges of stored objects, on every backend that is here."""

import zipfile

import pytest

from biofuse.errors import BiofuseError
from biofuse.stores import Location, Range, open_store

DATA = bytes(range(256)) * 40
OBJECTS = {"a/0": DATA, "a/1": b"x", "a/empty": b""}


def as_directory(folder):
    for key, data in OBJECTS.items():
        path = folder / "s" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return open_store(Location(str(folder / "s")))


def as_zip(folder, kind):
    with zipfile.ZipFile(folder / "s.zip", "w", kind) as archive:
        for key, data in OBJECTS.items():
            archive.writestr(key, data)
    return open_store(Location(str(folder / "s.zip")))


def as_zarr(folder):
    import zarr

    from biofuse.stores.remote import ZarrStore

    as_directory(folder)
    return ZarrStore(zarr.storage.LocalStore(folder / "s", read_only=True))


BACKENDS = {
    "directory": as_directory,
    "zip, stored": lambda folder: as_zip(folder, zipfile.ZIP_STORED),
    "zip, deflated": lambda folder: as_zip(folder, zipfile.ZIP_DEFLATED),
    "zarr": as_zarr,
}


@pytest.fixture(params=BACKENDS)
def store(request, tmp_path):
    return BACKENDS[request.param](tmp_path)


@pytest.mark.parametrize(
    "wanted", [(0, None), (0, 1), (0, 4096), (5, 17), (9000, None), (10_000, 10**9), (10_240, None)]
)
def test_a_range_alone_is_read(wanted, store):
    start, stop = wanted
    [piece] = store.get_many([Range("a/0", start, stop)])
    assert (bytes(piece.data), piece.start) == (DATA[start:stop], start)
    assert piece.size == len(DATA)


def test_many_at_once(store):
    keys = ["a/1", "a/none", "a/0", "a/empty"] * 20
    pieces = store.get_many([Range(key, 0, 7) for key in keys])
    assert [piece and bytes(piece.data) for piece in pieces] == [b"x", None, DATA[:7], b""] * 20


def test_a_zip_whose_member_is_damaged(tmp_path):
    store = as_zip(tmp_path, zipfile.ZIP_STORED)
    with open(tmp_path / "s.zip", "r+b") as f:
        f.write(b"nothing.")
    with pytest.raises(BiofuseError, match="a/0 cannot be read: its header is damaged"):
        store.get_many([Range("a/0", 0, 10)])


def test_a_zip_whose_member_has_rotted(tmp_path):
    """Read whole, as chunks are that no checksum of a codec guards."""
    store = as_zip(tmp_path, zipfile.ZIP_STORED)
    assert store.get_many([Range("a/0")])[0].data == DATA
    with open(tmp_path / "s.zip", "r+b") as f:
        at = f.read().index(DATA)
        f.seek(at + 2)
        f.write(bytes([DATA[2] ^ 1]))
    with pytest.raises(BiofuseError, match="a/0 cannot be read: its checksum does not match"):
        store.get_many([Range("a/0")])


class _Server:
    """A zarr-python store that answers with whole objects, and counts."""

    def __init__(self, whole):
        self.whole = whole
        self.sizes = 0
        self.asked = []

    async def getsize(self, key):
        self.sizes += 1
        return len(OBJECTS[key])

    async def get(self, key, prototype, byte_range=None):
        self.asked.append(byte_range)
        data = OBJECTS[key]
        if byte_range is not None and not self.whole:
            data = data[byte_range.start : byte_range.end]
        return prototype.buffer.from_bytes(data)


@pytest.mark.parametrize("whole", [False, True])
def test_a_server_that_may_know_no_ranges(whole):
    from biofuse.stores.remote import ZarrStore

    server = _Server(whole)
    store = ZarrStore(server)
    for _ in range(2):
        [piece] = store.get_many([Range("a/0", 100, 300)])
        assert bytes(piece.slice(100, 300)) == DATA[100:300]
        assert len(piece.data) == (len(DATA) if whole else 200)
    assert server.sizes == 1
    assert [(each.start, each.end) for each in server.asked] == [(100, 300)] * 2
