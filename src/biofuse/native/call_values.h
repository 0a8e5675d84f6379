/* Probabilities and dosages of a call, from call_GP or call_DS.
 *
 * A call is haploid if call_GP has two probabilities and fill for it. Where what follows them is
 * missing, as some converters write, where the call is, and for dosages, call_genotype tells. */
#ifndef BF_CALL_VALUES_H
#define BF_CALL_VALUES_H

#include "rows.h"

typedef enum {
    BF_FIELD_GT, /* hard calls */
    BF_FIELD_GP, /* genotype probabilities: 2 or 3 values a sample */
    BF_FIELD_DS, /* dosages of ALT: 1 value a sample */
} bf_call_field;

enum { BF_NO_VALUE = 1, BF_ZERO_VALUES };

/* One call's values. */
typedef struct {
    int missing; /* BF_NO_VALUE or, if all probabilities are 0, BF_ZERO_VALUES; else 0 */
    int haploid;
    double p[3]; /* of 0, 1 and 2 copies of ALT; where haploid, of 0 and 1; they sum to 1 */
} bf_call_value;

/* Whether a row has the values that a field needs. */
static inline int
bf_has_values(const bf_row *row, bf_call_field field)
{
    return field == BF_FIELD_GT
        || (row->values != NULL && row->num_values >= (field == BF_FIELD_GP ? 2u : 1u));
}

/* The value of one sample of a row, by GP or DS. BF_ERR_ALLELE: it is no probability or
 * dosage. */
bf_status bf_call_value_get(const bf_row *row, bf_call_field field, uint64_t sample,
    bf_call_value *out, bf_error *err);

#endif
