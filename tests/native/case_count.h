/* Counts of a row's alleles, compared with a naive counter's. */
#ifndef BF_TEST_CASE_COUNT_H
#define BF_TEST_CASE_COUNT_H

#include "case.h"
#include "count.h"

/* Count row `number`, whose alleles are given, with every number of alleles up to a few. Ends
 * the process if a count is another one than it should be. */
void case_check_counts(bf_rows *rows, uint32_t number, const int8_t *alleles,
    uint32_t num_samples, uint32_t ploidy);

#endif
