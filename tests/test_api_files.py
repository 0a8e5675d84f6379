"""File objects of `biofuse.open`: the mount's bytes, by any operations, from any threads."""

import io
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import reference
from support.stores import ENCODINGS, make_store, random_genotypes

import biofuse

GENOTYPES = random_genotypes(700, 203, seed=33)
SUFFIXES = (".bed", ".bim", ".fam", ".bgen", ".bgen.bgi", ".sample")
PLACES = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)


@pytest.fixture(scope="module")
def store(made):
    return made(
        "api-files", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(90, 64))
    )


@pytest.fixture(scope="module")
def fileset(store):
    with biofuse.open(store, no_cache=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def whole(store, module_biofuse):
    """Every file as a mount shows it."""
    with module_biofuse.mount(store) as mount:
        yield {path.name: path.read_bytes() for path in mount.dir.iterdir()}


@pytest.fixture(scope="module")
def copies(whole, tmp_path_factory):
    """The same on disk."""
    folder = tmp_path_factory.mktemp("copies")
    for name, data in whole.items():
        (folder / name).write_bytes(data)
    return folder


def test_every_file_is_the_mounts(fileset, whole):
    assert set(fileset.files) == set(whole) == {f"x{suffix}" for suffix in SUFFIXES}
    for name, data in whole.items():
        assert fileset.files[name] == len(data)
        with fileset.open(name) as file:
            read = file.read()
        if name.endswith(".bgi"):
            # It has the time at which it was made in it.
            assert len(read) == len(data)
        else:
            assert read == data, name
    assert whole["x.bed"] == reference.bed(GENOTYPES)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(-1 << 17, 1 << 17), st.sampled_from(PLACES)),
        st.tuples(st.just("read"), st.one_of(st.none(), st.integers(-1, 1 << 16))),
        st.tuples(st.just("readinto"), st.integers(0, 1 << 16)),
        st.tuples(st.just("tell")),
    ),
    max_size=12,
)


def apply(file, operation):
    """What an operation gives, or the kind of its error."""
    name, *arguments = operation
    try:
        if name == "readinto":
            buffer = bytearray(arguments[0])
            return file.readinto(buffer), bytes(buffer)
        return getattr(file, name)(*arguments)
    except (ValueError, OSError):
        return "an error"


@given(operations=operations, suffix=st.sampled_from([".bed", ".bgen", ".bim"]))
def test_any_operations(operations, suffix, fileset, copies):
    path = copies / f"x{suffix}"
    with fileset.open(f"x{suffix}") as file, open(path, "rb", buffering=0) as expected:
        for operation in operations:
            assert apply(file, operation) == apply(expected, operation), operation
            assert file.tell() == expected.tell()


@given(offset=st.integers(0, 1 << 17), size=st.integers(0, 1 << 17))
def test_bytes_at_an_offset(offset, size, fileset, whole):
    with fileset.open("x.bgen") as file:
        file.seek(17)
        assert file.pread(size, offset) == whole["x.bgen"][offset : offset + size]
        assert file.tell() == 17


def test_many_threads_at_once(fileset, whole):
    files = {suffix: fileset.open(f"x{suffix}") for suffix in (".bed", ".bgen", ".fam")}

    def read(seed):
        chooser = random.Random(seed)
        for _ in range(40):
            suffix = chooser.choice(list(files))
            data = whole[f"x{suffix}"]
            offset, size = chooser.randrange(len(data)), chooser.randrange(1, 30_000)
            assert files[suffix].pread(size, offset) == data[offset : offset + size]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(read, range(12)))


def test_threads_that_share_a_position(fileset, whole):
    """Each byte goes to one of them."""
    found = []
    with fileset.open("x.bed") as file:

        def read():
            while data := file.read(1234):
                found.append(data)

        threads = [threading.Thread(target=read) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(map(len, found)) == len(whole["x.bed"])
    pieces = [whole["x.bed"][i : i + 1234] for i in range(0, len(whole["x.bed"]), 1234)]
    assert sorted(found) == sorted(pieces)


def test_some_bytes(fileset, whole):
    with fileset.open("x.bed") as file:
        assert file.read1(7) == whole["x.bed"][:7]
        assert whole["x.bed"][7:].startswith(file.peek(3)[:3])
        some = file.read1()
        assert some and whole["x.bed"][7:].startswith(some)


def test_lines_and_text(fileset, whole):
    text = whole["x.bim"].decode()
    with fileset.open("x.bim") as file:
        assert [line.decode() for line in file] == text.splitlines(keepends=True)
    with io.TextIOWrapper(fileset.open("x.bim")) as file:
        assert file.read() == text
    with io.BufferedReader(fileset.open("x.bed")) as file:
        assert file.read() == whole["x.bed"]


def test_what_cannot_be_done(fileset):
    with fileset.open("x.bed") as file:
        assert file.readable() and file.seekable() and not file.writable()
        for do in (lambda: file.write(b"x"), lambda: file.truncate(0), file.fileno):
            with pytest.raises(io.UnsupportedOperation):
                do()
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)
    for do in (file.read, file.tell, lambda: file.seek(0), lambda: file.pread(1, 0)):
        with pytest.raises(ValueError, match="closed"):
            do()
    with pytest.raises(ValueError, match="read-only"):
        fileset.open("x.bed", "r+b")
    with pytest.raises(FileNotFoundError, match=r"there is no x\.pgen, but x\.bed"):
        fileset.open("x.pgen")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_kind_of_store(encoding, tmp_path):
    genotypes = random_genotypes(130, 70, seed=5)
    store = make_store(tmp_path / "y.vcz", genotypes, chunks=(40, 30), encoding=encoding)
    with biofuse.open(store, formats="plink", no_cache=True) as opened:
        bed = opened.open("y.bed")
        assert bed.read() == reference.bed(genotypes)
        assert bed.pread(100, 500) == reference.bed(genotypes)[500:600]


def test_a_large_read_is_made_of_many(tmp_path):
    genotypes = random_genotypes(3000, 4000, seed=6)
    store = make_store(tmp_path / "y.vcz", genotypes, chunks=(1000, 2000))
    with biofuse.open(store, formats="plink", no_cache=True, memory="8MiB", threads=3) as opened:
        assert opened.open("y.bed").read() == reference.bed(genotypes)


def test_a_chunk_that_is_damaged(tmp_path):
    store = make_store(tmp_path / "y.vcz", random_genotypes(200, 50, seed=7), chunks=(50, 25))
    chunk = store / "call_genotype" / "2.1.0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    with biofuse.open(store, formats="plink", no_cache=True) as opened:
        bed = opened.open("y.bed")
        assert len(bed.pread(13, 3)) == 13
        with pytest.raises(
            biofuse.BiofuseError, match=r"cannot read y\.bed from variant 95 .*2\.1\.0"
        ) as caught:
            bed.pread(13 * 60, 3 + 13 * 95)
        assert caught.value.errno
        assert caught.value.__suppress_context__
        # The rest can be read.
        assert len(bed.pread(13 * 40, 3)) == 13 * 40


def test_a_store_that_is_changed(tmp_path):
    store = make_store(tmp_path / "y.vcz", random_genotypes(200, 50, seed=7), chunks=(50, 25))
    with biofuse.open(store, formats="plink", no_cache=True) as opened:
        bed = opened.open("y.bed")
        bed.pread(13, 3)
        chunk = store / "call_genotype" / "3.0.0"
        data = chunk.read_bytes()
        chunk.unlink()
        chunk.write_bytes(data)
        os.utime(chunk, ns=(2**62, 2**62))
        with pytest.raises(biofuse.BiofuseError) as caught:
            bed.pread(13, 3 + 13 * 170)
        assert "changed" in str(caught.value)
