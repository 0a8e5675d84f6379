/* Records that show one ALT of a site of several, as if it had no other: what bcftools norm -m -any
 * makes of it. */
#ifndef BF_SPLIT_H
#define BF_SPLIT_H

#include "rows.h"

/* An encoder of records that another one makes of what it is shown. */
typedef struct {
    const uint16_t *alts; /* of each record, which ALT it shows, from 1; 0: the site as it is */
    uint64_t num_records;
    int others_missing;   /* other ALTs are shown as missing; else as REF */
    bf_encode_record encode;
    const void *encoder;
} bf_split;

/* A bf_encode_record. */
bf_status bf_split_encode(const void *self, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
