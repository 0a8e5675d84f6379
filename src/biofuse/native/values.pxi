# Fields of calls beside genotypes. Part of _native.pyx.

cdef class Values:
    """Reader of chunks of values of calls, little-endian; one object per thread.

    Parameters
    ----------
    chunk_rows : int
        Rows of a chunk.
    row_values : int
        Values of a row of a chunk.
    item_size : int
        Bytes of a value: 1, 2, 4 or 8.
    """

    cdef bf_values values

    def __cinit__(self, uint32_t chunk_rows, uint64_t row_values, unsigned item_size=4):
        cdef bf_error err
        clear(&err)
        if bf_values_init(&self.values, chunk_rows, row_values, item_size, &err) != BF_OK:
            raise_error(&err)

    def __dealloc__(self):
        bf_values_free(&self.values)

    def read(self, const uint8_t[::1] index not None, const uint8_t[::1] span not None,
             uint64_t span_start, uint64_t frame_size, const uint32_t[::1] rows not None,
             uint64_t num_values, out not None, uint64_t column):
        """Read rows of a chunk into columns of `out`.

        Parameters
        ----------
        index, span, span_start, frame_size
            A Blosc frame, as for `Rows.set_frame`.
        rows : buffer of uint32
            Rows within the chunk.
        num_values : int
            Values of each that are wanted, from the first on.
        out : writable buffer of values, one row for each of `rows`
        column : int
            Where in its rows the values go.

        Raises
        ------
        NativeError
            If the frame is malformed, or with `unsupported` if it is of another kind.
        """
        cdef bf_error err
        cdef bf_status status
        cdef uint64_t n = rows.shape[0]
        cdef uint64_t stride, item_size = self.values.item_size
        cdef uint8_t *to
        cdef bf_frame_source source = frame_source(index, span, span_start, frame_size)
        clear(&err)
        view = memoryview(out)
        if view.ndim != 2 or <uint64_t> view.itemsize != item_size:
            raise ValueError("the output has other values")
        stride = view.shape[1]
        if <uint64_t> view.shape[0] < n or num_values > stride or column > stride - num_values:
            raise ValueError("the values do not fit the output")
        if n == 0 or num_values == 0:
            return
        cdef uint8_t[::1] flat = view.cast("B")
        to = &flat[0] + column * item_size
        with nogil:
            status = bf_values_read(&self.values, &source, &rows[0], n, num_values, to,
                                    stride * item_size, &err)
        if status != BF_OK:
            raise_error(&err)


def gather_values(values not None, const uint32_t[::1] samples not None, uint32_t num_values,
                  out not None):
    """Put the values of `samples`, num_values each, next to each other, row by row.

    Parameters
    ----------
    values, out : buffers of two dimensions and the same type
        One row for each record.
    samples : buffer of uint32
    num_values : int
        A sample.
    """
    source, target = memoryview(values), memoryview(out)
    cdef Py_ssize_t row, i, rows = source.shape[0], size = source.itemsize * num_values
    cdef Py_ssize_t width = source.shape[1] * source.itemsize
    cdef Py_ssize_t stride = target.shape[1] * target.itemsize
    for i in range(samples.shape[0]):
        if (<Py_ssize_t> samples[i] + 1) * size > width:
            raise ValueError("a sample is out of range")
    if (target.shape[0] < rows or stride < samples.shape[0] * size
            or target.itemsize != source.itemsize):
        raise ValueError("the values do not fit the output")
    if rows == 0 or samples.shape[0] == 0 or size == 0:
        return
    cdef const uint8_t[::1] from_ = source.cast("B")
    cdef uint8_t[::1] to = target.cast("B")
    with nogil:
        for row in range(rows):
            for i in range(samples.shape[0]):
                memcpy(&to[row * stride + i * size], &from_[row * width + samples[i] * size], size)


cdef bf_text_chunk text_chunk(const uint8_t[::1] chunk, uint64_t rows, uint64_t row_texts,
                              uint32_t num_values):
    cdef bf_text_chunk found
    found.bytes = address(chunk)
    found.size = chunk.shape[0]
    found.rows = rows
    found.row_texts = row_texts
    found.num_values = num_values
    return found


def text_width(const uint8_t[::1] chunk not None, uint64_t rows, uint64_t row_texts,
               uint32_t num_values, uint64_t num_samples):
    """Bytes of the longest of a chunk's texts, as `text_cells` has them.

    Raises
    ------
    NativeError
        If the chunk is damaged.
    """
    cdef bf_error err
    cdef bf_status status
    cdef uint32_t width = 0
    cdef bf_text_chunk c_chunk = text_chunk(chunk, rows, row_texts, num_values)
    clear(&err)
    with nogil:
        status = bf_text_cells_width(&c_chunk, num_samples, &width, &err)
    if status != BF_OK:
        raise_error(&err)
    return width


def text_cells(const uint8_t[::1] chunk not None, uint64_t rows, uint64_t row_texts,
               uint32_t num_values, uint64_t num_samples, uint64_t first, uint64_t last,
               uint32_t width, uint8_t[:, ::1] out not None):
    """Texts of some rows of a chunk, one a sample, at one width.

    Parameters
    ----------
    chunk : buffer of uint8
        As numcodecs' vlen-utf8 has it, decompressed.
    rows, row_texts : int
        Texts of the chunk.
    num_values : int
        Texts of a sample, which become one with commas between them.
    num_samples : int
        Samples of a row that are wanted, from the first on.
    first, last : int
        The rows that are wanted, the last one exclusive.
    width : int
        Bytes of a text, with zeros behind it; of none it is ".".
    out : writable buffer of uint8, shape (last - first, num_samples * width) or more

    Raises
    ------
    NativeError
        If the chunk is damaged, or a text is longer.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_text_chunk c_chunk = text_chunk(chunk, rows, row_texts, num_values)
    clear(&err)
    if last < first or <uint64_t> out.shape[0] < last - first or out.shape[1] == 0:
        raise ValueError("the texts do not fit the output")
    if last == first:
        return
    with nogil:
        status = bf_text_cells_write(&c_chunk, first, last, num_samples, width, &out[0, 0],
                                     out.shape[1], &err)
    if status != BF_OK:
        raise_error(&err)
