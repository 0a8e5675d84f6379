# cython: language_level=3, boundscheck=True, wraparound=False, freethreading_compatible=False
"""Binding of the C kernels: genotype rows from Blosc frames, records from rows.

Everything that takes time releases the GIL. Buffers that C reads are kept alive
by the objects that were given them. No numpy is needed: any object with the
buffer protocol and the right item type will do.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from "error.h" nogil:
    ctypedef enum bf_status:
        BF_OK
        BF_ERR_NOMEM
        BF_ERR_UNSUPPORTED
        BF_ERR_ALLELE
        BF_ERR_ARGUMENT

    ctypedef struct bf_error:
        bf_status status
        int64_t chunk
        int64_t row
        const char *detail


cdef extern from "frame.h" nogil:
    ctypedef struct bf_frame_header:
        uint32_t num_bytes
        uint32_t block_size
        uint32_t num_blocks

    ctypedef struct bf_frame:
        bf_frame_header header
        const uint8_t *offsets

    enum:
        BF_FRAME_HEADER_SIZE

    bf_status bf_frame_parse_header(const uint8_t *, size_t, uint64_t, uint64_t,
                                    bf_frame_header *, bf_error *)
    uint64_t bf_frame_index_size(const bf_frame_header *)
    bf_status bf_frame_extent(const bf_frame *, uint32_t, uint32_t, uint64_t *, uint64_t *,
                              bf_error *)


cdef extern from "planes.h" nogil:
    ctypedef struct bf_planes:
        uint8_t *plane[8]
        uint64_t capacity
        int wide

    ctypedef struct bf_gather:
        const uint32_t *index
        uint32_t num_out
        const uint64_t *mask
        uint64_t mask_words

    bf_status bf_planes_alloc(bf_planes *, uint64_t, bf_error *)
    void bf_planes_free(bf_planes *)
    bf_status bf_planes_from_bytes(bf_planes *, const uint8_t *, uint64_t, bf_error *)
    int bf_gather_make_mask(const uint32_t *, uint32_t, uint32_t, uint64_t *, uint64_t)


cdef extern from "rows.h" nogil:
    ctypedef struct bf_rows:
        pass

    ctypedef struct bf_row:
        const bf_planes *planes
        uint32_t num_samples
        uint32_t ploidy
        int wide

    ctypedef bf_status (*bf_encode_record)(const void *, const bf_row *, uint64_t, uint8_t *,
                                           uint64_t, bf_error *) noexcept

    bf_status bf_rows_init(bf_rows *, uint32_t, uint32_t, uint32_t, uint32_t, const uint32_t *,
                           const bf_gather *, bf_error *)
    void bf_rows_free(bf_rows *)
    bf_status bf_rows_set_frame(bf_rows *, uint32_t, const uint8_t *, uint64_t, const uint8_t *,
                                uint64_t, uint64_t, uint64_t, bf_error *)
    bf_status bf_rows_set_packed(bf_rows *, uint32_t, const bf_planes *, uint64_t, uint32_t,
                                 uint32_t, bf_error *)
    void bf_rows_clear(bf_rows *)
    bf_status bf_rows_set_constant(bf_rows *, uint32_t, int8_t, bf_error *)
    bf_status bf_rows_read(bf_rows *, uint32_t, bf_row *, bf_error *)
    bf_status bf_rows_encode(bf_rows *, const uint32_t *, uint64_t, bf_encode_record,
                             const void *, uint64_t, const uint64_t *, uint64_t, uint8_t *,
                             uint64_t, bf_error *)


cdef extern from "plink1.h" nogil:
    bf_status bf_plink1_encode(const void *, const bf_row *, uint64_t, uint8_t *, uint64_t,
                               bf_error *) noexcept


class NativeError(ValueError):
    """A kernel refused its input.

    Attributes
    ----------
    chunk : int
        Index of the sample chunk within the chunk row, or -1.
    row : int
        Row within the chunk row, or -1.
    unsupported : bool
        The data is well formed but of a kind that needs the slow path.
    allele : bool
        The data is well formed but cannot be shown in the target format.
    """

    def __init__(self, detail, chunk, row, unsupported, allele):
        super().__init__(detail)
        self.chunk = chunk
        self.row = row
        self.unsupported = unsupported
        self.allele = allele


cdef raise_error(bf_error *err):
    detail = err.detail.decode() if err.detail != NULL else "unknown error"
    if err.status == BF_ERR_NOMEM:
        raise MemoryError(detail)
    raise NativeError(detail, err.chunk, err.row, err.status == BF_ERR_UNSUPPORTED,
                      err.status == BF_ERR_ALLELE)


cdef const uint8_t *address(const uint8_t[::1] view) noexcept:
    return &view[0] if view.shape[0] > 0 else NULL


cdef void clear(bf_error *err) noexcept:
    err.status = BF_OK
    err.chunk = -1
    err.row = -1
    err.detail = NULL


def frame_index_size(const uint8_t[::1] head not None, uint64_t raw_size, uint64_t frame_size):
    """Bytes of a Blosc frame's header and offset table together.

    Parameters
    ----------
    head : buffer of uint8
        At least the first 16 bytes of the frame.
    raw_size : int
        Bytes that the frame must hold when decompressed.
    frame_size : int
        Bytes of the whole stored frame.

    Raises
    ------
    NativeError
        If the header is malformed or of a kind that is not read here.
    """
    cdef bf_error err
    cdef bf_frame_header header
    clear(&err)
    if bf_frame_parse_header(address(head), head.shape[0], raw_size, frame_size, &header,
                             &err) != BF_OK:
        raise_error(&err)
    return bf_frame_index_size(&header)


def frame_span(const uint8_t[::1] index not None, uint64_t raw_size, uint64_t frame_size,
               uint64_t first, uint64_t last):
    """The part of a Blosc frame that holds raw bytes `first` to `last`, inclusive.

    Parameters
    ----------
    index : buffer of uint8
        The frame's header and offset table.
    raw_size, frame_size : int
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
    if bf_frame_parse_header(address(index), index.shape[0], raw_size, frame_size,
                             &frame.header, &err) != BF_OK:
        raise_error(&err)
    if (bf_frame_index_size(&frame.header) > <uint64_t> index.shape[0] or first > last
            or last >= frame.header.num_bytes):
        raise NativeError("the span lies outside the frame", -1, -1, False, False)
    frame.offsets = address(index) + BF_FRAME_HEADER_SIZE
    if bf_frame_extent(&frame, <uint32_t> (first // frame.header.block_size),
                       <uint32_t> (last // frame.header.block_size), &start, &stop,
                       &err) != BF_OK:
        raise_error(&err)
    return start, stop


cdef class PackedRows:
    """Bit planes of consecutive rows of one sample chunk.

    Parameters
    ----------
    alleles : buffer of int8, shape (rows, samples * ploidy), C order
    first_row : int
        Row within the chunk of the first one given.
    """

    cdef bf_planes planes
    cdef uint64_t row_bits
    cdef readonly uint32_t first_row
    cdef readonly uint32_t last_row

    def __cinit__(self, const int8_t[:, ::1] alleles not None, uint32_t first_row):
        cdef bf_error err
        cdef uint64_t size = <uint64_t> alleles.shape[0] * <uint64_t> alleles.shape[1]
        cdef const uint8_t *data = NULL
        cdef bf_status status
        clear(&err)
        if size > 0:
            data = <const uint8_t *> &alleles[0, 0]
        with nogil:
            status = bf_planes_alloc(&self.planes, size, &err)
            if status == BF_OK:
                status = bf_planes_from_bytes(&self.planes, data, size, &err)
        if status != BF_OK:
            raise_error(&err)
        self.row_bits = alleles.shape[1]
        self.first_row = first_row
        self.last_row = first_row + <uint32_t> alleles.shape[0]

    def __dealloc__(self):
        bf_planes_free(&self.planes)

    @property
    def nbytes(self):
        """Memory held, in bytes."""
        return (8 if self.planes.plane[1] != NULL else 2) * (self.planes.capacity // 8 + 80)


cdef class RecordEncoder:
    """A format's kernel: makes one record from one row."""

    cdef bf_encode_record encode
    cdef const void *context


cdef class Plink1Encoder(RecordEncoder):
    """Encoder of `.bed` records: ceil(samples / 4) bytes each."""

    def __cinit__(self):
        self.encode = bf_plink1_encode
        self.context = NULL


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
    """

    cdef bf_rows rows
    cdef bf_gather gather
    cdef uint64_t *mask
    cdef uint32_t *samples
    cdef list contents
    cdef readonly uint32_t chunk_rows
    cdef readonly uint32_t chunk_samples
    cdef readonly uint32_t ploidy

    def __cinit__(self, uint32_t chunk_rows, uint32_t chunk_samples, uint32_t ploidy,
                  const uint32_t[::1] num_samples not None, samples=None):
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

    def __dealloc__(self):
        bf_rows_free(&self.rows)
        free(self.mask)
        free(self.samples)

    def set_frame(self, uint32_t chunk, const uint8_t[::1] index not None, const uint8_t[::1] span not None,
                  uint64_t span_start, uint64_t frame_size):
        """Give a sample chunk a Blosc frame: its header and offset table, and the span of
        it that holds the blocks that will be read."""
        cdef bf_error err
        clear(&err)
        if bf_rows_set_frame(&self.rows, chunk, address(index), index.shape[0], address(span),
                             span_start, span.shape[0], frame_size, &err) != BF_OK:
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

    def release(self):
        """Let go of the bytes that were given; every chunk must be set again."""
        bf_rows_clear(&self.rows)
        self.contents = [None] * len(self.contents)

    def encode(self, RecordEncoder encoder not None, const uint32_t[::1] rows not None,
               uint64_t first_record, uint64_t record_size, uint8_t[::1] out not None,
               offsets=None):
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
            One more than there are rows: where each record begins and ends in `out`.

        Raises
        ------
        NativeError
            If a frame is malformed or a row cannot be shown.
        """
        cdef bf_error err
        cdef bf_status status
        cdef const uint64_t[::1] table
        cdef const uint64_t *starts = NULL
        cdef uint64_t n = rows.shape[0]
        cdef uint8_t nothing = 0
        cdef uint8_t *data = &nothing
        clear(&err)
        if encoder.encode == NULL:
            raise TypeError("a RecordEncoder of some format is needed")
        if n == 0:
            return
        if offsets is not None:
            table = offsets
            if <uint64_t> table.shape[0] != n + 1:
                raise ValueError("offsets must have one more entry than rows")
            starts = &table[0]
        if out.shape[0] > 0:
            data = &out[0]
        with nogil:
            status = bf_rows_encode(&self.rows, &rows[0], n, encoder.encode, encoder.context,
                                    first_record, starts, record_size, data, out.shape[0], &err)
        if status != BF_OK:
            raise_error(&err)

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
                plane = 7 if 0 < k < 7 and not out.planes.wide else k
                value |= (out.planes.plane[plane][i // 8] >> (i % 8) & 1) << k
            result[i] = value
        return bytes(result)
