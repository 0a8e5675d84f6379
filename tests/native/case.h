/* One case for the kernels: a frame, and how its rows are read. Shared by the harness and
 * the fuzz target. Every buffer that the kernels are given is of exactly the size that they
 * are told, so that a sanitizer sees each byte too many. */
#ifndef BF_TEST_CASE_H
#define BF_TEST_CASE_H

#include <stdio.h>

#include "plink1.h"
#include "plink2.h"
#include "rows.h"
#include "split.h"

enum {
    GATHER_ALL = 0,
    GATHER_EVERY_THIRD = 1, /* ascending: by mask */
    GATHER_DESCENDING = 2,
    GATHER_TWICE = 3, /* every sample twice in a row */
    GATHER_KINDS = 4,
};

typedef struct {
    uint32_t chunk_rows, chunk_samples, ploidy;
    uint32_t num_samples;         /* taken of each chunk */
    uint32_t copies;              /* sample chunks, each of this frame */
    uint32_t constant;            /* samples of one more chunk, all missing */
    uint32_t first_row, last_row; /* the rows read, inclusive */
    uint32_t gather;
    uint32_t frame_size;
} case_geometry;

typedef struct {
    bf_status status;
    uint64_t hash; /* FNV-1a of each row's alleles and, if it can be shown, .bed record */
} case_result;

/* Read the case's rows in every way there is: from the whole frame and from the span that is
 * needed, gathered by mask and by index, with a cache of blocks and without. Ends the process if those disagree, or
 * if a record differs from a naive encoder's. */
case_result case_check(const case_geometry *geometry, const uint8_t *frame);

/* Print a message and abort. */
_Noreturn void case_fail(const char *message);

/* FNV-1a of bytes. */
uint64_t case_hash(const uint8_t *data, uint64_t size);

/* Whether every entry of the offset table of a frame, whose header was taken, points into it. If
 * not, the span of some blocks cannot be told, though those that are read may be sound. */
int case_table_is_sound(const uint8_t *frame, uint32_t frame_size);

/* Read a case of a file: numbers, the last of which is the size of the frame behind them.
 * Returns 0 at the file's end. */
int case_read(FILE *file, uint32_t *numbers, unsigned count, uint8_t **frame);

/* Memory of at least this size. */
void *case_block(uint64_t size);

/* A copy in a buffer of exactly this size. */
uint8_t *case_copy(const uint8_t *data, uint64_t size);

#endif
