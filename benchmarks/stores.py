"""The stores that are measured, and real files beside them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .environments import HERE, Environment
from .views import PLINK, View

WIDE_BENCH_VARIANTS = 496_414


@dataclass(frozen=True)
class Simulated:
    """A store simulated with msprime and written by tskit2zarr.

    Attributes
    ----------
    trees : str
        Name of the simulation; stores may share one.
    samples : int
        Diploid samples.
    length : int
        Base pairs.
    chunks : tuple of int
        Variants and samples in a chunk.
    """

    trees: str
    samples: int
    length: int
    chunks: tuple[int, int]


@dataclass(frozen=True)
class Tiled:
    """A store that repeats another's chunk files as hard links."""

    source: str
    variants: int


@dataclass(frozen=True)
class Recoded:
    """A store that has another's genotypes in a codec off the fast path."""

    source: str


@dataclass(frozen=True)
class Altered:
    """A store with another's chunks, and other sites: what `alter.py` makes of it."""

    source: str
    what: str


SPECS: dict[str, Simulated | Tiled | Recoded | Altered] = {
    "wide": Simulated("wide", 100_000, 4_800_000, (1_000, 10_000)),
    "wide_bench": Tiled("wide", WIDE_BENCH_VARIANTS),
    "wide_big": Simulated("wide", 100_000, 4_800_000, (5_000, 100_000)),
    "wide_bench_big": Tiled("wide_big", WIDE_BENCH_VARIANTS),
    "wide_slow": Recoded("wide"),
    "wide_alleles": Altered("wide", "multiallelic"),
    "tall_contigs": Altered("tall", "contigs"),
    "tall": Simulated("tall", 2_500, 39_300_000, (1_000, 10_000)),
}


def scaled(
    spec: Simulated | Tiled | Recoded | Altered, scale: float
) -> Simulated | Tiled | Recoded | Altered:
    """Shrink a store in both directions, chunks included, so that it keeps its structure.

    Parameters
    ----------
    spec : Simulated, Tiled, Recoded or Altered
        The store at full size.
    scale : float
        Factor of each side.

    Returns
    -------
    Simulated, Tiled, Recoded or Altered
        The smaller store.
    """
    if isinstance(spec, Tiled):
        return Tiled(spec.source, max(1, round(spec.variants * scale)))
    if isinstance(spec, (Recoded, Altered)):
        return spec
    rows, columns = (max(1, round(side * scale)) for side in spec.chunks)
    samples = max(8, round(spec.samples * scale))
    return Simulated(spec.trees, samples, round(spec.length * scale), (rows, columns))


@dataclass(frozen=True)
class Maker:
    """Makes the stores of one directory; what is there already is kept.

    Attributes
    ----------
    root : Path
        Directory of the stores.
    scale : float
        Factor of each side of every store.
    sim : callable
        Returns the environment with msprime and bio2zarr.
    convert : callable
        Writes a store's real files of a view, given the store, the view and their stem.
    say : callable
        Takes one line of progress.
    """

    root: Path
    scale: float
    sim: Callable[[], Environment]
    convert: Callable[[Path, View, Path], None]
    say: Callable[[str], None]

    def store(self, name: str) -> Path:
        """Return a store, made if it is missing.

        Parameters
        ----------
        name : str
            A key of `SPECS`.

        Returns
        -------
        Path
            The store's directory.
        """
        path = self.root / f"{name}.vcz"
        if path.exists():
            return path
        self.root.mkdir(parents=True, exist_ok=True)
        spec = scaled(SPECS[name], self.scale)
        partial = self.root / f"{name}.vcz.partial"
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(spec, Tiled):
            source = self.store(spec.source)
            self.say(f"store {name}: {spec.variants:,} variants, hard links to {spec.source}")
            command = [str(HERE / "tile.py"), str(source), str(partial)]
            python = self.sim().tool("python")
            subprocess.run([python, *command, "--variants", str(spec.variants)], check=True)
        elif isinstance(spec, Recoded):
            self.say(f"store {name}: {spec.source} with genotypes in Blosc lz4")
            command = [HERE / "recode.py", self.store(spec.source), partial]
            subprocess.run([self.sim().tool("python"), *command], check=True)
        elif isinstance(spec, Altered):
            self.say(f"store {name}: {spec.source}, {spec.what}")
            command = [HERE / "alter.py", spec.what, self.store(spec.source), partial]
            subprocess.run([self.sim().tool("python"), *command], check=True)
        else:
            trees = self.trees(spec)
            self.say(f"store {name}: chunks of {spec.chunks[0]:,} x {spec.chunks[1]:,}")
            command = [self.sim().tool("tskit2zarr"), "convert", "--no-progress"]
            command += ["--zarr-format", "2", "-l", str(spec.chunks[0]), "-w", str(spec.chunks[1])]
            subprocess.run([*command, str(trees), str(partial)], check=True)
        os.rename(partial, path)
        return path

    def trees(self, spec: Simulated) -> Path:
        """Return a simulated tree sequence, made if it is missing.

        Parameters
        ----------
        spec : Simulated
            What to simulate.

        Returns
        -------
        Path
            The file of the tree sequence.
        """
        path = self.root / f"{spec.trees}.trees"
        if not path.exists():
            self.say(f"simulating {spec.trees}: {spec.samples:,} diploids, {spec.length:,} bp")
            partial = path.with_suffix(".partial")
            command = [self.sim().tool("python"), str(HERE / "simulate.py"), str(partial)]
            command += ["--samples", str(spec.samples), "--length", str(spec.length)]
            subprocess.run(command, check=True)
            os.rename(partial, path)
        return path

    def real(self, name: str, view: View = PLINK) -> Path:
        """Return the stem of real files of a view, made if they are missing.

        Parameters
        ----------
        name : str
            A key of `SPECS`.
        view : View
            The view.

        Returns
        -------
        Path
            The stem; the files have the view's suffixes.
        """
        stem = self.root / "real" / name
        if not stem.with_suffix(view.suffix).exists():
            store = self.store(name)
            stem.parent.mkdir(parents=True, exist_ok=True)
            self.say(f"making real {view.suffix} files of {name}")
            partial = stem.with_name(f"{name}_partial")
            self.convert(store, view, partial)
            for suffix in (*view.sidecars, view.suffix):
                os.rename(partial.with_suffix(suffix), stem.with_suffix(suffix))
        return stem
