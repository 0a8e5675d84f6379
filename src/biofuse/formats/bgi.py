"""The index of a BGEN file, `.bgen.bgi`: an SQLite database as bgenix makes it.

Schema: https://enkre.net/cgi-bin/code/bgen/wiki/The_bgenix_index_file_format.
"""

import sqlite3
import time
from collections.abc import Sequence

from biofuse.formats.base import MainFile, Variants

_FIRST_BYTES = 1000

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
    """Writes the index.

    Parameters
    ----------
    rsid_known : bool
        Whether the file's rsids are the variants' IDs, not all missing.
    """

    suffix = ".bgen.bgi"

    def __init__(self, rsid_known: bool = True):
        self._rsid_known = rsid_known

    def begin(self, path: str, samples: Sequence[str]) -> None:
        """Make the database."""
        self._db = sqlite3.connect(path, isolation_level=None)
        # The file is of no use before it is complete, so nothing need be rolled back.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")

    def write(self, variants: Variants, offsets: Sequence[int] | None) -> None:
        """Add rows."""
        assert offsets is not None
        starts = list(offsets)
        count = len(variants)
        ids = [i or "." for i in variants.id] if self._rsid_known else ["."] * count
        rows = zip(
            variants.chrom,
            variants.position,
            ids,
            variants.ref,
            [alt or "." for alt in variants.alt],
            starts[:-1],
            (stop - start for start, stop in zip(starts, starts[1:], strict=False)),
            strict=True,
        )
        self._db.executemany("INSERT INTO Variant VALUES (?, ?, ?, 2, ?, ?, ?, ?)", rows)

    def finish(self, main: MainFile) -> None:
        """Add what bgenix checks, and close the file."""
        self._db.execute(
            "INSERT INTO Metadata VALUES (?, ?, ?, ?, ?)",
            (
                main.name,
                main.size,
                main.modified_ns // 10**9,
                main.read_first(_FIRST_BYTES),
                int(time.time()),
            ),
        )
        self._db.execute("COMMIT")
        self._db.close()
