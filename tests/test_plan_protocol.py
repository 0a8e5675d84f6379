"""What the process that makes a plan prints is no part of what it says."""

from pathlib import Path

import pytest
from support import reference
from support.stores import make_store, random_genotypes

GENOTYPES = random_genotypes(60, 23, seed=11)
BED = reference.bed(GENOTYPES)
# In every process of the program, from its first moment to its last, by Python and past it.
RUBBISH = """
import atexit, os, sys, threading, time
if "biofuse.plan" in sys.orig_argv:
    def say(text="rubbish\\n{}\\n{\\"done\\": true}\\n{\\"error\\": \\"rubbish\\"}\\n"):
        for number in (1, 2):
            os.write(number, text.encode())
        print(text, flush=True)
    def go_on():
        while True:
            say()
            time.sleep(0.01)
    say()
    atexit.register(say)
    threading.Thread(target=go_on, daemon=True).start()
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("store") / "x.vcz", GENOTYPES, chunks=(20, 9))


def with_module(biofuse, text: str) -> dict[str, str]:
    """Variables with which Python runs this at its start."""
    folder = biofuse.home / "modules"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


def test_rubbish(store, biofuse):
    env = with_module(biofuse, RUBBISH)
    directory = biofuse.new_directory()
    said = biofuse("mount", store, directory, env=env)
    assert "rubbish" not in said.stdout + said.stderr
    assert (directory / "x.bed").read_bytes() == BED
    biofuse("umount", directory)
    wrong = biofuse.fails("mount", store, directory, "-r", "nowhere", "--no-cache", env=env)
    assert "nowhere" in wrong
    assert "rubbish" not in wrong


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("os.write(2, b'why\\n it is so \\n\\n'); os._exit(3)", ": it is so"),
        ("os._exit(3)", ""),
        ("os.kill(os.getpid(), 9)", " (signal 9; out of memory?)"),
    ],
)
def test_an_end_without_a_word(end, told, store, biofuse):
    text = f"""
import os, sys
class Ends:
    def find_spec(self, name, *_):
        if name == "biofuse.plan.build" and "biofuse.plan" in sys.orig_argv:
            {end}
sys.meta_path.insert(0, Ends())
"""
    directory = biofuse.new_directory()
    env = with_module(biofuse, text)
    line = biofuse.fails("mount", store, directory, "--no-cache", env=env)
    assert line.endswith(f"the process that makes the plan ended unexpectedly{told}")
