"""What files say of variants: `.bim` lines and BGEN heads against a plain formatter in Python,
the pages of a `.bgi` against the index that SQLite makes of the same rows."""

import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biofuse import native

NAMES = ("", ".", "A", "rs1", "1", "10", "é", "\U0001f9ec", "\0", "<DEL>")
TEXT = st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=("Cs",))))
FIELD = st.one_of(st.sampled_from(["A", "C", "é", "<DEL>", "\x0b", "\xa0"]), TEXT)
POSITIONS = st.one_of(
    st.sampled_from([0, 1, 127, 128, 9, 10, 2**31 - 1]), st.integers(0, 2**32 - 1)
)
VARIANTS = st.lists(st.tuples(FIELD, FIELD, POSITIONS, FIELD, FIELD), max_size=12)

SCHEMA = """
CREATE TABLE Variant (
  chromosome TEXT NOT NULL, position INT NOT NULL, rsid TEXT NOT NULL,
  number_of_alleles INT NOT NULL, allele1 TEXT NOT NULL, allele2 TEXT NULL,
  file_start_position INT NOT NULL, size_in_bytes INT NOT NULL,
  PRIMARY KEY (chromosome, position, rsid, allele1, allele2, file_start_position)
) WITHOUT ROWID"""
PAGE = native.BgiPages.PAGE_SIZE


def columns(variants: list[tuple]) -> list:
    """Chromosome, ID, position and two alleles, as kernels take them."""
    chrom, names, positions, first, second = zip(*variants, strict=True) if variants else [()] * 5
    return [
        native.Texts.of(list(chrom)),
        native.Texts.of(list(names)),
        np.array(positions, dtype=np.int64),
        native.Texts.of(list(first)),
        native.Texts.of(list(second)),
    ]


def is_field(text: str) -> bool:
    return text != "" and not set(text) & set(" \t\n\r")


@settings(max_examples=300)
@given(VARIANTS)
def test_bim_lines(variants):
    chrom, names, positions, a1, a2 = columns(variants)
    shown = [(c, i or ".", p, x or "NA", y) for c, i, p, x, y in variants]
    fits = [all(is_field(v[k]) for k in (0, 1, 3, 4)) for v in shown]
    arguments = (chrom, names.or_else("."), positions, a1.or_else("NA"), a2)
    if all(fits):
        wanted = "".join(f"{c}\t{i}\t0\t{p}\t{x}\t{y}\n" for c, i, p, x, y in shown)
        assert bytes(native.bim_lines(*arguments)) == wanted.encode()
        return
    with pytest.raises(native.NativeError) as caught:
        native.bim_lines(*arguments)
    assert caught.value.row == fits.index(False)


@given(VARIANTS, st.data())
def test_bim_lines_with_centimorgans(variants, data):
    shown = [(c, i or ".", p, x or "NA", y) for c, i, p, x, y in variants]
    cm = [data.draw(st.sampled_from(["0", "1.5", "-2e-05", "", "a b"])) for _ in shown]
    fits = [
        all(is_field(v[k]) for k in (0, 1, 3, 4)) and is_field(c)
        for v, c in zip(shown, cm, strict=True)
    ]
    chrom, names, positions, a1, a2 = columns(shown)
    if all(fits):
        wanted = "".join(
            f"{c}\t{i}\t{m}\t{p}\t{x}\t{y}\n" for (c, i, p, x, y), m in zip(shown, cm, strict=True)
        )
        lines = native.bim_lines(chrom, names, positions, a1, a2, native.Texts.of(cm))
        assert bytes(lines) == wanted.encode()
        return
    with pytest.raises(native.NativeError) as caught:
        native.bim_lines(chrom, names, positions, a1, a2, native.Texts.of(cm))
    assert caught.value.row == fits.index(False)


def test_centimorgans_of_another_length():
    one = columns([("1", "x", 5, "A", "C")])
    chrom, names, positions, a1, a2 = one
    for cm in ([], ["0", "1"]):
        with pytest.raises(ValueError, match="length"):
            native.bim_lines(*one, native.Texts.of(cm))
        with pytest.raises(ValueError, match="length"):
            native.pvar_lines(chrom, positions, names, a1, a2, cm=native.Texts.of(cm))


@pytest.mark.parametrize("position", [0, 9, 10, 2**31, 2**62, 2**63 - 1])
def test_bim_positions(position):
    line = bytes(native.bim_lines(*columns([("1", "x", position, "A", "C")])))
    assert line == f"1\tx\t0\t{position}\tA\tC\n".encode()


def test_a_position_below_zero_is_no_line():
    with pytest.raises(native.NativeError) as caught:
        native.bim_lines(*columns([("1", "x", 5, "A", "C"), ("1", "x", -1, "A", "C")]))
    assert caught.value.row == 1


@pytest.mark.parametrize("column", range(5))
def test_columns_of_another_length(column):
    row = ("1", "x", 5, "A", "C")
    for other in (0, 2):
        changed = columns([row])
        changed[column] = columns([row] * other)[column]
        with pytest.raises(ValueError, match="length"):
            native.bim_lines(*changed)
        chrom, names, positions, a1, a2 = changed
        offsets = np.arange(2, dtype=np.uint64)
        with pytest.raises(ValueError, match="length"):
            native.bgi_rows(chrom, names, positions, a1, a2, offsets)
    for count in (0, 1, 3):
        chrom, names, positions, a1, a2 = columns([row])
        offsets = np.arange(count, dtype=np.uint64)
        with pytest.raises(ValueError, match="length"):
            native.bgi_rows(chrom, names, positions, a1, a2, offsets)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_the_highest(numbers):
    found = native.index_of_highest(np.array(numbers, dtype=np.int64))
    assert found == (numbers.index(max(numbers)) if numbers else -1)


def make_rows(variants: list[tuple], start: int, size: int) -> bytes:
    chrom, names, positions, a1, a2 = columns(variants)
    offsets = np.arange(len(variants) + 1, dtype=np.uint64) * size + start
    return bytes(native.bgi_rows(chrom, names, positions, a1, a2, offsets))


def table(batches: list[list[tuple]], start: int, size: int) -> list[tuple]:
    """Rows of the table, in the order of the file."""
    rows, at = [], start
    for variants in batches:
        for chrom, name, position, first, second in variants:
            rows.append((chrom, position, name, 2, first, second, at, size))
            at += size
    return rows


def make_pages(batches: list[list[tuple]], start: int, size: int, first_page: int):
    """The pages' object, read to its end, and what was read."""
    parts = []
    for variants in batches:
        parts.append(make_rows(variants, start, size))
        start += size * len(variants)
    ends = np.cumsum([len(part) for part in parts], dtype=np.uint64)
    pages = native.BgiPages(b"".join(parts), ends, first_page)
    read = b""
    while data := pages.read(5 * PAGE):
        assert len(data) % PAGE == 0
        read += data
    assert len(pages.root) == PAGE
    return pages, read


def make_database(path: Path, batches: list[list[tuple]], start: int, size: int) -> None:
    """A database of SQLite's, in which the tree of an empty table is filled."""
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA page_size = {PAGE}")
    db.execute(SCHEMA)
    db.commit()
    [(root,)] = db.execute("SELECT rootpage FROM sqlite_master")
    [(count,)] = db.execute("PRAGMA page_count")
    db.close()
    pages, read = make_pages(batches, start, size, count + 1)
    data = bytearray(path.read_bytes())
    data[(root - 1) * PAGE : root * PAGE] = pages.root
    data += read
    assert pages.next_page - 1 == len(data) // PAGE
    data[28:32] = struct.pack(">I", len(data) // PAGE)
    path.write_bytes(data)


def check_database(path: Path, batches: list[list[tuple]], start: int, size: int) -> None:
    """SQLite finds the tree sound, and in it what it makes itself of the same rows."""
    rows = table(batches, start, size)
    plain = sqlite3.connect(":memory:")
    plain.execute(SCHEMA)
    plain.executemany("INSERT INTO Variant VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    everything = "SELECT * FROM Variant"
    assert db.execute(everything).fetchall() == plain.execute(everything).fetchall()
    types = ", ".join(f"typeof({row[1]})" for row in db.execute("PRAGMA table_info(Variant)"))
    assert db.execute(f"SELECT DISTINCT {types} FROM Variant").fetchall() in (
        [],
        [("text", "integer", "text", "integer", "text", "text", "integer", "integer")],
    )
    one = "SELECT * FROM Variant WHERE chromosome = ? AND position = ? AND rsid = ?"
    for row in rows[:: max(1, len(rows) // 50)]:
        wanted = plain.execute(one, row[:3]).fetchall()
        assert row in wanted
        assert db.execute(one, row[:3]).fetchall() == wanted
    # It can be changed, so its pages are as SQLite wants them.
    db.execute("DELETE FROM Variant WHERE position % 2 = 0")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    plain.close()


OFFSETS = st.sampled_from([0, 1, 2**24, 2**40, 2**50])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.tuples(TEXT, TEXT, POSITIONS, TEXT, TEXT)), max_size=4), OFFSETS)
def test_any_rows(tmp_path, batches, start):
    make_database(tmp_path / "x.bgi", batches, start, 100)
    check_database(tmp_path / "x.bgi", batches, start, 100)


def many(rng, count: int, chroms: tuple, step: int) -> list[tuple]:
    """Variants of several contigs, some at one position, in order of contigs and positions."""
    found = []
    for chrom in chroms:
        positions = np.cumsum(rng.integers(0, step, count)).tolist()
        found += [
            (chrom, position, f"rs{rng.integers(10**6)}", "A" * rng.integers(1, 4), "C")
            for position in positions
        ]
    return [(chrom, name, position, a, b) for chrom, position, name, a, b in found]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["in order", "contigs", "ties", "random", "backwards", "alike"])
@pytest.mark.parametrize("batch", [1, 97, 4000, 10**6])
def test_many_rows(shape, batch, tmp_path):
    rng = np.random.default_rng(batch)
    count = 300 if batch == 1 else 9000
    chroms = ("1", "2", "10", "X", "MT") if shape == "contigs" else ("7",)
    variants = many(rng, count // len(chroms), chroms, 2 if shape == "ties" else 50)
    if shape == "random":
        variants = [variants[i] for i in rng.permutation(len(variants))]
    elif shape == "backwards":
        variants.reverse()
    elif shape == "alike":
        variants = [("1", ".", 5, "A", "C")] * count
    batches = [variants[i : i + batch] for i in range(0, len(variants), batch)]
    make_database(tmp_path / "x.bgi", batches, 2**33, 700)
    check_database(tmp_path / "x.bgi", batches, 2**33, 700)


@pytest.mark.parametrize("edge", [488, 489, 1001, 1002, 1003, 4092, 5094, 8184])
def test_rows_of_every_length_around_a_limit(edge, tmp_path):
    """Payloads that just fit a page, and those that go on in others."""
    lengths = range(max(0, edge - 40), edge + 20)
    variants = [("1", "x", i, "A", "C" * length) for i, length in enumerate(lengths)] * 3
    make_database(tmp_path / "x.bgi", [variants], 10**6, 10)
    check_database(tmp_path / "x.bgi", [variants], 10**6, 10)


def test_long_rows(tmp_path):
    """Pages of few cells, so that the tree is deep; and alleles of many pages."""
    variants = [
        ("1", "y" * 900, i, "A", "C" * (10**6 if i % 1000 == 0 else 9)) for i in range(4000)
    ]
    make_database(tmp_path / "x.bgi", [variants], 0, 10**9)
    check_database(tmp_path / "x.bgi", [variants], 0, 10**9)


def test_no_rows(tmp_path):
    for batches in ([], [[]], [[], []]):
        make_database(tmp_path / "x.bgi", batches, 0, 1)
        check_database(tmp_path / "x.bgi", batches, 0, 1)


def test_the_page_that_sqlite_never_uses(tmp_path):
    """The one at 1 GiB; the file is a hole up to some pages before it."""
    path = tmp_path / "x.bgi"
    lock = (1 << 30) // PAGE + 1
    first = lock - 20
    variants = many(np.random.default_rng(1), 9000, ("1",), 50)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA page_size = {PAGE}")
    db.execute(SCHEMA)
    db.commit()
    db.close()
    pages, read = make_pages([variants], 0, 10, first)
    assert pages.next_page > lock + 20
    assert read[(lock - first) * PAGE :][:PAGE] == bytes(PAGE)
    with open(path, "r+b") as out:
        out.seek(PAGE)
        out.write(pages.root)
        out.seek((first - 1) * PAGE)
        out.write(read)
        out.seek(28)
        out.write(struct.pack(">I", pages.next_page - 1))
    db = sqlite3.connect(path)
    found = db.execute("SELECT * FROM Variant").fetchall()
    db.close()
    assert found == sorted(table([variants], 0, 10), key=lambda row: (*row[:3], *row[4:]))


def test_pages_beyond_the_last(tmp_path):
    rows = make_rows(many(np.random.default_rng(1), 9000, ("1",), 50), 0, 10)
    pages = native.BgiPages(rows, np.array([len(rows)], dtype=np.uint64), 2**32 - 5)
    with pytest.raises(native.NativeError, match="pages"):
        pages.read(1 << 30)


def test_the_root_comes_last():
    rows = make_rows(many(np.random.default_rng(1), 9000, ("1",), 50), 0, 10)
    pages = native.BgiPages(rows, np.array([len(rows)], dtype=np.uint64), 4)
    assert pages.read(PAGE)
    with pytest.raises(ValueError, match="before the root"):
        _ = pages.root


@pytest.mark.parametrize("ends", [[5], [3, 2], [2**64 - 1]])
def test_runs_that_are_not_there(ends):
    with pytest.raises(ValueError, match="outside"):
        native.BgiPages(b"abcd", np.array(ends, dtype=np.uint64), 4)
