/* BCF records, checked against a naive encoder one allele at a time. */
#ifndef BF_TEST_CASE_BCF_H
#define BF_TEST_CASE_BCF_H

#include "bcf.h"

/* Encode row `number` of rows, with these alleles, in `width` bytes each, at a site of so many
 * alleles. Ends the process if the record is not what the specification asks for, or if what
 * cannot be shown is, or the other way round. */
void case_check_bcf(bf_rows *rows, uint32_t number, const int8_t *alleles, uint32_t num_samples,
    uint32_t ploidy, unsigned width, uint32_t num_alleles, int phased);

#endif
