# BCF records, and what they begin with. Part of _native.pyx.

cdef class BcfEncoder(RecordEncoder):
    """Encoder of BCF records with nothing but GT.

    Parameters
    ----------
    width : int
        Bytes an allele: 1 or 2.
    prefix : bytes
        What the genotypes begin with: the key and the type.
    offsets : buffer of uint64, optional
        Where each record begins in the stream, and the stream's size.
    heads : buffer of uint8, optional
        What precedes each record's genotypes, one after another.
    """

    cdef bf_bcf bcf
    cdef bytes prefix
    cdef const uint64_t[::1] offsets
    cdef const uint8_t[::1] heads

    def __cinit__(self, unsigned width, bytes prefix not None,
                  const uint64_t[::1] offsets=None, const uint8_t[::1] heads=None):
        self.encode = bf_bcf_encode
        self.context = &self.bcf
        if width not in (1, 2):
            raise ValueError("an allele takes 1 or 2 bytes")
        self.bcf.width = width
        self.prefix = prefix
        self.bcf.prefix = <const uint8_t *> PyBytes_AsString(prefix)
        self.bcf.prefix_size = <uint32_t> len(prefix)
        if offsets is not None and heads is not None and offsets.shape[0] > 0:
            self.offsets = offsets
            self.heads = heads
            self.bcf.offsets = &offsets[0]
            self.bcf.num_records = offsets.shape[0] - 1
            self.bcf.heads = address(heads)
            self.bcf.heads_size = heads.shape[0]

    def data_size(self, uint32_t num_samples, uint32_t ploidy):
        """Bytes of a record's genotypes."""
        return bf_bcf_data_size(&self.bcf, num_samples, ploidy)


cdef narrowed(const int64_t[::1] values):
    """The same of 32 bits."""
    cdef int32_t[::1] out = array("i", bytes(sizeof(int32_t) * values.shape[0]))
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        if values[i] > INT32_MAX or values[i] < -INT32_MAX:
            raise OverflowError(
                f"it has the value {values[i]}, and integers of a BCF file are of 32 bits"
            )
        out[i] = <int32_t> values[i]
    return memoryview(out)


@cython.final
cdef class BcfField:
    """A column of a field of INFO.

    Parameters
    ----------
    key : int
        In the dictionary of strings.
    width : int
        Values a variant.
    values : Texts, or buffer of uint8, int32, int64 or float32
        Texts, of which "." is missing and an empty one behind all others is none; flags;
        integers, of which -1 is missing and -2 behind all others is none; floats, of which
        the NaN 0x7f800001 is missing and 0x7f800002 is none.

    Raises
    ------
    OverflowError
        If an integer is not of 32 bits.
    """

    cdef bf_bcf_field field
    cdef Py_ssize_t count
    cdef object kept

    def __cinit__(self, uint32_t key, uint32_t width, values not None):
        cdef const uint8_t[::1] flags
        cdef const int32_t[::1] integers
        cdef const float[::1] floats
        cdef const void *at = NULL
        cdef Py_ssize_t size
        if width == 0:
            raise ValueError("a field has one value at least")
        self.field.key = key
        self.field.width = width
        if isinstance(values, Texts):
            self.field.kind = BF_BCF_TEXT
            self.field.texts = (<Texts> values).texts
            size = len(values)
        else:
            values = memoryview(values)
            if values.format == "B":
                self.field.kind = BF_BCF_FLAG
                flags = values
                size = flags.shape[0]
                at = &flags[0] if size > 0 else NULL
                if width != 1:
                    raise ValueError("a flag has one value")
            elif values.format in ("i", "q", "l"):
                self.field.kind = BF_BCF_INT
                if values.itemsize > sizeof(int32_t):
                    values = narrowed(values)
                integers = values
                size = integers.shape[0]
                at = &integers[0] if size > 0 else NULL
            else:
                self.field.kind = BF_BCF_FLOAT
                floats = values
                size = floats.shape[0]
                at = &floats[0] if size > 0 else NULL
        self.field.values = at
        self.kept = values
        if size % width != 0:
            raise ValueError("the values are not as many for each variant")
        self.count = size // width


def bcf_heads(const int32_t[::1] contigs not None, const int64_t[::1] positions not None,
              const int32_t[::1] lengths not None, const float[::1] qualities,
              Texts ids not None, Texts alleles not None, const uint8_t[::1] filters not None,
              const uint32_t[::1] filter_keys not None, list fields not None,
              uint32_t num_samples, uint32_t data_size):
    """What precedes the genotypes in BCF records.

    Parameters
    ----------
    contigs : buffer of int32
        In the dictionary of contigs.
    positions : buffer of int64
        1-based.
    lengths : buffer of int32
        Positions that each site takes.
    qualities : buffer of float32, optional
    ids : Texts
    alleles : Texts
        As many for each variant, the last ones empty.
    filters : buffer of uint8
        For each variant, which of the filters are set.
    filter_keys : buffer of uint32
        The filters, in the dictionary of strings.
    fields : list of BcfField
    num_samples, data_size : int
        Samples and bytes of the genotypes.

    Returns
    -------
    heads : bytes
        One after another.
    sizes : array of uint32
        Bytes of each.

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, has a number that BCF cannot hold, or more alleles or
        INFO than it can.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_bcf_heads columns
    cdef bf_bcf_field *c_fields
    cdef BcfField field
    cdef Py_ssize_t i, n = positions.shape[0]
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
    cdef uint64_t used = 0
    cdef uint8_t *out
    clear(&err)
    check_lengths(n, (contigs, lengths, ids))
    if qualities is not None:
        check_lengths(n, (qualities,))
    if n == 0:
        return b"", sizes.base
    if len(alleles) == 0 or len(alleles) % n or len(filters) != n * len(filter_keys):
        raise ValueError("the columns differ in length")
    c_fields = <bf_bcf_field *> calloc(len(fields) + 1, sizeof(bf_bcf_field))
    if c_fields == NULL:
        raise MemoryError
    try:
        for i in range(len(fields)):
            field = fields[i]
            if field.count != n:
                raise ValueError("the columns differ in length")
            c_fields[i] = field.field
        columns.count = n
        columns.contigs = &contigs[0]
        columns.positions = &positions[0]
        columns.lengths = &lengths[0]
        columns.qualities = <const uint32_t *> &qualities[0] if qualities is not None else NULL
        columns.ids = ids.texts
        columns.alleles = alleles.texts
        columns.max_alleles = <uint32_t> (len(alleles) // n)
        columns.filters = address(filters)
        columns.num_filters = <uint32_t> filter_keys.shape[0]
        columns.filter_keys = &filter_keys[0] if filter_keys.shape[0] > 0 else NULL
        columns.fields = c_fields
        columns.num_fields = <uint32_t> len(fields)
        columns.num_samples = num_samples
        columns.data_size = data_size
        with nogil:
            status = bf_bcf_heads_write(&columns, NULL, 0, &sizes[0], &used, &err)
        if status != BF_OK:
            raise_error(&err)
        heads = PyBytes_FromStringAndSize(NULL, used)
        out = <uint8_t *> PyBytes_AsString(heads)
        with nogil:
            status = bf_bcf_heads_write(&columns, out, used, &sizes[0], &used, &err)
        if status != BF_OK:
            raise_error(&err)
    finally:
        free(c_fields)
    return heads, sizes.base
