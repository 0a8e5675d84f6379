"""What metadata and chunks say of sizes is checked before it costs memory, disk or time."""

import bz2
import json
import lzma
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numcodecs
import numpy as np
import pytest
from support import reference
from support.stores import chunk_files, copy_store, make_store, random_genotypes, zip_store
from support.views import encoded_parts, make_view, plan_view

from biofuse.errors import BiofuseError, NoRoomError
from biofuse.plan import room
from biofuse.stores import inflate, limits

GENOTYPES = random_genotypes(60, 20, seed=4)
GIB = 1 << 30


@pytest.fixture
def fresh_store(made, tmp_path):
    """`fresh_store(encoding)` is a store of the test's own."""

    def get(encoding="v2-gzip"):
        def make(folder):
            return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 10), encoding=encoding)

        return copy_store(made(f"declared-{encoding}", make), tmp_path / "x.vcz")

    return get


def change(store: Path, key: str, **entries) -> None:
    """Change entries of a metadata object."""
    value = json.loads((store / key).read_text())
    (store / key).write_text(json.dumps({**value, **entries}))


def reshape(store: Path, name: str, axis: int, size: int) -> None:
    value = json.loads((store / name / ".zarray").read_text())
    value["shape"][axis] = size
    change(store, f"{name}/.zarray", shape=value["shape"])


def sized(store: Path, variants: int | None = None, samples: int | None = None) -> None:
    """Have all fields say that there are so many variants or samples."""
    if variants is not None:
        for folder in store.glob("variant_*"):
            reshape(store, folder.name, 0, variants)
        reshape(store, "call_genotype", 0, variants)
    if samples is not None:
        reshape(store, "sample_id", 0, samples)
        reshape(store, "call_genotype", 1, samples)


# What is said of a store, and what the message has.
TOO_LARGE = {
    "variants": (lambda s: sized(s, variants=1 << 60), "1,152,921,504,606,846,976 variants"),
    "samples": (lambda s: sized(s, samples=1 << 26), "67,108,864 entries"),
    "lost samples": (lambda s: sized(s, samples=1 << 22), "sample_id has .* chunks .* 2 are there"),
    "alleles": (lambda s: reshape(s, "variant_allele", 1, 1 << 30), "variant_allele has room"),
    "chunk": (
        lambda s: change(s, "call_genotype/.zarray", chunks=[20_000, 100_000, 2]),
        "call_genotype has chunks of 20,000 x 100,000 x 2",
    ),
    "chunk of positions": (
        lambda s: change(s, "variant_position/.zarray", chunks=[1 << 40]),
        "variant_position has chunks of",
    ),
    "chunk of texts": (
        lambda s: change(s, "sample_id/.zarray", chunks=[1 << 30]),
        "sample_id has chunks of",
    ),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_more_than_there_can_be(name, fresh_store, tmp_path):
    store = fresh_store()
    spoil, said = TOO_LARGE[name]
    spoil(store)
    with pytest.raises(BiofuseError, match=said):
        plan_view(store, tmp_path / "plan")
    # What a view begins with is not written either.
    assert sum(f.stat().st_size for f in (tmp_path / "plan").iterdir()) < 10_000


def test_memory_that_there_is_not(fresh_store, tmp_path, monkeypatch):
    monkeypatch.setattr("biofuse.plan.declared.memory_limit", lambda: 700)
    with pytest.raises(BiofuseError, match="call_genotype: to decode a chunk takes 800 B, and"):
        plan_view(fresh_store("v2-filter"), tmp_path / "plan")


def test_a_plan_without_room(fresh_store, tmp_path, monkeypatch):
    """Told from the first part of it, before the disk is full."""
    store = make_store(tmp_path / "y.vcz", random_genotypes(3000, 2), chunks=(100, 2))
    monkeypatch.setattr(room, "_ENOUGH", 4096)
    monkeypatch.setattr("biofuse.plan.variants._BATCH", 100)
    plan_view(store, tmp_path / "plan")
    size = sum(f.stat().st_size for f in (tmp_path / "plan").iterdir())

    class Disk:
        f_frsize = 1
        f_bavail = size // 4

    monkeypatch.setattr(os, "statvfs", lambda path: Disk)
    with pytest.raises(NoRoomError, match=r"no room for the plan .* it takes about .* are free"):
        plan_view(store, tmp_path / "other")
    written = sum(f.stat().st_size for f in (tmp_path / "other").iterdir())
    assert written < size / 2


def test_a_sparse_file_in_place_of_a_chunk(fresh_store, tmp_path):
    """Neither path reads more of it than a chunk can have."""
    for encoding in ("v2-gzip", "v2-none", "v2-blosc-zstd-bit", "v2-filter", "v3-sharded"):
        store = fresh_store(encoding)
        os.truncate(chunk_files(store)[0], 1 << 42)
        with pytest.raises(BiofuseError, match=r"call_genotype/.*"):
            make_view(store, tmp_path / f"view-{encoding}")
        store.rename(tmp_path / encoding)


def zeros(begin, size: int) -> bytes:
    """Compressed zeros."""
    stream = begin()
    parts = [stream.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, stream.flush()])


def gzip_stream():
    return zlib.compressobj(9, zlib.DEFLATED, 31)


STREAMS = {
    "zlib": (zlib.compressobj, inflate.inflate_zlib),
    "gzip": (gzip_stream, inflate.inflate_gzip),
    "bz2": (bz2.BZ2Compressor, inflate.inflate_bz2),
    "lzma": (
        lzma.LZMACompressor,
        lambda data, most: inflate.inflate_lzma(data, most, lzma.FORMAT_XZ, None),
    ),
}
FRAMES = {
    "blosc": numcodecs.Blosc("zstd", 1),
    "lz4": numcodecs.LZ4(),
    "zstd": numcodecs.Zstd(1),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name):
    begin, run = STREAMS[name]
    data = zeros(begin, 8 << 20)
    assert run(data, 8 << 20) == bytes(8 << 20)
    for most in (0, 1000, (8 << 20) - 1):
        with pytest.raises(inflate.TooLargeError, match="more than"):
            run(data, most)
    # One after another, with padding behind, as gzip has them.
    two = zeros(begin, 1 << 20) * 2
    assert run(two + bytes(5), 2 << 20) == bytes(2 << 20)
    with pytest.raises(inflate.TooLargeError):
        run(two, (2 << 20) - 1)
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises((EOFError, zlib.error, OSError, lzma.LZMAError)):
            run(data[:cut], 8 << 20)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_791, 65_792, 3_000_000])
def test_frames(name, size):
    """What numcodecs wrote is allowed to have just the size it has."""
    for values in (np.zeros(size, np.int8), np.random.default_rng(1).bytes(size)):
        data = bytes(FRAMES[name].encode(values)) if size or name != "lz4" else bytes(4)
        inflate.check_header(name, data, size)
        if size:
            with pytest.raises(inflate.TooLargeError):
                inflate.check_header(name, data, size - 1)


def zstd_without_size(blocks: list[tuple[int, int]]) -> bytes:
    """A frame of blocks that are one byte repeated so often."""
    out = b"\x28\xb5\x2f\xfd\x00\x58"
    for i, (count, byte) in enumerate(blocks):
        header = count << 3 | 1 << 1 | (i == len(blocks) - 1)
        out += header.to_bytes(3, "little") + bytes([byte])
    return out


def test_zstd_frames_that_do_not_tell_their_size():
    """As programs write them that stream; numcodecs reads these too."""
    data = zstd_without_size([(1 << 17, 7)] * 8)
    assert numcodecs.Zstd().decode(data) == b"\7" * (1 << 20)
    inflate.check_header("zstd", data, 1 << 20)
    bomb = zstd_without_size([(1 << 17, 0)] * 8192)
    assert len(bomb) < 40_000
    with pytest.raises(inflate.TooLargeError):
        inflate.check_header("zstd", bomb, 1 << 20)
    with pytest.raises(inflate.TooLargeError):
        inflate.check_header("zstd", data * 1024, 1 << 20)


def test_texts_that_are_not_there():
    good = numcodecs.VLenUTF8().encode(np.array(["a", "", "ccc"], dtype=object))
    inflate.check_texts(good)
    with pytest.raises(ValueError, match="fewer texts"):
        inflate.check_texts(b"\xff\xff\xff\xff" + bytes(good)[4:])


# Which chunk has a GiB of zeros, and how it is read: by zarr-python, numcodecs or a kernel.
BOMBS = {
    "genotypes, plain": ("v2-gzip", "call_genotype"),
    "genotypes, Zarr v3": ("v3-gzip", "call_genotype"),
    "genotypes, in steps": ("v2-filter", "call_genotype"),
    "samples": ("v2-gzip", "sample_id"),
    "samples, Zarr v3": ("v3-gzip", "sample_id"),
    "IDs": ("v2-gzip", "variant_id"),
    "positions, Zarr v3": ("v3-gzip", "variant_position"),
}

PROGRAM = """
import pathlib, re, sys
sys.path.insert(0, sys.argv[1])
from support.views import encoded_parts, plan_view
from biofuse.errors import BiofuseError
folder = pathlib.Path(sys.argv[3])
try:
    plan = plan_view(pathlib.Path(sys.argv[2]), folder)
    sum(map(len, encoded_parts(plan, folder)))
except BiofuseError as error:
    print(error)
# Not by getrusage, which has the peak of the process that forked.
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
"""


def peak_of(store: Path, folder: Path) -> tuple[str, int]:
    """What a process says that makes a view, and the bytes it took at most."""
    command = [sys.executable, "-c", PROGRAM, Path(__file__).parent, store, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, _, peak = done.stdout.strip().rpartition("\n")
    return said, int(peak) * 1024


def compress_field(store: Path, name: str, data: bytes) -> None:
    """Put a gzip stream in place of a field's chunks, and say so in its metadata."""
    for chunk in chunk_files(store, name):
        chunk.write_bytes(data)
    if (store / name / ".zarray").exists():
        change(store, f"{name}/.zarray", compressor={"id": "gzip", "level": 1})
        return
    value = json.loads((store / name / "zarr.json").read_text())
    last = {"name": "gzip", "configuration": {"level": 1}}
    change(store, f"{name}/zarr.json", codecs=[value["codecs"][0], last])


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_chunk_that_stands_for_much_more(name, made, fresh_store, tmp_path):
    encoding, field = BOMBS[name]
    store = fresh_store(encoding)
    data = made("gibibyte", lambda folder: zeros(gzip_stream, GIB))
    assert len(data) < 2 << 20
    compress_field(store, field, data)
    said, peak = peak_of(store, tmp_path / "plan")
    assert field in said
    assert "damaged" in said
    assert "Error" not in said
    # A chunk of texts may have a quarter of a GiB, and be held twice.
    assert peak < (GIB if field in ("sample_id", "variant_id") else 400 << 20)


@pytest.mark.slow
def test_a_member_of_a_zip_that_stands_for_much_more(fresh_store, tmp_path):
    store = fresh_store("v2-none")
    archive = zip_store(store)
    key = str(chunk_files(store)[0].relative_to(store))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as new, zipfile.ZipFile(archive) as old:
        for info in old.infolist():
            if info.filename != key:
                new.writestr(info.filename, old.read(info))
        bomb = zipfile.ZipInfo(key)
        bomb.compress_type = zipfile.ZIP_DEFLATED
        with new.open(bomb, "w") as out:
            for _ in range(GIB >> 20):
                out.write(bytes(1 << 20))
    said, peak = peak_of(tmp_path / "c.zip", tmp_path / "plan")
    assert f"{key} is damaged: it has 1,073,741,824 bytes" in said
    assert peak < 400 << 20


def test_a_member_of_a_zip_that_is_longer_than_it(fresh_store, tmp_path):
    store = fresh_store("v2-none")
    archive = zip_store(store)
    data = bytearray(archive.read_bytes())
    key = str(chunk_files(store)[0].relative_to(store)).encode()
    at = data.rindex(key) - 46
    assert data[at : at + 4] == b"PK\1\2"
    data[at + 20 : at + 28] = (0x7FFFFFFF).to_bytes(4, "little") * 2
    archive.write_bytes(data)
    with pytest.raises(BiofuseError, match=r"longer than the archive|is damaged"):
        make_view(archive, tmp_path / "v")


def test_what_is_sound_is_read_as_before(fresh_store, tmp_path):
    for encoding in ("v2-gzip", "v3-gzip", "v2-lz4", "v3-zstd", "v2-zstd"):
        store = fresh_store(encoding)
        plan = plan_view(store, tmp_path / encoding)
        bed = b"".join(encoded_parts(plan, tmp_path / encoding))
        assert bed == reference.bed(GENOTYPES)
        store.rename(tmp_path / f"{encoding}.vcz")


def test_limits():
    assert limits.chunk_bytes("x", (1 << 15, 1 << 16), 0) == 0
    with pytest.raises(BiofuseError, match="x has chunks of 65,536 x 32,768"):
        limits.chunk_bytes("x", (1 << 16, 1 << 15), 1)
