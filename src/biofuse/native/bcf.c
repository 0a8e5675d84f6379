#include "bcf.h"

#include "known_alleles.h"

/* A byte of each of 8 alleles. */
#define EACH 0x0101010101010101ULL
/* What stands for no such allele in a call, of one byte. */
#define PAD 0x81
/* The most alleles of which a byte tells the numbers. */
#define MAX_NARROW_ALLELES 63
/* Where a record has the number of its site's alleles, in two bytes. */
#define NUM_ALLELES_AT 26
#define MIN_HEAD 32
/* Tables of eight alleles take as long as this many times eight. */
#define LEAST_FOR_TABLES 256

/* Bytes of the fields from this one on. */
static uint64_t
formats_size(const bf_bcf *self, uint32_t from, uint32_t num_samples, uint32_t ploidy,
    uint32_t num_alleles)
{
    uint64_t size = 0;

    for (uint32_t k = from; k < self->num_formats; k++) {
        const bf_bcf_format *format = &self->formats[k];

        size += bf_bcf_format_size(
            format, num_samples, bf_bcf_format_count(format, num_alleles, ploidy));
    }
    return size;
}

uint64_t
bf_bcf_data_size(
    const bf_bcf *self, uint32_t num_samples, uint32_t ploidy, uint32_t num_alleles)
{
    return self->prefix_size + (uint64_t) num_samples * ploidy * self->width
           + formats_size(self, 0, num_samples, ploidy, num_alleles);
}

/* Bit k to the lowest one of byte k. */
static inline uint64_t
spread(uint8_t bits)
{
    uint64_t each = bits * EACH & 0x8040201008040201ULL;

    return (each + 0x7f7f7f7f7f7f7f7fULL) >> 7 & EACH;
}

/* Of the bits of four diploid calls, those of their second alleles. */
static inline unsigned
second_alleles(unsigned four)
{
    return (four & 1) << 1 | (four & 2) << 2 | (four & 4) << 3 | (four & 8) << 4;
}

/* Which of the alleles 8 i to 8 i + 7 are not the first of their call, and phased. */
static inline uint8_t
phased_bits(const bf_row *row, uint64_t i)
{
    uint8_t found = 0;

    if (row->phased == NULL || row->ploidy == 1) {
        return 0;
    }
    if (row->ploidy == 2) {
        return (uint8_t) second_alleles(row->phased[i / 2] >> 4 * (i % 2) & 15);
    }
    for (unsigned k = 0; k < 8; k++) {
        uint64_t allele = 8 * i + k, sample = allele / row->ploidy;

        if (allele % row->ploidy != 0 && sample < row->num_samples) {
            found |= (uint8_t) ((row->phased[sample / 8] >> sample % 8 & 1) << k);
        }
    }
    return found;
}

/* Alleles 8 i to 8 i + 7 of a row that is wide, of which those that are none are 0. */
static inline uint64_t
wide_alleles(const bf_row *row, uint64_t i, uint8_t sign)
{
    uint64_t found = 0;

    for (unsigned k = 0; k < BF_SIGN_PLANE; k++) {
        found |= spread(bf_plane(row->planes, (int) k)[i] & (uint8_t) ~sign) << k;
    }
    return found;
}

/* The bytes of alleles 8 i to 8 i + 7, which a byte can tell. *fills: not 0 once there is a fill
 * value. */
static inline uint64_t
codes(const bf_row *row, uint64_t i, int wide, int phased, uint8_t *fills)
{
    uint8_t low = row->planes->plane[BF_LOW_PLANE][i], sign = row->planes->plane[BF_SIGN_PLANE][i];
    uint8_t fill = sign & (uint8_t) ~low;
    uint64_t found = wide ? wide_alleles(row, i, sign) : spread(low & (uint8_t) ~sign);

    *fills |= fill;
    found = ((found << 1) + 2 * EACH) & ~(spread(sign) * 0xff);
    found |= spread(fill) * PAD;
    if (phased) {
        found |= spread(phased_bits(row, i) & (uint8_t) ~fill);
    }
    return found;
}

/* Words of a row that is not wide, of which some allele may be none. */
static __attribute__((noinline)) void
encode_words(const bf_row *row, uint8_t *out, uint64_t from, uint64_t to, int phased, uint8_t *fills)
{
    for (uint64_t i = from; i < to; i++) {
        bf_store64(out + 8 * i, codes(row, i, 0, phased, fills));
    }
}

/* The same by tables of eight alleles. */
static inline __attribute__((always_inline)) void
encode_by_tables(
    const bf_row *row, uint8_t *restrict out, uint64_t words, int phased, uint8_t *fills)
{
    const uint8_t *restrict low = row->planes->plane[BF_LOW_PLANE];
    const uint8_t *restrict sign = row->planes->plane[BF_SIGN_PLANE];
    const uint8_t *restrict phases = row->phased;
    uint64_t alleles_of[256], phases_of[16], i;

    for (unsigned k = 0; k < 256; k++) {
        alleles_of[k] = (spread((uint8_t) k) << 1) + 2 * EACH;
    }
    for (unsigned k = 0; k < 16; k++) {
        phases_of[k] = spread((uint8_t) second_alleles(k));
    }
    for (i = 0; i + 8 <= words; i += 8) {
        uint64_t bits = bf_load64(low + i);
        uint32_t phase = phased ? bf_load32(phases + i / 2) : 0;

        if (bf_load64(sign + i) != 0) {
            encode_words(row, out, i, i + 8, phased, fills);
            continue;
        }
        for (unsigned k = 0; k < 8; k++) {
            bf_store64(out + 8 * (i + k),
                alleles_of[bits >> 8 * k & 0xff] | (phased ? phases_of[phase >> 4 * k & 15] : 0));
        }
    }
    encode_words(row, out, i, words, phased, fills);
}

BF_CLONES static void
encode_narrow(const bf_row *row, uint8_t *out, uint64_t size, uint8_t *fills)
{
    uint64_t words = size / 8;
    int phased = row->phased != NULL && row->ploidy > 1;
    uint8_t last[8];

    if (row->wide || words < LEAST_FOR_TABLES || (phased && row->ploidy != 2)) {
        for (uint64_t i = 0; i < words; i++) {
            bf_store64(out + 8 * i, codes(row, i, row->wide, phased, fills));
        }
    } else if (phased) {
        encode_by_tables(row, out, words, 1, fills);
    } else {
        encode_by_tables(row, out, words, 0, fills);
    }
    if (size % 8 != 0) {
        bf_store64(last, codes(row, words, row->wide, 1, fills));
        memcpy(out + 8 * words, last, size % 8);
    }
}

static void
encode_two_bytes(const bf_row *row, uint8_t *out, uint64_t alleles, uint8_t *fills)
{
    for (uint64_t a = 0; a < alleles; a++) {
        uint64_t i = a / 8;
        unsigned k = a % 8, value = 0;
        uint8_t sign = row->planes->plane[BF_SIGN_PLANE][i] >> k & 1;
        uint8_t low = row->planes->plane[BF_LOW_PLANE][i] >> k & 1;

        if (sign && !low) {
            *fills = 1;
            value = PAD & 0x7f;
        } else {
            if (row->wide) {
                value = (unsigned) (wide_alleles(row, i, row->planes->plane[BF_SIGN_PLANE][i])
                                    >> 8 * k & 0x7f);
            } else if (!sign) {
                value = low;
            }
            value = sign ? 0 : (value + 1) << 1;
            value |= phased_bits(row, i) >> k & 1;
        }
        out[2 * a] = (uint8_t) value;
        out[2 * a + 1] = (uint8_t) (value >> 8 | (sign && !low ? 0x80 : 0));
    }
}

/* Make calls without any allele missing ones. Returns whether none has an allele behind a fill
 * value. */
static int
settle_fills(uint8_t *out, uint32_t num_samples, uint32_t ploidy, unsigned width)
{
    for (uint64_t s = 0; s < num_samples; s++) {
        uint8_t *call = out + s * ploidy * width;
        int ended = 0;

        for (uint32_t k = 0; k < ploidy; k++) {
            /* The last byte of a pad alone has its highest bit set. */
            int pad = call[(k + 1) * width - 1] >= 0x80;

            if (ended && !pad) {
                return 0;
            }
            ended = pad;
        }
        if (call[width - 1] >= 0x80) {
            memset(call, 0, width);
        }
    }
    return 1;
}

static unsigned
alleles_of(const uint8_t *head)
{
    return head[NUM_ALLELES_AT] | (unsigned) head[NUM_ALLELES_AT + 1] << 8;
}

/* The head of a record of this size, which belongs to others if what follows it does not fit. */
static bf_status
find_head(const bf_bcf *self, uint32_t num_samples, uint32_t ploidy, uint64_t record,
    uint64_t size, const uint8_t **head, uint64_t *head_size, bf_error *err)
{
    uint64_t data, start, total;

    if (ploidy == 0 || self->width > 2) {
        return bf_fail(err, BF_ERR_ARGUMENT, "BCF genotypes are of one or two bytes an allele");
    }
    if (record >= self->num_records || size != self->offsets[record + 1] - self->offsets[record]) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    if (self->head_offsets != NULL) {
        start = self->head_offsets[record];
        total = self->head_offsets[record + 1];
        if (total < start || total > self->heads_size || total - start < MIN_HEAD) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the record's site is not in the table");
        }
        *head = self->heads + start;
        *head_size = total - start;
        data = bf_bcf_data_size(self, num_samples, ploidy, alleles_of(*head));
        if (size < data || size - data != *head_size) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
        }
        return BF_OK;
    }
    data = bf_bcf_data_size(self, num_samples, ploidy, 1);
    if (size < data || size - data < MIN_HEAD) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    /* The table holds heads of all records and nothing else, or it belongs to others. */
    total = self->offsets[self->num_records] - self->offsets[0] - self->num_records * data;
    start = self->offsets[record] - self->offsets[0] - record * data;
    if (total != self->heads_size || start > total || size - data > total - start) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record's site is not in the table");
    }
    *head = self->heads + start;
    *head_size = size - data;
    return BF_OK;
}

bf_status
bf_bcf_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_bcf *self = encoder;
    uint64_t head_size, alleles = (uint64_t) row->num_samples * row->ploidy;
    const uint8_t *head;
    unsigned num_alleles;
    uint8_t fills = 0;

    if (find_head(self, row->num_samples, row->ploidy, record, size, &head, &head_size, err)
        != BF_OK) {
        return err->status;
    }
    memcpy(out, head, head_size);
    out += head_size;
    if (self->width == 0) {
        return BF_OK;
    }
    num_alleles = alleles_of(head);
    if (self->width == 1 && num_alleles > MAX_NARROW_ALLELES) {
        num_alleles = MAX_NARROW_ALLELES;
    }
    if (bf_known_alleles(row, num_alleles, err) != BF_OK) {
        return err->status;
    }
    memcpy(out, self->prefix, self->prefix_size);
    out += self->prefix_size;
    if (self->width == 1) {
        encode_narrow(row, out, alleles, &fills);
    } else {
        encode_two_bytes(row, out, alleles, &fills);
    }
    if (fills && !settle_fills(out, row->num_samples, row->ploidy, self->width)) {
        return bf_fail(err, BF_ERR_ALLELE, "a call has an allele behind a fill value");
    }
    return BF_OK;
}

bf_status
bf_bcf_put_format(const bf_bcf *self, uint32_t format, const bf_bcf_values *values, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_bcf_format *own;
    const uint64_t *offsets = self->offsets;
    uint64_t first = values->first_record, last = first + values->num_records, step;

    if (format >= self->num_formats || last < first || last > self->num_records) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there are no such records, or fields of them");
    }
    own = &self->formats[format];
    step = (uint64_t) values->num_samples * own->num_values * bf_bcf_stored_bytes(own->code);
    if (values->size != values->num_records * step) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the values are of another shape");
    }
    for (uint64_t i = first; i < last; i++) {
        uint64_t start = offsets[i] - offsets[first], stop = offsets[i + 1] - offsets[first];
        uint64_t behind, head_size;
        const uint8_t *head;
        unsigned alleles;

        if (stop < start || stop > size) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the records do not fit the output");
        }
        if (find_head(self, values->num_samples, values->ploidy, i, stop - start, &head,
                &head_size, err)
            != BF_OK) {
            return err->status;
        }
        alleles = alleles_of(head);
        behind = formats_size(self, format, values->num_samples, values->ploidy, alleles);
        err->row = (int64_t) (i - first);
        if (bf_bcf_format_write(own, values->values + (i - first) * step, values->num_samples,
                bf_bcf_format_count(own, alleles, values->ploidy), out + stop - behind, err)
            != BF_OK) {
            return err->status;
        }
    }
    err->row = -1;
    return BF_OK;
}
