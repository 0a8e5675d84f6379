/* Values that threads share, bounded in bytes.
 *
 * What one thread has made another need not: planes of decompressed blocks, records of which
 * an answer takes a part, encoded chunks. A value that is asked for and is not there is made
 * by who asked first; others wait for it. Those in use are never dropped, others in the order
 * in which they were used. Thread-safe.
 *
 * A thread that makes a value may ask for those that it is made of, never for one that is
 * made of it. */
#ifndef BF_CACHE_H
#define BF_CACHE_H

#include <stddef.h>
#include <stdint.h>

typedef struct bf_cache bf_cache;

typedef enum {
    BF_CACHED_BLOCK = 0, /* bf_block_planes */
    BF_CACHED_RECORD,    /* bf_record */
    BF_CACHED_SOURCE,    /* bf_source */
    BF_CACHED_FRAMED,    /* kept_block, of framed.c */
    BF_CACHED_KINDS,
} bf_cache_kind;

/* What a value is called. owner: an array or a file. */
typedef struct {
    uint32_t kind, owner;
    uint64_t a, b, c;
} bf_cache_key;

/* What every value begins with. */
typedef struct bf_cached {
    bf_cache_key key;
    uint64_t size; /* in bytes, with this */
    void (*destroy)(struct bf_cached *);
    /* The cache's own. */
    unsigned users, waiters;
    int kept, pending, spent;
    struct bf_cached *chain, *older, *newer;
} bf_cached;

/* limit: bytes. NULL if out of memory. */
bf_cache *bf_cache_new(uint64_t limit);
/* Nothing of it may be in use. */
void bf_cache_free(bf_cache *self);
uint64_t bf_cache_limit(const bf_cache *self);
/* Bytes that its values take. */
uint64_t bf_cache_size(bf_cache *self);
/* How often a value of a kind was found, and not. */
void bf_cache_counts(bf_cache *self, bf_cache_kind kind, uint64_t *hits, uint64_t *misses);

/* The value, in use until it is released. NULL if it is not there: the caller has to make it,
 * and to say so by bf_cache_put or bf_cache_give_up. */
bf_cached *bf_cache_get(bf_cache *self, const bf_cache_key *key);
/* The same for those who won't make it, and wait for nobody. */
bf_cached *bf_cache_look(bf_cache *self, const bf_cache_key *key);
/* Whether a value is there or being made. */
int bf_cache_has(bf_cache *self, const bf_cache_key *key);
/* Hand over a value that was made; the caller uses it until it releases it. It is kept if
 * keep is set or another thread waits for it, and there is room. */
void bf_cache_put(bf_cache *self, bf_cached *value, int keep);
void bf_cache_give_up(bf_cache *self, const bf_cache_key *key);
/* End the use of a value; one that is not kept is destroyed. */
void bf_cache_release(bf_cache *self, bf_cached *value);
/* Drop values of which b is first to last, exclusive, those in use once they are released. */
void bf_cache_forget(bf_cache *self, const bf_cache_key *key, uint64_t first, uint64_t last);

#endif
