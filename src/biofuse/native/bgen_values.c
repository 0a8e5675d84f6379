#include "bgen_values.h"

#include "call_values.h"

/* Samples at a time: what is made of them stays in the fastest cache. */
#define TILE 2048
/* Fractions of units that differ by less do so by rounding errors, which are not the same on
 * every machine: the first of them is taken. */
#define TIE 1e-9

static bf_status
get_value(
    const bf_bgen *self, const bf_row *row, uint64_t sample, bf_call_value *out, bf_error *err)
{
    bf_status status = bf_call_value_get(row, self->field, sample, out, err);

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
round_probabilities(const bf_call_value *call, uint32_t one, uint32_t *out)
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
        bf_call_value call;

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
    bf_call_value call;

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
    bf_call_value call;

    for (uint64_t s = 0; s < row->num_samples; s++) {
        (void) get_value(self, row, s, &call, &err);
        tile[size++] = (uint8_t) ((call.haploid ? 1 : 2) | (call.missing ? BF_BGEN_MISSING : 0));
        if (size == TILE || s + 1 == row->num_samples) {
            bf_stored_write(stream, tile, size);
            size = 0;
        }
    }
}
