/* Lines of a `.bim`: chromosome, ID, centimorgans, position, A1, A2, separated by tabs. */
#ifndef BF_BIM_H
#define BF_BIM_H

#include "texts.h"

/* Columns of one length; centimorgans are 0 where they are NULL. */
typedef struct {
    bf_texts chrom, id, a1, a2;
    const int64_t *positions;
    const bf_texts *cm;
} bf_bim;

/* Bytes that the lines take at most. */
uint64_t bf_bim_room(const bf_bim *self);

/* Write the lines, and their size. BF_ERR_ARGUMENT, with the row: a field is empty or has a
 * character in it that separates fields or lines, or a position is below 0. */
bf_status bf_bim_write(const bf_bim *self, uint8_t *out, uint64_t *size, bf_error *err);

#endif
