#include "call_values.h"

#include <math.h>

#include "no_value.h"

/* How far a value may be from the range of a probability or dosage, and a sum from 1. */
#define TOLERANCE 1e-3
#define SUM_TOLERANCE 0.1

static inline int
is_fill(float value)
{
    return bf_float_bits(value) == BF_NO_FLOAT;
}

static int
is_haploid(const bf_row *row, uint64_t sample)
{
    uint64_t bit = 2 * sample + 1;
    unsigned low, sign;

    if (row->ploidy == 1) {
        return 1;
    }
    low = row->planes->plane[BF_LOW_PLANE][bit / 8] >> bit % 8 & 1;
    sign = row->planes->plane[BF_SIGN_PLANE][bit / 8] >> bit % 8 & 1;
    return sign && !low;
}

static bf_status
get_probabilities(const bf_row *row, const float *v, bf_call_value *out, bf_error *err)
{
    double sum = 0;
    int n, two = row->num_values < 3 || is_fill(v[2]);

    if (isnan(v[0]) || (isnan(v[1]) && !(two && is_fill(v[1])))) {
        out->missing = BF_NO_VALUE;
        return BF_OK;
    }
    if (is_fill(v[1])) {
        /* The site has one allele and so one genotype; the ploidy is the call's. */
        n = 1;
    } else if (row->num_values < 3 && row->ploidy == 2 && !out->haploid) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a diploid call has two values of call_GP and not three");
    } else if (two || (isnan(v[2]) && out->haploid)) {
        out->haploid = 1;
        n = 2;
    } else if (isnan(v[2])) {
        out->missing = BF_NO_VALUE;
        return BF_OK;
    } else if (row->ploidy < 2) {
        return bf_fail(err, BF_ERR_ALLELE, "a call has more values of call_GP than its ploidy allows");
    } else {
        out->haploid = 0;
        n = 3;
    }
    for (int i = 0; i < n; i++) {
        if (v[i] < -TOLERANCE || v[i] > 1 + TOLERANCE) {
            return bf_fail(err, BF_ERR_ALLELE,
                "a value of call_GP is not a probability of 0 to 1 (those of old VCFs are "
                "phred-scaled)");
        }
        out->p[i] = v[i] > 0 ? v[i] : 0;
        sum += out->p[i];
    }
    if (sum == 0) {
        out->missing = BF_ZERO_VALUES;
        return BF_OK;
    }
    if (fabs(sum - 1) > SUM_TOLERANCE) {
        return bf_fail(err, BF_ERR_ALLELE, "a call's values of call_GP do not sum to 1");
    }
    for (int i = 0; i < n; i++) {
        out->p[i] /= sum;
    }
    return BF_OK;
}

static bf_status
get_dosage(const float *v, bf_call_value *out, bf_error *err)
{
    double dosage = v[0], most = out->haploid ? 1 : 2;

    if (isnan(dosage)) {
        out->missing = BF_NO_VALUE;
        return BF_OK;
    }
    if (dosage < -TOLERANCE || dosage > most + TOLERANCE) {
        return bf_fail(err, BF_ERR_ALLELE,
            out->haploid ? "a value of call_DS is not a dosage of 0 to 1, as a haploid call has"
                         : "a value of call_DS is not a dosage of 0 to 2");
    }
    dosage = dosage < 0 ? 0 : dosage > most ? most : dosage;
    out->p[0] = dosage < 1 ? 1 - dosage : 0;
    out->p[1] = dosage < 1 ? dosage : 2 - dosage;
    out->p[2] = dosage < 1 ? 0 : dosage - 1;
    return BF_OK;
}

bf_status
bf_call_value_get(const bf_row *row, bf_call_field field, uint64_t sample, bf_call_value *out,
    bf_error *err)
{
    const float *v = row->values + sample * row->num_values;

    *out = (bf_call_value){ .haploid = is_haploid(row, sample) };
    return field == BF_FIELD_GP ? get_probabilities(row, v, out, err) : get_dosage(v, out, err);
}
