#include "blocks.h"

#include <stdlib.h>

bf_status
bf_reserve(uint8_t **buffer, uint64_t *size, uint64_t wanted, bf_error *err)
{
    uint8_t *larger;

    if (wanted <= *size) {
        return BF_OK;
    }
    larger = malloc(wanted);
    if (larger == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    free(*buffer);
    *buffer = larger;
    *size = wanted;
    return BF_OK;
}

bf_status
bf_reserve_planes(bf_planes *planes, uint64_t size, bf_error *err)
{
    if (size <= planes->capacity) {
        return BF_OK;
    }
    bf_planes_free(planes);
    return bf_planes_alloc(planes, size, err);
}

void
bf_blocks_drop(bf_rows *self, bf_chunk *chunk)
{
    if (chunk->shared != NULL) {
        bf_cache_release(self->cache, &chunk->shared->cached);
        chunk->shared = NULL;
    }
    chunk->current = -1;
}

/* Read the bytes of a block of which they were not given. */
static bf_status
read_input(bf_rows *self, bf_chunk *chunk, uint32_t block, bf_error *err)
{
    bf_frame *frame = &chunk->frame;
    uint64_t start, stop;

    if (bf_frame_extent(frame, block, block, &start, &stop, err) != BF_OK
        || bf_reserve(&self->input, &self->input_size, stop - start, err) != BF_OK
        || bf_source_read(chunk->source, start, stop, self->input, err) != BF_OK) {
        return err->status;
    }
    frame->span = self->input;
    frame->span_start = start;
    frame->span_size = stop - start;
    return BF_OK;
}

static bf_status
decode_block(bf_rows *self, bf_chunk *chunk, uint32_t block, bf_planes *planes, bf_error *err)
{
    bf_block data;

    if ((chunk->source != NULL && read_input(self, chunk, block, err) != BF_OK)
        || bf_frame_read_block(&chunk->frame, block, self->dctx, self->scratch, &data, err)
               != BF_OK) {
        return err->status;
    }
    return data.shuffled
        ? bf_planes_from_shuffled(planes, data.bytes, data.size, data.filled, data.tail, err)
        : bf_planes_from_bytes(planes, data.bytes, data.size, err);
}

static void
destroy_block(bf_cached *cached)
{
    bf_block_planes *self = (bf_block_planes *) cached;

    bf_planes_free(&self->planes);
    free(self);
}

/* Decompress a block that the cache is to have; its claim ends in any case. */
static bf_status
make_block(bf_rows *self, bf_chunk *chunk, uint32_t block, int keep, bf_error *err)
{
    bf_block_planes *made = calloc(1, sizeof(*made));
    uint64_t size = bf_frame_block_bytes(&chunk->frame.header, block);

    if (made == NULL) {
        (void) bf_fail(err, BF_ERR_NOMEM, "out of memory");
    } else if (bf_planes_alloc_block(&made->planes, size, err) != BF_OK
               || decode_block(self, chunk, block, &made->planes, err) != BF_OK) {
        destroy_block(&made->cached);
        made = NULL;
    }
    if (made == NULL) {
        bf_cache_give_up(self->cache, &chunk->key);
        return err->status;
    }
    made->cached.key = chunk->key;
    made->cached.destroy = destroy_block;
    made->cached.size = sizeof(*made) + bf_planes_size(&made->planes);
    bf_cache_put(self->cache, &made->cached, keep);
    chunk->shared = made;
    return BF_OK;
}

/* Whether a block has rows in it that are not being read now, but may be next. */
static int
is_of_use_later(const bf_rows *self, const bf_chunk *chunk, uint32_t block)
{
    uint64_t row_size = (uint64_t) self->chunk_samples * self->ploidy;
    uint64_t start = (uint64_t) block * chunk->frame.header.block_size;
    uint64_t stop = start + bf_frame_block_bytes(&chunk->frame.header, block);

    return start < self->first_row * row_size || stop > (self->last_row + 1) * row_size;
}

bf_status
bf_blocks_load(bf_rows *self, bf_chunk *chunk, uint32_t block, bf_error *err)
{
    bf_status status = BF_OK;

    bf_blocks_drop(self, chunk);
    chunk->key.b = block;
    if (self->cache == NULL) {
        status = bf_reserve_planes(&chunk->block, chunk->frame.header.block_size, err);
        if (status == BF_OK) {
            status = decode_block(self, chunk, block, &chunk->block, err);
        }
    } else {
        chunk->shared = (bf_block_planes *) bf_cache_get(self->cache, &chunk->key);
        if (chunk->shared == NULL) {
            status = make_block(self, chunk, block, is_of_use_later(self, chunk, block), err);
        }
    }
    if (status == BF_OK) {
        chunk->current = block;
    }
    return status;
}

bf_status
bf_rows_warm(bf_rows *self, uint32_t chunk, uint32_t row, uint64_t *made, bf_error *err)
{
    bf_chunk *c = &self->chunks[chunk];
    uint64_t pos = (uint64_t) row * self->chunk_samples * self->ploidy;
    uint64_t last = pos + (uint64_t) c->num_samples * self->ploidy;
    uint32_t block_size = c->frame.header.block_size;
    bf_status status = BF_OK;

    *made = 0;
    if (self->cache == NULL || c->kind != BF_CHUNK_FRAME || pos == last) {
        return BF_OK;
    }
    for (uint64_t block = pos / block_size; block <= (last - 1) / block_size; block++) {
        c->key.b = block;
        bf_blocks_drop(self, c);
        if (bf_cache_has(self->cache, &c->key)) {
            continue;
        }
        c->shared = (bf_block_planes *) bf_cache_get(self->cache, &c->key);
        if (c->shared == NULL) {
            status = make_block(self, c, (uint32_t) block, 1, err);
            if (status != BF_OK) {
                return status;
            }
            (*made)++;
        }
    }
    bf_blocks_drop(self, c);
    return status;
}
