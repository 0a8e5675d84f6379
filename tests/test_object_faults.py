"""Servers that fail: right bytes, or EIO with the cause in the log, and never a hang."""

import errno
import threading

import pytest
from support import reference
from support.damage import read_everywhere
from support.places import PLAIN, consolidated
from support.program import wait_until
from support.stores import make_store, random_genotypes

# Six rows of four chunks; 575 bytes a record.
GENOTYPES = random_genotypes(120, 2300, seed=21)
BED = reference.bed(GENOTYPES)
CHUNKS = "*/call_genotype/[0-9c]*"
DEATH = "the encoder process ended unexpectedly"

# What passes, by name: a fault and what it is told. Each is what happens to the third request
# for chunks and some that follow.
PASSING = {
    "503": ("answer", {"status": 503, "times": 3}),
    "500": ("answer", {"status": 500, "times": 2}),
    "429": ("answer", {"status": 429, "headers": {"Retry-After": "1"}, "times": 2}),
    "expired": ("answer", {"status": 400, "code": "ExpiredToken"}),
    "403": ("answer", {"status": 403, "code": "ExpiredToken"}),
    "401": ("answer", {"status": 401}),
    "reset": ("reset", {"times": 3}),
    "reset-in-the-body": ("reset", {"after": 100, "times": 2}),
    "truncated": ("truncate", {"times": 2}),
    "empty": ("truncate", {"after": 0, "times": 2}),
    "slow": ("stall", {"seconds": 1.0, "times": 3}),
    "slow-in-the-body": ("stall", {"seconds": 1.0, "after": 100, "times": 2}),
    "whole": ("whole", {"times": None}),
}
QUICK = ("503", "reset-in-the-body", "truncated")
EACH = [
    pytest.param(name, place, marks=[] if name in QUICK else pytest.mark.slow)
    for name in PASSING
    for place in PLAIN
]
# What stays, and words of which one is in the log.
LASTING = {
    "503": ("answer", {"status": 503}, ["503", "SlowDown"]),
    "500": ("answer", {"status": 500}, ["500", "InternalError"]),
    "429": ("answer", {"status": 429}, ["429", "TooManyRequests"]),
    "403": ("answer", {"status": 403}, ["403", "AccessDenied", "denied", "not allowed"]),
    "reset": ("reset", {}, ["reset", "closed", "connection"]),
    "truncated": ("truncate", {}, ["truncated", "incomplete", "closed", "body", "too few", "end"]),
    "stalled": ("stall", {"seconds": 1000}, ["no answer", "timed out", "not answer"]),
    "stalled-in-the-body": (
        "stall",
        {"seconds": 1000, "after": 100},
        ["no answer", "timed out", "did not answer"],
    ),
}


@pytest.fixture
def store(made):
    def make(folder):
        return consolidated(make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 600)))

    return made("faulty", make)


@pytest.mark.parametrize(("name", "place"), EACH)
def test_what_passes_is_not_seen(name, place, store, placer, biofuse):
    kind, more = PASSING[name]
    there = placer.put(place, store)
    with there.mount(biofuse) as mount:
        fault = there.proxy.fault(kind, CHUNKS, skip=2, **more)
        assert mount.bed.read_bytes() == BED
        assert fault.happened
        assert mount.status()["counters"]["errors"] == 0
        assert mount.status()["counters"]["worker_deaths"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_while_it_is_mounted(name, store, placer, biofuse):
    kind, more = PASSING[name]
    there = placer.put("s3", store)
    fault = there.proxy.fault(kind, skip=1, **more)
    with there.mount(biofuse) as mount:
        there.proxy.clear()
        assert mount.bed.read_bytes() == BED
    assert fault.happened


@pytest.mark.slow
@pytest.mark.parametrize("place", ["s3-zip", "http-zip", "s3-icechunk"])
@pytest.mark.parametrize("name", ["503", "reset-in-the-body", "truncated", "whole"])
def test_what_passes_elsewhere(name, place, made, placer, biofuse):
    kind, more = PASSING[name]

    def make(folder):
        path = folder / "x.vcz"
        return make_store(path, GENOTYPES, chunks=(20, 600), encoding="v3-blosc-zstd-bit")

    there = placer.put(place, made("faulty-3", make))
    with there.mount(biofuse) as mount:
        fault = there.proxy.fault(kind, skip=2, **more)
        assert mount.bed.read_bytes() == BED
        assert fault.happened


@pytest.mark.parametrize("place", PLAIN)
def test_a_server_that_restarts(place, store, placer, biofuse):
    there = placer.put(place, store, delay=0.2)
    found = []
    with there.mount(biofuse, "--idle-timeout", "0.5") as mount:
        there.proxy.clear()
        reader = threading.Thread(target=lambda: found.append(mount.bed.read_bytes()))
        reader.start()
        wait_until(lambda: len(there.proxy.traffic), "chunks are asked for")
        there.proxy.down(1.5)
        reader.join(60)
        assert found == [BED]
        # And before a worker begins.
        wait_until(lambda: mount.pid("encode") is None, "the worker has ended")
        there.proxy.down(1)
        assert read_everywhere(mount.bed, BED, 5000) == {}
        assert mount.status()["counters"]["worker_deaths"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_an_error_that_tells_the_cause(name, place, store, placer, biofuse):
    kind, more, words = LASTING[name]
    there = placer.put(place, store)
    with there.mount(biofuse, "--timeout", "4") as mount:
        mount.expect_log("cannot read x.bed")
        if kind == "stall":
            # Who has to be given up may be in the middle of it.
            mount.expect_log(DEATH)
        there.proxy.fault(kind, CHUNKS, times=None, **more)
        with pytest.raises(OSError) as caught:
            mount.bed.read_bytes()
        assert caught.value.errno == errno.EIO
        log = mount.log_text()
        assert any(word.lower() in log.lower() for word in words), log
        if kind != "stall":
            assert mount.status()["counters"]["worker_deaths"] == 0
        # What is over is over.
        there.proxy.clear()
        assert wait_until(lambda: _reads(mount), "it is read again")


def _reads(mount) -> bool:
    try:
        return mount.bed.read_bytes() == BED
    except OSError:
        return False


@pytest.mark.slow
def test_a_server_that_stays_away(store, placer, biofuse):
    there = placer.put("s3", store)
    with there.mount(biofuse, "--timeout", "4") as mount:
        mount.expect_log("cannot read x.bed")
        there.proxy.down()
        with pytest.raises(OSError) as caught:
            mount.bed.read_bytes()
        assert caught.value.errno == errno.EIO
        log = mount.log_text().lower()
        assert any(word in log for word in ("refused", "connect")), log
        assert mount.status()["counters"]["worker_deaths"] == 0
        there.proxy.up()
        assert wait_until(lambda: _reads(mount), "it is read again")


@pytest.mark.parametrize("place", ["s3", pytest.param("http", marks=pytest.mark.slow)])
def test_one_bad_object_fails_what_it_holds_and_nothing_else(place, store, placer, biofuse):
    there = placer.put(place, store)
    row, step = 20 * 575, 8 * 575
    with there.mount(biofuse, "--timeout", "4") as mount:
        mount.expect_log("cannot read x.bed")
        there.proxy.fault("answer", there.path("call_genotype/2.1.0"), status=500, times=None)
        errors = read_everywhere(mount.bed, BED, step)
        assert set(errors.values()) == {errno.EIO}
        inside = [o for o in range(0, len(BED), step) if 3 + 2 * row <= o < 3 + 3 * row - 100]
        assert inside
        assert set(inside) <= set(errors)
        # But for pages that hold some of it.
        near = range(2 * row - 8192, 3 * row + 8192)
        assert [offset for offset in errors if offset not in near] == []
        assert "call_genotype/2.1.0" in mount.log_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["503", "403", "reset", "stalled"])
def test_a_mount_of_a_server_that_fails(name, store, placer, biofuse):
    """One line, which tells the cause, within the deadline."""
    kind, more, words = LASTING[name]
    there = placer.put("s3", store)
    there.proxy.fault(kind, times=None, **more)
    biofuse.env.update(there.env)
    line = biofuse.fails("mount", there.url, biofuse.new_directory(), "--timeout", "5")
    assert any(word.lower() in line.lower() for word in words), line


@pytest.mark.slow
def test_a_mount_of_a_server_that_is_not_there(store, placer, biofuse):
    there = placer.put("s3", store)
    there.proxy.down()
    biofuse.env.update(there.env)
    line = biofuse.fails("mount", there.url, biofuse.new_directory(), "--timeout", "5")
    assert "127.0.0.1" in line or "connect" in line.lower(), line


@pytest.mark.parametrize("place", PLAIN)
@pytest.mark.parametrize("after", [None, 100])
def test_a_request_that_stalls_is_doubled(after, place, store, placer, biofuse):
    there = placer.put(place, store)
    slow = there.path("call_genotype/3.2.0")
    with there.mount(biofuse, "--timeout", "60") as mount:
        there.proxy.clear()
        # Longer than any deadline: who waits for it gets nothing.
        fault = there.proxy.fault("stall", slow, seconds=1000, after=after)
        assert mount.bed.read_bytes() == BED
        assert fault.happened == 1
        assert there.proxy.traffic.paths()[slow] == 2
        assert mount.status()["counters"]["worker_deaths"] == 0


@pytest.mark.slow
def test_a_listing_that_is_refused(store, placer, biofuse):
    """As for who may read objects and not list them."""
    there = placer.put("s3", store)
    there.proxy.fault("answer", f"/{there.base.split('/')[1]}", status=403, times=None)
    with there.mount(biofuse) as mount:
        assert mount.bed.read_bytes() == BED
    assert all(request.status == 403 for request in there.proxy.traffic if request.is_list)
