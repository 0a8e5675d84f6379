/* Fuzz target: the constant end of any zstd frame, against what zstd makes of all of it.
 *
 * The input is the frame; its content size is as large as the raw bytes are said to be. */
#include <stdlib.h>
#include <zstd.h>

#include "case.h"
#include "zstd_tail.h"

enum { MOST = 1 << 20, SIZE_AT = 5 };

static int
decodes(const uint8_t *frame, size_t size, uint8_t *out, size_t raw_size)
{
    return ZSTD_decompress(out, raw_size, frame, size) == raw_size;
}

static void
compare(const uint8_t *frame, size_t size, uint64_t raw_size, const bf_zstd_tail *tail)
{
    uint8_t *whole = malloc(raw_size), *head = malloc(tail->head_raw);
    uint8_t *written = malloc(tail->head_size);
    int is_sound = decodes(frame, size, whole, raw_size), has_head = 1;

    if (tail->head_size > size || tail->head_raw > raw_size
        || (tail->head_raw > 0 && tail->last_block >= tail->head_size)) {
        case_fail("the tail is past the frame's end");
    }
    if (tail->head_raw > 0) {
        bf_zstd_write_head(frame, tail, written);
        has_head = decodes(written, tail->head_size, head, tail->head_raw);
    }
    if (has_head != is_sound) {
        case_fail("the head is sound where the frame is not, or the other way round");
    }
    if (is_sound) {
        if (memcmp(whole, head, tail->head_raw) != 0) {
            case_fail("the head has other bytes");
        }
        for (uint64_t i = tail->head_raw; i < raw_size; i++) {
            if (whole[i] != tail->byte) {
                case_fail("the tail has other bytes");
            }
        }
    }
    free(written);
    free(head);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *frame = case_copy(data, size);
    uint64_t raw_size = 0;
    bf_zstd_tail tail = { 0 };

    for (int i = 0; size >= SIZE_AT + 4 && i < 4; i++) {
        raw_size |= (uint64_t) frame[SIZE_AT + i] << 8 * i;
    }
    if (raw_size <= MOST && bf_zstd_find_tail(frame, size, raw_size, &tail)) {
        compare(frame, size, raw_size, &tail);
    }
    free(frame);
    return 0;
}
