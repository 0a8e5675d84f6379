#include "plink1.h"

#include "two_bit.h"

static inline uint64_t
bed_codes(bf_calls32 calls)
{
    uint64_t any = calls.first | calls.second;
    uint64_t both = calls.first & calls.second;
    uint64_t low = (~any & BF_EVEN & ~calls.missing) | calls.missing;
    uint64_t high = ~both & BF_EVEN & ~calls.missing;

    return low | high << 1;
}

BF_CLONES static void
encode_diploid(
    const uint8_t *restrict low, const uint8_t *restrict sign, uint8_t *restrict out, uint64_t words)
{
    bf_two_bit_words(low, sign, out, words, bed_codes);
}

/* The same where no call is missing or haploid. */
BF_CLONES static void
encode_present(const uint8_t *restrict low, uint8_t *restrict out, uint64_t words)
{
    bf_two_bit_words(low, NULL, out, words, bed_codes);
}

bf_status
bf_plink1_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const uint8_t *low = row->planes->plane[BF_LOW_PLANE];
    const uint8_t *sign = row->planes->plane[BF_SIGN_PLANE];
    uint64_t words = row->ploidy == 2 ? size / 8 : 0;

    (void) encoder;
    (void) record;
    if (size != ((uint64_t) row->num_samples + 3) / 4 || row->ploidy > 2) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    if (row->wide) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a call has an allele that PLINK 1 cannot show, other than the site's two");
    }
    if (row->planes->no_sign) {
        encode_present(low, out, words);
    } else {
        encode_diploid(low, sign, out, words);
    }
    bf_two_bit_rest(row, out, 8 * words, size, bed_codes);
    return BF_OK;
}
