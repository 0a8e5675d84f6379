/* PLINK 2 .pgen records of one size.
 *
 * Specification: https://github.com/chrchang/plink-ng/tree/master/pgen_spec. Hard calls are two
 * bits a sample, low bits first: 0 homozygous REF, 1 heterozygous, 2 homozygous ALT, 3 missing;
 * bits after the last sample are zero. Where dosages are shown, 16 bits a sample follow,
 * little-endian: 16384ths of an ALT allele, or 65535 where it is missing. plink2 leaves those out of
 * its frequencies, whatever the hard call is. */
#ifndef BF_PLINK2_H
#define BF_PLINK2_H

#include "call_values.h"

/* calls: whether the store has hard calls; if not, a call without a dosage is missing. */
typedef struct {
    bf_call_field field;
    int calls;
} bf_plink2;

/* Bytes of a record. */
uint64_t bf_plink2_record_size(const bf_plink2 *self, uint32_t num_samples);

/* A bf_encode_record; encoder is a bf_plink2. A haploid call is shown as homozygous, a
 * half-missing one as missing, and the dosage of a haploid call is doubled. As plink2 imports
 * them: the hard call of a dosage is the nearest one, or missing if that is more than a tenth of
 * an allele away; a call without a dosage has that of its alleles, one of which all
 * probabilities are 0 is missing. Of a variant of which all dosages are 0, or all are 2, one is
 * shown a 16384th off: plink2 takes none of such for relationships. BF_ERR_ALLELE: an allele index
 * above 1, or values that are no probabilities or dosages. */
bf_status bf_plink2_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
