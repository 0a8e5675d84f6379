#include "case.h"

#include <stdio.h>
#include <stdlib.h>

#include "case_bcf.h"
#include "case_bgen.h"
#include "case_count.h"

#define FNV_OFFSET 0xcbf29ce484222325ULL

typedef struct {
    int whole;    /* give the whole frame, not the span that is needed */
    int by_index; /* leave out the mask */
    uint64_t cache; /* bytes of a cache of blocks; 0: there is none */
} case_way;

_Noreturn void
case_fail(const char *message)
{
    fprintf(stderr, "%s\n", message);
    abort();
}

void *
case_block(uint64_t size)
{
    void *block = malloc(size);

    if (block == NULL && size > 0) {
        case_fail("out of memory");
    }
    return block;
}

uint8_t *
case_copy(const uint8_t *data, uint64_t size)
{
    uint8_t *copy = case_block(size);

    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

int
case_table_is_sound(const uint8_t *frame, uint32_t frame_size)
{
    uint64_t blocks = (get_u32(frame + 4) - 1) / get_u32(frame + 8) + 1;
    int memcpyed = frame[2] >> 1 & 1;

    for (uint64_t b = 0; b < blocks && !memcpyed; b++) {
        uint64_t offset = get_u32(frame + BF_FRAME_HEADER_SIZE + 4 * b);

        if (offset < BF_FRAME_HEADER_SIZE + 4 * blocks || offset + 4 > frame_size) {
            return 0;
        }
    }
    return 1;
}

int
case_read(FILE *file, uint32_t *numbers, unsigned count, uint8_t **frame)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t p[4];

        if (fread(p, 1, 4, file) != 4) {
            return 0;
        }
        numbers[i] = get_u32(p);
    }
    *frame = malloc(numbers[count - 1]);
    if (fread(*frame, 1, numbers[count - 1], file) != numbers[count - 1]) {
        case_fail("the file of cases ends within a frame");
    }
    return 1;
}

static uint32_t
make_index(uint32_t *index, uint32_t total, uint32_t kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < total; i++) {
        if (kind == GATHER_EVERY_THIRD && i % 3 == 1) {
            index[n++] = i;
        } else if (kind == GATHER_DESCENDING) {
            index[n++] = total - 1 - i;
        } else if (kind == GATHER_TWICE) {
            index[n++] = i;
            index[n++] = i;
        }
    }
    return n;
}

static int
get_bit(const uint8_t *plane, uint64_t bit)
{
    return plane[bit / 8] >> bit % 8 & 1;
}

static int8_t
get_allele(const bf_planes *planes, uint64_t bit)
{
    unsigned allele = 0;

    for (int k = 0; k < BF_NUM_PLANES; k++) {
        allele |= (unsigned) get_bit(bf_plane(planes, k), bit) << k;
    }
    return (int8_t) allele;
}

static void
add_hash(uint64_t *hash, const uint8_t *data, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        *hash = (*hash ^ data[i]) * 0x100000001b3ULL;
    }
}

uint64_t
case_hash(const uint8_t *data, uint64_t size)
{
    uint64_t hash = FNV_OFFSET;

    add_hash(&hash, data, size);
    return hash;
}

/* A format of two bits a call: the codes of 0, 1 and 2 alternative alleles, and a missing call's. */
typedef struct {
    bf_encode_record encode;
    const void *encoder;
    uint8_t codes[3], missing;
} two_bit_format;

static const bf_plink2 HARD_CALLS = { .field = BF_FIELD_GT, .calls = 1 };
static const two_bit_format TWO_BIT[] = { { bf_plink1_encode, NULL, { 3, 2, 0 }, 1 },
    { bf_plink2_encode, &HARD_CALLS, { 0, 1, 2 }, 3 } };

static unsigned
naive_code(const two_bit_format *format, const int8_t *call, uint32_t ploidy)
{
    int second = ploidy == 1 || call[1] == -2 ? call[0] : call[1];

    return call[0] < 0 || second < 0 ? format->missing : format->codes[call[0] + second];
}

static int
is_shown(const int8_t *alleles, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (alleles[i] > 1 || alleles[i] < -2) {
            return 0;
        }
    }
    return 1;
}

/* Encode the row that is in alleles too, and compare with a naive encoder. */
static void
check_record(bf_rows *rows, uint32_t number, const two_bit_format *format, const int8_t *alleles,
    uint32_t num_samples, uint32_t ploidy, uint64_t *hash)
{
    uint64_t size = ((uint64_t) num_samples + 3) / 4;
    uint8_t *record = malloc(size);
    int shown = is_shown(alleles, (uint64_t) num_samples * ploidy) && ploidy <= 2;
    bf_error err;
    bf_status status;

    if (size > 0) {
        memset(record, 0xee, size);
    }
    bf_extra extra = { 0 };
    bf_output output = { .out = record, .size = size, .record_size = size };

    status = bf_rows_encode(
        rows, &number, 1, &extra, format->encode, format->encoder, number, &output, &err);
    if ((status == BF_OK) != shown) {
        case_fail("a row is shown that cannot be, or the other way round");
    }
    if (status == BF_OK) {
        for (uint64_t s = 0; s < 4 * size; s++) {
            unsigned code
                = s < num_samples ? naive_code(format, alleles + s * ploidy, ploidy) : 0;

            if ((record[s / 4] >> 2 * (s % 4) & 3) != (int) code) {
                case_fail("a record differs from the naive encoder's");
            }
        }
        if (hash != NULL) {
            add_hash(hash, record, size);
        }
    } else if (ploidy <= 2 && (status != BF_ERR_ALLELE || err.row != number)) {
        case_fail("a row that cannot be shown is another error");
    }
    free(record);
}

/* The same of one ALT of the site, as if it had no other. */
static void
check_split(bf_rows *rows, uint32_t number, const int8_t *alleles, uint32_t num_samples,
    uint32_t ploidy)
{
    uint64_t n = (uint64_t) num_samples * ploidy;
    int8_t *shown = malloc(n);
    bf_split_alt *alts = calloc((size_t) number + 1, sizeof(*alts));
    uint16_t alt = (uint16_t) ((number + num_samples) % 7);
    uint16_t num_alleles = (uint16_t) (alt + 1 + number % 3);
    bf_split split = { .alts = alts,
        .num_records = (uint64_t) number + 1,
        .others_missing = number >> 1 & 1,
        .encode = TWO_BIT[number & 1].encode,
        .encoder = TWO_BIT[number & 1].encoder };
    two_bit_format format = TWO_BIT[number & 1];

    alts[number] = (bf_split_alt){ alt, num_alleles };
    for (uint64_t i = 0; i < n; i++) {
        int other = alt > 0 && alleles[i] > 0 && alleles[i] != alt && alleles[i] < num_alleles;
        int same = alt > 0 && alleles[i] > 0 && alleles[i] == alt;

        /* What the site does not have is shown in no record. */
        shown[i] = (int8_t) (other ? -split.others_missing : same ? 1 : alleles[i]);
    }
    format.encode = bf_split_encode;
    format.encoder = &split;
    check_record(rows, number, &format, shown, num_samples, ploidy, NULL);
    free(alts);
    free(shown);
}

static void
check_row(bf_rows *rows, uint32_t number, const bf_row *row, uint64_t *hash)
{
    uint64_t n = (uint64_t) row->num_samples * row->ploidy;
    int8_t *alleles = malloc(n);
    uint32_t num_samples;

    for (uint64_t i = 0; i < n; i++) {
        alleles[i] = get_allele(row->planes, i);
    }
    if (row->wide == is_shown(alleles, n)) {
        case_fail("a row is called wide that is not, or the other way round");
    }
    for (uint64_t bit = n; bit < (n + 63) / 64 * 64; bit++) {
        if (get_bit(row->planes->plane[BF_LOW_PLANE], bit)
            || get_bit(row->planes->plane[BF_SIGN_PLANE], bit)) {
            case_fail("a row is not zero after its last bit");
        }
    }
    add_hash(hash, (const uint8_t *) alleles, n);
    num_samples = row->num_samples;
    check_record(rows, number, &TWO_BIT[0], alleles, num_samples, row->ploidy, hash);
    check_record(rows, number, &TWO_BIT[1], alleles, num_samples, row->ploidy, NULL);
    check_split(rows, number, alleles, num_samples, row->ploidy);
    case_check_counts(rows, number, alleles, num_samples, row->ploidy);
    /* Not every kind of each row: that takes long. */
    if (num_samples > 0) {
        bgen_case c = { .field = BF_FIELD_GT,
            .bits = number & 1 ? 16 : 8,
            .haploid_as_diploid = number >> 1 & 1,
            .phased = (number >> 2 & 1) ^ (num_samples & 1),
            .num_samples = num_samples,
            .ploidy = row->ploidy,
            .alleles = alleles };

        case_check_bgen(rows, number, &c);
        case_check_bcf(rows, number, alleles, num_samples, row->ploidy, 1 + (number >> 1 & 1),
            row->wide ? 1 + (number * 37 + num_samples) % 130 : 1 + (number % 5 != 0),
            (number >> 2 & 1) ^ (num_samples & 1));
    }
    free(alleles);
}

static bf_status
read_rows(bf_rows *rows, const case_geometry *geometry, uint64_t *hash)
{
    for (uint32_t number = geometry->first_row; number <= geometry->last_row; number++) {
        bf_error err = { .status = BF_OK };
        bf_row row;
        bf_status status = bf_rows_read(rows, number, &row, &err);

        if (status != BF_OK) {
            if (err.detail == NULL || err.row != number || err.chunk >= rows->num_chunks) {
                case_fail("an error does not tell where it arose");
            }
            return status;
        }
        check_row(rows, number, &row, hash);
    }
    return BF_OK;
}

/* The span that the rows need, as a reader of ranges works it out. */
static bf_status
find_span(const case_geometry *g, const bf_frame_header *header, const uint8_t *index,
    uint64_t *start, uint64_t *stop)
{
    uint64_t row_size = (uint64_t) g->chunk_samples * g->ploidy;
    uint64_t first = g->first_row * row_size;
    uint64_t last = g->last_row * row_size + (uint64_t) g->num_samples * g->ploidy - 1;
    bf_frame frame = { .header = *header, .offsets = index + BF_FRAME_HEADER_SIZE };
    bf_error err;
    bf_status status = bf_frame_extent(&frame, (uint32_t) (first / header->block_size),
        (uint32_t) (last / header->block_size), start, stop, &err);

    if (status == BF_OK && (*start > *stop || *stop > g->frame_size)) {
        case_fail("a span lies outside its frame");
    }
    return status;
}

static bf_status
give_and_read(const case_geometry *g, const bf_frame_header *header, const uint8_t *frame,
    const bf_gather *gather, case_way way, uint64_t *hash)
{
    uint64_t index_size = bf_frame_index_size(header);
    uint8_t *index = case_copy(frame, index_size);
    uint8_t *span = NULL;
    uint64_t start = 0, stop = g->frame_size;
    uint32_t *num_samples = calloc(g->copies + 1, sizeof(*num_samples));
    bf_error err = { .status = BF_OK };
    bf_cache *cache = way.cache > 0 ? bf_cache_new(way.cache) : NULL;
    bf_rows rows;
    bf_status status;

    for (uint32_t c = 0; c < g->copies; c++) {
        num_samples[c] = g->num_samples;
    }
    num_samples[g->copies] = g->constant;
    status = bf_rows_init(&rows, g->chunk_rows, g->chunk_samples, g->ploidy, g->copies + 1,
        num_samples, gather, &err);
    free(num_samples);
    rows.cache = cache;
    if (status == BF_OK && !way.whole) {
        status = find_span(g, header, index, &start, &stop);
    }
    if (status == BF_OK) {
        span = case_copy(frame + start, stop - start);
    }
    for (uint32_t c = 0; c < g->copies && status == BF_OK; c++) {
        bf_frame_source source = { .index = index,
            .index_size = index_size,
            .span = span,
            .span_start = start,
            .span_size = stop - start,
            .size = g->frame_size };

        status = bf_rows_set_frame(&rows, c, &source, &err);
    }
    if (status == BF_OK) {
        status = bf_rows_set_constant(&rows, g->copies, -1, &err);
    }
    if (status == BF_OK) {
        status = read_rows(&rows, g, hash);
    }
    bf_rows_free(&rows);
    bf_cache_free(cache);
    free(span);
    free(index);
    return status;
}

static case_result
run(const case_geometry *g, const uint8_t *frame, case_way way)
{
    case_result result = { BF_OK, FNV_OFFSET };
    uint64_t raw = (uint64_t) g->chunk_rows * g->chunk_samples * g->ploidy;
    uint32_t total = g->num_samples * g->copies + g->constant;
    uint64_t mask_words = ((uint64_t) total * g->ploidy + 63) / 64;
    uint32_t head_size = g->frame_size < BF_FRAME_HEADER_SIZE ? g->frame_size
                                                              : BF_FRAME_HEADER_SIZE;
    uint8_t *head = case_copy(frame, head_size);
    uint32_t *index = calloc(2 * (size_t) total + 1, sizeof(*index));
    uint64_t *mask = calloc(mask_words, sizeof(*mask));
    bf_gather gather = { .index = index, .mask_words = mask_words };
    bf_frame_header header;
    bf_error err;

    gather.num_out = make_index(index, total, g->gather);
    if (bf_gather_make_mask(index, gather.num_out, g->ploidy, mask, mask_words) && !way.by_index) {
        gather.mask = mask;
    }
    result.status
        = bf_frame_parse_header(head, head_size, raw, g->frame_size, 1, &header, &err);
    if (result.status == BF_OK) {
        result.status = give_and_read(g, &header, frame,
            g->gather == GATHER_ALL ? NULL : &gather, way, &result.hash);
    }
    if (result.status != BF_OK) {
        result.hash = 0;
    }
    free(mask);
    free(index);
    free(head);
    return result;
}

case_result
case_check(const case_geometry *geometry, const uint8_t *frame)
{
    case_result first = run(geometry, frame, (case_way){ .whole = 1 });
    case_result by_index = run(geometry, frame, (case_way){ .whole = 1, .by_index = 1 });
    case_result span = run(geometry, frame, (case_way){ .whole = 0 });
    /* Of no, a few or all blocks. */
    uint64_t kind = (geometry->frame_size + geometry->last_row) % 7;
    uint64_t room = kind == 6 ? 1 << 30 : 1 + kind * 700;
    case_result cached = run(geometry, frame, (case_way){ .whole = 1, .cache = room });

    if (first.status != by_index.status || first.hash != by_index.hash) {
        case_fail("samples gathered by mask differ from those gathered by index");
    }
    if (first.status == BF_OK && span.status == BF_ERR_OFFSET) {
        if (case_table_is_sound(frame, geometry->frame_size)) {
            case_fail("the span of a sound table is refused");
        }
    } else if ((first.status == BF_OK) != (span.status == BF_OK) || first.hash != span.hash) {
        case_fail("rows from a span of the frame differ from those of the whole frame");
    }
    if (first.status != cached.status || first.hash != cached.hash) {
        case_fail("rows read with a cache of blocks differ from those read without");
    }
    return first;
}
