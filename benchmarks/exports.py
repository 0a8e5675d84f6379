"""Files on disk, file objects and clusters: ``python -m benchmarks.exports``.

`biofuse export` beside a read and a copy of the mounted file, `vcztools view-plink` and
plink2; compressed BGEN beside plink2's; two workers of Dask beside one, on a store at a distance;
a file object's random reads beside the mount's; `import biofuse`.
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from .choices import DIRECTORY, several
from .compare import default_read_ahead
from .far import serve
from .measure import drop_caches, random_reads, read_file, run, warm_memory
from .mounts import OURS, Mounter
from .report import Results, machine_facts
from .views import PLINK
from .workspace import DEFAULT_WORK, Workspace

MEASUREMENTS = ("bed", "bgen", "dask", "random", "import")
READ_BYTES = 25_000
READS = 60
DELAY = 50


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--work",
    type=DIRECTORY,
    default=DEFAULT_WORK,
    show_default=".bench",
    help="Directory of environments, stores and results.",
)
@click.option("--stores", type=DIRECTORY, help="Directory of the stores.  [default: WORK/stores]")
@click.option("--out", type=DIRECTORY, help="Directory of exports.json.  [default: WORK]")
@click.option("--on", default="wide", help="Store to export.")
@several("--measure", MEASUREMENTS, "Measurements to make")
@click.option("--repeats", type=click.IntRange(1), default=3, help="Repetitions.")
@click.option("--scale", type=float, default=1.0, help="Factor of each side of every store.")
@click.option("--peer-env", type=DIRECTORY, help="Environment of the peer.  [default: made]")
@click.option("--no-peer", is_flag=True, help="Leave vcztools out.")
def main(work, stores, out, on, measure, repeats, scale, peer_env, no_peer):
    """Measure exports."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    work, out = work.absolute(), (out or work).absolute()

    def say(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    workspace = Workspace(work, stores, peer_env=peer_env, scale=scale)
    results = Results(say, machine_facts())
    case = _Case(workspace, on, repeats, results, not no_peer, say)
    try:
        for name in measure:
            getattr(case, f"measure_{name}")()
    finally:
        results.print(console)
        out.mkdir(parents=True, exist_ok=True)
        results.write(out / "exports.json")


class _Case:
    """Everything that a measurement needs."""

    def __init__(
        self,
        workspace: Workspace,
        on: str,
        repeats: int,
        results: Results,
        peer: bool,
        say: Callable[[str], None],
    ):
        self.workspace = workspace
        self.maker = workspace.maker(say)
        self.name = on
        self.store = self.maker.store(on)
        self.repeats = repeats
        self.results = results
        self.peer = peer
        self.folder = workspace.work / "exports"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = str(Path(sys.executable).with_name("biofuse"))
        self.mounter = Mounter(self.program, None, sys.executable, workspace.work / "mounts")

    def add(self, measure: str, side: str, unit: str, value: float, name: str = "") -> None:
        self.results.add(measure, name or self.name, side, "", unit, value)

    def export(self, name: str, *options: str, store: str | Path | None = None) -> float:
        """Export to a name that is new. Returns seconds."""
        for old in self.folder.glob(f"{name}.*"):
            old.unlink()
        drop_caches(self.store)
        warm_memory(1 << 30)
        words = [self.program, "export", store or self.store, self.folder / name]
        return run([*words, "--no-cache", *options])

    def measure_bed(self) -> None:
        """A whole `.bed`: to disk, through a mount, by others."""
        for _ in range(self.repeats):
            self.add("whole .bed", OURS, "s", self.export("ours", "--format", "plink"))
            for side, copies in (("read of the mount", False), ("copy of the mount", True)):
                ahead = default_read_ahead(OURS)
                with self.mounter.mount(OURS, self.store, PLINK, ahead, ["--no-cache"]) as mount:
                    drop_caches(self.store)
                    warm_memory(mount.file.stat().st_size)
                    target = self.folder / "copy.bed"
                    began = time.perf_counter()
                    if copies:
                        run(["cp", mount.file, target])
                        run(["sync", target])
                    else:
                        read_file(mount.file)
                    self.add("whole .bed", side, "s", time.perf_counter() - began)
        if self.peer:
            tool = self.workspace.peer.tool("vcztools")
            words = [tool, "view-plink", self.store, "-o", self.folder / "vcztools"]
            drop_caches(self.store)
            self.add("whole .bed", "vcztools view-plink", "s", run(words))

    def measure_bgen(self) -> None:
        """A compressed `.bgen`, beside what plink2 makes of the `.bed`, on the same cores."""
        self.export("plain", "--format", "plink")
        for _ in range(self.repeats):
            for method in ("zlib:6", "zstd:3"):
                options = ("--format", "bgen", "--compress", method)
                self.add("compressed .bgen", f"{OURS}, {method}", "s", self.export("c", *options))
                size = (self.folder / "c.bgen").stat().st_size
                self.add("compressed .bgen: size", f"{OURS}, {method}", "MB", size / 1e6)
        words = ["plink2", "--bfile", self.folder / "plain", "--export", "bgen-1.2", "bits=8"]
        drop_caches(self.folder)
        seconds = run([*words, "--out", self.folder / "plink2"])
        self.add("compressed .bgen", "plink2 --export bgen-1.2", "s", seconds)
        size = (self.folder / "plink2.bgen").stat().st_size
        self.add("compressed .bgen: size", "plink2 --export bgen-1.2", "MB", size / 1e6)

    def measure_dask(self) -> None:
        """The whole `.bed` of `tall` at a distance, and of the store here: one worker, then two."""
        import distributed

        tall = self.maker.store("tall")
        home = self.workspace.work / "far"
        with serve({"stores": self.maker.root}, home, [DELAY]) as far:
            url = far.url("http", DELAY, f"stores/{tall.name}")
            for name, store in (("tall", url), (self.name, self.store)):
                more = f"{DELAY} ms" if name == "tall" else "local"
                for workers in (1, 2) * self.repeats:
                    with distributed.LocalCluster(
                        n_workers=workers, threads_per_worker=1, dashboard_address=None
                    ) as cluster:
                        address = cluster.scheduler_address
                        # Which opens the store on each.
                        options = ("--format", "plink", "--dask", address)
                        self.export("dask", *options, "-r", self._first(tall), store=store)
                        seconds = self.export("dask", *options, store=store)
                    side = f"{workers} worker{'s'[: workers - 1]}"
                    self.add(f"whole .bed by Dask, {more}", side, "s", seconds, name)

    def _first(self, store: Path) -> str:
        """A region that has few variants."""
        words = [self.program, "export", store, self.folder / "sites", "--format", "plink"]
        run(words)
        first = (self.folder / "sites.bim").open().readline().split()
        return f"{first[0]}:{first[3]}-{first[3]}"

    def measure_random(self) -> None:
        """25 KB here and there, of a file object and of the mounted file."""
        import biofuse

        for seed in range(self.repeats):
            with self.mounter.mount(OURS, self.store, PLINK, options=["--no-cache"]) as mount:
                found = random_reads(mount.file, seed, READS, 60.0)
                self.add("random 25 KB", "mount", "ms", 1000 * statistics.median(found))
            with biofuse.open(self.store, formats="plink", no_cache=True) as fileset:
                [name] = [name for name in fileset.files if name.endswith(".bed")]
                file = fileset.open(name)
                chooser = random.Random(seed)
                took = []
                for _ in range(READS):
                    offset = chooser.randrange(max(1, file.size - READ_BYTES))
                    began = time.perf_counter()
                    file.pread(READ_BYTES, offset)
                    took.append(time.perf_counter() - began)
                self.add("random 25 KB", "file object", "ms", 1000 * statistics.median(took))

    def measure_import(self) -> None:
        """`import biofuse`, less what an empty program takes."""
        for _ in range(5 * self.repeats):
            for side, text in (("empty", "pass"), (OURS, "import biofuse")):
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", text], check=True)
                took = 1000 * (time.perf_counter() - began)
                self.results.add("import biofuse", "", side, "", "ms", took)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.exports")
