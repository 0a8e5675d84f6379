#include "case_values.h"

#include <stdlib.h>

typedef struct {
    int whole, descending;
} values_way;

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* The bytes of a frame that the kernel has taken, each block decompressed as a whole and each
 * value put together from its bytes. Blocks that cannot be decompressed are left at 0xee. */
static uint8_t *
naive_decode(const uint8_t *frame, uint32_t frame_size)
{
    uint32_t raw = get_u32(frame + 4), block_size = get_u32(frame + 8);
    int memcpyed = frame[2] >> 1 & 1, shuffled = frame[2] & 1;
    uint8_t *out = malloc(raw), *block = malloc(block_size);

    memset(out, 0xee, raw);
    for (uint32_t start = 0, b = 0; start < raw; start += block_size, b++) {
        uint32_t size = raw - start < block_size ? raw - start : block_size;
        uint64_t at = memcpyed ? 0 : get_u32(frame + 16 + 4 * (uint64_t) b);
        uint64_t stored = at + 4 <= frame_size ? get_u32(frame + at) : 0;

        if (memcpyed) {
            memcpy(out + start, frame + 16 + start, size);
            continue;
        }
        if (at + 4 + stored > frame_size) {
            continue;
        }
        if (stored == size) {
            memcpy(block, frame + at + 4, size);
        } else if (ZSTD_decompress(block, size, frame + at + 4, stored) != size) {
            continue;
        }
        for (uint32_t i = 0; i < size; i++) {
            out[start + i] = block[shuffled ? i % 4 * (size / 4) + i / 4 : i];
        }
    }
    free(block);
    return out;
}

static bf_status
find_span(const values_geometry *g, const bf_frame_header *header, const uint8_t *index,
    uint64_t *start, uint64_t *stop, bf_error *err)
{
    uint64_t first = (uint64_t) g->first_row * g->row_values * 4;
    uint64_t last = ((uint64_t) g->last_row * g->row_values + g->num_values) * 4 - 1;
    bf_frame frame = { .header = *header, .offsets = index + BF_FRAME_HEADER_SIZE };
    bf_status status = bf_frame_extent(&frame, (uint32_t) (first / header->block_size),
        (uint32_t) (last / header->block_size), start, stop, err);

    if (status == BF_OK && (*start > *stop || *stop > g->frame_size)) {
        case_fail("a span lies outside its frame");
    }
    return status;
}

/* Rows into a buffer in ascending order, whichever order they are read in. */
static bf_status
read_rows(const values_geometry *g, const uint8_t *frame, values_way way, float *out)
{
    uint32_t count = g->last_row - g->first_row + 1;
    uint64_t raw = (uint64_t) g->chunk_rows * g->row_values * 4;
    uint64_t head_size = g->frame_size < 16 ? g->frame_size : 16, start = 0, stop = g->frame_size;
    uint8_t *head = case_copy(frame, head_size), *index = NULL, *span = NULL;
    uint32_t *rows = calloc(count, sizeof(*rows));
    bf_frame_header header;
    bf_values values;
    bf_error err = { .status = BF_OK };
    bf_status status
        = bf_frame_parse_header(head, head_size, raw, g->frame_size, 4, &header, &err);

    for (uint32_t i = 0; i < count; i++) {
        rows[i] = way.descending ? g->last_row - i : g->first_row + i;
    }
    if (status == BF_OK) {
        index = case_copy(frame, bf_frame_index_size(&header));
        status = way.whole ? BF_OK : find_span(g, &header, index, &start, &stop, &err);
    }
    if (status == BF_OK) {
        bf_frame_source source = { .index = index,
            .index_size = bf_frame_index_size(&header),
            .span = span = case_copy(frame + start, stop - start),
            .span_start = start,
            .span_size = stop - start,
            .size = g->frame_size };

        status = bf_values_init(&values, g->chunk_rows, g->row_values, 4, &err);
        if (status == BF_OK) {
            status = bf_values_read(&values, &source, rows, count, g->num_values,
                (uint8_t *) out, 4 * (uint64_t) g->num_values, &err);
        }
        bf_values_free(&values);
    }
    if (status != BF_OK && (err.detail == NULL || err.status != status)) {
        case_fail("an error does not tell what it is");
    }
    for (uint32_t i = 0; way.descending && i < count / 2; i++) {
        for (uint32_t k = 0; k < g->num_values; k++) {
            float *a = out + (uint64_t) i * g->num_values + k;
            float *b = out + (uint64_t) (count - 1 - i) * g->num_values + k;
            uint8_t kept[4];

            memcpy(kept, a, 4);
            memcpy(a, b, 4);
            memcpy(b, kept, 4);
        }
    }
    free(rows);
    free(span);
    free(index);
    free(head);
    return status;
}

static void
check_naive(const values_geometry *g, const uint8_t *frame, const float *found)
{
    uint8_t *all = naive_decode(frame, g->frame_size);

    for (uint32_t row = g->first_row; row <= g->last_row; row++) {
        if (memcmp(found + (uint64_t) (row - g->first_row) * g->num_values,
                all + (uint64_t) row * g->row_values * 4, (uint64_t) g->num_values * 4)
            != 0) {
            case_fail("values differ from those of a naive reader");
        }
    }
    free(all);
}

case_result
case_check_values(const values_geometry *g, const uint8_t *frame)
{
    uint64_t size = (uint64_t) (g->last_row - g->first_row + 1) * g->num_values * 4;
    uint8_t *exact = case_copy(frame, g->frame_size);
    float *first = malloc(size), *other = malloc(size);
    case_result result = { .hash = 0 };

    result.status = read_rows(g, exact, (values_way){ .whole = 1 }, first);
    if (result.status == BF_OK) {
        check_naive(g, exact, first);
        result.hash = case_hash((const uint8_t *) first, size);
    }
    for (int way = 0; way < 2; way++) {
        bf_status status
            = read_rows(g, exact, (values_way){ .whole = way, .descending = way }, other);

        if (result.status == BF_OK && status == BF_ERR_OFFSET && !way
            && !case_table_is_sound(exact, g->frame_size)) {
            continue;
        }
        if ((status == BF_OK) != (result.status == BF_OK)
            || (status == BF_OK && memcmp(first, other, size) != 0)) {
            case_fail("values read in another way differ");
        }
    }
    free(other);
    free(first);
    free(exact);
    return result;
}
