"""A server of HTTP, or of HTTPS, that answers as a test says, and knows what it was asked."""

import datetime
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def s3_error(code: str, status: int) -> Answer:
    """As S3 and Azure tell errors."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>it is so</Message></Error>"
    return Answer(text.encode(), status, {"Content-Type": "application/xml"})


class Scripted:
    """A server in a thread of this process."""

    def __init__(self, answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None):
        self.answer = answer
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_port
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        # Names of certificates are names, not numbers.
        self.host = f"localhost:{self.port}" if context else f"127.0.0.1:{self.port}"
        self.url = f"http{'s' if context else ''}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not trust the certificate goes away."""


def _handler(server: Scripted) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers.items()))
            server.asked.append(asked)
            answer = server.answer(asked)
            self.send_response(answer.status)
            given = {
                "Content-Length": str(len(answer.body)),
                "ETag": '"x"',
                "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
                **answer.headers,
            }
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_PUT = do_POST = do_PROPFIND = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def scripted(
    answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    """A server for the time of a block."""
    server = Scripted(answer, context)
    try:
        yield server
    finally:
        server.close()


class Authority(NamedTuple):
    """Who signs certificates."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    pem: Path


def make_authority(folder: Path) -> Authority:
    """An authority that nobody trusts, with its certificate in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    builder = _builder(name, name, key, 9)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    pem = folder / "authority.pem"
    pem.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return Authority(name, key, pem)


def server_context(
    folder: Path, authority: Authority | None, days: int = 9, host: str = "localhost"
) -> ssl.SSLContext:
    """A server's certificate: of an authority, or signed by itself; good for so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    issuer, signer = (authority.name, authority.key) if authority else (name, key)
    builder = _builder(name, issuer, key, days)
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    certificate = builder.add_extension(names, False).sign(signer, hashes.SHA256())
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=5))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
