/* Fields of calls beside genotypes, such as call_GP, call_DS and call_AD, from Blosc frames.
 *
 * Like genotypes these are decompressed a block at a time; of a block only the rows
 * asked for are put together. */
#ifndef BF_VALUES_H
#define BF_VALUES_H

#include "rows.h"

typedef struct {
    uint32_t chunk_rows;
    uint64_t row_values; /* of a row of a chunk: its samples x values a sample */
    unsigned item_size;  /* bytes of a value */
    uint8_t *scratch;
    uint64_t scratch_size;
    ZSTD_DCtx *dctx;
} bf_values;

/* item_size: 1, 2, 4 or 8. */
bf_status bf_values_init(bf_values *self, uint32_t chunk_rows, uint64_t row_values,
    unsigned item_size, bf_error *err);
void bf_values_free(bf_values *self);

/* Read the first num_values values of rows of one chunk, row i to out + i * stride, in bytes.
 * source: a frame of little-endian values, its span holding the blocks of these rows. */
bf_status bf_values_read(bf_values *self, const bf_frame_source *source, const uint32_t *rows,
    uint64_t num_rows, uint64_t num_values, uint8_t *out, uint64_t stride, bf_error *err);

#endif
