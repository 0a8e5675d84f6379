#include "places.h"

#include <stdio.h>
#include <string.h>

static bf_source *
open_source(bf_engine *self, const bf_array *array, const bf_cache_key *key)
{
    char path[BF_MAX_PATH];
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

bf_source *
bf_get_source(bf_engine *self, uint32_t array, uint64_t chunk_row, uint32_t chunk, int hint)
{
    const bf_array *a = &self->arrays[array];
    bf_cache_key key = bf_source_key(self, array, chunk_row, chunk);
    bf_source *source = (bf_source *) bf_cache_get(bf_cache_of(self, a), &key);

    if (source != NULL) {
        return source;
    }
    source = open_source(self, a, &key);
    if (source == NULL) {
        bf_cache_give_up(bf_cache_of(self, a), &key);
        return NULL;
    }
    if (hint) {
        bf_source_hint(source);
    }
    source->cached.key = key;
    bf_cache_put(bf_cache_of(self, a), &source->cached, 1);
    return source;
}

void
bf_engine_give(bf_engine *self, const bf_place *place, bf_source *source)
{
    const bf_array *array = &self->arrays[place->array];
    bf_cache *cache = bf_cache_of(self, array);

    source->cached.key = bf_source_key(self, (uint32_t) place->array, place->chunk_row, place->chunk);
    bf_cache_put(cache, &source->cached, 1);
    bf_cache_release(cache, &source->cached);
}

int
bf_engine_has_row(bf_engine *self, uint32_t array, uint64_t chunk_row)
{
    const bf_array *a = &self->arrays[array];

    for (uint32_t c = 0; c < a->num_chunks; c++) {
        bf_cache_key key = bf_source_key(self, array, chunk_row, c);
        bf_cached *found = bf_cache_look(bf_cache_of(self, a), &key);

        if (found == NULL) {
            return 0;
        }
        bf_cache_release(bf_cache_of(self, a), found);
    }
    return 1;
}

void
bf_unbind(bf_engine *self, bf_context *context, uint32_t array)
{
    const bf_array *a = &self->arrays[array];

    if (context->bound[array] < 0) {
        return;
    }
    bf_rows_clear(context->rows[array]);
    for (uint32_t c = 0; c < a->num_chunks; c++) {
        if (context->sources[array][c] != NULL) {
            bf_cache_release(bf_cache_of(self, a), &context->sources[array][c]->cached);
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

bf_status
bf_bind(bf_engine *self, bf_context *context, uint32_t array, uint64_t chunk_row,
    bf_place *place, bf_error *err)
{
    const bf_array *a = &self->arrays[array];
    const bf_source *last = NULL;

    if (context->bound[array] == (int64_t) chunk_row) {
        return BF_OK;
    }
    bf_unbind(self, context, array);
    context->bound[array] = (int64_t) chunk_row;
    for (uint32_t c = 0; c < a->num_chunks; c++) {
        bf_source *source = bf_get_source(self, array, chunk_row, c, 0);

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
                bf_chunk_id(&source->cached.key), err)
            != BF_OK) {
            return err->status;
        }
    }
    return BF_OK;
}
