"""biofuse as its users run it: the real command, real mounts, real processes."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.oracles import Fileset, tool

_MARKER = "BIOFUSE_TEST_MARKER"
HAPLOID = "the .bgen has haploid calls"


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 20) -> Any:
    """Wait until a condition holds; returns its value. No test asserts on less than this."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"this did not come about: {what}"
        time.sleep(0.01)
    return value


def mounts_below(directory: Path) -> list[str]:
    """What is mounted below a directory, by the kernel's table."""
    lines = os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).splitlines()
    paths = [line.split(" ")[4].replace("\\040", " ") for line in lines]
    return [path for path in paths if path.startswith(f"{directory}/")]


def has_ended(pid: int) -> bool:
    """Whether a process has nothing open any more: its last thread has ended, not its first."""
    try:
        is_one = len(os.listdir(f"/proc/{pid}/task")) == 1
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return is_one and state in "ZX"


@dataclass(frozen=True)
class Process:
    pid: int
    command: str

    @property
    def role(self) -> str:
        for role in ("serve", "encode", "plan"):
            if f"biofuse.{role}" in self.command:
                return role
        return "other"


class Mount:
    """A live mount."""

    def __init__(self, program: "Program", directory: Path, stem: str, log: Path):
        self._program = program
        self.dir = directory
        self.stem = directory / stem
        self.log = log
        self.expected_log: list[str] = []

    @property
    def bed(self) -> Path:
        return Path(f"{self.stem}.bed")

    @property
    def bim(self) -> Path:
        return Path(f"{self.stem}.bim")

    @property
    def fam(self) -> Path:
        return Path(f"{self.stem}.fam")

    def fileset(self) -> Fileset:
        return Fileset.read(self.stem)

    def status(self) -> dict[str, Any]:
        return json.loads(self._program("status", self.dir, "--json").stdout)

    def pid(self, role: str) -> int | None:
        """The process of this mount in a role, by its own account."""
        found = [p["pid"] for p in self.status()["processes"] if p["role"] == role]
        return found[0] if found else None

    def expect_log(self, text: str) -> None:
        """Say that the log will have lines with this text; any other line fails the test."""
        self.expected_log.append(text)

    def log_text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def umount(self) -> None:
        self._program("umount", self.dir)


class Program:
    """Runs `biofuse` with folders of its own, and knows what it left behind.

    Parameters
    ----------
    home : Path
        Short, as sockets' names are.
    """

    def __init__(self, home: Path):
        self.home = home
        self.temporary = home / "tmp"
        self.cache = home / "cache"
        self.runtime = home / "run"
        for folder in (self.temporary, self.cache, self.runtime):
            folder.mkdir(exist_ok=True)
        self.marker = uuid.uuid4().hex
        self.env = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.cache),
            "BIOFUSE_RUNTIME_DIR": str(self.runtime),
            "PATH": f"{Path(tool('biofuse')).parent}:{os.environ['PATH']}",
            _MARKER: self.marker,
        }
        self._mounts = 0
        self._seen: set[Process] = set()

    def command(self, *arguments) -> list[str]:
        return [tool("biofuse"), *(str(a) for a in arguments)]

    def __call__(
        self, *arguments, code: int = 0, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess:
        """Run a command to its end; its exit code must be the one told."""
        done = subprocess.run(
            self.command(*arguments),
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=120,
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        # So that what it has left running is known.
        self.processes()
        return done

    def fails(self, *arguments, code: int = 1, env: dict[str, str] | None = None, **more) -> str:
        """Run a command that must fail as every command does.

        With one line on standard error and nothing left behind. Returns that line, without
        the program's name.
        """
        mounted = mounts_below(self.home.parent)
        before = {p.pid for p in self.processes()}
        done = self(*arguments, code=code, env=env, **more)
        # Most stores of tests have haploid calls, of which any mount tells.
        lines = [line for line in done.stderr.splitlines() if HAPLOID not in line]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("biofuse: ")
        assert mounts_below(self.home.parent) == mounted
        wait_until(lambda: {p.pid for p in self.processes()} <= before, "no process is left")
        assert list(self.temporary.iterdir()) == []
        return lines[0].removeprefix("biofuse: ")

    def popen(self, *arguments, **options) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def processes(self) -> list[Process]:
        """Processes that were started, at whatever remove, by this object, until they are over."""
        found = self._with_marker()
        pids = {process.pid for process in found}
        # They lose their memory, and the marker in it, before what they have open.
        ending = {each for each in self._seen if each.pid not in pids and not has_ended(each.pid)}
        self._seen = {*found, *ending}
        return [*found, *ending]

    def _with_marker(self) -> list[Process]:
        marker = f"{_MARKER}={self.marker}".encode()
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                environ = Path(f"/proc/{name}/environ").read_bytes()
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if marker in environ.split(b"\0"):
                found.append(Process(int(name), os.fsdecode(command.replace(b"\0", b" "))))
        return found

    def new_directory(self) -> Path:
        self._mounts += 1
        directory = self.home / f"m{self._mounts}"
        directory.mkdir()
        return directory

    @contextmanager
    def mount(
        self, store: Path, *options, directory: Path | None = None, stem: str | None = None
    ) -> Iterator[Mount]:
        """Mount a store for the time of a block; unmount it, whatever happens.

        The log must hold nothing but what `Mount.expect_log` announced.
        """
        directory = directory or self.new_directory()
        log = self.home / f"{directory.name}.log"
        self("mount", store, directory, "--log-file", log, *options)
        mount = Mount(self, directory, stem or store.name.split(".")[0], log)
        try:
            yield mount
        finally:
            if mounts_below(directory.parent).count(str(directory)):
                mount.umount()
        unexpected = [
            line
            for line in mount.log_text().splitlines()
            if not any(text in line for text in mount.expected_log)
        ]
        assert unexpected == [], unexpected

    def check_nothing_left(self) -> None:
        """Raise AssertionError, after cleaning up, if a mount or a process is left."""
        mounted = mounts_below(self.home)
        for path in mounted:
            subprocess.run(["fusermount3", "-u", "-z", path], check=False)
        try:
            wait_until(lambda: not self.processes(), "all processes have ended", 30)
            left = []
        except AssertionError:
            left = self.processes()
            for process in left:
                os.kill(process.pid, signal.SIGKILL)
        assert mounted == []
        assert left == [], left
        assert list(self.temporary.iterdir()) == []
        left_files = [p.name for p in self.runtime.rglob("*") if p.is_file() or p.is_socket()]
        assert [name for name in left_files if name != "lock"] == []
