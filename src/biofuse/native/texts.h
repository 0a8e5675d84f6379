/* Columns of texts: bytes, and where in them each text begins and how long it is.
 *
 * Many columns may share their bytes, and texts may overlap, be anywhere in them and in any
 * order, so that rows are chosen, and columns taken apart, without copying. */
#ifndef BF_TEXTS_H
#define BF_TEXTS_H

#include <string.h>

#include "error.h"

typedef struct {
    const uint8_t *data;
    uint64_t data_size;
    const uint64_t *starts;
    const uint32_t *sizes;
    uint64_t count;
    const uint8_t *instead; /* what stands for an empty text */
    uint32_t instead_size;
} bf_texts;

typedef struct {
    const uint8_t *data;
    uint32_t size;
} bf_text;

/* Whether every text lies in the bytes and is UTF-8: BF_ERR_ARGUMENT, with the row, if one is
 * not. What follows here relies on it. */
bf_status bf_texts_check(const bf_texts *self, bf_error *err);

/* Bytes of all texts, with what stands for empty ones. */
uint64_t bf_texts_size(const bf_texts *self);

/* Find the texts in a chunk of Zarr's vlen-utf8: a 32-bit number of texts, then each after its
 * size in 32 bits, little-endian. There must be count of them; bytes may follow. starts count
 * from base at the chunk's first byte. BF_ERR_TRUNCATED: bytes are not there; BF_ERR_HEADER: the
 * number is another one; BF_ERR_ARGUMENT: a text is not UTF-8. */
bf_status bf_texts_from_vlen(const uint8_t *chunk, uint64_t size, uint64_t count, uint64_t base,
    uint64_t *starts, uint32_t *sizes, bf_error *err);

static inline bf_text
bf_texts_get(const bf_texts *self, uint64_t i)
{
    if (self->sizes[i] == 0) {
        return (bf_text) { self->instead, self->instead_size };
    }
    return (bf_text) { self->data + self->starts[i], self->sizes[i] };
}

/* Order of bytes, which is that of code points. */
static inline int
bf_text_compare(bf_text a, bf_text b)
{
    uint32_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 || a.data == b.data ? 0 : memcmp(a.data, b.data, size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Append bytes. Most texts are of one. */
static inline uint8_t *
bf_put_text(uint8_t *to, bf_text text)
{
    if (text.size == 1) {
        *to = *text.data;
    } else if (text.size > 0) {
        memcpy(to, text.data, text.size);
    }
    return to + text.size;
}

/* Bytes of lines of columns of one length, of which there is one at least: texts with a separator
 * between them; and write them. */
uint64_t bf_texts_rows_size(const bf_texts *columns, uint64_t num_columns);
void bf_texts_write_rows(
    const bf_texts *columns, uint64_t num_columns, uint8_t separator, uint8_t *out);

/* Append a number in decimal: 20 digits at most. */
uint8_t *bf_put_decimal(uint8_t *to, uint64_t number);

#endif
