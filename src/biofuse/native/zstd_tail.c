#include "zstd_tail.h"

#include <string.h>

enum {
    BLOCK_RAW = 0,
    BLOCK_RLE = 1,
    BLOCK_COMPRESSED = 2,
    /* Single segment, content size of four bytes, no checksum, no dictionary: what
     * ZSTD_compress writes for 64 KiB and more. */
    PLAIN_DESCRIPTOR = 0xa0,
    CONTENT_SIZE = 5,
    HEADER_SIZE = 9,
    MAX_BLOCK = 1 << 17,
};

static const uint8_t MAGIC[4] = { 0x28, 0xb5, 0x2f, 0xfd };

int
bf_zstd_find_tail(const uint8_t *frame, size_t size, uint64_t raw_size, bf_zstd_tail *tail)
{
    size_t pos = HEADER_SIZE, previous = 0;
    uint64_t repeated = 0;
    int in_tail = 0;

    if (size < HEADER_SIZE + 3 || memcmp(frame, MAGIC, 4) != 0 || frame[4] != PLAIN_DESCRIPTOR) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        if (frame[CONTENT_SIZE + i] != (uint8_t) (raw_size >> 8 * i)) {
            return 0;
        }
    }
    for (;;) {
        uint32_t header, length;
        unsigned type;

        if (size - pos < 3) {
            return 0;
        }
        header = frame[pos] | (uint32_t) frame[pos + 1] << 8 | (uint32_t) frame[pos + 2] << 16;
        type = header >> 1 & 3;
        length = header >> 3;
        if (length > MAX_BLOCK) {
            return 0;
        }
        if (type == BLOCK_RLE && size - pos > 3) {
            if (!in_tail || frame[pos + 3] != tail->byte) {
                in_tail = 1;
                repeated = 0;
                tail->head_size = pos;
                tail->last_block = previous;
                tail->byte = frame[pos + 3];
            }
            repeated += length;
            length = 1;
        } else if (type == BLOCK_RAW || type == BLOCK_COMPRESSED) {
            in_tail = 0;
        } else {
            return 0;
        }
        if (size - pos - 3 < length) {
            return 0;
        }
        previous = pos;
        pos += 3 + (size_t) length;
        if (header & 1) {
            break;
        }
    }
    if (pos != size || !in_tail || repeated > raw_size) {
        return 0;
    }
    tail->head_raw = raw_size - repeated;
    return (tail->head_raw == 0) == (tail->last_block == 0);
}

void
bf_zstd_write_head(const uint8_t *frame, const bf_zstd_tail *tail, uint8_t *out)
{
    memcpy(out, frame, tail->head_size);
    for (int i = 0; i < 4; i++) {
        out[CONTENT_SIZE + i] = (uint8_t) (tail->head_raw >> 8 * i);
    }
    out[tail->last_block] |= 1;
}
