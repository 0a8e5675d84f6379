#include "stored.h"

#include <string.h>

#include <libdeflate.h>

#define ZLIB_HEADER_SIZE 2
#define ADLER_SIZE 4
#define BLOCK_HEADER_SIZE 5
#define ADLER_MODULUS 65521

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

/* Take note that size bytes of the current stored block were written. */
static void
advance(bf_stored *self, uint64_t size)
{
    self->out += size;
    self->block_left -= (uint32_t) size;
    self->data_left -= size;
    if (self->block_left == 0 && self->data_left > 0) {
        begin_block(self, 0);
    }
}

void
bf_stored_write(bf_stored *self, const uint8_t *data, uint64_t size)
{
    self->adler = libdeflate_adler32(self->adler, data, size);
    while (size > 0) {
        uint64_t n = size < self->block_left ? size : self->block_left;

        memcpy(self->out, data, n);
        advance(self, n);
        data += n;
        size -= n;
    }
}

/* Adler-32 after size times the same byte: both sums have closed forms. */
static uint32_t
adler_of_repeated(uint32_t adler, uint8_t byte, uint64_t size)
{
    uint64_t a = adler & 0xffff, b = adler >> 16;
    uint64_t n = size % ADLER_MODULUS;
    /* n (n + 1) / 2 for the true size: it is periodic only in twice the modulus. */
    uint64_t m = size % (2 * ADLER_MODULUS);
    uint64_t triangle = m * (m + 1) / 2 % ADLER_MODULUS;

    b = (b + n * a + triangle * byte) % ADLER_MODULUS;
    a = (a + n * byte) % ADLER_MODULUS;
    return (uint32_t) (b << 16 | a);
}

void
bf_stored_repeat(bf_stored *self, uint8_t byte, uint64_t size)
{
    self->adler = adler_of_repeated(self->adler, byte, size);
    while (size > 0) {
        uint64_t n = size < self->block_left ? size : self->block_left;

        memset(self->out, byte, n);
        advance(self, n);
        size -= n;
    }
}

uint8_t *
bf_stored_reserve(bf_stored *self, uint64_t size)
{
    return size <= self->block_left ? self->out : NULL;
}

void
bf_stored_commit(bf_stored *self, uint64_t size)
{
    self->adler = libdeflate_adler32(self->adler, self->out, size);
    advance(self, size);
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
