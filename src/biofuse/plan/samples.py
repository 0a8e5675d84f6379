"""Which samples a selection keeps."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.options import SamplesFile, Selection

NO_SAMPLES = "no samples are left: the selection has none of the store's"
# How many names a message has.
_NAMED = 5
# What bcftools call has in a second column: ploidy or sex.
_PLOIDY_OR_SEX = frozenset("012MF")


def select_samples(
    sample_id: np.ndarray, selection: Selection
) -> tuple[np.ndarray | None, list[str]]:
    """Indices of the samples that a selection keeps, and what its user should know.

    Parameters
    ----------
    sample_id : ndarray of str, shape (samples,)
        The store's; an empty ID is no sample.
    selection : Selection

    Returns
    -------
    samples : ndarray of int64, shape (kept,), or None
        In the order in which they are named, or the store's where they are those left by
        leaving out. None for all of the store, in order.
    warnings : list of str

    Raises
    ------
    BiofuseError
        If a sample is named that the store does not have, or one twice, or none is left.
    """
    if selection.samples is None and selection.samples_file is None:
        there = np.flatnonzero(np.asarray(sample_id != ""))
        return None if len(there) == len(sample_id) else there, []
    ids = sample_id.tolist()
    index = {name: i for i, name in enumerate(ids) if name != ""}
    warnings: list[str] = []
    file = selection.samples_file
    if file is not None:
        given = f"-S {file.name}"
        names, exclude = _names_of(file, index), file.exclude
    else:
        assert selection.samples is not None
        given = "-s"
        exclude = selection.samples.startswith("^")
        names = selection.samples.removeprefix("^").split(",")
    unknown = [name for name in dict.fromkeys(names) if name not in index]
    if unknown:
        text = f"the store has no {_samples(unknown)}, which {given} names"
        if not selection.force_samples:
            raise BiofuseError(f"{text}; --force-samples leaves such out")
        warnings.append(f"{text}: left out")
    if exclude:
        left_out = set(names)
        kept = [i for i, name in enumerate(ids) if name != "" and name not in left_out]
    else:
        known = [name for name in names if name in index]
        twice = _first_repeated(known)
        if twice is not None:
            raise BiofuseError(f"duplicate sample {twice!r}: {given} names it more than once")
        counts = Counter(ids)
        unclear = next((name for name in known if counts[name] > 1), None)
        if unclear is not None:
            raise BiofuseError(f"the store has more than one sample {unclear!r}")
        kept = [index[name] for name in known]
    if not kept and (names or not exclude):
        raise BiofuseError(NO_SAMPLES)
    if kept == list(range(len(ids))):
        return None, warnings
    return np.array(kept, dtype=np.int64), warnings


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _samples(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
    return f"sample {shown}" if len(names) == 1 else f"samples {shown} ({len(names)} in all)"


def _names_of(file: SamplesFile, known: Collection[str]) -> list[str]:
    """The samples of a file: a line each, or a column of it.

    A line that is a sample's name is that. Of more columns, the first two are FID and IID, as in
    PLINK's files, or a sample and its ploidy or sex, as in bcftools'; where no header says so, the
    column that has more of the store's names has the samples.
    """
    lines = file.lines
    fields = [line.split(None, 2) for line in lines]
    column = _column_of_header(fields[0]) if fields and lines[0] not in known else None
    if column is not None:
        return [f[min(column, len(f) - 1)] for f in fields[1:]]
    pairs = [f for line, f in zip(lines, fields, strict=True) if len(f) > 1 and line not in known]
    first, second = (sum(f[i] in known for f in pairs) for i in (0, 1))
    if (
        first == second > 0
        and {f[1] for f in pairs} <= _PLOIDY_OR_SEX
        and any(f[0] != f[1] for f in pairs)
    ):
        raise BiofuseError(
            f"both columns of {file.name} have names of samples of the store: leave the one that "
            "is not meant out, or begin the file with a line '#FID IID'"
        )
    column = 1 if second >= first else 0
    names = []
    for line, f in zip(lines, fields, strict=True):
        if line in known or len(f) == 1:
            names.append(line if line in known else f[0])
        else:
            names.append(f[column] if f[column] in known or first + second else line)
    return names


def _column_of_header(fields: Sequence[str]) -> int | None:
    """The column of samples that a header names; None if this is none."""
    names = [field.removeprefix("#").upper() for field in fields[:2]]
    if names == ["FID", "IID"]:
        return 1
    return 0 if fields[0].upper() == "#IID" else None
