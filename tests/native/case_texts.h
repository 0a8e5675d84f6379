/* Kernels of texts: INFO and lines of a .pvar, heads of BCF records, texts of calls. */
#ifndef BF_TEST_CASE_TEXTS_H
#define BF_TEST_CASE_TEXTS_H

#include "texts.h"

/* Each ends the process if something is not what it must be, and returns a hash of what was made.
 * positions: one a text. */
uint64_t case_check_pvar(const bf_texts *texts, const int64_t *positions);
uint64_t case_check_bcf_heads(const bf_texts *texts, const int64_t *positions);

/* Texts of a chunk of vlen-utf8, so many a sample, against a naive reader's. */
uint64_t case_check_cells(
    const uint8_t *chunk, uint64_t size, uint64_t count, uint32_t num_values);

#endif
