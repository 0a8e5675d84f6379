/* What the parts of the engine share: where records and chunks lie. Part of engine.c. */
#ifndef BF_PLACES_H
#define BF_PLACES_H

#include "engine.h"

static inline uint64_t
bf_variant_of(const bf_file *file, uint64_t record)
{
    return file->variants == NULL ? file->first + record : file->variants[record];
}

/* The first of the file's records whose variant is not before this one. */
static inline uint64_t
bf_record_from(const bf_file *file, uint64_t variant)
{
    uint64_t low = 0, high = file->records;

    if (file->variants == NULL) {
        variant = variant > file->first ? variant - file->first : 0;
        return variant < high ? variant : high;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (file->variants[middle] < variant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static inline uint64_t
bf_start_of(const bf_file *file, uint64_t record)
{
    return file->offsets != NULL ? file->offsets[record]
                                 : file->header_size + record * file->record_size;
}

/* The record that has the byte at an offset past the header and within the file. */
static inline uint64_t
bf_record_at(const bf_file *file, uint64_t offset)
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

static inline int
bf_array_of(const bf_file *file, int k)
{
    return k == 0 ? file->genotypes : file->phased;
}

static inline int
bf_num_arrays_of(const bf_file *file)
{
    return file->phased >= 0 ? 2 : 1;
}

/* The cache that has an array's chunks. */
static inline bf_cache *
bf_cache_of(const bf_engine *self, const bf_array *array)
{
    return array->local ? self->open_files : self->cache;
}

static inline bf_cache_key
bf_source_key(const bf_engine *self, uint32_t array, uint64_t chunk_row, uint32_t chunk)
{
    return (bf_cache_key){ .kind = BF_CACHED_SOURCE,
        .owner = array,
        .a = chunk_row,
        .b = self->arrays[array].columns[chunk] };
}

/* What planes of a chunk's blocks are called. */
static inline uint64_t
bf_chunk_id(const bf_cache_key *key)
{
    return key->a << 32 | key->b;
}

/* An encoded chunk, in use until it is released; NULL if somebody has to give it. hint: whether
 * all of it will be read. */
bf_source *bf_get_source(
    bf_engine *self, uint32_t array, uint64_t chunk_row, uint32_t chunk, int hint);

/* Have a context read a chunk row of an array. */
bf_status bf_bind(bf_engine *self, bf_context *context, uint32_t array, uint64_t chunk_row,
    bf_place *place, bf_error *err);
/* Put together bytes of a file whose stream is framed. */
bf_status bf_read_framed(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err);
void bf_unbind(bf_engine *self, bf_context *context, uint32_t array);

#endif
