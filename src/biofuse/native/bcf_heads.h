/* What precedes the genotypes in BCF records: the site and its INFO, in the smallest types that
 * hold their values, as bcftools writes them. */
#ifndef BF_BCF_HEADS_H
#define BF_BCF_HEADS_H

#include "bcf.h"
#include "texts.h"

typedef enum {
    BF_BCF_FLAG,  /* uint8_t: set or not */
    BF_BCF_INT,   /* int32_t: -1 is missing and, behind all others, -2 is none */
    BF_BCF_FLOAT, /* uint32_t, the bits of a float: as in no_value.h */
    BF_BCF_TEXT,  /* texts: "." is missing, an empty one is none */
} bf_bcf_kind;

/* A field of INFO: width values a variant, of which the last ones may be none. It is left out
 * where all are missing or none. */
typedef struct {
    bf_bcf_kind kind;
    uint32_t key; /* in the dictionary of strings */
    uint32_t width;
    const void *values;
    bf_texts texts; /* of BF_BCF_TEXT */
} bf_bcf_field;

/* Columns of one length. */
typedef struct {
    uint64_t count;
    const int32_t *contigs;    /* in the dictionary of contigs */
    const int64_t *positions;  /* 1-based */
    const int32_t *lengths;    /* positions that a site takes */
    const uint32_t *qualities; /* the bits of floats, missing if NaN; NULL: all are */
    bf_texts ids;              /* empty or ".": missing */
    bf_texts alleles;          /* max_alleles a variant, the last ones empty */
    uint32_t max_alleles;
    const uint8_t *filters;    /* num_filters a variant: set or not */
    uint32_t num_filters;
    const uint32_t *filter_keys;
    const bf_bcf_field *fields;
    uint32_t num_fields;
    uint32_t num_samples;
    uint32_t ploidy;
    const bf_bcf *records;     /* which tell what follows, up to 255 fields */
} bf_bcf_heads;

/* Bytes that all of them take, or more. */
uint64_t bf_bcf_heads_room(const bf_bcf_heads *self);

/* Write them, one after another, to out, which has room bytes, and the size of each and of what
 * follows it in its record; *used: the bytes that they take, of which none is written beyond the
 * room. BF_ERR_ARGUMENT, with the row: a number that BCF cannot hold, more alleles, fields or
 * bytes than it can. */
bf_status bf_bcf_heads_write(const bf_bcf_heads *self, uint8_t *out, uint64_t room,
    uint32_t *sizes, uint32_t *behind, uint64_t *used, bf_error *err);

#endif
