/* BGEN variant data blocks: layout 2, zlib, biallelic, first allele REF.
 *
 * Specification: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html. The
 * genotype data are a zlib stream of stored blocks, padded to the size that a
 * variant takes of which no call is haploid (or, in a store of ploidy 1, all
 * are), so that a record's size follows from its strings alone. */
#ifndef BF_BGEN_H
#define BF_BGEN_H

#include "call_values.h"

/* offsets: where each record begins in the file, num_records + 1 of them. heads: what
 * precedes each record's genotype data (its C field), one after another. */
typedef struct {
    bf_call_field field;
    unsigned bits;          /* a probability: 8 or 16 */
    int haploid_as_diploid; /* show haploid calls as homozygous diploid */
    const uint8_t *heads;
    uint64_t heads_size;
    const uint64_t *offsets;
    uint64_t num_records;
} bf_bgen;

/* Bytes of a record from its C field on, with num_samples in a store of this ploidy. */
uint64_t bf_bgen_data_size(const bf_bgen *self, uint32_t num_samples, uint32_t ploidy);

/* A bf_encode_record; encoder is a bf_bgen. A half-missing call is shown as missing. A row
 * is phased if it has a phased plane and all of its calls are. BF_ERR_ALLELE: an allele
 * index above 1, or values that are no probabilities or dosages. */
bf_status bf_bgen_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

#endif
