/* Fuzz target: rows of any frame, in a geometry that its first bytes choose.
 *
 * Eight bytes of geometry, then the frame. The sizes in the frame's header are made to agree
 * with the geometry if the last of those bytes says so, so that what lies behind them
 * is reached. Beside crashes, case_check's comparisons must hold. */
#include <stdlib.h>

#include "case.h"

static void
put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (x >> 8 * i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    case_geometry g;
    uint8_t *frame;

    if (size < 8) {
        return 0;
    }
    g.chunk_rows = 1 + data[0] % 32;
    g.chunk_samples = (1 + data[1]) * (data[2] & 0x80 ? 64 : 1);
    g.ploidy = 1 + (data[2] & 0x7f) % 3;
    g.num_samples = 1 + data[3] * (g.chunk_samples - 1) / 255;
    g.copies = 1 + data[4] % 2;
    g.constant = data[4] / 2 % g.chunk_samples;
    g.first_row = data[5] % g.chunk_rows;
    g.last_row = g.first_row + data[6] % 4;
    if (g.last_row >= g.chunk_rows) {
        g.last_row = g.chunk_rows - 1;
    }
    g.gather = data[7] % GATHER_KINDS;
    g.frame_size = (uint32_t) (size - 8);
    frame = case_copy(data + 8, g.frame_size);
    if (data[7] & 0x80 && g.frame_size >= BF_FRAME_HEADER_SIZE) {
        put_u32(frame + 4, g.chunk_rows * g.chunk_samples * g.ploidy);
        put_u32(frame + 12, g.frame_size);
    }
    case_check(&g, frame);
    free(frame);
    return 0;
}
