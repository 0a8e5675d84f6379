# What files say of variants, many at a time. Part of _native.pyx.

cdef check_lengths(Py_ssize_t n, columns):
    for column in columns:
        if len(column) != n:
            raise ValueError("the columns differ in length")


def index_of_highest(const int64_t[::1] numbers not None):
    """Where the first of the highest numbers is; -1 where there are none."""
    cdef Py_ssize_t i, found = -1
    with nogil:
        for i in range(numbers.shape[0]):
            if found < 0 or numbers[i] > numbers[found]:
                found = i
    return found


cdef dict ID_KINDS = {"@": BF_ID_CHROM, "#": BF_ID_POSITION, "$r": BF_ID_REF, "$a": BF_ID_ALT,
                      "$1": BF_ID_FIRST, "$2": BF_ID_SECOND}


def variant_ids(parts, Texts chroms not None, const int64_t[::1] positions not None,
                Texts refs not None, Texts alts not None, const uint64_t[::1] rows not None):
    """IDs of some variants, made of their other fields.

    Parameters
    ----------
    parts : sequence of str
        What an ID consists of: `@` is the chromosome, `#` the position, `$r` and `$a` are the
        alleles, `$1` and `$2` both in the order of code points, and all else is itself.
    rows : buffer of uint64
        The variants.

    Returns
    -------
    Texts

    Raises
    ------
    NativeError
        If there is no such row, or its position is below 0.
    """
    cdef bf_error err
    cdef bf_variant_ids columns
    cdef bf_id_part *c_parts
    cdef Py_ssize_t i, n = rows.shape[0]
    cdef const uint64_t *first = &rows[0] if n > 0 else NULL
    cdef uint64_t room = 0
    cdef uint64_t[::1] starts = array("Q", bytes(8 * n + 8))
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n + 4))
    cdef uint8_t *out
    cdef list texts = [part.encode() for part in parts]
    clear(&err)
    check_lengths(len(chroms), (positions, refs, alts))
    columns.chrom, columns.ref, columns.alt = chroms.texts, refs.texts, alts.texts
    columns.positions = &positions[0] if positions.shape[0] > 0 else NULL
    c_parts = <bf_id_part *> malloc((len(texts) + 1) * sizeof(bf_id_part))
    if c_parts == NULL:
        raise MemoryError
    try:
        for i in range(len(texts)):
            c_parts[i].kind = <bf_id_kind> <int> ID_KINDS.get(parts[i], BF_ID_TEXT)
            c_parts[i].text.data = <const uint8_t *> PyBytes_AsString(texts[i])
            c_parts[i].text.size = <uint32_t> len(texts[i])
        columns.parts = c_parts
        columns.num_parts = len(texts)
        if bf_variant_ids_room(&columns, first, n, &room, &err) != BF_OK:
            raise_error(&err)
        data = PyBytes_FromStringAndSize(NULL, room)
        out = <uint8_t *> PyBytes_AsString(data)
        with nogil:
            bf_variant_ids_write(&columns, first, n, out, &starts[0], &sizes[0])
    finally:
        free(c_parts)
    # What is behind the last one was never written.
    room = starts[n - 1] + sizes[n - 1] if n > 0 else 0
    return Texts(memoryview(data)[:room], starts[:n], sizes[:n])


def bim_lines(Texts chrom not None, Texts id not None, const int64_t[::1] positions not None,
              Texts a1 not None, Texts a2 not None, Texts cm=None):
    """Lines of a `.bim`: chromosome, ID, centimorgans, position, A1 and A2 between tabs.

    Parameters
    ----------
    cm : Texts, optional
        0 where it is not given.

    Returns
    -------
    memoryview of uint8

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, has an empty field, one with a space, a tab or an
        end of line in it, or a position below 0.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_bim columns
    cdef uint64_t size = 0
    cdef uint8_t *out
    clear(&err)
    check_lengths(len(chrom), (id, positions, a1, a2))
    check_lengths(len(chrom), () if cm is None else (cm,))
    columns.chrom, columns.id = chrom.texts, id.texts
    columns.a1, columns.a2 = a1.texts, a2.texts
    columns.positions = &positions[0] if positions.shape[0] > 0 else NULL
    columns.cm = &cm.texts if cm is not None else NULL
    lines = PyBytes_FromStringAndSize(NULL, bf_bim_room(&columns))
    out = <uint8_t *> PyBytes_AsString(lines)
    with nogil:
        status = bf_bim_write(&columns, out, &size, &err)
    if status != BF_OK:
        raise_error(&err)
    return memoryview(lines)[:size]


def bgen_heads(Texts varids not None, Texts rsids not None, Texts chroms not None,
               const int64_t[::1] positions not None, Texts alleles1 not None,
               Texts alleles2 not None):
    """What precedes genotype data in BGEN variant data blocks of two alleles.

    Returns
    -------
    heads : bytes
        One after another.
    sizes : array of uint32
        Bytes of each.

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, has a varid, rsid or chromosome of more than 65,535
        bytes, or a position that is not of 32 bits.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_bgen_heads columns
    cdef Py_ssize_t n = len(chroms)
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
    cdef uint8_t *out
    clear(&err)
    check_lengths(n, (varids, rsids, positions, alleles1, alleles2))
    columns.varid, columns.rsid, columns.chrom = varids.texts, rsids.texts, chroms.texts
    columns.allele1, columns.allele2 = alleles1.texts, alleles2.texts
    columns.positions = NULL
    heads = PyBytes_FromStringAndSize(NULL, bf_bgen_heads_size(&columns))
    if n > 0:
        columns.positions = &positions[0]
        out = <uint8_t *> PyBytes_AsString(heads)
        with nogil:
            status = bf_bgen_heads_write(&columns, out, &sizes[0], &err)
        if status != BF_OK:
            raise_error(&err)
    return heads, sizes.base


def bgen_samples(Texts samples not None):
    """Sample IDs as the sample block of a BGEN file has them, each after its size: bytes.

    Raises
    ------
    NativeError
        If one, of which `row` tells, has more than 65,535 bytes.
    """
    cdef bf_error err
    cdef uint64_t size = bf_texts_size(&samples.texts) + 2 * samples.texts.count
    clear(&err)
    block = PyBytes_FromStringAndSize(NULL, size)
    if bf_bgen_samples_write(&samples.texts, <uint8_t *> PyBytes_AsString(block), &err) != BF_OK:
        raise_error(&err)
    return block


def bgi_rows(Texts chroms not None, Texts rsids not None, const int64_t[::1] positions not None,
             Texts alleles1 not None, Texts alleles2 not None,
             const uint64_t[::1] offsets not None):
    """Rows of the table Variant of a `.bgi`, in the order of its primary key.

    Parameters
    ----------
    offsets : buffer of uint64
        Where records begin and end in the `.bgen`: one more than there are.

    Returns
    -------
    memoryview of uint8
        SQLite's records, each after its size: a run, as `BgiPages` wants it.

    Raises
    ------
    NativeError
        If a variant, of which `row` tells, is longer than a row may be.
    """
    cdef bf_error err
    cdef bf_status status
    cdef bf_bgi columns
    cdef Py_ssize_t n = len(chroms)
    cdef uint64_t size = 0
    cdef uint32_t[::1] order = array("I", bytes(4 * n + 4))
    cdef uint32_t[::1] scratch = array("I", bytes(4 * n + 4))
    cdef uint8_t *out
    clear(&err)
    check_lengths(n, (rsids, positions, alleles1, alleles2))
    check_lengths(n + 1, (offsets,))
    columns.chrom, columns.rsid = chroms.texts, rsids.texts
    columns.allele1, columns.allele2 = alleles1.texts, alleles2.texts
    columns.positions = &positions[0] if n > 0 else NULL
    columns.offsets = &offsets[0]
    rows = PyBytes_FromStringAndSize(NULL, bf_bgi_room(&columns))
    out = <uint8_t *> PyBytes_AsString(rows)
    with nogil:
        status = bf_bgi_write(&columns, &order[0], &scratch[0], out, &size, &err)
    if status != BF_OK:
        raise_error(&err)
    return memoryview(rows)[:size]


cdef class BgiPages:
    """Pages of the b-tree of the table Variant of a `.bgi`.

    Parameters
    ----------
    rows : buffer of uint8
        What `bgi_rows` gave, one after another.
    ends : buffer of uint64
        Where each of them ends, ascending.
    first_page : int
        The number of the first page that is made, but for the root.
    """

    PAGE_SIZE = BF_BTREE_PAGE

    cdef bf_bgi_merge merge
    cdef bf_bgi_run *runs
    cdef const uint8_t[::1] rows
    cdef bytearray top

    def __cinit__(self, const uint8_t[::1] rows not None, const uint64_t[::1] ends not None,
                  uint32_t first_page):
        cdef bf_error err
        cdef uint64_t at = 0
        cdef Py_ssize_t i
        clear(&err)
        self.rows = rows
        self.top = bytearray(BF_BTREE_PAGE)
        self.runs = <bf_bgi_run *> malloc((ends.shape[0] + 1) * sizeof(bf_bgi_run))
        if self.runs == NULL:
            raise MemoryError
        for i in range(ends.shape[0]):
            if ends[i] < at or ends[i] > <uint64_t> rows.shape[0]:
                raise ValueError("runs lie outside the rows")
            self.runs[i].at, self.runs[i].end = at, ends[i]
            at = ends[i]
        if bf_bgi_merge_init(&self.merge, address(rows), self.runs, ends.shape[0], first_page,
                             &err) != BF_OK:
            raise_error(&err)

    def __dealloc__(self):
        bf_btree_free(&self.merge.tree)
        free(self.runs)

    def read(self, uint64_t enough):
        """The pages that follow, `enough` bytes of them or somewhat more; none at the end.

        Raises
        ------
        NativeError
            If a row is malformed.
        """
        cdef bf_error err
        cdef bf_status status
        cdef uint8_t *top = <uint8_t *> PyByteArray_AsString(self.top)
        clear(&err)
        with nogil:
            status = bf_bgi_merge_some(&self.merge, enough, top, &err)
        if status != BF_OK:
            raise_error(&err)
        pages = PyBytes_FromStringAndSize(<char *> self.merge.tree.out, self.merge.tree.out_size)
        self.merge.tree.out_size = 0
        return pages

    @property
    def next_page(self):
        """The number of the page that would be next."""
        return self.merge.tree.next

    @property
    def root(self):
        """The root's page, once no pages follow."""
        if not self.merge.done:
            raise ValueError("there are pages to read before the root")
        return bytes(self.top)
