/* Fuzz target: BCF records of any calls and fields of FORMAT, and an index of any sites.
 *
 * Eight bytes say of what kind they are: the first one which of the three, the others of how many
 * samples, alleles and values. What follows is the calls, the field's values, or the sites. */
#include <stdlib.h>

#include "case.h"
#include "case_bcf.h"
#include "case_formats.h"

enum { HEAD = 8, SITE = 8, MOST_SITES = 60 };

static void
check_calls(const uint8_t *data, uint64_t size, const uint8_t *head)
{
    uint32_t ploidy = 1 + head[1] % 4, samples = (uint32_t) (size / ploidy);
    unsigned width = 1 + head[2] % 2;
    uint64_t count = (uint64_t) samples * ploidy;
    int8_t *alleles = malloc(count);
    bf_planes packed;
    bf_rows rows;
    bf_error err;

    for (uint64_t a = 0; a < count; a++) {
        alleles[a] = (int8_t) (head[3] & 0x80 ? data[a] : data[a] % (head[3] % 8 + 3) - 2);
    }
    if (samples > 0) {
        if (bf_planes_alloc(&packed, count, &err) != BF_OK
            || bf_planes_from_bytes(&packed, (const uint8_t *) alleles, count, &err) != BF_OK
            || bf_rows_init(&rows, 1, samples, ploidy, 1, &samples, NULL, &err) != BF_OK
            || bf_rows_set_packed(&rows, 0, &packed, count, 0, 1, &err) != BF_OK) {
            case_fail("rows are not taken");
        }
        case_check_bcf(&rows, 0, alleles, samples, ploidy, width, 1 + head[4], head[5] & 1);
        bf_rows_free(&rows);
        bf_planes_free(&packed);
    }
    free(alleles);
}

static void
check_format(const uint8_t *data, uint64_t size, const uint8_t *head)
{
    static const char CODES[] = "?bBhHiIqQfs", PER[] = { 0, 'A', 'R', 'G' };
    format_case c = { .code = CODES[head[1] % 11],
        .per = PER[head[2] % 4],
        .num_values = 1 + head[3],
        .num_alleles = 1 + head[4] % 32,
        .ploidy = 1 + head[5] % 5 };
    uint64_t each = (uint64_t) c.num_values * bf_bcf_stored_bytes(c.code);
    uint8_t *values = case_copy(data, size);

    c.num_samples = (uint32_t) (size / each);
    /* Often what is missing or none. */
    for (uint64_t i = 0; i + 8 <= size && !(head[6] & 0x80); i += 8) {
        uint64_t none = c.code == 'f' ? 0x7f8000027f800002 : 0xfffffffffffffffe;

        if (data[i] % 3 == 0) {
            none = data[i] % 2 ? none : c.code == 'f' ? 0x7f8000017f800001 : UINT64_MAX;
            memcpy(values + i, &none, sizeof(none));
        }
    }
    c.values = values;
    if (c.num_samples > 0) {
        case_check_format(&c);
    }
    free(values);
}

static void
check_sites(const uint8_t *data, uint64_t size, const uint8_t *head)
{
    uint64_t n = size / SITE < MOST_SITES ? size / SITE : MOST_SITES;
    int32_t *contigs = malloc(n * sizeof(*contigs)), *lengths = malloc(n * sizeof(*lengths));
    int64_t *positions = malloc(n * sizeof(*positions)), position = head[1];
    uint64_t *offsets = malloc((n + 1) * sizeof(*offsets));
    int32_t contig = head[2] % 3;

    offsets[0] = 1000;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *site = data + i * SITE;

        if (site[0] >= 250) {
            contig += site[0] == 250 ? -1 : 1;
            position = site[1];
        }
        position += (int64_t) site[1] << site[2] % 24;
        position -= site[3] == 77 ? site[4] << 3 : 0;
        contigs[i] = contig;
        positions[i] = position < INT32_MAX ? position : INT32_MAX;
        lengths[i] = (int32_t) ((uint32_t) site[4] << site[5] % 23);
        offsets[i + 1] = offsets[i] + 40 + ((uint64_t) site[6] << site[7] % 14);
    }
    case_check_csi(&(bf_csi_sites){ n, contigs, positions, lengths, offsets });
    free(offsets);
    free(lengths);
    free(positions);
    free(contigs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const CHECKS[])(const uint8_t *, uint64_t, const uint8_t *)
        = { check_calls, check_format, check_sites };

    if (size >= HEAD) {
        CHECKS[data[0] % 3](data + HEAD, size - HEAD, data);
    }
    return 0;
}
