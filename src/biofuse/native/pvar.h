/* Lines of a `.pvar`, and texts of INFO, as bcftools writes them.
 *
 * Specification: https://www.cog-genomics.org/plink/2.0/formats#pvar. */
#ifndef BF_PVAR_H
#define BF_PVAR_H

#include "texts.h"

/* Columns of one length: chromosome, position, ID, REF, ALT, and QUAL, FILTER, INFO and CM where
 * they are not NULL. A QUAL that is not a number is missing. */
typedef struct {
    bf_texts chrom, id, ref, alt;
    const int64_t *positions;
    const float *quality;
    const bf_texts *filter, *info, *cm;
} bf_pvar;

/* Bytes that the lines take at most. */
uint64_t bf_pvar_room(const bf_pvar *self);

/* Write the lines, and their size. BF_ERR_ARGUMENT, with the row: a field is empty or has a
 * character in it that separates fields or lines, or a position is below 0. plink2 takes a space
 * for the end of a field too, and reads INFO up to one. */
bf_status bf_pvar_write(const bf_pvar *self, uint8_t *out, uint64_t *size, bf_error *err);

typedef enum {
    BF_INFO_FLAG,
    BF_INFO_INT32,
    BF_INFO_INT64,
    BF_INFO_FLOAT,
    BF_INFO_TEXT
} bf_info_kind;

/* A field of INFO: width values a variant, one variant after another. Flags are uint8_t, integers
 * int32_t or int64_t, -1 if missing and, behind all others, -2 for none, floats NaN 0x7f800002 for
 * none and any other if missing; texts "." and empty. */
typedef struct {
    bf_text key;
    bf_info_kind kind;
    uint32_t width;
    const void *values; /* but for texts */
    bf_texts texts;
} bf_info_field;

/* Bytes that the INFO of count variants takes at most. */
uint64_t bf_info_room(const bf_info_field *fields, uint64_t num_fields, uint64_t count);

/* Write the INFO of each variant, where it begins and its size: fields in their order between
 * semicolons, but for flags that are not set and those of which no value is there. */
bf_status bf_info_write(const bf_info_field *fields, uint64_t num_fields, uint64_t count,
    uint8_t *out, uint64_t *starts, uint32_t *sizes, bf_error *err);

#endif
