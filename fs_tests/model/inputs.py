"""What episodes are made of: a store, one with other calls, real files of it, and servers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.places import Placer
from support.program import Program
from support.proxy import Proxy
from support.servers import HttpServer, S3Server, http_server, s3_server
from support.stores import make_store, random_genotypes

SHAPE = (3000, 1201)
CHUNKS = (250, 400)
_ENCODING = "v3-blosc-zstd-bit"
FORMATS = tuple(word for name in ("plink", "bgen", "plink2", "bcf") for word in ("--format", name))


@dataclass(frozen=True)
class Inputs:
    """What all episodes share.

    Attributes
    ----------
    store, spare : Path
        Of the same shape, with other calls.
    oracle : Path
        A folder with a real file of each that a view of the store shows.
    s3, web : S3Server or None, HttpServer or None
    """

    store: Path
    spare: Path
    oracle: Path
    s3: S3Server | None = None
    web: HttpServer | None = None
    shape: tuple[int, int, int] = (*SHAPE, CHUNKS[0])

    def placer(self, folder: Path) -> Placer:
        """Puts stores in places; whoever has a store put there closes its proxy."""
        return Placer(self.s3, self.web, _in_front, folder)  # type: ignore[arg-type]


def _in_front(server: S3Server | HttpServer, **link: float) -> Proxy:
    return Proxy(server.address, **link)


def make_spare(folder: Path, plain: bool = False) -> Path:
    """A store that has the shape of another one, and other calls."""
    return _make(folder / "spare.vcz", 18, plain)


def _make(path: Path, seed: int, plain: bool) -> Path:
    genotypes = random_genotypes(*SHAPE, seed=seed)
    if plain:
        genotypes = genotypes.clip(0, 1)
    return make_store(path, genotypes, chunks=CHUNKS, encoding=_ENCODING)


@contextmanager
def made_inputs(folder: Path, places: tuple[str, ...], plain: bool = False) -> Iterator[Inputs]:
    """Make stores and real files, and start the servers that places need.

    Where they are to be plain, no call is missing, half missing or haploid.
    """
    store = _make(folder / "x.vcz", 17, plain)
    oracle, home = folder / "oracle", folder / "h"
    oracle.mkdir()
    home.mkdir()
    program = Program(home)
    program("export", store, oracle / "x", *FORMATS)
    program.check_nothing_left()
    with ExitStack() as stack:
        s3 = web = None
        if any(place.startswith("s3") for place in places):
            s3 = stack.enter_context(s3_server())
        if "http" in places:
            (folder / "root").mkdir()
            web = stack.enter_context(http_server(folder / "root", folder / "nginx"))
        yield Inputs(store, make_spare(folder, plain), oracle, s3, web)
