/* Records of two bits a sample, low bits first, from the planes of a row.
 *
 * A haploid call is shown as homozygous, a half-missing one as missing. Which code a call has
 * is the format's. */
#ifndef BF_TWO_BIT_H
#define BF_TWO_BIT_H

#include "rows.h"

#define BF_EVEN 0x5555555555555555ULL

/* 32 samples, each in the even bits: whether each of a call's alleles is ALT, of a haploid call
 * both, and whether it is shown as missing. What first and second are of a missing call is
 * arbitrary. */
typedef struct {
    uint64_t first, second, missing;
} bf_calls32;

/* A format's codes of 32 samples, two bits each. */
typedef uint64_t (*bf_two_bit_codes)(bf_calls32 calls);

static inline __attribute__((always_inline)) bf_calls32
bf_diploid_calls(uint64_t low, uint64_t sign)
{
    uint64_t first = low & BF_EVEN;
    uint64_t second = low >> 1 & BF_EVEN;
    uint64_t second_absent = sign >> 1 & BF_EVEN;
    uint64_t haploid = second_absent & ~second;

    return (bf_calls32){ first, (second & ~haploid) | (first & haploid),
        (sign & BF_EVEN) | (second_absent & ~haploid) };
}

/* Bit i of the low half of x to bit 2 i. */
static inline uint64_t
bf_spread(uint64_t x)
{
    x &= 0xffffffff;
    x = (x | x << 16) & 0x0000ffff0000ffffULL;
    x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fULL;
    x = (x | x << 2) & 0x3333333333333333ULL;
    return (x | x << 1) & BF_EVEN;
}

static inline bf_calls32
bf_haploid_calls(const uint8_t *low, const uint8_t *sign, uint64_t first)
{
    uint64_t allele = bf_spread(bf_get64(low, first));

    return (bf_calls32){ allele, allele, bf_spread(bf_get64(sign, first)) };
}

/* Whole words of diploid calls; sign: NULL where no call is missing or haploid. */
static inline __attribute__((always_inline)) void
bf_two_bit_words(const uint8_t *restrict low, const uint8_t *restrict sign, uint8_t *restrict out,
    uint64_t words, bf_two_bit_codes codes)
{
    for (uint64_t i = 0; i < words; i++) {
        uint64_t absent = sign == NULL ? 0 : bf_load64(sign + 8 * i);

        bf_store64(out + 8 * i, codes(bf_diploid_calls(bf_load64(low + 8 * i), absent)));
    }
}

/* What is left of a record once its first bytes, of whole words, are written. */
static inline void
bf_two_bit_rest(
    const bf_row *row, uint8_t *out, uint64_t written, uint64_t size, bf_two_bit_codes codes)
{
    const uint8_t *low = row->planes->plane[BF_LOW_PLANE];
    const uint8_t *sign = row->planes->plane[BF_SIGN_PLANE];

    for (uint64_t i = written; i < size; i += 8) {
        uint64_t left = size - i < 8 ? size - i : 8;
        uint64_t code = codes(row->ploidy == 2
                ? bf_diploid_calls(bf_load64(low + i), bf_load64(sign + i))
                : bf_haploid_calls(low, sign, 4 * i));

        if (left == 8) {
            bf_store64(out + i, code);
            continue;
        }
        for (uint64_t k = 0; k < left; k++) {
            out[i + k] = (uint8_t) (code >> 8 * k);
        }
    }
    if (row->num_samples % 4 != 0) {
        out[size - 1] &= (uint8_t) bf_low_mask(2 * (row->num_samples % 4));
    }
}

#endif
