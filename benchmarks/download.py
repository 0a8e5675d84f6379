"""Objects got plainly, many at a time: ``python -m benchmarks.download URL NAMES AT_ONCE``.

What a link and a server give, in a process of its own, with the library that biofuse has. It
prints seconds and bytes, of the second of two times: the first one opens connections.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.store import from_url


def main() -> None:
    """Get all objects, twice."""
    url, names, at_once = sys.argv[1], Path(sys.argv[2]).read_text().split("\n"), int(sys.argv[3])
    store = from_url(url, client_options={"allow_http": True})

    def get(name: str) -> int:
        return len(obstore.get(store, name).bytes())

    with ThreadPoolExecutor(at_once) as pool:
        for _ in range(2):
            started = time.perf_counter()
            size = sum(pool.map(get, names))
            seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "bytes": size}), flush=True)
    # obstore's own threads may not have ended, which Python would not like.
    os._exit(0)


if __name__ == "__main__":
    main()
