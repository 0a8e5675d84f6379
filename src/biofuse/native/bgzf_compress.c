#include "bgzf_compress.h"

#include <libdeflate.h>
#include <string.h>

#include "bgzf.h"

/* Of a compressed block: gzip's header, and what follows the data. */
enum { HEAD = 18, TAIL = 8 };

/* Whether a block is one of stored data, of this size. */
static int
is_stored(const uint8_t *block, uint64_t size)
{
    uint64_t payload = size - BF_BGZF_AROUND;

    return size > BF_BGZF_AROUND && size <= BF_BGZF_BLOCK && block[0] == 31 && block[1] == 139
           && (block[16] | (unsigned) block[17] << 8) == size - 1 && block[18] == 1
           && (block[19] | (unsigned) block[20] << 8) == payload;
}

bf_status
bf_bgzf_compress(const uint8_t *blocks, const uint64_t *ends, uint64_t count, int level,
    uint8_t *out, uint64_t *sizes, bf_error *err)
{
    struct libdeflate_compressor *deflate = libdeflate_alloc_compressor(level);
    uint64_t start = 0;
    bf_status status = BF_OK;

    if (deflate == NULL) {
        return bf_fail(err, BF_ERR_NOMEM, "no memory to compress");
    }
    for (uint64_t i = 0; i < count && status == BF_OK; i++) {
        const uint8_t *block = blocks + start;
        uint64_t size = ends[i] >= start ? ends[i] - start : 0, made;

        if (!is_stored(block, size)) {
            err->row = (int64_t) i;
            status = bf_fail(err, BF_ERR_BLOCK, "a block is not one of stored data");
            break;
        }
        made = libdeflate_deflate_compress(deflate, block + BF_BGZF_HEAD, size - BF_BGZF_AROUND,
            out + HEAD, size - HEAD - TAIL);
        if (made == 0) {
            memcpy(out, block, size);
            sizes[i] = size;
        } else {
            memcpy(out, block, HEAD);
            memcpy(out + HEAD + made, block + size - TAIL, TAIL);
            sizes[i] = HEAD + made + TAIL;
            out[16] = (uint8_t) (sizes[i] - 1);
            out[17] = (uint8_t) ((sizes[i] - 1) >> 8);
        }
        out += sizes[i];
        start = ends[i];
    }
    libdeflate_free_compressor(deflate);
    return status;
}
