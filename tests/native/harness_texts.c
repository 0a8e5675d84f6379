/* Run the kernels of texts over a file of cases, one line of output each: status and hash.
 *
 * A case is three 32-bit little-endian numbers, then bytes: what they are, a number, and how
 * many there are. The kernels' buffers are of exactly the size that they are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bcf_heads.h"
#include "bgen_heads.h"
#include "bgi.h"
#include "bim.h"
#include "case.h"
#include "floats.h"
#include "pvar.h"
#include "variant_ids.h"

/* A chunk of vlen-utf8 of so many texts, of which every file's text is made; or rows of a
 * .bgi, in so many runs of about one length. */
enum { CHUNK = 0, ROWS = 1 };

#define PAGES (3 * BF_BTREE_PAGE)

static uint64_t hash;

static void
add(const uint8_t *data, uint64_t size)
{
    hash = hash * 31 + case_hash(data, size);
}

static void *
get(uint64_t size)
{
    void *block = malloc(size);

    if (block == NULL) {
        case_fail("out of memory");
    }
    return block;
}

static bf_status
merge(const uint8_t *rows, uint64_t size, uint32_t num_runs, bf_error *err)
{
    bf_bgi_run *runs = get(num_runs * sizeof(*runs));
    uint8_t *root = get(BF_BTREE_PAGE);
    bf_bgi_merge state;
    bf_status status;

    for (uint32_t i = 0; i < num_runs; i++) {
        runs[i] = (bf_bgi_run) { size * i / num_runs, size * (i + 1) / num_runs };
    }
    status = bf_bgi_merge_init(&state, rows, runs, num_runs, 4, err);
    while (status == BF_OK && !state.done) {
        status = bf_bgi_merge_some(&state, PAGES, root, err);
        add(state.tree.out, state.tree.out_size);
        state.tree.out_size = 0;
    }
    if (status == BF_OK) {
        add(root, BF_BTREE_PAGE);
    }
    bf_btree_free(&state.tree);
    free(root);
    free(runs);
    return status;
}

static bf_status
write_bgi(const bf_texts *texts, const int64_t *positions, bf_error *err)
{
    uint64_t n = texts->count, size = 0, *offsets = get((n + 1) * sizeof(*offsets));
    uint32_t *order = get(n * sizeof(*order)), *scratch = get(n * sizeof(*scratch));
    bf_bgi columns = { *texts, *texts, *texts, *texts, positions, offsets };
    uint8_t *rows = get(bf_bgi_room(&columns)), *exact;
    bf_status status;

    for (uint64_t i = 0; i <= n; i++) {
        offsets[i] = i * i * 1000;
    }
    status = bf_bgi_write(&columns, order, scratch, rows, &size, err);
    if (status == BF_OK) {
        exact = get(size);
        memcpy(exact, rows, size);
        add(exact, size);
        /* One run: rows are in order. */
        status = merge(exact, size, 1, err);
        free(exact);
    }
    free(rows);
    free(scratch);
    free(order);
    free(offsets);
    return status;
}

/* IDs of all variants, the last one first, of every kind of part. */
static void
write_ids(const bf_texts *texts, const int64_t *positions)
{
    static const bf_id_part PARTS[] = { { BF_ID_TEXT, { (const uint8_t *) "id", 2 } },
        { BF_ID_CHROM, { NULL, 0 } }, { BF_ID_POSITION, { NULL, 0 } }, { BF_ID_REF, { NULL, 0 } },
        { BF_ID_ALT, { NULL, 0 } }, { BF_ID_FIRST, { NULL, 0 } }, { BF_ID_SECOND, { NULL, 0 } } };
    uint64_t n = texts->count, room, *rows = get(n * sizeof(*rows));
    uint64_t *starts = get(n * sizeof(*starts));
    uint32_t *sizes = get(n * sizeof(*sizes));
    bf_variant_ids columns = { *texts, *texts, *texts, positions, PARTS, 7 };
    bf_error err = { BF_OK, -1, -1, 0, -1, NULL };
    uint8_t *out;

    for (uint64_t i = 0; i < n; i++) {
        rows[i] = n - 1 - i;
    }
    if (bf_variant_ids_room(&columns, rows, n, &room, &err) != BF_OK) {
        case_fail("IDs are not made");
    }
    out = get(room);
    bf_variant_ids_write(&columns, rows, n, out, starts, sizes);
    add(out, n > 0 ? starts[n - 1] + sizes[n - 1] : 0);
    free(out);
    free(sizes);
    free(starts);
    free(rows);
}

/* Rows with each text twice, and BGEN's sample block. */
static void
write_samples(const bf_texts *texts, bf_error *err)
{
    bf_texts columns[] = { *texts, *texts };
    uint64_t size = bf_texts_rows_size(columns, 2);
    uint8_t *out = get(size);

    bf_texts_write_rows(columns, 2, '\t', out);
    add(out, size);
    free(out);
    size = bf_texts_size(texts) + 2 * texts->count;
    out = get(size);
    if (bf_bgen_samples_write(texts, out, err) == BF_OK) {
        add(out, size);
    }
    free(out);
}

/* Lines of a .pvar of all columns, whose INFO is made of fields of every kind: texts, and numbers
 * that are made of the texts' sizes and bytes, two a variant where there are as many. */
static void
write_pvar(const bf_texts *texts, const int64_t *positions, bf_error *err)
{
    static const bf_text KEY = { (const uint8_t *) "KEY", 3 };
    uint64_t n = texts->count, half = n / 2, size = 0, *starts = get(n * sizeof(*starts));
    uint32_t *sizes = get(n * sizeof(*sizes));
    float *floats = get(n * sizeof(*floats));
    int64_t *integers = get(n * sizeof(*integers));
    uint8_t *flags = get(n), *out, *exact;
    bf_texts info = { .instead = (const uint8_t *) ".", .instead_size = 1 };

    for (uint64_t i = 0; i < n; i++) {
        bf_text text = bf_texts_get(texts, i);
        uint32_t bits = (uint32_t) case_hash(text.data, text.size);

        bits = i % 7 == 3 ? 0x7f800001 : i % 7 == 5 ? 0x7f800002 : bits;
        memcpy(&floats[i], &bits, sizeof(bits));
        integers[i] = i % 5 < 3 ? (int64_t) (i % 5) - 2 : (int64_t) case_hash(text.data, text.size);
        flags[i] = i % 3 == 0;
    }
    for (uint32_t width = 1; width <= 2; width++) {
        uint64_t count = width == 1 ? n : half;
        bf_info_field fields[] = { { KEY, BF_INFO_FLAG, 1, flags, { 0 } },
            { KEY, BF_INFO_INT64, width, integers, { 0 } },
            { KEY, BF_INFO_FLOAT, width, floats, { 0 } },
            { KEY, BF_INFO_TEXT, width, NULL, *texts } };

        fields[3].texts.count = count * width;
        out = get(bf_info_room(fields, 4, count));
        if (bf_info_write(fields, 4, count, out, starts, sizes, err) != BF_OK) {
            case_fail("INFO is not made");
        }
        size = count > 0 ? starts[count - 1] + sizes[count - 1] : 0;
        exact = get(size);
        memcpy(exact, out, size);
        free(out);
        add(exact, size);
        info.data = exact;
        info.data_size = size;
        info.starts = starts;
        info.sizes = sizes;
        info.count = count;
        if (width == 1) {
            bf_pvar pvar = { *texts, *texts, *texts, *texts, positions, floats, texts, &info, texts };

            out = get(bf_pvar_room(&pvar));
            if (bf_pvar_write(&pvar, out, &size, err) == BF_OK) {
                add(out, size);
            }
            free(out);
        }
        free(exact);
    }
    free(flags);
    free(integers);
    free(floats);
    free(sizes);
    free(starts);
}

static uint32_t
get_bcf_int(const uint8_t **at, const uint8_t *end, unsigned type)
{
    uint32_t number = 0;
    unsigned width = type == 3 ? 4 : type;

    if ((uint64_t) (end - *at) < width) {
        case_fail("a BCF head ends within a number");
    }
    for (unsigned i = 0; i < width; i++) {
        number |= (uint32_t) *(*at)++ << 8 * i;
    }
    return number;
}

/* Pass over a value, by its type; returns that, and how many there are. */
static unsigned
skip_bcf_value(const uint8_t **at, const uint8_t *end, uint32_t *count)
{
    static const unsigned WIDTHS[16] = { 0, 1, 2, 4, 0, 4, 0, 1 };
    unsigned type = get_bcf_int(at, end, 1), size;

    *count = type >> 4;
    if (*count == 15) {
        size = get_bcf_int(at, end, 1);
        *count = get_bcf_int(at, end, size & 15);
    }
    if ((uint64_t) (end - *at) < (uint64_t) *count * WIDTHS[type & 15]) {
        case_fail("a BCF value is longer than its head");
    }
    *at += *count * WIDTHS[type & 15];
    return type & 15;
}

/* Follow a head by its own account to its end. */
static void
walk_bcf_head(const uint8_t *head, uint32_t size)
{
    const uint8_t *at = head, *end = head + size;
    uint32_t num_info, num_alleles, count;

    if (size < 32 || get_bcf_int(&at, end, 3) != size - 8 || get_bcf_int(&at, end, 3) != 77) {
        case_fail("a BCF head is of another size than it says");
    }
    at = head + 24;
    num_info = get_bcf_int(&at, end, 2);
    num_alleles = get_bcf_int(&at, end, 2);
    at = head + 32;
    for (uint32_t i = 0; i <= num_alleles; i++) {
        if (skip_bcf_value(&at, end, &count) != 7) {
            case_fail("an ID or allele of a BCF head is no text");
        }
    }
    (void) skip_bcf_value(&at, end, &count);
    for (uint32_t i = 0; i < num_info; i++) {
        unsigned type = skip_bcf_value(&at, end, &count);

        if (count != 1 || type < 1 || type > 3) {
            case_fail("a key of a BCF head is no number");
        }
        (void) skip_bcf_value(&at, end, &count);
    }
    if (at != end) {
        case_fail("a BCF head ends elsewhere");
    }
}

/* Heads of BCF records of half as many variants, of two alleles, with a field of each kind. */
static void
write_bcf(const bf_texts *texts, const int64_t *positions)
{
    static const int32_t NUMBERS[] = { -1, -2, 0, 127, 128, -120, -121, 32767, 32768, -32760, -32761,
        INT32_MAX, -INT32_MAX + 7, 5 };
    static const uint32_t FLOATS[] = { 0x7f800001, 0x7f800002, 0, 0x3fc00000, 0x7fc00000 };
    static const uint32_t KEYS[] = { 0, 127, 40000 };
    uint64_t n = texts->count / 2, used = 0, room = 0, at = 0;
    int32_t *numbers = get(3 * n * sizeof(*numbers)), *small = get(n * sizeof(*small));
    uint32_t *floats = get(4 * n * sizeof(*floats)), *sizes = get(n * sizeof(*sizes));
    uint8_t *flags = get(3 * n), *out;
    bf_texts one = *texts, two = *texts;
    bf_error err = { BF_OK, -1, -1, 0, -1, NULL };

    one.count = n;
    two.count = 2 * n;
    for (uint64_t i = 0; i < 4 * n; i++) {
        uint64_t mixed = (i * 2654435761U) >> 7;

        floats[i] = FLOATS[mixed % 5];
        if (i < 3 * n) {
            numbers[i] = NUMBERS[mixed % 14];
            flags[i] = mixed & 1;
        }
        if (i < n) {
            small[i] = (int32_t) (mixed % 100);
        }
    }
    bf_bcf_field fields[] = { { .kind = BF_BCF_FLAG, .key = 3, .width = 1, .values = flags },
        { .kind = BF_BCF_INT, .key = 4, .width = 3, .values = numbers },
        { .kind = BF_BCF_INT, .key = 300, .width = 1, .values = numbers },
        { .kind = BF_BCF_FLOAT, .key = 70000, .width = 4, .values = floats },
        { .kind = BF_BCF_TEXT, .key = 5, .width = 1, .texts = one },
        { .kind = BF_BCF_TEXT, .key = 6, .width = 2, .texts = two } };
    bf_bcf_heads heads = { .count = n,
        .contigs = small,
        .positions = positions,
        .lengths = small,
        .qualities = floats,
        .ids = one,
        .alleles = two,
        .max_alleles = 2,
        .filters = flags,
        .num_filters = 3,
        .filter_keys = KEYS,
        .fields = fields,
        .num_fields = 6,
        .num_samples = 9,
        .num_formats = 1,
        .data_size = 77 };

    if (bf_bcf_heads_write(&heads, NULL, 0, sizes, &room, &err) != BF_OK) {
        if (err.row < 0 || (uint64_t) err.row >= n || positions[err.row] <= INT32_MAX) {
            case_fail("BCF heads are refused");
        }
        room = 0;
    } else {
        out = get(room);
        if (bf_bcf_heads_write(&heads, out, room, sizes, &used, &err) != BF_OK || used != room) {
            case_fail("BCF heads are of another size when they are written");
        }
        for (uint64_t i = 0; i < n; at += sizes[i++]) {
            walk_bcf_head(out + at, sizes[i]);
        }
        add(out, room);
        /* Where there is too little room, nothing is written beyond it. */
        free(out);
        out = get(room / 2);
        (void) bf_bcf_heads_write(&heads, out, room / 2, sizes, &used, &err);
        free(out);
    }
    free(flags);
    free(sizes);
    free(floats);
    free(small);
    free(numbers);
}

/* Centimorgans of any bits, each of as many bytes as the room for one. */
static void
write_centimorgans(const bf_texts *texts)
{
    for (uint64_t i = 0; i < texts->count; i++) {
        bf_text text = bf_texts_get(texts, i);
        uint64_t bits = case_hash(text.data, text.size) * 0x9e3779b97f4a7c15u;
        uint8_t *out = get(BF_FLOAT_SIZE);
        double number;

        memcpy(&number, &bits, sizeof(number));
        add(out, (uint64_t) (bf_put_centimorgans(out, number) - out));
        free(out);
    }
}

static bf_status
use(const bf_texts *texts, bf_error *err)
{
    uint64_t n = texts->count, size = 0;
    int64_t *positions = get(n * sizeof(*positions));
    uint32_t *sizes = get(n * sizeof(*sizes));
    bf_bim bim = { *texts, *texts, *texts, *texts, positions, texts };
    bf_bgen_heads heads = { *texts, *texts, *texts, *texts, *texts, positions };
    uint8_t *out;
    bf_status status;

    for (uint64_t i = 0; i < n; i++) {
        positions[i] = (int64_t) (i * 1000003 % UINT32_MAX);
    }
    out = get(bf_bim_room(&bim));
    if (bf_bim_write(&bim, out, &size, err) == BF_OK) {
        add(out, size);
    }
    free(out);
    out = get(bf_bgen_heads_size(&heads));
    if (bf_bgen_heads_write(&heads, out, sizes, err) == BF_OK) {
        add(out, bf_bgen_heads_size(&heads));
    }
    free(out);
    write_pvar(texts, positions, err);
    write_ids(texts, positions);
    write_bcf(texts, positions);
    write_samples(texts, err);
    write_centimorgans(texts);
    status = write_bgi(texts, positions, err);
    free(sizes);
    free(positions);
    return status;
}

static bf_status
read_chunk(const uint8_t *chunk, uint32_t size, uint32_t count, bf_error *err)
{
    uint64_t *starts = get(count * sizeof(*starts));
    uint32_t *sizes = get(count * sizeof(*sizes));
    bf_texts texts = { chunk, size, starts, sizes, count, (const uint8_t *) ".", 1 };
    bf_status status = bf_texts_from_vlen(chunk, size, count, 0, starts, sizes, err);

    if (status == BF_OK) {
        if (bf_texts_check(&texts, err) != BF_OK) {
            case_fail("texts that were found are not taken");
        }
        status = use(&texts, err);
    }
    free(sizes);
    free(starts);
    return status;
}

int
main(int argc, char **argv)
{
    uint32_t numbers[3];
    uint8_t *data;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (file == NULL) {
        fprintf(stderr, "usage: harness_texts CASES\n");
        return 2;
    }
    while (case_read(file, numbers, 3, &data)) {
        bf_error err = { BF_OK, -1, -1, 0, -1, NULL };
        bf_status status;

        hash = 0;
        status = numbers[0] == CHUNK ? read_chunk(data, numbers[2], numbers[1], &err)
                                     : merge(data, numbers[2], numbers[1], &err);
        printf("%d %016llx\n", (int) status, (unsigned long long) hash);
        fflush(stdout);
        free(data);
    }
    fclose(file);
    return 0;
}
