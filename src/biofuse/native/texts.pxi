# Columns of texts. Part of _native.pyx.

@cython.final
cdef class Texts:
    """A column of texts: bytes of UTF-8, and where in them each one is.

    Parameters
    ----------
    data : buffer of uint8
        Columns may share it.
    starts : buffer of uint64
    sizes : buffer of uint32
        In bytes.
    instead : bytes, optional
        What stands for an empty text, in everything but `sizes`.

    Raises
    ------
    NativeError
        If a text, of which `row` tells, lies outside the bytes, or is not UTF-8.
    """

    cdef bf_texts texts
    cdef const uint8_t[::1] data
    cdef const uint64_t[::1] starts
    cdef const uint32_t[::1] sizes
    cdef bytes instead

    def __cinit__(self, const uint8_t[::1] data not None, const uint64_t[::1] starts not None,
                  const uint32_t[::1] sizes not None, bytes instead=b""):
        cdef bf_error err
        cdef bf_status status
        clear(&err)
        if starts.shape[0] != sizes.shape[0]:
            raise ValueError("the columns differ in length")
        self.share(data, starts, sizes, instead)
        instead.decode()
        with nogil:
            status = bf_texts_check(&self.texts, &err)
        if status != BF_OK:
            raise_error(&err)

    cdef share(self, const uint8_t[::1] data, const uint64_t[::1] starts,
               const uint32_t[::1] sizes, bytes instead):
        self.data = data
        self.starts = starts
        self.sizes = sizes
        self.instead = instead
        self.texts.data = address(data)
        self.texts.data_size = data.shape[0]
        self.texts.count = starts.shape[0]
        self.texts.starts = &starts[0] if starts.shape[0] > 0 else NULL
        self.texts.sizes = &sizes[0] if sizes.shape[0] > 0 else NULL
        self.texts.instead = <const uint8_t *> PyBytes_AsString(instead)
        self.texts.instead_size = <uint32_t> len(instead)

    @staticmethod
    def of(texts):
        """A column of these, a sequence of str.

        Raises
        ------
        TypeError
            If one is no str.
        UnicodeEncodeError
            If one is not Unicode: it has a lone surrogate.
        """
        cdef Py_ssize_t i = 0, n = len(texts), size
        cdef const char *text
        cdef uint64_t[::1] starts = array("Q", bytes(8 * n))
        cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
        cdef bytearray data = bytearray()
        for i in range(n):
            text = PyUnicode_AsUTF8AndSize(texts[i], &size)
            starts[i] = <uint64_t> len(data)
            sizes[i] = <uint32_t> size
            data += text[:size]
        return Texts(data, starts, sizes)

    def or_else(self, str instead not None):
        """The same column, with a text in place of those that are empty."""
        cdef Texts other = Texts.__new__(Texts, b"", array("Q"), array("I"))
        other.share(self.data, self.starts, self.sizes, instead.encode())
        return other

    def blank(self):
        """A column of as many empty texts."""
        cdef Py_ssize_t n = self.starts.shape[0]
        return Texts(b"", array("Q", bytes(8 * n)), array("I", bytes(4 * n)))

    def __len__(self):
        return self.starts.shape[0]

    def __getitem__(self, Py_ssize_t i):
        cdef uint64_t start
        if not 0 <= i < self.starts.shape[0]:
            raise IndexError("there is no such text")
        if self.sizes[i] == 0:
            return self.instead.decode()
        start = self.starts[i]
        return PyUnicode_DecodeUTF8(<const char *> self.texts.data + start, self.sizes[i], NULL)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def longest(self):
        """Bytes of the longest text."""
        cdef uint32_t most = 0
        cdef Py_ssize_t i
        for i in range(self.sizes.shape[0]):
            most = max(most, self.sizes[i])
        return max(most, self.texts.instead_size) if self.sizes.shape[0] > 0 else 0

    @property
    def parts(self):
        """The bytes, the starts and the sizes, as they were given."""
        return self.data, self.starts, self.sizes

    @property
    def nbytes(self):
        """Bytes of all texts."""
        return bf_texts_size(&self.texts)


def text_rows(columns, str separator not None):
    """Lines of columns of texts of one length, with a separator between texts, in UTF-8.

    Parameters
    ----------
    columns : sequence of Texts
        One at least.
    separator : str
        A character of ASCII.

    Returns
    -------
    bytes
    """
    cdef uint64_t i, n = len(columns)
    cdef uint8_t between = ord(separator)
    cdef Texts column
    cdef bf_texts *c_columns
    if n == 0 or between >= 0x80:
        raise ValueError("there are no columns, or the separator is not ASCII")
    check_lengths(len(columns[0]), columns)
    c_columns = <bf_texts *> malloc(n * sizeof(bf_texts))
    if c_columns == NULL:
        raise MemoryError
    try:
        for i in range(n):
            column = columns[i]
            c_columns[i] = column.texts
        lines = PyBytes_FromStringAndSize(NULL, bf_texts_rows_size(c_columns, n))
        bf_texts_write_rows(c_columns, n, between, <uint8_t *> PyBytes_AsString(lines))
    finally:
        free(c_columns)
    return lines


def centimorgan_texts(const double[::1] numbers not None):
    """Centimorgans as PLINK writes them: with eight digits at most.

    Returns
    -------
    Texts
    """
    cdef Py_ssize_t i, n = numbers.shape[0]
    cdef uint64_t[::1] starts = array("Q", bytes(8 * n))
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
    cdef uint8_t *out
    cdef uint8_t *to
    cdef uint8_t *after
    data = PyBytes_FromStringAndSize(NULL, n * BF_FLOAT_SIZE)
    to = out = <uint8_t *> PyBytes_AsString(data)
    with nogil:
        for i in range(n):
            after = bf_put_centimorgans(to, numbers[i])
            starts[i] = <uint64_t> (to - out)
            sizes[i] = <uint32_t> (after - to)
            to = after
    # What is behind the last one was never written.
    return Texts(memoryview(data)[:to - out], starts, sizes)


def vlen_texts(const uint8_t[::1] chunk not None, uint64_t base, uint64_t[::1] starts not None,
               uint32_t[::1] sizes not None):
    """Find the texts in a chunk of Zarr's vlen-utf8.

    Parameters
    ----------
    chunk : buffer of uint8
        Decompressed.
    base : int
        What the first byte of the chunk is counted from.
    starts, sizes : writable buffers of uint64 and uint32
        An entry a text, which is where each begins, and its bytes.

    Raises
    ------
    NativeError
        If the chunk is cut off, has more or fewer texts, or one that is not UTF-8.
    """
    cdef bf_error err
    cdef bf_status status
    cdef uint64_t n = starts.shape[0]
    cdef const uint8_t *data = address(chunk)
    clear(&err)
    if starts.shape[0] != sizes.shape[0]:
        raise ValueError("the columns differ in length")
    with nogil:
        status = bf_texts_from_vlen(data, chunk.shape[0], n, base,
                                    &starts[0] if n > 0 else NULL,
                                    &sizes[0] if n > 0 else NULL, &err)
    if status != BF_OK:
        raise_error(&err)
