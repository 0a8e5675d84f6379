#include "counters.h"
#include "places.h"

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

    for (int k = 0; k < bf_num_arrays_of(file); k++) {
        steps += self->arrays[bf_array_of(file, k)].num_chunks;
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
    now = run->position < file->header_size ? 0 : bf_record_at(file, run->position);
    last = to < file->size ? (to < file->header_size ? 0 : bf_record_at(file, to)) : file->records - 1;
    for (int k = 0; k < bf_num_arrays_of(file); k++) {
        const bf_array *a = &self->arrays[bf_array_of(file, k)];

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
        now = run->position < file->header_size ? 0 : bf_record_at(file, run->position);
        if (run->ahead < now) {
            run->ahead = now;
            run->ahead_step = 0;
        }
        if (run->ahead >= ahead_limit(self, run)) {
            continue;
        }
        chunk_row = bf_variant_of(file, run->ahead) / self->arrays[file->genotypes].chunk_rows;
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

/* Open the chunks of the first record that lies in a later chunk row than this one. */
static void
open_next(bf_engine *self, const ahead_part *part, bf_place *place)
{
    for (int k = 0; k < bf_num_arrays_of(part->file); k++) {
        uint32_t array = (uint32_t) bf_array_of(part->file, k);
        const bf_array *a = &self->arrays[array];
        uint64_t chunk_row = bf_variant_of(part->file, part->record) / a->chunk_rows + 1;
        uint64_t next = bf_record_from(part->file, chunk_row * a->chunk_rows);

        if (next >= part->file->records) {
            continue;
        }
        chunk_row = bf_variant_of(part->file, next) / a->chunk_rows;
        for (uint32_t c = 0; c < a->num_chunks; c++) {
            bf_source *source = bf_get_source(self, array, chunk_row, c, 1);

            if (source == NULL) {
                *place = (bf_place){ .array = (int) array, .chunk_row = chunk_row, .chunk = c };
                break;
            }
            bf_cache_release(bf_cache_of(self, a), &source->cached);
        }
    }
}

/* The first record that lies in a later block of every chunk that is there; or in the next chunk
 * row. */
static uint64_t
record_after(bf_engine *self, const bf_file *file, uint64_t record)
{
    uint64_t variant = bf_variant_of(file, record), next = UINT64_MAX;

    for (int k = 0; k < bf_num_arrays_of(file); k++) {
        uint32_t array = (uint32_t) bf_array_of(file, k);
        const bf_array *a = &self->arrays[array];
        uint64_t chunk_row = variant / a->chunk_rows, row = variant % a->chunk_rows;
        uint64_t row_bytes = a->kind.raw_size / a->chunk_rows;

        for (uint32_t c = 0; c < a->num_chunks; c++) {
            bf_cache_key key = bf_source_key(self, array, chunk_row, c);
            bf_source *source = (bf_source *) bf_cache_look(bf_cache_of(self, a), &key);
            uint64_t end = a->chunk_rows;

            if (source != NULL && !source->absent) {
                end = (row * row_bytes / source->header.block_size + 1)
                    * source->header.block_size / row_bytes;
            }
            if (source != NULL) {
                bf_cache_release(bf_cache_of(self, a), &source->cached);
            }
            end = end > row ? end : row + 1;
            end = chunk_row * a->chunk_rows + (end < a->chunk_rows ? end : a->chunk_rows);
            next = end < next ? end : next;
        }
    }
    return bf_record_from(file, next);
}

/* The run has been prepared up to here. */
static void
finish_record(bf_engine *self, const ahead_part *part)
{
    uint64_t next = record_after(self, part->file, part->record);

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
    uint64_t variant = bf_variant_of(part->file, part->record), chunk_row, made;
    bf_error err = { .status = BF_OK };
    uint32_t array, c = part->step;
    bf_source *source;
    bf_rows *rows;
    int k = 0;

    while (c >= self->arrays[bf_array_of(part->file, k)].num_chunks) {
        c -= self->arrays[bf_array_of(part->file, k++)].num_chunks;
    }
    array = (uint32_t) bf_array_of(part->file, k);
    chunk_row = variant / self->arrays[array].chunk_rows;
    source = bf_get_source(self, array, chunk_row, c, 1);
    if (source == NULL) {
        *place = (bf_place){ .array = (int) array, .chunk_row = chunk_row, .chunk = c };
        return;
    }
    rows = context->rows[array];
    if (!source->absent
        && bf_rows_set_source(rows, c, source, bf_chunk_id(&source->cached.key), &err) == BF_OK) {
        (void) bf_rows_warm(
            rows, c, (uint32_t) (variant % self->arrays[array].chunk_rows), &made, &err);
        bf_count(self->counters, BF_COUNT_BLOCKS_AHEAD, made);
    }
    bf_rows_clear(rows);
    bf_cache_release(bf_cache_of(self, &self->arrays[array]), &source->cached);
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
        finish_record(self, &part);
    }
    bf_engine_leave(self, context);
    return found;
}
