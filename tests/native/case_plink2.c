#include "case_plink2.h"

#include <math.h>
#include <stdlib.h>

#include "case.h"

/* Doubles of other rounding errors than the kernel's: what is nearer than this is a tie. */
#define NEAR 1e-6

static void
check_call(const naive_call *value, const naive_call *call, int calls, unsigned code,
    unsigned dosage)
{
    double copies, units;
    unsigned nearest;

    if (value == NULL || value->missing) {
        unsigned hard = call->missing ? 3 : call->p[0] > 0 ? 0 : call->haploid || call->p[2] > 0 ? 2 : 1;

        if (value != NULL && (value->missing == 2 || !calls)) {
            hard = 3;
        }
        if (dosage != 65535 || code != hard) {
            case_fail("a call without a dosage is shown as another one");
        }
        return;
    }
    copies = value->haploid ? 2 * value->p[1] : value->p[1] + 2 * value->p[2];
    units = dosage == 65535 ? 16384.0 * code : dosage;
    if (fabs(units - 16384 * copies) > 0.5 + NEAR) {
        case_fail("a dosage differs from the naive encoder's");
    }
    nearest = (unsigned) floor(units / 16384 + 0.5);
    if (dosage != 65535 && dosage == 16384 * nearest) {
        case_fail("a dosage is stored that the hard call tells");
    }
    if (code != (fabs(units - 16384.0 * nearest) < 1638.4 ? nearest : 3)) {
        case_fail("a dosage has another hard call");
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
            unsigned code = out[s / 4] >> 2 * (s % 4) & 3, dosage = 65535;

            if (c->field != BF_FIELD_GT) {
                dosage = out[hard + 2 * s] | (unsigned) out[hard + 2 * s + 1] << 8;
            }
            check_call(c->field == BF_FIELD_GT ? NULL : &value, &call, calls, code, dosage);
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
    free(out);
}

void
case_check_plink2(bf_rows *rows, uint32_t number, const bgen_case *c)
{
    check(rows, number, c, 1);
    check(rows, number, c, 0);
}
