"""What these tests share: how long they go on, and one store in each kind of place."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fixtures import biofuse, in_front, made, module_biofuse, placer, s3, web
from support.places import Place, Placer, index_tables
from support.program import Mount, Program
from support.proxy import Proxy
from support.reads import View
from support.servers import HttpServer, S3Server
from support.stores import make_store, random_genotypes, zip_store

__all__ = ["biofuse", "in_front", "made", "module_biofuse", "placer", "s3", "web"]

# A shell ignores the one for what it starts in the background, nohup the other, and children would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where a store may be; see `place`.
PLACES = ("local", "zip", "s3", "icechunk")
# Of what takes many small tests, in the short form.
SHORT_PLACES = ("local", "s3")
FORMATS = ("plink", "bgen", "plink2", "bcf")
STREAMED = ("x.bcf", "x.bed", "x.bgen", "x.pgen")
SIDECARS = ("x.bcf.csi", "x.bgen.bgi", "x.bim", "x.fam", "x.psam", "x.pvar", "x.sample")
FILES = tuple(sorted(STREAMED + SIDECARS))
SOME_FILES = (*STREAMED, "x.bgen.bgi")
ALL_FORMATS = tuple(word for name in FORMATS for word in ("--format", name))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--short", action="store_true", help="go on for seconds where the long form takes minutes"
    )
    parser.addoption("--seed", type=int, help="of what is random; another one every time if none")


@pytest.fixture(scope="session")
def is_long(pytestconfig) -> bool:
    return not pytestconfig.getoption("--short")


@pytest.fixture(scope="session")
def seed(pytestconfig) -> int:
    """The seed of this run, which the head of the report tells."""
    return int(pytestconfig.stash[_SEED])


_SEED = pytest.StashKey[int]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The short form in a process a core; the long one, which judges times, in one."""
    return (os.cpu_count() or 1) if config.getoption("--short") else 0


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--seed")
    if hasattr(config, "workerinput"):
        given = config.workerinput["seed"]
    config.stash[_FIGURES] = []
    config.stash[_SEED] = random.SystemRandom().randrange(2**31) if given is None else given


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["seed"] = node.config.stash[_SEED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_FIGURES].extend(getattr(node, "workeroutput", {}).get("figures", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash[_FIGURES]


def pytest_report_header(config: pytest.Config) -> str:
    return f"fs_tests: --seed {config.stash[_SEED]}"


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def tell(pytestconfig) -> Callable[[str], None]:
    """Takes lines for the end of the report, such as how much was tried."""
    return pytestconfig.stash[_FIGURES].append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.stash[_FIGURES]:
        terminalreporter.section("figures")
        for line in config.stash[_FIGURES]:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def genotypes() -> np.ndarray:
    """The calls of the store: (variants, samples, ploidy) of int8."""
    return random_genotypes(3000, 1201, seed=17)


@pytest.fixture(scope="session")
def store(genotypes, tmp_path_factory) -> Path:
    """A local store with several chunks each way, of which every format can be shown."""
    return make_store(
        tmp_path_factory.mktemp("store") / "x.vcz",
        genotypes,
        chunks=(250, 400),
        encoding="v3-blosc-zstd-bit",
    )


@pytest.fixture(scope="session")
def oracle(store, tmp_path_factory) -> Path:
    """A folder with real files of every view, exported from the local store."""
    program = Program(tmp_path_factory.mktemp("p"))
    folder = tmp_path_factory.mktemp("oracle")
    program("export", store, folder / "x", *ALL_FORMATS)
    program.check_nothing_left()
    return folder


def put(placer: Placer, kind: str, store: Path) -> Place:
    """Put a local store in a kind of place, of `PLACES`."""
    if kind == "local":
        return Place(str(store))
    if kind == "zip":
        return Place(str(zip_store(store)))
    return placer.put(kind, store)


@pytest.fixture(scope="session")
def placed(store, s3, web, tmp_path_factory) -> Iterator[Callable[[str], Place]]:
    """Where the store is, in a kind of place: `placed("s3")`. It is put there once."""
    proxies: list[Proxy] = []

    def in_front(server: S3Server | HttpServer, **link: float) -> Proxy:
        proxies.append(Proxy(server.address, **link))
        return proxies[-1]

    placer = Placer(s3, web, in_front, tmp_path_factory.mktemp("places"))
    places: dict[str, Place] = {}

    def get(kind: str) -> Place:
        if kind not in places:
            places[kind] = put(placer, kind, store)
        return places[kind]

    yield get
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def local(store) -> Place:
    return Place(str(store))


@pytest.fixture
def place(request, placed, biofuse) -> Place:
    """The store in each kind of place in turn, with what commands need to reach it."""
    found: Place = placed(request.param)
    biofuse.env.update(found.env)
    return found


@pytest.fixture(scope="module")
def mount(request, placed, module_biofuse) -> Iterator[Mount]:
    """A mount of every view, of the store in each kind of place in turn."""
    with placed(request.param).mount(module_biofuse, *ALL_FORMATS) as mount:
        yield mount


@pytest.fixture(scope="module")
def expected(mount, oracle) -> dict[str, bytes]:
    """What each file of the mount must hold.

    An index has the time of its making in it. So it is what a first read gives, with the
    tables of the oracle's.
    """
    index = mount.dir / "x.bgen.bgi"
    assert index_tables(index) == index_tables(oracle / index.name)
    return {
        name: (mount.dir if name == index.name else oracle).joinpath(name).read_bytes()
        for name in FILES
    }


def places_of_a_life(config: pytest.Config) -> tuple[str, ...]:
    """All of them; in the short form one, by the seed."""
    if not config.getoption("--short"):
        return PLACES
    return (random.Random(config.stash[_SEED]).choice(PLACES),)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mount" in metafunc.fixturenames:
        # What the kernel makes of a call does not depend on where the store is.
        is_posix = metafunc.module.__name__.rpartition(".")[2].startswith("test_posix")
        few = is_posix and metafunc.config.getoption("--short")
        places = SHORT_PLACES if few else PLACES
        metafunc.parametrize("mount", places, indirect=True, scope="module")
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", places_of_a_life(metafunc.config), indirect=True)
    if "view" in metafunc.fixturenames:
        names = SOME_FILES if metafunc.config.getoption("--short") else FILES
        metafunc.parametrize("view", names, indirect=True)


@pytest.fixture(scope="module")
def copies(expected, oracle, tmp_path_factory) -> Path:
    """A folder with what each file of the mount must hold."""
    folder = tmp_path_factory.mktemp("copies")
    for name in FILES:
        if name.endswith(".bgi"):
            (folder / name).write_bytes(expected[name])
        else:
            (folder / name).symlink_to(oracle / name)
    return folder


@pytest.fixture
def view(request, mount, expected) -> View:
    """Every file of the mount in turn; in the short form every kind of file."""
    return View(mount.dir / request.param, expected[request.param], mount.status)
