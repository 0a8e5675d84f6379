#include "cache.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 4096 };

struct bf_cache {
    pthread_mutex_t lock;
    pthread_cond_t made;
    bf_cached *buckets[BUCKETS];
    /* Values that nobody uses, ordered by when they were used last. */
    bf_cached *oldest, *newest;
    uint64_t limit, size;
    uint64_t hits[BF_CACHED_KINDS], misses[BF_CACHED_KINDS];
};

bf_cache *
bf_cache_new(uint64_t limit)
{
    bf_cache *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return NULL;
    }
    self->limit = limit;
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        return NULL;
    }
    if (pthread_cond_init(&self->made, NULL) != 0) {
        pthread_mutex_destroy(&self->lock);
        free(self);
        return NULL;
    }
    return self;
}

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    return x ^ x >> 32;
}

static bf_cached **
bucket_of(bf_cache *self, const bf_cache_key *key)
{
    uint64_t hash = mix((uint64_t) key->kind << 32 | key->owner);

    hash = mix(hash ^ key->a);
    hash = mix(hash ^ key->b);
    return &self->buckets[mix(hash ^ key->c) % BUCKETS];
}

static bf_cached *
find(bf_cache *self, const bf_cache_key *key)
{
    bf_cached *e = *bucket_of(self, key);

    while (e != NULL
           && (e->key.a != key->a || e->key.b != key->b || e->key.c != key->c
               || e->key.kind != key->kind || e->key.owner != key->owner)) {
        e = e->chain;
    }
    return e;
}

static void
insert(bf_cache *self, bf_cached *value)
{
    bf_cached **bucket = bucket_of(self, &value->key);

    value->chain = *bucket;
    *bucket = value;
}

static void
remove_from_bucket(bf_cache *self, bf_cached *value)
{
    bf_cached **p = bucket_of(self, &value->key);

    while (*p != value) {
        p = &(*p)->chain;
    }
    *p = value->chain;
}

static void
unlink_unused(bf_cache *self, bf_cached *value)
{
    *(value->older != NULL ? &value->older->newer : &self->oldest) = value->newer;
    *(value->newer != NULL ? &value->newer->older : &self->newest) = value->older;
    value->older = value->newer = NULL;
}

static void
link_unused(bf_cache *self, bf_cached *value)
{
    value->older = self->newest;
    value->newer = NULL;
    *(self->newest != NULL ? &self->newest->newer : &self->oldest) = value;
    self->newest = value;
}

/* Take out a value that nobody uses, and put it before others that are to be destroyed. */
static void
drop(bf_cache *self, bf_cached *value, bf_cached **dropped)
{
    unlink_unused(self, value);
    remove_from_bucket(self, value);
    self->size -= value->size;
    value->chain = *dropped;
    *dropped = value;
}

static void
destroy_all(bf_cached *dropped)
{
    while (dropped != NULL) {
        bf_cached *next = dropped->chain;

        dropped->destroy(dropped);
        dropped = next;
    }
}

void
bf_cache_free(bf_cache *self)
{
    bf_cached *dropped = NULL;

    if (self == NULL) {
        return;
    }
    while (self->oldest != NULL) {
        drop(self, self->oldest, &dropped);
    }
    destroy_all(dropped);
    pthread_cond_destroy(&self->made);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

uint64_t
bf_cache_limit(const bf_cache *self)
{
    return self->limit;
}

uint64_t
bf_cache_size(bf_cache *self)
{
    uint64_t size;

    pthread_mutex_lock(&self->lock);
    size = self->size;
    pthread_mutex_unlock(&self->lock);
    return size;
}

void
bf_cache_counts(bf_cache *self, bf_cache_kind kind, uint64_t *hits, uint64_t *misses)
{
    pthread_mutex_lock(&self->lock);
    *hits = self->hits[kind];
    *misses = self->misses[kind];
    pthread_mutex_unlock(&self->lock);
}

static void
use(bf_cache *self, bf_cached *value)
{
    if (value->users++ == 0) {
        unlink_unused(self, value);
    }
}

/* In place of a value that is being made. */
static void
claim(bf_cache *self, const bf_cache_key *key)
{
    bf_cached *stand_in = calloc(1, sizeof(*stand_in));

    /* Without one, others make the value too. */
    if (stand_in != NULL) {
        stand_in->key = *key;
        stand_in->pending = 1;
        insert(self, stand_in);
    }
}

bf_cached *
bf_cache_get(bf_cache *self, const bf_cache_key *key)
{
    bf_cached *found;

    pthread_mutex_lock(&self->lock);
    while ((found = find(self, key)) != NULL && found->pending) {
        found->waiters++;
        pthread_cond_wait(&self->made, &self->lock);
    }
    if (found != NULL) {
        use(self, found);
        self->hits[key->kind]++;
    } else {
        claim(self, key);
        self->misses[key->kind]++;
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

bf_cached *
bf_cache_look(bf_cache *self, const bf_cache_key *key)
{
    bf_cached *found;

    pthread_mutex_lock(&self->lock);
    found = find(self, key);
    if (found != NULL && found->pending) {
        found = NULL;
    }
    if (found != NULL) {
        use(self, found);
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

int
bf_cache_has(bf_cache *self, const bf_cache_key *key)
{
    int found;

    pthread_mutex_lock(&self->lock);
    found = find(self, key) != NULL;
    pthread_mutex_unlock(&self->lock);
    return found;
}

/* End a claim. Returns how many wait for the value. */
static unsigned
end_claim(bf_cache *self, const bf_cache_key *key)
{
    bf_cached *stand_in = find(self, key);
    unsigned waiters = 0;

    if (stand_in != NULL && stand_in->pending) {
        waiters = stand_in->waiters;
        remove_from_bucket(self, stand_in);
        free(stand_in);
    }
    if (waiters > 0) {
        pthread_cond_broadcast(&self->made);
    }
    return waiters;
}

/* Drop what was used longest ago until size more bytes fit. Returns whether they do. */
static int
make_room(bf_cache *self, uint64_t size, bf_cached **dropped)
{
    while (size <= self->limit && self->size > self->limit - size && self->oldest != NULL) {
        drop(self, self->oldest, dropped);
    }
    return size <= self->limit && self->size <= self->limit - size;
}

void
bf_cache_put(bf_cache *self, bf_cached *value, int keep)
{
    bf_cached *dropped = NULL;
    unsigned waiters;

    value->users = 1;
    value->kept = value->pending = value->spent = 0;
    value->older = value->newer = value->chain = NULL;
    pthread_mutex_lock(&self->lock);
    waiters = end_claim(self, &value->key);
    if ((keep || waiters > 0) && find(self, &value->key) == NULL
        && make_room(self, value->size, &dropped)) {
        value->kept = 1;
        self->size += value->size;
        insert(self, value);
    }
    pthread_mutex_unlock(&self->lock);
    destroy_all(dropped);
}

void
bf_cache_give_up(bf_cache *self, const bf_cache_key *key)
{
    pthread_mutex_lock(&self->lock);
    (void) end_claim(self, key);
    pthread_mutex_unlock(&self->lock);
}

void
bf_cache_release(bf_cache *self, bf_cached *value)
{
    bf_cached *dropped = NULL;

    if (!value->kept) {
        value->destroy(value);
        return;
    }
    pthread_mutex_lock(&self->lock);
    if (--value->users == 0) {
        link_unused(self, value);
        if (value->spent) {
            drop(self, value, &dropped);
        }
    }
    pthread_mutex_unlock(&self->lock);
    destroy_all(dropped);
}

void
bf_cache_forget(bf_cache *self, const bf_cache_key *key, uint64_t first, uint64_t last)
{
    bf_cache_key each = *key;
    bf_cached *dropped = NULL, *found;

    pthread_mutex_lock(&self->lock);
    for (each.b = first; each.b < last; each.b++) {
        found = find(self, &each);
        if (found == NULL || found->pending) {
            continue;
        }
        if (found->users == 0) {
            drop(self, found, &dropped);
        } else {
            found->spent = 1;
        }
    }
    pthread_mutex_unlock(&self->lock);
    destroy_all(dropped);
}
