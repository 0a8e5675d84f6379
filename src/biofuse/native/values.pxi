# Floating-point fields of calls. Part of _native.pyx.

cdef class Values:
    """Reader of chunks of float32 values of calls; one object per thread.

    Parameters
    ----------
    chunk_rows : int
        Rows of a chunk.
    row_values : int
        Values of a row of a chunk.
    """

    cdef bf_values values

    def __cinit__(self, uint32_t chunk_rows, uint64_t row_values):
        cdef bf_error err
        clear(&err)
        if bf_values_init(&self.values, chunk_rows, row_values, &err) != BF_OK:
            raise_error(&err)

    def __dealloc__(self):
        bf_values_free(&self.values)

    def read(self, const uint8_t[::1] index not None, const uint8_t[::1] span not None,
             uint64_t span_start, uint64_t frame_size, const uint32_t[::1] rows not None,
             uint64_t num_values, float[:, ::1] out not None, uint64_t column):
        """Read rows of a chunk into columns of `out`.

        Parameters
        ----------
        index, span, span_start, frame_size
            A Blosc frame, as for `Rows.set_frame`.
        rows : buffer of uint32
            Rows within the chunk.
        num_values : int
            Values of each that are wanted, from the first on.
        out : writable buffer of float32, one row for each of `rows`
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
        cdef uint64_t stride = out.shape[1]
        cdef bf_frame_source source = frame_source(index, span, span_start, frame_size)
        clear(&err)
        if <uint64_t> out.shape[0] < n or num_values > stride or column > stride - num_values:
            raise ValueError("the values do not fit the output")
        if n == 0 or num_values == 0:
            return
        with nogil:
            status = bf_values_read(&self.values, &source, &rows[0], n, num_values,
                                    &out[0, column], stride, &err)
        if status != BF_OK:
            raise_error(&err)


def gather_values(const float[:, ::1] values not None, const uint32_t[::1] samples not None,
                  uint32_t num_values, float[:, ::1] out not None):
    """Put the values of `samples`, num_values each, next to each other, row by row."""
    cdef Py_ssize_t row, i, k, each = num_values
    for i in range(samples.shape[0]):
        if (<Py_ssize_t> samples[i] + 1) * each > values.shape[1]:
            raise ValueError("a sample is out of range")
    if out.shape[0] < values.shape[0] or out.shape[1] < samples.shape[0] * each:
        raise ValueError("the values do not fit the output")
    with nogil:
        for row in range(values.shape[0]):
            for i in range(samples.shape[0]):
                for k in range(each):
                    out[row, i * each + k] = values[row, samples[i] * each + k]
