"""The index of a BGEN file, `.bgen.bgi`: an SQLite database as bgenix makes it.

Schema: https://enkre.net/cgi-bin/code/bgen/wiki/The_bgenix_index_file_format.
"""

import itertools
import marshal
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from biofuse.children import child_environment, python_command
from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, Variants

if TYPE_CHECKING:
    import sqlite3

_FIRST_BYTES = 1000
# What a message of variants has.
_COLUMNS = ("chrom", "position", "rsid", "ref", "alt", "offsets")

# Rows a statement, of so many values: within what any SQLite takes.
_ROWS = 100
_VALUES = 7

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
    """Has the index written by a process of its own, while more variants are read.

    Parameters
    ----------
    rsid_known : bool
        Whether the file's rsids are the variants' IDs, not all missing.
    """

    suffix = ".bgen.bgi"

    def __init__(self, rsid_known: bool = True):
        self._rsid_known = rsid_known

    def begin(self, path: str, samples: Sequence[str]) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            python_command(__name__, path),
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _send(self, value) -> None:
        assert self._process.stdin is not None
        try:
            data = marshal.dumps(value)
            self._process.stdin.write(len(data).to_bytes(8, "little"))
            self._process.stdin.write(data)
        except BrokenPipeError:
            self._end()

    def _end(self) -> None:
        """Wait for the process.

        Raises
        ------
        BiofuseError
            If it failed.
        """
        _, said = self._process.communicate()
        if self._process.returncode != 0:
            lines = said.decode(errors="replace").split("\n")
            detail = next((line for line in reversed(lines) if line.strip()), "it was killed")
            raise BiofuseError(f"the .bgi index cannot be written: {detail}")

    def write(self, variants: Variants, offsets: Sequence[int] | None) -> None:
        """Add rows."""
        assert offsets is not None
        ids = variants.id if self._rsid_known else [""] * len(variants)
        self._send(
            (
                variants.chrom,
                variants.position,
                ids,
                variants.ref,
                variants.alt,
                list(offsets),
            )
        )

    def finish(self, main: MainFile) -> None:
        """Add what bgenix checks, and close the file.

        Raises
        ------
        BiofuseError
            If the index cannot be written.
        """
        seconds = main.modified_ns // 10**9
        # A name that is not UTF-8 cannot be a text of SQLite.
        name = os.fsencode(main.name).decode(errors="replace")
        self._send((name, main.size, seconds, main.read_first(_FIRST_BYTES)))
        self._end()

    def abandon(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _receive(messages: IO[bytes]) -> tuple:
    size = int.from_bytes(messages.read(8), "little")
    return marshal.loads(messages.read(size))


def _insert(db: "sqlite3.Connection", rows: Iterable[tuple]) -> None:
    """Add rows, many a statement: a third faster than one by one."""
    values = itertools.chain.from_iterable(rows)
    while group := tuple(itertools.islice(values, _ROWS * _VALUES)):
        places = ", ".join(["(?, ?, ?, 2, ?, ?, ?, ?)"] * (len(group) // _VALUES))
        db.execute(f"INSERT INTO Variant VALUES {places}", group)


def write_index(path: str, messages: IO[bytes]) -> None:
    """Write an index.

    Parameters
    ----------
    path : str
    messages : binary file
        Marshalled tuples, each after its size in eight bytes: columns of variants, with one
        offset more than there are, for every batch; at the end a name, a size, a time and
        the first bytes.
    """
    import sqlite3

    db = sqlite3.connect(path, isolation_level=None)
    # The file is of no use before it is complete, so nothing need be rolled back.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        db.execute(f"PRAGMA {pragma}")
    db.executescript(_SCHEMA)
    db.execute("BEGIN")
    while len(message := _receive(messages)) == len(_COLUMNS):
        *columns, offsets = message
        chrom, position, rsid, ref, alt = columns
        sizes = [stop - start for start, stop in itertools.pairwise(offsets)]
        rows = zip(
            chrom,
            position,
            [i or "." for i in rsid],
            ref,
            [a or "." for a in alt],
            offsets[:-1],
            sizes,
            strict=True,
        )
        _insert(db, rows)
    now = "datetime('now', 'localtime')"
    db.execute(f"INSERT INTO Metadata VALUES (?, ?, ?, ?, {now})", message)
    db.execute("COMMIT")
    db.close()


if __name__ == "__main__":
    write_index(sys.argv[1], sys.stdin.buffer)
