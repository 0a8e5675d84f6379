cdef extern from "heap.h" nogil:
    void bf_trim_heap()


def trim_heap():
    """Give freed memory back to the system, where the C library can."""
    with nogil:
        bf_trim_heap()
