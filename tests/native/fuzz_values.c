/* Fuzz target: rows of values of any frame, in a geometry that its first bytes choose.
 *
 * Eight bytes of geometry, then the frame. The sizes in the frame's header are made to agree
 * with the geometry if the last of those bytes says so. */
#include <stdlib.h>

#include "case_values.h"

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
    values_geometry g;
    uint8_t *frame;

    if (size < 8) {
        return 0;
    }
    g.chunk_rows = 1 + data[0] % 32;
    g.row_values = (1 + data[1]) * (data[2] & 0x80 ? 64 : 1);
    g.num_values = 1 + data[3] * (g.row_values - 1) / 255;
    g.first_row = data[4] % g.chunk_rows;
    g.last_row = g.first_row + data[5] % 4;
    if (g.last_row >= g.chunk_rows) {
        g.last_row = g.chunk_rows - 1;
    }
    g.frame_size = (uint32_t) (size - 8);
    frame = case_copy(data + 8, g.frame_size);
    if (data[7] & 0x80 && g.frame_size >= BF_FRAME_HEADER_SIZE) {
        put_u32(frame + 4, g.chunk_rows * g.row_values * 4);
        put_u32(frame + 12, g.frame_size);
    }
    case_check_values(&g, frame);
    free(frame);
    return 0;
}
