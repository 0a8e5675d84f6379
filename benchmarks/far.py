"""Servers at a distance: nginx, which shows a folder over HTTP and as S3, each request delayed.

The delay is that of each request, as the time to an object store's first byte is: a server of
nginx (its echo module) lets each wait, and then sends the file, which costs it next to
nothing. A connection costs no round trip, and bandwidth has no limit but the machine.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .environments import HERE

TRANSPORTS = ("http", "s3")
END_SECONDS = 20
# Times in nginx's log are whole milliseconds.
TOLERANCE = 0.002
MODULES = ("/usr/lib/nginx/modules", "/usr/share/nginx/modules")

_HEAD = """
{module}
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    log_format one '$msec $request_time $server_port $request_method '
        '$status $body_bytes_sent $request_uri';
    access_log {home}/access.log one;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    etag on;
    open_file_cache max=20000 inactive=600s;
    keepalive_requests 10000000;
    keepalive_timeout 600;
    client_body_temp_path {home}/temporary;
    proxy_temp_path {home}/temporary;
    fastcgi_temp_path {home}/temporary;
    uwsgi_temp_path {home}/temporary;
    scgi_temp_path {home}/temporary;
    upstream lists {{ server 127.0.0.1:{lister}; keepalive 32; }}
"""
_HTTP = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {home}/buckets;
        location / {{ {sleep} echo_exec @files; }}
        location @files {{ }}
    }}
"""
# Path-style requests; a bucket's own path is asked for lists.
_S3 = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {home}/buckets;
        location ~ ^/[^/]+/?$ {{ {sleep} echo_exec @lists; }}
        location / {{ {sleep} echo_exec @files; }}
        location @files {{ }}
        location @lists {{
            proxy_pass http://lists;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


@dataclass(frozen=True)
class Request:
    """A request as the server saw it.

    Attributes
    ----------
    begun, ended : float
        Seconds since 1970, to milliseconds.
    method : str
        HTTP's.
    status : int
        What was answered.
    size : int
        Bytes of the body.
    path : str
        As it was asked for.
    """

    begun: float
    ended: float
    method: str
    status: int
    size: int
    path: str


@dataclass(frozen=True)
class Requests:
    """Requests of some time."""

    all: Sequence[Request]

    @property
    def size(self) -> int:
        """Bytes of all bodies."""
        return sum(request.size for request in self.all)

    def rounds(self) -> int:
        """Return the longest chain of requests of which each began after the one before."""
        ended: list[tuple[float, int]] = []
        deepest = 0
        for request in sorted(self.all, key=lambda one: one.begun):
            limit = request.begun + TOLERANCE
            depth = 1 + max((d for end, d in ended if end <= limit), default=0)
            ended.append((request.ended, depth))
            deepest = max(deepest, depth)
        return deepest

    def most_at_once(self) -> int:
        """Return the most that were under way at a time."""
        events = [(request.begun, 1) for request in self.all]
        events += [(request.ended, -1) for request in self.all]
        most = now = 0
        for _, step in sorted(events):
            now += step
            most = max(most, now)
        return most


@dataclass(frozen=True)
class Far:
    """A running server of some folders.

    Attributes
    ----------
    home : Path
        Of its own files.
    ports : dict
        By transport and delay in milliseconds.
    """

    home: Path
    ports: dict[tuple[str, int], int]

    def url(self, transport: str, delay: int, name: str) -> str:
        """Return where a store is.

        Parameters
        ----------
        transport : str
            ``http`` or ``s3``.
        delay : int
            Milliseconds; which server of S3 it is, the environment tells.
        name : str
            A folder's name, which is that of a bucket, and the store's in it.

        Returns
        -------
        str
            A URL.
        """
        if transport == "s3":
            return f"s3://{name}"
        return f"http://127.0.0.1:{self.ports[transport, delay]}/{name}"

    def environment(self, transport: str, delay: int) -> dict[str, str]:
        """Return the variables with which programs find the server."""
        if transport != "s3":
            return {}
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports[transport, delay]}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextmanager
    def counting(self, transport: str, delay: int) -> Iterator[list[Requests]]:
        """Count what ends in a block: the list has the requests when it has ended."""
        log = self.home / "access.log"
        start = log.stat().st_size
        found: list[Requests] = []
        yield found
        # What is under way when the block ends, as reading ahead, is waited for.
        time.sleep(0.1 + 2 * delay / 1000)
        with open(log) as file:
            file.seek(start)
            lines = [line.split(" ", 6) for line in file]
        port = str(self.ports[transport, delay])
        mine = [words for words in lines if words[2] == port]
        found.append(Requests([_request(*words) for words in mine]))


def _request(ended: str, took: str, _: str, method: str, status: str, size: str, path: str):
    return Request(
        float(ended) - float(took), float(ended), method, int(status), int(size), path.strip()
    )


@contextmanager
def serve(folders: Mapping[str, Path], home: Path, delays: Sequence[int]) -> Iterator[Far]:
    """Serve folders, by each transport with each delay at a port of its own.

    Parameters
    ----------
    folders : mapping of str to Path
        By the name that each has at the server, as a bucket of S3.
    home : Path
        Directory for the server's files; what was there is removed.
    delays : sequence of int
        Milliseconds.

    Yields
    ------
    Far
        The server, gone when the block ends.

    Raises
    ------
    RuntimeError
        If nginx or its echo module is not installed, or it does not start.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    program = shutil.which("nginx", path=path)
    if program is None:
        raise RuntimeError("nginx is not installed (Debian's package is nginx-light)")
    shutil.rmtree(home, ignore_errors=True)
    (home / "buckets").mkdir(parents=True)
    for name, folder in folders.items():
        (home / "buckets" / name).symlink_to(folder)
    with _lister(home / "buckets") as lister:
        cases = [(transport, delay) for transport in TRANSPORTS for delay in delays]
        ports = dict(zip(cases, _free_ports(len(cases)), strict=True))
        text = _HEAD.format(home=home, lister=lister, module=_echo_module())
        for (transport, delay), port in ports.items():
            sleep = f"echo_sleep {delay / 1000:.3f};" if delay else ""
            server = _S3 if transport == "s3" else _HTTP
            text += server.format(port=port, home=home, sleep=sleep)
        (home / "nginx.conf").write_text(text + "}\n")
        process = subprocess.Popen(
            [program, "-p", str(home), "-e", str(home / "error.log"), "-c", "nginx.conf"],
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait_for(process, list(ports.values()), home / "error.log")
            yield Far(home, ports)
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _lister(buckets: Path) -> Iterator[int]:
    """Run what answers requests for lists; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.lister", str(buckets)],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def _echo_module() -> str:
    name = "ngx_http_echo_module.so"
    for folder in MODULES:
        if Path(folder, name).exists():
            return f"load_module {folder}/{name};"
    raise RuntimeError("nginx has no echo module (Debian's package is libnginx-mod-http-echo)")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _wait_for(process: subprocess.Popen, ports: list[int], log: Path) -> None:
    deadline = time.monotonic() + END_SECONDS
    waiting = list(ports)
    while waiting:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text()[-500:] if log.exists() else ""
            raise RuntimeError(f"nginx did not start: {said}")
        try:
            socket.create_connection(("127.0.0.1", waiting[0]), 1).close()
            waiting.pop(0)
        except OSError:
            time.sleep(0.01)
