/* A stream in BGZF blocks of stored deflate blocks, at offsets that follow from its size.
 *
 * Specification: https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1. Every block but the
 * last one has BF_BGZF_PAYLOAD bytes of the stream, and an empty block ends the file. */
#ifndef BF_BGZF_H
#define BF_BGZF_H

#include <stdint.h>

enum { BF_BGZF_PAYLOAD = 65280, BF_BGZF_AROUND = 31, BF_BGZF_END = 28 };
enum { BF_BGZF_BLOCK = BF_BGZF_PAYLOAD + BF_BGZF_AROUND };

extern const uint8_t bf_bgzf_end[BF_BGZF_END];

/* Bytes of the file that a stream of this size makes. */
uint64_t bf_bgzf_size(uint64_t stream_size);

/* What is before and behind the payload of a block, of up to BF_BGZF_PAYLOAD bytes, which is
 * there: block has BF_BGZF_AROUND bytes more. */
void bf_bgzf_close(uint8_t *block, uint32_t payload_size);

/* Where the payload of a block begins in it. */
enum { BF_BGZF_HEAD = 23 };

#endif
