"""Exports that are ended at each of their system calls, and begun again: a program of its own.

Run with one argument, of JSON: `store`, `folder`, `formats`, `compress` (or null), `dask`,
`samples` of another export, and `how` they end: "kill" or "error". Each is begun again in each of
`ways`: "again"; as the "other" export, of the same name; "back", as itself after the other one was
ended at the same call. Writes what was not as it should be, a line each, and at the end how many
calls there were.
"""

import errno
import json
import os
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

from biofuse.api.fileset import Fileset, open_fileset
from biofuse.errors import BiofuseError
from biofuse.export import compress, spans
from biofuse.export.cluster import Cluster
from biofuse.export.local import export_to_folder

# All by which an export changes what is on disk, but for the bytes of files.
CALLS = (
    *("open", "mkdir", "ftruncate", "write", "fsync", "fdatasync"),
    *("utime", "replace", "rename", "unlink", "rmdir"),
)
_KILLED, _FAILED, _WENT_ON = 99, 98, 97


class Workers(Cluster):
    """A cluster of threads of this process."""

    threads = 2

    def __init__(self):
        pass

    def send(self, package):
        return package

    def span_size(self, size):
        return spans.PIECE

    def executor(self):
        return ThreadPoolExecutor(2)


class Ending:
    """Lets the calls of `os` be, until the one of a number."""

    def __init__(self, number: int, how: str):
        self.left = number
        self._how = how
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call):
        def counted(*arguments, **more):
            self.left -= 1
            if self.left == 0:
                if self._how == "kill":
                    os._exit(_KILLED)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return call(*arguments, **more)

        return counted


def export(fileset: Fileset, folder: str, asked: dict, number: int = 0) -> int:
    """Export in a process of its own, which ends at a call; returns how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = _FAILED
    try:
        ending = Ending(number, asked["how"]) if number else None
        method = asked["compress"]
        export_to_folder(
            fileset,
            folder,
            json.dumps(sorted(fileset.files.items())),
            compression=compress.Compression.parse(method) if method else None,
            cluster=Workers() if asked["dask"] else None,
        )
        # An error may be one that does not matter.
        code = _WENT_ON if ending and ending.left <= 0 else 0
    except Exception as error:
        # Of what was ended nothing but this is said.
        if not number or not isinstance(error, BiofuseError):
            print(f"failed in {folder}: {error!r}")
    finally:
        sys.stdout.flush()
        os._exit(code)


def content(path: str):
    """What is in a file, but for the times that a `.bgi` has."""
    if not path.endswith(".bgi"):
        with open(path, "rb") as file:
            return file.read()
    with sqlite3.connect(path) as index:
        rows = index.execute("SELECT * FROM Variant ORDER BY file_start_position").fetchall()
        # bgenix takes no index of a file of another time.
        [(size, seconds)] = index.execute("SELECT file_size, last_write_time FROM Metadata")
    status = os.stat(path.removesuffix(".bgi"))
    return rows, (size, seconds) == (status.st_size, int(status.st_mtime))


def compare(folder: str, expected: str, what: str) -> None:
    names = sorted(os.listdir(expected))
    if sorted(os.listdir(folder)) != names:
        print(f"{what}: {sorted(os.listdir(folder))} in place of {names}")
        return
    for name in names:
        if content(f"{folder}/{name}") != content(f"{expected}/{name}"):
            print(f"{what}: {name} is not what it should be")


def main(asked: dict) -> None:
    # What is killed loses nothing of what it has written.
    os.fsync = os.fdatasync = lambda fd: None
    spans.PIECE = compress._BLOCK = 4096
    spans._SYNC_BYTES = compress._SYNC_BYTES = 1
    more = {"formats": asked["formats"], "no_cache": True}
    whole = open_fileset(asked["store"], **more)
    # Its files have the same size, and other bytes.
    other = open_fileset(asked["store"], **more, samples=asked["samples"])
    home = asked["folder"]
    for name, fileset in (("whole", whole), ("other", other)):
        os.mkdir(f"{home}/{name}")
        assert export(fileset, f"{home}/{name}", asked) == 0
    number = 0
    while True:
        number += 1
        for way in asked["ways"]:
            folder = f"{home}/{number}-{way}"
            os.mkdir(folder)
            code = export(whole, folder, asked, number)
            if code == 0:
                print(number - 1)
                return
            if way == "other":
                export(other, folder, asked)
            elif way == "back":
                export(other, folder, asked, number)
            if way != "other":
                export(whole, folder, asked)
            expected = f"{home}/{'other' if way == 'other' else 'whole'}"
            compare(folder, expected, f"call {number}, {way}")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
