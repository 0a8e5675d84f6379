/* The C library's heap. */
#ifndef BF_HEAP_H
#define BF_HEAP_H

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Give freed memory back to the system, where the C library has a way to: glibc has. */
static inline void bf_trim_heap(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

#endif
