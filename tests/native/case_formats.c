#include "case_formats.h"

#include <stdlib.h>

#include "bcf.h"
#include "bgzf.h"
#include "case.h"

enum { HEAD_SIZE = 40, BEFORE = 33, MIN_SHIFT = 14 };

static const uint8_t KEY[] = { 0x11, 200 };

/* An integer of a store, as memory has it; whether it is signed. */
static int64_t
naive_load(const uint8_t *p, char code, int *beyond)
{
    union {
        uint8_t u1;
        int8_t i1;
        uint16_t u2;
        int16_t i2;
        uint32_t u4;
        int32_t i4;
        uint64_t u8;
        int64_t i8;
    } x = { .u8 = 0 };
    int64_t value;

    memcpy(&x, p, bf_bcf_stored_bytes(code));
    value = code == '?'   ? x.u1 != 0
            : code == 'B' ? x.u1
            : code == 'b' ? x.i1
            : code == 'H' ? x.u2
            : code == 'h' ? x.i2
            : code == 'I' ? x.u4
            : code == 'i' ? x.i4
            : code == 'q' ? x.i8
                          : (int64_t) (x.u8 >> 1);
    *beyond = code == 'Q' ? x.u8 > INT32_MAX : value < -2147483640LL || value > INT32_MAX;
    return code == 'Q' ? (int64_t) (x.u8 & INT64_MAX) : value;
}

static uint32_t
naive_count(const format_case *c)
{
    uint64_t n = c->num_alleles, count = c->num_values, ploidy = c->ploidy < 2 ? 2 : c->ploidy;

    if (c->per == 'A') {
        count = n < 2 ? 1 : n - 1;
    } else if (c->per == 'R') {
        count = n;
    } else if (c->per == 'G') {
        /* One more kind of allele at a time: those with k of it. */
        uint64_t ways[64] = { 1 };

        for (uint64_t a = 0; a < n; a++) {
            for (uint64_t p = 1; p <= ploidy; p++) {
                ways[p] += ways[p - 1];
                ways[p] = ways[p] > 1 << 20 ? 1 << 20 : ways[p];
            }
        }
        count = ways[ploidy];
    }
    return (uint32_t) (count < c->num_values ? count : c->num_values);
}

/* Check a sample's integers. Returns whether they can be shown. */
static int
check_ints(const format_case *c, const uint8_t *own, uint32_t count, const uint8_t *out)
{
    unsigned size = bf_bcf_stored_bytes(c->code);
    unsigned to = c->code == '?' ? 1 : c->code == 'b' || c->code == 'B' ? 2 : 4;
    int is_signed = c->code == 'b' || c->code == 'h' || c->code == 'i' || c->code == 'q', beyond;
    uint32_t kept = count, missing = (uint32_t) 1 << (8 * to - 1);

    for (uint32_t k = 0; k < c->num_values; k++) {
        int64_t value = naive_load(own + (uint64_t) k * size, c->code, &beyond);

        if ((k < count && beyond) || (k >= count && is_signed && value != -1 && value != -2)) {
            return 0;
        }
    }
    while (is_signed && c->num_values > 1 && kept > 0
           && naive_load(own + (uint64_t) (kept - 1) * size, c->code, &beyond) == -2) {
        kept--;
    }
    for (uint32_t k = 0; out != NULL && k < count; k++) {
        int64_t value = naive_load(own + (uint64_t) k * size, c->code, &beyond);
        uint32_t bits = k >= kept                  ? missing + (k > 0)
                        : is_signed && value == -1 ? missing
                                                   : (uint32_t) value;

        for (unsigned i = 0; i < to; i++) {
            if (out[(uint64_t) k * to + i] != (uint8_t) (bits >> 8 * i)) {
                case_fail("a number of FORMAT differs from the naive encoder's");
            }
        }
    }
    return 1;
}

static int
check_floats(const format_case *c, const uint8_t *own, uint32_t count, const uint8_t *out)
{
    int ended = 0;

    for (uint32_t k = 0; k < c->num_values; k++) {
        uint32_t bits, found;

        memcpy(&bits, own + (uint64_t) k * 4, 4);
        if ((bits & 0x7f800000) == 0x7f800000 && (bits & 0x7fffff) != 0 && bits != 0x7f800002) {
            /* Any other NaN is missing. */
            bits = 0x7f800001;
        }
        if ((k >= count && bits != 0x7f800001 && bits != 0x7f800002)
            || (ended && bits != 0x7f800002)) {
            return 0;
        }
        ended = bits == 0x7f800002;
        if (out != NULL && k < count) {
            memcpy(&found, out + (uint64_t) k * 4, 4);
            if (found != (ended && k == 0 ? 0x7f800001 : bits)) {
                case_fail("a float of FORMAT differs from the naive encoder's");
            }
        }
    }
    return 1;
}

static void
check_put(const format_case *c, const bf_bcf_format *format, const uint8_t *values, uint64_t size)
{
    uint32_t count = naive_count(c);
    uint64_t step = (uint64_t) c->num_values * bf_bcf_stored_bytes(c->code);
    unsigned type = count < 15 ? 1 : count <= INT8_MAX ? 3 : count <= INT16_MAX ? 4 : 6;
    unsigned to = c->code == '?' || c->code == 's' ? 1 : c->code == 'b' || c->code == 'B' ? 2 : 4;
    uint64_t head_offsets[2] = { BEFORE, BEFORE + HEAD_SIZE };
    uint64_t offsets[2] = { 7, 7 + HEAD_SIZE + size };
    uint8_t *heads = calloc(BEFORE + HEAD_SIZE, 1), *out = calloc(HEAD_SIZE + size, 1);
    bf_bcf encoder = { .formats = format,
        .num_formats = 1,
        .heads = heads,
        .heads_size = BEFORE + HEAD_SIZE,
        .head_offsets = head_offsets,
        .offsets = offsets,
        .num_records = 1 };
    bf_bcf_values given = { .values = values,
        .size = c->num_samples * step,
        .num_samples = c->num_samples,
        .ploidy = c->ploidy,
        .num_records = 1 };
    bf_error err = { .status = BF_OK, .row = -1, .sample = -1 };
    int64_t wrong = -1;
    bf_status status;

    heads[BEFORE + 26] = (uint8_t) c->num_alleles;
    heads[BEFORE + 27] = (uint8_t) (c->num_alleles >> 8);
    if (size != sizeof(KEY) + type + (uint64_t) c->num_samples * count * to
        || bf_bcf_data_size(&encoder, c->num_samples, c->ploidy, c->num_alleles) != size) {
        case_fail("a field of FORMAT is of another size");
    }
    status = bf_bcf_put_format(&encoder, 0, &given, out, HEAD_SIZE + size, &err);
    for (uint64_t s = 0; s < c->num_samples; s++) {
        const uint8_t *own = values + s * step;
        const uint8_t *shown = status != BF_OK
            ? NULL
            : out + HEAD_SIZE + sizeof(KEY) + type + s * count * to;
        int fits = c->code == 's'   ? shown == NULL || memcmp(shown, own, count) == 0
                   : c->code == 'f' ? check_floats(c, own, count, shown)
                                    : check_ints(c, own, count, shown);

        if (!fits && wrong < 0) {
            wrong = (int64_t) s;
        }
    }
    if ((status == BF_OK) != (wrong < 0)
        || (wrong >= 0 && (status != BF_ERR_ALLELE || err.sample != wrong || err.row != 0))) {
        case_fail("a field of FORMAT is made that cannot be, or the other way round");
    }
    if (status == BF_OK && memcmp(out + HEAD_SIZE, KEY, sizeof(KEY)) != 0) {
        case_fail("a field of FORMAT begins otherwise");
    }
    /* Values, records and heads of others are refused. */
    given.size--;
    if (bf_bcf_put_format(&encoder, 0, &given, out, HEAD_SIZE + size, &err) != BF_ERR_ARGUMENT) {
        case_fail("values of another shape are taken");
    }
    given.size++;
    if (bf_bcf_put_format(&encoder, 1, &given, out, HEAD_SIZE + size, &err) != BF_ERR_ARGUMENT
        || bf_bcf_put_format(&encoder, 0, &given, out, HEAD_SIZE + size - 1, &err)
               != BF_ERR_ARGUMENT) {
        case_fail("a record of another size is taken");
    }
    encoder.heads_size--;
    if (bf_bcf_put_format(&encoder, 0, &given, out, HEAD_SIZE + size, &err) != BF_ERR_ARGUMENT) {
        case_fail("heads of other records are taken");
    }
    free(out);
    free(heads);
}

void
case_check_format(const format_case *c)
{
    uint64_t stored
        = (uint64_t) c->num_samples * c->num_values * bf_bcf_stored_bytes(c->code);
    uint8_t *values = case_copy(c->values, stored), *key = case_copy(KEY, sizeof(KEY));
    bf_bcf_format format = { .code = c->code,
        .per = c->code == 's' ? 0 : c->per,
        .num_values = c->num_values,
        .key = key,
        .key_size = sizeof(KEY) };
    format_case own = *c;
    uint32_t count;

    own.per = format.per;
    count = bf_bcf_format_count(&format, c->num_alleles, c->ploidy);
    if (count != naive_count(&own)) {
        case_fail("a field of FORMAT has another number of values");
    }
    check_put(&own, &format, values, bf_bcf_format_size(&format, c->num_samples, count));
    free(key);
    free(values);
}

static uint64_t
get_number(const uint8_t *p, unsigned width)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < width; i++) {
        number |= (uint64_t) p[i] << 8 * i;
    }
    return number;
}

/* A contig's bins in an index, n of them. */
typedef struct {
    const uint8_t *at;
    uint64_t n;
} bins;

static const uint8_t *
find_bin(bins all, uint64_t wanted)
{
    const uint8_t *at = all.at;

    for (uint64_t i = 0; i < all.n; i++) {
        if (get_number(at, 4) == wanted) {
            return at;
        }
        at += 16 + 16 * get_number(at + 12, 4);
    }
    return NULL;
}

/* Where htslib begins to read for a region from a position on. */
static uint64_t
least_offset(bins all, unsigned levels, uint64_t start)
{
    uint64_t bin = (((uint64_t) 1 << 3 * levels) - 1) / 7 + (start >> MIN_SHIFT);
    const uint8_t *found = NULL;

    while (bin > 0 && (found = find_bin(all, bin)) == NULL) {
        uint64_t parent = (bin - 1) >> 3;

        bin = bin > (parent << 3) + 1 ? bin - 1 : parent;
    }
    found = bin == 0 ? find_bin(all, 0) : found;
    return found == NULL ? 0 : get_number(found + 4, 8);
}

/* Whether a record is in a chunk of a bin that may have sites of a region. */
static int
is_found(bins all, unsigned levels, uint64_t start, uint64_t last, uint64_t offset)
{
    for (unsigned depth = 0; depth <= levels; depth++) {
        unsigned shift = MIN_SHIFT + 3 * (levels - depth);
        uint64_t first = (((uint64_t) 1 << 3 * depth) - 1) / 7;

        for (uint64_t bin = first + (start >> shift); bin <= first + (last >> shift); bin++) {
            const uint8_t *at = find_bin(all, bin);

            for (uint64_t c = 0; at != NULL && c < get_number(at + 12, 4); c++) {
                const uint8_t *chunk = at + 16 + 16 * c;

                if (get_number(chunk, 8) <= offset && offset < get_number(chunk + 8, 8)) {
                    return 1;
                }
            }
        }
    }
    return 0;
}

static bins
bins_of(const uint8_t *data, const uint8_t *end, uint32_t contig)
{
    const uint8_t *at = data + 20;
    bins found = { NULL, 0 };

    for (uint32_t i = 0; i <= contig; i++) {
        found = (bins){ at + 4, get_number(at, 4) };
        at += 4;
        for (uint64_t b = 0; b < found.n; b++) {
            at += 16 + 16 * get_number(at + 12, 4);
            if (at > end) {
                case_fail("an index ends within a bin");
            }
        }
    }
    return found;
}

static uint64_t
virtual_of(uint64_t at)
{
    return (at / BF_BGZF_PAYLOAD * BF_BGZF_BLOCK) << 16 | at % BF_BGZF_PAYLOAD;
}

static void
check_index(const bf_csi *index, const bf_csi_sites *sites, uint64_t count)
{
    uint64_t size = bf_csi_size(index);
    uint8_t *data = malloc(size);
    unsigned levels;

    bf_csi_write(index, data);
    levels = (unsigned) get_number(data + 8, 4);
    for (uint64_t i = 0; i < count; i++) {
        bins all = bins_of(data, data + size, (uint32_t) sites->contigs[i]);
        uint64_t start = sites->positions[i] > 0 ? (uint64_t) sites->positions[i] - 1 : 0;
        uint64_t last = start + (sites->lengths[i] > 0 ? (uint64_t) sites->lengths[i] : 1) - 1;
        uint64_t offset = virtual_of(sites->offsets[i]), ends[] = { start, last };

        for (unsigned k = 0; k < 2; k++) {
            if (!is_found(all, levels, ends[k], ends[k], offset)
                || least_offset(all, levels, ends[k]) > offset) {
                case_fail("a site is not found by the index");
            }
        }
    }
    free(data);
}

/* Of an index: others are refused. */
#define NUM_CONTIGS 200

void
case_check_csi(const bf_csi_sites *sites)
{
    bf_error err = { .status = BF_OK };
    bf_csi index;
    uint64_t count = 0, half = sites->count / 2;
    int in_order = 1;
    bf_csi_sites first = *sites, second = *sites;

    for (; count < sites->count && in_order; count += in_order) {
        int64_t before = count > 0 ? sites->positions[count - 1] : 0;

        for (uint64_t i = 0; i + 1 < count; i++) {
            in_order &= sites->contigs[i] != sites->contigs[count]
                        || sites->contigs[count - 1] == sites->contigs[count];
        }
        in_order &= sites->contigs[count] >= 0 && sites->contigs[count] < NUM_CONTIGS
                    && (count == 0 || sites->contigs[count - 1] != sites->contigs[count]
                        || (before > 1 ? before : 1)
                               <= (sites->positions[count] > 1 ? sites->positions[count] : 1));
    }
    bf_csi_init(&index, NUM_CONTIGS);
    first.count = half;
    second.count = sites->count - half;
    second.contigs += half;
    second.positions += half;
    second.lengths += half;
    second.offsets += half;
    if (bf_csi_add(&index, &first, &err) == BF_OK) {
        (void) bf_csi_add(&index, &second, &err);
        err.row += err.row >= 0 ? (int64_t) half : 0;
    }
    if (err.status == BF_OK ? count != sites->count
                            : err.status != BF_ERR_ARGUMENT || err.row != (int64_t) count) {
        case_fail("an index takes sites that are out of order, or the other way round");
    }
    if (err.status == BF_OK && bf_csi_finish(&index, &err) == BF_OK) {
        check_index(&index, sites, count);
    }
    bf_csi_free(&index);
}
