/* Numbers as text, in the C locale. */
#ifndef BF_FLOATS_H
#define BF_FLOATS_H

#include <stdint.h>

/* Bytes that a number takes at most. */
enum { BF_FLOAT_SIZE = 16 };

/* Append a number as C's %g does: six digits. */
uint8_t *bf_put_float(uint8_t *to, float number);

/* Append a number as PLINK writes centimorgans: %g with eight digits, of which the last one is
 * even where what is left out is half of it, give or take 5e-7. */
uint8_t *bf_put_centimorgans(uint8_t *to, double number);

#endif
