/* Fields of FORMAT beside GT in BCF records: of one width in the whole file, so that a record's
 * size follows from its site alone. */
#ifndef BF_BCF_FORMATS_H
#define BF_BCF_FORMATS_H

#include "error.h"

/* code: what a store's elements are, as Python's struct names them: ? b B h H i I q Q, f, or s for
 * texts. Integers are shown in the smallest type that holds all of theirs: one that is signed and
 * of 8 or 16 bits in the next larger one, since BCF has no room for its lowest numbers. -1 is
 * missing and, behind all others of a sample, -2 is none; 0x7f800001 and 0x7f800002 are of floats.
 * prefix: the key and the type. */
typedef struct {
    char code;
    uint32_t num_values; /* a sample; bytes of a text */
    const uint8_t *prefix;
    uint32_t prefix_size;
} bf_bcf_format;

/* Bytes of an element of a store, and of BCF; 0 of a code that is none. */
unsigned bf_bcf_stored_bytes(char code);
unsigned bf_bcf_shown_bytes(char code);

/* Bytes of a field in a record. */
uint64_t bf_bcf_format_size(const bf_bcf_format *self, uint32_t num_samples);

/* Write a record's field to out, from num_samples x num_values elements. BF_ERR_ALLELE, with the
 * sample: a number that BCF cannot hold, or a float behind one that is none. */
bf_status bf_bcf_format_write(const bf_bcf_format *self, const uint8_t *values,
    uint32_t num_samples, uint8_t *out, bf_error *err);

#endif
