/* Fields of FORMAT beside GT in BCF records: of a width that follows from the number of a site's
 * alleles, so that a record's size follows from its site alone. */
#ifndef BF_BCF_FORMATS_H
#define BF_BCF_FORMATS_H

#include "error.h"

/* code: what a store's elements are, as Python's struct names them: ? b B h H i I q Q, f, or s for
 * texts. Integers are shown in the smallest type that holds all of theirs: one that is signed and
 * of 8 or 16 bits in the next larger one, since BCF has no room for its lowest numbers. -1 is
 * missing and, behind all others of a sample, -2 is none; those of floats are in no_value.h.
 * per: A, R or G if a record has as many values as its site has alternate alleles, alleles or
 * genotypes, and one at least; 0 if it has all. key: what a field begins with. */
typedef struct {
    char code, per;
    uint32_t num_values; /* that a store has a sample; bytes of a text */
    const uint8_t *key;
    uint32_t key_size;
} bf_bcf_format;

/* Bytes of an element of a store; 0 of a code that is none. */
unsigned bf_bcf_stored_bytes(char code);

/* Values a sample, at a site of so many alleles. */
uint32_t bf_bcf_format_count(const bf_bcf_format *self, uint32_t num_alleles, uint32_t ploidy);

/* Bytes of a field in a record, with so many values a sample. */
uint64_t bf_bcf_format_size(const bf_bcf_format *self, uint32_t num_samples, uint32_t count);

/* Write a record's field to out: of each sample's num_values elements the first count ones.
 * BF_ERR_ALLELE, with the sample: a number that BCF cannot hold, a float behind one that is none,
 * a value behind those that are shown. */
bf_status bf_bcf_format_write(const bf_bcf_format *self, const uint8_t *values,
    uint32_t num_samples, uint32_t count, uint8_t *out, bf_error *err);

#endif
