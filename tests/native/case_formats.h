/* Fields of FORMAT in BCF records, against a naive encoder's, and an index of the records. */
#ifndef BF_TEST_CASE_FORMATS_H
#define BF_TEST_CASE_FORMATS_H

#include <stdint.h>

#include "csi.h"

typedef struct {
    char code, per;
    uint32_t num_values, num_samples, num_alleles, ploidy;
    const uint8_t *values; /* num_samples x num_values elements of the code's size */
} format_case;

/* Each ends the process if something is not what it must be. */
void case_check_format(const format_case *c);

/* Sites in any order: those that an index can have are found by what readers do with it. */
void case_check_csi(const bf_csi_sites *sites);

#endif
