cdef extern from "process.h" nogil:
    int bf_die_with(int)


def die_with(int parent):
    """Have the kernel kill this process when its parent ends; end now if that has ended."""
    bf_die_with(parent)
