#include "case_count.h"

#include <stdlib.h>

static void
count_naively(const int8_t *alleles, uint32_t num_samples, uint32_t ploidy, uint32_t num_alleles,
    uint64_t *counts)
{
    for (uint32_t s = 0; s < num_samples; s++) {
        int missing = 0;

        for (uint32_t i = 0; i < ploidy; i++) {
            int allele = alleles[(uint64_t) s * ploidy + i];

            missing |= allele == -1;
            if (allele >= 0 && (uint32_t) allele < num_alleles) {
                counts[allele]++;
            } else if (allele != -1 && allele != -2) {
                counts[num_alleles + BF_COUNT_OTHER]++;
            }
        }
        counts[num_alleles + BF_COUNT_MISSING] += (uint64_t) missing;
    }
}

void
case_check_counts(
    bf_rows *rows, uint32_t number, const int8_t *alleles, uint32_t num_samples, uint32_t ploidy)
{
    static const uint32_t sizes[] = { 0, 1, 2, 3, 128, 300 };

    for (unsigned k = number % 2; k < sizeof(sizes) / sizeof(*sizes); k += 2) {
        uint64_t size = (sizes[k] + (uint64_t) BF_COUNT_MORE) * sizeof(uint64_t);
        uint64_t *expected = calloc(1, size), *counts = malloc(size);
        bf_error err = { .status = BF_OK };

        memset(counts, 0xee, size);
        count_naively(alleles, num_samples, ploidy, sizes[k], expected);
        if (bf_rows_count(rows, &number, 1, sizes[k], counts, &err) != BF_OK) {
            case_fail("a row that can be read cannot be counted");
        }
        if (memcmp(counts, expected, size) != 0) {
            case_fail("counts differ from the naive counter's");
        }
        free(expected);
        free(counts);
    }
}
