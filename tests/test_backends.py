"""Stores reached through fsspec, obstore and Icechunk: the same files as of a local one."""

import asyncio
import http.server
import re
import sys
import threading
from functools import partial
from pathlib import Path

import icechunk
import pytest
from support import reference
from support.stores import make_store, random_genotypes
from zarr.core.buffer import cpu

from biofuse.errors import BiofuseError
from biofuse.stores import Location, Range, open_store
from biofuse.stores.backends import backend_store

GENOTYPES = random_genotypes(60, 23, seed=11)
BED = reference.bed(GENOTYPES)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("a folder")
    return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9), encoding="v3-blosc-zstd-bit")


@pytest.fixture(scope="module")
def repository(store, tmp_path_factory) -> Path:
    """The store's objects as the first commit of an Icechunk repository."""
    path = tmp_path_factory.mktemp("a repository") / "x.icechunk"
    made = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = made.writable_session("main")

    async def copy() -> None:
        # Metadata first: there are chunks of known arrays only.
        files = [file for file in store.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: (file.name != "zarr.json", len(file.parts))):
            data = cpu.Buffer.from_bytes(file.read_bytes())
            await session.store.set(str(file.relative_to(store)), data)

    asyncio.run(copy())
    session.commit("all")
    return path


@pytest.fixture(scope="module")
def server(store):
    """The URL of a server of the store's folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            path = Path(self.translate_path(self.path))
            if not path.is_file():
                return self.send_error(404)
            data = path.read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = map(int, asked.groups()) if asked else (0, len(data))
            last = min(last, len(data) - 1)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(last + 1 - first))
            self.end_headers()
            self.wfile.write(data[first : last + 1])

        def do_PROPFIND(self):
            # What is answered with a 5xx is asked again and again.
            self.send_error(405)

        def log_message(self, *_):
            pass

    handler = partial(Handler, directory=store.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/x.vcz"
        listening.shutdown()
        thread.join()


PLACES = {
    "fsspec-path": ("fsspec", lambda get: get("store")),
    "fsspec-http": ("fsspec", lambda get: get("server")),
    "obstore-path": ("obstore", lambda get: get("store")),
    "obstore-http": ("obstore", lambda get: get("server")),
    "icechunk-path": ("icechunk", lambda get: get("repository")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_a_mount_shows_the_same(name, request, biofuse):
    backend, place = PLACES[name]
    options = ["--backend-storage", backend]
    if name == "obstore-http":
        options += ["--storage-option", 'client_options={"allow_http": true}']
    with biofuse.mount(place(request.getfixturevalue), *options, stem="x") as mount:
        assert mount.bed.read_bytes() == BED


def test_urls_of_files(store, repository):
    for backend, url in (
        ("fsspec", f"file://{store}"),
        ("obstore", store.as_uri()),
        ("icechunk", repository.as_uri()),
    ):
        opened = open_store(Location(url, backend))
        [piece] = opened.get_many([Range("variant_position/c/1")])
        assert bytes(piece.data) == (store / "variant_position/c/1").read_bytes()


@pytest.mark.slow
def test_nothing_is_made_where_there_is_nothing(biofuse, tmp_path):
    for backend in ("fsspec", "obstore", "icechunk"):
        words = (tmp_path / "none.vcz", biofuse.new_directory(), "--backend-storage", backend)
        assert "none.vcz" in biofuse.fails("mount", *words)
    assert not (tmp_path / "none.vcz").exists()


@pytest.mark.parametrize("module", ["fsspec", "obstore.store", "icechunk"])
def test_a_backend_that_is_not_installed(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    name = module.partition(".")[0]
    with pytest.raises(BiofuseError, match=rf"needs the Python package {name}: pip install 'biof"):
        backend_store(Location("s3://bucket/x.vcz", backend=name))
