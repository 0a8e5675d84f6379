"""Fuzz one target in Python: `python -m fs_tests.fuzz.python TARGET [OPTIONS OF LIBFUZZER]`.

Or several, which costs what is imported and instrumented only once: `--together JOBS`, so many at
a time. A line of JSON on standard input tells of each: `words`, as above, and where its `log` is.
A line with its exit code follows when it is done.
"""

import json
import os
import sys

import atheris


def fuzz(words: list[str]) -> None:
    """Fuzz until the target is done or has found something, which ends the process."""
    atheris.Setup([sys.argv[0], *words[1:]], TARGETS[words[0]].run)
    atheris.Fuzz()


def begin(job: dict) -> int:
    """Fuzz in a child process. Returns its number."""
    child = os.fork()
    if child == 0:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        fuzz(job["words"])
    return child


def fuzz_together(jobs: int) -> None:
    waiting = [json.loads(line) for line in sys.stdin]
    names = {}
    while waiting or names:
        while waiting and len(names) < jobs:
            job = waiting.pop(0)
            names[begin(job)] = job["words"][0]
        child, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"name": names.pop(child), "code": code}), flush=True)


if __name__ == "__main__":
    with atheris.instrument_imports(include=["biofuse"]):
        from fs_tests.fuzz.targets import TARGETS
    if sys.argv[1] == "--together":
        fuzz_together(int(sys.argv[2]))
    else:
        fuzz(sys.argv[1:])
