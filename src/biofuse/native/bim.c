#include "bim.h"

/* Tabs, the 0, the line feed, and the digits of a position. */
#define MORE_PER_LINE (5 + 1 + 1 + 20)

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
bf_bim_room(const bf_bim *self)
{
    return bf_texts_size(&self->chrom) + bf_texts_size(&self->id) + bf_texts_size(&self->a1)
        + bf_texts_size(&self->a2) + self->chrom.count * MORE_PER_LINE
        + (self->cm != NULL ? bf_texts_size(self->cm) : 0);
}

bf_status
bf_bim_write(const bf_bim *self, uint8_t *out, uint64_t *size, bf_error *err)
{
    static const bf_text zero = { (const uint8_t *) "0", 1 };
    uint8_t *to = out;

    for (uint64_t i = 0; i < self->chrom.count; i++) {
        bf_text chrom = bf_texts_get(&self->chrom, i), id = bf_texts_get(&self->id, i);
        bf_text a1 = bf_texts_get(&self->a1, i), a2 = bf_texts_get(&self->a2, i);
        bf_text cm = self->cm != NULL ? bf_texts_get(self->cm, i) : zero;

        if (!is_field(chrom) || !is_field(id) || !is_field(a1) || !is_field(a2)
            || (self->cm != NULL && !is_field(cm)) || self->positions[i] < 0) {
            err->row = (int64_t) i;
            return bf_fail(err, BF_ERR_ARGUMENT, "the variant is no line of a .bim");
        }
        to = bf_put_text(to, chrom);
        *to++ = '\t';
        to = bf_put_text(to, id);
        *to++ = '\t';
        to = bf_put_text(to, cm);
        *to++ = '\t';
        to = bf_put_decimal(to, (uint64_t) self->positions[i]);
        *to++ = '\t';
        to = bf_put_text(to, a1);
        *to++ = '\t';
        to = bf_put_text(to, a2);
        *to++ = '\n';
    }
    *size = (uint64_t) (to - out);
    return BF_OK;
}
