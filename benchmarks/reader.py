"""Time random reads of one file; a program of its own, so that a hung read can be ended."""

import argparse
import json
import os
import random
import time


def main() -> None:
    """Read at random offsets, and print the latencies in seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--size", type=int, default=25_000, help="bytes of each read")
    parser.add_argument("--count", type=int, default=200, help="reads at most")
    parser.add_argument("--seconds", type=float, default=20, help="start no read after that")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    generator = random.Random(args.seed)
    latencies = []
    file = os.open(args.path, os.O_RDONLY)
    size = os.fstat(file).st_size
    last = max(0, size - args.size)
    end = time.perf_counter() + args.seconds
    while len(latencies) < args.count and time.perf_counter() < end:
        offset = generator.randint(0, last)
        started = time.perf_counter()
        data = os.pread(file, args.size, offset)
        latencies.append(time.perf_counter() - started)
        if len(data) != min(args.size, size):
            raise SystemExit(f"short read of {len(data)} bytes at {offset}")
    os.close(file)
    print(json.dumps(latencies))


if __name__ == "__main__":
    main()
