#include "plink2.h"

#include <stdlib.h>
#include <string.h>

#include "two_bit.h"

/* A dosage of one allele. */
#define ALLELE 16384
/* How far a dosage may be from that of its hard call: 0.1, rounded down. */
#define HARD_CALL 1638
#define MISSING 3u

static inline uint64_t
pgen_codes(bf_calls32 calls)
{
    uint64_t low = (calls.first ^ calls.second) | calls.missing;
    uint64_t high = (calls.first & calls.second) | calls.missing;

    return low | high << 1;
}

BF_CLONES static void
encode_diploid(
    const uint8_t *restrict low, const uint8_t *restrict sign, uint8_t *restrict out, uint64_t words)
{
    bf_two_bit_words(low, sign, out, words, pgen_codes);
}

/* The same where no call is missing or haploid. */
BF_CLONES static void
encode_present(const uint8_t *restrict low, uint8_t *restrict out, uint64_t words)
{
    bf_two_bit_words(low, NULL, out, words, pgen_codes);
}

static uint64_t
hard_size(uint32_t num_samples)
{
    return ((uint64_t) num_samples + 3) / 4;
}

static uint64_t
present_size(uint32_t num_samples)
{
    return ((uint64_t) num_samples + 7) / 8;
}

uint64_t
bf_plink2_record_size(const bf_plink2 *self, uint32_t num_samples)
{
    uint64_t dosages = present_size(num_samples) + 2 * (uint64_t) num_samples;

    return hard_size(num_samples) + (self->field == BF_FIELD_GT ? 0 : dosages);
}

static void
write_hard_calls(const bf_row *row, uint8_t *out)
{
    const uint8_t *low = row->planes->plane[BF_LOW_PLANE];
    uint64_t size = hard_size(row->num_samples), words = row->ploidy == 2 ? size / 8 : 0;

    if (row->planes->no_sign) {
        encode_present(low, out, words);
    } else {
        encode_diploid(low, row->planes->plane[BF_SIGN_PLANE], out, words);
    }
    bf_two_bit_rest(row, out, 8 * words, size, pgen_codes);
}

/* Of the ALT allele in a call that has a value, in 16384ths. */
static uint32_t
dosage_of(const bf_call_value *call)
{
    double copies = call->haploid ? 2 * call->p[1] : call->p[1] + 2 * call->p[2];
    uint32_t dosage = (uint32_t) (copies * ALLELE + 0.5);

    return dosage < 2 * ALLELE ? dosage : 2 * ALLELE;
}

static inline void
put16(uint8_t *out, uint32_t x)
{
    out[0] = (uint8_t) x;
    out[1] = (uint8_t) (x >> 8);
}

/* Write to present, which is all zeros up to the record's end, whose dosage is stored, and those
 * dosages after it; and the hard calls of all dosages in place of the row's. */
static bf_status
write_dosages(
    const bf_plink2 *self, const bf_row *row, uint8_t *hard, uint8_t *present, bf_error *err)
{
    uint8_t *out = present + present_size(row->num_samples);

    for (uint64_t s = 0; s < row->num_samples; s++) {
        uint32_t code = hard[s / 4] >> 2 * (s % 4) & 3;
        bf_call_value call;

        if (bf_call_value_get(row, self->field, s, &call, err) != BF_OK) {
            err->sample = (int64_t) s;
            return err->status;
        }
        if (!call.missing) {
            uint32_t dosage = dosage_of(&call);
            uint32_t nearest = (dosage + ALLELE / 2) / ALLELE;
            int off = (int) dosage - (int) (nearest * ALLELE);

            code = abs(off) <= HARD_CALL ? nearest : MISSING;
            if (off != 0) {
                present[s / 8] |= (uint8_t) (1u << s % 8);
                put16(out, dosage);
                out += 2;
            }
        } else if (call.missing == BF_ZERO_VALUES || !self->calls) {
            code = MISSING;
        }
        hard[s / 4] &= (uint8_t) ~(3u << 2 * (s % 4));
        hard[s / 4] |= (uint8_t) (code << 2 * (s % 4));
    }
    return BF_OK;
}

bf_status
bf_plink2_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_plink2 *self = encoder;
    uint64_t hard = hard_size(row->num_samples);

    (void) record;
    if (size != bf_plink2_record_size(self, row->num_samples) || row->ploidy == 0
        || row->ploidy > 2) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    if (!bf_has_values(row, self->field)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a .pgen record of dosages was given none");
    }
    if (row->wide) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a call has an allele other than the site's two, which a biallelic .pgen variant "
            "cannot show");
    }
    write_hard_calls(row, out);
    if (self->field == BF_FIELD_GT) {
        return BF_OK;
    }
    memset(out + hard, 0, size - hard);
    return write_dosages(self, row, out, out + hard, err);
}
