cdef extern from "heap.h" nogil:
    void bf_trim_heap()
    void bf_give_back_blocks_of(int)
    void bf_keep_freed_memory(int)


def trim_heap():
    """Give freed memory back to the system, where the C library can."""
    with nogil:
        bf_trim_heap()


def give_back_blocks_of(int size):
    """Have the C library, where it can, give blocks of so many bytes back as they are freed."""
    bf_give_back_blocks_of(size)


def keep_freed_memory(int size):
    """Have the C library, where it can, keep up to so many freed bytes at the heap's end."""
    bf_keep_freed_memory(size)
