/* Byte ranges of streamed files, from tables, encoded chunks and planes that are kept.
 *
 * A streamed file is a header, then one record a variant at known offsets. A range of its
 * bytes is put together from the header, from records that only this answer has a use for, and
 * from records of which it takes a part: those are kept for the answer that takes the rest.
 *
 * What the engine cannot do itself it refuses: then a chunk is wanted that nobody has given it
 * (BF_ERR_READ, with the place), or whoever asked must make the bytes in another way. */
#ifndef BF_ENGINE_H
#define BF_ENGINE_H

#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "rows.h"
#include "runs.h"

/* An array of calls on the fast path. */
typedef struct {
    uint32_t chunk_rows, num_chunks;
    const uint32_t *columns; /* numbers of the sample chunks that are read */
    bf_source_kind kind;
    int local;               /* its chunks are files below the folder */
    const char *prefix, *separator, *tail; /* of their keys, around row and column */
} bf_array;

/* A streamed file. */
typedef struct {
    const uint8_t *header;
    uint64_t header_size, size, records; /* size: of the stream, where that is framed */
    const uint32_t *variants; /* the store's index of each record, ascending, or NULL */
    uint64_t first;          /* else, of the first record; others follow */
    uint64_t record_size;    /* if offsets is NULL */
    const uint64_t *offsets; /* records + 1 */
    bf_encode_record encode; /* NULL: the engine refuses the file */
    const void *encoder;
    int genotypes, phased;   /* arrays, phased may be -1 */
    int framed;              /* header and records are a stream in BGZF blocks */
} bf_file;

/* A path that must stay as it was. */
typedef struct {
    const char *path;
    int absent;
    struct stat status;
} bf_watched;

enum { BF_MAX_ARRAYS = 2, BF_MAX_IOV = 6 };

/* What one thread needs to make an answer. */
typedef struct bf_context {
    bf_rows *rows[BF_MAX_ARRAYS];
    int64_t bound[BF_MAX_ARRAYS]; /* the chunk row that rows read, or -1 */
    bf_source **sources[BF_MAX_ARRAYS];
    uint8_t *out;
    uint64_t out_size, out_used;
    uint8_t *blocks; /* of a framed file */
    uint64_t blocks_size;
    /* The answer; what it points to stays until bf_engine_end. iov[0] is the caller's. */
    struct iovec iov[BF_MAX_IOV];
    int num_iov;
    bf_cached *held[4];
    int num_held;
    struct bf_context *next;
} bf_context;

typedef struct {
    int folder;                /* of the store, or -1 */
    const bf_array *arrays;
    uint32_t num_arrays;
    const bf_file *files;
    uint32_t num_files;
    bf_watched *watched;
    uint32_t num_watched;
    uint64_t ahead_bytes;      /* of a file, that planes are made ahead for */
    bf_cache *cache;           /* planes, records, and chunks that were given */
    bf_cache *open_files;      /* chunks that are files */
    uint64_t *counters;        /* BF_COUNT_... */
    pthread_mutex_t lock;      /* of what follows */
    pthread_cond_t idle;
    bf_context *contexts;      /* those that nobody uses */
    unsigned waiting;          /* for one of them */
    bf_runs runs;
    uint64_t published[4];   /* counts of the caches that counters have */
    int changed;             /* the store is not what it was: nothing is made any more */
    uint64_t held_elsewhere; /* bytes that others keep, to be counted with those of the cache */
} bf_engine;

/* Where a chunk is wanted. */
typedef struct {
    int array; /* or -1 */
    uint64_t chunk_row;
    uint32_t chunk; /* index of the sample chunk among those that are read */
} bf_place;

bf_status bf_engine_init(bf_engine *self, bf_error *err);
void bf_engine_free(bf_engine *self);

/* A context, waiting for one if all are in use. If wait is 0: one that nobody waits for, or NULL
 * at once. */
bf_context *bf_engine_enter(bf_engine *self, int wait);
void bf_engine_leave(bf_engine *self, bf_context *context);

/* Put together bytes [offset, offset + size) of a file, fewer at its end, or of its stream. Runs
 * of reads, and places in them, are those of the stream. What they are made
 * of is in use until bf_engine_end, which must follow in any case. place: of a chunk that is
 * wanted, if BF_ERR_READ. */
bf_status bf_engine_read(bf_engine *self, bf_context *context, uint32_t file, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err);
bf_status bf_engine_read_stream(bf_engine *self, bf_context *context, uint32_t file,
    uint64_t offset, uint64_t size, bf_place *place, bf_error *err);
void bf_engine_end(bf_engine *self, bf_context *context);

/* Take note of what a path is. Returns whether that can be told. */
int bf_watched_look(int folder, bf_watched *self);

/* How many runs of reads go on. */
uint32_t bf_engine_runs(bf_engine *self);

/* Bring counters up to date with the caches. */
void bf_engine_publish(bf_engine *self);

/* Whether the store is what it was when it was opened. */
int bf_engine_unchanged(const bf_engine *self);

/* Do a small part of what reads that are to be expected will want. Returns 0 if there is
 * nothing to do; place: as above, with array -1 if nothing is wanted. */
int bf_engine_ahead(bf_engine *self, bf_place *place);

/* Give a chunk that the engine wants. */
void bf_engine_give(bf_engine *self, const bf_place *place, bf_source *source);

/* Add bytes to what is put together; they are in use until bf_engine_end. */
static inline void
bf_add_piece(bf_context *context, const uint8_t *bytes, uint64_t size)
{
    context->iov[context->num_iov++] = (struct iovec){ (void *) bytes, size };
}

/* Whether all chunks of a row are kept. */
int bf_engine_has_row(bf_engine *self, uint32_t array, uint64_t chunk_row);

#endif
