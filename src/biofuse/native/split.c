#include "split.h"

#include <stdlib.h>

#include "known_alleles.h"

/* The bits of alleles 64 at a time: those that are the ALT, and those that are another one. */
BF_CLONES static void
split_wide(const bf_planes *from, unsigned alt, int others_missing, uint8_t *low, uint8_t *sign,
    uint64_t words)
{
    /* Beyond the depth, bits of alleles are 0. */
    for (uint64_t w = 0; w < words; w++) {
        uint64_t negative = bf_load64(from->plane[BF_SIGN_PLANE] + 8 * w);
        uint64_t first = bf_load64(from->plane[BF_LOW_PLANE] + 8 * w);
        uint64_t same = alt >> from->depth != 0 ? 0 : ~negative, any = 0, other;

        for (int k = 0; k < from->depth; k++) {
            uint64_t bits = bf_load64(from->plane[k] + 8 * w);

            any |= bits;
            same &= alt >> k & 1 ? bits : ~bits;
        }
        other = others_missing ? any & ~negative & ~same : 0;
        bf_store64(low + 8 * w, same | (first & negative) | other);
        bf_store64(sign + 8 * w, negative | other);
    }
}

/* The same where no allele is above 1, and this ALT is: nobody has it. */
BF_CLONES static void
split_narrow(
    const bf_planes *from, int others_missing, uint8_t *low, uint8_t *sign, uint64_t words)
{
    for (uint64_t w = 0; w < words; w++) {
        uint64_t negative = bf_load64(from->plane[BF_SIGN_PLANE] + 8 * w);
        uint64_t first = bf_load64(from->plane[BF_LOW_PLANE] + 8 * w);

        bf_store64(low + 8 * w, others_missing ? first : first & negative);
        bf_store64(sign + 8 * w, others_missing ? negative | first : negative);
    }
}

bf_status
bf_split_encode(const void *context, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_split *self = context;
    uint64_t bits = (uint64_t) row->num_samples * row->ploidy, bytes = bf_planes_bytes(bits);
    uint64_t words = (bits + 63) / 64;
    bf_split_alt alt = { 0 };
    bf_planes planes = { .capacity = bits, .depth = 1 };
    bf_row shown = *row;
    bf_status status;

    if (record >= self->num_records) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such record");
    }
    alt = self->alts[record];
    if (alt.number == 0 || (alt.number == 1 && !row->wide)) {
        return self->encode(self->encoder, row, record, out, size, err);
    }
    if (bf_known_alleles(row, alt.num_alleles, err) != BF_OK) {
        return err->status;
    }
    planes.plane[BF_LOW_PLANE] = malloc(2 * bytes);
    if (planes.plane[BF_LOW_PLANE] == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    planes.plane[BF_SIGN_PLANE] = planes.plane[BF_LOW_PLANE] + bytes;
    for (int k = 0; k <= BF_SIGN_PLANE; k += BF_SIGN_PLANE) {
        /* What encoders read behind the last word. */
        memset(planes.plane[k] + words * 8, 0, bytes - words * 8);
    }
    if (row->wide) {
        split_wide(row->planes, alt.number, self->others_missing, planes.plane[BF_LOW_PLANE],
            planes.plane[BF_SIGN_PLANE], words);
    } else {
        split_narrow(row->planes, self->others_missing, planes.plane[BF_LOW_PLANE],
            planes.plane[BF_SIGN_PLANE], words);
    }
    planes.no_sign = row->planes->no_sign && !self->others_missing;
    shown.planes = &planes;
    shown.wide = 0;
    status = self->encode(self->encoder, &shown, record, out, size, err);
    free(planes.plane[BF_LOW_PLANE]);
    return status;
}
