"""Compare a file that was written with what it should be."""

import os
from collections.abc import Callable

from biofuse.encode.maker import PIECE, Maker
from biofuse.errors import BiofuseError
from biofuse.export.journal import Span, missing_spans
from biofuse.export.team import Team


class DifferentError(BiofuseError):
    """What was written is not on disk."""


def verify_file(
    maker: Maker,
    file: int,
    size: int,
    fd: int,
    name: str,
    threads: int,
    progress: Callable[[int], None],
) -> None:
    """Read a file from the disk, and make its bytes again.

    Raises
    ------
    DifferentError
        If they differ.
    BiofuseError
        If they cannot be made.
    """
    if os.fstat(fd).st_size != size:
        raise DifferentError(f"{name} was written with {os.fstat(fd).st_size} bytes, not {size}")
    # What is in memory is not what is to be looked at.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def compare(span: Span) -> None:
        made = memoryview(bytearray(span[1] - span[0]))
        maker.read_into(file, span[0], made)
        found = os.pread(fd, len(made), span[0])
        if found != made:
            at = next(
                (i for i, pair in enumerate(zip(found, made, strict=False)) if pair[0] != pair[1]),
                len(found),
            )
            raise DifferentError(
                f"{name} is not on disk what was written: it differs from byte {span[0] + at:,} on"
            )

    with Team(missing_spans(size, [], PIECE), compare, threads) as team:
        goes_on = True
        while goes_on:
            done, goes_on = team.take(1.0)
            progress(sum(stop - start for start, stop in done))
