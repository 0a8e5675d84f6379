#include "bgen_heads.h"

/* Three sizes of strings, the position, the number of alleles, and their sizes. */
#define MORE_PER_HEAD (3 * 2 + 4 + 2 + 2 * 4)

static uint8_t *
put_number(uint8_t *to, uint32_t number, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        *to++ = (uint8_t) (number >> (8 * i));
    }
    return to;
}

static uint8_t *
put_string(uint8_t *to, bf_text text, unsigned width)
{
    return bf_put_text(put_number(to, text.size, width), text);
}

uint64_t
bf_bgen_heads_size(const bf_bgen_heads *self)
{
    return bf_texts_size(&self->varid) + bf_texts_size(&self->rsid) + bf_texts_size(&self->chrom)
        + bf_texts_size(&self->allele1) + bf_texts_size(&self->allele2)
        + self->chrom.count * MORE_PER_HEAD;
}

bf_status
bf_bgen_heads_write(const bf_bgen_heads *self, uint8_t *out, uint32_t *sizes, bf_error *err)
{
    for (uint64_t i = 0; i < self->chrom.count; i++) {
        bf_text varid = bf_texts_get(&self->varid, i), rsid = bf_texts_get(&self->rsid, i);
        bf_text chrom = bf_texts_get(&self->chrom, i);
        bf_text allele1 = bf_texts_get(&self->allele1, i);
        bf_text allele2 = bf_texts_get(&self->allele2, i);
        int64_t position = self->positions[i];
        uint64_t size = MORE_PER_HEAD + (uint64_t) varid.size + rsid.size + chrom.size
            + allele1.size + allele2.size;

        err->row = (int64_t) i;
        if (varid.size > UINT16_MAX || rsid.size > UINT16_MAX || chrom.size > UINT16_MAX) {
            return bf_fail(
                err, BF_ERR_ARGUMENT, "a name has more bytes than BGEN holds, which is 65535");
        }
        if (position < 0 || position > UINT32_MAX || size > UINT32_MAX) {
            return bf_fail(err, BF_ERR_ARGUMENT, "a number does not fit a BGEN file");
        }
        sizes[i] = (uint32_t) size;
        out = put_string(out, varid, 2);
        out = put_string(out, rsid, 2);
        out = put_string(out, chrom, 2);
        out = put_number(out, (uint32_t) position, 4);
        out = put_number(out, 2, 2);
        out = put_string(out, allele1, 4);
        out = put_string(out, allele2, 4);
    }
    err->row = -1;
    return BF_OK;
}

bf_status
bf_bgen_samples_write(const bf_texts *samples, uint8_t *out, bf_error *err)
{
    for (uint64_t i = 0; i < samples->count; i++) {
        bf_text sample = bf_texts_get(samples, i);

        if (sample.size > UINT16_MAX) {
            err->row = (int64_t) i;
            return bf_fail(
                err, BF_ERR_ARGUMENT, "a name has more bytes than BGEN holds, which is 65535");
        }
        out = put_string(out, sample, 2);
    }
    return BF_OK;
}
