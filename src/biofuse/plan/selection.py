"""Which samples and variants a view has."""

import json
import logging
import mmap
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from biofuse.errors import BiofuseError, one_line
from biofuse.options import Selection
from biofuse.plan.columns import as_text
from biofuse.plan.filters import filter_variants
from biofuse.stores import Location


def read_field(group, name: str) -> np.ndarray:
    """A whole field of a store; byte strings as text.

    Raises
    ------
    BiofuseError
        If it cannot be read.
    """
    try:
        return as_text(group[name][:])
    except Exception as error:
        raise BiofuseError(f"{name} cannot be read: {one_line(error)}") from error


NO_SAMPLES = "no samples are left: the selection has none of the store's"
# How many contigs an error message names.
_CONTIGS_NAMED = 5


class _Warnings(logging.Handler):
    """Collects what a library warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()))


class Resolved:
    """A selection, resolved against a store.

    Attributes
    ----------
    samples : ndarray of int64 or None
        Indices of kept samples in output order; None for all in order.
    warnings : list of str
        What the user should know.
    """

    def __init__(
        self,
        samples: np.ndarray | None,
        variants: np.ndarray | None,
        warnings: Sequence[str] = (),
    ):
        self.samples = samples
        self.warnings = list(warnings)
        self._variants = variants

    def kept(self, start: int, stop: int) -> np.ndarray:
        """Indices of kept variants within [start, stop), relative to start, ascending."""
        if self._variants is None:
            return np.arange(stop - start)
        # Bounds of another type would have the whole array converted.
        bounds = np.array([start, stop], dtype=self._variants.dtype)
        first, last = np.searchsorted(self._variants, bounds)
        return self._variants[first:last] - start


def resolve(
    location: Location,
    group,
    selection: Selection,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Resolved:
    """Resolve a selection; vcztools is imported only if it has samples, regions or targets.

    Parameters
    ----------
    location : Location
    group : zarr.Group
        The same store.
    selection : Selection
    progress : callable
        Called with the variants looked at so far and their number.

    Raises
    ------
    BiofuseError
        If an option cannot be understood or names what is not there.
    """
    sample_id = read_field(group, "sample_id")
    named = np.flatnonzero(np.asarray(sample_id != ""))
    if selection.is_everything:
        samples = None if len(named) == len(sample_id) else named
        return Resolved(samples, None)
    if all(getattr(selection, name) is None for name in _WHERE if name != "force_samples"):
        samples = None if len(named) == len(sample_id) else named
        return Resolved(
            samples, filter_variants(location, group, selection, samples, None, progress)
        )
    heard = _Warnings()
    logging.getLogger("vcztools").addHandler(heard)
    try:
        samples, variants = _resolve_variants(location, selection, progress)
    except BiofuseError:
        raise
    except Exception as error:
        raise BiofuseError(_explain(error, selection, group)) from error
    if len(samples) == len(sample_id) and np.array_equal(samples, np.arange(len(samples))):
        samples = None
    variants = filter_variants(location, group, selection, samples, variants, progress)
    return Resolved(samples, variants, list(dict.fromkeys(heard.texts)))


def _resolve_variants(
    location: Location, selection: Selection, progress: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Indices of kept samples, and of variants in the regions and targets; None for all."""
    with _open_reader(location, selection) as reader:
        samples = np.asarray(reader.samples_selection, dtype=np.int64)
        named = (selection.regions, selection.regions_file)
        if all(each is None for each in (*named, selection.targets, selection.targets_file)):
            return samples, None
        return samples, _collect(_variant_indices(reader, progress))


_WHERE = (
    *("regions", "regions_file", "targets", "targets_file"),
    *("samples", "samples_file", "force_samples"),
)


def _open_reader(location: Location, selection: Selection):
    """A vcztools reader with this selection."""
    import vcztools

    options = vcztools.ViewPlinkOptions.from_click_kwargs(
        {
            **{name: getattr(selection, name) for name in _WHERE},
            "backend_storage": location.backend,
            "storage_options": tuple(f"{k}={json.dumps(v)}" for k, v in location.options.items()),
        }
    )
    return options.make_reader(location.path)


def _explain(error: Exception, selection: Selection, group) -> str:
    """What is wrong with a selection, in a line; vcztools's own words can be a page."""
    text = one_line(error)
    if isinstance(error, KeyError):
        return f"the store has no field {text}, which the selection needs"
    if text.startswith("Empty sample set"):
        return NO_SAMPLES
    unknown = re.fullmatch(r"'(.*)' is not in list", text)
    if unknown:
        if not unknown[1].strip():
            return "a region or target is empty"
        contigs = [str(name) for name in read_field(group, "contig_id")[: _CONTIGS_NAMED + 1]]
        more = ", ..." if len(contigs) > _CONTIGS_NAMED else ""
        return (
            f"the store has no contig {unknown[1]!r}, which a region or target names; "
            f"it has {', '.join(contigs[:_CONTIGS_NAMED])}{more}"
        )
    return f"the selection cannot be made: {text[:300]}"


def _variant_indices(reader, progress: Callable[[int, int], None]) -> Iterator[np.ndarray]:
    for chunk in reader.variant_chunks(fields=["variant_index"]):
        index = chunk["variant_index"].astype(np.uint32)
        if len(index):
            progress(int(index[-1]), reader.num_variants)
        yield index


def _collect(parts: Iterator[np.ndarray]) -> np.ndarray:
    """All indices, in a file without a name: tens of millions are no memory that stays."""
    with tempfile.TemporaryFile(prefix="biofuse-") as file:
        for part in parts:
            file.write(part.tobytes())
        file.flush()
        if file.tell() == 0:
            return np.empty(0, dtype=np.uint32)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), dtype=np.uint32)
