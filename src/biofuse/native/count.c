#include "count.h"

#define EVEN 0x5555555555555555ULL

typedef struct {
    uint64_t alternative; /* the low bit set, no sign: allele 1 if the row is not wide */
    uint64_t absent;      /* the sign set: missing or fill */
    uint64_t pairs;       /* of two neighbouring alleles, those with a missing one */
    uint64_t missing;     /* alleles that are missing */
} narrow_counts;

/* Rows are zero after their last bit, so whole words are counted. */
BF_CLONES static void
count_narrow(const uint8_t *restrict low, const uint8_t *restrict sign, uint64_t words,
    narrow_counts *out)
{
    narrow_counts counts = { 0 };

    for (uint64_t i = 0; i < words; i++) {
        uint64_t bits = bf_load64(low + 8 * i);
        uint64_t negative = bf_load64(sign + 8 * i);
        uint64_t missing = bits & negative;

        counts.alternative += (uint64_t) __builtin_popcountll(bits & ~negative);
        counts.absent += (uint64_t) __builtin_popcountll(negative);
        counts.missing += (uint64_t) __builtin_popcountll(missing);
        counts.pairs += (uint64_t) __builtin_popcountll((missing | missing >> 1) & EVEN);
    }
    *out = counts;
}

/* Which of 64 alleles have this value. */
static inline uint64_t
equal_to(const bf_planes *planes, uint64_t word, uint8_t value)
{
    uint64_t equal = UINT64_MAX;

    for (int k = 0; k < BF_NUM_PLANES; k++) {
        uint64_t bits = bf_load64(bf_plane(planes, k) + 8 * word);

        equal &= value >> k & 1 ? bits : ~bits;
    }
    return equal;
}

/* How many of the row's n alleles have this value. */
static uint64_t
count_value(const bf_planes *planes, uint64_t n, uint8_t value)
{
    uint64_t found = 0;

    for (uint64_t i = 0; i < (n + 63) / 64; i++) {
        uint64_t left = n - 64 * i;
        uint64_t equal = equal_to(planes, i, value) & bf_low_mask(left > 64 ? 64 : (unsigned) left);

        found += (uint64_t) __builtin_popcountll(equal);
    }
    return found;
}

static int
is_missing(const bf_row *row, uint64_t bit)
{
    const bf_planes *planes = row->planes;
    int set = 1;

    for (int k = 0; k < BF_NUM_PLANES; k++) {
        set &= bf_plane(planes, k)[bit / 8] >> bit % 8 & 1;
    }
    return set;
}

/* Samples with a missing allele, one by one: for any ploidy, and for wide rows. */
static uint64_t
count_incomplete(const bf_row *row)
{
    uint64_t found = 0;

    for (uint64_t s = 0; s < row->num_samples; s++) {
        for (uint32_t i = 0; i < row->ploidy; i++) {
            if (is_missing(row, s * row->ploidy + i)) {
                found++;
                break;
            }
        }
    }
    return found;
}

static void
count_row(const bf_row *row, uint32_t num_alleles, uint64_t *counts)
{
    const bf_planes *planes = row->planes;
    uint64_t *more = counts + num_alleles;
    uint64_t n = (uint64_t) row->num_samples * row->ploidy;
    narrow_counts narrow;

    memset(counts, 0, (num_alleles + (size_t) BF_COUNT_MORE) * sizeof(*counts));
    if (row->wide) {
        uint64_t counted = count_value(planes, n, 0xff);

        more[BF_COUNT_MISSING] = counted == 0 ? 0 : count_incomplete(row);
        counted += count_value(planes, n, 0xfe);
        for (uint32_t k = 0; k < num_alleles && k < 128; k++) {
            counts[k] = count_value(planes, n, (uint8_t) k);
            counted += counts[k];
        }
        more[BF_COUNT_OTHER] = n - counted;
        return;
    }
    count_narrow(
        planes->plane[BF_LOW_PLANE], planes->plane[BF_SIGN_PLANE], (n + 63) / 64, &narrow);
    *(num_alleles > 0 ? &counts[0] : &more[BF_COUNT_OTHER])
        += n - narrow.absent - narrow.alternative;
    *(num_alleles > 1 ? &counts[1] : &more[BF_COUNT_OTHER]) += narrow.alternative;
    if (row->ploidy == 1) {
        more[BF_COUNT_MISSING] = narrow.missing;
    } else if (row->ploidy == 2) {
        more[BF_COUNT_MISSING] = narrow.pairs;
    } else {
        more[BF_COUNT_MISSING] = narrow.missing == 0 ? 0 : count_incomplete(row);
    }
}

bf_status
bf_rows_count(bf_rows *self, const uint32_t *rows, uint64_t num_rows, uint32_t num_alleles,
    uint64_t *counts, bf_error *err)
{
    bf_row row;

    for (uint64_t i = 0; i < num_rows; i++) {
        if (bf_rows_read(self, rows[i], &row, err) != BF_OK) {
            return err->status;
        }
        count_row(&row, num_alleles, counts + i * (num_alleles + (uint64_t) BF_COUNT_MORE));
    }
    return BF_OK;
}
