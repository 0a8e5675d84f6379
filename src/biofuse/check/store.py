"""Read every chunk of every array of a store once, and tell what is wrong."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from biofuse.check.decode import Decoder, DecodingError
from biofuse.check.findings import Finding, Report
from biofuse.check.shapes import check_shapes
from biofuse.check.values import Values
from biofuse.errors import BiofuseError, one_line
from biofuse.formats.base import CALL_FIELDS
from biofuse.memory import format_size
from biofuse.plan.absent import NEEDED, AbsentChunks, shown_as
from biofuse.plan.grid import Grid, Presence, presence
from biofuse.stores import Location, Range, Store, open_store
from biofuse.stores.limits import most_stored
from biofuse.stores.located import located
from biofuse.stores.location import open_group
from biofuse.stores.members import Members

if TYPE_CHECKING:
    import zarr

# Bytes that chunks under way may take, and the copies of one while it is decoded and looked at.
_MEMORY = 512 << 20
_COPIES = 3
# A chunk that is larger is not decoded.
_MAX_CHUNK = 4 << 30
# Keys of absent chunks that a report has of an array.
_KEYS_KEPT = 1000
# What a group's folder has.
_OF_GROUPS = ("/.zgroup", "/zarr.json")
# What may be in the store's folder and is no array.
_OF_ROOT = (".zgroup", ".zattrs", ".zmetadata", "zarr.json")
# More variants than files of genotypes hold.
_MAX_VARIANTS = 2**32
# Fields of which no part is likely to be of the fill value alone where another is not.
_TELLING = (*CALL_FIELDS, "variant_id")


@dataclass
class _Result:
    """What reading a chunk came to."""

    number: int
    absent: bool = False
    size: int = 0
    kind: str = ""
    texts: tuple[str, ...] = ()


class StoreCheck:
    """The check of a store.

    Parameters
    ----------
    location : Location
    threads : int
    fill : bool
        Whether chunks that are not stored are never more than a note.
    progress : callable
        Called with the chunks read so far and their number.
    """

    def __init__(
        self,
        location: Location,
        threads: int,
        fill: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ):
        self.report = Report()
        self._location = location
        self._threads = threads
        self._fill = fill
        self._progress = progress
        self._total = 0

    def run(self) -> Report:
        """Check the store.

        Raises
        ------
        BiofuseError
            If there is no Zarr group, or it cannot be read at all.
        """
        with warnings.catch_warnings():
            # What zarr-python warns of is looked at here.
            warnings.simplefilter("ignore")
            return self._run()

    def _run(self) -> Report:
        self._location = located(self._location)
        self._group = open_group(self._location, plain=False)
        self._store = open_store(self._location)
        arrays = self._arrays = self._open_arrays()
        self.report.arrays = len(arrays)
        for finding in check_shapes(arrays):
            self.report.add(finding)
        found = {name: self._presence(name, array) for name, array in arrays.items()}
        self._total = sum(len(each.grid) for each in found.values() if each is not None)
        self._values = self._begin_values(arrays)
        with ThreadPoolExecutor(self._threads) as pool:
            for name in _in_order(arrays):
                each = found[name]
                if each is not None:
                    self._check_array(pool, arrays[name], each)
        self._progress(self._total, self._total)
        return self.report

    def _open_arrays(self) -> dict[str, Any]:
        """All arrays by path; those that cannot be opened are findings."""
        arrays = {}
        names = _array_names(self._store, self._group)
        for name, first in _without_metadata(self._store, names).items():
            text = f"has files, such as {first}, and no metadata (.zarray or zarr.json)"
            self.report.add(Finding("unreadable", name, None, text))
        for name in names:
            try:
                array = self._group[name]
                Grid(array)
            except Exception as error:
                text = f"has metadata that cannot be read: {one_line(error)}"
                self.report.add(Finding("unreadable", name, None, text))
            else:
                arrays[name] = array
        return arrays

    def _presence(self, name: str, array: "zarr.Array[Any]") -> Presence | None:
        try:
            found = presence(self._store, array)
        except BiofuseError as error:
            text = str(error).removeprefix(f"{name} ")
            self.report.add(Finding("names", name, None, text))
            return None
        if found is None:
            return Presence(Grid(array))
        if found.strange:
            text = (
                f"has {len(found.strange)} files that no chunk of it has the name of, such as "
                f"{name}/{found.strange[0]}"
            )
            self.report.add(Finding("names", name, None, text, note=True))
        return found

    def _begin_values(self, arrays: dict[str, Any]) -> Values:
        contigs: tuple[int, ...] = arrays["contig_id"].shape if "contig_id" in arrays else ()
        lengths = None
        if "contig_length" in arrays and len(contigs) == 1:
            try:
                lengths = np.asarray(arrays["contig_length"][:]).astype(np.int64)
            except Exception:
                # Told where its chunks are read.
                lengths = None
            if lengths is not None and lengths.shape != contigs:
                lengths = None
        shape: tuple[int, ...] = (
            arrays["variant_position"].shape if "variant_position" in arrays else ()
        )
        variants = shape[0] if shape and shape[0] < _MAX_VARIANTS else 0
        return Values(variants, contigs[0] if len(contigs) == 1 else None, lengths)

    def _check_array(
        self, pool: ThreadPoolExecutor, array: "zarr.Array[Any]", found: Presence
    ) -> None:
        grid = found.grid
        fits = self._fits(array)
        fill = array.fill_value
        gone = {*found.absent, *found.broken}
        for number in gone:
            if fits:
                self._values.lacks(grid, number, fill if number not in found.broken else None)
        for number, what in found.broken.items():
            key = grid.key(number)
            self.report.add(Finding("unreadable", grid.name, key, f"is {what}"))
        self._count(len(gone))
        decoder = Decoder(array)
        if decoder.decoded_size > _MAX_CHUNK:
            text = f"has chunks of {format_size(decoder.decoded_size)}, which are not decoded"
            self.report.add(Finding("length", grid.name, None, text))
            self._count(len(grid) - len(gone))
            return
        wanted = (number for number in range(len(grid)) if number not in gone)
        most = most_stored(grid.name, array)
        reader = _Reader(self._store, decoder, grid, most, self._values if fits else None)
        at_once = _MEMORY // (_COPIES * max(1, decoder.decoded_size))
        absent = list(found.absent)
        for result in _in_parallel(pool, reader.read, wanted, min(2 * self._threads, at_once)):
            self._count(1)
            self.report.bytes_read += result.size
            if result.absent:
                absent.append(result.number)
            if (result.absent or result.kind in ("unreadable", "undecodable")) and fits:
                self._values.lacks(grid, result.number, fill if result.absent else None)
            for text in result.texts:
                key = grid.key(result.number)
                self.report.add(Finding(result.kind, grid.name, key, text))
        self._judge_absent(Presence(grid, sorted(absent)))
        if fits:
            self._finish_array(grid, set(absent))

    def _fits(self, array: "zarr.Array[Any]") -> bool:
        """Whether values of an array can be compared with those of others."""
        name = array.path
        if not name.startswith(("variant_", "call_")):
            return True
        position = self._arrays.get("variant_position")
        return (
            position is not None
            and array.dtype.kind != "c"
            and array.ndim > 0
            and array.shape[0] == position.shape[0] < _MAX_VARIANTS
        )

    def _finish_array(self, grid: Grid, absent: set[int]) -> None:
        for place, text in self._values.finish(grid.name):
            number = place // grid.size[0] if grid.name == "variant_contig" else place
            if number not in absent:
                self.report.add(Finding("range", grid.name, grid.key(number), text))

    def _judge_absent(self, found: Presence) -> None:
        """Tell of chunks that are not stored: whether they may be right."""
        if not found.absent:
            return
        wrong = [] if self._fill else self._surely_lost(found)
        notes = sorted(set(found.absent) - set(wrong))
        for numbers, text, note in (
            (wrong, self._why_lost(found.grid.name), False),
            (notes, "which is right if zarr left them out", True),
        ):
            if numbers:
                part = Presence(found.grid, numbers)
                keys = tuple(found.grid.key(number) for number in numbers[:_KEYS_KEPT])
                self.report.add(
                    Finding(
                        "missing",
                        found.grid.name,
                        part.first(),
                        f"{part.counted()}, {text}",
                        note,
                        len(numbers),
                        keys,
                    )
                )

    def _surely_lost(self, found: Presence) -> list[int]:
        grid = found.grid
        if grid.name == "variant_allele":
            # Sites of few alleles have nothing in the others.
            return [n for n in found.absent if len(grid.counts) < 2 or not grid.index(n)[1]]
        if grid.name in NEEDED:
            return found.absent
        if grid.name in _TELLING:
            return found.absent if len(found.absent) < len(grid) else []
        if grid.name == "variant_contig" and "variant_position" in self._arrays:
            looker = AbsentChunks(self._group, self._store)
            try:
                return looker.out_of_order(grid, found.absent)
            except BiofuseError:
                # Contigs or positions cannot be read, which is told of them.
                return []
        return []

    def _why_lost(self, name: str) -> str:
        if name in NEEDED:
            return f"and {NEEDED[name]} cannot be right"
        if name == "variant_contig":
            return "and the variants are out of order there"
        shown = shown_as(name, self._arrays[name])
        return f"where others are: a copy lost them, if not all was {shown}"

    def _count(self, chunks: int) -> None:
        self.report.chunks += chunks
        self._progress(self.report.chunks, self._total)


class _Reader:
    """Reads, decodes and looks at chunks of an array. Used by several threads."""

    def __init__(
        self, store: Store, decoder: Decoder, grid: Grid, most: int, values: Values | None
    ):
        self._store = store
        self._decoder = decoder
        self._grid = grid
        self._most = most
        self._values = values

    def read(self, number: int) -> _Result:
        """Read a chunk."""
        key = self._grid.key(number)
        try:
            [piece] = self._store.get_many([Range(key, 0, self._most + 1)])
        except Exception as error:
            text = one_line(error).removeprefix(f"{key} ")
            return _Result(number, kind="unreadable", texts=(text,))
        if piece is None:
            return _Result(number, absent=True)
        size = len(piece.data)
        if piece.size > self._most:
            text = f"is of {piece.size:,} bytes, and no more than {self._most:,} are possible"
            return _Result(number, size=size, kind="length", texts=(text,))
        try:
            values = self._decoder.decode(number, piece.data)
        except DecodingError as error:
            kind = "undecodable" if "decoded" in str(error) else "length"
            return _Result(number, size=size, kind=kind, texts=(str(error),))
        texts = () if self._values is None else self._values.check(self._grid, number, values)
        return _Result(number, size=size, kind="range", texts=tuple(texts))


def _array_names(store: Store, group: Members) -> list[str]:
    """Paths of all arrays, those too that consolidated metadata alone or a lost link knows of."""
    names: set[str] = set()
    listing = None if store.far else store.listing("")
    if listing is not None:
        for name in listing.names:
            folder, _, file = name.rpartition("/")
            if folder and file == ".zarray":
                names.add(folder)
        for name in listing.broken:
            folder, _, file = name.rpartition("/")
            if folder and file in (".zarray", "zarr.json"):
                names.add(folder)
        names.update(name for name in listing.lost_folders() if name not in _OF_ROOT)
    try:
        members = group.members(max_depth=None)
    except Exception:
        # What one of them is like that stops them all is told when it is opened.
        found = [] if listing is None else listing.names
        return sorted(names | {n.rpartition("/")[0] for n in found if n.endswith("/zarr.json")})
    return sorted(names | {path for path, member in members if hasattr(member, "shape")})


def _without_metadata(store: Store, names: list[str]) -> dict[str, str]:
    """Folders with files and no array in them, and the first of their files."""
    listing = None if store.far else store.listing("")
    if listing is None:
        return {}
    inside = {f"{name}/" for name in names}
    groups = {name.rpartition("/")[0] for name in listing.names if name.endswith(_OF_GROUPS)}
    found: dict[str, str] = {}
    for name in sorted(listing.names):
        folder = name.split("/", 1)[0]
        if "/" in name and folder not in groups and f"{folder}/" not in inside:
            found.setdefault(folder, name)
    return found


def _in_order(arrays: dict[str, Any]) -> list[str]:
    """Names of arrays, those that others are compared with first."""
    first = [name for name in Values.FIRST if name in arrays]
    return [*first, *(name for name in arrays if name not in first)]


def _in_parallel(
    pool: ThreadPoolExecutor,
    task: Callable[[int], _Result],
    numbers: Iterator[int],
    at_once: int,
) -> Iterator[_Result]:
    """Results of a task, in order, with so many under way at most."""
    waiting: deque[Future[_Result]] = deque()
    for number in numbers:
        waiting.append(pool.submit(task, number))
        if len(waiting) >= max(1, at_once):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
