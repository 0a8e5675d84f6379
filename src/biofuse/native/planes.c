#include "planes.h"

#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(BF_NO_DISPATCH)
#include <immintrin.h>
#define BF_HAVE_PEXT 1
#endif

enum { COMPARE_BYTES = 8192 };

void
bf_copy_bits(uint8_t *dst, uint64_t dst_bit, const uint8_t *src, uint64_t src_bit, uint64_t n)
{
    unsigned lead = dst_bit % 8;
    uint64_t word;

    dst += dst_bit / 8;
    if (lead == 0 && src_bit % 8 == 0) {
        memcpy(dst, src + src_bit / 8, bf_bytes(n));
        return;
    }
    if (lead != 0) {
        unsigned head = 8 - lead;

        word = (dst[0] & bf_low_mask(lead)) | (bf_get64(src, src_bit) & 0xff) << lead;
        dst[0] = (uint8_t) word;
        if (n <= head) {
            return;
        }
        dst++;
        src_bit += head;
        n -= head;
    }
    for (; n >= 64; n -= 64) {
        bf_store64(dst, bf_get64(src, src_bit));
        dst += 8;
        src_bit += 64;
    }
    if (n > 0) {
        word = bf_get64(src, src_bit);
        for (unsigned i = 0; i < bf_bytes(n); i++) {
            dst[i] = (uint8_t) (word >> 8 * i);
        }
    }
}

/* Zeros in place of what bf_copy_bits would copy. */
static void
clear_bits(uint8_t *dst, uint64_t dst_bit, uint64_t n)
{
    uint64_t first = bf_bytes(dst_bit);

    if (dst_bit % 8 != 0) {
        dst[dst_bit / 8] &= (uint8_t) bf_low_mask(dst_bit % 8);
    }
    if (bf_bytes(dst_bit + n) > first) {
        memset(dst + first, 0, bf_bytes(dst_bit + n) - first);
    }
}

/* The lowest plane, of which nothing is set yet. */
static bf_status
begin(bf_planes *self, uint8_t *low, uint64_t capacity, bf_error *err)
{
    memset(self, 0, sizeof(*self));
    self->plane[BF_LOW_PLANE] = low;
    self->capacity = capacity;
    self->depth = 1;
    self->no_sign = 1;
    return low == NULL ? bf_fail(err, BF_ERR_NOMEM, "out of memory") : BF_OK;
}

bf_status
bf_planes_alloc_block(bf_planes *self, uint64_t capacity, bf_error *err)
{
    uint64_t filled = capacity / 8;
    uint64_t bytes = bf_planes_bytes(capacity);
    uint8_t *low = malloc(bytes);

    if (low != NULL) {
        memset(low + filled, 0, bytes - filled);
    }
    return begin(self, low, capacity, err);
}

/* Allocate the sign plane if it is not there yet. */
static bf_status
add_sign(bf_planes *self, bf_error *err)
{
    if (self->plane[BF_SIGN_PLANE] == NULL) {
        self->plane[BF_SIGN_PLANE] = calloc(1, bf_planes_bytes(self->capacity));
    }
    if (self->plane[BF_SIGN_PLANE] == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    self->no_sign = 0;
    return BF_OK;
}

bf_status
bf_planes_alloc(bf_planes *self, uint64_t capacity, bf_error *err)
{
    uint8_t *low = calloc(1, bf_planes_bytes(capacity));

    if (begin(self, low, capacity, err) != BF_OK || add_sign(self, err) != BF_OK) {
        bf_planes_free(self);
        return err->status;
    }
    self->no_sign = 1;
    return BF_OK;
}

bf_status
bf_planes_widen(bf_planes *self, int depth, bf_error *err)
{
    uint64_t bytes = bf_planes_bytes(self->capacity);

    for (int k = 1; k < depth; k++) {
        if (self->plane[k] == NULL) {
            self->plane[k] = calloc(1, bytes);
            if (self->plane[k] == NULL) {
                return bf_fail(err, BF_ERR_NOMEM, "out of memory");
            }
        }
    }
    return BF_OK;
}

void
bf_planes_free(bf_planes *self)
{
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        free(self->plane[k]);
        self->plane[k] = NULL;
    }
    self->capacity = 0;
}

void
bf_planes_clear_sign(bf_planes *self)
{
    if (!self->no_sign) {
        memset(self->plane[BF_SIGN_PLANE], 0, bf_planes_bytes(self->capacity));
        self->no_sign = 1;
    }
}

static int
is_constant(const uint8_t *p, uint64_t n, uint8_t byte)
{
    return n == 0 || (p[0] == byte && memcmp(p, p + 1, n - 1) == 0);
}

/* The plane of a block from which on all up to 6 equal the sign. */
static int
block_depth(const uint8_t *block, uint64_t n, int given, uint8_t tail)
{
    const uint8_t *sign = block + BF_SIGN_PLANE * n;
    int depth = 1;

    if (given <= BF_SIGN_PLANE) {
        for (int k = given - 1; k > 0; k--) {
            if (!is_constant(block + (uint64_t) k * n, n, tail)) {
                return k + 1;
            }
        }
        return 1;
    }
    /* In parts, so that the part of the sign plane stays in the first-level cache. */
    for (uint64_t i = 0; i < n; i += COMPARE_BYTES) {
        uint64_t m = n - i < COMPARE_BYTES ? n - i : COMPARE_BYTES;

        for (int k = BF_SIGN_PLANE - 1; k >= depth; k--) {
            if (memcmp(block + (uint64_t) k * n + i, sign + i, m) != 0) {
                depth = k + 1;
            }
        }
    }
    return depth;
}

bf_status
bf_planes_from_shuffled(bf_planes *self, const uint8_t *block, uint64_t size, uint64_t filled,
    uint8_t tail, bf_error *err)
{
    uint64_t n = size / 8;
    int given;

    if (size > self->capacity || size % 8 != 0 || n == 0 || filled > size || filled % n != 0) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a block is larger than its buffer");
    }
    given = (int) (filled / n);
    self->depth = block_depth(block, n, given, tail);
    if (bf_planes_widen(self, self->depth, err) != BF_OK) {
        return err->status;
    }
    if (given <= BF_SIGN_PLANE && tail == 0) {
        bf_planes_clear_sign(self);
    } else if (add_sign(self, err) != BF_OK) {
        return err->status;
    }
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        if (k >= self->depth && (k != BF_SIGN_PLANE || self->no_sign)) {
            continue;
        }
        if (k < given) {
            memcpy(self->plane[k], block + (uint64_t) k * n, n);
        } else {
            memset(self->plane[k], tail, n);
        }
    }
    return BF_OK;
}

/* The depth of alleles: spread has, of all of them, the bits that differ from the next higher one. */
static int
depth_of(uint8_t spread)
{
    int depth = 1;

    for (int k = 1; k < BF_SIGN_PLANE; k++) {
        depth = spread >> k & 1 ? k + 1 : depth;
    }
    return depth;
}

/* Transpose an 8 x 8 bit matrix whose row i is byte i of x. */
static uint64_t
transpose8(uint64_t x)
{
    uint64_t t;

    t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaULL;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000cccc0000ccccULL;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0ULL;
    x ^= t ^ (t << 28);
    return x;
}

bf_status
bf_planes_from_bytes(bf_planes *self, const uint8_t *alleles, uint64_t size, bf_error *err)
{
    uint64_t groups = bf_bytes(size);
    uint8_t last[8] = { 0 };
    uint8_t spread = 0;

    if (size > self->capacity) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a run is larger than its buffer");
    }
    for (uint64_t i = 0; i < size; i++) {
        spread |= (uint8_t) (alleles[i] ^ alleles[i] >> 1);
    }
    self->depth = depth_of(spread);
    if (add_sign(self, err) != BF_OK || bf_planes_widen(self, self->depth, err) != BF_OK) {
        return err->status;
    }
    for (uint64_t g = 0; g < groups; g++) {
        const uint8_t *p = alleles + 8 * g;
        uint64_t x;

        if (8 * g + 8 > size) {
            memcpy(last, p, size - 8 * g);
            p = last;
        }
        x = transpose8(bf_load64(p));
        for (int k = 1; k < self->depth; k++) {
            self->plane[k][g] = (uint8_t) (x >> 8 * k);
        }
        self->plane[BF_LOW_PLANE][g] = (uint8_t) x;
        self->plane[BF_SIGN_PLANE][g] = (uint8_t) (x >> 56);
    }
    return BF_OK;
}

bf_status
bf_planes_from_constant(bf_planes *self, int8_t allele, uint64_t size, bf_error *err)
{
    if (size > self->capacity) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a run is larger than its buffer");
    }
    self->depth = depth_of((uint8_t) ((uint8_t) allele ^ (uint8_t) allele >> 1));
    if (add_sign(self, err) != BF_OK || bf_planes_widen(self, self->depth, err) != BF_OK) {
        return err->status;
    }
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        if (self->plane[k] != NULL) {
            memset(self->plane[k], (uint8_t) allele >> k & 1 ? 0xff : 0, bf_bytes(size));
        }
    }
    return BF_OK;
}

/* Whether n bits of two planes are the same; of NULL they are 0. */
static int
are_same(const uint8_t *one, const uint8_t *other, uint64_t bit, uint64_t n)
{
    if (bit % 8 == 0 && n >= 8) {
        const uint8_t *bytes = one + bit / 8;

        if (other != NULL ? memcmp(bytes, other + bit / 8, n / 8) != 0
                          : bytes[0] != 0 || memcmp(bytes, bytes + 1, n / 8 - 1) != 0) {
            return 0;
        }
        bit += n - n % 8;
        n %= 8;
    }
    for (; n > 0; bit += 64) {
        uint64_t differ = bf_get64(one, bit) ^ (other != NULL ? bf_get64(other, bit) : 0);

        if ((differ & bf_low_mask(n < 64 ? (unsigned) n : 64)) != 0) {
            return 0;
        }
        n -= n < 64 ? n : 64;
    }
    return 1;
}

/* The depth of n bits. */
static int
depth_at(const bf_planes *self, uint64_t bit, uint64_t n)
{
    const uint8_t *sign = self->no_sign ? NULL : self->plane[BF_SIGN_PLANE];
    int depth = self->depth;

    while (depth > 1 && are_same(self->plane[depth - 1], sign, bit, n)) {
        depth--;
    }
    return depth;
}

/* Make the planes between its depth and another one, for the bits before this one. */
static bf_status
deepen(bf_planes *self, int depth, uint64_t bit, bf_error *err)
{
    if (bf_planes_widen(self, depth, err) != BF_OK) {
        return err->status;
    }
    for (int k = self->depth; k < depth; k++) {
        memcpy(self->plane[k], self->plane[BF_SIGN_PLANE], bf_bytes(bit));
    }
    self->depth = self->depth < depth ? depth : self->depth;
    return BF_OK;
}

bf_status
bf_planes_copy(bf_planes *dst, uint64_t dst_bit, const bf_planes *src, uint64_t src_bit,
    uint64_t n, bf_error *err)
{
    int depth;

    if (dst_bit + n > dst->capacity || src_bit + n > src->capacity) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a run is larger than its buffer");
    }
    depth = depth_at(src, src_bit, n);
    if (deepen(dst, depth, dst_bit, err) != BF_OK) {
        return err->status;
    }
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        if (k >= dst->depth && (k != BF_SIGN_PLANE || (src->no_sign && dst->no_sign))) {
            continue;
        }
        if (k >= depth && src->no_sign) {
            clear_bits(dst->plane[k], dst_bit, n);
        } else {
            bf_copy_bits(
                dst->plane[k], dst_bit, src->plane[k < depth ? k : BF_SIGN_PLANE], src_bit, n);
        }
    }
    dst->no_sign = dst->no_sign && src->no_sign;
    return BF_OK;
}

int
bf_gather_make_mask(
    const uint32_t *index, uint32_t num_out, uint32_t ploidy, uint64_t *mask, uint64_t mask_words)
{
    for (uint32_t i = 0; i < num_out; i++) {
        if (i > 0 && index[i] <= index[i - 1]) {
            return 0;
        }
        for (uint32_t j = 0; j < ploidy; j++) {
            uint64_t bit = (uint64_t) index[i] * ploidy + j;

            if (bit / 64 >= mask_words) {
                return 0;
            }
            mask[bit / 64] |= (uint64_t) 1 << bit % 64;
        }
    }
    return 1;
}

static void
gather_by_index(uint8_t *dst, const uint8_t *src, const uint32_t *index, uint64_t n,
    unsigned ploidy)
{
    uint64_t word = 0;
    unsigned fill = 0;

    for (uint64_t i = 0; i < n; i++) {
        for (unsigned j = 0; j < ploidy; j++) {
            uint64_t bit = (uint64_t) index[i] * ploidy + j;

            word |= (uint64_t) (src[bit / 8] >> bit % 8 & 1) << fill;
            if (++fill == 64) {
                bf_store64(dst, word);
                dst += 8;
                word = 0;
                fill = 0;
            }
        }
    }
    bf_store64(dst, word);
}

#ifdef BF_HAVE_PEXT
__attribute__((target("bmi2,popcnt"))) static void
gather_by_mask(uint8_t *dst, const uint8_t *src, const uint64_t *mask, uint64_t words)
{
    uint64_t word = 0;
    unsigned fill = 0;

    for (uint64_t i = 0; i < words; i++) {
        uint64_t kept = mask[i];
        uint64_t bits = _pext_u64(bf_load64(src + 8 * i), kept);
        unsigned n = (unsigned) _mm_popcnt_u64(kept);

        word |= bits << fill;
        if (fill + n >= 64) {
            bf_store64(dst, word);
            dst += 8;
            word = fill == 0 ? 0 : bits >> (64 - fill);
            fill = fill + n - 64;
        } else {
            fill += n;
        }
    }
    bf_store64(dst, word);
}
#endif

bf_status
bf_planes_gather(bf_planes *dst, const bf_planes *src, const bf_gather *gather, uint32_t ploidy,
    bf_error *err)
{
    if ((uint64_t) gather->num_out * ploidy > dst->capacity) {
        return bf_fail(err, BF_ERR_ARGUMENT, "more samples are kept than there is room for");
    }
    dst->depth = src->depth;
    if (bf_planes_widen(dst, dst->depth, err) != BF_OK) {
        return err->status;
    }
    if (src->no_sign) {
        bf_planes_clear_sign(dst);
    } else {
        dst->no_sign = 0;
    }
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        if (k >= src->depth && (k != BF_SIGN_PLANE || src->no_sign)) {
            continue;
        }
#ifdef BF_HAVE_PEXT
        if (gather->mask != NULL && __builtin_cpu_supports("bmi2")) {
            gather_by_mask(dst->plane[k], src->plane[k], gather->mask, gather->mask_words);
            continue;
        }
#endif
        gather_by_index(dst->plane[k], src->plane[k], gather->index, gather->num_out, ploidy);
    }
    return BF_OK;
}

void
bf_planes_clear_tail(bf_planes *self, uint64_t n)
{
    for (int k = 0; k < BF_NUM_PLANES; k++) {
        if (self->plane[k] != NULL) {
            uint8_t *p = self->plane[k] + n / 8;

            *p &= (uint8_t) bf_low_mask(n % 8);
            memset(p + 1, 0, 15);
        }
    }
}

int
bf_planes_is_wide(const bf_planes *self, uint64_t n)
{
    return depth_at(self, 0, n) > 1;
}
