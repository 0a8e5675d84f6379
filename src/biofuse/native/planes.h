/* Bit planes of genotypes.
 *
 * Plane k of a run of int8 alleles holds bit k of each, first allele in the
 * least significant bit. In a store with at most two alleles at a site every
 * allele is 0, 1, -1 (missing) or -2 (fill: no such allele in this call), so
 * planes 1 to 6 equal plane 7, the sign. Where they don't, an allele index
 * above 1 occurs and the run is called wide. As many planes as the largest allele takes
 * differ from the sign; those between them and it do not, and are not kept.
 *
 * A bf_planes holds plane 0 and, unless it was allocated without, plane 7 always, of planes 1
 * to 6 those below its depth. */
#ifndef BF_PLANES_H
#define BF_PLANES_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "error.h"

#define BF_NUM_PLANES 8
#define BF_LOW_PLANE 0
#define BF_SIGN_PLANE 7

typedef struct {
    uint8_t *plane[BF_NUM_PLANES]; /* capacity bits each, BF_BITS_PAD spare bytes; 1-6 lazily */
    uint64_t capacity;             /* bits */
    int depth;                     /* planes from this one to 6, at least 1, equal the sign */
    int no_sign;                   /* the whole sign plane is zero: no allele is missing or fill */
} bf_planes;

/* Bytes that a plane of so many bits takes. */
static inline uint64_t
bf_planes_bytes(uint64_t capacity)
{
    return bf_bytes(capacity) + 64 + BF_BITS_PAD;
}

/* Plane k, of those that have a sign plane. */
static inline const uint8_t *
bf_plane(const bf_planes *self, int k)
{
    return self->plane[k < self->depth ? k : BF_SIGN_PLANE];
}

/* Bytes that these planes take. */
static inline uint64_t
bf_planes_size(const bf_planes *self)
{
    uint64_t planes = 0;

    for (int k = 0; k < BF_NUM_PLANES; k++) {
        planes += self->plane[k] != NULL;
    }
    return planes * bf_planes_bytes(self->capacity);
}

bf_status bf_planes_alloc(bf_planes *self, uint64_t capacity, bf_error *err);
/* Without a sign plane, which comes with the first content that needs one: planes to be filled
 * as a whole, and to be copied from. */
bf_status bf_planes_alloc_block(bf_planes *self, uint64_t capacity, bf_error *err);
/* Allocate planes 1 to depth - 1 if they are not there yet. */
bf_status bf_planes_widen(bf_planes *self, int depth, bf_error *err);
void bf_planes_free(bf_planes *self);

/* Make the sign plane zero; costs nothing where it is known to be. */
void bf_planes_clear_sign(bf_planes *self);

/* From a bit-shuffled block: eight planes of size / 8 bytes each, of which the first
 * filled bytes are given and the rest are all tail. size is a multiple of 8 and at most
 * the capacity; filled is a number of whole planes. */
bf_status bf_planes_from_shuffled(bf_planes *self, const uint8_t *block, uint64_t size,
    uint64_t filled, uint8_t tail, bf_error *err);

/* From size plain int8 alleles. */
bf_status bf_planes_from_bytes(
    bf_planes *self, const uint8_t *alleles, uint64_t size, bf_error *err);

/* From size alleles that all have this value. */
bf_status bf_planes_from_constant(
    bf_planes *self, int8_t allele, uint64_t size, bf_error *err);

/* Copy n bits of every plane. If these bits of src are deeper than dst, dst's planes between are
 * made from its sign plane for the bits before dst_bit. */
bf_status bf_planes_copy(bf_planes *dst, uint64_t dst_bit, const bf_planes *src,
    uint64_t src_bit, uint64_t n, bf_error *err);

/* Which samples of a row are kept, and in which order. */
typedef struct {
    const uint32_t *index; /* num_out source sample indices, in output order */
    uint32_t num_out;
    const uint64_t *mask;  /* if the order is ascending without repeats: one bit an allele of
                              the source row, set if kept; else NULL */
    uint64_t mask_words;
} bf_gather;

/* Fill in the mask, of zeroed words, for num_out samples of ploidy alleles. Returns
 * 0, with the mask of no use, if the order is not strictly ascending. */
int bf_gather_make_mask(
    const uint32_t *index, uint32_t num_out, uint32_t ploidy, uint64_t *mask, uint64_t mask_words);

/* Keep the gather's samples of ploidy bits each: dst = src[index]. */
bf_status bf_planes_gather(bf_planes *dst, const bf_planes *src, const bf_gather *gather,
    uint32_t ploidy, bf_error *err);

/* Set bits [n, n rounded up to whole 64-bit words + 64) of every plane to zero. */
void bf_planes_clear_tail(bf_planes *self, uint64_t n);

/* Whether planes 1 to 6 differ from the sign plane anywhere in the first n bits:
 * an allele index above 1, or a value below -2. */
int bf_planes_is_wide(const bf_planes *self, uint64_t n);

#endif
