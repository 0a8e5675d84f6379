#include "texts.h"

#define VLEN_WORD 4

static uint32_t
get_u32(const uint8_t *p)
{
    return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static int
is_ascii(const uint8_t *data, uint64_t size)
{
    uint8_t all = 0;

    for (uint64_t i = 0; i < size; i++) {
        all |= data[i];
    }
    return all < 0x80;
}

/* Bytes of the character at `data`, or 0 if it is none: RFC 3629. */
static unsigned
character_size(const uint8_t *data, uint64_t size)
{
    uint8_t lead = data[0], low = 0x80, high = 0xbf;
    unsigned n;

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size < n) {
        return 0;
    }
    /* No longer form than is needed, no surrogate, nothing above the last code point. */
    switch (lead) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    }
    if (data[1] < low || data[1] > high) {
        return 0;
    }
    for (unsigned i = 2; i < n; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static int
is_utf8(const uint8_t *data, uint64_t size)
{
    while (size > 0) {
        unsigned n = character_size(data, size);

        if (n == 0) {
            return 0;
        }
        data += n;
        size -= n;
    }
    return 1;
}

static bf_status
fail_at(bf_error *err, bf_status status, uint64_t row, const char *detail)
{
    err->row = (int64_t) row;
    return bf_fail(err, status, detail);
}

bf_status
bf_texts_check(const bf_texts *self, bf_error *err)
{
    int ascii = is_ascii(self->data, self->data_size);

    for (uint64_t i = 0; i < self->count; i++) {
        uint64_t start = self->starts[i], size = self->sizes[i];

        if (start > self->data_size || size > self->data_size - start) {
            return fail_at(err, BF_ERR_ARGUMENT, i, "a text lies outside the bytes of its column");
        }
        if (!ascii && !is_utf8(self->data + start, size)) {
            return fail_at(err, BF_ERR_ARGUMENT, i, "a text is not UTF-8");
        }
    }
    return BF_OK;
}

uint64_t
bf_texts_size(const bf_texts *self)
{
    uint64_t total = 0;

    for (uint64_t i = 0; i < self->count; i++) {
        total += self->sizes[i] > 0 ? self->sizes[i] : self->instead_size;
    }
    return total;
}

bf_status
bf_texts_from_vlen(const uint8_t *chunk, uint64_t size, uint64_t count, uint64_t base,
    uint64_t *starts, uint32_t *sizes, bf_error *err)
{
    uint64_t at = VLEN_WORD;
    int ascii;

    if (size < VLEN_WORD) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the chunk of texts is cut off");
    }
    if (get_u32(chunk) != count) {
        return bf_fail(err, BF_ERR_HEADER, "the chunk has another number of texts");
    }
    /* Sizes are among the bytes: one above 127 makes each text be looked at, no more. */
    ascii = is_ascii(chunk + VLEN_WORD, size - VLEN_WORD);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t length;

        if (size - at < VLEN_WORD) {
            return fail_at(err, BF_ERR_TRUNCATED, i, "the chunk of texts is cut off");
        }
        length = get_u32(chunk + at);
        at += VLEN_WORD;
        if (length > size - at) {
            return fail_at(err, BF_ERR_TRUNCATED, i, "the chunk of texts is cut off");
        }
        if (!ascii && !is_utf8(chunk + at, length)) {
            return fail_at(err, BF_ERR_ARGUMENT, i, "a text is not UTF-8");
        }
        starts[i] = base + at;
        sizes[i] = length;
        at += length;
    }
    return BF_OK;
}

uint64_t
bf_texts_rows_size(const bf_texts *columns, uint64_t num_columns)
{
    uint64_t total = 0;

    for (uint64_t k = 0; k < num_columns; k++) {
        total += bf_texts_size(&columns[k]) + columns[k].count;
    }
    return total;
}

void
bf_texts_write_rows(
    const bf_texts *columns, uint64_t num_columns, uint8_t separator, uint8_t *out)
{
    for (uint64_t i = 0; i < columns[0].count; i++) {
        for (uint64_t k = 0; k < num_columns; k++) {
            out = bf_put_text(out, bf_texts_get(&columns[k], i));
            *out++ = separator;
        }
        out[-1] = '\n';
    }
}

uint8_t *
bf_put_decimal(uint8_t *to, uint64_t number)
{
    uint8_t digits[20];
    unsigned n = 0;

    do {
        digits[n++] = (uint8_t) ('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (n > 0) {
        *to++ = digits[--n];
    }
    return to;
}
