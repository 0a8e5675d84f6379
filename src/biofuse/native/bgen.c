#include "bgen.h"

#include "bgen_values.h"
#include "stored.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(BF_NO_DISPATCH)
#include <immintrin.h>
#define BF_HAVE_AVX512 1
#endif

#define EVEN 0x5555555555555555ULL
#define NUM_ALLELES 2
/* Number of samples, alleles, least and greatest ploidy. */
#define PREFIX_SIZE 8
/* The C and D fields. */
#define LENGTHS_SIZE 8
/* Samples at a time: what is made of them stays in the fastest cache. */
#define TILE 2048

/* Calls of a tile's samples, two bits each. probs: bits that become probabilities of 1, in
 * their order. missing and haploid: in the even bits. */
typedef struct {
    uint64_t probs[TILE / 32];
    uint64_t missing[TILE / 32];
    uint64_t haploid[TILE / 32];
} calls;

/* Byte i of entry b is 0xff if bit i of b is set. */
#define B1(b, i) ((uint64_t) ((b) >> (i) & 1 ? 0xff : 0) << (8 * (i)))
#define B8(b) (B1(b, 0) | B1(b, 1) | B1(b, 2) | B1(b, 3) | B1(b, 4) | B1(b, 5) | B1(b, 6) | B1(b, 7))
#define R4(b) B8(b), B8((b) + 1), B8((b) + 2), B8((b) + 3)
#define R16(b) R4(b), R4((b) + 4), R4((b) + 8), R4((b) + 12)
#define R64(b) R16(b), R16((b) + 16), R16((b) + 32), R16((b) + 48)
static const uint64_t BYTES_OF_BITS[256] = { R64(0), R64(64), R64(128), R64(192) };

static inline void
put32(uint8_t *out, uint32_t x)
{
    out[0] = (uint8_t) x;
    out[1] = (uint8_t) (x >> 8);
    out[2] = (uint8_t) (x >> 16);
    out[3] = (uint8_t) (x >> 24);
}

/* Bit i of the low half of x to bit 2 i. */
static inline uint64_t
spread(uint64_t x)
{
    x &= 0xffffffff;
    x = (x | x << 16) & 0x0000ffff0000ffffULL;
    x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fULL;
    x = (x | x << 2) & 0x3333333333333333ULL;
    return (x | x << 1) & EVEN;
}

/* Ploidy bytes of four samples, from `missing` in the even bits and `haploid` in the odd ones. */
static inline uint32_t
ploidy_bytes(unsigned bits)
{
    uint32_t x = bits;

    x = (x | x << 12) & 0x000f000f;
    x = (x | x << 6) & 0x03030303;
    return 0x02020202 - (x >> 1 & 0x01010101) + (x & 0x01010101) * BF_BGEN_MISSING;
}

static inline uint64_t
probability_bits(uint64_t first, uint64_t second, uint64_t missing, int phased)
{
    uint64_t present = EVEN & ~missing;
    uint64_t unphased_bits = (present & ~(first | second)) | (present & (first ^ second)) << 1;
    uint64_t phased_bits = (present & ~first) | (present & ~second) << 1;

    return phased ? phased_bits : unphased_bits;
}

BF_CLONES static void
get_diploid_calls(const uint8_t *restrict low_plane, const uint8_t *restrict sign_plane,
    int phased, uint64_t num_words, calls *restrict out)
{
    for (uint64_t i = 0; i < num_words; i++) {
        uint64_t low = bf_load64(low_plane + 8 * i);
        uint64_t sign = bf_load64(sign_plane + 8 * i);
        uint64_t first = low & EVEN;
        uint64_t second = low >> 1 & EVEN;
        uint64_t haploid = sign >> 1 & EVEN & ~second;
        uint64_t missing = (sign & EVEN) | (sign >> 1 & EVEN & ~haploid);

        out->probs[i] = probability_bits(first, second | (first & haploid), missing, phased);
        out->missing[i] = missing;
        out->haploid[i] = haploid;
    }
}

static void
get_haploid_calls(const uint8_t *low_plane, const uint8_t *sign_plane, int phased,
    uint64_t num_words, calls *out)
{
    for (uint64_t i = 0; i < num_words; i++) {
        uint64_t allele = spread(bf_load64(low_plane + 4 * i));
        uint64_t missing = spread(bf_load64(sign_plane + 4 * i));

        out->probs[i] = probability_bits(allele, allele, missing, phased);
        out->missing[i] = missing;
        out->haploid[i] = EVEN;
    }
}

/* Calls of num_words words from word `start` on. */
static void
get_calls(const bf_bgen *self, const bf_row *row, int phased, uint64_t start, uint64_t num_words,
    calls *out)
{
    const uint8_t *low = row->planes->plane[BF_LOW_PLANE];
    const uint8_t *sign = row->planes->plane[BF_SIGN_PLANE];

    if (row->ploidy == 2) {
        get_diploid_calls(low + 8 * start, sign + 8 * start, phased, num_words, out);
    } else {
        get_haploid_calls(low + 4 * start, sign + 4 * start, phased, num_words, out);
    }
    if (self->haploid_as_diploid) {
        memset(out->haploid, 0, sizeof(out->haploid));
    }
}

/* Whether every call is diploid and none is missing. */
static int
all_diploid_present(const bf_bgen *self, const bf_row *row)
{
    const uint8_t *sign = row->planes->plane[BF_SIGN_PLANE];
    uint64_t any = 0, size = bf_bytes((uint64_t) row->num_samples * row->ploidy);

    if (row->ploidy < 2 && !self->haploid_as_diploid) {
        return 0;
    }
    if (row->planes->no_sign) {
        return 1;
    }
    /* Bits after the last one are zero. */
    for (uint64_t i = 0; i < size; i += 8) {
        any |= bf_load64(sign + i);
    }
    return any == 0;
}

/* Samples of a word of calls that are among the first num_samples. */
static inline unsigned
samples_in_word(uint64_t word, uint32_t num_samples)
{
    uint64_t left = num_samples - 32 * word;

    return left < 32 ? (unsigned) left : 32;
}

/* A tile: its first sample, and its samples and words. */
typedef struct {
    uint64_t start, num_samples, num_words;
} tile;

static inline tile
next_tile(const bf_row *row, uint64_t start)
{
    uint64_t left = row->num_samples - start;
    uint64_t n = left < TILE ? left : TILE;

    return (tile){ start, n, (n + 31) / 32 };
}

static uint64_t
count_haploid(const bf_bgen *self, const bf_row *row)
{
    uint64_t count = 0;
    calls c;

    for (uint64_t start = 0; start < row->num_samples; start += TILE) {
        tile t = next_tile(row, start);

        get_calls(self, row, 0, start / 32, t.num_words, &c);
        for (uint64_t i = 0; i < t.num_words; i++) {
            uint64_t mask = bf_low_mask(2 * samples_in_word(i, (uint32_t) t.num_samples));

            count += (uint64_t) __builtin_popcountll(c.haploid[i] & mask);
        }
    }
    return count;
}

static void
write_ploidies(const bf_bgen *self, const bf_row *row, int plain, bf_stored *stream)
{
    uint8_t bytes[TILE];
    calls c;

    if (plain) {
        bf_stored_repeat(stream, 2, row->num_samples);
        return;
    }
    for (uint64_t start = 0; start < row->num_samples; start += TILE) {
        tile t = next_tile(row, start);

        get_calls(self, row, 0, start / 32, t.num_words, &c);
        for (uint64_t i = 0; i < t.num_words; i++) {
            uint64_t bits = c.missing[i] | c.haploid[i] << 1;

            for (unsigned k = 0; k < 8; k++, bits >>= 8) {
                put32(bytes + 32 * i + 4 * k, ploidy_bytes(bits & 0xff));
            }
        }
        bf_stored_write(stream, bytes, t.num_samples);
    }
}

/* A byte of 0xff for every bit that is set, of 0 for every other. */
static void
expand_by_table(const uint64_t *bits, uint64_t num_words, uint8_t *out)
{
    for (uint64_t i = 0; i < num_words; i++) {
        for (unsigned k = 0; k < 8; k++) {
            bf_store64(out + 64 * i + 8 * k, BYTES_OF_BITS[bits[i] >> (8 * k) & 0xff]);
        }
    }
}

#ifdef BF_HAVE_AVX512
__attribute__((target("avx512bw"))) static void
expand_by_mask(const uint64_t *bits, uint64_t num_words, uint8_t *out)
{
    for (uint64_t i = 0; i < num_words; i++) {
        _mm512_storeu_si512(out + 64 * i, _mm512_movm_epi8(bits[i]));
    }
}
#endif

static void
expand(const uint64_t *bits, uint64_t num_words, uint8_t *out)
{
#ifdef BF_HAVE_AVX512
    if (__builtin_cpu_supports("avx512bw")) {
        expand_by_mask(bits, num_words, out);
        return;
    }
#endif
    expand_by_table(bits, num_words, out);
}

/* Keep the first value alone of each haploid call of a tile. Returns the bytes that are left. */
static uint64_t
compact(const calls *c, tile t, unsigned width, uint8_t *bytes)
{
    uint8_t *to = bytes;

    for (uint64_t s = 0; s < t.num_samples; s++) {
        unsigned haploid = c->haploid[s / 32] >> (2 * (s % 32)) & 1;

        memmove(to, bytes + 2 * width * s, 2 * width);
        to += (2 - haploid) * width;
    }
    return (uint64_t) (to - bytes);
}

/* plain: no call is haploid. */
static void
write_hard_calls(
    const bf_bgen *self, const bf_row *row, int phased, int plain, bf_stored *stream)
{
    unsigned width = self->bits / 8;
    uint8_t bytes[4 * TILE], *in_place;
    uint64_t doubled[2 * TILE / 32];
    calls c;

    for (uint64_t start = 0; start < row->num_samples; start += TILE) {
        tile t = next_tile(row, start);
        uint64_t size = 2 * width * t.num_samples;
        const uint64_t *bits = c.probs;

        get_calls(self, row, phased, start / 32, t.num_words, &c);
        if (width == 2) {
            for (uint64_t i = 0; i < t.num_words; i++) {
                doubled[2 * i] = 3 * spread(c.probs[i]);
                doubled[2 * i + 1] = 3 * spread(c.probs[i] >> 32);
            }
            bits = doubled;
        }
        /* Whole words are written, so only a full tile has room where it belongs. */
        in_place = plain && t.num_samples == TILE ? bf_stored_reserve(stream, size) : NULL;
        if (in_place != NULL) {
            expand(bits, width * t.num_words, in_place);
            bf_stored_commit(stream, size);
        } else {
            expand(bits, width * t.num_words, bytes);
            bf_stored_write(stream, bytes, plain ? size : compact(&c, t, width, bytes));
        }
    }
}

static uint64_t
payload_size(const bf_bgen *self, uint32_t num_samples, uint64_t num_haploid)
{
    uint64_t values = 2 * (uint64_t) num_samples - num_haploid;

    return PREFIX_SIZE + (uint64_t) num_samples + 2 + values * (self->bits / 8);
}

uint64_t
bf_bgen_data_size(const bf_bgen *self, uint32_t num_samples, uint32_t ploidy)
{
    uint64_t haploid = ploidy == 1 && !self->haploid_as_diploid ? num_samples : 0;

    return LENGTHS_SIZE + bf_stored_size(payload_size(self, num_samples, haploid));
}

static int
is_phased(const bf_row *row)
{
    if (row->phased == NULL) {
        return 0;
    }
    for (uint64_t i = 0; i < row->num_samples; i += 64) {
        uint64_t left = row->num_samples - i;
        uint64_t mask = bf_low_mask(left < 64 ? (unsigned) left : 64);

        if ((bf_load64(row->phased + i / 8) & mask) != mask) {
            return 0;
        }
    }
    return 1;
}

static bf_status
check(const bf_bgen *self, const bf_row *row, uint64_t record, uint64_t size, bf_error *err)
{
    uint64_t data, head, total;

    if (row->ploidy == 0 || row->ploidy > 2 || (self->bits != 8 && self->bits != 16)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "BGEN records are of ploidy 1 or 2, at 8 or 16 bits");
    }
    if (!bf_has_values(row, self->field)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a BGEN record of values was given none");
    }
    data = bf_bgen_data_size(self, row->num_samples, row->ploidy);
    if (data > UINT32_MAX) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a BGEN record cannot be of so many samples");
    }
    if (record >= self->num_records || size < data
        || size != self->offsets[record + 1] - self->offsets[record]) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record is of another size");
    }
    /* The table holds strings of all records and nothing else, or it belongs to others. */
    total = self->offsets[self->num_records] - self->offsets[0] - self->num_records * data;
    head = self->offsets[record] - self->offsets[0] - record * data;
    if (total != self->heads_size || head > total || size - data > total - head) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the record's strings are not in the table");
    }
    if (row->wide) {
        return bf_fail(err, BF_ERR_ALLELE,
            "a call has an allele other than the site's two, which a biallelic BGEN variant "
            "cannot show");
    }
    return BF_OK;
}

bf_status
bf_bgen_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err)
{
    const bf_bgen *self = encoder;
    uint64_t data, head, haploid, payload;
    uint8_t prefix[PREFIX_SIZE], flags[2];
    int phased, plain = 0, hard = self->field == BF_FIELD_GT;
    bf_stored stream;

    if (check(self, row, record, size, err) != BF_OK) {
        return err->status;
    }
    if (hard) {
        plain = all_diploid_present(self, row);
        haploid = plain ? 0 : count_haploid(self, row);
    } else if (bf_bgen_count_haploid_values(self, row, &haploid, err) != BF_OK) {
        return err->status;
    }
    data = bf_bgen_data_size(self, row->num_samples, row->ploidy);
    head = self->offsets[record] - self->offsets[0] - record * data;
    if (size > data) {
        memcpy(out, self->heads + head, size - data);
        out += size - data;
    }
    payload = payload_size(self, row->num_samples, haploid);
    put32(out, (uint32_t) (data - 4));
    put32(out + 4, (uint32_t) payload);
    phased = hard && is_phased(row);
    put32(prefix, row->num_samples);
    prefix[4] = NUM_ALLELES;
    prefix[5] = 0;
    prefix[6] = haploid > 0 ? 1 : 2;
    prefix[7] = haploid > 0 && haploid == row->num_samples ? 1 : 2;
    flags[0] = (uint8_t) phased;
    flags[1] = (uint8_t) self->bits;
    bf_stored_begin(&stream, out + LENGTHS_SIZE, payload, data - LENGTHS_SIZE);
    bf_stored_write(&stream, prefix, PREFIX_SIZE);
    if (hard) {
        write_ploidies(self, row, plain, &stream);
        bf_stored_write(&stream, flags, 2);
        write_hard_calls(self, row, phased, haploid == 0, &stream);
    } else {
        bf_bgen_write_value_ploidies(self, row, &stream);
        bf_stored_write(&stream, flags, 2);
        bf_bgen_write_values(self, row, &stream);
    }
    (void) bf_stored_end(&stream);
    return BF_OK;
}
