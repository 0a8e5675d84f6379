#include "bcf_heads.h"

#include "bcf_types.h"
#include "bits.h"
#include "no_value.h"

#define MAX_SIZE (1U << 30)
/* Bytes of the numbers that a record begins with. */
#define FIXED_SIZE 32

/* Bytes that are counted in any case, and written where there is room. */
typedef struct {
    uint8_t *out;
    uint64_t room, used;
} writer;

static void
put_bytes(writer *to, const void *bytes, uint64_t size)
{
    if (size > 0 && to->used <= to->room && size <= to->room - to->used) {
        memcpy(to->out + to->used, bytes, size);
    }
    to->used += size;
}

static void
put_number(writer *to, uint32_t number, unsigned width)
{
    uint8_t bytes[4];

    bf_store32(bytes, number);
    put_bytes(to, bytes, width);
}

static unsigned
int_type(int64_t least, int64_t most)
{
    if (least >= BF_BCF_MIN_INT8 && most <= INT8_MAX) {
        return BF_BCF_INT8;
    }
    return least >= BF_BCF_MIN_INT16 && most <= INT16_MAX ? BF_BCF_INT16 : BF_BCF_INT32;
}

static void
put_int(writer *to, int32_t number, unsigned type)
{
    put_number(to, (uint32_t) number, type == BF_BCF_INT32 ? 4 : type);
}

/* A type and how many values there are. */
static void
put_type(writer *to, uint32_t count, unsigned type)
{
    uint8_t bytes[BF_BCF_TYPE_ROOM];

    put_bytes(to, bytes, bf_bcf_put_type(bytes, count, type));
}

static void
put_typed_int(writer *to, int32_t number)
{
    unsigned type = int_type(number, number);

    put_type(to, 1, type);
    put_int(to, number, type);
}

static void
put_text(writer *to, bf_text text)
{
    /* As most are. */
    if (text.size < 15 && to->used < to->room && text.size < to->room - to->used) {
        uint8_t *out = to->out + to->used;

        *out++ = (uint8_t) (text.size << 4 | BF_BCF_CHAR);
        for (uint32_t i = 0; i < text.size; i++) {
            out[i] = text.data[i];
        }
        to->used += 1 + text.size;
        return;
    }
    put_type(to, text.size, BF_BCF_CHAR);
    put_bytes(to, text.data, text.size);
}

static int
is_missing(bf_text text)
{
    return text.size == 0 || (text.size == 1 && text.data[0] == '.');
}

static uint32_t
put_flag(writer *to, const bf_bcf_field *field, uint64_t i)
{
    if (!((const uint8_t *) field->values)[i]) {
        return 0;
    }
    put_typed_int(to, (int32_t) field->key);
    put_type(to, 0, BF_BCF_NULL);
    return 1;
}

/* Returns 1 if the field is there, 0 if not, and -1 if a number is one that BCF cannot hold. */
static int
put_ints(writer *to, const bf_bcf_field *field, uint64_t i)
{
    const int32_t *values = (const int32_t *) field->values + i * field->width;
    uint32_t count = field->width, missing = 0;
    int64_t least = INT64_MAX, most = INT64_MIN;
    int32_t none;
    unsigned type;

    /* One value is never filled up. */
    while (field->width > 1 && count > 0 && values[count - 1] == BF_NO_INT) {
        count--;
    }
    for (uint32_t k = 0; k < count; k++) {
        if (values[k] == BF_MISSING_INT) {
            missing++;
            continue;
        }
        least = values[k] < least ? values[k] : least;
        most = values[k] > most ? values[k] : most;
    }
    if (missing == count) {
        return 0;
    }
    if (least < BF_BCF_MIN_INT32) {
        return -1;
    }
    put_typed_int(to, (int32_t) field->key);
    type = int_type(least, most);
    none = type == BF_BCF_INT8 ? INT8_MIN : type == BF_BCF_INT16 ? INT16_MIN : INT32_MIN;
    put_type(to, count, type);
    for (uint32_t k = 0; k < count; k++) {
        put_int(to, values[k] == BF_MISSING_INT ? none : values[k], type);
    }
    return 1;
}

static uint32_t
put_floats(writer *to, const bf_bcf_field *field, uint64_t i)
{
    const uint32_t *values = (const uint32_t *) field->values + i * field->width;
    uint32_t count = field->width, missing = 0;

    while (count > 0 && values[count - 1] == BF_NO_FLOAT) {
        count--;
    }
    for (uint32_t k = 0; k < count; k++) {
        missing += bf_is_nan(values[k]);
    }
    if (missing == count) {
        return 0;
    }
    put_typed_int(to, (int32_t) field->key);
    put_type(to, count, BF_BCF_FLOAT32);
    for (uint32_t k = 0; k < count; k++) {
        put_number(to, bf_is_nan(values[k]) ? BF_MISSING_FLOAT : values[k], 4);
    }
    return 1;
}

/* Texts of a field are one text, with commas between them. Returns -1 if it is too long. */
static int
put_texts(writer *to, const bf_bcf_field *field, uint64_t i)
{
    uint64_t first = i * field->width, size = 0;
    uint32_t count = field->width, missing = 0;

    while (count > 0 && bf_texts_get(&field->texts, first + count - 1).size == 0) {
        count--;
    }
    for (uint32_t k = 0; k < count; k++) {
        bf_text text = bf_texts_get(&field->texts, first + k);

        missing += is_missing(text);
        size += (uint64_t) text.size + (k > 0);
    }
    if (missing == count) {
        return 0;
    }
    if (size > MAX_SIZE) {
        return -1;
    }
    put_typed_int(to, (int32_t) field->key);
    put_type(to, (uint32_t) size, BF_BCF_CHAR);
    for (uint32_t k = 0; k < count; k++) {
        bf_text text = bf_texts_get(&field->texts, first + k);

        put_bytes(to, ",", k > 0);
        put_bytes(to, text.data, text.size);
    }
    return 1;
}

static int
put_field(writer *to, const bf_bcf_field *field, uint64_t i)
{
    switch (field->kind) {
    case BF_BCF_FLAG:
        return (int) put_flag(to, field, i);
    case BF_BCF_INT:
        return put_ints(to, field, i);
    case BF_BCF_FLOAT:
        return (int) put_floats(to, field, i);
    default:
        return put_texts(to, field, i);
    }
}

static void
put_filters(writer *to, const bf_bcf_heads *self, uint64_t i)
{
    const uint8_t *set = self->filters + i * self->num_filters;
    uint32_t count = 0, most = 0;
    unsigned type;

    for (uint32_t k = 0; k < self->num_filters; k++) {
        if (set[k]) {
            count++;
            most = self->filter_keys[k] > most ? self->filter_keys[k] : most;
        }
    }
    type = count > 0 ? int_type(0, most) : BF_BCF_NULL;
    put_type(to, count, type);
    for (uint32_t k = 0; k < self->num_filters; k++) {
        if (set[k]) {
            put_int(to, (int32_t) self->filter_keys[k], type);
        }
    }
}

static uint32_t
count_alleles(const bf_bcf_heads *self, uint64_t i)
{
    uint32_t count = self->max_alleles;

    while (count > 1 && self->alleles.sizes[i * self->max_alleles + count - 1] == 0) {
        count--;
    }
    return count;
}

static bf_status
write_head(
    const bf_bcf_heads *self, uint64_t i, writer *to, uint32_t *behind, bf_error *err)
{
    uint32_t num_formats = self->records->num_formats + (self->records->width > 0);
    uint64_t begun = to->used, after;
    uint32_t num_alleles = count_alleles(self, i), num_info = 0;
    bf_text id = bf_texts_get(&self->ids, i);
    uint64_t data
        = bf_bcf_data_size(self->records, self->num_samples, self->ploidy, num_alleles);
    uint8_t fixed[FIXED_SIZE];

    if (data > INT32_MAX || num_formats > UINT8_MAX) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the site has more of FORMAT than BCF can hold");
    }
    *behind = (uint32_t) data;
    if (self->positions[i] < 0 || self->positions[i] > INT32_MAX || self->lengths[i] < 0
        || self->contigs[i] < 0) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a position is one that BCF cannot hold");
    }
    if (num_alleles > UINT16_MAX) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the site has more alleles than BCF can hold");
    }
    to->used += FIXED_SIZE;
    if (is_missing(id)) {
        id.size = 0;
    }
    put_text(to, id);
    for (uint32_t k = 0; k < num_alleles; k++) {
        put_text(to, bf_texts_get(&self->alleles, i * self->max_alleles + k));
    }
    put_filters(to, self, i);
    for (uint32_t k = 0; k < self->num_fields; k++) {
        int found = put_field(to, &self->fields[k], i);

        if (found < 0) {
            return bf_fail(err, BF_ERR_ARGUMENT, "a value of INFO is one that BCF cannot hold");
        }
        num_info += (uint32_t) found;
    }
    if (num_info > UINT16_MAX || to->used - begun > MAX_SIZE) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the site has more INFO than BCF can hold");
    }
    after = to->used;
    bf_store32(fixed, (uint32_t) (after - begun - 8));
    bf_store32(fixed + 4, *behind);
    bf_store32(fixed + 8, (uint32_t) self->contigs[i]);
    bf_store32(fixed + 12, (uint32_t) (self->positions[i] - 1));
    bf_store32(fixed + 16, (uint32_t) self->lengths[i]);
    bf_store32(fixed + 20,
        self->qualities != NULL ? bf_one_nan(self->qualities[i]) : BF_MISSING_FLOAT);
    bf_store32(fixed + 24, num_alleles << 16 | num_info);
    bf_store32(fixed + 28, self->num_samples | num_formats << 24);
    to->used = begun;
    put_bytes(to, fixed, FIXED_SIZE);
    to->used = after;
    return BF_OK;
}

uint64_t
bf_bcf_heads_room(const bf_bcf_heads *self)
{
    /* Numbers, and a type for each thing that has one: of the ID, of alleles, of filters. */
    uint64_t each = FIXED_SIZE + (2 + (uint64_t) self->max_alleles) * BF_BCF_TYPE_ROOM
                    + 4 * (uint64_t) self->num_filters;
    uint64_t texts = bf_texts_size(&self->ids) + bf_texts_size(&self->alleles);

    for (uint32_t k = 0; k < self->num_fields; k++) {
        const bf_bcf_field *field = &self->fields[k];

        /* A key with its type, and a type. */
        each += 5 + BF_BCF_TYPE_ROOM;
        if (field->kind == BF_BCF_TEXT) {
            each += field->width;
            texts += bf_texts_size(&field->texts);
        } else if (field->kind != BF_BCF_FLAG) {
            each += 4 * (uint64_t) field->width;
        }
    }
    return self->count * each + texts;
}

bf_status
bf_bcf_heads_write(const bf_bcf_heads *self, uint8_t *out, uint64_t room, uint32_t *sizes,
    uint32_t *behind, uint64_t *used, bf_error *err)
{
    writer to = { .out = out, .room = room };

    for (uint64_t i = 0; i < self->count; i++) {
        uint64_t begun = to.used;

        if (write_head(self, i, &to, &behind[i], err) != BF_OK) {
            err->row = (int64_t) i;
            return err->status;
        }
        sizes[i] = (uint32_t) (to.used - begun);
    }
    *used = to.used;
    return BF_OK;
}
