#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "counters.h"

/* The store is looked at no more often than this. */
static const uint64_t CHECK_NS = 5000000;
enum { MAX_PATH = 512 };

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
        pthread_cond_wait(&self->idle, &self->lock);
    }
    found = self->contexts;
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

/* ---- Places ---- */

static uint64_t
variant_of(const bf_engine *self, uint64_t record)
{
    return self->variants == NULL ? record : self->variants[record];
}

/* The first of the file's records whose variant is not before this one. */
static uint64_t
record_from(const bf_engine *self, const bf_file *file, uint64_t variant)
{
    uint64_t low = 0, high = file->records;

    if (self->variants == NULL) {
        return variant < high ? variant : high;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (self->variants[middle] < variant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t
start_of(const bf_file *file, uint64_t record)
{
    return file->offsets != NULL ? file->offsets[record]
                                 : file->header_size + record * file->record_size;
}

/* The record that has the byte at an offset past the header and within the file. */
static uint64_t
record_at(const bf_file *file, uint64_t offset)
{
    uint64_t low = 0, high = file->records;

    if (file->offsets == NULL) {
        return (offset - file->header_size) / file->record_size;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (file->offsets[middle] <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static int
array_of(const bf_file *file, int k)
{
    return k == 0 ? file->genotypes : file->phased;
}

static int
num_arrays_of(const bf_file *file)
{
    return file->phased >= 0 ? 2 : 1;
}

/* ---- Chunks ---- */

static bf_cache *
cache_of(const bf_engine *self, const bf_array *array)
{
    return array->local ? self->open_files : self->cache;
}

static bf_cache_key
source_key(const bf_engine *self, uint32_t array, uint64_t chunk_row, uint32_t chunk)
{
    return (bf_cache_key){ .kind = BF_CACHED_SOURCE,
        .owner = array,
        .a = chunk_row,
        .b = self->arrays[array].columns[chunk] };
}

/* What planes of a chunk's blocks are called. */
static uint64_t
chunk_id(const bf_cache_key *key)
{
    return key->a << 32 | key->b;
}

static bf_source *
open_source(bf_engine *self, const bf_array *array, const bf_cache_key *key)
{
    char path[MAX_PATH];
    bf_source *source = NULL;
    bf_error err = { .status = BF_OK };
    int size = snprintf(path, sizeof(path), "%s%llu%s%llu%s", array->prefix,
        (unsigned long long) key->a, array->separator, (unsigned long long) key->b, array->tail);

    if (!array->local || size < 0 || size >= (int) sizeof(path)
        || bf_source_open(self->folder, path, &array->kind, &source, &err) != BF_OK) {
        return NULL;
    }
    /* They are bounded by their number. */
    source->cached.size = source->cached.size > BF_OPEN_FILE ? source->cached.size : BF_OPEN_FILE;
    return source;
}

static bf_source *
get_source(bf_engine *self, uint32_t array, uint64_t chunk_row, uint32_t chunk, int hint)
{
    const bf_array *a = &self->arrays[array];
    bf_cache_key key = source_key(self, array, chunk_row, chunk);
    bf_source *source = (bf_source *) bf_cache_get(cache_of(self, a), &key);

    if (source != NULL) {
        return source;
    }
    source = open_source(self, a, &key);
    if (source == NULL) {
        bf_cache_give_up(cache_of(self, a), &key);
        return NULL;
    }
    if (hint) {
        bf_source_hint(source);
    }
    source->cached.key = key;
    bf_cache_put(cache_of(self, a), &source->cached, 1);
    return source;
}

void
bf_engine_give(bf_engine *self, const bf_place *place, bf_source *source)
{
    const bf_array *array = &self->arrays[place->array];
    bf_cache *cache = cache_of(self, array);

    source->cached.key = source_key(self, (uint32_t) place->array, place->chunk_row, place->chunk);
    bf_cache_put(cache, &source->cached, 1);
    bf_cache_release(cache, &source->cached);
}

static void
unbind(bf_engine *self, bf_context *context, uint32_t array)
{
    const bf_array *a = &self->arrays[array];

    if (context->bound[array] < 0) {
        return;
    }
    bf_rows_clear(context->rows[array]);
    for (uint32_t c = 0; c < a->num_chunks; c++) {
        if (context->sources[array][c] != NULL) {
            bf_cache_release(cache_of(self, a), &context->sources[array][c]->cached);
            context->sources[array][c] = NULL;
        }
    }
    context->bound[array] = -1;
}

/* Whether two chunks that are not stored are not in the same folder; a may be NULL. */
static int
is_same_folder(const bf_source *a, const bf_source *b)
{
    return a != NULL && strcmp((const char *) a->index, (const char *) b->index) == 0;
}

/* Have a context read a chunk row of an array. */
static bf_status
bind(bf_engine *self, bf_context *context, uint32_t array, uint64_t chunk_row, int hint,
    bf_place *place, bf_error *err)
{
    const bf_array *a = &self->arrays[array];
    const bf_source *last = NULL;

    if (context->bound[array] == (int64_t) chunk_row) {
        return BF_OK;
    }
    unbind(self, context, array);
    context->bound[array] = (int64_t) chunk_row;
    for (uint32_t c = 0; c < a->num_chunks; c++) {
        bf_source *source = get_source(self, array, chunk_row, c, hint);

        if (source == NULL) {
            *place = (bf_place){ .array = (int) array, .chunk_row = chunk_row, .chunk = c };
            return bf_fail(err, BF_ERR_READ, "a chunk is wanted");
        }
        context->sources[array][c] = source;
        if (source->absent && source->index != NULL) {
            if (!is_same_folder(last, source) && !bf_source_is_absent(source, self->folder)) {
                return bf_fail(err, BF_ERR_ARGUMENT, "a chunk was not there, and may be now");
            }
            last = source;
        }
        if (bf_rows_set_source(context->rows[array], c, source,
                chunk_id(&source->cached.key), err)
            != BF_OK) {
            return err->status;
        }
    }
    return BF_OK;
}

/* ---- Records ---- */

/* Read a record's row of the k-th array of its file. until: the record after the last one of
 * this answer. */
static bf_status
read_row(bf_engine *self, bf_context *context, const bf_file *file, int k, uint64_t record,
    uint64_t until, bf_row *row, bf_place *place, bf_error *err)
{
    uint32_t array = (uint32_t) array_of(file, k), height = self->arrays[array].chunk_rows;
    uint64_t variant = variant_of(self, record), last = variant_of(self, until - 1);
    uint64_t chunk_row = variant / height;
    bf_rows *rows = context->rows[array];

    if (context->bound[array] != (int64_t) chunk_row) {
        if (bind(self, context, array, chunk_row, 0, place, err) != BF_OK) {
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
    uint64_t size = start_of(file, record + 1) - start_of(file, record);
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
        size = sizeof(*found) + start_of(file, record + 1) - start_of(file, record);
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

/* ---- Runs ---- */

/* Drop planes of the blocks before a variant, from that of another one on, and chunks of rows
 * that lie behind. */
static void
forget_array(bf_engine *self, uint32_t array, uint64_t from, uint64_t to)
{
    const bf_array *a = &self->arrays[array];
    uint64_t chunk_row = from / a->chunk_rows;
    int passed = to / a->chunk_rows > chunk_row;

    for (uint32_t c = 0; c < a->num_chunks; c++) {
        bf_cache_key key = source_key(self, array, chunk_row, c), block;
        bf_source *source = (bf_source *) bf_cache_look(cache_of(self, a), &key);
        uint64_t row_bytes, first, last;

        if (source == NULL) {
            continue;
        }
        if (!source->absent) {
            row_bytes = a->kind.raw_size / a->chunk_rows;
            first = from % a->chunk_rows * row_bytes / source->header.block_size;
            last = passed ? source->header.num_blocks
                          : to % a->chunk_rows * row_bytes / source->header.block_size;
            block = (bf_cache_key){ .kind = BF_CACHED_BLOCK,
                .owner = array,
                .a = chunk_id(&key),
                .c = source->version };
            if (first < last) {
                bf_cache_forget(self->cache, &block, first, last);
            }
        }
        bf_cache_release(cache_of(self, a), &source->cached);
        if (passed) {
            bf_cache_forget(cache_of(self, a), &key, key.b, key.b + 1);
        }
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
    behind = behind > file->header_size ? record_at(file, behind) : 0;
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
        for (int k = 0; k < num_arrays_of(file); k++) {
            forget_array(self, (uint32_t) array_of(file, k), variant_of(self, passed),
                variant_of(self, behind));
        }
    }
}

/* ---- Answers ---- */

static void
add_piece(bf_context *context, const uint8_t *bytes, uint64_t size)
{
    context->iov[context->num_iov++] = (struct iovec){ (void *) bytes, size };
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
    uint64_t record = record_at(file, position), until = record_at(file, stop - 1) + 1;
    uint64_t begun = 0, used = 0;

    if (reserve_out(context, stop - position, err) != BF_OK) {
        return err->status;
    }
    observe(self, number, position, stop, start_of(file, until) > stop ? until : 0);
    for (; record < until; record++) {
        uint64_t start = start_of(file, record), end = start_of(file, record + 1);
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
            add_piece(context, context->out + begun, used - begun);
            begun = used;
        }
        start = start > position ? start : position;
        end = end < stop ? end : stop;
        add_piece(context, bytes + (start - start_of(file, record)), end - start);
    }
    if (used > begun) {
        add_piece(context, context->out + begun, used - begun);
    }
    return BF_OK;
}

bf_status
bf_engine_read(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t stop, end;

    *err = (bf_error){ .status = BF_OK, .chunk = -1, .row = -1, .sample = -1 };
    place->array = -1;
    context->num_iov = 1;
    context->num_held = 0;
    if (number >= self->num_files || file->encode == NULL) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the engine does not know the file");
    }
    if (offset >= file->size) {
        return BF_OK;
    }
    stop = size < file->size - offset ? offset + size : file->size;
    if (offset < file->header_size) {
        end = stop < file->header_size ? stop : file->header_size;
        add_piece(context, file->header + offset, end - offset);
        offset = end;
    }
    if (offset < stop
        && read_records(self, context, number, offset, stop, place, err) != BF_OK) {
        return err->status;
    }
    if (!bf_engine_unchanged(self)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the store was changed");
    }
    return BF_OK;
}

void
bf_engine_end(bf_engine *self, bf_context *context)
{
    for (uint32_t a = 0; a < self->num_arrays; a++) {
        unbind(self, context, a);
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
bf_engine_unchanged(bf_engine *self)
{
    struct timespec time;
    uint64_t now;

    clock_gettime(CLOCK_MONOTONIC, &time);
    now = (uint64_t) time.tv_sec * 1000000000u + (uint64_t) time.tv_nsec;
    if (now - __atomic_load_n(&self->checked_ns, __ATOMIC_RELAXED) < CHECK_NS) {
        return 1;
    }
    for (uint32_t i = 0; i < self->num_watched; i++) {
        bf_watched seen = { .path = self->watched[i].path };

        if (!bf_watched_look(self->folder, &seen) || seen.absent != self->watched[i].absent
            || (!seen.absent && !is_same(&seen.status, &self->watched[i].status))) {
            return 0;
        }
    }
    __atomic_store_n(&self->checked_ns, now, __ATOMIC_RELAXED);
    return 1;
}

/* ---- What will be wanted ---- */

/* A part of it. */
typedef struct {
    const bf_file *file;
    uint64_t record;
    uint32_t step; /* the sample chunk, those of all arrays one after another */
    int open;      /* chunks of the row after the record's are to be opened */
} ahead_part;

static uint32_t
num_steps(const bf_engine *self, const bf_file *file)
{
    uint32_t steps = 0;

    for (int k = 0; k < num_arrays_of(file); k++) {
        steps += self->arrays[array_of(file, k)].num_chunks;
    }
    return steps;
}

/* The record before which planes may be made. */
static uint64_t
ahead_limit(const bf_engine *self, const bf_run *run)
{
    const bf_file *file = &self->files[run->file];
    uint64_t now, last, share, row = 0, to = run->position + self->ahead_bytes;

    if (run->position >= file->size || file->records == 0) {
        return 0;
    }
    now = run->position < file->header_size ? 0 : record_at(file, run->position);
    last = to < file->size ? (to < file->header_size ? 0 : record_at(file, to)) : file->records - 1;
    for (int k = 0; k < num_arrays_of(file); k++) {
        const bf_array *a = &self->arrays[array_of(file, k)];

        row += a->kind.raw_size / a->chunk_rows * a->num_chunks / 4;
    }
    share = bf_cache_limit(self->cache) / (2 * (uint64_t) bf_runs_active(&self->runs) + 1);
    share /= row > 0 ? row : 1;
    last = last < now + share ? last : now + share;
    return last + 1;
}

/* Choose what to do next, and count it as done. Returns whether there is anything. */
static int
next_part(bf_engine *self, ahead_part *part)
{
    for (int i = 0; i < BF_MAX_RUNS; i++) {
        bf_run *run = &self->runs.runs[self->runs.turn++ % BF_MAX_RUNS];
        const bf_file *file = &self->files[run->file];
        uint64_t now, chunk_row;

        if (!bf_run_goes_on(run) || !bf_run_is_active(&self->runs, run)
            || run->position >= file->size) {
            continue;
        }
        now = run->position < file->header_size ? 0 : record_at(file, run->position);
        if (run->ahead < now) {
            run->ahead = now;
            run->ahead_step = 0;
        }
        if (run->ahead >= ahead_limit(self, run)) {
            continue;
        }
        chunk_row = variant_of(self, run->ahead) / self->arrays[file->genotypes].chunk_rows;
        *part = (ahead_part){ .file = file, .record = run->ahead, .step = run->ahead_step };
        if (run->ahead_row != chunk_row + 1) {
            run->ahead_row = chunk_row + 1;
            part->open = 1;
        } else {
            run->ahead_step++;
        }
        /* The same run again, until it has what it may. */
        self->runs.turn--;
        return 1;
    }
    return 0;
}

/* Open the chunks after those of a record. */
static void
open_next(bf_engine *self, const ahead_part *part, bf_place *place)
{
    for (int k = 0; k < num_arrays_of(part->file); k++) {
        uint32_t array = (uint32_t) array_of(part->file, k);
        const bf_array *a = &self->arrays[array];
        uint64_t chunk_row = variant_of(self, part->record) / a->chunk_rows + 1;

        if (record_from(self, part->file, chunk_row * a->chunk_rows) >= part->file->records) {
            continue;
        }
        for (uint32_t c = 0; c < a->num_chunks; c++) {
            bf_source *source = get_source(self, array, chunk_row, c, 1);

            if (source == NULL) {
                *place = (bf_place){ .array = (int) array, .chunk_row = chunk_row, .chunk = c };
                break;
            }
            bf_cache_release(cache_of(self, a), &source->cached);
        }
    }
}

/* The first record that lies in a later block of every chunk that context reads; or in the next
 * chunk row. */
static uint64_t
record_after(bf_engine *self, bf_context *context, const bf_file *file, uint64_t record)
{
    uint64_t variant = variant_of(self, record), next = UINT64_MAX;

    for (int k = 0; k < num_arrays_of(file); k++) {
        uint32_t array = (uint32_t) array_of(file, k);
        const bf_array *a = &self->arrays[array];
        uint64_t chunk_row = variant / a->chunk_rows, row = variant % a->chunk_rows;

        for (uint32_t c = 0; c < a->num_chunks; c++) {
            const bf_source *source = context->sources[array][c];
            uint64_t row_bytes = a->kind.raw_size / a->chunk_rows, end = a->chunk_rows;

            if (source != NULL && !source->absent) {
                end = (row * row_bytes / source->header.block_size + 1)
                    * source->header.block_size / row_bytes;
            }
            end = end > row ? end : row + 1;
            end = chunk_row * a->chunk_rows + (end < a->chunk_rows ? end : a->chunk_rows);
            next = end < next ? end : next;
        }
    }
    return record_from(self, file, next);
}

/* The run has been prepared up to here. */
static void
finish_record(bf_engine *self, bf_context *context, const ahead_part *part)
{
    uint64_t next = record_after(self, context, part->file, part->record);

    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < BF_MAX_RUNS; i++) {
        bf_run *run = &self->runs.runs[i];

        if (&self->files[run->file] == part->file && run->reads > 0
            && run->ahead == part->record) {
            run->ahead = next;
            run->ahead_step = 0;
        }
    }
    pthread_mutex_unlock(&self->lock);
}

/* Have the planes of one sample chunk. */
static void
prepare(bf_engine *self, bf_context *context, const ahead_part *part, bf_place *place)
{
    uint64_t variant = variant_of(self, part->record), made;
    bf_error err = { .status = BF_OK };
    uint32_t array, c = part->step;
    int k = 0;

    while (c >= self->arrays[array_of(part->file, k)].num_chunks) {
        c -= self->arrays[array_of(part->file, k++)].num_chunks;
    }
    array = (uint32_t) array_of(part->file, k);
    if (bind(self, context, array, variant / self->arrays[array].chunk_rows, 1, place, &err)
        == BF_OK) {
        (void) bf_rows_warm(context->rows[array], c,
            (uint32_t) (variant % self->arrays[array].chunk_rows), &made, &err);
        bf_count(self->counters, BF_COUNT_BLOCKS_AHEAD, made);
    }
}

/* Bind all arrays of a file to the chunk rows of a record. */
static void
bind_all(bf_engine *self, bf_context *context, const ahead_part *part, bf_place *place)
{
    uint64_t variant = variant_of(self, part->record);
    bf_error err = { .status = BF_OK };

    for (int k = 0; k < num_arrays_of(part->file); k++) {
        uint32_t array = (uint32_t) array_of(part->file, k);

        (void) bind(self, context, array, variant / self->arrays[array].chunk_rows, 1, place, &err);
    }
}

int
bf_engine_ahead(bf_engine *self, bf_place *place)
{
    bf_context *context = bf_engine_enter(self, 0);
    ahead_part part;
    int found;

    place->array = -1;
    if (context == NULL) {
        return 0;
    }
    pthread_mutex_lock(&self->lock);
    found = next_part(self, &part);
    pthread_mutex_unlock(&self->lock);
    if (found && part.open) {
        open_next(self, &part, place);
    } else if (found && part.step < num_steps(self, part.file)) {
        prepare(self, context, &part, place);
    } else if (found) {
        bind_all(self, context, &part, place);
        finish_record(self, context, &part);
    }
    bf_engine_end(self, context);
    bf_engine_leave(self, context);
    return found;
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
