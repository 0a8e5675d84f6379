"""What the engine takes of files, of a network and of the time of those who wait."""

import dataclasses
import os
import resource
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import reference
from support.stores import make_store, random_genotypes, zip_store
from support.views import open_fast_path, plan_view

from biofuse.encode.fast import FastPath
from biofuse.encode.tables import MappedTables
from biofuse.protocol import Request
from biofuse.stores import Location, open_store
from biofuse.table import Table

HEADER = len(reference.MAGIC)
MIB = 1 << 20


def view(folder, genotypes, *options, packed=False, **more):
    """A store's path, and its plan."""
    store = make_store(folder / "x.vcz", genotypes, **more)
    if packed:
        store = zip_store(store)
    return store, plan_view(store, folder / "plan", *options)


def read(fast, plan, record: int) -> bytes:
    """A record, by the engine, given what it wants."""
    size = plan.streamed[0].record_size
    for _ in range(10):
        found = fast.engine.read(0, HEADER + record * size, size)
        if isinstance(found, bytes):
            return found
        assert fast.give(found), (found.array, found.chunk_row)
    raise AssertionError("the engine wants the same things again and again")


def prepare(fast) -> int:
    """All that is read ahead. Returns in how many parts."""
    parts = 0
    while (found := fast.engine.prepare()) is not False:
        parts += 1
        if found is not True:
            fast.give(found)
    return parts


def files_below(folder) -> int:
    """Files that this process has open there."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return sum(name.startswith(f"{folder}/") for name in names)


class FarStore:
    """A store of which each read takes its time, and that keeps account."""

    far = True

    def __init__(self, path, seconds: float = 0):
        self._store = open_store(Location(str(path)))
        self._seconds = seconds
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0

    def get_many(self, ranges):
        with self._lock:
            self.asked.update(r.key for r in ranges)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        return self._store.get_many(ranges)

    def signature(self, keys):
        return None


def open_far(plan, folder, store) -> FastPath:
    tables = MappedTables.open(str(folder), plan.table_names())
    headers = [(folder / streamed.header).read_bytes() for streamed in plan.streamed]
    plan = dataclasses.replace(plan, signature=None)
    return FastPath(plan, tables.views, headers, store, 64 * MIB, 16, 2 * MIB, time.time_ns())


def test_members_of_a_zip_file_are_read_through_one_descriptor(tmp_path):
    genotypes = random_genotypes(300, 8, seed=1)
    _, plan = view(tmp_path, genotypes, packed=True, chunks=(4, 2))
    fast = open_fast_path(plan, tmp_path / "plan", 64 * MIB)
    expected = reference.bed(genotypes)[HEADER:]
    before = files_below(tmp_path)
    for record in range(299, -1, -7):
        assert read(fast, plan, record) == expected[2 * record : 2 * record + 2]
    assert files_below(tmp_path) == before
