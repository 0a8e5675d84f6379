"""The proxy that far and faulty servers are made of: each fault is really there."""

import http.client
import itertools
import json
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import obstore
import pytest
from obstore.store import HTTPStore
from support.program import wait_until
from support.proxy import Proxy
from support.servers import http_server
from support.traffic import Request, Traffic

DATA = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("n")
    root = home / "root"
    (root / "a folder").mkdir(parents=True)
    (root / "a folder/x").write_bytes(DATA)
    (root / "y").write_bytes(DATA[:1000])
    with http_server(root, home / "nginx") as server:
        yield server


@pytest.fixture
def proxy(server):
    with Proxy(server.address) as proxy:
        yield proxy


def fetch(proxy, path="/y", method="GET", timeout=20, **headers):
    """Status, headers and body of one request, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_what_is_passed_on_is_what_the_server_says(proxy, server):
    status, headers, body = fetch(proxy, "/a%20folder/x")
    with urllib.request.urlopen(f"{server.url}/a%20folder/x") as answer:
        assert (status, body) == (200, DATA) == (answer.status, answer.read())
        assert headers["ETag"] == answer.headers["ETag"]
    status, headers, body = fetch(proxy, "/y", Range="bytes=10-19")
    assert (status, body, headers["Content-Range"]) == (206, DATA[10:20], "bytes 10-19/1000")
    status, headers, body = fetch(proxy, "/y", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "1000")
    assert fetch(proxy, "/none")[0] == 404
    assert fetch(proxy, "/y", If_Match='"none"')[0] == 412
    found = [(r.method, r.path, r.range, r.status) for r in proxy.traffic]
    assert found == [
        ("GET", "/a folder/x", None, 200),
        ("GET", "/y", "bytes=10-19", 206),
        ("HEAD", "/y", None, 200),
        ("GET", "/none", None, 404),
        ("GET", "/y", None, 412),
    ]
    sizes = [request.size for request in proxy.traffic]
    assert sizes[:3] == [len(DATA), 10, 0]
    assert proxy.traffic.of("/y", "GET", 206).sizes() == 10
    assert proxy.traffic.paths()["/y"] == 3


def test_connections_are_kept(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/y")
        assert connection.getresponse().read() == DATA[:1000]
        assert connection.sock is first
    connection.close()


def test_delay_and_many_at_once(proxy):
    proxy.delay = 0.2
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: fetch(proxy), range(40)))
    for _ in range(2):
        fetch(proxy)
    assert all(request.ended - request.begun >= 0.2 for request in proxy.traffic)
    assert proxy.traffic.most_at_once() > 20
    assert 3 <= proxy.traffic.rounds() <= 5


def test_bandwidth_is_shared(proxy):
    proxy.bandwidth = 4 * len(DATA)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: fetch(proxy, "/a%20folder/x"), range(2)))
    assert time.monotonic() - begun >= 0.45


@pytest.mark.parametrize(
    ("intervals", "rounds", "most"),
    [
        ([], 0, 0),
        ([(0, 1)], 1, 1),
        ([(0, 1), (0.5, 2), (0.9, 3)], 1, 3),
        ([(0, 1), (1, 2), (2, 3)], 3, 1),
        # The third one waited for the short one only.
        ([(0, 10), (0, 1), (2, 3), (4, 5)], 3, 2),
        ([(0, 1), (0, 5), (2, 3), (6, 7)], 3, 2),
        # One that has not ended.
        ([(0, 1), (2, 0)], 2, 1),
    ],
)
def test_rounds_and_most_at_once(intervals, rounds, most):
    for order in itertools.islice(itertools.permutations(intervals), 24):
        traffic = Traffic(Request(begun, "GET", "/", ended=ended) for begun, ended in order)
        assert (traffic.rounds(), traffic.most_at_once()) == (rounds, most)


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (503, {}, "SlowDown"),
        (500, {}, "InternalError"),
        (429, {"Retry-After": "1"}, "TooManyRequests"),
        (401, {}, "Unauthorized"),
        (403, {}, "AccessDenied"),
        (400, {}, "ExpiredToken"),
    ],
)
def test_errors_that_are_answered(proxy, status, headers, code):
    proxy.fault("answer", "/y", status=status, headers=headers, skip=1, times=2)
    assert [fetch(proxy)[0] for _ in range(4)] == [200, status, status, 200]
    proxy.fault("answer", status=status, code=code, headers=headers)
    found, told, body = fetch(proxy)
    assert found == status
    assert f"<Code>{code}</Code>".encode() in body
    assert all(told[name] == value for name, value in headers.items())
    assert [request.fault for request in proxy.traffic].count(str(status)) == 3


def test_only_what_a_rule_is_about(proxy):
    proxy.fault("answer", "/a*", times=None)
    proxy.fault("answer", method="HEAD", status=500)
    assert fetch(proxy, "/y")[0] == 200
    assert fetch(proxy, "/a%20folder/x")[0] == 503
    assert [fetch(proxy, "/y", "HEAD")[0] for _ in range(2)] == [500, 200]
    assert fetch(proxy, "/a%20folder/x")[0] == 503
    proxy.clear()
    assert fetch(proxy, "/a%20folder/x")[0] == 200
    assert len(proxy.traffic) == 1


def test_reset_before_the_answer(proxy):
    proxy.fault("reset")
    with pytest.raises(ConnectionResetError):
        fetch(proxy)
    assert fetch(proxy)[0] == 200
    assert [request.status for request in proxy.traffic] == [None, 200]


def test_reset_within_the_body(proxy):
    proxy.fault("reset", after=1000)
    with pytest.raises(ConnectionResetError):
        fetch(proxy, "/a%20folder/x")
    assert proxy.traffic.sizes() == 1000


def test_truncated(proxy):
    proxy.fault("truncate")
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(proxy)
    assert caught.value.partial == DATA[:500]
    assert caught.value.expected == 500
    proxy.fault("truncate", after=0)
    with pytest.raises(http.client.IncompleteRead):
        fetch(proxy)


@pytest.mark.parametrize("after", [None, 700])
def test_stalls(proxy, after):
    proxy.fault("stall", seconds=0.3, after=after)
    begun = time.monotonic()
    assert fetch(proxy)[2] == DATA[:1000]
    assert time.monotonic() - begun >= 0.3
    proxy.fault("stall", seconds=1000, after=after)
    with pytest.raises(TimeoutError):
        fetch(proxy, timeout=0.2)
    # Nobody waits for one that has gone.
    wait_until(lambda: all(r.ended for r in proxy.traffic), "both requests have ended")


def test_a_whole_body_for_a_range(proxy):
    proxy.fault("whole")
    assert fetch(proxy, Range="bytes=10-19")[::2] == (200, DATA[:1000])
    assert fetch(proxy, Range="bytes=10-19")[::2] == (206, DATA[10:20])


def test_a_server_that_is_gone_for_a_while(proxy):
    kept = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    kept.request("GET", "/y")
    kept.getresponse().read()
    proxy.down()
    with pytest.raises(ConnectionRefusedError):
        fetch(proxy)
    kept.auto_open = 0
    with pytest.raises(OSError):
        kept.request("GET", "/y")
        kept.getresponse()
    proxy.up()
    assert fetch(proxy)[0] == 200
    proxy.down(0.3)
    with pytest.raises(ConnectionRefusedError):
        fetch(proxy)

    def is_back():
        try:
            return fetch(proxy)[0] == 200
        except ConnectionRefusedError:
            return False

    wait_until(is_back, "the server is back")


def test_another_etag_from_some_request_on(proxy):
    old = fetch(proxy)[1]["ETag"]
    fault = proxy.fault("changed", "/y", skip=1, times=None)
    assert fetch(proxy, If_Match=old)[0] == 200
    assert fetch(proxy, If_Match=old)[0] == 412
    status, headers, _ = fetch(proxy)
    assert (status, headers["ETag"]) == (200, fault.etag)
    assert fetch(proxy, If_Match=fault.etag)[0] == 200
    assert fetch(proxy, If_Match=fault.etag, Range="bytes=0-9")[::2] == (206, DATA[:10])


def test_something_done_before_a_request(proxy, server):
    new = server.root / "z"
    proxy.fault("call", "/z", skip=1, call=lambda: new.write_bytes(b"new"))
    assert fetch(proxy, "/z")[0] == 404
    assert fetch(proxy, "/z")[::2] == (200, b"new")


def test_nginx_tells_a_replaced_object_from_the_old_one(server):
    path = server.root / "w"
    seen = set()
    for second, data in enumerate((b"one", b"two", b"three")):
        path.write_bytes(data)
        os.utime(path, (second, second))
        with urllib.request.urlopen(f"{server.url}/w") as answer:
            seen.add(answer.headers["ETag"])
            assert answer.read() == data
    assert len(seen) == 3


def test_obstore_over_http(proxy):
    store = HTTPStore(
        proxy.url, client_options={"allow_http": True}, retry_config={"max_retries": 2}
    )
    proxy.fault("answer", status=503)
    found = obstore.get(store, "a folder/x")
    assert (bytes(found.bytes()), found.meta["size"]) == (DATA, len(DATA))
    assert [request.status for request in proxy.traffic] == [503, 200]


def test_s3_with_all_that_is_asked_of_it(s3, in_front, tmp_path):
    folder = tmp_path / "a store.vcz"
    (folder / "b c").mkdir(parents=True)
    for number in range(40):
        (folder / "b c" / str(number)).write_bytes(DATA[number : number + 5000])
    (folder / "zarr.json").write_text(json.dumps({}))
    proxy = in_front(s3)
    s3.make_bucket("proxied")
    assert s3.upload(folder, "proxied") == "s3://proxied/a store.vcz"
    assert s3.upload(folder / "zarr.json", "proxied", "one") == "s3://proxied/one"
    store = s3.bucket("proxied", proxy.url)
    key = "a store.vcz/b c/7"
    found = obstore.get(store, key)
    etag = found.meta["e_tag"]
    assert bytes(found.bytes()) == DATA[7:5007]
    part = obstore.get(store, key, options={"range": (10, 20), "if_match": etag})
    assert bytes(part.bytes()) == DATA[17:27]
    listed = obstore.list(store, "a store.vcz").collect()
    assert len(listed) == 41
    assert {meta["e_tag"] for meta in listed if meta["path"] == key} == {etag}
    assert len([r for r in proxy.traffic if r.is_list]) == 1
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "none")
    obstore.put(s3.bucket("proxied"), key, DATA[:5000])
    with pytest.raises(obstore.exceptions.PreconditionError):
        obstore.get(store, key, options={"if_match": etag})
    obstore.put(store, "through the proxy", DATA)
    assert bytes(obstore.get(store, "through the proxy").bytes()) == DATA
    with pytest.raises((FileNotFoundError, obstore.exceptions.BaseError)):
        obstore.get(s3.bucket("other"), "x")
    # A child of the tests finds it by its variables.
    assert s3.environment(proxy.url)["AWS_ENDPOINT_URL"] == proxy.url
