/* Fuzz target: one bit-shuffled block, decompressed by the kernel, which leaves the constant
 * end of a zstd frame undecoded, and by zstd alone.
 *
 * The input is the block as it is stored; its raw size is the content size of a zstd frame of
 * the kind that is split. What the kernel gives must be what zstd gives, error or bytes. */
#include <stdlib.h>

#include "case.h"
#include "frame.h"

enum { OVERHEAD = BF_FRAME_HEADER_SIZE + 8, MAX_RAW = 1 << 20 };

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static void
put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (x >> 8 * i);
    }
}

/* A Blosc frame of this one block. */
static uint8_t *
wrap(const uint8_t *data, size_t size, uint32_t raw)
{
    uint8_t *frame = malloc(OVERHEAD + size);
    static const uint8_t head[4] = { 2, 1, 0x94, 1 };

    memcpy(frame, head, 4);
    put_u32(frame + 4, raw);
    put_u32(frame + 8, raw);
    put_u32(frame + 12, (uint32_t) (OVERHEAD + size));
    put_u32(frame + 16, BF_FRAME_HEADER_SIZE + 4);
    put_u32(frame + 20, (uint32_t) size);
    memcpy(frame + OVERHEAD, data, size);
    return frame;
}

static void
compare(const bf_block *block, const uint8_t *expected)
{
    if (block->filled > block->size || block->filled % (block->size / 8) != 0) {
        case_fail("a block is filled up to no plane's end");
    }
    if (memcmp(block->bytes, expected, block->filled) != 0) {
        case_fail("a block differs from what zstd makes of it");
    }
    for (uint32_t i = block->filled; i < block->size; i++) {
        if (expected[i] != block->tail) {
            case_fail("a block's tail differs from what zstd makes of it");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t raw = size < 9 ? 0 : get_u32(data + 5);
    uint8_t *bytes, *expected, *scratch;
    ZSTD_DCtx *dctx;
    bf_frame frame;
    bf_block block;
    bf_error err;
    bf_status status;
    size_t got;

    if (raw == 0 || raw > MAX_RAW || raw % 8 != 0 || raw == size) {
        return 0;
    }
    bytes = wrap(data, size, raw);
    expected = malloc(raw);
    scratch = malloc(2 * (size_t) raw);
    dctx = ZSTD_createDCtx();
    if (bf_frame_parse_header(bytes, OVERHEAD, raw, OVERHEAD + size, 1, &frame.header, &err)
        != BF_OK) {
        case_fail("the target's own header is refused");
    }
    frame.offsets = bytes + BF_FRAME_HEADER_SIZE;
    frame.span = bytes;
    frame.span_start = 0;
    frame.span_size = OVERHEAD + size;
    got = ZSTD_decompressDCtx(dctx, expected, raw, data, size);
    status = bf_frame_read_block(&frame, 0, dctx, scratch, &block, &err);
    if ((status == BF_OK) != (got == raw)) {
        case_fail("the kernel and zstd disagree on whether a block is sound");
    }
    if (status == BF_OK) {
        compare(&block, expected);
    }
    ZSTD_freeDCtx(dctx);
    free(scratch);
    free(expected);
    free(bytes);
    return 0;
}
