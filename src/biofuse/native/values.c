#include "values.h"

#include <stdlib.h>

bf_status
bf_values_init(bf_values *self, uint32_t chunk_rows, uint64_t row_values, unsigned item_size,
    bf_error *err)
{
    memset(self, 0, sizeof(*self));
    *err = (bf_error){ .status = BF_OK, .chunk = -1, .row = -1, .sample = -1 };
    if (item_size != 1 && item_size != 2 && item_size != 4 && item_size != 8) {
        return bf_fail(err, BF_ERR_ARGUMENT, "values are of 1, 2, 4 or 8 bytes");
    }
    if (chunk_rows == 0 || row_values == 0 || row_values > UINT32_MAX / item_size / chunk_rows) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the chunk shape is empty or too large");
    }
    self->item_size = item_size;
    self->chunk_rows = chunk_rows;
    self->row_values = row_values;
    self->dctx = ZSTD_createDCtx();
    return self->dctx == NULL ? bf_fail(err, BF_ERR_NOMEM, "out of memory") : BF_OK;
}

void
bf_values_free(bf_values *self)
{
    free(self->scratch);
    ZSTD_freeDCtx(self->dctx);
    memset(self, 0, sizeof(*self));
}

static bf_status
open_frame(bf_values *self, const bf_frame_source *source, bf_frame *frame, bf_error *err)
{
    uint64_t raw = self->chunk_rows * self->row_values * self->item_size;
    uint64_t size;

    if (bf_frame_parse_header(source->index, source->index_size, raw, source->size,
            self->item_size, &frame->header, err)
        != BF_OK) {
        return err->status;
    }
    if (source->index_size < bf_frame_index_size(&frame->header)) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the Blosc frame's offset table is cut short");
    }
    if (source->span_start > source->size
        || source->span_size > source->size - source->span_start) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the span lies outside the frame");
    }
    if (frame->header.block_size % self->item_size != 0) {
        return bf_fail(err, BF_ERR_UNSUPPORTED, "the Blosc frame's blocks cut values in two");
    }
    frame->offsets = source->index + BF_FRAME_HEADER_SIZE;
    frame->span = source->span;
    frame->span_start = source->span_start;
    frame->span_size = source->span_size;
    size = 2 * (uint64_t) frame->header.block_size;
    if (size > self->scratch_size) {
        free(self->scratch);
        self->scratch = malloc(size);
        self->scratch_size = self->scratch == NULL ? 0 : size;
        if (self->scratch == NULL) {
            return bf_fail(err, BF_ERR_NOMEM, "out of memory");
        }
    }
    return BF_OK;
}

/* Values first to first + n of a block, of which byte k of all values comes before byte k + 1 of
 * any. */
static inline void
join_bytes(const bf_block *block, unsigned item_size, uint64_t first, uint64_t n, uint8_t *out)
{
    uint64_t count = block->size / item_size;

    for (uint64_t i = 0; i < n; i++) {
        for (unsigned k = 0; k < item_size; k++) {
            out[i * item_size + k] = block->bytes[k * count + first + i];
        }
    }
}

/* The same of values of a byte, of which bit k of all comes before bit k + 1 of any. */
static void
join_bits(const bf_block *block, uint64_t first, uint64_t n, uint8_t *out)
{
    uint64_t plane = block->size / 8;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = (first + i) / 8;
        unsigned value = 0;

        for (unsigned k = 0; k < 8; k++, at += plane) {
            unsigned bits = at < block->filled ? block->bytes[at] : block->tail;

            value |= (bits >> (first + i) % 8 & 1) << k;
        }
        out[i] = (uint8_t) value;
    }
}

static void
copy_values(const bf_block *block, unsigned item_size, uint64_t first, uint64_t n, uint8_t *out)
{
    if (!block->shuffled) {
        memcpy(out, block->bytes + first * item_size, n * item_size);
        return;
    }
    switch (item_size) {
    case 1:
        join_bits(block, first, n, out);
        break;
    case 2:
        join_bytes(block, 2, first, n, out);
        break;
    case 4:
        join_bytes(block, 4, first, n, out);
        break;
    default:
        join_bytes(block, 8, first, n, out);
    }
}

bf_status
bf_values_read(bf_values *self, const bf_frame_source *source, const uint32_t *rows,
    uint64_t num_rows, uint64_t num_values, uint8_t *out, uint64_t stride, bf_error *err)
{
    bf_frame frame;
    bf_block block;
    int64_t current = -1;

    if (num_values > self->row_values || num_values * self->item_size > stride) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a row has fewer values");
    }
    if (open_frame(self, source, &frame, err) != BF_OK) {
        return err->status;
    }
    for (uint64_t i = 0; i < num_rows; i++) {
        uint64_t position = rows[i] * self->row_values;
        uint64_t left = num_values, per_block = frame.header.block_size / self->item_size;
        uint8_t *to = out + i * stride;

        err->row = rows[i];
        if (rows[i] >= self->chunk_rows) {
            return bf_fail(err, BF_ERR_ARGUMENT, "there is no such row in the chunk");
        }
        while (left > 0) {
            uint64_t first = position % per_block;
            uint64_t n = per_block - first < left ? per_block - first : left;

            if (current != (int64_t) (position / per_block)) {
                current = (int64_t) (position / per_block);
                if (bf_frame_read_block(&frame, (uint32_t) current, self->dctx, self->scratch,
                        &block, err)
                    != BF_OK) {
                    return err->status;
                }
            }
            copy_values(&block, self->item_size, first, n, to);
            to += n * self->item_size;
            position += n;
            left -= n;
        }
    }
    err->row = -1;
    return BF_OK;
}
