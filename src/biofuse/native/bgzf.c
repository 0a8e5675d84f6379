#include "bgzf.h"

#include <libdeflate.h>
#include <string.h>

#include "bits.h"

/* An empty deflate block of fixed codes, as everybody writes it. */
const uint8_t bf_bgzf_end[BF_BGZF_END] = { 31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0,
    27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

/* gzip's header with the extra field BC, of which the last two bytes are the block's size. */
static const uint8_t gzip_head[16]
    = { 31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0 };

uint64_t
bf_bgzf_size(uint64_t stream_size)
{
    uint64_t blocks = (stream_size + BF_BGZF_PAYLOAD - 1) / BF_BGZF_PAYLOAD;

    return stream_size + blocks * BF_BGZF_AROUND + BF_BGZF_END;
}

void
bf_bgzf_close(uint8_t *block, uint32_t payload_size)
{
    uint8_t *payload = block + BF_BGZF_HEAD;

    memcpy(block, gzip_head, sizeof(gzip_head));
    bf_store16(block + 16, (uint16_t) (payload_size + BF_BGZF_AROUND - 1));
    block[18] = 1; /* the last deflate block, stored */
    bf_store16(block + 19, (uint16_t) payload_size);
    bf_store16(block + 21, (uint16_t) ~payload_size);
    bf_store32(payload + payload_size, libdeflate_crc32(0, payload, payload_size));
    bf_store32(payload + payload_size + 4, payload_size);
}
