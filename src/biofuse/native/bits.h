/* Operations on bit arrays: least significant bit of the first byte first.
 *
 * Loads and stores go through 64-bit words and may touch up to BF_BITS_PAD
 * bytes past the last bit, so every bit array that is read here has that many
 * spare bytes behind it. */
#ifndef BF_BITS_H
#define BF_BITS_H

#include <stdint.h>
#include <string.h>

#define BF_BITS_PAD 16

/* Compile a function for wider vectors too; the loader picks what the machine has. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)      \
    && !defined(__SANITIZE_ADDRESS__) && !defined(BF_NO_DISPATCH)
#define BF_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BF_CLONES
#endif

/* Little-endian numbers, anywhere in memory. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BF_LITTLE16(x) __builtin_bswap16(x)
#define BF_LITTLE32(x) __builtin_bswap32(x)
#define BF_LITTLE64(x) __builtin_bswap64(x)
#else
#define BF_LITTLE16(x) (x)
#define BF_LITTLE32(x) (x)
#define BF_LITTLE64(x) (x)
#endif

static inline uint16_t
bf_load16(const uint8_t *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof(x));
    return BF_LITTLE16(x);
}

static inline uint32_t
bf_load32(const uint8_t *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return BF_LITTLE32(x);
}

static inline uint64_t
bf_load64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return BF_LITTLE64(x);
}

static inline void
bf_store16(uint8_t *p, uint16_t x)
{
    x = BF_LITTLE16(x);
    memcpy(p, &x, sizeof(x));
}

static inline void
bf_store32(uint8_t *p, uint32_t x)
{
    x = BF_LITTLE32(x);
    memcpy(p, &x, sizeof(x));
}

static inline void
bf_store64(uint8_t *p, uint64_t x)
{
    x = BF_LITTLE64(x);
    memcpy(p, &x, sizeof(x));
}

static inline uint64_t
bf_low_mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : ((uint64_t) 1 << n) - 1;
}

/* 64 bits from any bit position. */
static inline uint64_t
bf_get64(const uint8_t *src, uint64_t bit)
{
    const uint8_t *p = src + bit / 8;
    unsigned shift = bit % 8;
    uint64_t x = bf_load64(p) >> shift;

    return shift == 0 ? x : x | (uint64_t) p[8] << (64 - shift);
}

/* Bytes that n bits take. */
static inline uint64_t
bf_bytes(uint64_t n)
{
    return (n + 7) / 8;
}

/* Copy n bits from src at src_bit to dst at dst_bit. Bits of dst before dst_bit
 * are kept; bits after the last one copied, up to the end of the last word
 * written, become zero or garbage, so runs are written in ascending order. */
void bf_copy_bits(
    uint8_t *dst, uint64_t dst_bit, const uint8_t *src, uint64_t src_bit, uint64_t n);

#endif
