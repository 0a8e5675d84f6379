/* Records that show one ALT of a site of several, as if it had no other: what bcftools norm -m -any
 * makes of it. */
#ifndef BF_SPLIT_H
#define BF_SPLIT_H

#include "rows.h"

/* What a record shows: which ALT, from 1, of a site of so many alleles; 0: the site as it is. */
typedef struct {
    uint16_t number, num_alleles;
} bf_split_alt;

/* An encoder of records that another one makes of what it is shown. */
typedef struct {
    const bf_split_alt *alts; /* of each record */
    uint64_t num_records;
    int others_missing;       /* other ALTs are shown as missing; else as REF */
    bf_encode_record encode;
    const void *encoder;
} bf_split;

/* A bf_encode_record. Beside what its encoder refuses, BF_ERR_ALLELE, with the sample: an allele
 * that the site does not have. */
bf_status bf_split_encode(const void *self, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
