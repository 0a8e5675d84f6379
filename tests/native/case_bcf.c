#include "case_bcf.h"

#include <stdlib.h>

#include "case.h"

enum { HEAD_SIZE = 40, OTHER_HEAD = 33 };

static const uint8_t PREFIX[] = { 0x11, 7, 0x21 };

/* What stands for an allele; -1 if it cannot be shown. */
static int
naive_code(const int8_t *call, uint32_t k, unsigned width, uint32_t num_alleles, int phased)
{
    int none = width == 1 ? 0x81 : 0x8001;

    if (call[k] == -2) {
        return k == 0 ? 0 : none;
    }
    if (k > 0 && call[k - 1] == -2) {
        return -1;
    }
    if (call[k] < -2 || (call[k] >= 0 && (uint32_t) call[k] >= num_alleles)
        || (width == 1 && call[k] > 62)) {
        return -1;
    }
    return (call[k] + 1) << 1 | (phased && k > 0);
}

static bf_status
encode(bf_rows *rows, uint32_t number, const bf_bcf *encoder, uint32_t num_samples, int phased,
    uint8_t *out, uint64_t size, bf_error *err)
{
    uint32_t phased_row = 0;
    bf_extra extra = { .phased_rows = &phased_row };
    bf_output output = { .out = out, .size = size, .record_size = size };
    bf_rows flags;
    bf_status status;

    if (phased) {
        if (bf_rows_init(&flags, 1, num_samples, 1, 1, &num_samples, NULL, err) != BF_OK
            || bf_rows_set_constant(&flags, 0, 1, err) != BF_OK) {
            case_fail("rows of flags are refused");
        }
        extra.phased = &flags;
    }
    status = bf_rows_encode(rows, &number, 1, &extra, bf_bcf_encode, encoder, 1, &output, err);
    if (phased) {
        bf_rows_free(&flags);
    }
    return status;
}

void
case_check_bcf(bf_rows *rows, uint32_t number, const int8_t *alleles, uint32_t num_samples,
    uint32_t ploidy, unsigned width, uint32_t num_alleles, int phased)
{
    uint64_t count = (uint64_t) num_samples * ploidy, data = sizeof(PREFIX) + count * width;
    uint64_t offsets[3] = { 9, 9 + OTHER_HEAD + data, 9 + OTHER_HEAD + HEAD_SIZE + 2 * data };
    uint8_t *heads = calloc(OTHER_HEAD + HEAD_SIZE, 1), *out = malloc(HEAD_SIZE + data);
    uint8_t *prefix = case_copy(PREFIX, sizeof(PREFIX)), *found = out + HEAD_SIZE;
    bf_bcf encoder = { .width = width,
        .prefix = prefix,
        .prefix_size = sizeof(PREFIX),
        .heads = heads,
        .heads_size = OTHER_HEAD + HEAD_SIZE,
        .offsets = offsets,
        .num_records = 2 };
    bf_error err = { .status = BF_OK };
    bf_status status;
    int shown = 1;

    heads[OTHER_HEAD + 26] = (uint8_t) num_alleles;
    heads[OTHER_HEAD + 27] = (uint8_t) (num_alleles >> 8);
    heads[OTHER_HEAD + HEAD_SIZE - 1] = 99;
    if (bf_bcf_data_size(&encoder, num_samples, ploidy, num_alleles) != data) {
        case_fail("the genotypes are of another size");
    }
    status = encode(rows, number, &encoder, num_samples, phased, out, HEAD_SIZE + data, &err);
    for (uint64_t a = 0; a < count; a++) {
        const int8_t *call = alleles + a / ploidy * ploidy;
        int code = naive_code(call, (uint32_t) (a % ploidy), width, num_alleles, phased);
        const uint8_t *own = found + sizeof(PREFIX) + a * width;

        shown &= code >= 0;
        if (status == BF_OK && code >= 0
            && (own[0] != (code & 0xff) || (width > 1 && own[1] != code >> 8))) {
            case_fail("an allele of a BCF record differs from the naive encoder's");
        }
    }
    if ((status == BF_OK) != shown || (!shown && (status != BF_ERR_ALLELE || err.row != number))) {
        case_fail("a BCF record is made that cannot be, or the other way round");
    }
    if (shown
        && (memcmp(out, heads + OTHER_HEAD, HEAD_SIZE) != 0
            || memcmp(found, PREFIX, sizeof(PREFIX)) != 0)) {
        case_fail("a BCF record begins otherwise");
    }
    /* A table of others is refused. */
    encoder.heads_size--;
    if (encode(rows, number, &encoder, num_samples, 0, out, HEAD_SIZE + data, &err)
        != BF_ERR_ARGUMENT) {
        case_fail("heads of other records are taken");
    }
    free(prefix);
    free(out);
    free(heads);
}
