# Bit planes that are kept: packed rows, and the cache of blocks.

cdef class PackedRows:
    """Bit planes of consecutive rows of one sample chunk.

    Parameters
    ----------
    alleles : buffer of int8, shape (rows, samples * ploidy), C order
    first_row : int
        Row within the chunk of the first one given.
    room : int, optional
        Rows that there is room for: others can be appended to these.
    """

    cdef bf_planes planes
    cdef readonly uint64_t row_bits
    cdef readonly uint32_t first_row
    cdef readonly uint32_t last_row

    def __cinit__(self, const int8_t[:, ::1] alleles not None, uint32_t first_row, room=None):
        cdef bf_error err
        cdef uint64_t rows = alleles.shape[0]
        clear(&err)
        if room is not None:
            rows = max(rows, room)
        self.row_bits = alleles.shape[1]
        self.first_row = self.last_row = first_row
        if bf_planes_alloc(&self.planes, rows * self.row_bits, &err) != BF_OK:
            raise_error(&err)
        self.append(alleles)

    def __dealloc__(self):
        bf_planes_free(&self.planes)

    def append(self, const int8_t[:, ::1] alleles not None):
        """Add the rows that follow."""
        cdef bf_error err
        cdef bf_planes planes
        cdef uint64_t size = <uint64_t> alleles.shape[0] * self.row_bits
        cdef uint64_t end = (self.last_row - self.first_row) * self.row_bits
        cdef const uint8_t *data
        cdef bf_status status
        clear(&err)
        if <uint64_t> alleles.shape[1] != self.row_bits:
            raise ValueError("rows are of another width")
        if size > 0:
            data = <const uint8_t *> &alleles[0, 0]
            with nogil:
                status = bf_planes_alloc(&planes, size, &err)
                if status == BF_OK:
                    status = bf_planes_from_bytes(&planes, data, size, &err)
                if status == BF_OK:
                    status = bf_planes_copy(&self.planes, end, &planes, 0, size, &err)
                bf_planes_free(&planes)
            if status != BF_OK:
                raise_error(&err)
        self.last_row += <uint32_t> alleles.shape[0]

    def append_rows(self, PackedRows other not None, uint32_t first, uint32_t last):
        """Add rows first to last, exclusive, of the chunk, which another object has."""
        cdef bf_error err
        cdef bf_status status
        cdef uint64_t end = (self.last_row - self.first_row) * self.row_bits
        clear(&err)
        if other.row_bits != self.row_bits:
            raise ValueError("rows are of another width")
        if first != self.last_row or not other.first_row <= first <= last <= other.last_row:
            raise ValueError("these are not the rows that follow")
        with nogil:
            status = bf_planes_copy(&self.planes, end, &other.planes,
                                    (first - other.first_row) * self.row_bits,
                                    (last - first) * self.row_bits, &err)
        if status != BF_OK:
            raise_error(&err)
        self.last_row = last

    @property
    def nbytes(self):
        """Memory held, in bytes."""
        return bf_planes_size(&self.planes)


cdef class Cache:
    """What threads share: planes of decompressed blocks, records and encoded chunks.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    cdef bf_cache *cache

    def __cinit__(self, uint64_t limit):
        self.cache = bf_cache_new(limit)
        if self.cache == NULL:
            raise MemoryError

    def __dealloc__(self):
        bf_cache_free(self.cache)

    @property
    def nbytes(self):
        """Memory that its values take, in bytes."""
        return bf_cache_size(self.cache)

    @property
    def counts(self):
        """How often a block was found, and not: a pair of int."""
        cdef uint64_t hits, misses
        bf_cache_counts(self.cache, BF_CACHED_BLOCK, &hits, &misses)
        return hits, misses
