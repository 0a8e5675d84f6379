/* See case_files.h. */
#include "case_files.h"

#include <stdlib.h>
#include <string.h>

#include "bgen_heads.h"
#include "bgi.h"
#include "bim.h"
#include "case.h"
#include "case_texts.h"
#include "floats.h"
#include "variant_ids.h"

#define PAGES (3 * BF_BTREE_PAGE)

static uint64_t hash;

static void
add(const uint8_t *data, uint64_t size)
{
    hash = hash * 31 + case_hash(data, size);
}

static void
add_hash(uint64_t other)
{
    hash = hash * 31 + other;
}

static bf_status
merge(const uint8_t *rows, uint64_t size, uint32_t num_runs, bf_error *err)
{
    bf_bgi_run *runs = case_block(num_runs * sizeof(*runs));
    uint8_t *root = case_block(BF_BTREE_PAGE);
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
    uint64_t n = texts->count, size = 0, *offsets = case_block((n + 1) * sizeof(*offsets));
    uint32_t *order = case_block(n * sizeof(*order)), *scratch = case_block(n * sizeof(*scratch));
    bf_bgi columns = { *texts, *texts, *texts, *texts, positions, offsets };
    uint8_t *rows = case_block(bf_bgi_room(&columns)), *exact;
    bf_status status;

    for (uint64_t i = 0; i <= n; i++) {
        offsets[i] = i * i * 1000;
    }
    status = bf_bgi_write(&columns, order, scratch, rows, &size, err);
    if (status == BF_OK) {
        exact = case_block(size);
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
    uint64_t n = texts->count, room, *rows = case_block(n * sizeof(*rows));
    uint64_t *starts = case_block(n * sizeof(*starts));
    uint32_t *sizes = case_block(n * sizeof(*sizes));
    bf_variant_ids columns = { *texts, *texts, *texts, positions, PARTS, 7 };
    bf_error err = { BF_OK, -1, -1, 0, -1, NULL };
    uint8_t *out;

    for (uint64_t i = 0; i < n; i++) {
        rows[i] = n - 1 - i;
    }
    if (bf_variant_ids_room(&columns, rows, n, &room, &err) != BF_OK) {
        case_fail("IDs are not made");
    }
    out = case_block(room);
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
    uint8_t *out = case_block(size);

    bf_texts_write_rows(columns, 2, '\t', out);
    add(out, size);
    free(out);
    size = bf_texts_size(texts) + 2 * texts->count;
    out = case_block(size);
    if (bf_bgen_samples_write(texts, out, err) == BF_OK) {
        add(out, size);
    }
    free(out);
}

/* Centimorgans of any bits, each of as many bytes as the room for one. */
static void
write_centimorgans(const bf_texts *texts)
{
    for (uint64_t i = 0; i < texts->count; i++) {
        bf_text text = bf_texts_get(texts, i);
        uint64_t bits = case_hash(text.data, text.size) * 0x9e3779b97f4a7c15u;
        uint8_t *out = case_block(BF_FLOAT_SIZE);
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
    int64_t *positions = case_block(n * sizeof(*positions));
    uint32_t *sizes = case_block(n * sizeof(*sizes));
    bf_bim bim = { *texts, *texts, *texts, *texts, positions, texts };
    bf_bgen_heads heads = { *texts, *texts, *texts, *texts, *texts, positions };
    uint8_t *out;
    bf_status status;

    for (uint64_t i = 0; i < n; i++) {
        positions[i] = (int64_t) (i * 1000003 % UINT32_MAX);
    }
    out = case_block(bf_bim_room(&bim));
    if (bf_bim_write(&bim, out, &size, err) == BF_OK) {
        add(out, size);
    }
    free(out);
    out = case_block(bf_bgen_heads_size(&heads));
    if (bf_bgen_heads_write(&heads, out, sizes, err) == BF_OK) {
        add(out, bf_bgen_heads_size(&heads));
    }
    free(out);
    add_hash(case_check_pvar(texts, positions));
    write_ids(texts, positions);
    add_hash(case_check_bcf_heads(texts, positions));
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
    uint64_t *starts = case_block(count * sizeof(*starts));
    uint32_t *sizes = case_block(count * sizeof(*sizes));
    bf_texts texts = { chunk, size, starts, sizes, count, (const uint8_t *) ".", 1 };
    bf_status status = bf_texts_from_vlen(chunk, size, count, 0, starts, sizes, err);

    add_hash(case_check_cells(chunk, size, count, 1 + count % 3));
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

bf_status
case_make_files(
    const uint8_t *chunk, uint32_t size, uint32_t count, uint64_t *made, bf_error *err)
{
    bf_status status;

    hash = 0;
    status = read_chunk(chunk, size, count, err);
    *made = hash;
    return status;
}

bf_status
case_merge_rows(
    const uint8_t *rows, uint64_t size, uint32_t num_runs, uint64_t *made, bf_error *err)
{
    bf_status status;

    hash = 0;
    status = merge(rows, size, num_runs, err);
    *made = hash;
    return status;
}
