"""The worker's allocator, its arenas, and when it gives memory back."""

import ctypes.util
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from support.program import wait_until
from support.stores import vcf_store
from support.vcf import random_vcf

from biofuse import allocators, native
from biofuse.encode.ranges import Use
from biofuse.encode.worker import Worker
from biofuse.errors import BiofuseError
from biofuse.protocol import Request
from biofuse.table import ANSWERED, Table


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return vcf_store(random_vcf(40, 60, seed=3), tmp_path_factory.mktemp("s"))[1]


def environment(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


@pytest.mark.parametrize("name", [name for name in allocators.NAMES if name != "system"])
def test_the_worker_alone_has_the_allocator(name, store, biofuse):
    with biofuse.mount(store, "--allocator", name) as mount:
        mount.bed.read_bytes()
        worker, serve = mount.pid("encode"), mount.pid("serve")
        assert f"lib{name}" in Path(f"/proc/{worker}/maps").read_text()
        assert f"lib{name}" not in Path(f"/proc/{serve}/maps").read_text()
        assert "LD_PRELOAD" not in environment(serve)


def test_one_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(BiofuseError, match=r"libjemalloc is not installed; .*libjemalloc2"):
        allocators.find_allocator("jemalloc")


def test_the_system_s_own():
    assert allocators.find_allocator("system") is None


@pytest.mark.parametrize(("users", "workers"), [(None, "2"), ("7", "7")])
def test_arenas_are_capped_in_the_worker_alone(users, workers, store, biofuse, monkeypatch):
    biofuse.env.pop("MALLOC_ARENA_MAX", None)
    if users is not None:
        biofuse.env["MALLOC_ARENA_MAX"] = users
    with biofuse.mount(store) as mount:
        mount.bed.read_bytes()
        assert environment(mount.pid("encode"))["MALLOC_ARENA_MAX"] == workers
        assert environment(mount.pid("serve")).get("MALLOC_ARENA_MAX") == users


def test_what_the_user_preloads_stays(store, biofuse):
    theirs = allocators.find_allocator("mimalloc")
    ours = allocators.find_allocator("jemalloc")
    biofuse.env["LD_PRELOAD"] = theirs
    with biofuse.mount(store, "--allocator", "jemalloc") as mount:
        mount.bed.read_bytes()
        worker, serve = mount.pid("encode"), mount.pid("serve")
        assert environment(worker)["LD_PRELOAD"] == f"{ours}:{theirs}"
        maps = Path(f"/proc/{worker}/maps").read_text()
        assert "libjemalloc" in maps
        assert "libmimalloc" in maps
        assert environment(serve)["LD_PRELOAD"] == theirs


HEAP_PROGRAM = """
#include <features.h>
#ifdef OTHER_LIBC
#undef __GLIBC__
#define malloc_trim no_such_function
#define mallopt no_such_function
#endif
#include "heap.h"
int main(void)
{
    bf_trim_heap();
    bf_give_back_blocks_of(1 << 20);
    bf_keep_freed_memory(1 << 20);
#ifdef M_MMAP_THRESHOLD
    return 2;
#endif
    return 0;
}
"""


@pytest.mark.parametrize(("flags", "code"), [([], 2), (["-DOTHER_LIBC"], 0)])
def test_another_c_library_has_nothing_to_trim(flags, code, tmp_path):
    source = tmp_path / "heap.c"
    source.write_text(HEAP_PROGRAM)
    headers = Path(__file__).parent.parent / "src" / "biofuse" / "native"
    words = ["cc", "-Wall", "-Wextra", "-Werror", *flags, f"-I{headers}", str(source)]
    subprocess.run([*words, "-o", str(tmp_path / "heap")], check=True)
    assert subprocess.run([tmp_path / "heap"], check=False).returncode == code


def no_fast_path():
    raise BiofuseError("nothing is on the fast path")


class _Answers:
    """Answers when it is told to."""

    use = Use()

    def __init__(self):
        self.go = threading.Semaphore(0)

    def answer(self, file, offset, size):
        self.go.acquire()
        return [bytes(size)]


@pytest.mark.parametrize("trim", [True, False])
def test_the_heap_is_trimmed_after_opening_and_when_nothing_is_left_to_do(trim, monkeypatch):
    trims = []
    monkeypatch.setattr(native, "trim_heap", lambda: trims.append(None))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel, session = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    answers, table = _Answers(), Table()
    words = theirs, session.fileno(), table, no_fast_path, lambda: answers, lambda: None, trim
    worker = Worker(*words)
    thread = threading.Thread(target=worker.run, args=(2,))
    thread.start()
    try:
        for number in (1, 2):
            table.ask(number, 1, number, 0, 8, 0, 0, 1)
            ours.send(Request(number, 0, number, 0, 8).pack())
        answers.go.release()
        assert len(kernel.recv(100)) == 24
        # One request is under way: there is just the trim after opening.
        thread.join(0.5)
        assert len(trims) == trim
        answers.go.release()
        assert len(kernel.recv(100)) == 24
        if trim:
            wait_until(lambda: len(trims) == 2, "the heap is trimmed")
        thread.join(0.5)
        assert len(trims) == 2 * trim
        assert [table.state(number) for number in (1, 2)] == [ANSWERED] * 2
    finally:
        ours.close()
        thread.join(5)
        kernel.close()
        session.close()
    assert not thread.is_alive()
