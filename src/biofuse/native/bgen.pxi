# BGEN records, and what they begin with. Part of _native.pyx.

cdef class BgenEncoder(RecordEncoder):
    """Encoder of BGEN variant data blocks.

    Parameters
    ----------
    field : str
        "GT", "GP" or "DS": what probabilities are made from.
    bits : int
        Of a probability, 8 or 16.
    haploid_as_diploid : bool
        Whether haploid calls are shown as homozygous diploid ones.
    offsets : buffer of uint64, optional
        Where each record begins in the file, and the file's size.
    heads : buffer of uint8, optional
        What precedes each record's genotype data, one after another.
    """

    cdef bf_bgen bgen
    cdef const uint64_t[::1] offsets
    cdef const uint8_t[::1] heads

    def __cinit__(self, str field, unsigned bits, bint haploid_as_diploid,
                  const uint64_t[::1] offsets=None, const uint8_t[::1] heads=None):
        self.encode = bf_bgen_encode
        self.context = &self.bgen
        self.bgen.field = {"GT": BF_BGEN_GT, "GP": BF_BGEN_GP, "DS": BF_BGEN_DS}[field]
        if bits not in (8, 16):
            raise ValueError("a probability takes 8 or 16 bits")
        self.bgen.bits = bits
        self.bgen.haploid_as_diploid = haploid_as_diploid
        if offsets is not None and heads is not None and offsets.shape[0] > 0:
            self.offsets = offsets
            self.heads = heads
            self.bgen.offsets = &offsets[0]
            self.bgen.num_records = offsets.shape[0] - 1
            self.bgen.heads = address(heads)
            self.bgen.heads_size = heads.shape[0]

    def data_size(self, uint32_t num_samples, uint32_t ploidy):
        """Bytes of a record from its C field on."""
        return bf_bgen_data_size(&self.bgen, num_samples, ploidy)


cdef uint8_t *put_string(uint8_t *to, str text, unsigned width) except NULL:
    """Append a length of `width` bytes and UTF-8; room is known to be there."""
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    cdef unsigned i
    if width == 2 and size > 0xffff:
        raise ValueError(f"{text[:20]}... is of {size} bytes; BGEN holds up to 65535")
    for i in range(width):
        to[i] = <uint8_t> (size >> (8 * i))
    memcpy(to + width, data, size)
    return to + width + size


def bgen_heads(list varids, list rsids, list chroms, const uint32_t[::1] positions,
               list alleles1, list alleles2):
    """What precedes genotype data in BGEN variant data blocks of two alleles.

    Parameters
    ----------
    varids, rsids, chroms, alleles1, alleles2 : list of str
    positions : buffer of uint32

    Returns
    -------
    heads : bytes
        One after another.
    sizes : array of uint32
        Bytes of each.

    Raises
    ------
    ValueError
        If a varid, rsid or chromosome is longer than 65,535 bytes.
    """
    cdef Py_ssize_t i, k, n = len(positions), size, room = 0
    cdef uint8_t *to
    cdef uint8_t *start
    cdef uint32_t[::1] sizes = array("I", bytes(4 * n))
    cdef list column
    for column in (varids, rsids, chroms, alleles1, alleles2):
        if len(column) != n:
            raise ValueError("the columns differ in length")
        for i in range(n):
            PyUnicode_AsUTF8AndSize(column[i], &size)
            room += size
    heads = PyBytes_FromStringAndSize(NULL, room + n * (3 * 2 + 4 + 2 + 2 * 4))
    to = <uint8_t *> PyBytes_AsString(heads)
    for i in range(n):
        start = to
        to = put_string(to, varids[i], 2)
        to = put_string(to, rsids[i], 2)
        to = put_string(to, chroms[i], 2)
        for k in range(4):
            to[k] = <uint8_t> (positions[i] >> (8 * k))
        to[4] = 2
        to[5] = 0
        to = put_string(to + 6, alleles1[i], 4)
        to = put_string(to, alleles2[i], 4)
        sizes[i] = <uint32_t> (to - start)
    return heads, sizes.base
