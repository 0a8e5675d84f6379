/* Threads that read rows through one cache of blocks, for the thread sanitizer.
 *
 * Blocks are stored raw, one a row, and each is of a byte that its chunk and row tell. A thread
 * reads rows of chunks by turns, some of them damaged, through caches of a few sizes. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "case.h"

enum { ROWS = 16, SAMPLES = 64, CHUNKS = 4, THREADS = 4, TURNS = 3000, INDEX = 16 + 4 * ROWS };
enum { FRAME = INDEX + ROWS * (4 + SAMPLES) };
/* Of the last chunk this row's block is broken. */
enum { BROKEN_ROW = 5 };

static uint8_t frames[CHUNKS][FRAME];
static bf_cache *cache;

static void
put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (x >> 8 * i);
    }
}

static unsigned
allele(unsigned chunk, unsigned row)
{
    return (chunk * 7 + row * 3) % 5 == 0 ? 2 : (chunk + row) % 2;
}

static void
make_frame(unsigned chunk)
{
    static const uint8_t head[4] = { 2, 1, 0x90, 1 };
    uint8_t *frame = frames[chunk];

    memcpy(frame, head, 4);
    put_u32(frame + 4, ROWS * SAMPLES);
    put_u32(frame + 8, SAMPLES);
    put_u32(frame + 12, FRAME);
    for (unsigned row = 0; row < ROWS; row++) {
        uint8_t *block = frame + INDEX + row * (4 + SAMPLES);

        put_u32(frame + 16 + 4 * row, (uint32_t) (block - frame));
        put_u32(block, chunk == CHUNKS - 1 && row == BROKEN_ROW ? SAMPLES - 1 : SAMPLES);
        memset(block + 4, (int) allele(chunk, row), SAMPLES);
    }
}

static void
read_row(bf_rows *rows, unsigned chunk, unsigned row)
{
    bf_error err = { .status = BF_OK };
    bf_row found;
    bf_status status = bf_rows_read(rows, row, &found, &err);

    if (chunk == CHUNKS - 1 && row == BROKEN_ROW) {
        if (status != BF_ERR_BLOCK) {
            case_fail("a broken block is read");
        }
        return;
    }
    if (status != BF_OK || found.wide != (allele(chunk, row) > 1)) {
        case_fail("a row is not read, or is of another width");
    }
    for (int plane = 0; plane < (found.wide ? 2 : 1); plane++) {
        uint8_t byte = allele(chunk, row) >> plane & 1 ? 0xff : 0;

        for (int i = 0; i < SAMPLES / 8; i++) {
            if (found.planes->plane[plane][i] != byte) {
                case_fail("a row has other alleles");
            }
        }
    }
}

static void *
work(void *argument)
{
    uint32_t seed = (uint32_t) (uintptr_t) argument, taken = SAMPLES;
    bf_rows rows;
    bf_error err;

    if (bf_rows_init(&rows, ROWS, SAMPLES, 1, 1, &taken, NULL, &err) != BF_OK) {
        case_fail("rows are refused");
    }
    rows.cache = cache;
    for (int turn = 0; turn < TURNS; turn++) {
        unsigned chunk = (seed = seed * 1664525 + 1013904223) >> 16 & (CHUNKS - 1);
        bf_frame_source source = { .index = frames[chunk],
            .index_size = INDEX,
            .span = frames[chunk],
            .span_size = FRAME,
            .size = FRAME,
            .id = chunk / 2,
            .version = chunk % 2 };

        if (bf_rows_set_frame(&rows, 0, &source, &err) != BF_OK) {
            case_fail("a frame is refused");
        }
        for (int i = 0; i < 4; i++) {
            read_row(&rows, chunk, (seed = seed * 1664525 + 1013904223) >> 16 & (ROWS - 1));
        }
    }
    bf_rows_free(&rows);
    return NULL;
}

int
main(void)
{
    static const uint64_t limits[] = { 0, 700, 2000, 6000, 1 << 20 };

    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
        make_frame(chunk);
    }
    for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        pthread_t threads[THREADS];

        cache = bf_cache_new(limits[i]);
        for (uintptr_t t = 0; t < THREADS; t++) {
            pthread_create(&threads[t], NULL, work, (void *) (t + 1));
        }
        for (int t = 0; t < THREADS; t++) {
            pthread_join(threads[t], NULL);
        }
        bf_cache_free(cache);
    }
    puts("done");
    return 0;
}
