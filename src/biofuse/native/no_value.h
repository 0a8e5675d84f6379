/* What stands in a store for a value that is missing, and for none: behind all others, so that
 * there are fewer. */
#ifndef BF_NO_VALUE_H
#define BF_NO_VALUE_H

#include <stdint.h>
#include <string.h>

#define BF_MISSING_INT (-1)
#define BF_NO_INT (-2)
/* The bits of floats, as BCF has them too. Any other NaN is missing. */
#define BF_MISSING_FLOAT 0x7f800001U
#define BF_NO_FLOAT 0x7f800002U

static inline uint32_t
bf_float_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Whether the float of these bits is none. */
static inline int
bf_is_nan(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

/* The bits of a float with one NaN for all that are missing. */
static inline uint32_t
bf_one_nan(uint32_t bits)
{
    return bf_is_nan(bits) && bits != BF_NO_FLOAT ? BF_MISSING_FLOAT : bits;
}

#endif
