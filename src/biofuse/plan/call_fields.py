"""Fields of FORMAT that a store has beside GT: `call_NAME`, as bio2zarr makes arrays of a VCF's."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.formats.site_fields import CallField
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.cache import ByteCache
from biofuse.genotypes.describe import ANYTHING, describe
from biofuse.genotypes.whole import WholeChunks
from biofuse.native import NativeError
from biofuse.plan.fields import main_field
from biofuse.plan.selection import Resolved
from biofuse.plan.sites import KEY, header_number, header_type
from biofuse.stores import Location, Store
from biofuse.stores.members import Members

_PREFIX = "call_"
# What is GT's, or is none of a VCF's.
_NOT_FIELDS = ("call_GT", "call_genotype", "call_genotype_phased")
_PARTS = ("_mask", "_fill")
_TEXT = "s"


def format_names(group: Members) -> list[str]:
    """Names of the fields of FORMAT that a store may have beside GT, sorted."""
    return sorted(
        name.removeprefix(_PREFIX)
        for name in group.folder_names()
        if name.startswith(_PREFIX)
        and name not in _NOT_FIELDS
        and not name.endswith(_PARTS)
        and KEY.fullmatch(name.removeprefix(_PREFIX))
    )


class CallFields:
    """The fields of FORMAT of a store, each looked at when it is asked for.

    How long texts are that may be of any length is told by a look at all of them that the view
    has chunks of.

    Parameters
    ----------
    location : Location
    group : Members
        The same store.
    store : Store
        The same.
    resolved : Resolved
        The view's variants and samples.
    note : callable
        Called with the paths of arrays before they are looked at.
    look_at : callable
        Called with the keys of chunks before they are read.
    """

    def __init__(
        self,
        location: Location,
        group: Members,
        store: Store,
        resolved: Resolved,
        note: Callable[[Iterable[str]], None],
        look_at: Callable[[Iterable[str]], None],
    ):
        self._arrays: dict[str, GenotypeArray] = {}
        self._group = group
        self._resolved = resolved
        self._note = note
        self._look_at = look_at
        # What is decoded is not looked at again.
        self._whole = WholeChunks(store, location, ByteCache(0))

    def read(self, keys: Sequence[str] | None) -> list[CallField]:
        """Fields of these names; None for all, of which those of other kinds are left out.

        Raises
        ------
        BiofuseError
            If there is none of a name, or it is of another kind, or cannot be read.
        """
        if keys is None:
            found = format_names(self._group)
            self._note(f"{_PREFIX}{key}" for key in found)
            keys = [key for key in found if self._why_not(key) is None]
        else:
            self._note(f"{_PREFIX}{key}" for key in keys)
            for key in keys:
                why = self._why_not(key)
                if why is not None:
                    raise BiofuseError(why)
        return [self._field(key) for key in keys]

    def take(self) -> dict[str, GenotypeArray]:
        """The arrays of the fields that were read since this was asked, by path."""
        found, self._arrays = self._arrays, {}
        return found

    def _why_not(self, key: str) -> str | None:
        """Why there can be no field of a name; None if there can."""
        name = f"{_PREFIX}{key}"
        known = format_names(self._group)
        fits = name not in _NOT_FIELDS and not name.endswith(_PARTS) and KEY.fullmatch(key)
        if not fits or name not in self._group:
            return (
                f"the store has no field {key} of FORMAT (no {name}): it has "
                f"{', '.join(['GT', *known])}"
            )
        array, main = self._group[name], self._group[main_field(self._group) or name]
        if array.ndim not in (2, 3) or 0 in array.shape[2:] or array.dtype.kind not in ANYTHING:
            return (
                f"{name} is of shape {array.shape} and type {array.dtype}, which no field of "
                "FORMAT is: leave it out of --bcf-fields"
            )
        if array.shape[:2] != main.shape[:2]:
            return (
                f"{name} is of shape {array.shape} where {main.path} has {main.shape[0]} variants "
                f"and {main.shape[1]} samples: leave it out of --bcf-fields"
            )
        return None

    def _field(self, key: str) -> CallField:
        array = self._group[f"{_PREFIX}{key}"]
        described = describe(array, ANYTHING)
        if described.code == _TEXT and not described.text_width:
            described = self._measured(described)
        self._arrays[described.path] = described
        type_ = header_type(array)
        return CallField(
            key,
            # There are no flags in FORMAT.
            "Integer" if type_ == "Flag" else type_,
            header_number(array, 2),
            str(array.attrs.get("description", "")),
            described.path,
            described.code,
            described.row_items,
        )

    def _measured(self, array: GenotypeArray) -> GenotypeArray:
        """The same, with the width that its texts need, and the bytes of a chunk of them."""
        width, most = 1, 1
        for chunk_row in self._chunk_rows(array):
            for sample_chunk in self._sample_chunks(array):
                self._look_at([array.key(chunk_row, sample_chunk)])
                with self._whole.alone():
                    chunk = self._whole.decode(array, chunk_row, sample_chunk)
                    try:
                        width, most = max(width, chunk.width()), max(most, chunk.nbytes)
                    except NativeError as error:
                        key = array.key(chunk_row, sample_chunk)
                        raise BiofuseError(f"{key}: {error}") from error
        return replace(array, text_width=width, text_chunk=most)

    def _chunk_rows(self, array: GenotypeArray) -> Iterable[int]:
        variants = self._resolved.variants
        height, total = array.chunks[0], array.shape[0]
        row = self._resolved.next_kept(0, total)
        while row < total and (variants is None or len(variants)):
            chunk_row = row // height
            yield chunk_row
            row = self._resolved.next_kept((chunk_row + 1) * height, total)

    def _sample_chunks(self, array: GenotypeArray) -> list[int]:
        samples: Any = self._resolved.samples
        if samples is None:
            return list(range(-(-array.shape[1] // array.chunks[1])))
        return sorted({int(sample) // array.chunks[1] for sample in samples})
