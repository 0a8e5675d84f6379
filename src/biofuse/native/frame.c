#include "frame.h"

#include <string.h>

#include "zstd_tail.h"

enum {
    FORMAT_VERSION = 2,
    CODEC_VERSION = 1,
    FLAG_SHUFFLE = 0x01,
    FLAG_MEMCPYED = 0x02,
    FLAG_BIT_SHUFFLE = 0x04,
    FLAG_RESERVED = 0x08,
    FLAG_NOT_SPLIT = 0x10,
    CODEC_SHIFT = 5,
    CODEC_ZSTD = 4,
};

static uint32_t
load_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

bf_status
bf_frame_parse_header(const uint8_t *data, size_t size, uint64_t expected_bytes,
    uint64_t frame_size, unsigned item_size, bf_frame_header *header, bf_error *err)
{
    uint8_t flags;

    if (size < BF_FRAME_HEADER_SIZE) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the Blosc frame is shorter than its header");
    }
    flags = data[2];
    header->num_bytes = load_u32(data + 4);
    header->block_size = load_u32(data + 8);
    header->compressed_bytes = load_u32(data + 12);
    header->memcpyed = (flags & FLAG_MEMCPYED) != 0;
    header->bit_shuffled = (flags & FLAG_BIT_SHUFFLE) != 0;
    header->byte_shuffled = item_size > 1 && (flags & FLAG_SHUFFLE) != 0;

    if (data[0] != FORMAT_VERSION) {
        return bf_fail(err, BF_ERR_UNSUPPORTED, "the Blosc frame is of another format version");
    }
    if (header->compressed_bytes != frame_size) {
        return bf_fail(err, BF_ERR_TRUNCATED,
            "the Blosc frame's size differs from the size in its header");
    }
    if (header->num_bytes != expected_bytes) {
        return bf_fail(err, BF_ERR_HEADER,
            "the Blosc frame holds another number of bytes than the chunk shape asks for");
    }
    if (header->num_bytes == 0 || header->block_size == 0
        || header->block_size > header->num_bytes) {
        return bf_fail(err, BF_ERR_HEADER, "the Blosc frame has an impossible block size");
    }
    if (header->block_size > BF_FRAME_MAX_BLOCK_SIZE) {
        return bf_fail(err, BF_ERR_UNSUPPORTED, "the Blosc frame has uncommonly large blocks");
    }
    header->num_blocks = (header->num_bytes - 1) / header->block_size + 1;
    if (header->num_blocks > BF_FRAME_MAX_BLOCKS) {
        return bf_fail(err, BF_ERR_UNSUPPORTED, "the Blosc frame has uncommonly many blocks");
    }
    if (header->memcpyed) {
        if ((uint64_t) header->num_bytes + BF_FRAME_HEADER_SIZE != frame_size) {
            return bf_fail(err, BF_ERR_HEADER, "the uncompressed Blosc frame has a wrong size");
        }
        return BF_OK;
    }
    if (data[3] != item_size || (flags & FLAG_RESERVED) != 0 || data[1] != CODEC_VERSION
        || flags >> CODEC_SHIFT != CODEC_ZSTD) {
        return bf_fail(err, BF_ERR_UNSUPPORTED,
            "the Blosc frame is not zstd over elements of the array's size");
    }
    if (item_size > 1 && (header->bit_shuffled || (flags & FLAG_NOT_SPLIT) == 0)) {
        return bf_fail(
            err, BF_ERR_UNSUPPORTED, "the Blosc frame is bit shuffled, or its blocks are split");
    }
    if (bf_frame_index_size(header) > frame_size) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the Blosc frame is shorter than its offset table");
    }
    return BF_OK;
}

uint64_t
bf_frame_index_size(const bf_frame_header *header)
{
    return BF_FRAME_HEADER_SIZE + (header->memcpyed ? 0 : 4 * (uint64_t) header->num_blocks);
}

uint32_t
bf_frame_block_bytes(const bf_frame_header *header, uint32_t block)
{
    uint32_t start = block * header->block_size;
    uint32_t left = header->num_bytes - start;

    return left < header->block_size ? left : header->block_size;
}

static bf_status
block_offset(const bf_frame *frame, uint32_t block, uint64_t *offset, bf_error *err)
{
    *offset = load_u32(frame->offsets + 4 * (size_t) block);
    if (*offset < bf_frame_index_size(&frame->header)
        || *offset + 4 > frame->header.compressed_bytes) {
        return bf_fail(err, BF_ERR_OFFSET, "a block offset points outside the Blosc frame");
    }
    return BF_OK;
}

/* Bytes that a block may take with its size, whatever gap follows it: what does not compress is
 * stored as it is, which leaves room for a writer that does otherwise. */
static uint64_t
most_stored(const bf_frame_header *header)
{
    return 4 + (uint64_t) header->block_size + header->block_size / 8 + 64;
}

bf_status
bf_frame_extent(const bf_frame *frame, uint32_t first, uint32_t last, uint64_t *start,
    uint64_t *stop, bf_error *err)
{
    const bf_frame_header *header = &frame->header;
    uint64_t offset, other, greatest = 0;
    uint32_t block;
    bf_status status;

    if (first > last || last >= header->num_blocks) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such block in the Blosc frame");
    }
    if (header->memcpyed) {
        *start = BF_FRAME_HEADER_SIZE + (uint64_t) first * header->block_size;
        *stop = BF_FRAME_HEADER_SIZE + (uint64_t) last * header->block_size
                + bf_frame_block_bytes(header, last);
        return BF_OK;
    }
    *start = header->compressed_bytes;
    for (block = first; block <= last; block++) {
        status = block_offset(frame, block, &offset, err);
        if (status != BF_OK) {
            return status;
        }
        if (offset < *start) {
            *start = offset;
        }
        if (offset > greatest) {
            greatest = offset;
        }
    }
    /* Blocks need not lie in order, so the last one ends where the next in
     * place, whichever that is, begins. */
    *stop = header->compressed_bytes;
    for (block = 0; block < header->num_blocks; block++) {
        other = load_u32(frame->offsets + 4 * (size_t) block);
        if (other > greatest && other < *stop) {
            *stop = other;
        }
    }
    if (*stop - greatest > most_stored(header)) {
        *stop = greatest + most_stored(header);
    }
    return BF_OK;
}

/* No other block may begin within this one: a damaged size or offset would otherwise
 * pass for a block that is stored as it is. */
static bf_status
check_extent(
    const bf_frame *frame, uint32_t block, uint64_t start, uint64_t stop, bf_error *err)
{
    for (uint32_t i = 0; i < frame->header.num_blocks; i++) {
        uint64_t other = load_u32(frame->offsets + 4 * (size_t) i);

        if (i != block && other >= start && other < stop) {
            return bf_fail(err, BF_ERR_OFFSET, "blocks of the Blosc frame overlap");
        }
    }
    return BF_OK;
}

/* Decompress what is before the constant tail of a shuffled block, and fill up the plane
 * in which the tail begins. Returns 0 if the block must be decompressed as a whole. */
static int
read_head(const uint8_t *data, size_t stored, ZSTD_DCtx *dctx, uint8_t *scratch, bf_block *out)
{
    uint32_t plane = out->size / 8;
    uint8_t *head = scratch + out->size;
    bf_zstd_tail tail;
    uint64_t filled;

    if (!bf_zstd_find_tail(data, stored, out->size, &tail) || tail.head_size > out->size) {
        return 0;
    }
    if (tail.head_raw > 0) {
        bf_zstd_write_head(data, &tail, head);
        if (ZSTD_decompressDCtx(dctx, scratch, tail.head_raw, head, tail.head_size)
            != tail.head_raw) {
            return 0;
        }
    }
    filled = (tail.head_raw + plane - 1) / plane * plane;
    memset(scratch + tail.head_raw, tail.byte, filled - tail.head_raw);
    out->filled = (uint32_t) filled;
    out->tail = tail.byte;
    return 1;
}

bf_status
bf_frame_read_block(const bf_frame *frame, uint32_t block, ZSTD_DCtx *dctx, uint8_t *scratch,
    bf_block *out, bf_error *err)
{
    const bf_frame_header *header = &frame->header;
    const uint8_t *data;
    uint64_t offset, stored, left;
    size_t got;
    bf_status status;

    if (block >= header->num_blocks) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such block in the Blosc frame");
    }
    out->size = out->filled = bf_frame_block_bytes(header, block);
    out->tail = 0;
    /* A block whose size is no multiple of eight elements is never shuffled. */
    out->shuffled = !header->memcpyed
        && (header->byte_shuffled || (header->bit_shuffled && out->size % 8 == 0));
    if (header->memcpyed) {
        offset = BF_FRAME_HEADER_SIZE + (uint64_t) block * header->block_size;
        stored = out->size;
    } else {
        status = block_offset(frame, block, &offset, err);
        if (status != BF_OK) {
            return status;
        }
        if (offset < frame->span_start || offset + 4 > frame->span_start + frame->span_size) {
            return bf_fail(err, BF_ERR_TRUNCATED, "a block lies outside the bytes that were read");
        }
        stored = load_u32(frame->span + (offset - frame->span_start));
        offset += 4;
    }
    if (offset < frame->span_start || offset > frame->span_start + frame->span_size) {
        return bf_fail(err, BF_ERR_TRUNCATED, "a block lies outside the bytes that were read");
    }
    left = frame->span_start + frame->span_size - offset;
    if (stored == 0 || stored > left) {
        return bf_fail(err, BF_ERR_TRUNCATED, "a block is longer than the bytes that are left");
    }
    if (!header->memcpyed) {
        status = check_extent(frame, block, offset - 4, offset + stored, err);
        if (status != BF_OK) {
            return status;
        }
    }
    data = frame->span + (offset - frame->span_start);
    if (stored == out->size) {
        out->bytes = data;
        return BF_OK;
    }
    out->bytes = scratch;
    if (header->bit_shuffled && out->shuffled && read_head(data, (size_t) stored, dctx, scratch, out)) {
        return BF_OK;
    }
    got = ZSTD_decompressDCtx(dctx, scratch, out->size, data, (size_t) stored);
    if (ZSTD_isError(got) || got != out->size) {
        return bf_fail(err, BF_ERR_BLOCK, "a block does not decompress to its size");
    }
    return BF_OK;
}
