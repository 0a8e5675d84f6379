/* Blocks of a BGZF file, of stored data, compressed.
 *
 * Specification: https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1. */
#ifndef BF_BGZF_COMPRESS_H
#define BF_BGZF_COMPRESS_H

#include "error.h"

/* Compress blocks as bf_bgzf_close makes them, whose ends are told from the first one's start on,
 * each as one block, or as it is if that is smaller. Writes them to out, which has room for them as
 * they are, and the bytes of each to sizes. BF_ERR_BLOCK: with the row, one is malformed. */
bf_status bf_bgzf_compress(const uint8_t *blocks, const uint64_t *ends, uint64_t count, int level,
    uint8_t *out, uint64_t *sizes, bf_error *err);

#endif
