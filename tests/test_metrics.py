"""`--metrics`: what Prometheus gets, and that no client can hurt the mount."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support import reference
from support.commands import finish, wait_mounted
from support.places import PLAIN, consolidated
from support.program import mounts_below, wait_until
from support.stores import copy_store, make_store, random_genotypes

import biofuse as package
from biofuse.address import Address, parse_address
from biofuse.errors import BiofuseError
from biofuse.serve import listen
from biofuse.serve.counters import Counters, caches_to_json, requests_to_json
from biofuse.serve.exposition import CACHE_COUNTERS, COUNTERS, STORE_COUNTERS, STORE_GAUGES, render
from biofuse.serve.http import MetricsEndpoint
from biofuse.serve.listen import Listener, open_listener
from biofuse.serve.loop import READ, Loop
from biofuse.table import Table

GENOTYPES = random_genotypes(90, 41, seed=2)
BED = reference.bed(GENOTYPES)
PAGE = "biofuse_samples 3\n"


@pytest.fixture
def store(made):
    return made("metrics", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 15)))


def parse(text: str) -> dict[tuple, float]:
    """Samples by name and labels, as Prometheus' own parser reads them."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("gauge", "counter")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def fetch(url: str) -> dict[tuple, float]:
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", where.path)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(answer.read().decode())


def test_metrics_are_what_status_tells(store, biofuse):
    with biofuse.mount(store, "--metrics", "0", "--memory", "32MiB") as mount:
        mount.bed.read_bytes()
        status = mount.status()
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*/metrics", status["metrics"])
        assert status["metrics"] in biofuse("status", mount.dir).stdout
        found = fetch(status["metrics"])
    labels = {"mountpoint": str(mount.dir), "store": str(store), "version": package.__version__}
    assert found["biofuse_info", *sorted(labels.items())] == 1
    assert found["biofuse_samples",] == 41
    assert found["biofuse_variants",] == 90
    assert found["biofuse_start_time_seconds",] == status["started"]
    assert found["biofuse_memory_budget_bytes",] == 32 << 20
    assert found["biofuse_reads_under_way",] == status["under_way"] == 0
    assert found["biofuse_plan_size_bytes",] == status["plan"]["size"]
    assert found["biofuse_file_size_bytes", ("file", "x.bed")] == len(BED)
    for role in ("serve", "encode"):
        anonymous, resident, proportional, peak = (
            found[f"biofuse_process_{kind}_memory_bytes", ("role", role)]
            for kind in ("anonymous", "resident", "proportional", "peak")
        )
        assert 0 < anonymous <= resident
        assert 0 < proportional <= resident
        assert peak > 0
    for key, (name, _) in COUNTERS.items():
        assert found[name,] == status["counters"][key], name
    for key, (name, _) in CACHE_COUNTERS.items():
        assert found[name,] == status["caches"][key], name
    for key, (name, _) in {**STORE_COUNTERS, **STORE_GAUGES}.items():
        # Of a local store nothing is asked in this way.
        assert found[name,] == status["requests"][key] == 0, name
    assert found["biofuse_cache_size_bytes",] == status["caches"]["size"] > 0
    assert found["biofuse_plane_cache_misses_total",] > 0
    assert found["biofuse_served_bytes_total",] >= len(BED)
    assert found["biofuse_read_errors_total",] == 0


@pytest.mark.parametrize("place", PLAIN)
def test_requests_to_a_store_at_some_distance(place, store, tmp_path, placer, biofuse):
    there = placer.put(place, consolidated(copy_store(store, tmp_path / "x.vcz")), delay=0.02)
    with there.mount(biofuse, "--metrics", "0", "--format", "plink") as mount:
        assert mount.bed.read_bytes() == BED

        def both():
            """Status and metrics, if nothing has changed in between."""
            status = mount.status()
            found = fetch(status["metrics"])
            same = mount.status()["requests"] == status["requests"]
            return (status, found) if same and not status["requests"]["under_way"] else None

        status, found = wait_until(both, "nothing is asked for any more")
    for key, (name, _) in {**STORE_COUNTERS, **STORE_GAUGES}.items():
        assert found[name,] == status["requests"][key], name
    # Fifteen objects of calls at least.
    assert found["biofuse_store_requests_total",] >= 15
    assert found["biofuse_store_received_bytes_total",] > 0
    assert found["biofuse_store_retries_total",] == 0
    assert 0.02 <= found["biofuse_store_delay_seconds",] < 10


def test_every_counter_is_a_metric():
    assert set(COUNTERS) == set(Counters().to_json(Table()))
    assert {"size", *CACHE_COUNTERS} == set(caches_to_json(Table()))
    assert {*STORE_COUNTERS, *STORE_GAUGES} == set(requests_to_json(Table()))
    # A total's unit comes before it.
    for key, (name, _) in COUNTERS.items():
        assert name.endswith("_bytes_total" if "bytes" in key else "_total")


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
@example(name='"', store='a\nb\\n"c\\')
def test_labels_of_any_text(name, store):
    status = {
        "mountpoint": "/m",
        "store": store,
        "started": 1.5,
        "num_samples": 3,
        "num_variants": 10**12,
        "budget": 1,
        "under_way": 2,
        "plan": {"size": 4},
        "files": {name: 5},
        "processes": [],
        "counters": Counters().to_json(Table()) | {"reads": 7},
        "caches": caches_to_json(Table()),
        "requests": requests_to_json(Table()),
    }
    text = render(status)
    found = parse(text)
    assert found["biofuse_file_size_bytes", ("file", name)] == 5
    assert found["biofuse_variants",] == 10**12
    assert found["biofuse_reads_total",] == 7
    [info] = [dict(key[1:]) for key in found if key[0] == "biofuse_info"]
    assert info["store"] == store


def test_a_unix_socket(store, biofuse):
    path = biofuse.home / "metrics.sock"
    with biofuse.mount(store, "--metrics", path) as mount:
        assert mount.status()["metrics"] == f"unix:{path}"
        assert path.stat().st_mode & 0o077 == 0
        command = ["curl", "-sS", "--fail", "--unix-socket", path, "http://localhost/metrics"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert parse(done.stdout)["biofuse_samples",] == 41
        # The next mount cannot have the same.
        said = biofuse.fails("mount", store, biofuse.new_directory(), "--metrics", path)
        assert said.startswith(f"cannot mount: cannot listen on unix:{path} (--metrics): Address")
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not path.exists()


@pytest.mark.parametrize("command", ["mount", "run", "mount-plink"])
def test_a_port_in_use(command, store, biofuse):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        more = ["--", "true"] if command == "run" else [biofuse.new_directory()]
        said = biofuse.fails(command, store, "--metrics", port, *more)
        assert said == (
            f"cannot mount: cannot listen on 127.0.0.1:{port} (--metrics): "
            "Address already in use; choose another port, or 0 for any that is free"
        )
    assert mounts_below(biofuse.home) == []


def test_metrics_of_run_and_of_the_commands_of_0_1_0(store, biofuse):
    script = 'biofuse status "$BIOFUSE_DIR" --json'
    done = biofuse("run", store, "--metrics", "0", "--", "sh", "-c", script)
    assert json.loads(done.stdout)["metrics"].startswith("http://127.0.0.1:")
    for command in ("mount-plink", "mount-bgen"):
        directory = biofuse.new_directory()
        process = biofuse.popen(command, store, directory, "--metrics", "localhost:0")
        wait_mounted(directory, process)
        url = json.loads(biofuse("status", directory, "--json").stdout)["metrics"]
        assert fetch(url.replace("localhost", "127.0.0.1"))["biofuse_samples",] == 41
        biofuse("umount", directory)
        finish(process, 0)


def test_without_the_option_nothing_listens(store, biofuse):
    with biofuse.mount(store) as mount:
        assert mount.status()["metrics"] is None
        links = {os.readlink(f.path) for f in os.scandir(f"/proc/{mount.pid('serve')}/fd")}
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        with open(f"/proc/{mount.pid('serve')}/net/tcp") as f:
            assert inodes.isdisjoint(line.split()[9] for line in f)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9090", Address("127.0.0.1", 9090)),
        ("0", Address("127.0.0.1", 0)),
        ("0.0.0.0:9090", Address("0.0.0.0", 9090)),
        ("node7:80", Address("node7", 80)),
        ("[::1]:9090", Address("::1", 9090)),
        ("/run/x", Address(None, None, "/run/x")),
        ("m.sock", Address(None, None, f"{os.getcwd()}/m.sock")),
        ("./9090", Address(None, None, f"{os.getcwd()}/9090")),
        ("unix:m", Address(None, None, f"{os.getcwd()}/m")),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "x", "65536", "-1", "²", ":9", "::1", "::1:9", "a:", "a:b"])
def test_what_is_no_address(text, store, biofuse):
    with pytest.raises(BiofuseError) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)
    assert "PORT" in str(caught.value)


def test_bad_addresses_are_said_before_anything_is_done(store, biofuse, tmp_path):
    directory = biofuse.new_directory()
    said = biofuse.fails("mount", store, directory, "--metrics", "http", code=2)
    assert "--metrics" in said
    assert "'http' is not a PORT" in said
    said = biofuse.fails("mount", store, directory, "--metrics", f"/{'x' * 120}", code=2)
    assert "too long" in said
    said = biofuse.fails("mount", store, directory, "--metrics", tmp_path / "no" / "x.sock")
    assert "No such file or directory" in said


def test_what_is_at_the_path_of_a_socket(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    address = parse_address(str(path))
    with pytest.raises(BiofuseError, match="Address already in use"):
        open_listener(address)
    assert path.read_text() == "precious"
    path.unlink()
    # One that a killed process has left is replaced.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    endpoint = MetricsEndpoint(address)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    endpoint.close()
    assert not path.exists()


def exchange(port: int, *requests: bytes, end: bool = True) -> list[bytes]:
    """Answers to requests, all of them connected before the first is sent."""
    answers = []
    clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in requests]
    for client, request in zip(clients, requests, strict=True):
        with client:
            client.sendall(request)
            if end:
                # It may have answered and gone.
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
            answers.append(b"".join(iter(lambda c=client: c.recv(65536), b"")))
    return answers


def with_endpoint(talk, page=lambda: PAGE):
    """Run `talk(port)` in a thread, with an endpoint to talk to."""
    loop = Loop()
    endpoint = MetricsEndpoint(Address("127.0.0.1", 0))
    try:
        endpoint.serve(loop, page)
        return run_beside(loop, lambda: talk(endpoint.address.port))
    finally:
        endpoint.close()


def run_beside(loop, talk):
    """Run a loop until what is run in a thread has ended; returns its value."""
    reader, writer = os.pipe()
    with ThreadPoolExecutor(1) as pool, open(reader, "rb"):
        loop.watch(reader, loop.stop)
        future = pool.submit(talk)
        future.add_done_callback(lambda _: os.close(writer))
        loop.run()
        return future.result()


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode()


REQUESTS = {
    "get": (request("GET /metrics HTTP/1.1", "Host: x"), 200),
    "old": (request("GET /metrics HTTP/1.0"), 200),
    "query": (request("GET /metrics?a=b HTTP/1.1", "Host: x"), 200),
    "head": (request("HEAD /metrics HTTP/1.1", "Host: x"), 200),
    "root": (request("GET / HTTP/1.1"), 404),
    "below": (request("GET /metrics/x HTTP/1.1"), 404),
    "post": (request("POST /metrics HTTP/1.1", "Content-Length: 100000") + b"x" * 100_000, 405),
    "delete": (request("DELETE /metrics HTTP/1.1"), 405),
    "nothing": (b"", 400),
    "half": (b"GET /metrics HTTP/1.1\r\nHost:", 400),
    "no-version": (request("GET /metrics"), 400),
    "other-version": (request("GET /metrics HTTP/2"), 400),
    "words": (request("what is this HTTP/1.1"), 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
    "line-feeds": (b"\n" * 100, 400),
    "long-line": (request(f"GET /metrics?{'x' * 20_000} HTTP/1.1"), 400),
    "long-headers": (request("GET /metrics HTTP/1.1", *(["a: b"] * 20_000)), 400),
}


def test_requests_of_all_kinds():
    answers = with_endpoint(lambda port: [exchange(port, r)[0] for r, _ in REQUESTS.values()])
    for (name, (_, code)), answer in zip(REQUESTS.items(), answers, strict=True):
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert re.fullmatch(rf"HTTP/1\.1 {code} [A-Z][A-Za-z ]+", lines[0]), name
        headers = dict(line.split(": ") for line in lines[1:])
        assert headers["Connection"] == "close"
        if name == "head":
            assert (int(headers["Content-Length"]), body) == (len(PAGE), b"")
        else:
            assert int(headers["Content-Length"]) == len(body)
        if code == 200 and name != "head":
            assert body.decode() == PAGE
        assert ("Allow" in headers) == (code == 405)


def test_slow_clients_do_not_keep_others_waiting():
    good = REQUESTS["get"][0]

    def talk(port):
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        for client in idle[:5]:
            client.sendall(good[:9])
        [answer] = exchange(port, good, end=False)
        # A request may come in pieces.
        idle[0].sendall(good[9:])
        late = idle[0].recv(100)
        for client in idle:
            client.close()
        return answer, late

    for answer in with_endpoint(talk):
        assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_says_nothing_is_let_go():
    def wait_for_bytes(connection):
        yield READ
        raise AssertionError("nothing was sent")

    loop = Loop()
    listener = open_listener(Address("127.0.0.1", 0))
    Listener(loop, listener, wait_for_bytes, 0.05)

    def talk():
        # More than are attended to at a time.
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                clients = [
                    stack.enter_context(socket.create_connection(listener.getsockname(), 30))
                    for _ in range(listen._MAX_CONNECTIONS)
                ]
                for client in clients:
                    assert client.recv(1) == b""
        return True

    with listener:
        assert run_beside(loop, talk)


def test_a_page_that_cannot_be_made_ends_its_connection_only(caplog):
    pages = iter([ValueError("oh"), PAGE])

    def page():
        value = next(pages)
        if isinstance(value, Exception):
            raise value
        return value

    good = REQUESTS["get"][0]
    first, second = with_endpoint(lambda port: exchange(port, good) + exchange(port, good), page)
    assert first == b""
    assert second.endswith(PAGE.encode())
    assert "could not be answered" in caplog.text


def test_names_that_are_not_utf8():
    page = os.fsdecode(b"x\xff") + "\n"
    [answer] = with_endpoint(lambda port: exchange(port, REQUESTS["get"][0]), lambda: page)
    assert answer.endswith(b"\r\n\r\nx\\udcff\n")


def test_clients_that_go_away_leave_the_mount_as_it_was(store, biofuse):
    with biofuse.mount(store, "--metrics", "0") as mount:
        url = mount.status()["metrics"]
        port = urllib.parse.urlsplit(url).port
        for data in (b"", b"GET ", REQUESTS["get"][0], REQUESTS["post"][0]):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(data)
            # With a reset, not an end.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        assert fetch(url)["biofuse_samples",] == 41
        assert mount.bed.read_bytes() == BED
