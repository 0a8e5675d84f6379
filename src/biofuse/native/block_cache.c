#include "block_cache.h"

#include <pthread.h>
#include <stdlib.h>

/* A search goes through all of them. */
#define MAX_ENTRIES 1024

typedef struct {
    bf_planes planes; /* first, so that its address is the entry's */
    bf_block_key key;
    uint64_t size, used_at;
    unsigned users;
} entry;

struct bf_block_cache {
    pthread_mutex_t lock;
    entry **entries;
    uint32_t num_entries, capacity;
    uint64_t limit, size, clock, hits, misses;
};

bf_block_cache *
bf_block_cache_new(uint64_t limit)
{
    bf_block_cache *self = calloc(1, sizeof(*self));

    if (self != NULL && pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        self = NULL;
    }
    if (self != NULL) {
        self->limit = limit;
    }
    return self;
}

static void
free_entry(entry *e)
{
    bf_planes_free(&e->planes);
    free(e);
}

void
bf_block_cache_free(bf_block_cache *self)
{
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->num_entries; i++) {
        free_entry(self->entries[i]);
    }
    free(self->entries);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static entry *
find(bf_block_cache *self, const bf_block_key *key)
{
    for (uint32_t i = 0; i < self->num_entries; i++) {
        entry *e = self->entries[i];

        if (e->key.chunk == key->chunk && e->key.block == key->block
            && e->key.version == key->version) {
            return e;
        }
    }
    return NULL;
}

static const bf_planes *
use(bf_block_cache *self, entry *e)
{
    e->users++;
    e->used_at = ++self->clock;
    return &e->planes;
}

const bf_planes *
bf_block_cache_get(bf_block_cache *self, const bf_block_key *key)
{
    const bf_planes *found = NULL;
    entry *e;

    pthread_mutex_lock(&self->lock);
    e = find(self, key);
    if (e != NULL) {
        found = use(self, e);
        self->hits++;
    } else {
        self->misses++;
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

void
bf_block_cache_counts(bf_block_cache *self, uint64_t *hits, uint64_t *misses)
{
    pthread_mutex_lock(&self->lock);
    *hits = self->hits;
    *misses = self->misses;
    pthread_mutex_unlock(&self->lock);
}

/* Evict what was used longest ago until size more bytes fit. Returns whether they do. spare
 * becomes planes that were evicted, if any were. */
static int
make_room(bf_block_cache *self, uint64_t size, bf_planes *spare)
{
    while (size <= self->limit
           && (self->size > self->limit - size || self->num_entries >= MAX_ENTRIES)) {
        uint32_t victim = self->num_entries;

        for (uint32_t i = 0; i < self->num_entries; i++) {
            if (self->entries[i]->users == 0
                && (victim == self->num_entries
                    || self->entries[i]->used_at < self->entries[victim]->used_at)) {
                victim = i;
            }
        }
        if (victim == self->num_entries) {
            return 0;
        }
        self->size -= self->entries[victim]->size;
        bf_planes_free(spare);
        *spare = self->entries[victim]->planes;
        memset(&self->entries[victim]->planes, 0, sizeof(*spare));
        free_entry(self->entries[victim]);
        self->entries[victim] = self->entries[--self->num_entries];
    }
    return size <= self->limit;
}

static int
reserve_entry(bf_block_cache *self)
{
    if (self->num_entries == self->capacity) {
        uint32_t capacity = 2 * self->capacity + 16;
        entry **larger = realloc(self->entries, capacity * sizeof(entry *));

        if (larger == NULL) {
            return 0;
        }
        self->entries = larger;
        self->capacity = capacity;
    }
    return 1;
}

uint64_t
bf_block_cache_size(bf_block_cache *self)
{
    uint64_t size;

    pthread_mutex_lock(&self->lock);
    size = self->size;
    pthread_mutex_unlock(&self->lock);
    return size;
}

const bf_planes *
bf_block_cache_put(bf_block_cache *self, const bf_block_key *key, bf_planes *planes)
{
    const bf_planes *kept = NULL;
    uint64_t size = sizeof(entry) + bf_planes_size(planes);
    bf_planes spare = { 0 };
    entry *e;

    pthread_mutex_lock(&self->lock);
    e = find(self, key);
    if (e != NULL) {
        /* Another thread was faster. */
        kept = use(self, e);
    } else if (make_room(self, size, &spare) && reserve_entry(self) && (e = calloc(1, sizeof(*e)))) {
        e->planes = *planes;
        e->key = *key;
        e->size = size;
        self->size += size;
        self->entries[self->num_entries++] = e;
        /* Pages that were touched before are worth more than new ones. */
        *planes = spare;
        memset(&spare, 0, sizeof(spare));
        kept = use(self, e);
    }
    pthread_mutex_unlock(&self->lock);
    bf_planes_free(&spare);
    return kept;
}

void
bf_block_cache_release(bf_block_cache *self, const bf_planes *planes)
{
    pthread_mutex_lock(&self->lock);
    ((entry *) planes)->users--;
    pthread_mutex_unlock(&self->lock);
}
