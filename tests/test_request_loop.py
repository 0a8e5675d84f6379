"""The thread of requests ends with the process, and nothing of it after that."""

import subprocess
import sys

import pytest
from support.places import consolidated
from support.stores import make_store, random_genotypes

_ENDS = """
import asyncio, atexit, threading, time
from biofuse.stores.loop import answer, event_loop

asked = []
atexit.register(lambda: print(asked))

async def slow():
    def begin():
        future = loop.create_future()
        asked.append("begun")
        def end():
            time.sleep(0.3)
            asked.append("answered")
            loop.call_soon_threadsafe(future.set_result, None)
        threading.Thread(target=end, daemon=True).start()
        return future
    for _ in range(3):
        await answer(begin)

loop = event_loop().loop
event_loop().submit(slow())
while not asked:
    time.sleep(0.01)
"""

_OPENS = """
import sys, biofuse
with biofuse.open(sys.argv[1], formats=["plink"]) as files, files.open("x.bed") as bed:
    assert bed.read(3) == bytes([0x6C, 0x1B, 1])
"""


def test_what_is_under_way_is_waited_for():
    """And nothing is asked any more."""
    result = subprocess.run(
        [sys.executable, "-c", _ENDS], capture_output=True, text=True, timeout=30
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['begun', 'answered']\n"


@pytest.mark.parametrize(
    ("kind", "delay"),
    [("s3", 0), ("s3", 0.02), ("s3", 0.1), ("icechunk", 0), ("s3-icechunk", 0.02)],
)
def test_a_program_that_ends_while_objects_are_fetched(kind, delay, tmp_path, placer, biofuse):
    genotypes = random_genotypes(400, 200, seed=5)
    store = consolidated(
        make_store(tmp_path / "x.vcz", genotypes, chunks=(20, 100), encoding="v3-blosc-zstd-bit")
    )
    there = placer.put(kind, store, delay=delay)
    for _ in range(4):
        result = subprocess.run(
            [sys.executable, "-c", _OPENS, there.url],
            capture_output=True,
            text=True,
            timeout=60,
            env=biofuse.env | there.env,
        )
        assert (result.returncode, result.stderr) == (0, "")
