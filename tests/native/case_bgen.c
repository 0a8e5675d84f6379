#include "case_bgen.h"

#include <libdeflate.h>
#include <math.h>
#include <stdlib.h>

#include "case.h"

/* Doubles of other rounding errors than the kernel's: what is nearer than this is a tie. */
#define NEAR 1e-6
#define FILL 0x7f800002
#define HEAD_SIZE 5

static uint64_t
get_number(const uint8_t *p, unsigned size)
{
    uint64_t x = 0;

    for (unsigned i = 0; i < size; i++) {
        x |= (uint64_t) p[i] << 8 * i;
    }
    return x;
}

static verdict
naive_hard(const bgen_case *c, const int8_t *call, naive_call *out)
{
    int first = call[0], second = out->haploid || c->ploidy == 1 ? first : call[1];

    if (first > 1 || second > 1 || first < -2 || second < -2 || (c->ploidy == 2 && call[1] > 1)
        || (c->ploidy == 2 && call[1] < -2)) {
        return NOT_SHOWN;
    }
    out->missing = first < 0 || second < 0;
    if (out->missing) {
        return SHOWN;
    }
    if (c->phased) {
        out->p[0] = first == 0;
        out->p[1] = second == 0;
    } else {
        out->p[out->haploid ? first : first + second] = 1;
    }
    return SHOWN;
}

static verdict
naive_probabilities(const bgen_case *c, const float *v, naive_call *out)
{
    uint32_t second, third = FILL;
    double sum = 0;
    int n = 0;

    memcpy(&second, v + 1, sizeof(second));
    if (c->num_values > 2) {
        memcpy(&third, v + 2, sizeof(third));
    }
    if (!isnan(v[0]) && second == FILL && third == FILL) {
        /* The one genotype of a site of one allele. */
        n = 1;
    } else if (isnan(v[0]) || isnan(v[1])) {
        out->missing = 1;
        return SHOWN;
    } else if (c->num_values == 2 && c->ploidy == 2 && !out->haploid) {
        return NOT_SHOWN;
    } else if (third == FILL) {
        out->haploid = 1;
    } else if (isnan(v[2])) {
        out->missing = !out->haploid;
        if (out->missing) {
            return SHOWN;
        }
    } else if (c->ploidy == 1) {
        return NOT_SHOWN;
    } else {
        out->haploid = 0;
    }
    n = n == 1 ? 1 : out->haploid ? 2 : 3;
    for (int i = 0; i < n; i++) {
        if (!(v[i] >= -1e-3 && v[i] <= 1 + 1e-3)) {
            return NOT_SHOWN;
        }
        out->p[i] = fmax(v[i], 0);
    }
    sum = out->p[0] + out->p[1] + out->p[2];
    out->missing = sum == 0 ? 2 : 0;
    if (!out->missing && fabs(fabs(sum - 1) - 0.1) > NEAR && fabs(sum - 1) > 0.1) {
        return NOT_SHOWN;
    }
    for (int i = 0; i < n && !out->missing; i++) {
        out->p[i] /= sum;
    }
    return fabs(fabs(sum - 1) - 0.1) <= NEAR ? EITHER : SHOWN;
}

static verdict
naive_dosage(const float *v, naive_call *out)
{
    double most = out->haploid ? 1 : 2, dosage = v[0];

    if (isnan(dosage)) {
        out->missing = 1;
        return SHOWN;
    }
    if (!(dosage >= -1e-3 && dosage <= most + 1e-3)) {
        return NOT_SHOWN;
    }
    dosage = fmin(fmax(dosage, 0), most);
    out->p[0] = fmax(1 - dosage, 0);
    out->p[1] = fmin(dosage, out->haploid ? 1 : 2 - dosage);
    out->p[2] = fmax(dosage - 1, 0);
    return SHOWN;
}

verdict
case_naive_call(const bgen_case *c, uint32_t sample, naive_call *out)
{
    const int8_t *call = c->alleles + (uint64_t) sample * c->ploidy;
    const float *v
        = c->values == NULL ? NULL : c->values + (uint64_t) sample * c->num_values;
    naive_call unused = { 0 };
    verdict genotype, result;

    memset(out, 0, sizeof(*out));
    out->haploid = unused.haploid = c->ploidy == 1 || call[1] == -2;
    genotype = naive_hard(c, call, c->field == BF_FIELD_GT ? out : &unused);
    result = c->field == BF_FIELD_GT   ? genotype
             : c->field == BF_FIELD_GP ? naive_probabilities(c, v, out)
                                      : naive_dosage(v, out);
    if (out->haploid && c->haploid_as_diploid) {
        out->haploid = 0;
        if (!(c->phased && c->field == BF_FIELD_GT)) {
            out->p[2] = out->p[1];
            out->p[1] = 0;
        }
    }
    return genotype == NOT_SHOWN ? NOT_SHOWN : result;
}

/* Integers of a call that are rounded as specified: see the reference in Python. */
static void
check_rounded(const naive_call *call, const uint64_t *found, double one)
{
    int n = call->haploid ? 2 : 3;
    double lost[3], left = one;

    for (int i = 0; i < n; i++) {
        double integer = i < n - 1 ? (double) found[i] : left;

        left -= integer;
        lost[i] = call->p[i] * one - integer;
        if (integer < 0 || fabs(lost[i]) >= 1 + NEAR) {
            case_fail("a probability is not rounded to one of its neighbours");
        }
    }
    for (int up = 0; up < n; up++) {
        for (int down = 0; down < n; down++) {
            if (lost[up] < -NEAR && lost[down] > NEAR && 1 + lost[up] < lost[down] - NEAR) {
                case_fail("a smaller fraction is rounded up than one that is rounded down");
            }
        }
    }
}

static void
check_call(const bgen_case *c, const naive_call *call, unsigned ploidy, const uint64_t *found)
{
    double one = (double) ((1u << c->bits) - 1);
    unsigned count = call->haploid ? 1 : 2;

    if (ploidy != (count | (call->missing ? 0x80 : 0))) {
        case_fail("a call is of another ploidy or presence");
    }
    if (call->missing) {
        if (found[0] != 0 || (count == 2 && found[1] != 0)) {
            case_fail("a missing call has probabilities");
        }
    } else if (c->phased) {
        for (unsigned i = 0; i < count; i++) {
            if ((double) found[i] != call->p[i] * one) {
                case_fail("a phased call differs from the naive encoder's");
            }
        }
    } else {
        check_rounded(call, found, one);
    }
}

static void
check_payload(const bgen_case *c, const naive_call *calls, const uint8_t *p, uint64_t size)
{
    uint64_t n = c->num_samples, haploid = 0, width = c->bits / 8;
    const uint8_t *ploidies = p + 8, *flags = p + 8 + n, *values = p + 10 + n;

    for (uint64_t i = 0; i < n; i++) {
        haploid += calls[i].haploid != 0;
    }
    if (size != 10 + n + (2 * n - haploid) * width) {
        case_fail("the genotype data are of another size");
    }
    if (get_number(p, 4) != n || get_number(p + 4, 2) != 2 || p[6] != (haploid > 0 ? 1 : 2)
        || p[7] != (haploid == n && n > 0 ? 1 : 2) || flags[0] != c->phased
        || flags[1] != c->bits) {
        case_fail("the genotype data begin otherwise");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t found[2] = { get_number(values, width), 0 };

        values += width;
        if (!calls[i].haploid) {
            found[1] = get_number(values, width);
            values += width;
        }
        check_call(c, &calls[i], ploidies[i], found);
    }
}

static void
check_stream(const bgen_case *c, const naive_call *calls, const uint8_t *data, uint64_t size)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    uint64_t raw = get_number(data + 4, 4);
    uint8_t *payload = malloc(raw);
    size_t used, got;

    if (get_number(data, 4) != size - 4) {
        case_fail("a record's data are of another size than they say");
    }
    if (libdeflate_zlib_decompress_ex(inflater, data + 8, size - 8, payload, raw, &used, &got)
            != LIBDEFLATE_SUCCESS
        || used != size - 8 || got != raw) {
        case_fail("a record's zlib stream is broken");
    }
    check_payload(c, calls, payload, raw);
    free(payload);
    libdeflate_free_decompressor(inflater);
}

static bf_status
encode(bf_rows *rows, uint32_t number, const bgen_case *c, uint8_t *out, uint64_t data,
    bf_error *err)
{
    static const char heads[] = "12abcde";
    uint8_t *own = case_copy((const uint8_t *) heads, 2 + HEAD_SIZE);
    uint64_t offsets[3] = { 24, 24 + 2 + data, 24 + 2 + HEAD_SIZE + 2 * data };
    uint64_t size = HEAD_SIZE + data;
    bf_bgen encoder = { .field = c->field,
        .bits = c->bits,
        .haploid_as_diploid = c->haploid_as_diploid,
        .heads = own,
        .heads_size = 2 + HEAD_SIZE,
        .offsets = offsets,
        .num_records = 2 };
    uint32_t phased_row = 0;
    bf_extra extra = { .phased_rows = &phased_row,
        .values = c->values,
        .num_values = c->num_values,
        .row_values = (uint64_t) c->num_samples * c->num_values };
    bf_output output = { .out = out, .size = size, .record_size = size };
    bf_rows phased;
    bf_status status;

    if (c->phased) {
        if (bf_rows_init(&phased, 1, c->num_samples, 1, 1, &c->num_samples, NULL, err) != BF_OK
            || bf_rows_set_constant(&phased, 0, 1, err) != BF_OK) {
            case_fail("rows of flags are refused");
        }
        extra.phased = &phased;
    }
    status = bf_rows_encode(rows, &number, 1, &extra, bf_bgen_encode, &encoder, 1, &output, err);
    if (c->phased) {
        bf_rows_free(&phased);
    }
    if (status == BF_OK && memcmp(out, heads + 2, HEAD_SIZE) != 0) {
        case_fail("a record begins with other strings");
    }
    free(own);
    return status;
}

void
case_check_bgen(bf_rows *rows, uint32_t number, const bgen_case *c)
{
    bf_bgen sized = { .field = c->field,
        .bits = c->bits,
        .haploid_as_diploid = c->haploid_as_diploid };
    uint64_t data = bf_bgen_data_size(&sized, c->num_samples, c->ploidy);
    uint8_t *out = malloc(HEAD_SIZE + data);
    naive_call *calls = calloc(c->num_samples + 1, sizeof(*calls));
    verdict expected = SHOWN;
    bf_error err = { .status = BF_OK };
    bf_status status = encode(rows, number, c, out, data, &err);

    if (c->ploidy > 2) {
        if (status != BF_ERR_ARGUMENT) {
            case_fail("a record of three alleles is another error, or none");
        }
        expected = EITHER;
    }
    for (uint32_t i = 0; i < c->num_samples && c->ploidy <= 2; i++) {
        verdict own = case_naive_call(c, i, &calls[i]);

        expected = own == NOT_SHOWN || expected == NOT_SHOWN ? NOT_SHOWN
                   : own == EITHER                           ? EITHER
                                                             : expected;
    }
    if ((expected == SHOWN && status != BF_OK)
        || (expected == NOT_SHOWN && (status != BF_ERR_ALLELE || err.row != number))) {
        case_fail("a BGEN record is made that cannot be, or the other way round");
    }
    if (status == BF_OK) {
        check_stream(c, calls, out + HEAD_SIZE, data);
    }
    free(calls);
    free(out);
}
