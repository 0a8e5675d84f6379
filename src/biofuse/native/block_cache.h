/* Planes of decompressed blocks, shared between threads.
 *
 * Neighbouring runs of rows begin and end within a block, and rows spread over
 * many; what one thread has decompressed another need not. The cache is bounded
 * in bytes; blocks in use are never evicted. Thread-safe. */
#ifndef BF_BLOCK_CACHE_H
#define BF_BLOCK_CACHE_H

#include "planes.h"

typedef struct bf_block_cache bf_block_cache;

/* A block of a chunk. version tells contents of a chunk apart. */
typedef struct {
    uint64_t chunk, version;
    uint32_t block;
} bf_block_key;

/* limit: bytes. NULL if out of memory. */
bf_block_cache *bf_block_cache_new(uint64_t limit);
/* Nothing of it may be in use. */
void bf_block_cache_free(bf_block_cache *self);
/* Bytes that its blocks take. */
uint64_t bf_block_cache_size(bf_block_cache *self);

/* How often a block was found, and not. */
void bf_block_cache_counts(bf_block_cache *self, uint64_t *hits, uint64_t *misses);

/* The planes of a block, in use until they are released; NULL if they are not there. */
const bf_planes *bf_block_cache_get(bf_block_cache *self, const bf_block_key *key);
/* Take over planes, and return them as in use; what the caller has then are others, or none.
 * NULL, with the planes still the caller's, if there is no room. */
const bf_planes *bf_block_cache_put(
    bf_block_cache *self, const bf_block_key *key, bf_planes *planes);
void bf_block_cache_release(bf_block_cache *self, const bf_planes *planes);

#endif
