/* Blocks of the frames that rows are read from. Part of rows.c. */
#ifndef BF_BLOCKS_H
#define BF_BLOCKS_H

#include "rows.h"

/* Have room for so many bytes, or alleles; what was there is lost. */
bf_status bf_reserve(uint8_t **buffer, uint64_t *size, uint64_t wanted, bf_error *err);
bf_status bf_reserve_planes(bf_planes *planes, uint64_t size, bf_error *err);

/* Let go of the cache's planes. */
void bf_blocks_drop(bf_rows *self, bf_chunk *chunk);

/* Make a block the chunk's current one. */
bf_status bf_blocks_load(bf_rows *self, bf_chunk *chunk, uint32_t block, bf_error *err);

#endif
