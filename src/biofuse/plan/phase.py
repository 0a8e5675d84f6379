"""Whether a view has phased variants, found out at a bounded cost."""

from array import array

from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats.base import Phase
from biofuse.genotypes.reader import GenotypeReader
from biofuse.plan.phase_chunks import CHUNKS, ROWS, ROWS_REMOTE, SLOW_CHUNK, PhaseChunks, loaded


class PhaseSearch:
    """Looks for a variant of which every call is phased.

    The first sample chunk alone shows that most variants are not; where it does not, the
    others are read too.

    Parameters
    ----------
    chunks : PhaseChunks

    Attributes
    ----------
    error : BiofuseError or None
        The first of chunks that could not be read.
    """

    def __init__(self, chunks: PhaseChunks):
        self.error: BiofuseError | None = None
        self._chunks = chunks
        self._array = chunks.array
        self._columns = chunks.columns
        self._screen = chunks.reader(self._array, *self._columns[:1])
        self._all = chunks.reader(self._array)
        self._left = CHUNKS

    def find(self) -> Phase:
        """Look at one chunk row after another until there is a phased variant in one."""
        order = self._chunks.order()
        most = ROWS if self._chunks.is_local else ROWS_REMOTE
        unphased: set[bytes] = set()
        places = [(row, column) for row in order[:most] for column in self._columns[:1]]
        for chunk_row, _, head in self._chunks.heads(places):
            if (head is None and not self._array.fill) or head in unphased:
                continue
            if self._left <= 0:
                return Phase.UNKNOWN
            try:
                candidates = self._candidates(chunk_row, unphased, head)
                if self._is_any_full(chunk_row, candidates):
                    return Phase.YES
            except StoreChangedError:
                raise
            except BiofuseError as error:
                self.error = self.error or error
        return Phase.NO if len(order) <= most and self.error is None else Phase.UNKNOWN

    def _candidates(self, chunk_row: int, unphased: set[bytes], head: bytes | None) -> array:
        """The view's rows of a chunk row that may be phased; adds to what is not anywhere."""
        wanted = self._chunks.rows(chunk_row)
        if not head:
            return self._full_rows(self._screen, 1, chunk_row, wanted)
        height = self._array.chunks[0]
        most = min(height, self._array.shape[0] - chunk_row * height)
        found = self._full_rows(self._screen, 1, chunk_row, array("I", range(most)))
        if not found and most == height:
            unphased.add(head)
        return array("I", sorted(set(found) & set(wanted)))

    def _full_rows(
        self, reader: GenotypeReader, num_chunks: int, chunk_row: int, wanted: array
    ) -> array:
        """Those of these rows in which all samples that a reader has are phased."""
        self._left -= num_chunks * (1 if self._array.fast else SLOW_CHUNK)
        with loaded(reader, chunk_row, wanted) as rows:
            return rows.full_rows(wanted)

    def _is_any_full(self, chunk_row: int, candidates: array) -> bool:
        """Whether any of these rows is phased in all samples."""
        count = len(self._columns)
        if not candidates or count == 1:
            return len(candidates) > 0
        self._chunks.look_at([self._array.key(chunk_row, chunk) for chunk in self._columns])
        # Mostly the first one is, and one takes much less time than all.
        for some in (candidates[:1], candidates[1:]):
            if some and self._full_rows(self._all, count, chunk_row, some):
                return True
        return False
