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
        self.bgen.field = CALL_FIELDS[field]
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
