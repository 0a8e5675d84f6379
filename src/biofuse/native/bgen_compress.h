/* Variant data blocks of a BGEN file, compressed anew.
 *
 * Specification: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html, layout 2. */
#ifndef BF_BGEN_COMPRESS_H
#define BF_BGEN_COMPRESS_H

#include <stddef.h>

#include "error.h"

/* As CompressedSNPBlocks of the file's header has them. */
typedef enum { BF_BGEN_ZLIB = 1, BF_BGEN_ZSTD = 2 } bf_bgen_method;

/* Bytes that so many records of so many bytes take at most, however they are compressed. */
uint64_t bf_bgen_compress_room(uint64_t size, uint64_t count);

/* Compress the genotype data of records whose data are zlib's, and whose ends are told from the
 * first one's start on. Writes them to out, of that room, and the bytes of each to sizes.
 * BF_ERR_TRUNCATED, BF_ERR_BLOCK: with the row, a record is malformed. */
bf_status bf_bgen_compress(const uint8_t *records, const uint64_t *ends, uint64_t count,
    bf_bgen_method method, int level, uint8_t *out, uint64_t room, uint64_t *sizes,
    bf_error *err);

#endif
