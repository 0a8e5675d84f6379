"""What episodes are made of: stores and such with other calls, real files of them, and servers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from support.places import Place, Placer
from support.program import Program
from support.proxy import Proxy
from support.servers import HttpServer, S3Server, http_server, s3_server
from support.stores import add_field, make_store, random_genotypes

from fs_tests.model.layout import Layout
from fs_tests.model.views import CALLS, VIEWS, View

SHAPE = (3000, 1201)
CHUNKS = (250, 400)
_ENCODING, _ENCODING_OF_VALUES = "v3-blosc-zstd-bit", "v3-blosc-zstd-byte"
FORMATS = CALLS.options
_SEED, _OTHER_SEED = 17, 18
# Of stores that have values, and sites of many alleles.
_MIXED_SHAPE = (800, 301)
_FIELDS = (
    ("call_genotype", 2),
    ("call_genotype_phased", 1),
    ("call_DP", 1),
    ("call_DS", 1),
    ("call_GP", 2),
)
_ALLELES = (("A", "G", "", ""), ("C", "CTT", "G", ""), ("G", "T", "", ""), ("T", "A", "C", "TG"))


@dataclass(frozen=True)
class ModelView:
    """A view of a store, with all that an episode of it needs.

    Attributes
    ----------
    view : View
    store, spare : Path
        Of the same shape, with other calls.
    oracle : Path
        A folder with a real file of each that the view shows.
    layout : Layout
        Of the store's calls.
    """

    view: View
    store: Path
    spare: Path
    oracle: Path
    layout: Layout

    @property
    def shape(self) -> list[Any]:
        """What `Oracle.of` takes beside the folder: words of JSON."""
        numbers = {suffix: self.layout.numbers(names) for suffix, names in self.view.reads.items()}
        return [self.layout.variants, self.layout.samples, self.layout.height, numbers]

    def options(
        self, program: Program, place: Place, folder: Path
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Words of `biofuse mount`, and keywords of `biofuse.open`.

        Where it is of a saved plan, that is made.

        Parameters
        ----------
        program : Program
        place : Place
            Where the store is.
        folder : Path
            For a plan and for kept chunks.
        """
        more: dict[str, Any] = {}
        options = self.view.options
        if self.view.is_planned and place.commit is None:
            program.env.update(place.env)
            more["plan"] = str(folder / "x.plan")
            # Of the whole store, of which any view can be made.
            whole = ("--multiallelic", "split")
            program("plan", place.url, *place.options, "-o", more["plan"], *FORMATS, *whole)
        if self.view.keeps_chunks and place.proxy is not None and place.write is not None:
            more["chunk_cache"] = str(folder / "kept")
        words = [word for name in more for word in (f"--{name.replace('_', '-')}", more[name])]
        return (*options, *self.view.words, *words), {**self.view.given, **more}


@dataclass(frozen=True)
class Inputs:
    """What all episodes share. What views need is made beside `spare`, when it is first wanted.

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

    def view(self, number: int) -> ModelView:
        """The view of an episode of this number; of 0, calls alone."""
        view = VIEWS[number % len(VIEWS)]
        if view is CALLS:
            return ModelView(view, self.store, self.spare, self.oracle, PLAIN)
        store, spare, layout = self._stores(view.store)
        oracle = self.spare.parent / f"of-{view.name}"
        if not oracle.exists():
            export(store, oracle.with_name(f"{oracle.name}-new"), view.options).rename(oracle)
        return ModelView(view, store, spare, oracle, layout)

    def _stores(self, kind: str) -> tuple[Path, Path, Layout]:
        store, spare = (self.spare.parent / kind / name for name in ("x.vcz", "spare.vcz"))
        if not store.exists():
            _make_mixed(spare, _OTHER_SEED, kind == "sharded")
            _make_mixed(store, _SEED, kind == "sharded")
        return store, spare, MIXED[kind]


PLAIN = Layout(*SHAPE, *CHUNKS)
MIXED = {
    "mixed": Layout(*_MIXED_SHAPE, 100, 110, _FIELDS),
    # Of two rows of three chunks each.
    "sharded": Layout(*_MIXED_SHAPE, 100, 180, _FIELDS),
}


def _in_front(server: S3Server | HttpServer, **link: float) -> Proxy:
    return Proxy(server.address, **link)


def make_spare(folder: Path, plain: bool = False) -> Path:
    """A store that has the shape of another one, and other calls."""
    return _make(folder / "spare.vcz", _OTHER_SEED, plain)


def _make(path: Path, seed: int, plain: bool) -> Path:
    genotypes = random_genotypes(*SHAPE, seed=seed)
    if plain:
        genotypes = genotypes.clip(0, 1)
    return make_store(path, genotypes, chunks=CHUNKS, encoding=_ENCODING)


def _make_mixed(path: Path, seed: int, sharded: bool) -> Path:
    """A store with sites of two, three and four alleles, a third of them phased, and values."""
    rng = np.random.default_rng(seed)
    shape = _MIXED_SHAPE
    layout = MIXED["sharded" if sharded else "mixed"]
    chunks = (layout.height // 2, layout.width // 3) if sharded else (layout.height, layout.width)
    encoding, of_values = ("v3-sharded",) * 2 if sharded else (_ENCODING, _ENCODING_OF_VALUES)
    alleles = np.array(_ALLELES, dtype=object)[np.arange(shape[0]) % len(_ALLELES)]
    counts = (alleles != "").sum(axis=1)
    genotypes = random_genotypes(*shape, seed=seed)
    others = rng.integers(0, counts[:, None, None], genotypes.shape, dtype=np.int8)
    # Values are of diploid calls.
    genotypes = np.where(genotypes > 0, others, np.maximum(genotypes, -1))
    make_store(path, genotypes, chunks=chunks, encoding=encoding)
    _set_alleles(path, alleles, layout.height)
    dosages = rng.integers(0, 201, shape)
    probabilities = np.stack([200 - dosages, dosages // 2, dosages - dosages // 2], axis=2)
    fields = {
        "call_genotype_phased": rng.random(shape)
        < np.where(np.arange(shape[0]) % 3, 0.5, 1)[:, None],
        "call_DP": rng.integers(0, 99, shape, dtype=np.int16),
        "call_DS": (dosages / 100).astype(np.float32),
        "call_GP": (probabilities / 200).astype(np.float32),
    }
    for name, values in fields.items():
        add_field(path, name, values, chunks=chunks, encoding=of_values)
    return path


def _set_alleles(store: Path, alleles: np.ndarray, chunk: int) -> None:
    array = zarr.open_group(store, mode="r+").create_array(
        "variant_allele",
        shape=alleles.shape,
        dtype=str,
        chunks=(chunk, alleles.shape[1]),
        dimension_names=("variants", "alleles"),
        overwrite=True,
    )
    array[...] = alleles


def export(store: Path, folder: Path, options: tuple[str, ...]) -> Path:
    """A folder with real files of a store."""
    home = folder.with_name(f"{folder.name}-h")
    folder.mkdir()
    home.mkdir()
    program = Program(home)
    program("export", store, folder / "x", *options)
    program.check_nothing_left()
    return folder


@contextmanager
def made_inputs(folder: Path, places: tuple[str, ...], plain: bool = False) -> Iterator[Inputs]:
    """Make stores and real files, and start the servers that places need.

    Where they are to be plain, no call is missing, half missing or haploid.
    """
    store = _make(folder / "x.vcz", _SEED, plain)
    oracle = export(store, folder / "oracle", FORMATS)
    with ExitStack() as stack:
        s3 = web = None
        if any(place.startswith("s3") for place in places):
            s3 = stack.enter_context(s3_server())
        if "http" in places:
            (folder / "root").mkdir()
            web = stack.enter_context(http_server(folder / "root", folder / "nginx"))
        yield Inputs(store, make_spare(folder, plain), oracle, s3, web)
