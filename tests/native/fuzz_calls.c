/* Fuzz target: a BGEN and a .pgen record of any calls and any floating-point values.
 *
 * Four bytes say of what kind the record is; then, for each sample in turn, come a byte for each
 * allele, and four a value, of which the calls are made. */
#include <stdlib.h>

#include "case.h"
#include "case_bgen.h"
#include "case_plink2.h"

enum { HEAD = 4 };

/* An allele: as it is if the input says so, else one that can be shown. */
static int8_t
make_allele(uint8_t byte, int any)
{
    return (int8_t) (any ? byte : byte % 4 - 2);
}

/* A value: any bits, or a number of 1024ths from -1 to 3, or one of 64ths up to 1. */
static float
make_value(const uint8_t *p, unsigned kind)
{
    float value = (float) (p[0] % 65) / 64;

    if (kind == 1) {
        value = (float) ((p[0] | p[1] << 8) % 4096 - 1024) / 1024;
    } else if (kind == 2 || p[3] == 0x7f) {
        memcpy(&value, p, sizeof(value));
    }
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bgen_case c = { 0 };
    bf_planes packed;
    bf_rows rows;
    bf_error err;
    uint64_t each;
    int8_t *alleles;
    float *values;

    if (size < HEAD) {
        return 0;
    }
    c.field = data[0] % 3;
    c.bits = data[0] & 0x80 ? 16 : 8;
    c.haploid_as_diploid = data[0] >> 6 & 1;
    c.ploidy = 1 + data[1] % 2;
    c.phased = c.field == BF_FIELD_GT && data[1] & 0x80;
    c.num_values = c.field == BF_FIELD_GT ? 0 : c.field == BF_FIELD_GP ? 2 + data[2] % 3 : 1 + data[2] % 2;
    each = c.ploidy + 4 * c.num_values;
    c.num_samples = (uint32_t) ((size - HEAD) / each);
    if (c.num_samples == 0) {
        return 0;
    }
    alleles = malloc((uint64_t) c.num_samples * c.ploidy);
    values = malloc((uint64_t) c.num_samples * c.num_values * sizeof(*values));
    for (uint64_t s = 0; s < c.num_samples; s++) {
        const uint8_t *from = data + HEAD + s * each;

        for (uint32_t i = 0; i < c.ploidy; i++) {
            alleles[s * c.ploidy + i] = make_allele(from[i], data[3] & 0x80);
        }
        for (uint32_t i = 0; i < c.num_values; i++) {
            values[s * c.num_values + i] = make_value(from + c.ploidy + 4 * i, data[3] % 3);
        }
    }
    c.alleles = alleles;
    c.values = c.field == BF_FIELD_GT ? NULL : values;
    if (bf_planes_alloc(&packed, (uint64_t) c.num_samples * c.ploidy, &err) != BF_OK
        || bf_planes_from_bytes(
               &packed, (const uint8_t *) alleles, (uint64_t) c.num_samples * c.ploidy, &err)
               != BF_OK
        || bf_rows_init(&rows, 1, c.num_samples, c.ploidy, 1, &c.num_samples, NULL, &err) != BF_OK
        || bf_rows_set_packed(
               &rows, 0, &packed, (uint64_t) c.num_samples * c.ploidy, 0, 1, &err)
               != BF_OK) {
        case_fail("the target's own calls are refused");
    }
    case_check_bgen(&rows, 0, &c);
    case_check_plink2(&rows, 0, &c);
    bf_rows_free(&rows);
    bf_planes_free(&packed);
    free(values);
    free(alleles);
    return 0;
}
