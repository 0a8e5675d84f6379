"""Fixtures: inputs made once, and the program, watched for what it leaves behind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.places import Placer
from support.program import Program
from support.proxy import Proxy
from support.servers import HttpServer, S3Server, http_server, s3_server


@pytest.fixture
def biofuse(tmp_path_factory) -> Iterator[Program]:
    """The program; at the test's end nothing may be mounted and no process be left."""
    program = Program(tmp_path_factory.mktemp("p"))
    yield program
    program.check_nothing_left()


@pytest.fixture(scope="module")
def module_biofuse(tmp_path_factory) -> Iterator[Program]:
    """The program, for mounts that a module's tests share."""
    program = Program(tmp_path_factory.mktemp("p"))
    yield program
    program.check_nothing_left()


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], object]:
    """Make an input once a session: `made(name, make)` calls `make(directory)` the first time."""
    values: dict[str, object] = {}

    def get(name: str, make: Callable[[Path], object]) -> object:
        if name not in values:
            values[name] = make(tmp_path_factory.mktemp("input"))
        return values[name]

    return get


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server; each module makes buckets of its own."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[HttpServer]:
    """nginx; each module makes folders of its own in what it shows."""
    home = tmp_path_factory.mktemp("web")
    (home / "root").mkdir()
    with http_server(home / "root", home / "nginx") as server:
        yield server


@pytest.fixture
def in_front() -> Iterator[Callable[..., Proxy]]:
    """Makes proxies: `in_front(server, delay=0.1)`."""
    proxies: list[Proxy] = []

    def make(server: S3Server | HttpServer, **options: float) -> Proxy:
        proxies.append(Proxy(server.address, **options))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def placer(s3, web, in_front, tmp_path) -> Placer:
    """Puts stores on servers, each behind a proxy of its own."""
    return Placer(s3, web, in_front, tmp_path)
