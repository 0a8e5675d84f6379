#include "bgen_values.h"

#include <math.h>

/* Samples at a time: what is made of them stays in the fastest cache. */
#define TILE 2048
/* How far a value may be from the range of a probability or dosage, and a sum from 1. */
#define TOLERANCE 1e-3
#define SUM_TOLERANCE 0.1
/* Fractions of units that differ by less do so by rounding errors, which are not the same on
 * every machine: the first of them is taken. */
#define TIE 1e-9

/* One call's values. */
typedef struct {
    int missing, haploid;
    double p[3]; /* of 0, 1 and 2 copies of ALT; where haploid, of 0 and 1 */
} value_call;

static inline int
is_fill(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits == 0x7f800002;
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
get_probabilities(const bf_row *row, const float *v, value_call *out, bf_error *err)
{
    double sum = 0;
    int n, two = row->num_values < 3 || is_fill(v[2]);

    if (isnan(v[0]) || (isnan(v[1]) && !(two && is_fill(v[1])))) {
        out->missing = 1;
        return BF_OK;
    }
    if (is_fill(v[1])) {
        /* The site has one allele and so one genotype; the ploidy is the call's. */
        n = 1;
    } else if (row->num_values < 3 && row->ploidy == 2 && !out->haploid) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a diploid call has two values of call_GP where BGEN has three probabilities");
    } else if (two || (isnan(v[2]) && out->haploid)) {
        out->haploid = 1;
        n = 2;
    } else if (isnan(v[2])) {
        out->missing = 1;
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
        out->missing = 1;
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
get_dosage(const float *v, value_call *out, bf_error *err)
{
    double dosage = v[0], most = out->haploid ? 1 : 2;

    if (isnan(dosage)) {
        out->missing = 1;
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

static bf_status
get_value(
    const bf_bgen *self, const bf_row *row, uint64_t sample, value_call *out, bf_error *err)
{
    const float *v = row->values + sample * row->num_values;
    bf_status status;

    *out = (value_call){ .haploid = is_haploid(row, sample) };
    status = self->field == BF_BGEN_GP ? get_probabilities(row, v, out, err)
                                       : get_dosage(v, out, err);
    if (self->haploid_as_diploid && out->haploid) {
        out->haploid = 0;
        out->p[2] = out->p[1];
        out->p[1] = 0;
    }
    return status;
}

/* The call's probabilities but the last as integers that, with the last, sum to `one`:
 * rounded down, then up by one where the fractions are largest. */
static void
round_probabilities(const value_call *call, uint32_t one, uint32_t *out)
{
    int n = call->haploid ? 2 : 3;
    double fraction[3];
    uint32_t whole[3], left = one;

    for (int i = 0; i < n; i++) {
        double x = call->p[i] * one;

        whole[i] = x >= one ? one : (uint32_t) x;
        whole[i] = whole[i] < left ? whole[i] : left;
        fraction[i] = x - whole[i];
        left -= whole[i];
    }
    for (; left > 0; left--) {
        int best = 0;

        for (int i = 1; i < n; i++) {
            best = fraction[i] > fraction[best] + TIE ? i : best;
        }
        whole[best]++;
        fraction[best] -= 1;
    }
    memcpy(out, whole, (size_t) (n - 1) * sizeof(*out));
}

void
bf_bgen_write_values(const bf_bgen *self, const bf_row *row, bf_stored *stream)
{
    unsigned width = self->bits / 8;
    uint32_t one = (1u << self->bits) - 1;
    uint8_t tile[4 * TILE];
    uint64_t size = 0;
    bf_error err;

    for (uint64_t s = 0; s < row->num_samples; s++) {
        uint32_t p[2] = { 0, 0 };
        value_call call;

        /* Every value was looked at before. */
        (void) get_value(self, row, s, &call, &err);
        if (!call.missing) {
            round_probabilities(&call, one, p);
        }
        for (int i = 0; i < (call.haploid ? 1 : 2); i++) {
            for (unsigned k = 0; k < width; k++) {
                tile[size++] = (uint8_t) (p[i] >> (8 * k));
            }
        }
        if (size > sizeof(tile) - 4) {
            bf_stored_write(stream, tile, size);
            size = 0;
        }
    }
    bf_stored_write(stream, tile, size);
}

bf_status
bf_bgen_count_haploid_values(
    const bf_bgen *self, const bf_row *row, uint64_t *count, bf_error *err)
{
    value_call call;

    *count = 0;
    for (uint64_t s = 0; s < row->num_samples; s++) {
        if (get_value(self, row, s, &call, err) != BF_OK) {
            err->sample = (int64_t) s;
            return err->status;
        }
        *count += call.haploid != 0;
    }
    return BF_OK;
}

void
bf_bgen_write_value_ploidies(const bf_bgen *self, const bf_row *row, bf_stored *stream)
{
    uint8_t tile[TILE];
    uint64_t size = 0;
    bf_error err;
    value_call call;

    for (uint64_t s = 0; s < row->num_samples; s++) {
        (void) get_value(self, row, s, &call, &err);
        tile[size++] = (uint8_t) ((call.haploid ? 1 : 2) | (call.missing ? BF_BGEN_MISSING : 0));
        if (size == TILE || s + 1 == row->num_samples) {
            bf_stored_write(stream, tile, size);
            size = 0;
        }
    }
}
