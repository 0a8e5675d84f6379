/* How BCF says of what type values are, and how many. */
#ifndef BF_BCF_TYPES_H
#define BF_BCF_TYPES_H

#include <stdint.h>

enum {
    BF_BCF_NULL = 0,
    BF_BCF_INT8 = 1,
    BF_BCF_INT16 = 2,
    BF_BCF_INT32 = 3,
    BF_BCF_FLOAT32 = 5,
    BF_BCF_CHAR = 7,
};

/* The lowest numbers of each type that stand for themselves. */
#define BF_BCF_MIN_INT8 (-120)
#define BF_BCF_MIN_INT16 (-32760)
#define BF_BCF_MIN_INT32 (-2147483640)

/* Most bytes of a type and its count. */
#define BF_BCF_TYPE_ROOM 6

/* Write a type and how many values there are, up to 2^31 - 1; returns the bytes. */
static inline unsigned
bf_bcf_put_type(uint8_t *out, uint32_t count, unsigned type)
{
    unsigned width = count <= INT8_MAX ? 1 : count <= INT16_MAX ? 2 : 4;

    if (count < 15) {
        out[0] = (uint8_t) (count << 4 | type);
        return 1;
    }
    out[0] = (uint8_t) (15 << 4 | type);
    out[1] = (uint8_t) (1 << 4 | (width == 4 ? BF_BCF_INT32 : width));
    for (unsigned i = 0; i < width; i++) {
        out[2 + i] = (uint8_t) (count >> 8 * i);
    }
    return 2 + width;
}

#endif
