/* PLINK 1 .bed records.
 *
 * Specification: https://www.cog-genomics.org/plink/1.9/formats#bed. Two bits a
 * sample, low bits first: 0 homozygous A1 (ALT), 1 missing, 2 heterozygous,
 * 3 homozygous A2 (REF); bits after the last sample are zero. */
#ifndef BF_PLINK1_H
#define BF_PLINK1_H

#include "rows.h"

/* A bf_encode_record; encoder is unused. A haploid call is shown as homozygous,
 * a half-missing one as missing. A row with an allele index above 1 is
 * BF_ERR_ALLELE. */
bf_status bf_plink1_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
