#include "plink2.h"

#include <stdlib.h>

#include "two_bit.h"

/* A dosage of one allele. */
#define ALLELE 16384
/* How far a dosage may be from that of its hard call: 0.1, rounded down. */
#define HARD_CALL 1638
#define NO_DOSAGE 65535
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

uint64_t
bf_plink2_record_size(const bf_plink2 *self, uint32_t num_samples)
{
    uint64_t dosages = self->field == BF_FIELD_GT ? 0 : 2 * (uint64_t) num_samples;

    return hard_size(num_samples) + dosages;
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

/* Where all dosages are none or two alleles, have one differ by a 16384th: plink2 gives up if
 * dosages are stored of a variant whose frequency is 0 or 1. It is another sample's from record
 * to record, so that no sample's sums tell of it. */
static void
mark_monomorphic(uint8_t *out, uint32_t num_samples, uint64_t record, uint32_t all)
{
    for (uint64_t i = 0; i < num_samples; i++) {
        uint8_t *at = out + 2 * ((record + i) % num_samples);

        if ((at[0] | (uint32_t) at[1] << 8) == all) {
            put16(at, all == 0 ? 1 : all - 1);
            return;
        }
    }
}

/* Write dosages to out, and their hard calls in place of the row's. */
static bf_status
write_dosages(const bf_plink2 *self, const bf_row *row, uint64_t record, uint8_t *hard,
    uint8_t *out, bf_error *err)
{
    uint32_t least = NO_DOSAGE, most = 0;

    for (uint64_t s = 0; s < row->num_samples; s++) {
        uint32_t code = hard[s / 4] >> 2 * (s % 4) & 3, dosage = NO_DOSAGE, nearest;
        bf_call_value call;

        if (bf_call_value_get(row, self->field, s, &call, err) != BF_OK) {
            err->sample = (int64_t) s;
            return err->status;
        }
        if (!call.missing) {
            dosage = dosage_of(&call);
            nearest = (dosage + ALLELE / 2) / ALLELE;
            code = abs((int) (dosage - nearest * ALLELE)) <= HARD_CALL ? nearest : MISSING;
        } else if (call.missing == BF_ZERO_VALUES || !self->calls) {
            code = MISSING;
        } else if (code != MISSING) {
            dosage = code * ALLELE;
        }
        hard[s / 4] &= (uint8_t) ~(3u << 2 * (s % 4));
        hard[s / 4] |= (uint8_t) (code << 2 * (s % 4));
        put16(out + 2 * s, dosage);
        if (dosage != NO_DOSAGE) {
            least = dosage < least ? dosage : least;
            most = dosage > most ? dosage : most;
        }
    }
    if (least != NO_DOSAGE && (most == 0 || least == 2 * ALLELE)) {
        mark_monomorphic(out, row->num_samples, record, least);
    }
    return BF_OK;
}

bf_status
bf_plink2_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_plink2 *self = encoder;

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
    return write_dosages(self, row, record, out, out + hard_size(row->num_samples), err);
}
