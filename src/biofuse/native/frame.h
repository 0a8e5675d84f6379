/* Reader of Blosc 1 frames, one block at a time.
 *
 * Specification: c-blosc README_CHUNK_FORMAT.rst. A frame is a 16-byte header,
 * a table of 32-bit little-endian block offsets, and per block a 32-bit size
 * followed by that many bytes. With the "memcpyed" flag the raw bytes follow
 * the header directly.
 *
 * Only what VCZ calls are written with is decoded: zstd; elements of one byte with
 * bit shuffle, byte shuffle (which is the identity on one byte) or none; larger ones
 * with byte shuffle or none. Anything else that is well formed gives
 * BF_ERR_UNSUPPORTED.
 *
 * Every size and offset is checked before it is used; nothing in a frame is
 * trusted. The reader never owns the bytes it reads. */
#ifndef BF_FRAME_H
#define BF_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include "error.h"

#define BF_FRAME_HEADER_SIZE 16
/* c-blosc itself makes blocks of some KiB to a few MiB. Larger ones would cost memory,
 * and the time to check a table grows with the square of its length. */
#define BF_FRAME_MAX_BLOCK_SIZE (8u << 20)
#define BF_FRAME_MAX_BLOCKS 16384u

typedef struct {
    uint32_t num_bytes;        /* raw size of the frame's content */
    uint32_t block_size;       /* raw size of every block but the last */
    uint32_t compressed_bytes; /* size of the whole frame */
    uint32_t num_blocks;
    int memcpyed;
    int bit_shuffled;
    int byte_shuffled; /* never of elements of one byte */
} bf_frame_header;

/* A frame of which the header, the offset table and one contiguous span of the
 * remaining bytes are in memory. */
typedef struct {
    bf_frame_header header;
    const uint8_t *offsets;    /* num_blocks x 4 bytes, unaligned; NULL if memcpyed */
    const uint8_t *span;       /* bytes [span_start, span_start + span_size) of the frame */
    uint64_t span_start;
    uint64_t span_size;
} bf_frame;

/* Parse the 16-byte header. expected_bytes: the raw size that the array's
 * metadata promises; frame_size: the size of the stored object; item_size: bytes of an
 * element. All must agree with the header. */
bf_status bf_frame_parse_header(const uint8_t *data, size_t size, uint64_t expected_bytes,
    uint64_t frame_size, unsigned item_size, bf_frame_header *header, bf_error *err);

/* Bytes that the header and offset table take together. */
uint64_t bf_frame_index_size(const bf_frame_header *header);

/* The span [*start, *stop) of the frame that holds blocks [first, last]. */
bf_status bf_frame_extent(const bf_frame *frame, uint32_t first, uint32_t last, uint64_t *start,
    uint64_t *stop, bf_error *err);

/* Raw size of a block. */
uint32_t bf_frame_block_bytes(const bf_frame_header *header, uint32_t block);

/* A decompressed block. */
typedef struct {
    const uint8_t *bytes; /* in the scratch or in the frame itself */
    uint32_t size;        /* raw size */
    uint32_t filled;      /* bytes that are written out, whole planes if shuffled */
    uint8_t tail;         /* what all bytes after those are */
    int shuffled;         /* bit planes, or byte planes of larger elements, else plain bytes.
                             Only bit planes may not be filled */
} bf_block;

/* Decompress one block. scratch: twice the block size. */
bf_status bf_frame_read_block(const bf_frame *frame, uint32_t block, ZSTD_DCtx *dctx,
    uint8_t *scratch, bf_block *out, bf_error *err);

#endif
