#include "case_plink2.h"

#include <math.h>
#include <stdlib.h>

#include "case.h"

/* Doubles of other rounding errors than the kernel's: what is nearer than this is a tie. */
#define NEAR 1e-6

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
check_call(shown_call shown, unsigned code, unsigned dosage, int tie, int *marks)
{
    double off = (shown.copies < 0 ? 65535 : 16384 * shown.copies) - dosage;

    if (code != shown.code && !tie) {
        case_fail("a dosage has another hard call");
    }
    if (fabs(off) > 1 || (shown.copies < 0 && off != 0)) {
        case_fail("a dosage differs from the naive encoder's");
    }
    *marks += off != 0 && !tie;
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
    int marks = 0, polymorphic = 0, none = 0, two = 0;

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
            unsigned code = out[s / 4] >> 2 * (s % 4) & 3, dosage;
            shown_call wanted = naive_shown(c, &value, &call, calls);
            double units = wanted.copies < 0 ? 0
                : 16384 * (value.haploid ? 2 * value.p[1] : value.p[1] + 2 * value.p[2]);

            if (c->field == BF_FIELD_GT) {
                if (code != wanted.code) {
                    case_fail("a hard call differs from the naive encoder's");
                }
                continue;
            }
            dosage = out[hard + 2 * s] | (unsigned) out[hard + 2 * s + 1] << 8;
            check_call(wanted, code, dosage, fabs(units - floor(units) - 0.5) < NEAR, &marks);
            polymorphic |= wanted.copies >= 0 && wanted.copies != 0 && wanted.copies != 2;
            none |= wanted.copies == 0;
            two |= wanted.copies == 2;
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
    if (status == BF_OK && c->field != BF_FIELD_GT && expected == SHOWN
        && marks != (!polymorphic && none != two)) {
        case_fail("a dosage differs where it should not, or none does where one should");
    }
    free(out);
}

void
case_check_plink2(bf_rows *rows, uint32_t number, const bgen_case *c)
{
    check(rows, number, c, 1);
    check(rows, number, c, 0);
}
