"""The index of a BGEN file, `.bgen.bgi`: an SQLite database as bgenix makes it.

Schema: https://enkre.net/cgi-bin/code/bgen/wiki/The_bgenix_index_file_format.
"""

import contextlib
import mmap
import os
from array import array
from typing import IO, TYPE_CHECKING

from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, Subject, Variants
from biofuse.formats.growing import GrowingFile

if TYPE_CHECKING:
    import sqlite3

FIRST_BYTES = 1000
# Bytes of pages that are written at a time.
_SOME_PAGES = 1 << 20
# Where in a database's header its number of pages is, in four bytes, the highest first.
_NUM_PAGES = 28

_SCHEMA = """
CREATE TABLE Metadata (
  filename TEXT NOT NULL,
  file_size INT NOT NULL,
  last_write_time INT NOT NULL,
  first_1000_bytes BLOB NOT NULL,
  index_creation_time INT NOT NULL
);
CREATE TABLE Variant (
  chromosome TEXT NOT NULL,
  position INT NOT NULL,
  rsid TEXT NOT NULL,
  number_of_alleles INT NOT NULL,
  allele1 TEXT NOT NULL,
  allele2 TEXT NULL,
  file_start_position INT NOT NULL,
  size_in_bytes INT NOT NULL,
  PRIMARY KEY (chromosome, position, rsid, allele1, allele2, file_start_position)
) WITHOUT ROWID;
"""


class BgiWriter:
    """Writes the index: rows as they come, to a file beside it, and at the end the database.

    SQLite makes a database of an empty table, whose tree of pages is then made of the rows: this
    takes a tenth of the time that adding them one by one does.

    Parameters
    ----------
    rsid_known : bool
        Whether the file's rsids are the variants' IDs, not all missing.
    """

    suffix = ".bgen.bgi"
    of_samples = False
    _rows: GrowingFile

    def __init__(self, rsid_known: bool = True):
        self._rsid_known = rsid_known
        self._ends = array("Q")

    def begin(self, path: str, subject: Subject) -> None:
        """Make the file of rows."""
        self._path = path
        self._rows = GrowingFile(f"{path}.rows")

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add rows.

        Raises
        ------
        BiofuseError
            If one is longer than SQLite takes.
        """
        from biofuse import native

        assert offsets is not None
        ids = variants.id if self._rsid_known else variants.id.blank()
        try:
            rows = native.bgi_rows(
                variants.chrom,
                ids.or_else("."),
                variants.position,
                variants.ref,
                variants.alt.or_else("."),
                offsets,
            )
        except native.NativeError as error:
            raise _error(error) from error
        self._rows.write(rows)
        self._ends.append(rows.nbytes + (self._ends[-1] if self._ends else 0))

    def rest(self) -> None:
        """Close the file of rows until there are more."""
        self._rows.rest()

    def finish(self, main: MainFile) -> None:
        """Write the database.

        Raises
        ------
        BiofuseError
            If it cannot be written.
        """
        import sqlite3

        self._rows.rest()
        try:
            root, num_pages = _make_database(self._path, main)
        except sqlite3.Error as error:
            raise _error(error) from error
        if self._ends and self._ends[-1]:
            with (
                open(self._rows.path, "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as rows,
                open(self._path, "r+b") as out,
            ):
                _write_tree(out, rows, self._ends, root, num_pages)
        self.abandon()

    def abandon(self) -> None:
        """Close and remove the file of rows."""
        self._rows.remove()


def _error(error: Exception) -> BiofuseError:
    return BiofuseError(f"the .bgi index cannot be written: {error}")


def new_index(
    path: str, name: str, size: int, modified_ns: int, first_bytes: bytes
) -> "sqlite3.Connection":
    """Make a database that has no variants yet, but what bgenix checks.

    Parameters
    ----------
    path : str
        What is made.
    name : str
        Of the `.bgen`.
    size, modified_ns : int
        Its bytes, and its time stamp in nanoseconds since 1970.
    first_bytes : bytes
        Of it, up to 1,000.

    Returns
    -------
    sqlite3.Connection
        With a transaction that is open.
    """
    import sqlite3

    from biofuse import native

    db = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in (
            f"page_size = {native.BgiPages.PAGE_SIZE}",
            "auto_vacuum = NONE",
            "encoding = 'UTF-8'",
            # The file is of no use before it is complete, so nothing need be rolled back.
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
        ):
            db.execute(f"PRAGMA {pragma}")
        db.execute("BEGIN")
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        now = "datetime('now', 'localtime')"
        # A name that is not UTF-8 cannot be a text of SQLite.
        text = os.fsencode(name).decode(errors="replace")
        db.execute(
            f"INSERT INTO Metadata VALUES (?, ?, ?, ?, {now})",
            (text, size, modified_ns // 10**9, first_bytes[:FIRST_BYTES]),
        )
    except BaseException:
        db.close()
        raise
    return db


def _make_database(path: str, main: MainFile) -> tuple[int, int]:
    """Make an index that has no variants yet.

    Returns
    -------
    root : int
        The page that the variants' tree begins with.
    num_pages : int
    """
    first = main.read_first(FIRST_BYTES)
    with contextlib.closing(new_index(path, main.name, main.size, main.modified_ns, first)) as db:
        db.execute("COMMIT")
        [(root,)] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Variant'")
        [(num_pages,)] = db.execute("PRAGMA page_count")
    return root, num_pages


def _write_tree(
    out: IO[bytes], rows: mmap.mmap, ends: "array[int]", root: int, num_pages: int
) -> None:
    """Put the rows into the empty tree of an open database."""
    from biofuse import native

    size = native.BgiPages.PAGE_SIZE
    pages = native.BgiPages(rows, ends, num_pages + 1)
    out.seek(num_pages * size)
    while data := pages.read(_SOME_PAGES):
        out.write(data)
        # What was read of the file is in the system's memory, and need not be in this process's.
        rows.madvise(mmap.MADV_DONTNEED)
    out.seek((root - 1) * size)
    out.write(pages.root)
    out.seek(_NUM_PAGES)
    out.write((pages.next_page - 1).to_bytes(4, "big"))
