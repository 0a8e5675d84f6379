#include "bcf_formats.h"

#include <string.h>

#include "bits.h"

/* The lowest number of 32 bits that stands for itself. */
#define MIN_INT32 (-2147483640)
#define MISSING_FLOAT 0x7f800001U
#define NO_FLOAT 0x7f800002U

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

unsigned
bf_bcf_shown_bytes(char code)
{
    switch (code) {
    case '?':
    case 's':
        return 1;
    case 'b':
    case 'B':
        return 2;
    default:
        return bf_bcf_stored_bytes(code) == 0 ? 0 : 4;
    }
}

uint64_t
bf_bcf_format_size(const bf_bcf_format *self, uint32_t num_samples)
{
    return self->prefix_size
           + (uint64_t) num_samples * self->num_values * bf_bcf_shown_bytes(self->code);
}

static inline uint32_t
load32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline void
store(uint8_t *p, uint32_t bits, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        p[i] = (uint8_t) (bits >> 8 * i);
    }
}

static inline int
is_signed(char code)
{
    return code == 'b' || code == 'h' || code == 'i' || code == 'q';
}

/* An integer; of 64 bits the highest one where it is beyond. The code is known where this is
 * compiled into a loop. */
static inline int64_t
load(const uint8_t *p, char code)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < bf_bcf_stored_bytes(code); i++) {
        bits |= (uint64_t) p[i] << 8 * i;
    }
    switch (code) {
    case '?':
        return bits != 0;
    case 'b':
        return (int8_t) bits;
    case 'h':
        return (int16_t) bits;
    case 'i':
        return (int32_t) bits;
    case 'Q':
        return bits > INT64_MAX ? INT64_MAX : (int64_t) bits;
    default:
        return (int64_t) bits;
    }
}

/* Integers, and which of them BCF cannot hold: returns that of the first one, or n. */
static inline uint64_t
put_ints(const uint8_t *values, uint64_t n, uint8_t *out, char code)
{
    const unsigned from = bf_bcf_stored_bytes(code), to = bf_bcf_shown_bytes(code);
    const int64_t missing = -((int64_t) 1 << (8 * to - 1));
    int beyond = 0;

    for (uint64_t i = 0; i < n; i++) {
        int64_t value = load(values + i * from, code);

        if (from >= 4) {
            beyond |= value < MIN_INT32 || value > INT32_MAX;
        }
        if (is_signed(code)) {
            value = value == -1 ? missing : value;
        }
        store(out + i * to, (uint32_t) value, to);
    }
    for (uint64_t i = 0; beyond && i < n; i++) {
        int64_t value = load(values + i * from, code);

        if (value < MIN_INT32 || value > INT32_MAX) {
            return i;
        }
    }
    return n;
}

/* Have the numbers behind a sample's last one be none, and its first one missing if all are. */
static inline void
end_ints(const uint8_t *values, uint32_t num_samples, uint32_t each, uint8_t *out, char code)
{
    const unsigned from = bf_bcf_stored_bytes(code), to = bf_bcf_shown_bytes(code);
    const uint32_t missing = (uint32_t) 1 << (8 * to - 1);

    for (uint64_t s = 0; s < num_samples; s++) {
        const uint8_t *own = values + s * each * from;
        uint8_t *shown = out + s * each * to;
        uint32_t k = each;

        while (k > 0 && load(own + (k - 1) * from, code) == -2) {
            k--;
            store(shown + k * to, k > 0 ? missing + 1 : missing, to);
        }
    }
}

static inline uint64_t
put_all(const uint8_t *values, uint32_t num_samples, uint32_t each, uint8_t *out, char code)
{
    uint64_t n = (uint64_t) num_samples * each, wrong = put_ints(values, n, out, code);

    /* One value is never filled up. */
    if (is_signed(code) && each > 1) {
        end_ints(values, num_samples, each, out, code);
    }
    return wrong;
}

BF_CLONES static uint64_t
put_code(const uint8_t *values, uint32_t num_samples, uint32_t each, uint8_t *out, char code)
{
    switch (code) {
    case '?':
        return put_all(values, num_samples, each, out, '?');
    case 'b':
        return put_all(values, num_samples, each, out, 'b');
    case 'B':
        return put_all(values, num_samples, each, out, 'B');
    case 'h':
        return put_all(values, num_samples, each, out, 'h');
    case 'H':
        return put_all(values, num_samples, each, out, 'H');
    case 'i':
        return put_all(values, num_samples, each, out, 'i');
    case 'I':
        return put_all(values, num_samples, each, out, 'I');
    case 'q':
        return put_all(values, num_samples, each, out, 'q');
    default:
        return put_all(values, num_samples, each, out, 'Q');
    }
}

/* Floats, as they are; returns the first one that comes behind one that is none, or their
 * number. */
static uint64_t
put_floats(const uint8_t *values, uint32_t num_samples, uint32_t each, uint8_t *out)
{
    memcpy(out, values, (uint64_t) num_samples * each * 4);
    for (uint64_t s = 0; s < num_samples; s++) {
        uint64_t first = s * each;
        int ended = 0;

        for (uint64_t i = first; i < first + each; i++) {
            int none = load32(values + 4 * i) == NO_FLOAT;

            if (ended && !none) {
                return i;
            }
            ended = none;
        }
        if (each > 0 && load32(values + 4 * first) == NO_FLOAT) {
            store(out + 4 * first, MISSING_FLOAT, 4);
        }
    }
    return (uint64_t) num_samples * each;
}

bf_status
bf_bcf_format_write(const bf_bcf_format *self, const uint8_t *values, uint32_t num_samples,
    uint8_t *out, bf_error *err)
{
    uint64_t n = (uint64_t) num_samples * self->num_values, wrong = n;

    if (bf_bcf_stored_bytes(self->code) == 0) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a field is of no type that BCF has");
    }
    if (self->prefix_size > 0) {
        memcpy(out, self->prefix, self->prefix_size);
        out += self->prefix_size;
    }
    if (self->code == 's') {
        memcpy(out, values, n);
    } else if (self->code == 'f') {
        wrong = put_floats(values, num_samples, self->num_values, out);
    } else {
        wrong = put_code(values, num_samples, self->num_values, out, self->code);
    }
    if (wrong < n) {
        err->sample = (int64_t) (wrong / self->num_values);
        return bf_fail(err, BF_ERR_ALLELE,
            self->code == 'f' ? "a value comes behind a fill value"
                              : "a number is one that BCF, of 32 bits, cannot hold");
    }
    return BF_OK;
}
