# Records and blocks of files that are exported, compressed. Part of _native.pyx.

def bgen_compress(const uint8_t[::1] records not None, const uint64_t[::1] ends not None,
                  str method not None, int level):
    """Records of a BGEN file whose data are zlib's, with these compressed anew.

    Parameters
    ----------
    records : buffer of uint8
        One after another.
    ends : buffer of uint64
        Where each ends.
    method : str
        zlib or zstd.
    level : int
        As libdeflate takes it, 1 to 12, or libzstd.

    Returns
    -------
    records : memoryview of uint8
    sizes : array of uint64
        Bytes of each.

    Raises
    ------
    NativeError
        If a record, of which `row` tells, is malformed.
    """
    cdef bf_error err
    cdef bf_status status
    cdef Py_ssize_t n = ends.shape[0]
    cdef bf_bgen_method c_method = {"zlib": BF_BGEN_ZLIB, "zstd": BF_BGEN_ZSTD}[method]
    cdef uint64_t room, made = 0
    cdef const uint8_t *c_records = NULL
    cdef uint64_t[::1] sizes = array("Q", bytes(8 * n))
    cdef uint8_t *out
    cdef Py_ssize_t i
    clear(&err)
    if n == 0:
        return memoryview(b""), sizes.base
    for i in range(n):
        if ends[i] > <uint64_t> records.shape[0]:
            raise ValueError("a record ends after the last byte")
    room = bf_bgen_compress_room(ends[n - 1], n)
    data = PyBytes_FromStringAndSize(NULL, room)
    out = <uint8_t *> PyBytes_AsString(data)
    if records.shape[0] > 0:
        c_records = &records[0]
    with nogil:
        status = bf_bgen_compress(c_records, &ends[0], n, c_method, level, out, room,
                                  &sizes[0], &err)
    if status != BF_OK:
        raise_error(&err)
    for i in range(n):
        made += sizes[i]
    return memoryview(data)[:made], sizes.base


def bgzf_compress(const uint8_t[::1] blocks not None, const uint64_t[::1] ends not None,
                  int level):
    """Blocks of a BGZF file, of stored data, compressed.

    Parameters
    ----------
    blocks : buffer of uint8
        One after another.
    ends : buffer of uint64
        Where each ends.
    level : int
        As libdeflate takes it, 1 to 12.

    Returns
    -------
    blocks : memoryview of uint8
    sizes : array of uint64
        Bytes of each.

    Raises
    ------
    NativeError
        If a block, of which `row` tells, is none of stored data.
    """
    cdef bf_error err
    cdef bf_status status
    cdef Py_ssize_t n = ends.shape[0]
    cdef uint64_t made = 0
    cdef const uint8_t *c_blocks = NULL
    cdef uint64_t[::1] sizes = array("Q", bytes(8 * n))
    cdef uint8_t *out
    cdef Py_ssize_t i
    clear(&err)
    if n == 0:
        return memoryview(b""), sizes.base
    for i in range(n):
        if ends[i] > <uint64_t> blocks.shape[0]:
            raise ValueError("a block ends after the last byte")
    data = PyBytes_FromStringAndSize(NULL, blocks.shape[0])
    out = <uint8_t *> PyBytes_AsString(data)
    if blocks.shape[0] > 0:
        c_blocks = &blocks[0]
    with nogil:
        status = bf_bgzf_compress(c_blocks, &ends[0], n, level, out, &sizes[0], &err)
    if status != BF_OK:
        raise_error(&err)
    for i in range(n):
        made += sizes[i]
    return memoryview(data)[:made], sizes.base
