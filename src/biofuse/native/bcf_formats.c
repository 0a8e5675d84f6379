#include "bcf_formats.h"

#include <string.h>

#include "bcf_types.h"
#include "bits.h"
#include "no_value.h"

enum { FINE = 0, BEYOND, BEHIND, NOT_SHOWN };

static const char *const WRONG[] = {
    [FINE] = NULL,
    [BEYOND] = "a number is one that BCF, of 32 bits, cannot hold",
    [BEHIND] = "a value comes behind a fill value",
    [NOT_SHOWN] = "there are more values than the site has alleles for",
};

/* Values of some samples: room elements each in the store, of which count are shown. */
typedef struct {
    const uint8_t *values;
    uint64_t num_samples;
    uint32_t room, count;
    uint8_t *out;
} job;

unsigned
bf_bcf_stored_bytes(char code)
{
    switch (code) {
    case '?':
    case 'b':
    case 'B':
    case 's':
        return 1;
    case 'h':
    case 'H':
        return 2;
    case 'i':
    case 'I':
    case 'f':
        return 4;
    case 'q':
    case 'Q':
        return 8;
    default:
        return 0;
    }
}

static inline unsigned
shown_bytes(char code)
{
    switch (code) {
    case '?':
    case 's':
        return 1;
    case 'b':
    case 'B':
        return 2;
    default:
        return 4;
    }
}

static unsigned
shown_type(char code)
{
    switch (code) {
    case 's':
        return BF_BCF_CHAR;
    case 'f':
        return BF_BCF_FLOAT32;
    default:
        return shown_bytes(code) == 4 ? BF_BCF_INT32 : shown_bytes(code);
    }
}

/* Genotypes of so many alleles: the multisets of ploidy of them; no more than most. */
static uint32_t
count_genotypes(uint32_t num_alleles, uint32_t ploidy, uint32_t most)
{
    uint64_t found = 1;

    for (uint64_t k = 1; k <= ploidy && found <= most; k++) {
        found = found * (num_alleles - 1 + k) / k;
    }
    return found < most ? (uint32_t) found : most;
}

uint32_t
bf_bcf_format_count(const bf_bcf_format *self, uint32_t num_alleles, uint32_t ploidy)
{
    uint32_t room = self->num_values, count = room;

    switch (self->per) {
    case 'A':
        count = num_alleles > 1 ? num_alleles - 1 : 1;
        break;
    case 'R':
        count = num_alleles;
        break;
    case 'G':
        /* Haploid calls may have likelihoods of diploid ones. */
        return count_genotypes(num_alleles, ploidy < 2 ? 2 : ploidy, room);
    default:
        break;
    }
    return count < room ? count : room;
}

uint64_t
bf_bcf_format_size(const bf_bcf_format *self, uint32_t num_samples, uint32_t count)
{
    uint8_t type[BF_BCF_TYPE_ROOM];

    return self->key_size + bf_bcf_put_type(type, count, shown_type(self->code))
           + (uint64_t) num_samples * count * shown_bytes(self->code);
}

static inline void
store(uint8_t *p, uint32_t bits, unsigned width)
{
    switch (width) {
    case 1:
        *p = (uint8_t) bits;
        break;
    case 2:
        bf_store16(p, (uint16_t) bits);
        break;
    default:
        bf_store32(p, bits);
    }
}

static inline int
is_signed(char code)
{
    return code == 'b' || code == 'h' || code == 'i' || code == 'q';
}

/* An integer; the highest one of 64 bits where it is beyond. The code is known where this is
 * compiled into a loop. */
static inline int64_t
load(const uint8_t *p, char code)
{
    switch (code) {
    case '?':
        return *p != 0;
    case 'b':
        return (int8_t) *p;
    case 'B':
        return *p;
    case 'h':
        return (int16_t) bf_load16(p);
    case 'H':
        return bf_load16(p);
    case 'i':
        return (int32_t) bf_load32(p);
    case 'I':
        return bf_load32(p);
    case 'q':
        return (int64_t) bf_load64(p);
    default:
        return bf_load64(p) > INT64_MAX ? INT64_MAX : (int64_t) bf_load64(p);
    }
}

/* n integers. Returns whether BCF can hold them all. */
static inline int
put_ints(const uint8_t *values, uint64_t n, uint8_t *out, char code)
{
    const unsigned from = bf_bcf_stored_bytes(code), to = shown_bytes(code);
    const int64_t missing = -((int64_t) 1 << (8 * to - 1));
    int beyond = 0;

    for (uint64_t i = 0; i < n; i++) {
        int64_t value = load(values + i * from, code);

        if (from >= 4) {
            beyond |= value < BF_BCF_MIN_INT32 || value > INT32_MAX;
        }
        if (is_signed(code)) {
            value = value == BF_MISSING_INT ? missing : value;
        }
        store(out + i * to, (uint32_t) value, to);
    }
    return !beyond;
}

/* A sample's integers behind its last one become none, and the first one missing if all are. */
static inline int
end_ints(const uint8_t *own, uint32_t room, uint32_t count, uint8_t *out, char code)
{
    const unsigned from = bf_bcf_stored_bytes(code), to = shown_bytes(code);
    const uint32_t missing = (uint32_t) 1 << (8 * to - 1);
    uint32_t k = count;

    for (uint32_t i = count; i < room; i++) {
        int64_t value = load(own + (uint64_t) i * from, code);

        if (value != BF_MISSING_INT && value != BF_NO_INT) {
            return NOT_SHOWN;
        }
    }
    while (k > 0 && load(own + (uint64_t) (k - 1) * from, code) == BF_NO_INT) {
        k--;
        store(out + (uint64_t) k * to, k > 0 ? missing + 1 : missing, to);
    }
    return FINE;
}

/* Returns what is wrong, if anything is, with which sample. */
static inline int
put_all(const job *self, char code, uint64_t *sample)
{
    const unsigned from = bf_bcf_stored_bytes(code), to = shown_bytes(code);
    uint64_t step = (uint64_t) self->room * from, shown = (uint64_t) self->count * to;
    int done = self->room == self->count
               && put_ints(self->values, self->num_samples * self->count, self->out, code);

    if (done && (self->room == 1 || !is_signed(code))) {
        /* One value is never filled up. */
        return FINE;
    }
    for (*sample = 0; *sample < self->num_samples; ++*sample) {
        const uint8_t *own = self->values + *sample * step;
        uint8_t *out = self->out + *sample * shown;

        if (!done && !put_ints(own, self->count, out, code)) {
            return BEYOND;
        }
        if (self->room > 1 && is_signed(code)) {
            int found = end_ints(own, self->room, self->count, out, code);

            if (found != FINE) {
                return found;
            }
        }
    }
    return FINE;
}

BF_CLONES static int
put_code(const job *self, char code, uint64_t *sample)
{
    switch (code) {
    case '?':
        return put_all(self, '?', sample);
    case 'b':
        return put_all(self, 'b', sample);
    case 'B':
        return put_all(self, 'B', sample);
    case 'h':
        return put_all(self, 'h', sample);
    case 'H':
        return put_all(self, 'H', sample);
    case 'i':
        return put_all(self, 'i', sample);
    case 'I':
        return put_all(self, 'I', sample);
    case 'q':
        return put_all(self, 'q', sample);
    default:
        return put_all(self, 'Q', sample);
    }
}

/* Floats, as they are, but for NaNs and for those of a sample that has none. */
static int
put_floats(const job *self, uint64_t *sample)
{
    for (*sample = 0; *sample < self->num_samples; ++*sample) {
        const uint8_t *own = self->values + *sample * self->room * 4;
        uint8_t *out = self->out + *sample * self->count * 4;
        int ended = 0;

        for (uint32_t k = 0; k < self->room; k++) {
            uint32_t bits = bf_one_nan(bf_load32(own + (uint64_t) k * 4));

            if (k >= self->count && !bf_is_nan(bits)) {
                return NOT_SHOWN;
            }
            if (ended && bits != BF_NO_FLOAT) {
                return BEHIND;
            }
            ended = bits == BF_NO_FLOAT;
            if (k < self->count) {
                store(out + (uint64_t) k * 4, ended && k == 0 ? BF_MISSING_FLOAT : bits, 4);
            }
        }
    }
    return FINE;
}

bf_status
bf_bcf_format_write(const bf_bcf_format *self, const uint8_t *values, uint32_t num_samples,
    uint32_t count, uint8_t *out, bf_error *err)
{
    uint64_t sample = 0;
    int wrong = FINE;
    job each = { values, num_samples, self->num_values, count, NULL };

    if (bf_bcf_stored_bytes(self->code) == 0 || count == 0 || count > self->num_values) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a field is of no type that BCF has, or too wide");
    }
    memcpy(out, self->key, self->key_size);
    out += self->key_size;
    each.out = out + bf_bcf_put_type(out, count, shown_type(self->code));
    if (self->code == 's') {
        if (count != self->num_values) {
            return bf_fail(err, BF_ERR_ARGUMENT, "texts are of one width");
        }
        memcpy(each.out, values, (uint64_t) num_samples * count);
    } else if (self->code == 'f') {
        wrong = put_floats(&each, &sample);
    } else {
        wrong = put_code(&each, self->code, &sample);
    }
    if (wrong != FINE) {
        err->sample = (int64_t) sample;
        return bf_fail(err, BF_ERR_ALLELE, WRONG[wrong]);
    }
    return BF_OK;
}
