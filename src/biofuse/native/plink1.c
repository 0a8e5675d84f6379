#include "plink1.h"

#define EVEN 0x5555555555555555ULL

/* Codes of 32 samples. first, second: the low bits of both alleles; missing: the
 * call has no shown genotype; each in the even bits. */
static inline uint64_t
bed_codes(uint64_t first, uint64_t second, uint64_t missing)
{
    uint64_t any = first | second;
    uint64_t both = first & second;
    uint64_t low = (~any & EVEN & ~missing) | missing;
    uint64_t high = ~both & EVEN & ~missing;

    return low | high << 1;
}

static inline uint64_t
diploid_codes(uint64_t low, uint64_t sign)
{
    uint64_t first = low & EVEN;
    uint64_t second = low >> 1 & EVEN;
    uint64_t first_absent = sign & EVEN;
    uint64_t second_absent = sign >> 1 & EVEN;
    uint64_t haploid = second_absent & ~second;

    second = (second & ~haploid) | (first & haploid);
    return bed_codes(first, second, first_absent | (second_absent & ~haploid));
}

/* Bit i of the low half of x to bit 2 i. */
static inline uint64_t
spread(uint64_t x)
{
    x &= 0xffffffff;
    x = (x | x << 16) & 0x0000ffff0000ffffULL;
    x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fULL;
    x = (x | x << 2) & 0x3333333333333333ULL;
    return (x | x << 1) & EVEN;
}

static inline uint64_t
haploid_codes(uint64_t low, uint64_t sign)
{
    uint64_t allele = spread(low);

    return bed_codes(allele, allele, spread(sign));
}

BF_CLONES static void
encode_diploid(
    const uint8_t *restrict low, const uint8_t *restrict sign, uint8_t *restrict out, uint64_t words)
{
    for (uint64_t i = 0; i < words; i++) {
        bf_store64(out + 8 * i, diploid_codes(bf_load64(low + 8 * i), bf_load64(sign + 8 * i)));
    }
}

/* The same where no call is missing or haploid. */
BF_CLONES static void
encode_present(const uint8_t *restrict low, uint8_t *restrict out, uint64_t words)
{
    for (uint64_t i = 0; i < words; i++) {
        bf_store64(out + 8 * i, diploid_codes(bf_load64(low + 8 * i), 0));
    }
}

bf_status
bf_plink1_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const uint8_t *low = row->planes->plane[BF_LOW_PLANE];
    const uint8_t *sign = row->planes->plane[BF_SIGN_PLANE];
    uint64_t i, left;
    uint64_t code;

    (void) encoder;
    (void) record;
    if (size != ((uint64_t) row->num_samples + 3) / 4 || row->ploidy > 2) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    if (row->wide) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a call has an allele that PLINK 1 cannot show, other than the site's two");
    }
    if (row->ploidy == 2) {
        i = size / 8 * 8;
        if (row->planes->no_sign) {
            encode_present(low, out, size / 8);
        } else {
            encode_diploid(low, sign, out, size / 8);
        }
        code = i < size ? diploid_codes(bf_load64(low + i), bf_load64(sign + i)) : 0;
    } else {
        for (i = 0; i + 8 <= size; i += 8) {
            bf_store64(out + i, haploid_codes(bf_get64(low, 4 * i), bf_get64(sign, 4 * i)));
        }
        code = i < size ? haploid_codes(bf_get64(low, 4 * i), bf_get64(sign, 4 * i)) : 0;
    }
    for (left = size - i; left > 0; left--, i++, code >>= 8) {
        out[i] = (uint8_t) code;
    }
    if (row->num_samples % 4 != 0) {
        out[size - 1] &= (uint8_t) bf_low_mask(2 * (row->num_samples % 4));
    }
    return BF_OK;
}
