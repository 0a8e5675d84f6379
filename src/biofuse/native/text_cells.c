#include "text_cells.h"

#include <string.h>

#define WORD 4

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* A place in a chunk, before a text's length. */
typedef struct {
    const bf_text_chunk *chunk;
    uint64_t at;
} reader;

static bf_status
begin(const bf_text_chunk *self, uint64_t num_samples, reader *from, bf_error *err)
{
    if (self->num_values == 0 || self->row_texts == 0
        || num_samples > self->row_texts / self->num_values) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a row has fewer texts");
    }
    if (self->size < WORD) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
    }
    if (self->rows > UINT32_MAX / self->row_texts
        || get_u32(self->bytes) != self->rows * self->row_texts) {
        return bf_fail(err, BF_ERR_HEADER, "the chunk has another number of texts");
    }
    from->chunk = self;
    from->at = WORD;
    return BF_OK;
}

/* The text that follows, of *size bytes; NULL if it is cut off. */
static const uint8_t *
next(reader *from, uint32_t *size)
{
    const bf_text_chunk *chunk = from->chunk;
    const uint8_t *text;

    if (chunk->size - from->at < WORD) {
        return NULL;
    }
    *size = get_u32(chunk->bytes + from->at);
    text = chunk->bytes + from->at + WORD;
    if (*size > chunk->size - from->at - WORD) {
        return NULL;
    }
    from->at += WORD + *size;
    return text;
}

static int
skip(reader *from, uint64_t texts)
{
    uint32_t size;

    for (uint64_t i = 0; i < texts; i++) {
        if (next(from, &size) == NULL) {
            return 0;
        }
    }
    return 1;
}

/* How many texts of the sample that follows there are, and the bytes of them all, one at least.
 * Returns whether they are not cut off. */
static int
measure(reader from, uint32_t *count, uint64_t *bytes)
{
    uint64_t sum = 0;

    *count = 0;
    *bytes = 1;
    for (uint32_t k = 0; k < from.chunk->num_values; k++) {
        uint32_t size;

        if (next(&from, &size) == NULL) {
            return 0;
        }
        sum += (uint64_t) size + (k > 0);
        if (size > 0) {
            *count = k + 1;
            *bytes = sum;
        }
    }
    return 1;
}

bf_status
bf_text_cells_width(
    const bf_text_chunk *self, uint64_t num_samples, uint32_t *width, bf_error *err)
{
    uint64_t longest = 1, bytes;
    uint32_t count;
    reader from;

    if (begin(self, num_samples, &from, err) != BF_OK) {
        return err->status;
    }
    for (uint64_t row = 0; row < self->rows; row++) {
        for (uint64_t s = 0; s < num_samples; s++) {
            if (!measure(from, &count, &bytes) || !skip(&from, self->num_values)) {
                return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
            }
            longest = bytes > longest ? bytes : longest;
        }
        if (!skip(&from, self->row_texts - num_samples * self->num_values)) {
            return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
        }
    }
    if (longest > UINT32_MAX) {
        return bf_fail(err, BF_ERR_HEADER, "a sample's texts are too long");
    }
    *width = (uint32_t) longest;
    return BF_OK;
}

/* Write the text of the sample that follows, and go on behind it. */
static bf_status
put_cell(reader *from, uint32_t width, uint8_t *out, bf_error *err)
{
    uint32_t count, size, k = 0, used = 0;
    uint64_t bytes;

    if (!measure(*from, &count, &bytes)) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
    }
    if (bytes > width) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a text is longer than any was");
    }
    memset(out, 0, width);
    out[0] = '.';
    for (; k < count; k++) {
        const uint8_t *text = next(from, &size);

        if (k > 0) {
            out[used++] = ',';
        }
        memcpy(out + used, text, size);
        used += size;
    }
    /* They were there a moment ago. */
    (void) skip(from, from->chunk->num_values - count);
    return BF_OK;
}

bf_status
bf_text_cells_write(const bf_text_chunk *self, uint64_t first, uint64_t last,
    uint64_t num_samples, uint32_t width, uint8_t *out, uint64_t stride, bf_error *err)
{
    reader from;

    if (begin(self, num_samples, &from, err) != BF_OK) {
        return err->status;
    }
    if (first > last || last > self->rows || width == 0 || num_samples > stride / width) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the texts do not fit the output");
    }
    if (!skip(&from, first * self->row_texts)) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
    }
    for (uint64_t row = first; row < last; row++) {
        err->row = (int64_t) row;
        for (uint64_t s = 0; s < num_samples; s++) {
            err->sample = (int64_t) s;
            if (put_cell(&from, width, out + (row - first) * stride + s * width, err) != BF_OK) {
                return err->status;
            }
        }
        if (!skip(&from, self->row_texts - num_samples * self->num_values)) {
            return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
        }
    }
    err->row = err->sample = -1;
    return BF_OK;
}
