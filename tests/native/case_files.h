/* Everything that is made of texts: sidecars, heads, tables and an index's pages. */
#ifndef BF_TEST_CASE_FILES_H
#define BF_TEST_CASE_FILES_H

#include <stdint.h>

#include "error.h"

/* Make every file's text of a chunk of vlen-utf8 of so many texts, in buffers of exactly the size
 * that the kernels are told. made: a hash of what was made. */
bf_status case_make_files(
    const uint8_t *chunk, uint32_t size, uint32_t count, uint64_t *made, bf_error *err);

/* Merge rows of a .bgi, in so many runs of about one length, to pages. */
bf_status case_merge_rows(
    const uint8_t *rows, uint64_t size, uint32_t num_runs, uint64_t *made, bf_error *err);

#endif
