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

/* Have blocks of this size and more given back as they are freed, where the C library can be
 * told: glibc raises the size, up to 32 MiB, with every large block that is freed. */
static inline void bf_give_back_blocks_of(int size)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, size);
#else
    (void) size;
#endif
}

/* Have up to so many freed bytes kept at the heap's end, where the C library can be told: glibc
 * gives them back, and has them zeroed again, many times a second. */
static inline void bf_keep_freed_memory(int size)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, size);
    mallopt(M_MMAP_THRESHOLD, size);
#else
    (void) size;
#endif
}

#endif
