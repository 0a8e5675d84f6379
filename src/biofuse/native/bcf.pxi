# BCF records, and what they begin with. Part of _native.pyx.

cdef class BcfEncoder(RecordEncoder):
    """Encoder of BCF records.

    Parameters
    ----------
    width : int
        Bytes an allele: 1 or 2; 0 if records have no GT.
    prefix : bytes
        What the genotypes begin with: the key and the type.
    offsets : buffer of uint64, optional
        Where each record begins in the stream, and the stream's size.
    heads : buffer of uint8, optional
        What precedes each record's genotypes, one after another.
    formats : sequence of (str, str, int, bytes)
        The fields behind the genotypes, which `put_field` fills in: the code of a store's
        elements (those of struct, "s" for texts), "A", "R" or "G" if it has values for as many
        alleles as a site has, else "", values a sample or bytes of a text, and its key.
    head_offsets : buffer of uint64, optional
        Where each of the heads begins and the last one ends, if any field has values for alleles.
    """

    cdef bf_bcf bcf
    cdef bf_bcf_format *formats
    cdef list kept
    cdef bytes prefix
    cdef const uint64_t[::1] offsets
    cdef const uint8_t[::1] heads
    cdef const uint64_t[::1] head_offsets

    def __cinit__(self, unsigned width, bytes prefix not None,
                  const uint64_t[::1] offsets=None, const uint8_t[::1] heads=None, formats=(),
                  const uint64_t[::1] head_offsets=None):
        self.encode = bf_bcf_encode
        self.context = &self.bcf
        if width > 2 or (width == 0 and prefix):
            raise ValueError("an allele takes 1 or 2 bytes")
        self.formats = <bf_bcf_format *> calloc(len(formats) + 1, sizeof(bf_bcf_format))
        if self.formats == NULL:
            raise MemoryError
        self.kept = [key for _, _, _, key in formats]
        for i, (code, per, num_values, key) in enumerate(formats):
            self.formats[i].code = ord(code)
            self.formats[i].per = ord(per) if per else 0
            self.formats[i].num_values = num_values
            self.formats[i].key = <const uint8_t *> PyBytes_AsString(key)
            self.formats[i].key_size = <uint32_t> len(key)
            if per and head_offsets is None and heads is not None:
                raise ValueError("records of several sizes have head_offsets")
            if num_values == 0 or bf_bcf_stored_bytes(self.formats[i].code) == 0:
                raise ValueError("a field has a value at least, of a type that BCF has")
        self.bcf.formats = self.formats
        self.bcf.num_formats = self.num_fields = <uint32_t> len(formats)
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
            if head_offsets is not None:
                if head_offsets.shape[0] != offsets.shape[0]:
                    raise ValueError("there are as many head_offsets as offsets")
                self.head_offsets = head_offsets
                self.bcf.head_offsets = &head_offsets[0]

    def __dealloc__(self):
        free(self.formats)

    def data_size(self, uint32_t num_samples, uint32_t ploidy, uint32_t num_alleles=1):
        """Bytes of a record's genotypes and other fields, at a site of so many alleles."""
        return bf_bcf_data_size(&self.bcf, num_samples, ploidy, num_alleles)

    def put_field(self, uint32_t number, values not None, uint32_t num_samples, uint32_t ploidy,
                  uint64_t first_record, uint8_t[::1] out not None):
        """Write one of the fields behind the genotypes into records.

        Parameters
        ----------
        number : int
            Of `formats`.
        values : buffer, shape (records, samples * values)
            The store's elements; of texts, their bytes with zeros behind them.
        num_samples, ploidy : int
            Of the genotypes.
        first_record : int
            Number of the first record in its file.
        out : writable buffer of uint8
            The records, one after another.

        Raises
        ------
        NativeError
            If a value cannot be shown; `row` and `sample` tell of which record, counted from the
            first one's, and sample.
        """
        cdef bf_error err
        cdef bf_status status
        cdef bf_bcf_values c_values
        cdef uint8_t *to = &out[0] if out.shape[0] > 0 else NULL
        clear(&err)
        view = memoryview(values)
        cdef const uint8_t[::1] flat = view.cast("B")
        c_values.values = address(flat)
        c_values.size = flat.shape[0]
        c_values.num_samples = num_samples
        c_values.ploidy = ploidy
        c_values.first_record = first_record
        c_values.num_records = len(view)
        with nogil:
            status = bf_bcf_put_format(&self.bcf, number, &c_values, to, out.shape[0], &err)
        if status != BF_OK:
            raise_error(&err)


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
        the NaN 0x7f800002 is none and any other is missing.

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
              BcfEncoder records not None, uint32_t num_samples, uint32_t ploidy):
    """What precedes the fields of FORMAT in BCF records.

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
    records : BcfEncoder
        Of what follows.
    num_samples, ploidy : int

    Returns
    -------
    heads : memoryview of uint8
        One after another.
    sizes : array of uint32
        Bytes of each.
    behind : array of uint32
        Bytes that follow each in its record.

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, has a number that BCF cannot hold, or more alleles,
        INFO or FORMAT than it can.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_bcf_heads columns
    cdef bf_bcf_field *c_fields
    cdef BcfField field
    cdef Py_ssize_t i, n = positions.shape[0]
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
    cdef uint32_t[::1] behind = array("I", bytes(4 * n))
    cdef uint64_t room, used = 0
    cdef uint8_t *out
    clear(&err)
    check_lengths(n, (contigs, lengths, ids))
    if qualities is not None:
        check_lengths(n, (qualities,))
    if n == 0:
        return memoryview(b""), sizes.base, behind.base
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
        columns.ploidy = ploidy
        columns.records = &records.bcf
        room = bf_bcf_heads_room(&columns)
        heads = PyBytes_FromStringAndSize(NULL, room)
        out = <uint8_t *> PyBytes_AsString(heads)
        with nogil:
            status = bf_bcf_heads_write(&columns, out, room, &sizes[0], &behind[0], &used, &err)
        if status != BF_OK:
            raise_error(&err)
    finally:
        free(c_fields)
    # What is behind the last one was never written.
    return memoryview(heads)[:used], sizes.base, behind.base


cdef class CsiIndex:
    """A CSI index of the records of a BCF file in blocks of stored data.

    Parameters
    ----------
    num_contigs : int
        Of the file's header.
    """

    cdef bf_csi csi

    def __cinit__(self, uint32_t num_contigs):
        bf_csi_init(&self.csi, num_contigs)

    def __dealloc__(self):
        bf_csi_free(&self.csi)

    def add(self, const int32_t[::1] contigs not None, const int64_t[::1] positions not None,
            const int32_t[::1] lengths not None, const uint64_t[::1] offsets not None):
        """Add sites, contig by contig and in order.

        Parameters
        ----------
        contigs : buffer of int32
        positions : buffer of int64
            1-based.
        lengths : buffer of int32
            Positions that each site takes.
        offsets : buffer of uint64
            Where records begin and end in the stream: one more than there are.

        Raises
        ------
        NativeError
            If a site, of which `row` tells, comes behind others that should follow it.
        """
        cdef bf_error err
        cdef bf_status status
        cdef bf_csi_sites sites
        cdef Py_ssize_t n = positions.shape[0]
        clear(&err)
        check_lengths(n, (contigs, lengths))
        check_lengths(n + 1, (offsets,))
        if n == 0:
            return
        sites.count = n
        sites.contigs = &contigs[0]
        sites.positions = &positions[0]
        sites.lengths = &lengths[0]
        sites.offsets = &offsets[0]
        with nogil:
            status = bf_csi_add(&self.csi, &sites, &err)
        if status != BF_OK:
            raise_error(&err)

    def to_bytes(self):
        """The index, not compressed; nothing can be added any more."""
        cdef bf_error err
        clear(&err)
        if bf_csi_finish(&self.csi, &err) != BF_OK:
            raise_error(&err)
        data = PyBytes_FromStringAndSize(NULL, bf_csi_size(&self.csi))
        bf_csi_write(&self.csi, <uint8_t *> PyBytes_AsString(data))
        return data
