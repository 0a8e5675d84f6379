/* The calls of a BGEN record that is made from probabilities or dosages. */
#ifndef BF_BGEN_VALUES_H
#define BF_BGEN_VALUES_H

#include "bgen.h"
#include "stored.h"

#define BF_BGEN_MISSING 0x80

/* Look at every call of a row and count the haploid ones. BF_ERR_ALLELE: a value is no
 * probability or dosage. */
bf_status bf_bgen_count_haploid_values(
    const bf_bgen *self, const bf_row *row, uint64_t *count, bf_error *err);

/* Write the ploidy bytes, and the probabilities, of a row that was looked at. */
void bf_bgen_write_value_ploidies(const bf_bgen *self, const bf_row *row, bf_stored *stream);
void bf_bgen_write_values(const bf_bgen *self, const bf_row *row, bf_stored *stream);

#endif
