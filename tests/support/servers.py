"""Real servers of objects, each in a process of its own: S3 (moto) and plain HTTP (nginx)."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obstore.store import S3Store

_KEY, _SECRET, _REGION = "an-access-key", "a-secret-of-the-tests", "eu-west-1"
# It ends with the pipe that it reads from, so with whoever started it. At each line of that, a
# number of seconds, the server ends, with all of its connections, and after as long there is
# another on its port. What it holds is the process's.
_MOTO = """
import contextlib
import socket
import sys
import time
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.moto_server.werkzeug_app import MotoRequestHandler

connections = set()

class Handler(MotoRequestHandler):
    # Else each answer waits for the client's delayed acknowledgement of its head.
    disable_nagle_algorithm = True

    def setup(self):
        connections.add(self.request)
        super().setup()

    def finish(self):
        connections.discard(self.request)
        with contextlib.suppress(OSError):
            super().finish()

def started(port):
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    return server

sys.modules[ThreadedMotoServer.__module__].MotoRequestHandler = Handler
server = started(0)
port = server.get_host_and_port()[1]
print(port, flush=True)
for line in sys.stdin:
    server.stop()
    for connection in list(connections):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    time.sleep(float(line))
    server = started(port)
    print(port, flush=True)
"""
_NGINX = """
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nodelay on;
    etag on;
    keepalive_requests 1000000;
    keepalive_timeout 600;
    client_body_temp_path {home}/temporary;
    proxy_temp_path {home}/temporary;
    fastcgi_temp_path {home}/temporary;
    uwsgi_temp_path {home}/temporary;
    scgi_temp_path {home}/temporary;
    server {{
        listen {address}:{port} backlog=1024;
        root {root};
    }}
}}
"""
_TRIES = 5


@dataclass
class S3Server:
    """An S3 server, and how to come to it: directly, or by a proxy."""

    address: tuple[str, int]
    _process: subprocess.Popen[str]
    _buckets: dict[tuple[str, str], S3Store] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Of its process, as it is now."""
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def environment(self, url: str | None = None) -> dict[str, str]:
        """The variables with which any program finds it, at this URL of a proxy if told."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ALLOW_HTTP": "true",
            # Nothing of this machine's user counts.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def restart(self, seconds: float = 0.0) -> None:
        """End the server, with all connections, and start it after so long, as it was.

        It is on the port that it had, in the same process, whose memory has the objects.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline(), "moto's server did not start again"

    def make_bucket(self, bucket: str) -> None:
        request = urllib.request.Request(
            f"{self.url}/{bucket}",
            method="PUT",
            data=(
                b"<CreateBucketConfiguration><LocationConstraint>"
                + _REGION.encode()
                + b"</LocationConstraint></CreateBucketConfiguration>"
            ),
        )
        request.add_header("Content-Type", "application/xml")
        # Nobody looks at the signature; the region is taken from here.
        request.add_header(
            "Authorization",
            f"AWS4-HMAC-SHA256 Credential={_KEY}/20250101/{_REGION}/s3/aws4_request, "
            "SignedHeaders=host, Signature=0",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200

    def bucket(self, bucket: str, url: str | None = None, **more: Any) -> S3Store:
        """obstore's view of a bucket, for the tests themselves."""
        key = (bucket, url or self.url)
        if key not in self._buckets or more:
            store = S3Store(
                bucket,
                endpoint=url or self.url,
                access_key_id=_KEY,
                secret_access_key=_SECRET,
                region=_REGION,
                client_options={"allow_http": True},
                **more,
            )
            if more:
                return store
            self._buckets[key] = store
        return self._buckets[key]

    def upload(self, path: Path, bucket: str, prefix: str | None = None) -> str:
        """Upload a folder with all that is in it, or a file. Returns its s3:// URL.

        The prefix, by default the path's name, is the folder's or file's name there.
        """
        prefix = prefix or path.name
        store = self.bucket(bucket)
        if path.is_file():
            store.put(prefix, path.read_bytes())
        else:
            files = [file for file in path.rglob("*") if file.is_file()]
            with ThreadPoolExecutor(8) as pool:
                for _ in pool.map(
                    lambda file: store.put(f"{prefix}/{file.relative_to(path)}", file.read_bytes()),
                    files,
                ):
                    pass
        return f"s3://{bucket}/{prefix}"


@dataclass
class HttpServer:
    """nginx, which shows a folder."""

    address: tuple[str, int]
    root: Path
    _command: list[str]
    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Of its process, as it is now."""
        return self._process.pid

    def restart(self, seconds: float = 0.0) -> None:
        """Kill it, and start it on its port after so long."""
        self.kill()
        time.sleep(seconds)
        self._process = _started(self._command)
        assert answers(self._process, self.address), "nginx did not start again"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start an S3 server without a bucket, which has all it holds in memory."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "moto's server did not start: is moto[s3] with flask installed?"
        yield S3Server(("127.0.0.1", int(line)), process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def http_server(root: Path, home: Path, address: str = "127.0.0.1") -> Iterator[HttpServer]:
    """Start nginx on a folder.

    Parameters
    ----------
    root : Path
        What it shows.
    home : Path
        Its own folder, for its configuration and log, which is made.
    address : str
        Where it listens, of this machine.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert program is not None, "nginx is not installed (Debian's package is nginx-light)"
    home.mkdir()
    for left in reversed(range(_TRIES)):
        # nginx takes no port 0, and a free one may be gone until it takes it.
        port = free_port(address)
        text = _NGINX.format(home=home, root=root, address=address, port=port)
        (home / "nginx.conf").write_text(text)
        command = [program, "-p", str(home), "-e", str(home / "error.log"), "-c", "nginx.conf"]
        process = _started(command)
        if answers(process, (address, port)):
            break
        process.kill()
        process.wait()
        assert left, (home / "error.log").read_text()
    server = HttpServer((address, port), root, command, process)
    try:
        yield server
    finally:
        server.kill()


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody has yet."""
    with socket.socket() as found:
        found.bind((address, 0))
        return found.getsockname()[1]


def answers(process: subprocess.Popen, address: tuple[str, int], seconds: float = 20) -> bool:
    """Whether a server takes connections, once it has had its time to begin."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(address, 5).close()
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False
