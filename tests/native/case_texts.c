#include "case_texts.h"

#include <math.h>
#include <stdlib.h>

#include "bcf_heads.h"
#include "case.h"
#include "floats.h"
#include "pvar.h"
#include "text_cells.h"

/* As many lines as variants, each of nine columns. */
static void
check_lines(const uint8_t *lines, uint64_t size, uint64_t count)
{
    uint64_t tabs = 0, ends = 0;

    for (uint64_t i = 0; i < size; i++) {
        tabs += lines[i] == '\t';
        ends += lines[i] == '\n';
        if (lines[i] == '\n' && tabs != 8 * ends) {
            case_fail("a line of a .pvar has another number of columns");
        }
    }
    if (ends != count || (size > 0 && lines[size - 1] != '\n')) {
        case_fail("a .pvar has another number of lines");
    }
}

/* INFO begins with the flag where it is set, and floats are as printf has them. */
static void
check_info(const uint8_t *data, const uint64_t *starts, const uint32_t *sizes,
    const bf_info_field *fields, uint64_t count, const uint8_t *flags)
{
    const float *floats = fields[2].values;
    char text[32];

    for (uint64_t i = 0; i < count; i++) {
        int flag = sizes[i] >= 3 && memcmp(data + starts[i], "KEY", 3) == 0
                   && (sizes[i] == 3 || data[starts[i] + 3] == ';');

        if (flag != flags[i]) {
            case_fail("a flag of INFO is not as it was given");
        }
        if (isfinite(floats[i])) {
            uint8_t own[BF_FLOAT_SIZE];
            int size = snprintf(text, sizeof(text), "%g", (double) floats[i]);

            if (bf_put_float(own, floats[i]) - own != size || memcmp(own, text, size) != 0) {
                case_fail("a float is not written as printf does");
            }
        }
    }
}

/* Lines of a .pvar of all columns, whose INFO is made of fields of every kind: texts, and numbers
 * that are made of the texts' sizes and bytes, two a variant where there are as many. */
uint64_t
case_check_pvar(const bf_texts *texts, const int64_t *positions)
{
    static const bf_text KEY = { (const uint8_t *) "KEY", 3 };
    uint64_t n = texts->count, half = n / 2, size = 0, *starts = case_block(n * sizeof(*starts));
    uint32_t *sizes = case_block(n * sizeof(*sizes));
    float *floats = case_block(n * sizeof(*floats));
    int64_t *integers = case_block(n * sizeof(*integers));
    uint8_t *flags = case_block(n), *out, *exact;
    bf_error err = { .status = BF_OK };
    uint64_t hash = 0;
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
        out = case_block(bf_info_room(fields, 4, count));
        if (bf_info_write(fields, 4, count, out, starts, sizes, &err) != BF_OK) {
            case_fail("INFO is not made");
        }
        size = count > 0 ? starts[count - 1] + sizes[count - 1] : 0;
        exact = case_block(size);
        memcpy(exact, out, size);
        free(out);
        hash = hash * 31 + case_hash(exact, size);
        check_info(exact, starts, sizes, fields, count, flags);
        info.data = exact;
        info.data_size = size;
        info.starts = starts;
        info.sizes = sizes;
        info.count = count;
        if (width == 1) {
            bf_pvar pvar = { *texts, *texts, *texts, *texts, positions, floats, texts, &info, texts };

            out = case_block(bf_pvar_room(&pvar));
            if (bf_pvar_write(&pvar, out, &size, &err) == BF_OK) {
                hash = hash * 31 + case_hash(out, size);
                check_lines(out, size, n);
            } else if (err.row < 0 || (uint64_t) err.row >= n) {
                case_fail("a .pvar is refused for no row");
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
    return hash;
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
walk_bcf_head(const uint8_t *head, uint32_t size, uint32_t behind)
{
    const uint8_t *at = head, *end = head + size;
    uint32_t num_info, num_alleles, count;

    if (size < 32 || get_bcf_int(&at, end, 3) != size - 8 || get_bcf_int(&at, end, 3) != behind) {
        case_fail("a BCF head is of another size than it says");
    }
    at = head + 24;
    num_info = get_bcf_int(&at, end, 2);
    num_alleles = get_bcf_int(&at, end, 2);
    /* GT of two alleles, numbers of 32 bits an allele, and 40 bytes of text behind a longer type. */
    if (behind != 2 + 9 * 2 + 3 + 9 * 4 * num_alleles + 5 + 9 * 40) {
        case_fail("what follows a BCF head is of another size");
    }
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
uint64_t
case_check_bcf_heads(const bf_texts *texts, const int64_t *positions)
{
    static const int32_t NUMBERS[] = { -1, -2, 0, 127, 128, -120, -121, 32767, 32768, -32760, -32761,
        INT32_MAX, -INT32_MAX + 7, 5 };
    static const uint32_t FLOATS[] = { 0x7f800001, 0x7f800002, 0, 0x3fc00000, 0x7fc00000 };
    static const uint32_t KEYS[] = { 0, 127, 40000 };
    uint64_t n = texts->count / 2, used = 0, room = 0, at = 0;
    int32_t *numbers = case_block(3 * n * sizeof(*numbers));
    int32_t *small = case_block(n * sizeof(*small));
    uint32_t *floats = case_block(4 * n * sizeof(*floats)), *sizes = case_block(n * sizeof(*sizes));
    uint32_t *behind = case_block(n * sizeof(*behind));
    uint8_t *flags = case_block(3 * n), *out;
    uint64_t hash = 0, most;
    static const uint8_t key[] = { 0x11, 9 };
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
    bf_bcf_format formats[] = { { .code = 'h', .per = 'R', .num_values = 3, .key = key,
                                    .key_size = sizeof(key) },
        { .code = 's', .num_values = 40, .key = key, .key_size = sizeof(key) } };
    bf_bcf records = { .width = 1,
        .prefix = key,
        .prefix_size = sizeof(key),
        .formats = formats,
        .num_formats = 2 };
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
        .ploidy = 2,
        .records = &records };

    most = bf_bcf_heads_room(&heads);
    if (bf_bcf_heads_write(&heads, NULL, 0, sizes, behind, &room, &err) != BF_OK) {
        if (err.row < 0 || (uint64_t) err.row >= n || positions[err.row] <= INT32_MAX) {
            case_fail("BCF heads are refused");
        }
    } else {
        if (room > most) {
            case_fail("BCF heads take more than there was to be room for");
        }
        out = case_block(room);
        if (bf_bcf_heads_write(&heads, out, room, sizes, behind, &used, &err) != BF_OK
            || used != room) {
            case_fail("BCF heads are of another size when they are written");
        }
        for (uint64_t i = 0; i < n; at += sizes[i++]) {
            walk_bcf_head(out + at, sizes[i], behind[i]);
        }
        hash = case_hash(out, room);
        /* Where there is too little room, nothing is written beyond it. */
        free(out);
        out = case_block(room / 2);
        (void) bf_bcf_heads_write(&heads, out, room / 2, sizes, behind, &used, &err);
        free(out);
    }
    free(flags);
    free(behind);
    free(sizes);
    free(floats);
    free(small);
    free(numbers);
    return hash;
}

/* The text of a sample as it is to be, in place; NULL if the chunk ends before. */
static const uint8_t *
naive_cell(const uint8_t *at, const uint8_t *end, uint32_t num_values, uint8_t *out, uint64_t *size)
{
    uint64_t used = 0, kept = 0;

    for (uint32_t k = 0; k < num_values; k++) {
        uint32_t length;

        if (end - at < 4) {
            return NULL;
        }
        length = (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16
                 | (uint32_t) at[3] << 24;
        if (length > (uint64_t) (end - at - 4)) {
            return NULL;
        }
        out[used] = ',';
        used += k > 0;
        memcpy(out + used, at + 4, length);
        used += length;
        kept = length > 0 ? used : kept;
        at += 4 + length;
    }
    if (kept == 0) {
        out[kept++] = '.';
    }
    *size = kept;
    return at;
}

uint64_t
case_check_cells(const uint8_t *chunk, uint64_t size, uint64_t count, uint32_t num_values)
{
    uint64_t samples = count / num_values, taken = samples - samples / 4, hash = 0;
    bf_text_chunk texts
        = { case_copy(chunk, size), size, 1, samples * num_values, num_values };
    bf_error err = { .status = BF_OK };
    uint8_t *cell = case_block(size + num_values + 1), *out;
    const uint8_t *at = chunk + 4, *end = chunk + size;
    uint32_t width = 0;
    uint64_t longest = 1, length;
    bf_status status = bf_text_cells_width(&texts, taken, &width, &err);

    if (samples == 0) {
        if (status == BF_OK) {
            case_fail("texts of no samples are taken");
        }
    } else if (status == BF_OK) {
        out = case_block(taken * width);
        if (bf_text_cells_write(&texts, 0, 1, taken, width, out, taken * width, &err) != BF_OK) {
            case_fail("texts that were measured are not written");
        }
        for (uint64_t s = 0; s < samples; s++) {
            at = naive_cell(at, end, num_values, cell, &length);
            if (at == NULL) {
                case_fail("texts are taken of a chunk that ends before");
            }
            if (s < taken) {
                const uint8_t *own = out + s * width;

                longest = length > longest ? length : longest;
                if (length > width || memcmp(own, cell, length) != 0
                    || (length < width && own[length] != 0)) {
                    case_fail("a text differs from the naive reader's");
                }
            }
        }
        if (longest != width) {
            case_fail("the longest text is of another width");
        }
        hash = case_hash(out, taken * width);
        if (width > 1
            && bf_text_cells_write(&texts, 0, 1, taken, width - 1, out, taken * width, &err)
                   != BF_ERR_ARGUMENT) {
            case_fail("a text that is too long is written");
        }
        free(out);
    }
    free((void *) texts.bytes);
    free(cell);
    return hash;
}
