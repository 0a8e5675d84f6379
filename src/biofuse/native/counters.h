/* What a worker has done, in a page that it shares with serve. */
#ifndef BF_COUNTERS_H
#define BF_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

enum {
    BF_COUNT_READS = 0,      /* answers */
    BF_COUNT_BYTES,          /* in them */
    BF_COUNT_RECORDS,        /* made */
    BF_COUNT_BYTES_MADE,     /* in them */
    BF_COUNT_BLOCKS_FOUND,   /* whose planes were kept */
    BF_COUNT_BLOCKS_MADE,    /* decompressed */
    BF_COUNT_BLOCKS_AHEAD,   /* of those, before they were asked for */
    BF_COUNT_CHUNKS_FOUND,
    BF_COUNT_CHUNKS_MISSED,
    BF_COUNT_HELD,           /* bytes that are kept: no sum */
    BF_NUM_COUNTERS,
};

/* counters may be NULL. */
static inline void
bf_count(uint64_t *counters, int which, uint64_t n)
{
    if (counters != NULL) {
        (void) __atomic_fetch_add(&counters[which], n, __ATOMIC_RELAXED);
    }
}

#endif
