#include "bgen_compress.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Of a record: the two sizes before its data, and what a small stream takes beyond a large one. */
enum { SIZES = 8, SPARE = 512 };

typedef struct {
    struct libdeflate_decompressor *inflate;
    struct libdeflate_compressor *deflate;
    ZSTD_CCtx *zstd;
    int level;
    uint8_t *data; /* of one record, decompressed */
    uint64_t room;
} state;

static uint32_t
get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

static void
put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t) (value >> (8 * i));
    }
}

/* Go past a string that is preceded by its size, of so many bytes. Returns whether it is there. */
static int
skip_string(const uint8_t *record, uint64_t size, uint64_t *at, unsigned width)
{
    uint64_t length;

    if (size - *at < width) {
        return 0;
    }
    length = width == 2 ? record[*at] | (uint64_t) record[*at + 1] << 8 : get_u32(record + *at);
    *at += width;
    if (size - *at < length) {
        return 0;
    }
    *at += length;
    return 1;
}

/* Where the sizes before a record's data are; 0 if it is malformed. */
static uint64_t
head_size(const uint8_t *record, uint64_t size)
{
    uint64_t at = 0;
    unsigned alleles;

    for (int i = 0; i < 3; i++) {
        if (!skip_string(record, size, &at, 2)) {
            return 0;
        }
    }
    if (size - at < 6) {
        return 0;
    }
    alleles = record[at + 4] | (unsigned) record[at + 5] << 8;
    at += 6;
    for (unsigned i = 0; i < alleles; i++) {
        if (!skip_string(record, size, &at, 4)) {
            return 0;
        }
    }
    return size - at < SIZES ? 0 : at;
}

static uint64_t
compress(state *self, uint64_t size, uint8_t *out, uint64_t room)
{
    size_t made;

    if (self->deflate != NULL) {
        return libdeflate_zlib_compress(self->deflate, self->data, size, out, room);
    }
    made = ZSTD_compressCCtx(self->zstd, out, room, self->data, size, self->level);
    return ZSTD_isError(made) ? 0 : made;
}

static bf_status
one_record(state *self, const uint8_t *record, uint64_t size, uint8_t *out, uint64_t room,
    uint64_t *made, bf_error *err)
{
    uint64_t head = head_size(record, size), raw, done;
    uint8_t *larger;

    if (head == 0 || get_u32(record + head) != size - head - 4) {
        return bf_fail(err, BF_ERR_TRUNCATED, "a record of the BGEN file is malformed");
    }
    raw = get_u32(record + head + 4);
    if (raw > self->room) {
        larger = realloc(self->data, raw);
        if (larger == NULL) {
            return bf_fail(err, BF_ERR_NOMEM, "no memory for a record");
        }
        self->data = larger;
        self->room = raw;
    }
    if (libdeflate_zlib_decompress(self->inflate, record + head + SIZES, size - head - SIZES,
            self->data, raw, NULL)
        != LIBDEFLATE_SUCCESS) {
        return bf_fail(err, BF_ERR_BLOCK, "a record's data do not decompress to their size");
    }
    if (room < head + SIZES) {
        return bf_fail(err, BF_ERR_ARGUMENT, "no room for a record");
    }
    memcpy(out, record, head);
    done = compress(self, raw, out + head + SIZES, room - head - SIZES);
    if (done == 0 || done > UINT32_MAX - 4) {
        return bf_fail(err, BF_ERR_ARGUMENT, "no room for a compressed record");
    }
    put_u32(out + head, (uint32_t) done + 4);
    put_u32(out + head + 4, (uint32_t) raw);
    *made = head + SIZES + done;
    return BF_OK;
}

uint64_t
bf_bgen_compress_room(uint64_t size, uint64_t count)
{
    return size + size / 64 + count * SPARE;
}

bf_status
bf_bgen_compress(const uint8_t *records, const uint64_t *ends, uint64_t count,
    bf_bgen_method method, int level, uint8_t *out, uint64_t room, uint64_t *sizes, bf_error *err)
{
    state self = { .level = level };
    bf_status status = BF_OK;
    uint64_t start = 0;

    self.inflate = libdeflate_alloc_decompressor();
    if (method == BF_BGEN_ZLIB) {
        self.deflate = libdeflate_alloc_compressor(level);
    }
    else {
        self.zstd = ZSTD_createCCtx();
    }
    if (self.inflate == NULL || (self.deflate == NULL && self.zstd == NULL)) {
        status = bf_fail(err, BF_ERR_NOMEM, "no memory to compress");
    }
    for (uint64_t i = 0; i < count && status == BF_OK; i++) {
        err->row = (int64_t) i;
        if (ends[i] < start) {
            status = bf_fail(err, BF_ERR_ARGUMENT, "a record ends before it begins");
            break;
        }
        status = one_record(
            &self, records + start, ends[i] - start, out, room, &sizes[i], err);
        if (status == BF_OK) {
            out += sizes[i];
            room -= sizes[i];
            start = ends[i];
            err->row = -1;
        }
    }
    if (self.inflate != NULL) {
        libdeflate_free_decompressor(self.inflate);
    }
    if (self.deflate != NULL) {
        libdeflate_free_compressor(self.deflate);
    }
    ZSTD_freeCCtx(self.zstd);
    free(self.data);
    return status;
}
