/* zlib streams of stored blocks, of a size that is chosen beforehand.
 *
 * Specifications: RFC 1950 (zlib), RFC 1951 (DEFLATE). A stream may be padded
 * to more bytes than its data need: with empty stored blocks of five bytes,
 * and with empty blocks of fixed Huffman codes for what is left. */
#ifndef BF_STORED_H
#define BF_STORED_H

#include <stdint.h>

#define BF_STORED_MAX_BLOCK 65535

typedef struct {
    uint8_t *out;
    uint64_t data_left;    /* bytes that are still to be written */
    uint32_t block_left;   /* of the current stored block */
    uint32_t adler;
    int final_block;       /* a final block that is not stored follows the data */
} bf_stored;

/* Bytes of the shortest stream that holds size bytes of data. */
uint64_t bf_stored_size(uint64_t size);

/* Begin a stream of stream_size bytes for data_size > 0 bytes of data;
 * stream_size is at least bf_stored_size(data_size). */
void bf_stored_begin(bf_stored *self, uint8_t *out, uint64_t data_size, uint64_t stream_size);

/* Append data; altogether exactly data_size bytes. */
void bf_stored_write(bf_stored *self, const uint8_t *data, uint64_t size);

/* Append size times the same byte. */
void bf_stored_repeat(bf_stored *self, uint8_t byte, uint64_t size);

/* Where the next size bytes may be written in place, to be appended by bf_stored_commit;
 * NULL if they do not lie in one stored block. */
uint8_t *bf_stored_reserve(bf_stored *self, uint64_t size);
void bf_stored_commit(bf_stored *self, uint64_t size);

/* End the stream once all data are written. Returns the address after its last byte. */
uint8_t *bf_stored_end(bf_stored *self);

#endif
