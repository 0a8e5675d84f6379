/* Run the kernels of texts over a file of cases, one line of output each: status and hash.
 *
 * A case is three 32-bit little-endian numbers, then bytes: what they are, a number, and how
 * many there are. The kernels' buffers are of exactly the size that they are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgen_heads.h"
#include "bgi.h"
#include "bim.h"
#include "case.h"
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

/* Lines with each text twice, and BGEN's sample block. */
static void
write_samples(const bf_texts *texts, bf_error *err)
{
    bf_text parts[] = { { (const uint8_t *) "a", 1 }, { (const uint8_t *) "\t", 1 }, { NULL, 0 } };
    uint64_t size = bf_texts_lines_size(texts, parts, 3);
    uint8_t *out = get(size);

    bf_texts_write_lines(texts, parts, 3, out);
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
            { KEY, BF_INFO_INTEGER, width, integers, { 0 } },
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
            bf_pvar pvar = { *texts, *texts, *texts, *texts, positions, floats, texts, &info };

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

static bf_status
use(const bf_texts *texts, bf_error *err)
{
    uint64_t n = texts->count, size = 0;
    int64_t *positions = get(n * sizeof(*positions));
    uint32_t *sizes = get(n * sizeof(*sizes));
    bf_bim bim = { *texts, *texts, *texts, *texts, positions };
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
    write_samples(texts, err);
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
