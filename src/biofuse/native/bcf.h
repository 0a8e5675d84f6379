/* BCF records: what comes before the genotypes, then these and other fields, of one width in the
 * whole file.
 *
 * Specification: https://samtools.github.io/hts-specs/VCFv4.3.pdf, section 6. GT is of as many
 * alleles as the store has room for in a call, and other fields of as many values as
 * the site has alleles for, so that a record's size follows from its site alone. */
#ifndef BF_BCF_H
#define BF_BCF_H

#include "bcf_formats.h"
#include "rows.h"

/* offsets: where each record begins in the stream, num_records + 1 of them. heads: what precedes
 * each record's genotypes, from the sizes on, one after another. head_offsets: where each of these
 * begins, and the last one ends; NULL if what follows them is of one size in all records. prefix:
 * what the genotypes begin with, the key and the type. formats: the fields behind the genotypes. */
typedef struct {
    unsigned width; /* bytes an allele: 1 or 2, or 0 where records have no GT */
    const uint8_t *prefix;
    uint32_t prefix_size;
    const bf_bcf_format *formats;
    uint32_t num_formats;
    const uint8_t *heads;
    uint64_t heads_size;
    const uint64_t *head_offsets;
    const uint64_t *offsets;
    uint64_t num_records;
} bf_bcf;

/* Bytes of a record's genotypes and other fields, at a site of so many alleles. */
uint64_t bf_bcf_data_size(
    const bf_bcf *self, uint32_t num_samples, uint32_t ploidy, uint32_t num_alleles);

/* A bf_encode_record; encoder is a bf_bcf. An allele is phased if the row has a phased plane that
 * says so of its call, and it is not the call's first one. A call without any allele is missing.
 * BF_ERR_ALLELE: an allele that the site does not have, a value below fill, an allele behind a
 * fill value. */
bf_status bf_bcf_encode(const void *encoder, const bf_row *row, uint64_t record, uint8_t *out,
    uint64_t size, bf_error *err);

/* Values of a field in some records: of each, num_samples x num_values elements. */
typedef struct {
    const uint8_t *values;
    uint64_t size; /* bytes of all of them */
    uint32_t num_samples;
    uint32_t ploidy; /* of the genotypes */
    uint64_t first_record, num_records;
} bf_bcf_values;

/* Write field number `format` of records that lie in out, size bytes, one after another; the rest
 * of these is bf_bcf_encode's. BF_ERR_ALLELE, with the sample and the row, counted from the first
 * record's: as bf_bcf_format_write. */
bf_status bf_bcf_put_format(const bf_bcf *self, uint32_t format, const bf_bcf_values *values,
    uint8_t *out, uint64_t size, bf_error *err);

#endif
