#include "stored.h"

#include <string.h>

#include <libdeflate.h>

#define ZLIB_HEADER_SIZE 2
#define ADLER_SIZE 4
#define BLOCK_HEADER_SIZE 5

/* Empty fixed Huffman blocks, ten bits each, that make a stored block's header
 * this many bytes longer. */
static const unsigned FIXED_BLOCKS[] = { 0, 1, 2, 0, 3 };

uint64_t
bf_stored_size(uint64_t size)
{
    uint64_t blocks = (size + BF_STORED_MAX_BLOCK - 1) / BF_STORED_MAX_BLOCK;

    return ZLIB_HEADER_SIZE + size + BLOCK_HEADER_SIZE * blocks + ADLER_SIZE;
}

/* The header of a stored block, from a byte boundary on, behind `fixed` empty blocks of
 * fixed Huffman codes: for each, bits 0 (not final), 1 and 0 (the type), and seven zeros. */
static uint8_t *
put_block_header(uint8_t *out, unsigned fixed, int final, uint32_t size)
{
    uint64_t bits = (uint64_t) (final != 0) << (10 * fixed);

    for (unsigned i = 0; i < fixed; i++) {
        bits |= (uint64_t) 2 << (10 * i);
    }
    for (unsigned n = 0; n < 10 * fixed + 3; n += 8) {
        *out++ = (uint8_t) (bits >> n);
    }
    *out++ = (uint8_t) size;
    *out++ = (uint8_t) (size >> 8);
    *out++ = (uint8_t) ~size;
    *out++ = (uint8_t) (~size >> 8);
    return out;
}

static void
begin_block(bf_stored *self, unsigned fixed)
{
    uint64_t left = self->data_left;

    self->block_left = left < BF_STORED_MAX_BLOCK ? (uint32_t) left : BF_STORED_MAX_BLOCK;
    self->out = put_block_header(
        self->out, fixed, left <= BF_STORED_MAX_BLOCK && !self->final_block, self->block_left);
}

void
bf_stored_begin(bf_stored *self, uint8_t *out, uint64_t data_size, uint64_t stream_size)
{
    uint64_t padding = stream_size - bf_stored_size(data_size);
    unsigned rest = padding % BLOCK_HEADER_SIZE;

    *out++ = 0x78;
    *out++ = 0x01;
    for (; padding >= BLOCK_HEADER_SIZE; padding -= BLOCK_HEADER_SIZE) {
        out = put_block_header(out, 0, 0, 0);
    }
    self->out = out;
    self->data_left = data_size;
    self->adler = 1;
    /* No number of fixed blocks makes a header three bytes longer: one byte comes of
     * a block before it, two of a final block behind the data. */
    self->final_block = rest == 3;
    begin_block(self, rest == 3 ? 1 : FIXED_BLOCKS[rest]);
}

void
bf_stored_write(bf_stored *self, const uint8_t *data, uint64_t size)
{
    self->adler = libdeflate_adler32(self->adler, data, size);
    while (size > 0) {
        uint64_t n = size < self->block_left ? size : self->block_left;

        memcpy(self->out, data, n);
        self->out += n;
        self->block_left -= (uint32_t) n;
        self->data_left -= n;
        data += n;
        size -= n;
        if (self->block_left == 0 && self->data_left > 0) {
            begin_block(self, 0);
        }
    }
}

uint8_t *
bf_stored_end(bf_stored *self)
{
    if (self->final_block) {
        *self->out++ = 0x03;
        *self->out++ = 0x00;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        *self->out++ = (uint8_t) (self->adler >> shift);
    }
    return self->out;
}
