#include "bgi.h"

/* SQLite takes no longer rows, unless it was built to. */
#define MAX_RECORD 1000000000
#define NUM_FIELDS 8
#define NUM_KEYS 6
/* The primary key comes first, then the other columns: the position, where the record begins,
 * how many alleles it has, and its size are numbers. */
#define IS_NUMBER(field) ((field) == 1 || (field) >= 5)
/* A row's size, and its header: its own size, which is below 128, and a type for each field. */
#define MORE_PER_ROW (5 + 1 + 4 * 5 + 4)
#define MAX_NUMBER 8
#define NUM_ALLELES 2

typedef struct {
    bf_text field[NUM_KEYS]; /* numbers too, as they are stored */
} bf_key;

static bf_text
get_text(const bf_bgi *self, unsigned field, uint64_t row)
{
    const bf_texts *columns[] = { &self->chrom, NULL, &self->rsid, &self->allele1, &self->allele2 };

    return bf_texts_get(columns[field], row);
}

static int
compare_rows(const bf_bgi *self, uint32_t a, uint32_t b)
{
    for (unsigned field = 0; field < NUM_KEYS; field++) {
        int order;

        if (field == 1) {
            order = (self->positions[a] > self->positions[b])
                - (self->positions[a] < self->positions[b]);
        } else if (field == 5) {
            order = (self->offsets[a] > self->offsets[b]) - (self->offsets[a] < self->offsets[b]);
        } else {
            order = bf_text_compare(get_text(self, field, a), get_text(self, field, b));
        }
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static int
is_sorted(const bf_bgi *self)
{
    for (uint64_t i = 1; i < self->chrom.count; i++) {
        if (compare_rows(self, (uint32_t) i - 1, (uint32_t) i) > 0) {
            return 0;
        }
    }
    return 1;
}

/* Merge sort. What is in order is not touched, which most rows are. */
static void
sort(const bf_bgi *self, uint32_t *order, uint32_t *scratch)
{
    uint64_t n = self->chrom.count;

    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t start = 0; start + width < n; start += 2 * width) {
            uint64_t middle = start + width, stop = middle + width < n ? middle + width : n;
            uint64_t left = 0, right = middle, to = start;

            if (compare_rows(self, order[middle - 1], order[middle]) <= 0) {
                continue;
            }
            memcpy(scratch, order + start, width * sizeof(*scratch));
            while (left < width && right < stop) {
                order[to++] = compare_rows(self, scratch[left], order[right]) <= 0
                    ? scratch[left++]
                    : order[right++];
            }
            memcpy(order + to, scratch + left, (width - left) * sizeof(*scratch));
        }
    }
}

/* The type of a number in a record, and its bytes: none of 0 and 1. */
static unsigned
number_type(int64_t number, unsigned *bytes)
{
    static const unsigned BYTES[] = { 0, 1, 2, 3, 4, 6, 8 };

    if (number == 0 || number == 1) {
        *bytes = 0;
        return number == 0 ? 8 : 9;
    }
    for (unsigned type = 1; type < 6; type++) {
        int64_t limit = (int64_t) 1 << (8 * BYTES[type] - 1);

        if (number >= -limit && number < limit) {
            *bytes = BYTES[type];
            return type;
        }
    }
    *bytes = 8;
    return 6;
}

static uint8_t *
put_number(uint8_t *to, int64_t number, unsigned bytes)
{
    while (bytes-- > 0) {
        *to++ = (uint8_t) ((uint64_t) number >> (8 * bytes));
    }
    return to;
}

uint64_t
bf_bgi_room(const bf_bgi *self)
{
    return bf_texts_size(&self->chrom) + bf_texts_size(&self->rsid)
        + bf_texts_size(&self->allele1) + bf_texts_size(&self->allele2)
        + self->chrom.count * (MORE_PER_ROW + 3 * MAX_NUMBER + 1);
}

static bf_status
write_row(const bf_bgi *self, uint64_t row, uint8_t **out, bf_error *err)
{
    uint8_t head[MORE_PER_ROW], *to = head + 1;
    int64_t numbers[NUM_FIELDS] = { [1] = self->positions[row],
        [5] = (int64_t) self->offsets[row],
        [6] = NUM_ALLELES,
        [7] = (int64_t) (self->offsets[row + 1] - self->offsets[row]) };
    unsigned bytes[NUM_FIELDS];
    bf_text texts[NUM_FIELDS];
    uint64_t size = 0;

    for (unsigned field = 0; field < NUM_FIELDS; field++) {
        if (IS_NUMBER(field)) {
            *to++ = (uint8_t) number_type(numbers[field], &bytes[field]);
            size += bytes[field];
        } else {
            texts[field] = get_text(self, field, row);
            to = bf_btree_put_varint(to, 13 + 2 * (uint64_t) texts[field].size);
            size += texts[field].size;
        }
    }
    head[0] = (uint8_t) (to - head);
    size += head[0];
    if (size > MAX_RECORD) {
        err->row = (int64_t) row;
        return bf_fail(err, BF_ERR_ARGUMENT, "the variant is longer than SQLite takes");
    }
    *out = bf_btree_put_varint(*out, size);
    *out = bf_put_text(*out, (bf_text) { head, head[0] });
    for (unsigned field = 0; field < NUM_FIELDS; field++) {
        *out = IS_NUMBER(field) ? put_number(*out, numbers[field], bytes[field])
                                : bf_put_text(*out, texts[field]);
    }
    return BF_OK;
}

bf_status
bf_bgi_write(const bf_bgi *self, uint32_t *order, uint32_t *scratch, uint8_t *out,
    uint64_t *size, bf_error *err)
{
    uint8_t *to = out;
    int sorted = is_sorted(self);

    if (!sorted) {
        for (uint64_t i = 0; i < self->chrom.count; i++) {
            order[i] = (uint32_t) i;
        }
        sort(self, order, scratch);
    }
    for (uint64_t i = 0; i < self->chrom.count; i++) {
        if (write_row(self, sorted ? i : order[i], &to, err) != BF_OK) {
            return err->status;
        }
    }
    *size = (uint64_t) (to - out);
    return BF_OK;
}

static int
get_varint(const uint8_t *rows, uint64_t *at, uint64_t end, uint64_t *number)
{
    *number = 0;
    for (unsigned i = 0; i < 5 && *at < end; i++) {
        uint8_t byte = rows[(*at)++];

        *number = *number << 7 | (byte & 0x7f);
        if (byte < 0x80) {
            return 1;
        }
    }
    return 0;
}

/* The record of a run's first row. */
static bf_status
get_record(const bf_bgi_merge *self, const bf_bgi_run *run, bf_text *record, bf_error *err)
{
    uint64_t at = run->at, size;

    if (!get_varint(self->rows, &at, run->end, &size) || size > run->end - at) {
        return bf_fail(err, BF_ERR_TRUNCATED, "a row of the index is cut off");
    }
    *record = (bf_text) { self->rows + at, (uint32_t) size };
    return BF_OK;
}

static bf_status
get_key(bf_text record, bf_key *key, bf_error *err)
{
    static const unsigned BYTES[] = { 0, 1, 2, 3, 4, 6, 8, 0, 0, 0 };
    uint64_t at = 1, end = record.size > 0 ? record.data[0] : 0, from = end;

    for (unsigned field = 0; field < NUM_KEYS; field++) {
        uint64_t type, size;

        if (end > record.size || !get_varint(record.data, &at, end, &type)
            || (IS_NUMBER(field) ? type > 9 : type < 13)) {
            return bf_fail(err, BF_ERR_TRUNCATED, "a row of the index is malformed");
        }
        size = IS_NUMBER(field) ? BYTES[type] : (type - 13) / 2;
        if (size > record.size - from) {
            return bf_fail(err, BF_ERR_TRUNCATED, "a row of the index is cut off");
        }
        /* A number without bytes is 0 or 1: its type tells. */
        key->field[field] = IS_NUMBER(field) && size == 0
            ? (bf_text) { record.data + at - 1, 0 }
            : (bf_text) { record.data + from, (uint32_t) size };
        from += size;
    }
    return BF_OK;
}

static int64_t
get_number(bf_text field)
{
    uint64_t number;

    if (field.size == 0) {
        return *field.data == 9;
    }
    number = field.data[0] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < field.size; i++) {
        number = number << 8 | field.data[i];
    }
    return (int64_t) number;
}

static int
compare_keys(const bf_key *a, const bf_key *b)
{
    for (unsigned field = 0; field < NUM_KEYS; field++) {
        int order;

        if (IS_NUMBER(field)) {
            int64_t x = get_number(a->field[field]), y = get_number(b->field[field]);

            order = (x > y) - (x < y);
        } else {
            order = bf_text_compare(a->field[field], b->field[field]);
        }
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

/* Compare the first rows of two runs. */
static bf_status
compare_runs(const bf_bgi_merge *self, uint64_t i, uint64_t k, int *order, bf_error *err)
{
    bf_text first, second;
    bf_key a, b;

    if (get_record(self, &self->runs[i], &first, err) != BF_OK
        || get_record(self, &self->runs[k], &second, err) != BF_OK
        || get_key(first, &a, err) != BF_OK || get_key(second, &b, err) != BF_OK) {
        return err->status;
    }
    *order = compare_keys(&a, &b);
    return BF_OK;
}

/* Move a run down the heap to where it belongs. */
static bf_status
sink(bf_bgi_merge *self, uint64_t i, bf_error *err)
{
    for (;;) {
        uint64_t child = 2 * i + 1;
        bf_bgi_run run;
        int order;

        if (child >= self->num_runs) {
            return BF_OK;
        }
        if (child + 1 < self->num_runs) {
            if (compare_runs(self, child, child + 1, &order, err) != BF_OK) {
                return err->status;
            }
            child += order > 0;
        }
        if (compare_runs(self, i, child, &order, err) != BF_OK) {
            return err->status;
        }
        if (order <= 0) {
            return BF_OK;
        }
        run = self->runs[i];
        self->runs[i] = self->runs[child];
        self->runs[child] = run;
        i = child;
    }
}

bf_status
bf_bgi_merge_init(bf_bgi_merge *self, const uint8_t *rows, bf_bgi_run *runs, uint64_t num_runs,
    uint32_t first_page, bf_error *err)
{
    self->rows = rows;
    self->runs = runs;
    self->num_runs = 0;
    self->done = 0;
    bf_btree_init(&self->tree, first_page);
    for (uint64_t i = 0; i < num_runs; i++) {
        if (runs[i].at < runs[i].end) {
            runs[self->num_runs++] = runs[i];
        }
    }
    for (uint64_t i = self->num_runs / 2; i-- > 0;) {
        if (sink(self, i, err) != BF_OK) {
            return err->status;
        }
    }
    return BF_OK;
}

/* Add rows of the first run until one of another comes before its next one. */
static bf_status
add_rows(bf_bgi_merge *self, uint64_t enough, bf_error *err)
{
    bf_bgi_run *run = &self->runs[0];
    bf_text record;
    bf_key key, limit;
    int others = self->num_runs > 1, order;

    if (others) {
        uint64_t next = 1;

        if (self->num_runs > 2) {
            if (compare_runs(self, 1, 2, &order, err) != BF_OK) {
                return err->status;
            }
            next += order > 0;
        }
        if (get_record(self, &self->runs[next], &record, err) != BF_OK
            || get_key(record, &limit, err) != BF_OK) {
            return err->status;
        }
    }
    while (run->at < run->end && self->tree.out_size < enough) {
        if (get_record(self, run, &record, err) != BF_OK) {
            return err->status;
        }
        if (others) {
            if (get_key(record, &key, err) != BF_OK) {
                return err->status;
            }
            if (compare_keys(&key, &limit) > 0) {
                break;
            }
        }
        if (bf_btree_add(&self->tree, record.data, record.size, err) != BF_OK) {
            return err->status;
        }
        run->at = (uint64_t) (record.data - self->rows) + record.size;
    }
    if (run->at == run->end) {
        *run = self->runs[--self->num_runs];
    }
    return sink(self, 0, err);
}

bf_status
bf_bgi_merge_some(bf_bgi_merge *self, uint64_t enough, uint8_t *root, bf_error *err)
{
    while (self->num_runs > 0 && self->tree.out_size < enough) {
        if (add_rows(self, enough, err) != BF_OK) {
            return err->status;
        }
    }
    if (self->num_runs == 0 && !self->done) {
        self->done = 1;
        return bf_btree_finish(&self->tree, root, err);
    }
    return BF_OK;
}
