# What makes records, whatever the format. Part of _native.pyx.

cdef class RecordEncoder:
    """A format's kernel: makes one record from one row.

    Attributes
    ----------
    num_fields : int
        Fields of calls that are put into records by `put_field`, one after another.
    """

    cdef bf_encode_record encode
    cdef const void *context
    cdef readonly uint32_t num_fields


cdef class SplitEncoder(RecordEncoder):
    """Encoder of records that show one ALT of a site of several, as if it had no other.

    Parameters
    ----------
    encoder : RecordEncoder
        Makes records of what they show.
    alts : buffer of uint16
        Two of each record: which ALT it shows, from 1, and how many alleles its site has; 0 for a
        site that is shown as it is.
    others_missing : bool
        Whether other ALTs are shown as missing; else they are shown as REF.
    """

    cdef bf_split split
    cdef RecordEncoder inner
    cdef const uint16_t[::1] alts

    def __cinit__(self, RecordEncoder encoder not None, const uint16_t[::1] alts not None,
                  bint others_missing):
        if encoder.encode == NULL:
            raise TypeError("a RecordEncoder of some format is needed")
        self.encode = bf_split_encode
        self.context = &self.split
        self.inner = encoder
        self.alts = alts
        if alts.shape[0] % 2 != 0:
            raise ValueError("there are two numbers of each record")
        self.split.alts = <const bf_split_alt *> &alts[0] if alts.shape[0] > 0 else NULL
        self.split.num_records = alts.shape[0] // 2
        self.split.others_missing = others_missing
        self.split.encode = encoder.encode
        self.split.encoder = encoder.context


cdef class Plink1Encoder(RecordEncoder):
    """Encoder of `.bed` records: ceil(samples / 4) bytes each."""

    def __cinit__(self):
        self.encode = bf_plink1_encode
        self.context = NULL


cdef dict CALL_FIELDS = {"GT": BF_FIELD_GT, "GP": BF_FIELD_GP, "DS": BF_FIELD_DS}
