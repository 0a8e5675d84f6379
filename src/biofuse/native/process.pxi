cdef extern from "process.h" nogil:
    int bf_die_with(int)
    int bf_gain_no_rights()
    int bf_confine()


def die_with(int parent):
    """Have the kernel kill this process when its parent ends; end now if that has ended."""
    bf_die_with(parent)


def gain_no_rights():
    """Have this thread, and those that it starts, gain no rights by programs that they run."""
    bf_gain_no_rights()


def confine():
    """Have this thread, and those that it starts, change no files, run no programs and gain no rights.

    Returns
    -------
    bool
        Whether the kernel does it: Linux before 5.13, and some containers, do not.
    """
    return bf_confine() == 0
