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

typedef enum { NOT_SHOWN, SHOWN, EITHER } verdict;

typedef struct {
    int missing; /* 2: all probabilities are 0 */
    int haploid;
    double p[3]; /* of copies of ALT; if phased, of REF in each haplotype */
} naive_call;

/* What a sample's call is, one value at a time, and whether it can be shown. */
verdict case_naive_call(const bgen_case *c, uint32_t sample, naive_call *out);

/* Encode row `number` of rows, whose alleles the case has too. Ends the process if the record,
 * as libdeflate inflates it, is not what the specification asks for, or if what cannot be shown
 * is, or the other way round. */
void case_check_bgen(bf_rows *rows, uint32_t number, const bgen_case *c);

#endif
