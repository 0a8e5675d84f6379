/* What precedes genotype data in the BGEN records of variants of two alleles. */
#ifndef BF_BGEN_HEADS_H
#define BF_BGEN_HEADS_H

#include "texts.h"

/* Columns of one length. */
typedef struct {
    bf_texts varid, rsid, chrom, allele1, allele2;
    const int64_t *positions;
} bf_bgen_heads;

/* Bytes of all of them. */
uint64_t bf_bgen_heads_size(const bf_bgen_heads *self);

/* Write them, one after another, and the size of each. BF_ERR_ARGUMENT, with the row: a varid,
 * an rsid or a chromosome of more than 65,535 bytes, or a position that is not of 32 bits. */
bf_status bf_bgen_heads_write(
    const bf_bgen_heads *self, uint8_t *out, uint32_t *sizes, bf_error *err);

/* Write texts as the sample block has them: each after its size in two bytes. out has room for
 * both. BF_ERR_ARGUMENT, with the row: one is of more than 65,535 bytes. */
bf_status bf_bgen_samples_write(const bf_texts *samples, uint8_t *out, bf_error *err);

#endif
