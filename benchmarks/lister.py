"""Lists of objects as S3 gives them, of a folder: ``python -m benchmarks.lister ROOT``.

The bodies of objects are nginx's to send; this is the rest of what a reader of S3 asks for.
ETags are those that nginx has for the same files. It prints its port and ends with its
standard input.
"""

import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000


def keys(root: Path, prefix: str) -> list[str]:
    """Return the keys of all objects below a bucket's folder whose keys begin so, in order."""
    folder = root / prefix.rpartition("/")[0]
    found = []
    for place, _, names in os.walk(folder):
        below = os.path.relpath(place, root)
        head = "" if below == "." else f"{below}/"
        found += [f"{head}{name}" for name in names]
    return sorted(key for key in found if key.startswith(prefix))


def etag(path: Path) -> str:
    """Return the ETag that nginx makes of a file's time and size."""
    status = path.stat()
    return f'"{int(status.st_mtime):x}-{status.st_size:x}"'


def entries(root: Path, prefix: str, delimiter: str) -> Iterator[tuple[str, bool]]:
    """Yield keys and, where there is a delimiter, common prefixes, in order; and which it is."""
    last = None
    for key in keys(root, prefix):
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        name = f"{prefix}{head}{delimiter}" if found else key
        if name != last:
            yield name, bool(found)
        last = name


def page(root: Path, bucket: str, query: dict[str, str]) -> str:
    """Return the document that answers ListObjectsV2.

    Parameters
    ----------
    root : Path
        The bucket's folder.
    bucket : str
        Its name.
    query : dict
        Of the request.

    Returns
    -------
    str
        XML.
    """
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after") or ""
    most = min(PAGE, int(query.get("max-keys", PAGE)))
    found = [entry for entry in entries(root, prefix, delimiter) if entry[0] > after]
    shown, more = found[:most], len(found) > most
    parts = [
        f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>",
        f"<KeyCount>{len(shown)}</KeyCount><MaxKeys>{most}</MaxKeys>",
        f"<IsTruncated>{str(more).lower()}</IsTruncated>",
    ]
    if more:
        token = escape(shown[-1][0])
        parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
    for name, is_prefix in shown:
        if is_prefix:
            parts.append(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>")
            continue
        path = root / name
        parts.append(
            f"<Contents><Key>{escape(name)}</Key>"
            "<LastModified>2025-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(etag(path))}</ETag><Size>{path.stat().st_size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    body = "".join(parts)
    return f'<?xml version="1.0"?><ListBucketResult xmlns="{space}">{body}</ListBucketResult>'


def make_handler(root: Path) -> type[BaseHTTPRequestHandler]:
    """Return what answers requests about the buckets that are folders of `root`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            bucket = parts.path.strip("/")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            folder = root / bucket
            is_known = bool(bucket) and folder.is_dir() and "/" not in bucket
            data = page(folder, bucket, query).encode() if is_known else b""
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(Path(sys.argv[1])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
