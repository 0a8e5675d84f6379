"""Fuzz targets of the kernels and what they start from.

In the directory `tests`, `python -m native.fuzz TARGET DIRECTORY` builds a target, one of
`TARGETS`, with its seeds; see README.md.
"""

import sys
from array import array
from dataclasses import dataclass
from pathlib import Path

import numcodecs
import numpy as np

from biofuse.native import Texts, bgi_rows

from . import build, frames, geometry


@dataclass(frozen=True)
class Target:
    program: Path
    seeds: Path
    findings: Path

    def command(self, *options: str) -> list[str]:
        """The target's command line, seeds last; the first directory gets what is found."""
        prefix = f"-artifact_prefix={self.findings}/"
        return [str(self.program), prefix, *options, str(self.findings), str(self.seeds)]


def frame_seeds() -> list[bytes]:
    """Sound frames behind the bytes that choose their geometry."""
    seeds = []
    for number, (rows, samples, ploidy, scale) in enumerate(
        [(9, 13, 2, 1), (32, 200, 1, 1), (3, 5, 2, 1), (8, 256, 2, 64), (31, 100, 2, 64)]
    ):
        for values in ((0, 1), (0, 0, 0, 1, -1, -2), (0, 1, 2, 100)):
            array = geometry.random_alleles((rows, samples * scale, ploidy), values, number)
            array[rows // 2 :] = 0
            for shuffle, blocksize in ((2, 0), (2, 128), (2, 1 << 18), (0, 1000)):
                frame = frames.encode(array, shuffle=shuffle, blocksize=blocksize)
                kind = ploidy - 1 | (0x80 if scale > 1 else 0)
                head = bytes([rows - 1, samples - 1, kind, 255, number, 0, 3, number])
                if len(frame) < 4096:
                    seeds += [head + frame, head[:7] + bytes([0x80 | number]) + frame]
    return seeds


def zstd_frame(raw_size: int, *blocks: tuple[int, int, bytes]) -> bytes:
    """A zstd frame of raw (0) and run-length (1) blocks: type, size field, content."""
    body = b""
    for number, (kind, size, content) in enumerate(blocks, 1):
        body += (size << 3 | kind << 1 | (number == len(blocks))).to_bytes(3, "little") + content
    return b"\x28\xb5\x2f\xfd\xa0" + frames.u32(raw_size) + body


def odd_frames() -> list[bytes]:
    """Sound and unsound zstd frames that no compressor writes."""
    noise = bytes(range(100, 164))
    empty = (0, 0, b"")
    return [
        zstd_frame(1024, (1, 1024, b"\0")),
        zstd_frame(1024, (1, 512, b"\0"), (1, 512, b"\0")),
        zstd_frame(1024, (1, 500, b"\0"), (1, 524, b"\xff")),
        zstd_frame(1024, (1, 500, b"\0"), (0, 64, noise), (1, 460, b"\0")),
        zstd_frame(1024, (0, 64, noise), (1, 500, b"\0"), (0, 64, noise), (1, 396, b"\0")),
        zstd_frame(1024, (0, 64, noise), (1, 960, b"\0"), empty),
        zstd_frame(1024, (0, 64, noise), (1, 0, b"\xff"), (1, 960, b"\0")),
        zstd_frame(1024, (0, 64, noise), (1, 960, b"\0"), (1, 0, b"\xff")),
        zstd_frame(1024, (0, 64, noise), (1, 961, b"\0")),
        zstd_frame(1024, (0, 64, noise), (1, 959, b"\0")),
        zstd_frame(1024, (0, 64, noise), (1, 960, b"\0")) + b"\0",
        zstd_frame(1024, (0, 64, noise), (1, 960, b"\0")) * 2,
        zstd_frame(1024, (0, 64, noise), (1, 960, b"\0"))[:-1],
        # A head that takes more bytes than the block.
        zstd_frame(1024, *[empty] * 400, (1, 1024, b"\0")),
        zstd_frame(1024, (0, 64, noise), *[empty] * 1000, (1, 960, b"\0")),
        zstd_frame(8, *[empty] * 1000, (1, 8, b"\0")),
        # A run longer than a zstd block may be.
        zstd_frame(1 << 19, (0, 64, noise), (1, (1 << 19) - 64, b"\0")),
    ]


def block_seeds() -> list[bytes]:
    """Stored blocks of which the upper planes end in runs."""
    seeds = odd_frames()
    for size in (1 << 17, 1 << 18, 3 << 17, 1 << 19):
        for seed, values in enumerate([(0,), (1,), (-1,), (0, 1), (0, -1), (3,)]):
            array = np.zeros(size, dtype=np.int8)
            array[:2000] = geometry.random_alleles(2000, values, seed)
            if seed % 2:
                array[2000:] = values[-1]
            frame = frames.encode(array, blocksize=size)
            p = frames.parts(frame)
            seeds.append(frame[p.offsets[0] + 4 : p.stop(0)])
    return seeds


def call_seeds() -> list[bytes]:
    """Calls of every kind of record, of a few and of many samples."""
    seeds = []
    for number in range(48):
        rng = np.random.default_rng(number)
        kind = [number % 3 | (number // 3 % 4) << 6, rng.integers(256), rng.integers(256)]
        values = rng.choice(np.uint8([0, 1, 2, 3, 16, 32, 64, 127, 128]), 14 * (number + 1))
        seeds.append(bytes([*kind, (number // 12) | (0x80 if number % 8 == 7 else 0)]))
        seeds[-1] += values.tobytes()
    return seeds


def value_seeds() -> list[bytes]:
    """Sound frames of float32 behind the bytes that choose their geometry."""
    seeds = []
    for number, (rows, values, scale) in enumerate([(9, 40, 1), (3, 5, 1), (5, 6, 64)]):
        array = np.random.default_rng(number).choice(
            np.float32([0, 1, 0.5]), (rows, values * scale)
        )
        array[rows // 2] = np.arange(values * scale) / 7
        for shuffle, blocksize in ((1, 0), (1, 256), (0, 1000), (0, 128)):
            frame = frames.encode(array, shuffle=shuffle, blocksize=blocksize)
            kind = 0x80 if scale > 1 else 0
            for last in (0, 0x80):
                seeds.append(bytes([rows - 1, values - 1, kind, 255, number, 3, 0, last]) + frame)
    return seeds


def bcf_seeds() -> list[bytes]:
    """Calls, values of every type, and sites in order."""
    seeds = []
    for number in range(66):
        rng = np.random.default_rng(number)
        kind = number % 3
        head = [kind, number // 3, number // 9, number % 5, number % 7, number, 0, 0]
        if number % 11 == 10:
            head[3], head[6] = 0x80 | head[3], 0x80
        body = rng.integers(0, 256, 24 * (number + 1)).astype(np.uint8)
        if kind == 2:
            body = body.reshape(-1, 8)
            body[:, 0] %= 200
            body[:, 3] = 0
        seeds.append(bytes(head) + body.tobytes())
    return seeds


def text_seeds() -> list[bytes]:
    """Chunks of texts."""
    words = ["A", "C", ".", "", "rs1;rs2", "é", "x" * 16, "<DEL>", "1.5"]
    seeds = []
    for number in range(24):
        rng = np.random.default_rng(number)
        chosen = rng.choice(np.array(words[: 3 + number % 7], dtype=object), 2 * number)
        seeds.append(bytes([number]) + bytes(numcodecs.VLenUTF8().encode(chosen)))
    return seeds


def file_seeds() -> list[bytes]:
    """Chunks of texts, and rows of an index as its kernel writes them."""
    seeds = text_seeds()
    for number in range(12):
        names = Texts.of([f"{'rs' * (1 + i % 9)}{i * number}" for i in range(3 + 9 * number)])
        positions = array("q", (7 * i for i in range(len(names))))
        offsets = array("Q", (100 * i for i in range(len(names) + 1)))
        rows = bgi_rows(names, names, positions, names, names, offsets)
        seeds.append(bytes([0x80 | number % 8]) + bytes(rows))
    return seeds


def tail_seeds() -> list[bytes]:
    """Frames that end in runs, and those that no compressor writes."""
    return [seed for seed in block_seeds() if len(seed) < 4096]


def answer_seeds() -> list[bytes]:
    """A geometry and a format of eight bytes, then steps of six: requests and answers in turn."""
    # No bytes of a file that is framed.
    none = [0, 166, 25, 230, 0, 0, 2, 0, 0, 0, 0, 0]
    seeds = [bytes([16, 1, 30, 223, 29, 62, 0, 0, *none])]
    for number in range(40):
        rng = np.random.default_rng(number)
        head = rng.integers(0, 256, 8)
        head[6] = number % 4 | head[6] & 0xFC
        steps = rng.integers(0, 256, (12, 6))
        # Of each two, the second one answers.
        steps[::2, 0] = rng.choice([0, 0, 0, 1, 3, 4, 5], 6)
        steps[1::2, 0] = 2
        seeds.append(bytes(head.tolist()) + steps.astype(np.uint8).tobytes())
    return seeds


TARGETS = {
    "answer": answer_seeds,
    "bcf": bcf_seeds,
    "frame": frame_seeds,
    "block": block_seeds,
    "calls": call_seeds,
    "files": file_seeds,
    "tail": tail_seeds,
    "texts": text_seeds,
    "values": value_seeds,
}


def make_target(name: str, directory: Path) -> Target:
    """Compile a target and write its seeds to a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    program = build.compile_program(
        "clang",
        [f"fuzz_{name}.c", *build.CASE],
        *build.SANITIZE,
        "-fsanitize=fuzzer,address,undefined",
    )
    target = Target(program, directory / "seeds", directory / "findings")
    target.seeds.mkdir(exist_ok=True)
    target.findings.mkdir(exist_ok=True)
    for number, seed in enumerate(TARGETS[name]()):
        (target.seeds / f"{number:03}").write_bytes(seed)
    return target


if __name__ == "__main__":
    made = make_target(sys.argv[1], Path(sys.argv[2]))
    print(*made.command("-max_total_time=600"))
