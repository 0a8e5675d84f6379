/* Texts of calls at one width a sample, from chunks as numcodecs' vlen-utf8 has them. */
#ifndef BF_TEXT_CELLS_H
#define BF_TEXT_CELLS_H

#include "error.h"

/* A decompressed chunk: rows x row_texts texts, each after its length, of which num_values, one
 * after another, are a sample's. Those of a sample are one text with commas between them, without
 * the empty ones at its end; "." if there is none. */
typedef struct {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t rows;
    uint64_t row_texts;
    uint32_t num_values;
} bf_text_chunk;

/* Bytes of the longest text of the first num_samples samples of a row. BF_ERR_TRUNCATED,
 * BF_ERR_HEADER: the chunk is damaged. */
bf_status bf_text_cells_width(
    const bf_text_chunk *self, uint64_t num_samples, uint32_t *width, bf_error *err);

/* Write those of rows first to last, exclusive: row i to out + (i - first) * stride, each of width
 * bytes with zeros behind it. BF_ERR_ARGUMENT: one is longer. */
bf_status bf_text_cells_write(const bf_text_chunk *self, uint64_t first, uint64_t last,
    uint64_t num_samples, uint32_t width, uint8_t *out, uint64_t stride, bf_error *err);

#endif
