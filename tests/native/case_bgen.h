/* BGEN records, checked against a naive encoder one call at a time. */
#ifndef BF_TEST_CASE_BGEN_H
#define BF_TEST_CASE_BGEN_H

#include "bgen.h"

/* How a record is made, and what its calls are. */
typedef struct {
    bf_call_field field;
    unsigned bits;
    int haploid_as_diploid, phased;
    uint32_t num_samples, ploidy;
    const int8_t *alleles;
    const float *values; /* num_values a sample */
    uint32_t num_values;
} bgen_case;

/* Encode row `number` of rows, whose alleles the case has too. Ends the process if the record,
 * as libdeflate inflates it, is not what the specification asks for, or if what cannot be shown
 * is, or the other way round. */
void case_check_bgen(bf_rows *rows, uint32_t number, const bgen_case *c);

#endif
