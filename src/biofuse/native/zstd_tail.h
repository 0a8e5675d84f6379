/* Leave the constant end of a zstd frame undecoded.
 *
 * Where a block of genotypes has no missing call, its upper planes are zero, and the
 * zstd frame ends in blocks of type RLE that stand for one repeated byte each
 * (RFC 8878, section 3.1.1.2). Writing those out, and reading them again, would
 * cost a third of the time that a row takes.
 */
#ifndef BF_ZSTD_TAIL_H
#define BF_ZSTD_TAIL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t head_size;         /* bytes of the frame before the first block of the tail */
    size_t last_block;        /* offset of the header of the last block before the tail */
    uint64_t head_raw;        /* raw bytes before the tail */
    uint8_t byte;             /* the byte that the tail repeats */
} bf_zstd_tail;

/* Find the tail of a frame of raw_size < 2^32 bytes. Returns 0 if there is none, or if the
 * frame is of a kind that is not split: then it must be decoded as a whole. */
int bf_zstd_find_tail(const uint8_t *frame, size_t size, uint64_t raw_size, bf_zstd_tail *tail);

/* Write a frame of tail->head_size bytes to out that holds only what is before the tail,
 * which must not be empty. */
void bf_zstd_write_head(const uint8_t *frame, const bf_zstd_tail *tail, uint8_t *out);

#endif
