"""Files of what is known of samples and of genetic positions, which options name.

They are read once, by the process that a user started, as those of a selection are, and travel
as they are: the plan's process takes them apart.
"""

import base64
import os
from collections.abc import Iterator

from biofuse.errors import BiofuseError, one_line
from biofuse.options import NamedFile
from biofuse.selection_files import STANDARD_INPUT, STANDARD_INPUT_NAME

# Bytes of a file, as it is on disk.
_MOST = 512 << 20
# What may stand in a file's name for a chromosome, by the names that PLINK gives it.
_CHROMOSOMES = {
    **{str(i): (str(i),) for i in range(1, 23)},
    "X": ("X", "23"),
    "Y": ("Y", "24"),
    "XY": ("XY", "25"),
    "MT": ("MT", "M", "26"),
}


def read_table(path: str, option: str) -> NamedFile:
    """Read a file; `-` is standard input.

    Parameters
    ----------
    path : str
    option : str
        That names it.

    Raises
    ------
    BiofuseError
        If it cannot be read, or is larger than such files are.
    """
    data = _read(path, option, _MOST)
    return NamedFile(STANDARD_INPUT_NAME if path in STANDARD_INPUT else path, data)


def read_genetic_map(path: str, option: str = "--genetic-map") -> list[NamedFile]:
    """Read a genetic map: a file, or all of one a chromosome where `@` in its name stands for it.

    Raises
    ------
    BiofuseError
        If it cannot be read, there is none, or all together are larger than such files are.
    """
    if "@" not in os.path.basename(path) or os.path.exists(path):
        return [read_table(path, option)]
    found: list[NamedFile] = []
    left = _MOST
    for chromosome, name in _files_of(path):
        data = _read(name, option, left)
        left -= len(data) // 4 * 3
        found.append(NamedFile(name, data, chromosome))
    if not found:
        raise BiofuseError(
            f"{option} {path}: there is no such file, with 1 to 22, X, Y, XY or MT in place of @"
        )
    return found


def _files_of(pattern: str) -> Iterator[tuple[str, str]]:
    """The chromosomes for which there is a file, and its name."""
    folder, file = os.path.split(pattern)
    for chromosome, codes in _CHROMOSOMES.items():
        for code in codes:
            name = os.path.join(folder, file.replace("@", code, 1))
            if os.path.exists(name):
                yield chromosome, name
                break


def _read(path: str, option: str, most: int) -> str:
    if not path:
        raise BiofuseError(f"the name of the file of {option} is empty")
    is_input = path in STANDARD_INPUT
    shown = STANDARD_INPUT_NAME if is_input else path
    try:
        with open(0 if is_input else path, "rb", closefd=not is_input) as file:
            is_larger = os.fstat(file.fileno()).st_size > most
            data = b"" if is_larger else file.read(most + 1)
    except OSError as error:
        raise BiofuseError(
            f"cannot read {shown}, which {option} names: {error.strerror or one_line(error)}"
        ) from error
    if is_larger or len(data) > most:
        raise BiofuseError(
            f"{shown} is larger than {_MOST >> 20} MiB, which no file for {option} may be"
        )
    return base64.b64encode(data).decode()
