"""The same store in each place where one may be: on S3, behind HTTP, in a zip, in Icechunk."""

import asyncio
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path

import icechunk
import obstore
import zarr
from zarr.core.buffer import cpu

from support.program import Mount, Program
from support.proxy import Proxy
from support.servers import HttpServer, S3Server
from support.stores import zip_store

PLACES = ("s3", "http", "s3-zip", "http-zip", "s3-icechunk", "icechunk")
# Where an object of the store is an object of the server, of which it knows the ETag.
PLAIN = ("s3", "http")


@dataclass
class Place:
    """A store that was put somewhere.

    Attributes
    ----------
    url : str
        What a user types.
    env : dict
        Variables that go with it.
    proxy : Proxy or None
        What requests go through.
    base : str
        Of requests' paths, before the keys of a store's objects or for the whole zip file.
    options : tuple of str
        What has to be typed beside it.
    write : callable or None
        Writes or removes the object of a key, or of a zip; of an Icechunk repository, a file of
        its own.
    read : callable or None
        Of an Icechunk repository, all files whose names begin so, with what is in them.
    commit : callable or None
        Commits another store to an Icechunk repository.
    """

    url: str
    env: dict[str, str] = field(default_factory=dict)
    proxy: Proxy | None = None
    base: str = ""
    options: tuple[str, ...] = ()
    write: Callable[[str, bytes | None], None] | None = None
    read: Callable[[str], dict[str, bytes]] | None = None
    commit: Callable[[Path], None] | None = None

    def mount(
        self, biofuse: Program, *options: object, **more: object
    ) -> AbstractContextManager[Mount]:
        """Mount it, as x; see `Program.mount`."""
        biofuse.env.update(self.env)
        return biofuse.mount(self.url, *self.options, *options, stem="x", **more)

    def path(self, key: str) -> str:
        """The path of requests for an object."""
        return f"{self.base}/{key}"

    def replace(self, key: str, data: bytes) -> None:
        """Put another object in an object's place, later than all that was before."""
        assert self.write is not None
        self.write(key, data)

    def delete(self, key: str) -> None:
        """Remove an object."""
        assert self.write is not None
        self.write(key, None)


@dataclass
class Placer:
    """Puts stores in places.

    Parameters
    ----------
    s3, web : S3Server, HttpServer
    in_front : callable
        Makes a proxy.
    folder : Path
        For files of its own.
    """

    s3: S3Server
    web: HttpServer
    in_front: Callable[..., Proxy]
    folder: Path

    def put(self, place: str, store: Path, **link: float) -> Place:
        """Put a copy of a store, a directory, there.

        Parameters
        ----------
        place : str
            Of `PLACES`.
        store : Path
        **link
            Of the proxy: `delay`, `bandwidth`.
        """
        name = f"t-{uuid.uuid4().hex}"
        kind, _, form = place.partition("-")
        if kind == "icechunk":
            path = self.folder / name / "x.icechunk"
            storage = icechunk.local_filesystem_storage(str(path))
            write_icechunk(store, storage)
            return Place(str(path), commit=lambda store: write_icechunk(store, storage, False))
        if form == "zip":
            store = zip_store(self._copy(store, self.folder / name / "x.vcz"))
        if kind == "http":
            self._copy(store, self.web.root / name / store.name)
            proxy = self.in_front(self.web, **link)
            base = f"/{name}/{store.name}"
            return Place(f"{proxy.url}{base}", {}, proxy, base, (), self._file_writer(base))
        self.s3.make_bucket(name)
        proxy = self.in_front(self.s3, **link)
        env = self.s3.environment(proxy.url)
        if form == "icechunk":
            storage = self._icechunk_storage(name)
            write_icechunk(store, storage)
            return Place(
                f"s3://{name}/x.icechunk",
                env,
                proxy,
                f"/{name}/x.icechunk",
                write=self._object_writer(name, "x.icechunk"),
                read=self._object_reader(name, "x.icechunk"),
                commit=lambda store: write_icechunk(store, storage, False),
            )
        url = self.s3.upload(store, name)
        writer = self._object_writer(name, store.name)
        return Place(url, env, proxy, f"/{name}/{store.name}", (), writer)

    def _copy(self, store: Path, to: Path) -> Path:
        to.parent.mkdir(parents=True)
        if store.is_dir():
            shutil.copytree(store, to)
        else:
            shutil.copy(store, to)
        return to

    def _icechunk_storage(self, bucket: str) -> icechunk.Storage:
        env = self.s3.environment()
        return icechunk.s3_storage(
            bucket=bucket,
            prefix="x.icechunk",
            region=env["AWS_REGION"],
            endpoint_url=self.s3.url,
            allow_http=True,
            force_path_style=True,
            access_key_id=env["AWS_ACCESS_KEY_ID"],
            secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    def _file_writer(self, base: str) -> Callable[[str, bytes | None], None]:
        def write(key: str, data: bytes | None) -> None:
            path = self.web.root / base.lstrip("/") / key if key else Path(self.web.root, base[1:])
            if data is None:
                path.unlink()
                return
            path.with_name("new").write_bytes(data)
            # nginx tells times in seconds, and tests don't wait for the next one.
            later = time.time() + 5
            os.utime(path.with_name("new"), (later, later))
            path.with_name("new").rename(path)

        return write

    def _object_writer(self, bucket: str, name: str) -> Callable[[str, bytes | None], None]:
        def write(key: str, data: bytes | None) -> None:
            target = f"{name}/{key}" if key else name
            if data is None:
                obstore.delete(self.s3.bucket(bucket), target)
            else:
                obstore.put(self.s3.bucket(bucket), target, data)

        return write

    def _object_reader(self, bucket: str, name: str) -> Callable[[str], dict[str, bytes]]:
        def read(prefix: str) -> dict[str, bytes]:
            objects = self.s3.bucket(bucket)
            listed = obstore.list(objects, prefix=f"{name}/{prefix}").collect()
            return {
                each["path"][len(name) + 1 :]: bytes(obstore.get(objects, each["path"]).bytes())
                for each in listed
            }

        return read


def write_icechunk(store: Path, storage: icechunk.Storage, new: bool = True) -> None:
    """Write a store's objects, of Zarr v3, as a commit to an Icechunk repository."""
    open_it = icechunk.Repository.create if new else icechunk.Repository.open
    repository = open_it(storage)
    session = repository.writable_session("main")

    async def copy() -> None:
        # Metadata first: there are chunks of known arrays only.
        files = [file for file in store.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: (file.name != "zarr.json", len(file.parts))):
            data = cpu.Buffer.from_bytes(file.read_bytes())
            await session.store.set(str(file.relative_to(store)), data)

    asyncio.run(copy())
    session.commit("all")


def consolidated(store: Path) -> Path:
    """The store, with its metadata in one document too."""
    zarr.consolidate_metadata(store)
    return store


def contents(directory: Path) -> dict[str, object]:
    """All files of a mount; of an index its tables, but for the times in it."""
    return {
        path.name: index_tables(path) if path.suffix == ".bgi" else path.read_bytes()
        for path in sorted(directory.iterdir())
    }


def index_tables(index: Path) -> list[object]:
    """What is in a `.bgi`, but for the times in it."""
    with closing(sqlite3.connect(f"file:{index}?mode=ro&immutable=1", uri=True)) as database:
        told = "filename, file_size, first_1000_bytes"
        return [
            list(database.execute(f"SELECT {told} FROM Metadata")),
            list(database.execute("SELECT * FROM Variant")),
        ]
