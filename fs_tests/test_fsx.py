"""Random operations from several processes at once, against copies of the files."""

import subprocess
import time

from fs_tests.readers import COMMAND, readers

PROCESSES = 4
# Openings a second of all of them together, which are many more where nothing else is done.
LEAST = 1000


def test_random_operations(mount, copies, seed, is_long, tell):
    seconds = 30 if is_long else 1
    began = time.monotonic()
    with readers(mount.dir, copies, range(seed, seed + PROCESSES), seconds) as counts:
        pass
    took = time.monotonic() - began
    kinds = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    tell(f"fsx: {counts.total():,} operations of {PROCESSES} processes in {took:.0f} s: {kinds}")
    # None of them was left out.
    assert len(counts) == 13


def test_opening_all_the_time(mount, copies, seed, is_long, tell):
    """Each read by a handle of its own; a thousand a second at least, if for long."""
    seconds = 8 if is_long else 0.5
    with readers(mount.dir, copies, range(seed, seed + PROCESSES), seconds, ["opened"]) as counts:
        pass
    assert counts["opened"] > (LEAST * seconds if is_long else 0)
    tell(f"fsx: {counts['opened']:,} times opened, read and closed in {seconds} s")


def test_a_wrong_byte_is_found(mount, copies, seed, tmp_path):
    """So is one that is another in the copy of a file."""
    for name in ("x.fam", "x.bed"):
        data = bytearray((copies / name).read_bytes())
        data[len(data) // 3] ^= 1
        (tmp_path / name).write_bytes(data)
        command = [*COMMAND, mount.dir, tmp_path, "--names", name, "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert f"{name}: " in done.stderr
        assert "gave other bytes" in done.stderr
