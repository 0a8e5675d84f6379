#include "known_alleles.h"

/* Alleles 64 w and on: which are values below -2, and which are above the last one of the site. */
static inline uint64_t
find_unknown(const bf_planes *planes, unsigned last, uint64_t w, uint64_t *below)
{
    uint64_t negative = bf_load64(planes->plane[BF_SIGN_PLANE] + 8 * w), beyond = 0;
    uint64_t same = last >> planes->depth != 0 ? 0 : UINT64_MAX;

    *below = 0;
    for (int k = planes->depth - 1; k >= 0; k--) {
        uint64_t bits = bf_load64(planes->plane[k] + 8 * w);

        *below |= k != BF_LOW_PLANE ? negative & ~bits : 0;
        if (last >> k & 1) {
            same &= bits;
        } else {
            beyond |= same & bits;
            same &= ~bits;
        }
    }
    return beyond & ~negative;
}

BF_CLONES static int
any_unknown(const bf_planes *planes, unsigned last, uint64_t words)
{
    uint64_t found = 0;

    for (uint64_t w = 0; w < words; w++) {
        uint64_t below, beyond = find_unknown(planes, last, w, &below);

        found |= beyond | below;
    }
    return found != 0;
}

bf_status
bf_known_alleles(const bf_row *row, unsigned num_alleles, bf_error *err)
{
    uint64_t words = ((uint64_t) row->num_samples * row->ploidy + 63) / 64, w = 0;
    uint64_t below = 0, beyond = 0, found;
    unsigned last = num_alleles > 0 ? num_alleles - 1 : 0, bit = 0;

    if ((!row->wide && last > 0) || !any_unknown(row->planes, last, words)) {
        return BF_OK;
    }
    for (; w < words && (below | beyond) == 0; w++) {
        beyond = find_unknown(row->planes, last, w, &below);
    }
    for (found = below | beyond; (found >> bit & 1) == 0; bit++) {
    }
    err->sample = (int64_t) ((64 * (w - 1) + bit) / row->ploidy);
    return bf_fail(err, BF_ERR_ALLELE,
        below >> bit & 1 ? "a call has a value below -2, or an allele above 127, which no file has"
                         : "a call has an allele that the site does not have");
}
