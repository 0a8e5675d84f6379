#include "pvar.h"

#include <math.h>

#include "floats.h"
#include "no_value.h"

/* Tabs and the line feed, and the digits of a position. */
#define MORE_PER_LINE (9 + 20)
/* A sign and the digits of an integer. */
#define INTEGER_SIZE 20
/* What stands for none, if it is before others. */
#define NONE_SIZE 2

static int
is_field(bf_text text)
{
    for (uint32_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            return 0;
        }
    }
    return text.size > 0;
}

uint64_t
bf_pvar_room(const bf_pvar *self)
{
    uint64_t each = MORE_PER_LINE + (self->quality != NULL ? BF_FLOAT_SIZE : 0);

    return bf_texts_size(&self->chrom) + bf_texts_size(&self->id) + bf_texts_size(&self->ref)
        + bf_texts_size(&self->alt) + self->chrom.count * each
        + (self->filter != NULL ? bf_texts_size(self->filter) : 0)
        + (self->info != NULL ? bf_texts_size(self->info) : 0)
        + (self->cm != NULL ? bf_texts_size(self->cm) : 0);
}

static uint8_t *
put_field(uint8_t *to, bf_text text)
{
    *to++ = '\t';
    return bf_put_text(to, text);
}

bf_status
bf_pvar_write(const bf_pvar *self, uint8_t *out, uint64_t *size, bf_error *err)
{
    static const bf_text dot = { (const uint8_t *) ".", 1 };
    uint8_t *to = out;

    for (uint64_t i = 0; i < self->chrom.count; i++) {
        bf_text chrom = bf_texts_get(&self->chrom, i), id = bf_texts_get(&self->id, i);
        bf_text ref = bf_texts_get(&self->ref, i), alt = bf_texts_get(&self->alt, i);
        bf_text filter = self->filter != NULL ? bf_texts_get(self->filter, i) : dot;
        bf_text info = self->info != NULL ? bf_texts_get(self->info, i) : dot;
        bf_text cm = self->cm != NULL ? bf_texts_get(self->cm, i) : dot;

        if (!is_field(chrom) || !is_field(id) || !is_field(ref) || !is_field(alt)
            || !is_field(filter) || !is_field(info) || !is_field(cm) || self->positions[i] < 0) {
            err->row = (int64_t) i;
            return bf_fail(err, BF_ERR_ARGUMENT, "the variant is no line of a .pvar");
        }
        to = bf_put_text(to, chrom);
        *to++ = '\t';
        to = bf_put_decimal(to, (uint64_t) self->positions[i]);
        to = put_field(to, id);
        to = put_field(to, ref);
        to = put_field(to, alt);
        if (self->quality != NULL) {
            *to++ = '\t';
            to = isnan(self->quality[i]) ? bf_put_text(to, dot)
                                         : bf_put_float(to, self->quality[i]);
        }
        to = self->filter != NULL ? put_field(to, filter) : to;
        to = self->info != NULL ? put_field(to, info) : to;
        to = self->cm != NULL ? put_field(to, cm) : to;
        *to++ = '\n';
    }
    *size = (uint64_t) (to - out);
    return BF_OK;
}

/* Of a value: none, missing, or there. */
typedef enum { NONE, MISSING, THERE } presence;

static int64_t
get_integer(const bf_info_field *field, uint64_t i)
{
    return field->kind == BF_INFO_INT32 ? ((const int32_t *) field->values)[i]
                                        : ((const int64_t *) field->values)[i];
}

static presence
look_at(const bf_info_field *field, uint64_t i)
{
    uint32_t bits;

    switch (field->kind) {
    case BF_INFO_FLAG:
        return ((const uint8_t *) field->values)[i] != 0 ? THERE : NONE;
    case BF_INFO_INT32:
    case BF_INFO_INT64: {
        int64_t value = get_integer(field, i);

        return value == BF_MISSING_INT ? MISSING : value == BF_NO_INT ? NONE : THERE;
    }
    case BF_INFO_FLOAT:
        bits = bf_float_bits(((const float *) field->values)[i]);
        return bits == BF_NO_FLOAT ? NONE : bf_is_nan(bits) ? MISSING : THERE;
    default: {
        bf_text text = bf_texts_get(&field->texts, i);

        return text.size == 0 ? NONE : text.size == 1 && text.data[0] == '.' ? MISSING : THERE;
    }
    }
}

uint64_t
bf_info_room(const bf_info_field *fields, uint64_t num_fields, uint64_t count)
{
    uint64_t room = 0;

    for (uint64_t f = 0; f < num_fields; f++) {
        const bf_info_field *field = &fields[f];
        uint64_t n = count * field->width;

        /* A semicolon and an equals sign, and a comma a value. */
        room += count * (field->key.size + 2);
        if (field->kind == BF_INFO_TEXT) {
            room += bf_texts_size(&field->texts) + n;
            continue;
        }
        for (uint64_t i = 0; i < n && field->kind != BF_INFO_FLAG; i++) {
            room += look_at(field, i) == NONE ? NONE_SIZE + 1 : INTEGER_SIZE + 1;
        }
    }
    return room;
}

static int
is_integer(const bf_info_field *field)
{
    return field->kind == BF_INFO_INT32 || field->kind == BF_INFO_INT64;
}

static uint8_t *
put_value(uint8_t *to, const bf_info_field *field, uint64_t i)
{
    presence found = look_at(field, i);
    int64_t integer;

    if (found == MISSING || (found == NONE && field->kind == BF_INFO_FLOAT)) {
        *to++ = '.';
        return to;
    }
    switch (field->kind) {
    case BF_INFO_INT32:
    case BF_INFO_INT64:
        integer = get_integer(field, i);
        if (integer < 0) {
            *to++ = '-';
        }
        return bf_put_decimal(to, integer < 0 ? -(uint64_t) integer : (uint64_t) integer);
    case BF_INFO_FLOAT:
        return bf_put_float(to, ((const float *) field->values)[i]);
    default:
        return bf_put_text(to, bf_texts_get(&field->texts, i));
    }
}

static uint8_t *
put_info(uint8_t *to, const bf_info_field *field, uint64_t variant, const uint8_t *start)
{
    uint64_t first = variant * field->width, end = first + field->width;
    int any = 0;

    /* One number is never filled up, and before others -2 is a number. */
    while (end > first && look_at(field, end - 1) == NONE
           && !(is_integer(field) && field->width == 1)) {
        end--;
    }
    for (uint64_t i = first; i < end && !any; i++) {
        presence found = look_at(field, i);

        any = found == THERE || (found == NONE && is_integer(field));
    }
    if (!any) {
        return to;
    }
    if (to != start) {
        *to++ = ';';
    }
    to = bf_put_text(to, field->key);
    if (field->kind == BF_INFO_FLAG) {
        return to;
    }
    *to++ = '=';
    for (uint64_t i = first; i < end; i++) {
        if (i > first) {
            *to++ = ',';
        }
        to = put_value(to, field, i);
    }
    return to;
}

bf_status
bf_info_write(const bf_info_field *fields, uint64_t num_fields, uint64_t count, uint8_t *out,
    uint64_t *starts, uint32_t *sizes, bf_error *err)
{
    uint8_t *to = out;

    for (uint64_t i = 0; i < count; i++) {
        uint8_t *start = to;

        for (uint64_t f = 0; f < num_fields; f++) {
            to = put_info(to, &fields[f], i, start);
        }
        if ((uint64_t) (to - start) > UINT32_MAX) {
            err->row = (int64_t) i;
            return bf_fail(err, BF_ERR_ARGUMENT, "the INFO of a variant is longer than 4 GiB");
        }
        starts[i] = (uint64_t) (start - out);
        sizes[i] = (uint32_t) (to - start);
    }
    return BF_OK;
}
