"""What a table says of a view's samples, as formats show it."""

import re
from collections.abc import Sequence

import numpy as np

from biofuse import native
from biofuse.errors import BiofuseError
from biofuse.formats.base import Phenotype, SampleTable
from biofuse.options import NamedFile
from biofuse.plan.file_text import shown
from biofuse.plan.sample_file import FID, IID, MAT, PAT, SEX, SampleFile, equal
from biofuse.plan.texts import Array, TextArray

# How many names a message has.
_NAMED = 8
_NO_ID = ("0", "NA")
_NO_VALUE = ("NA", "NaN", "N/A", ".", "-9", "NONE")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# What plink2 takes for the beginning of a number.
_LIKE_A_NUMBER = re.compile(r"[+-]?\.?\d", re.ASCII)
# What numbers are written with, and what separates them.
_OF_NUMBERS = np.frombuffer(b"0123456789+-.eE\n", np.uint8)
_DIGITS = re.compile(r"\d+|\D", re.ASCII)
_CONTROL, _CASE, _MISSING = 1.0, 2.0, -9.0


def read_sample_table(
    file: NamedFile, wanted: Sequence[str], samples: Sequence[str], has_fam: bool = True
) -> tuple[SampleTable, list[str]]:
    """What a file says of samples, and what its user should know.

    Parameters
    ----------
    file : NamedFile
    wanted : sequence of str
        Phenotypes to show. If there is none, that of a `.fam` is shown.
    samples : sequence of str
        IDs.
    has_fam : bool
        Whether there is to be a `.fam`.

    Returns
    -------
    table : SampleTable
    said : list of str

    Raises
    ------
    BiofuseError
        If the file cannot be understood, has a sample twice or none of these, or no such
        phenotype.
    """
    found = SampleFile.read(file)
    _check_use(found, wanted)
    rows = _rows_of(found, samples)
    sexes = found.sexes()
    known = {name: _without(found, name) for name in (FID, PAT, MAT) if name in found.names}
    sex = _texts("12", sexes.astype(np.int64) - 1)
    nothing = _take(sex, np.full(len(rows), -1))

    def of(name: str) -> native.Texts:
        column = known.get(name)
        return (nothing if column is None else _take(column, rows)).column()

    table = SampleTable(
        fid=of(FID) if FID in known else native.Texts.of(samples),
        pat=of(PAT),
        mat=of(MAT),
        sex=_take(sex, rows).column(),
    )
    said = [_summary(found, rows, sexes)]
    for name in wanted or (found.phenotypes if found.is_fam else ()):
        phenotype = _phenotype(found, name, rows)
        if wanted or _has_values(found, name):
            table.phenotypes.append(phenotype)
            if phenotype.zero_one:
                said.append(
                    f"the phenotype {name} is 0 and 1, shown as it is: plink and plink2 take 1 for "
                    "controls and 0 for missing, unless told --1"
                )
    if has_fam and table.phenotypes and table.phenotypes[0].kind == "categorical":
        said.append(
            f"the phenotype {table.phenotypes[0].name} is of categories, which a .fam does not "
            "hold: its sixth column is -9"
        )
    return table, said


def _check_use(found: SampleFile, wanted: Sequence[str]) -> None:
    """Raise `BiofuseError` if a phenotype is not there, or nothing that can be shown is."""
    names = found.phenotypes
    has = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    for name in wanted:
        if name not in names:
            raise BiofuseError(f"{found.name} has no phenotype {name}: it has {has or 'none'}")
        if name.split() != [name]:
            raise BiofuseError(
                f"the phenotype {name!r} of {found.name} has white space in its name, which "
                "separates the columns of the files to show"
            )
    if not wanted and not any(name in found.names for name in (FID, PAT, MAT, SEX)):
        raise BiofuseError(
            f"{found.name} has none of the columns SEX, PAT, MAT and FID"
            + (f"; --pheno-name shows one of {has}" if has else "")
        )


def _rows_of(found: SampleFile, samples: Sequence[str]) -> Array:
    """The row of each sample, -1 where there is none.

    Raises
    ------
    BiofuseError
        If one is there twice, or none of them is.
    """
    ids = list(found.column(IID).column())
    index = dict(zip(ids, range(len(ids)), strict=True))
    if "" in index:
        raise BiofuseError(f"{found.where(index[''])} has no IID")
    if len(index) < len(ids):
        seen: dict[str, int] = {}
        for row, name in enumerate(ids):
            if name in seen:
                raise BiofuseError(
                    f"sample {shown(name)} is in {found.where(row)} for the second time, after "
                    f"line {found.lines[seen[name]]}"
                )
            seen[name] = row
    if ids == list(samples):
        return np.arange(len(ids))
    rows = np.array([index.get(name, -1) for name in samples], np.int64)
    if not (rows >= 0).any():
        raise BiofuseError(
            f"{found.name} has none of the samples to show: it has {shown(ids[0])} in line "
            f"{found.lines[0]}, and the first one to show is {shown(samples[0])}"
        )
    return rows


def _summary(found: SampleFile, rows: Array, sexes: Array) -> str:
    there = rows[rows >= 0]
    text = f"{found.name} has {len(there):,} of {len(rows):,} samples"
    if SEX not in found.names:
        return text
    male, female = (int((sexes[there] == code).sum()) for code in (1, 2))
    unknown = len(rows) - male - female
    return f"{text}: {male:,} male, {female:,} female, {unknown:,} of unknown sex"


def _texts(characters: str, which: Array) -> TextArray:
    """Texts of one of these characters each, or empty ones where that is below 0."""
    data = memoryview(characters.encode())
    return TextArray(data, np.maximum(which, 0).astype(np.uint64), (which >= 0).astype(np.uint32))


def _take(column: TextArray, rows: Array) -> TextArray:
    """Some rows of a column, an empty text where the row is -1; one after another in memory."""
    sizes = np.where(rows < 0, np.uint32(0), column.sizes[rows])
    return _packed(TextArray(column.data, column.starts[rows], sizes))


def _packed(column: TextArray) -> TextArray:
    """The same texts, one after another in bytes of their own, a line feed after each."""
    data = native.text_rows([column.column()], "\n")
    ends = np.cumsum(column.sizes + np.uint64(1), dtype=np.uint64)
    return TextArray(memoryview(data), ends - column.sizes - np.uint64(1), column.sizes)


def _blank(column: TextArray, tokens: Sequence[str]) -> TextArray:
    """A column with nothing in place of some texts, in any case."""
    sizes = column.sizes.copy()
    for token in tokens:
        sizes[equal(column, token)] = 0
    return TextArray(column.data, column.starts, sizes)


def _without(found: SampleFile, name: str) -> TextArray:
    """A column of IDs, nothing in place of those that stand for none."""
    return _blank(found.words(name), _NO_ID)


def _has_values(found: SampleFile, name: str) -> bool:
    """Whether a `.fam` has any phenotypes: of cases and controls, 0 is missing too."""
    column = _blank(found.column(name), (*_NO_VALUE, "0"))
    return bool((column.sizes > 0).any())


def _phenotype(found: SampleFile, name: str, rows: Array) -> Phenotype:
    """A phenotype, of the kind that plink2 takes the whole column for.

    Raises
    ------
    BiofuseError
        If plink2 would not take it.
    """
    column = _packed(_blank(found.words(name), _NO_VALUE))
    values = list(column.column())
    numbers = _numbers(column, values)
    if numbers is None:
        return _categorical(found, name, column, values, rows)
    # However it is written.
    column.sizes[numbers == _MISSING] = 0
    numbers[numbers == _MISSING] = np.nan
    wrong = np.flatnonzero(np.isinf(numbers))
    if len(wrong):
        raise BiofuseError(
            f"{name} in {found.where(int(wrong[0]))} is {shown(values[wrong[0]])}, which is too "
            "large a number"
        )
    there = set(np.unique(numbers[~np.isnan(numbers)]).tolist())
    if name in found.binary and there <= {0.0, _CONTROL}:
        numbers, there = numbers + 1, {value + 1 for value in there}
    if not there <= {0.0, _CONTROL, _CASE}:
        shown_values = _take(column, rows).column()
        return Phenotype(name, "quantitative", shown_values, shown_values)
    codes = np.nan_to_num(numbers, nan=-1).astype(np.int64)
    if _CASE not in there and 0.0 in there:
        zero_one = _take(_texts("01", codes), rows).column()
        return Phenotype(name, "binary", zero_one, zero_one, zero_one=True)
    codes = np.maximum(codes - 1, -1)
    return Phenotype(
        name,
        "binary",
        _take(_texts("12", codes), rows).column(),
        _take(_texts("01", codes), rows).column(),
    )


def _numbers(column: TextArray, values: Sequence[str]) -> Array | None:
    """Values as numbers, NaN where there is none; None if one is something else."""
    if not np.isin(np.frombuffer(column.data, np.uint8), _OF_NUMBERS).all():
        return None
    try:
        return np.array([value or "nan" for value in values], np.float64)
    except ValueError:
        return None


def _categorical(
    found: SampleFile, name: str, column: TextArray, values: Sequence[str], rows: Array
) -> Phenotype:
    words = {value for value in set(values) if value and _NUMBER.fullmatch(value) is None}
    first = next(row for row, value in enumerate(values) if value in words)
    number = next((row for row, v in enumerate(values) if v and v not in words), None)
    if number is not None:
        raise BiofuseError(
            f"the phenotype {name} is {shown(values[first])} in {found.where(first)} and "
            f"{shown(values[number])} in line {found.lines[number]}: numbers or words are wanted"
        )
    like = next((row for row, v in enumerate(values) if _LIKE_A_NUMBER.match(v)), None)
    if like is not None:
        raise BiofuseError(
            f"the phenotype {name} is {shown(values[like])} in {found.where(like)}, which begins "
            "as a number and is none: plink2 does not take it"
        )
    order = sorted(words, key=_natural)
    code = {word: str(i) for i, word in enumerate(order, 1)}
    codes = TextArray.of([code.get(value, "") for value in values])
    return Phenotype(name, "categorical", _take(column, rows).column(), _take(codes, rows).column())


def _natural(word: str) -> tuple[list[tuple[str, int]], str]:
    """A key for the natural order: numbers by their size, letters in any case."""
    parts = [
        ("0", int(part)) if part[0] in "0123456789" else (part.upper(), 0)
        for part in _DIGITS.findall(word)
    ]
    return parts, word
