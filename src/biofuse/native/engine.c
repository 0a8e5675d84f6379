#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "counters.h"
#include "places.h"


/* A record of which answers take parts: a is 0 and b its number. */
typedef struct {
    bf_cached cached;
    uint8_t bytes[];
} kept_record;

bf_status
bf_engine_init(bf_engine *self, bf_error *err)
{
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        return bf_fail(err, BF_ERR_NOMEM, "there is no lock");
    }
    if (pthread_cond_init(&self->idle, NULL) != 0) {
        pthread_mutex_destroy(&self->lock);
        return bf_fail(err, BF_ERR_NOMEM, "there is no lock");
    }
    return BF_OK;
}

void
bf_engine_free(bf_engine *self)
{
    pthread_cond_destroy(&self->idle);
    pthread_mutex_destroy(&self->lock);
}

bf_context *
bf_engine_enter(bf_engine *self, int wait)
{
    bf_context *found;

    pthread_mutex_lock(&self->lock);
    while (wait && self->contexts == NULL) {
        self->waiting++;
        pthread_cond_wait(&self->idle, &self->lock);
        self->waiting--;
    }
    found = wait || self->waiting == 0 ? self->contexts : NULL;
    if (found != NULL) {
        self->contexts = found->next;
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

void
bf_engine_leave(bf_engine *self, bf_context *context)
{
    pthread_mutex_lock(&self->lock);
    context->next = self->contexts;
    self->contexts = context;
    pthread_cond_signal(&self->idle);
    pthread_mutex_unlock(&self->lock);
}

/* Read a record's row of the k-th array of its file. until: the record after the last one of
 * this answer. */
static bf_status
read_row(bf_engine *self, bf_context *context, const bf_file *file, int k, uint64_t record,
    uint64_t until, bf_row *row, bf_place *place, bf_error *err)
{
    uint32_t array = (uint32_t) bf_array_of(file, k), height = self->arrays[array].chunk_rows;
    uint64_t variant = bf_variant_of(file, record), last = bf_variant_of(file, until - 1);
    uint64_t chunk_row = variant / height;
    bf_rows *rows = context->rows[array];

    if (context->bound[array] != (int64_t) chunk_row) {
        if (bf_bind(self, context, array, chunk_row, place, err) != BF_OK) {
            return err->status;
        }
        rows->first_row = (uint32_t) (variant % height);
        rows->last_row = last / height == chunk_row ? (uint32_t) (last % height) : height - 1;
    }
    return bf_rows_read(rows, (uint32_t) (variant % height), row, err);
}

static bf_status
make_record(bf_engine *self, bf_context *context, const bf_file *file, uint64_t record,
    uint64_t until, uint8_t *out, bf_place *place, bf_error *err)
{
    uint64_t size = bf_start_of(file, record + 1) - bf_start_of(file, record);
    bf_row row, phased;

    if (read_row(self, context, file, 0, record, until, &row, place, err) != BF_OK) {
        return err->status;
    }
    if (file->phased >= 0) {
        if (read_row(self, context, file, 1, record, until, &phased, place, err) != BF_OK) {
            return err->status;
        }
        if (phased.ploidy != 1 || phased.num_samples != row.num_samples) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the phased rows are of another shape");
        }
        row.phased = phased.planes->plane[BF_LOW_PLANE];
    }
    bf_count(self->counters, BF_COUNT_RECORDS, 1);
    bf_count(self->counters, BF_COUNT_BYTES_MADE, size);
    return file->encode(file->encoder, &row, record, out, size, err);
}

static void
destroy_record(bf_cached *cached)
{
    free(cached);
}

/* A record that is kept, as answers take parts of it. */
static bf_status
get_record(bf_engine *self, bf_context *context, uint32_t number, uint64_t record,
    uint64_t until, const uint8_t **bytes, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    bf_cache_key key = { .kind = BF_CACHED_RECORD, .owner = number, .b = record };
    kept_record *found = (kept_record *) bf_cache_get(self->cache, &key);
    uint64_t size;

    if (found == NULL) {
        size = sizeof(*found) + bf_start_of(file, record + 1) - bf_start_of(file, record);
        found = malloc(size);
        if (found == NULL) {
            (void) bf_fail(err, BF_ERR_NOMEM, "out of memory");
        } else if (make_record(self, context, file, record, until, found->bytes, place, err)
                   != BF_OK) {
            free(found);
            found = NULL;
        }
        if (found == NULL) {
            bf_cache_give_up(self->cache, &key);
            return err->status;
        }
        found->cached = (bf_cached){ .key = key, .size = size, .destroy = destroy_record };
        bf_cache_put(self->cache, &found->cached, 1);
    }
    context->held[context->num_held++] = &found->cached;
    *bytes = found->bytes;
    return BF_OK;
}

/* Drop planes of the blocks of a chunk row that hold rows [from, to), but for the last one's, and
 * if to is its end that one and the chunks too. */
static void
forget_rows(bf_engine *self, uint32_t array, uint64_t chunk_row, uint64_t from, uint64_t to)
{
    const bf_array *a = &self->arrays[array];

    for (uint32_t c = 0; c < a->num_chunks; c++) {
        bf_cache_key key = bf_source_key(self, array, chunk_row, c), block;
        bf_source *source = (bf_source *) bf_cache_look(bf_cache_of(self, a), &key);
        uint64_t row_bytes = a->kind.raw_size / a->chunk_rows;

        if (source == NULL) {
            continue;
        }
        if (!source->absent) {
            block = (bf_cache_key){ .kind = BF_CACHED_BLOCK,
                .owner = array,
                .a = bf_chunk_id(&key),
                .c = source->version };
            bf_cache_forget(self->cache, &block, from * row_bytes / source->header.block_size,
                to < a->chunk_rows ? to * row_bytes / source->header.block_size
                                   : source->header.num_blocks);
        }
        bf_cache_release(bf_cache_of(self, a), &source->cached);
        if (to == a->chunk_rows) {
            bf_cache_forget(bf_cache_of(self, a), &key, key.b, key.b + 1);
        }
    }
}

/* The same for variants [from, to). */
static void
forget_variants(bf_engine *self, uint32_t array, uint64_t from, uint64_t to)
{
    uint64_t height = self->arrays[array].chunk_rows;

    for (uint64_t chunk_row = from / height; chunk_row <= to / height; chunk_row++) {
        uint64_t start = chunk_row * height;

        forget_rows(self, array, chunk_row, from > start ? from - start : 0,
            to - start < height ? to - start : height);
    }
}

/* Take note of a read, and let go of what lies behind its run. part: the record that it takes
 * the first bytes of, plus 1, or 0. */
static void
observe(bf_engine *self, uint32_t number, uint64_t offset, uint64_t stop, uint64_t part)
{
    const bf_file *file = &self->files[number];
    uint64_t behind, passed, old_part = 0;
    int goes_on;
    bf_run *run;

    pthread_mutex_lock(&self->lock);
    run = bf_runs_observe(&self->runs, number, offset, stop);
    goes_on = bf_run_goes_on(run);
    /* A read that was asked for before this one may still be under way. */
    behind = offset > file->header_size + 2 * run->last_size ? offset - 2 * run->last_size : 0;
    behind = behind > file->header_size ? bf_record_at(file, behind) : 0;
    passed = goes_on ? run->passed : behind;
    run->passed = goes_on && run->passed > behind ? run->passed : behind;
    if (part != 0 && part != run->parts[1]) {
        old_part = run->parts[0];
        run->parts[0] = run->parts[1];
        run->parts[1] = part;
    }
    pthread_mutex_unlock(&self->lock);
    if (old_part != 0) {
        bf_cache_key key = { .kind = BF_CACHED_RECORD, .owner = number };

        bf_cache_forget(self->cache, &key, old_part - 1, old_part);
    }
    if (passed < behind) {
        for (int k = 0; k < bf_num_arrays_of(file); k++) {
            forget_variants(self, (uint32_t) bf_array_of(file, k), bf_variant_of(file, passed),
                bf_variant_of(file, behind));
        }
    }
}

static bf_status
reserve_out(bf_context *context, uint64_t size, bf_error *err)
{
    if (size > context->out_size) {
        free(context->out);
        context->out = malloc(size);
        context->out_size = context->out != NULL ? size : 0;
        if (context->out == NULL) {
            return bf_fail(err, BF_ERR_NOMEM, "out of memory");
        }
    }
    return BF_OK;
}

/* Records from that with byte position on, up to stop. */
static bf_status
read_records(bf_engine *self, bf_context *context, uint32_t number, uint64_t position,
    uint64_t stop, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t record = bf_record_at(file, position), until = bf_record_at(file, stop - 1) + 1;
    uint64_t begun = 0, used = 0;

    if (reserve_out(context, stop - position, err) != BF_OK) {
        return err->status;
    }
    observe(self, number, position, stop, bf_start_of(file, until) > stop ? until : 0);
    for (; record < until; record++) {
        uint64_t start = bf_start_of(file, record), end = bf_start_of(file, record + 1);
        const uint8_t *bytes = NULL;

        if (end < start || end > file->size) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the table of offsets is damaged");
        }
        if (start >= position && end <= stop) {
            if (make_record(
                    self, context, file, record, until, context->out + used, place, err)
                != BF_OK) {
                return err->status;
            }
            used += end - start;
            continue;
        }
        if (get_record(self, context, number, record, until, &bytes, place, err) != BF_OK) {
            return err->status;
        }
        if (used > begun) {
            bf_add_piece(context, context->out + begun, used - begun);
            begun = used;
        }
        start = start > position ? start : position;
        end = end < stop ? end : stop;
        bf_add_piece(context, bytes + (start - bf_start_of(file, record)), end - start);
    }
    if (used > begun) {
        bf_add_piece(context, context->out + begun, used - begun);
    }
    return BF_OK;
}

bf_status
bf_engine_read_stream(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t stop, end;

    if (offset >= file->size) {
        return BF_OK;
    }
    stop = size < file->size - offset ? offset + size : file->size;
    if (offset < file->header_size) {
        end = stop < file->header_size ? stop : file->header_size;
        bf_add_piece(context, file->header + offset, end - offset);
        offset = end;
    }
    return offset < stop ? read_records(self, context, number, offset, stop, place, err) : BF_OK;
}

bf_status
bf_engine_read(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    bf_status status;

    *err = (bf_error){ .status = BF_OK, .chunk = -1, .row = -1, .sample = -1 };
    place->array = -1;
    context->num_iov = 1;
    context->num_held = 0;
    if (number >= self->num_files || file->encode == NULL) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the engine does not know the file");
    }
    status = file->framed
        ? bf_read_framed(self, context, number, offset, size, place, err)
        : bf_engine_read_stream(self, context, number, offset, size, place, err);
    if (status == BF_OK && !bf_engine_unchanged(self)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the store was changed");
    }
    return status;
}

void
bf_engine_end(bf_engine *self, bf_context *context)
{
    for (uint32_t a = 0; a < self->num_arrays; a++) {
        bf_unbind(self, context, a);
    }
    while (context->num_held > 0) {
        bf_cache_release(self->cache, context->held[--context->num_held]);
    }
}

int
bf_watched_look(int folder, bf_watched *self)
{
    self->absent = fstatat(folder, self->path, &self->status, 0) != 0;
    return !self->absent || errno == ENOENT || errno == ENOTDIR;
}

static int
is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size
        && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int
bf_engine_unchanged(const bf_engine *self)
{
    if (__atomic_load_n(&self->changed, __ATOMIC_RELAXED)) {
        return 0;
    }
    for (uint32_t i = 0; i < self->num_watched; i++) {
        bf_watched seen = { .path = self->watched[i].path };

        if (!bf_watched_look(self->folder, &seen) || seen.absent != self->watched[i].absent
            || (!seen.absent && !is_same(&seen.status, &self->watched[i].status))) {
            return 0;
        }
    }
    return 1;
}

uint32_t
bf_engine_runs(bf_engine *self)
{
    uint32_t runs;

    pthread_mutex_lock(&self->lock);
    runs = bf_runs_active(&self->runs);
    pthread_mutex_unlock(&self->lock);
    return runs;
}

void
bf_engine_publish(bf_engine *self)
{
    uint64_t now[4], size = bf_cache_size(self->cache), files[2];

    if (self->counters == NULL) {
        return;
    }
    bf_cache_counts(self->cache, BF_CACHED_BLOCK, &now[0], &now[1]);
    bf_cache_counts(self->cache, BF_CACHED_SOURCE, &now[2], &now[3]);
    bf_cache_counts(self->open_files, BF_CACHED_SOURCE, &files[0], &files[1]);
    now[2] += files[0];
    now[3] += files[1];
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < 4; i++) {
        static const int which[4] = { BF_COUNT_BLOCKS_FOUND, BF_COUNT_BLOCKS_MADE,
            BF_COUNT_CHUNKS_FOUND, BF_COUNT_CHUNKS_MISSED };

        bf_count(self->counters, which[i], now[i] - self->published[i]);
        self->published[i] = now[i];
    }
    __atomic_store_n(
        &self->counters[BF_COUNT_HELD], size + self->held_elsewhere, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&self->lock);
}
