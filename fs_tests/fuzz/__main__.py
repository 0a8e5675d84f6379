"""Run every fuzz target for a while: `make fuzz ARGS="--seconds 600"`.

Prints a table: what each target has executed and reached, and what it has found. What targets
start from, and what they came by, stays in `build/fuzz`, and so a run goes on where the last one
was. The exit code tells whether anything was found.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from native import build
from native import fuzz as native

from .targets import TARGETS

ROOT = Path(__file__).parents[2]
# Followed by a target in Python.
PYTHON = (sys.executable, "-P", "-m", "fs_tests.fuzz.python")
# Seconds after which an input is one that hangs, and MiB that are too many.
STUCK, MEMORY = 25, 4096
_DONE = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What came of a target."""

    name: str
    seconds: float
    executions: str
    coverage: str
    findings: list[str]


def names() -> list[str]:
    return [*(f"c/{name}" for name in native.TARGETS), *(f"py/{name}" for name in TARGETS)]


def command(name: str, folder: Path) -> tuple[list[str], Path]:
    """The command of a target, without its options and folders, and where its findings are."""
    kind, _, short = name.partition("/")
    if kind == "c":
        made = native.make_target(short, folder)
        return [str(made.program)], made.findings
    for each in ("seeds", "findings"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[short].seeds()):
        (folder / "seeds" / f"{number:03}").write_bytes(seed)
    return [*PYTHON, short], folder / "findings"


@dataclass(frozen=True)
class Prepared:
    """A target that is about to be run: its words, and what there was of findings."""

    name: str
    folder: Path
    words: list[str]
    findings: Path
    before: set[Path]

    @classmethod
    def of(cls, name: str, folder: Path, options: list[str]) -> "Prepared":
        words, findings = command(name, folder)
        words += [
            f"-artifact_prefix={findings}/",
            f"-timeout={STUCK}",
            f"-rss_limit_mb={MEMORY}",
            "-max_len=8192",
            *options,
            str(findings),
            str(folder / "seeds"),
        ]
        return cls(name, folder, words, findings, set(findings.iterdir()))

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def result(self, code: int, seconds: float) -> Result:
        """What came of it, as its log tells."""
        text = self.log.read_text(errors="replace")
        counted = _DONE.findall(text)
        found = sorted(
            str(path)
            for path in set(self.findings.iterdir()) - self.before
            if path.name.startswith(("crash-", "timeout-", "oom-", "leak-", "slow-unit-"))
        )
        if (code or not counted) and not found:
            found = [f"exit code {code}: {self.log}"]
        executions, coverage = counted[-1] if counted else ("-", "-")
        return Result(self.name, seconds, executions, coverage, found)


@contextlib.contextmanager
def environment() -> Iterator[dict[str, str]]:
    """That of a target, whose temporary folder goes: libFuzzer ends a process without its leave."""
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    env = {**build.SANITIZE_RUN, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    env["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory() as env["TMPDIR"]:
        yield env


def run(name: str, folder: Path, options: list[str]) -> Result:
    """Run a target until it is done or has found something."""
    prepared = Prepared.of(name, folder, options)
    begun = time.monotonic()
    with open(prepared.log, "wb") as out, environment() as env:
        done = subprocess.run(
            prepared.words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env
        )
    return prepared.result(done.returncode, time.monotonic() - begun)


def run_together(
    wanted: list[str], folder: Path, options: list[str], jobs: int
) -> Iterator[Result]:
    """Run targets in Python in children of one process, so many at a time.

    What each has imported is imported and instrumented once.
    """
    prepared = {name: Prepared.of(name, folder / name, options) for name in wanted}
    tasks = [
        json.dumps({"words": each.words[len(PYTHON) :], "log": str(each.log)})
        for each in prepared.values()
    ]
    begun = time.monotonic()
    with environment() as env:
        done = subprocess.run(
            [*PYTHON, "--together", str(jobs)],
            input="\n".join(tasks),
            capture_output=True,
            text=True,
            env=env,
        )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    codes = {f"py/{each['name']}": each["code"] for each in told}
    for name, each in prepared.items():
        if name not in codes:
            each.log.write_text(done.stderr)
        yield each.result(codes.get(name, -1), time.monotonic() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="those to run, such as c/frame; all if none")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--runs", type=int, help="executions of each target, in place of seconds")
    parser.add_argument("--seed", type=int, help="of what is random")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument(
        "--together", action="store_true", help="in children of one process; Python's only"
    )
    parser.add_argument("--list", action="store_true", help="say what there is")
    chosen = parser.parse_args()
    if chosen.list:
        print(*names(), sep="\n")
        return 0
    wanted = chosen.targets or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; --list says what there is")
    options = [f"-max_total_time={chosen.seconds}"]
    if chosen.runs is not None:
        options = [f"-runs={chosen.runs}"]
    if chosen.seed is not None:
        options.append(f"-seed={chosen.seed}")
    together = chosen.together
    if together and not all(name.startswith("py/") for name in wanted):
        parser.error("--together is for targets in Python")
    with ThreadPoolExecutor(chosen.jobs) as pool:
        results: Iterable[Result] = pool.map(
            lambda name: run(name, chosen.folder / name, options), [] if together else wanted
        )
        if together:
            results = run_together(wanted, chosen.folder, options, chosen.jobs)
        print(f"{'target':22}{'seconds':>9}{'executions':>14}{'coverage':>10}  findings")
        findings = 0
        for result in results:
            findings += len(result.findings)
            shown = ", ".join(result.findings) or "none"
            print(
                f"{result.name:22}{result.seconds:9.0f}{result.executions:>14}"
                f"{result.coverage:>10}  {shown}",
                flush=True,
            )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
