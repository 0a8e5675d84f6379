/* How often each allele occurs in rows of genotypes. */
#ifndef BF_COUNT_H
#define BF_COUNT_H

#include "rows.h"

/* Numbers a row, after those of its alleles. */
enum {
    BF_COUNT_MISSING = 0, /* samples with a missing allele in their call */
    BF_COUNT_OTHER = 1,   /* alleles beyond num_alleles, or values below -2 */
    BF_COUNT_MORE = 2,
};

/* Count alleles 0 to num_alleles - 1 of num_rows rows, and the above:
 * num_rows x (num_alleles + BF_COUNT_MORE) numbers. */
bf_status bf_rows_count(bf_rows *self, const uint32_t *rows, uint64_t num_rows,
    uint32_t num_alleles, uint64_t *counts, bf_error *err);

#endif
