# PLINK 2 files: records of `.pgen`, lines of `.pvar`. Part of _native.pyx.

cdef class Plink2Encoder(RecordEncoder):
    """Encoder of `.pgen` records.

    Parameters
    ----------
    field : str
        "GT" for hard calls; "GP" or "DS" for dosages beside them.
    calls : bool
        Whether the store has calls, which stand for dosages that are missing.
    """

    cdef bf_plink2 plink2

    def __cinit__(self, str field="GT", bint calls=True):
        self.encode = bf_plink2_encode
        self.context = &self.plink2
        self.plink2.field = CALL_FIELDS[field]
        self.plink2.calls = calls

    def record_size(self, uint32_t num_samples):
        """Bytes of a record."""
        return bf_plink2_record_size(&self.plink2, num_samples)


def pvar_lines(Texts chrom not None, const int64_t[::1] positions not None, Texts id not None,
               Texts ref not None, Texts alt not None, const float[::1] quality=None,
               Texts filter=None, Texts info=None, Texts cm=None):
    """Lines of a `.pvar`: chromosome, position, ID, REF, ALT and what is given of the rest.

    Parameters
    ----------
    quality : buffer of float32, optional
        NaN where missing.
    filter, info, cm : Texts, optional

    Returns
    -------
    memoryview of uint8

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, has an empty field, one with a space, a tab
        or an end of line in it, or a position below 0.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_pvar columns
    cdef Py_ssize_t n = len(chrom)
    cdef float nothing = 0
    cdef uint64_t size = 0
    cdef uint8_t *out
    clear(&err)
    check_lengths(n, (positions, id, ref, alt))
    check_lengths(n, [each for each in (quality, filter, info, cm) if each is not None])
    columns.chrom, columns.id = chrom.texts, id.texts
    columns.ref, columns.alt = ref.texts, alt.texts
    columns.positions = &positions[0] if n > 0 else NULL
    columns.quality = NULL
    if quality is not None:
        columns.quality = &quality[0] if n > 0 else &nothing
    columns.filter = &filter.texts if filter is not None else NULL
    columns.info = &info.texts if info is not None else NULL
    columns.cm = &cm.texts if cm is not None else NULL
    lines = PyBytes_FromStringAndSize(NULL, bf_pvar_room(&columns))
    out = <uint8_t *> PyBytes_AsString(lines)
    with nogil:
        status = bf_pvar_write(&columns, out, &size, &err)
    if status != BF_OK:
        raise_error(&err)
    return memoryview(lines)[:size]


cdef set_info_field(bf_info_field *field, bytes key, values, Py_ssize_t count):
    """Returns what must be kept while it is used."""
    cdef const uint8_t[::1] flags
    cdef const int32_t[::1] small
    cdef const int64_t[::1] integers
    cdef const float[::1] floats
    cdef Texts texts
    cdef Py_ssize_t n = len(values)
    if count == 0 or n % count != 0 or n // count > 0xFFFFFFFF:
        raise ValueError("the fields differ in length")
    field.width = <uint32_t> (n // count)
    field.key.data = <const uint8_t *> PyBytes_AsString(key)
    field.key.size = <uint32_t> len(key)
    field.values = NULL
    if isinstance(values, Texts):
        texts = values
        field.kind = BF_INFO_TEXT
        field.texts = texts.texts
        return texts
    view = memoryview(values)
    if view.format in ("?", "B"):
        if n != count:
            raise ValueError("a variant has one flag")
        flags = view.cast("B")
        field.kind = BF_INFO_FLAG
        field.values = &flags[0] if n > 0 else NULL
    elif view.format == "f":
        floats = view
        field.kind = BF_INFO_FLOAT
        field.values = &floats[0] if n > 0 else NULL
    elif view.format == "i":
        small = view
        field.kind = BF_INFO_INT32
        field.values = &small[0] if n > 0 else NULL
    else:
        integers = view
        field.kind = BF_INFO_INT64
        field.values = &integers[0] if n > 0 else NULL
    return view


def info_texts(fields, Py_ssize_t count):
    """INFO of variants, as VCF has it; empty where there is none.

    Parameters
    ----------
    fields : sequence of (str, buffer or Texts)
        Keys and values, as many a variant as there are, one variant after another: of uint8
        or bool, a flag; int32 or int64, -1 if missing and -2 for none; float32, NaN if missing and the
        one with the bits 0x7f800002 for none; or Texts, "." and empty.
    count : int
        Variants.

    Returns
    -------
    Texts
    """
    cdef bf_error err
    cdef bf_status status
    cdef Py_ssize_t i, n = len(fields)
    cdef uint64_t[::1] starts = array("Q", bytes(8 * count))
    cdef uint32_t[::1] sizes = array("I", bytes(4 * count))
    cdef bf_info_field *c_fields
    cdef uint8_t *out
    cdef uint64_t used = 0
    cdef list kept = []
    clear(&err)
    if count == 0:
        return Texts(b"", starts, sizes)
    c_fields = <bf_info_field *> calloc(n + 1, sizeof(bf_info_field))
    if c_fields == NULL:
        raise MemoryError
    try:
        for i in range(n):
            key = fields[i][0].encode()
            kept.append((key, set_info_field(&c_fields[i], key, fields[i][1], count)))
        data = PyBytes_FromStringAndSize(NULL, bf_info_room(c_fields, n, count))
        out = <uint8_t *> PyBytes_AsString(data)
        with nogil:
            status = bf_info_write(c_fields, n, count, out, &starts[0], &sizes[0], &err)
    finally:
        free(c_fields)
    if status != BF_OK:
        raise_error(&err)
    # What is behind the last one was never written.
    used = starts[count - 1] + sizes[count - 1]
    return Texts(memoryview(data)[:used], starts, sizes)
