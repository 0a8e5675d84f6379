"""PLINK 2, BCF, split sites and filesets of contigs: ``python -m benchmarks.filesets``.

Whole `.pgen` and `.bcf` beside the `.bed` and a null file of the same size; a region of the
`.bcf` and plink2 on the `.pgen` beside real files; `--multiallelic split` on a store of which a
tenth of the sites has 3 to 5 alleles; plans of 24 filesets beside that of one.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console

from .choices import DIRECTORY, several
from .compare import default_read_ahead
from .measure import drop_caches, read_file, run, warm_memory
from .mounts import NULL, OURS, TIMED_OPTIONS, Mounter
from .report import Results, machine_facts
from .views import BCF, PLINK, PLINK2, View
from .workspace import DEFAULT_WORK, Workspace

MEASUREMENTS = ("whole", "region", "freq", "split", "contigs")
REGION = 1_000_000


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--work",
    type=DIRECTORY,
    default=DEFAULT_WORK,
    show_default=".bench",
    help="Directory of environments, stores and results.",
)
@click.option("--stores", type=DIRECTORY, help="Directory of the stores.  [default: WORK/stores]")
@click.option("--out", type=DIRECTORY, help="Directory of filesets.json.  [default: WORK]")
@click.option("--sim-env", type=DIRECTORY, help="Environment that makes stores.  [default: made]")
@several("--measure", MEASUREMENTS, "Measurements to make")
@click.option("--repeats", type=click.IntRange(1), default=3, help="Repetitions.")
@click.option("--scale", type=float, default=1.0, help="Factor of each side of every store.")
def main(work, stores, out, sim_env, measure, repeats, scale):
    """Measure filesets."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    work, out = work.absolute(), (out or work).absolute()

    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    workspace = Workspace(work, stores, sim_env=sim_env, scale=scale)
    results = Results(say, machine_facts())
    case = _Case(workspace, repeats, results, say)
    try:
        for name in measure:
            getattr(case, f"measure_{name}")()
    finally:
        results.print(console)
        out.mkdir(parents=True, exist_ok=True)
        results.write(out / "filesets.json")


class _Case:
    """Everything that a measurement needs."""

    def __init__(
        self, workspace: Workspace, repeats: int, results: Results, say: Callable[[str], None]
    ):
        self.maker = workspace.maker(say)
        self.repeats = repeats
        self.results = results
        self.folder = workspace.work / "filesets"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = str(Path(sys.executable).with_name("biofuse"))
        self.mounter = Mounter(self.program, None, sys.executable, workspace.work / "mounts")

    def export(self, store: Path, view: View) -> Path:
        """Real files of a view. Returns their stem."""
        stem = self.folder / store.stem
        if not stem.with_suffix(view.suffix).exists():
            run([self.program, "export", store, stem, "--format", view.name])
        return stem

    def read(self, store: Path, view: View, side: str, options: Sequence[str] = ()) -> float:
        """MB/s of a whole file, cold."""
        ahead = default_read_ahead(OURS)
        given = [*TIMED_OPTIONS[OURS], *options] if side == OURS else None
        with self.mounter.mount(side, store, view, ahead, given) as mount:
            size = mount.file.stat().st_size
            drop_caches(store)
            warm_memory(size)
            return size / read_file(mount.file) / 1e6

    def measure_whole(self) -> None:
        """Whole files of `wide`."""
        store = self.maker.store("wide")
        for _ in range(self.repeats):
            for view in (PLINK, PLINK2, BCF):
                for side in (OURS, NULL):
                    speed = self.read(store, view, side)
                    self.results.add(f"whole {view.suffix}", "wide", side, "", "MB/s", speed)

    def measure_region(self) -> None:
        """A region of 1 Mb by bcftools, of the mount, of the same file on disk, and of one that
        bcftools has compressed."""
        store = self.maker.store("wide")
        real = self.export(store, BCF).with_suffix(".bcf")
        small = real.with_name(f"{store.stem}.compressed.bcf")
        if not small.exists():
            run(["bcftools", "view", "-Ob", "--threads", "2", "-o", small, real])
            run(["bcftools", "index", small])
        lines = subprocess.run(
            ["bcftools", "index", "--stats", real], capture_output=True, text=True, check=True
        ).stdout
        contig = lines.split("\t")[0]
        for _ in range(self.repeats):
            for side in (OURS, "real", "compressed"):
                with self.mounter.mount(OURS, store, BCF, options=["--no-cache"]) as mount:
                    path = {OURS: mount.file, "real": real, "compressed": small}[side]
                    words = ["bcftools", "view", "-Ou", "-o", os.devnull]
                    region = f"{contig}:{REGION}-{2 * REGION - 1}"
                    drop_caches(store, real, small)
                    seconds = run([*words, "-r", region, path])
                self.results.add("bcftools view -r, 1 Mb", "wide", side, "", "s", seconds)

    def measure_freq(self) -> None:
        """`plink2 --freq` of the mount, of the same file, and of one that plink2 has compressed."""
        store = self.maker.store("wide")
        real = self.export(store, PLINK2)
        small = real.with_name(f"{store.stem}_compressed")
        if not small.with_suffix(".pgen").exists():
            run(["plink2", "--pfile", real, "--make-pgen", "--out", small])
        for _ in range(self.repeats):
            for side in (OURS, "real", "compressed"):
                with self.mounter.mount(OURS, store, PLINK2, options=["--no-cache"]) as mount:
                    stem = {OURS: mount.stem, "real": real, "compressed": small}[side]
                    drop_caches(store, real, small)
                    warm_memory(mount.file.stat().st_size)
                    seconds = run(
                        ["plink2", "--pfile", stem, "--freq", "--out", self.folder / "freq"]
                    )
                self.results.add("plink2 --freq", "wide", side, "", "s", seconds)

    def measure_split(self) -> None:
        """A whole file of split sites, beside that of the same store without such sites."""
        plain, store = self.maker.store("wide"), self.maker.store("wide_alleles")
        for _ in range(self.repeats):
            for view in (PLINK, PLINK2):
                for side, at, options in (
                    (OURS, store, ("--multiallelic", "split")),
                    ("plain", plain, ()),
                ):
                    speed = self.read(at, view, OURS, options)
                    name = f"whole {view.suffix}, split"
                    self.results.add(name, "wide", side, "", "MB/s", speed)

    def measure_contigs(self) -> None:
        """Plans of `tall` with 24 contigs: one fileset, or one for each."""
        store = self.maker.store("tall_contigs")
        formats = ("plink", "bgen")
        for _ in range(self.repeats):
            for side, options in (("plain", ()), (OURS, ("--per-contig",))):
                seconds, peak = self._mount(store, [*options, *(f"--format={f}" for f in formats)])
                self.results.add("mount: time", "tall", side, "", "s", seconds)
                self.results.add("mount: largest process", "tall", side, "", "MiB", peak)

    def _mount(self, store: Path, options: Sequence[str]) -> tuple[float, float]:
        """Mount and unmount. Returns seconds, and the peak of the largest process in MiB."""
        directory = self.folder / "mnt"
        directory.mkdir(exist_ok=True)
        drop_caches(store)
        began = time.perf_counter()
        words = [self.program, "mount", store, directory, "--no-cache", *options]
        process = subprocess.Popen([str(word) for word in words])
        _, code, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(code)
        run([self.program, "umount", directory])
        if process.returncode:
            raise RuntimeError(f"biofuse mount returned {process.returncode}")
        return seconds, used.ru_maxrss / 1024


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.filesets")
