#include "case_plink2.h"

#include <math.h>
#include <stdlib.h>

#include "case.h"

/* Doubles of other rounding errors than the kernel's: what is nearer than this is a tie. */
#define NEAR 1e-6
#define NO_DOSAGE 65535

/* What a call is shown as: its hard call, and its dosage in alleles, or -1. */
typedef struct {
    unsigned code;
    double copies;
} shown_call;

static shown_call
naive_shown(const bgen_case *c, const naive_call *value, const naive_call *call, int calls)
{
    double copies = -1, nearest;

    if (c->field == BF_FIELD_GT || value->missing) {
        unsigned code = call->missing ? 3 : call->p[0] > 0 ? 0 : call->haploid || call->p[2] > 0 ? 2 : 1;

        if (c->field != BF_FIELD_GT && (value->missing == 2 || !calls)) {
            code = 3;
        }
        return (shown_call){ code, code == 3 ? -1.0 : (double) code };
    }
    copies = value->haploid ? 2 * value->p[1] : value->p[1] + 2 * value->p[2];
    copies = floor(copies * 16384 + 0.5) / 16384;
    nearest = floor(copies + 0.5);
    return (shown_call){ fabs(copies - nearest) * 16384 < 1638.4 ? (unsigned) nearest : 3, copies };
}

/* tie: of the value, which may be rounded either way. */
static void
check_call(shown_call shown, unsigned code, unsigned dosage, int tie)
{
    double off = (shown.copies < 0 ? NO_DOSAGE : 16384 * shown.copies) - dosage;

    if (code != shown.code && !tie) {
        case_fail("a dosage has another hard call");
    }
    if (fabs(off) > tie) {
        case_fail("a dosage differs from the naive encoder's");
    }
}

/* What is left of a record's dosages: whose are stored, and from `at` on, these. */
typedef struct {
    const uint8_t *present, *at;
} dosages;

/* That of the next sample, as plink2 reads it. */
static unsigned
next_dosage(dosages *left, uint32_t sample, unsigned code)
{
    unsigned dosage = code == 3 ? NO_DOSAGE : code * 16384, stored;

    if ((left->present[sample / 8] >> sample % 8 & 1) == 0) {
        return dosage;
    }
    stored = left->at[0] | (unsigned) left->at[1] << 8;
    if (stored == dosage) {
        case_fail("a dosage is stored that its hard call tells");
    }
    left->at += 2;
    return stored;
}

static void
check_zeros(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        if (*at++ != 0) {
            case_fail("bytes after the last dosage are not zero");
        }
    }
}

static void
check(bf_rows *rows, uint32_t number, const bgen_case *c, int calls)
{
    bf_plink2 encoder = { .field = c->field, .calls = calls };
    uint64_t size = bf_plink2_record_size(&encoder, c->num_samples);
    uint64_t hard = ((uint64_t) c->num_samples + 3) / 4;
    uint8_t *out = malloc(size);
    bgen_case shown = *c, genotypes;
    bf_extra extra = { .values = c->values,
        .num_values = c->num_values,
        .row_values = (uint64_t) c->num_samples * c->num_values };
    bf_output output = { .out = out, .size = size, .record_size = size };
    bf_error err = { .status = BF_OK };
    bf_status status = bf_rows_encode(
        rows, &number, 1, &extra, bf_plink2_encode, &encoder, number, &output, &err);
    verdict expected = SHOWN;
    uint64_t present = c->field == BF_FIELD_GT ? 0 : ((uint64_t) c->num_samples + 7) / 8;
    dosages left = { out + hard, out + hard + present };

    shown.phased = shown.haploid_as_diploid = 0;
    genotypes = shown;
    genotypes.field = BF_FIELD_GT;
    for (uint32_t s = 0; s < c->num_samples; s++) {
        naive_call value, call;
        verdict own = case_naive_call(&shown, s, &value);

        (void) case_naive_call(&genotypes, s, &call);
        expected = own == NOT_SHOWN || expected == NOT_SHOWN ? NOT_SHOWN
                   : own == EITHER                           ? EITHER
                                                             : expected;
        if (status == BF_OK && own != NOT_SHOWN) {
            unsigned code = out[s / 4] >> 2 * (s % 4) & 3;
            shown_call wanted = naive_shown(c, &value, &call, calls);
            double units = wanted.copies < 0 ? 0
                : 16384 * (value.haploid ? 2 * value.p[1] : value.p[1] + 2 * value.p[2]);

            if (c->field == BF_FIELD_GT) {
                if (code != wanted.code) {
                    case_fail("a hard call differs from the naive encoder's");
                }
                continue;
            }
            check_call(wanted, code, next_dosage(&left, s, code),
                fabs(units - floor(units) - 0.5) < NEAR);
        }
    }
    if ((expected == SHOWN && status != BF_OK)
        || (expected == NOT_SHOWN && (status != BF_ERR_ALLELE || err.row != number))) {
        case_fail("a .pgen record is made that cannot be, or the other way round");
    }
    if (status == BF_OK && c->num_samples % 4 != 0
        && out[hard - 1] >> 2 * (c->num_samples % 4) != 0) {
        case_fail("bits after the last call are not zero");
    }
    if (status == BF_OK && c->field != BF_FIELD_GT && expected != NOT_SHOWN) {
        if (c->num_samples % 8 != 0 && left.present[present - 1] >> c->num_samples % 8 != 0) {
            case_fail("bits after that of the last sample are not zero");
        }
        check_zeros(left.at, out + size);
    }
    free(out);
}

void
case_check_plink2(bf_rows *rows, uint32_t number, const bgen_case *c)
{
    check(rows, number, c, 1);
    check(rows, number, c, 0);
}
