#include "variant_ids.h"

#define MAX_DIGITS 20

static bf_text
get_part(const bf_variant_ids *self, const bf_id_part *part, uint64_t row)
{
    bf_text ref = bf_texts_get(&self->ref, row), alt = bf_texts_get(&self->alt, row);
    int ordered = bf_text_compare(ref, alt) <= 0;

    switch (part->kind) {
    case BF_ID_CHROM: return bf_texts_get(&self->chrom, row);
    case BF_ID_REF: return ref;
    case BF_ID_ALT: return alt;
    case BF_ID_FIRST: return ordered ? ref : alt;
    case BF_ID_SECOND: return ordered ? alt : ref;
    default: return part->text;
    }
}

bf_status
bf_variant_ids_room(const bf_variant_ids *self, const uint64_t *rows, uint64_t num_rows,
    uint64_t *room, bf_error *err)
{
    *room = 0;
    for (uint64_t i = 0; i < num_rows; i++) {
        uint64_t size = 0;

        err->row = (int64_t) rows[i];
        if (rows[i] >= self->chrom.count || self->positions[rows[i]] < 0) {
            return bf_fail(err, BF_ERR_ARGUMENT, "no ID can be made of the variant");
        }
        for (uint64_t k = 0; k < self->num_parts; k++) {
            size += self->parts[k].kind == BF_ID_POSITION
                ? MAX_DIGITS
                : get_part(self, &self->parts[k], rows[i]).size;
        }
        if (size > UINT32_MAX) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the variant's ID is too long");
        }
        *room += size;
    }
    err->row = -1;
    return BF_OK;
}

void
bf_variant_ids_write(const bf_variant_ids *self, const uint64_t *rows, uint64_t num_rows,
    uint8_t *out, uint64_t *starts, uint32_t *sizes)
{
    uint8_t *to = out;

    for (uint64_t i = 0; i < num_rows; i++) {
        starts[i] = (uint64_t) (to - out);
        for (uint64_t k = 0; k < self->num_parts; k++) {
            const bf_id_part *part = &self->parts[k];

            to = part->kind == BF_ID_POSITION
                ? bf_put_decimal(to, (uint64_t) self->positions[rows[i]])
                : bf_put_text(to, get_part(self, part, rows[i]));
        }
        sizes[i] = (uint32_t) ((uint64_t) (to - out) - starts[i]);
    }
}
