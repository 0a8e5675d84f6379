# cython: language_level=3, boundscheck=True, wraparound=False, freethreading_compatible=False
"""Binding of the C kernels: genotype rows from Blosc frames, records from rows.

Everything that takes time releases the GIL. Buffers that C reads are kept alive
by the objects that were given them. No numpy is needed: any object with the
buffer protocol and the right item type will do.
"""

import os
from array import array

cimport cython
from cpython.bytearray cimport PyByteArray_AsString
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport (
    INT32_MAX, int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
)
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset


class NativeError(ValueError):
    """A kernel refused its input.

    Attributes
    ----------
    phased : bool
        Whether call_genotype_phased is meant, not call_genotype.
    chunk : int
        Index of the sample chunk within the chunk row, or -1.
    row : int
        Row within the chunk row, or -1.
    unsupported : bool
        The data is well formed but of a kind that needs the slow path.
    allele : bool
        The data is well formed but cannot be shown in the target format.
    sample : int
        Sample of the row whose alleles or values of another field are at fault, or -1.
    """

    def __init__(self, detail, chunk=-1, row=-1, unsupported=False, allele=False, phased=False,
                 sample=-1):
        super().__init__(detail)
        self.sample = sample
        self.phased = phased
        self.chunk = chunk
        self.row = row
        self.unsupported = unsupported
        self.allele = allele


cdef raise_error(bf_error *err):
    detail = err.detail.decode() if err.detail != NULL else "unknown error"
    if err.status == BF_ERR_NOMEM:
        raise MemoryError(detail)
    raise NativeError(detail, err.chunk, err.row, err.status == BF_ERR_UNSUPPORTED,
                      err.status == BF_ERR_ALLELE, err.phased != 0, err.sample)


cdef const uint8_t *address(const uint8_t[::1] view) noexcept:
    return &view[0] if view.shape[0] > 0 else NULL


cdef void clear(bf_error *err) noexcept:
    err.status = BF_OK
    err.chunk = -1
    err.row = -1
    err.phased = 0
    err.sample = -1
    err.detail = NULL


cdef bf_frame_source frame_source(const uint8_t[::1] index, const uint8_t[::1] span,
                                  uint64_t span_start, uint64_t size):
    cdef bf_frame_source source
    source.index = address(index)
    source.index_size = index.shape[0]
    source.span = address(span)
    source.span_start = span_start
    source.span_size = span.shape[0]
    source.size = size
    source.id = source.version = 0
    return source


def frame_index_size(const uint8_t[::1] head not None, uint64_t raw_size, uint64_t frame_size,
                     unsigned item_size=1):
    """Bytes of a Blosc frame's header and offset table together.

    Parameters
    ----------
    head : buffer of uint8
        At least the first 16 bytes of the frame.
    raw_size : int
        Bytes that the frame must hold when decompressed.
    frame_size : int
        Bytes of the whole stored frame.
    item_size : int
        Bytes of an element.

    Raises
    ------
    NativeError
        If the header is malformed or of a kind that is not read here.
    """
    cdef bf_error err
    cdef bf_frame_header header
    clear(&err)
    if bf_frame_parse_header(address(head), head.shape[0], raw_size, frame_size, item_size,
                             &header, &err) != BF_OK:
        raise_error(&err)
    return bf_frame_index_size(&header)


def frame_block_size(const uint8_t[::1] head not None):
    """Bytes of a decompressed block, by the header of a Blosc frame that was found good."""
    if head.shape[0] < BF_FRAME_HEADER_SIZE:
        raise NativeError("the Blosc frame is shorter than its header")
    return head[8] | head[9] << 8 | head[10] << 16 | <uint32_t> head[11] << 24


def frame_span(const uint8_t[::1] index not None, uint64_t raw_size, uint64_t frame_size,
               uint64_t first, uint64_t last, unsigned item_size=1):
    """The part of a Blosc frame that holds raw bytes `first` to `last`, inclusive.

    Parameters
    ----------
    index : buffer of uint8
        The frame's header and offset table.
    raw_size, frame_size, item_size : int
        As for `frame_index_size`.

    Returns
    -------
    start, stop : int
        Offsets into the frame.
    """
    cdef bf_error err
    cdef bf_frame frame
    cdef uint64_t start, stop
    clear(&err)
    if bf_frame_parse_header(address(index), index.shape[0], raw_size, frame_size, item_size,
                             &frame.header, &err) != BF_OK:
        raise_error(&err)
    if (bf_frame_index_size(&frame.header) > <uint64_t> index.shape[0] or first > last
            or last >= frame.header.num_bytes):
        raise NativeError("the span lies outside the frame")
    frame.offsets = address(index) + BF_FRAME_HEADER_SIZE
    if bf_frame_extent(&frame, <uint32_t> (first // frame.header.block_size),
                       <uint32_t> (last // frame.header.block_size), &start, &stop,
                       &err) != BF_OK:
        raise_error(&err)
    return start, stop


include "planes.pxi"


include "encoders.pxi"
include "plink2.pxi"
include "bgen.pxi"


# Its cache must be there until it is freed itself, so the garbage collector may not clear it.
@cython.no_gc_clear
cdef class Rows:
    """Rows of one chunk row of call_genotype; one object per thread.

    Parameters
    ----------
    chunk_rows, chunk_samples, ploidy : int
        Shape of a chunk.
    num_samples : buffer of uint32
        For each sample chunk that is read, the samples taken from it: all, or the
        first ones in a chunk at the array's edge.
    samples : buffer of uint32, optional
        Kept samples in output order, as indices into the samples of the chunks read,
        one chunk after another.
    cache : Cache, optional
    owner : int
        The array of calls, in the cache.
    """

    cdef bf_rows rows
    cdef Cache cache
    cdef bf_gather gather
    cdef uint64_t *mask
    cdef uint32_t *samples
    cdef list contents
    cdef readonly uint32_t chunk_rows
    cdef readonly uint32_t chunk_samples
    cdef readonly uint32_t ploidy

    def __cinit__(self, uint32_t chunk_rows, uint32_t chunk_samples, uint32_t ploidy,
                  const uint32_t[::1] num_samples not None, samples=None,
                  Cache cache=None, uint32_t owner=0):
        cdef bf_error err
        cdef bf_gather *gather = NULL
        cdef uint64_t total = 0
        cdef Py_ssize_t i
        cdef const uint32_t[::1] kept
        clear(&err)
        self.chunk_rows = chunk_rows
        self.chunk_samples = chunk_samples
        self.ploidy = ploidy
        self.contents = [None] * num_samples.shape[0]
        for i in range(num_samples.shape[0]):
            total += num_samples[i]
        if samples is not None:
            kept = samples
            # A copy, since it is checked once and used at every row.
            self.samples = <uint32_t *> calloc(kept.shape[0] + 1, sizeof(uint32_t))
            if self.samples == NULL:
                raise MemoryError
            for i in range(kept.shape[0]):
                self.samples[i] = kept[i]
            gather = &self.gather
            gather.index = self.samples
            gather.num_out = <uint32_t> kept.shape[0]
            gather.mask_words = (total * ploidy + 63) // 64
            self.mask = <uint64_t *> calloc(gather.mask_words + 1, sizeof(uint64_t))
            if self.mask == NULL:
                raise MemoryError
            if bf_gather_make_mask(gather.index, gather.num_out, ploidy, self.mask,
                                   gather.mask_words):
                gather.mask = self.mask
        if bf_rows_init(&self.rows, chunk_rows, chunk_samples, ploidy,
                        <uint32_t> num_samples.shape[0],
                        &num_samples[0] if num_samples.shape[0] > 0 else NULL,
                        gather, &err) != BF_OK:
            raise_error(&err)
        self.cache = cache
        self.rows.cache = cache.cache if cache is not None else NULL
        self.rows.owner = owner

    def __dealloc__(self):
        bf_rows_free(&self.rows)
        free(self.mask)
        free(self.samples)

    def set_frame(self, uint32_t chunk, const uint8_t[::1] index not None,
                  const uint8_t[::1] span not None, uint64_t span_start, uint64_t frame_size,
                  uint64_t identity=0, uint64_t version=0):
        """Give a sample chunk a Blosc frame: its header and offset table, and the span of
        it that holds the blocks that will be read. What it is called in the cache."""
        cdef bf_error err
        cdef bf_frame_source source = frame_source(index, span, span_start, frame_size)
        clear(&err)
        source.id = identity
        source.version = version
        if bf_rows_set_frame(&self.rows, chunk, &source, &err) != BF_OK:
            raise_error(&err)
        self.contents[chunk] = (index, span)

    def set_packed(self, uint32_t chunk, PackedRows packed not None):
        """Give a sample chunk rows that are packed already."""
        cdef bf_error err
        clear(&err)
        if bf_rows_set_packed(&self.rows, chunk, &packed.planes, packed.row_bits,
                              packed.first_row, packed.last_row, &err) != BF_OK:
            raise_error(&err)
        self.contents[chunk] = packed

    def set_constant(self, uint32_t chunk, int8_t allele):
        """Give a sample chunk one value throughout: that of a chunk that is not stored."""
        cdef bf_error err
        clear(&err)
        if bf_rows_set_constant(&self.rows, chunk, allele, &err) != BF_OK:
            raise_error(&err)
        self.contents[chunk] = None

    @property
    def nbytes(self):
        """Memory held, in bytes, without what is the cache's."""
        size = bf_rows_size(&self.rows)
        if self.samples != NULL:
            size += self.gather.num_out * sizeof(uint32_t)
        if self.mask != NULL:
            size += self.gather.mask_words * sizeof(uint64_t)
        return size

    def release(self):
        """Let go of the bytes that were given; every chunk must be set again."""
        bf_rows_clear(&self.rows)
        self.contents = [None] * len(self.contents)

    def encode(self, RecordEncoder encoder not None, const uint32_t[::1] rows not None,
               uint64_t first_record, uint64_t record_size, uint8_t[::1] out not None,
               const uint64_t[::1] offsets=None, Rows phased=None,
               const uint32_t[::1] phased_rows=None, const float[:, ::1] values=None,
               uint32_t num_values=0):
        """Write the records of `rows` to `out`.

        Parameters
        ----------
        encoder : RecordEncoder
        rows : buffer of uint32
            Rows within the chunk row; cheapest in ascending order.
        first_record : int
            Number of the first record in its file.
        record_size : int
            Bytes a record, if `offsets` is not given.
        out : writable buffer of uint8
        offsets : buffer of uint64, optional
            One more than there are rows: where each record begins and ends in the file,
            of which `out` is the part from the first one on.
        phased : Rows, optional
            Rows of call_genotype_phased, with the same samples.
        phased_rows : buffer of uint32, optional
            For each of `rows`, the row of `phased`.
        values : buffer of float32, shape (rows, samples * num_values), optional
            Of another field.
        num_values : int
            A sample.

        Raises
        ------
        NativeError
            If a frame is malformed or a row cannot be shown.
        """
        cdef bf_error err
        cdef bf_status status
        cdef bf_extra extra
        cdef bf_output output
        cdef uint64_t n = rows.shape[0]
        cdef uint8_t nothing = 0
        clear(&err)
        if encoder.encode == NULL:
            raise TypeError("a RecordEncoder of some format is needed")
        if n == 0:
            return
        output.out = &out[0] if out.shape[0] > 0 else &nothing
        output.size = out.shape[0]
        output.record_size = record_size
        output.offsets = NULL
        if offsets is not None:
            if <uint64_t> offsets.shape[0] != n + 1:
                raise ValueError("offsets must have one more entry than rows")
            output.offsets = &offsets[0]
        extra.phased = NULL
        extra.phased_rows = NULL
        if phased is not None:
            if phased_rows is None or <uint64_t> phased_rows.shape[0] != n:
                raise ValueError("phased_rows must have as many entries as rows")
            extra.phased = &phased.rows
            extra.phased_rows = &phased_rows[0]
        extra.values = NULL
        extra.num_values = num_values
        extra.row_values = 0
        if values is not None:
            if <uint64_t> values.shape[0] != n or values.shape[1] == 0:
                raise ValueError("values must have as many rows as there are rows")
            extra.values = &values[0, 0]
            extra.row_values = values.shape[1]
        with nogil:
            status = bf_rows_encode(&self.rows, &rows[0], n, &extra, encoder.encode,
                                    encoder.context, first_record, &output, &err)
        if status != BF_OK:
            raise_error(&err)

    def full_rows(self, const uint32_t[::1] rows not None):
        """Those of `rows` in which the low bit of every allele is set, in their order.

        Of call_genotype_phased these are the variants of which all calls are phased.

        Raises
        ------
        NativeError
            If a frame is malformed.
        """
        cdef bf_error err
        cdef bf_status status
        cdef uint64_t n = rows.shape[0], found = 0
        cdef uint32_t[::1] full = array("I", bytes(4 * max(n, 1)))
        clear(&err)
        if n > 0:
            with nogil:
                status = bf_rows_find_full(&self.rows, &rows[0], n, &full[0], &found, &err)
            if status != BF_OK:
                raise_error(&err)
        return full.base[:found]

    def counts(self, const uint32_t[::1] rows not None, uint32_t num_alleles):
        """How often each allele occurs in `rows`.

        Returns
        -------
        array of uint64
            For each row: how often alleles 0 to `num_alleles` - 1 occur, in how many samples
            an allele is missing, and how many alleles are none of these and no fill.

        Raises
        ------
        NativeError
            If a frame is malformed.
        """
        cdef bf_error err
        cdef bf_status status
        cdef uint64_t n = rows.shape[0]
        if num_alleles > 1 << 16:
            raise ValueError("these are more alleles than are counted")
        cdef uint64_t[::1] out = array("Q", bytes(8 * max(n, 1) * (num_alleles + BF_COUNT_MORE)))
        clear(&err)
        if n > 0:
            with nogil:
                status = bf_rows_count(&self.rows, &rows[0], n, num_alleles, &out[0], &err)
            if status != BF_OK:
                raise_error(&err)
        return out.base[:n * (num_alleles + BF_COUNT_MORE)]

    def has_fill(self, uint32_t row):
        """Whether a row has fill (-2): a call of fewer alleles than there is room for.

        Raises
        ------
        NativeError
            If a frame is malformed.
        """
        cdef bf_error err
        cdef bf_row out
        cdef const uint8_t *low
        cdef const uint8_t *sign
        cdef uint64_t i
        clear(&err)
        if bf_rows_read(&self.rows, row, &out, &err) != BF_OK:
            raise_error(&err)
        if out.planes.no_sign:
            return False
        low, sign = out.planes.plane[0], out.planes.plane[7]
        # Bits after the last allele are zero.
        for i in range((<uint64_t> out.num_samples * out.ploidy + 7) // 8):
            if sign[i] & ~low[i]:
                return True
        return False

    def alleles(self, uint32_t row):
        """One row as bytes of int8 alleles, num_samples x ploidy: what the planes say."""
        cdef bf_error err
        cdef bf_row out
        cdef uint64_t i, n
        cdef int k, value
        clear(&err)
        if bf_rows_read(&self.rows, row, &out, &err) != BF_OK:
            raise_error(&err)
        n = <uint64_t> out.num_samples * out.ploidy
        result = bytearray(n)
        for i in range(n):
            value = 0
            for k in range(8):
                plane = 7 if k >= out.planes.depth else k
                value |= (out.planes.plane[plane][i // 8] >> (i % 8) & 1) << k
            result[i] = value
        return bytes(result)


include "values.pxi"
include "engine.pxi"
include "texts.pxi"
include "bcf.pxi"
include "compress.pxi"
include "sidecars.pxi"
include "heap.pxi"
include "process.pxi"
