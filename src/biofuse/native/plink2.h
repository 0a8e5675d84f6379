/* PLINK 2 .pgen records of one size.
 *
 * Specification: https://github.com/chrchang/plink-ng/tree/master/pgen_spec. Hard calls are two
 * bits a sample, low bits first: 0 homozygous REF, 1 heterozygous, 2 homozygous ALT, 3 missing;
 * bits after the last sample are zero. Where dosages are shown, a bit a sample follows, low bits
 * first: whether its dosage is stored, which it is if it is another than that of the hard call. Then
 * come these, 16 bits each, little-endian: 16384ths of an ALT allele. The rest of the record, which
 * has room for a dosage of every sample, is zeros. plink2 stores dosages in the same way; if those
 * of whole alleles are stored too, it takes none of a variant without variation for relationships,
 * and aborts where it exports haploid ones as VCF. */
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
 * probabilities are 0 is missing. BF_ERR_ALLELE: an allele index above 1, or values that are no
 * probabilities or dosages. */
bf_status bf_plink2_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
