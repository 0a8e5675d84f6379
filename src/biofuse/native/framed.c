#include <stdlib.h>
#include <string.h>

#include "bgzf.h"
#include "places.h"

/* A block of which an answer took a part: a is 0 and b its number. The answer that takes the rest
 * of it, mostly the next one, need not make it again. */
typedef struct {
    bf_cached cached;
    uint8_t bytes[];
} kept_block;

/* Bytes of a block's payload. */
static uint32_t
payload_of(const bf_file *file, uint64_t block)
{
    uint64_t left = file->size - block * BF_BGZF_PAYLOAD;

    return left < BF_BGZF_PAYLOAD ? (uint32_t) left : BF_BGZF_PAYLOAD;
}

static void
destroy_block(bf_cached *cached)
{
    free(cached);
}

static bf_status
reserve_blocks(bf_context *context, uint64_t count, bf_error *err)
{
    uint64_t size = count * BF_BGZF_BLOCK;

    if (size > context->blocks_size) {
        free(context->blocks);
        context->blocks = malloc(size);
        context->blocks_size = context->blocks != NULL ? size : 0;
        if (context->blocks == NULL) {
            return bf_fail(err, BF_ERR_NOMEM, "out of memory");
        }
    }
    return BF_OK;
}

/* Make blocks [first, last]. What the stream's bytes are made of is in use until the answer ends,
 * but the context's pieces are those of the file. */
static bf_status
make_blocks(bf_engine *self, bf_context *context, uint32_t number, uint64_t first, uint64_t last,
    bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t start = first * BF_BGZF_PAYLOAD;
    uint64_t stop = last * BF_BGZF_PAYLOAD + payload_of(file, last), filled = 0;

    if (reserve_blocks(context, last - first + 1, err) != BF_OK
        || bf_engine_read_stream(self, context, number, start, stop - start, place, err)
            != BF_OK) {
        return err->status;
    }
    for (int i = 1; i < context->num_iov; i++) {
        const uint8_t *from = context->iov[i].iov_base;
        uint64_t left = context->iov[i].iov_len;

        while (left > 0) {
            uint64_t block = filled / BF_BGZF_PAYLOAD, at = filled % BF_BGZF_PAYLOAD;
            uint64_t size = left < BF_BGZF_PAYLOAD - at ? left : BF_BGZF_PAYLOAD - at;

            if (filled + size > stop - start) {
                return bf_fail(err, BF_ERR_ARGUMENT, "the records are of other sizes");
            }
            memcpy(context->blocks + block * BF_BGZF_BLOCK + BF_BGZF_HEAD + at, from, size);
            from += size;
            left -= size;
            filled += size;
        }
    }
    if (filled != stop - start) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the records are of other sizes");
    }
    for (uint64_t block = first; block <= last; block++) {
        bf_bgzf_close(context->blocks + (block - first) * BF_BGZF_BLOCK, payload_of(file, block));
    }
    context->num_iov = 1;
    return BF_OK;
}

/* Keep a block for who takes the rest of it, if there is memory. */
static void
keep_block(bf_engine *self, uint32_t number, uint64_t block, const uint8_t *bytes)
{
    bf_cache_key key = { .kind = BF_CACHED_FRAMED, .owner = number, .b = block };
    uint64_t size = payload_of(&self->files[number], block) + BF_BGZF_AROUND;
    kept_block *kept = (kept_block *) bf_cache_get(self->cache, &key);

    if (kept == NULL) {
        kept = malloc(sizeof(*kept) + size);
        if (kept == NULL) {
            bf_cache_give_up(self->cache, &key);
            return;
        }
        memcpy(kept->bytes, bytes, size);
        kept->cached
            = (bf_cached){ .key = key, .size = sizeof(*kept) + size, .destroy = destroy_block };
        bf_cache_put(self->cache, &kept->cached, 1);
    }
    bf_cache_release(self->cache, &kept->cached);
}

/* The same for a range that lies in blocks of the stream, of one byte at least. */
static bf_status
read_blocks(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset, uint64_t stop,
    bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t first = offset / BF_BGZF_BLOCK, last = (stop - 1) / BF_BGZF_BLOCK, at, end;
    bf_cache_key key = { .kind = BF_CACHED_FRAMED, .owner = number, .b = first };
    kept_block *kept = NULL;

    at = offset % BF_BGZF_BLOCK;
    if (at > 0) {
        kept = (kept_block *) bf_cache_look(self->cache, &key);
    }
    if (kept != NULL) {
        context->held[context->num_held++] = &kept->cached;
        first++;
    }
    if (first <= last
        && make_blocks(self, context, number, first, last, place, err) != BF_OK) {
        return err->status;
    }
    if (kept != NULL) {
        end = payload_of(file, first - 1) + BF_BGZF_AROUND;
        end = stop - (first - 1) * BF_BGZF_BLOCK < end ? stop - (first - 1) * BF_BGZF_BLOCK : end;
        bf_add_piece(context, kept->bytes + at, end - at);
        at = 0;
        if (first <= last) {
            /* Who reads on has all of it. */
            bf_cache_forget(self->cache, &key, key.b, key.b + 1);
        }
    }
    if (first <= last) {
        bf_add_piece(context, context->blocks + at, stop - first * BF_BGZF_BLOCK - at);
        if (stop - last * BF_BGZF_BLOCK < payload_of(file, last) + (uint64_t) BF_BGZF_AROUND) {
            keep_block(self, number, last, context->blocks + (last - first) * BF_BGZF_BLOCK);
        }
    }
    return BF_OK;
}

bf_status
bf_read_framed(bf_engine *self, bf_context *context, uint32_t number, uint64_t offset,
    uint64_t size, bf_place *place, bf_error *err)
{
    const bf_file *file = &self->files[number];
    uint64_t total = bf_bgzf_size(file->size), end = total - BF_BGZF_END, stop;

    if (offset >= total || size == 0) {
        return BF_OK;
    }
    stop = size < total - offset ? offset + size : total;
    if (offset < end
        && read_blocks(self, context, number, offset, stop < end ? stop : end, place, err)
            != BF_OK) {
        return err->status;
    }
    if (stop > end) {
        offset = offset > end ? offset : end;
        bf_add_piece(context, bf_bgzf_end + (offset - end), stop - offset);
    }
    return BF_OK;
}
