"""Processes that read, as who started them sees them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from fs_tests.model.reader import Outcome

_ROOT = Path(__file__).parents[2]
# Seconds after which an operation hangs.
PATIENCE = 60.0


class ReaderProcess:
    """A process that reads; see `reader`."""

    def __init__(self, config: dict[str, Any], environment: dict[str, str]):
        path = os.pathsep.join([str(_ROOT), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.face = config["face"]
        self.outcomes: list[Outcome] = []
        self.counts: dict[str, int] = {}
        self.slowest = 0.0
        self.said: list[str] = []
        self.is_ready = threading.Event()
        self._ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fs_tests.model.reader", json.dumps(config)],
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._hear)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "outcome" in message:
                self.outcomes.append(Outcome(**message["outcome"]))
            elif "counts" in message:
                self.counts, self.slowest = message["counts"], message["slowest"]
            elif "ready" in message:
                self.is_ready.set()
            else:
                self._ended = True
                self.said += message["broken"]
        self.is_ready.set()

    def _hear(self) -> None:
        assert self._process.stderr is not None
        self.said += [line.rstrip() for line in self._process.stderr]

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> list[str]:
        """Stop it. Returns what is wrong with how it ended."""
        self.say("stop")
        try:
            code = self._process.wait(PATIENCE + 30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(10)
        if code == 0 and self._ended:
            return []
        return [f"a reader of {self.face} ended with {code}: {'; '.join(self.said[-3:])}"]
