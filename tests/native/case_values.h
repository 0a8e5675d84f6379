/* One case for the reader of values: a frame of float32, and which of its rows are read. */
#ifndef BF_TEST_CASE_VALUES_H
#define BF_TEST_CASE_VALUES_H

#include "case.h"
#include "values.h"

typedef struct {
    uint32_t chunk_rows, row_values;
    uint32_t num_values;          /* of each row, from the first on */
    uint32_t first_row, last_row; /* the rows read, inclusive */
    uint32_t frame_size;
} values_geometry;

/* Read the rows from the whole frame, from the span that is needed and in descending order.
 * Ends the process if those disagree, or if a value differs from what a naive reader of the
 * whole frame makes of it. The hash is of the values' bytes. */
case_result case_check_values(const values_geometry *geometry, const uint8_t *frame);

#endif
