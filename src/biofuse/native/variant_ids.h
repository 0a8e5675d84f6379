/* Variant IDs that are made of a variant's other fields. */
#ifndef BF_VARIANT_IDS_H
#define BF_VARIANT_IDS_H

#include "texts.h"

typedef enum {
    BF_ID_TEXT,
    BF_ID_CHROM,
    BF_ID_POSITION,
    BF_ID_REF,
    BF_ID_ALT,
    BF_ID_FIRST,  /* of both alleles in the order of bytes */
    BF_ID_SECOND,
} bf_id_kind;

typedef struct {
    bf_id_kind kind;
    bf_text text;
} bf_id_part;

/* Columns of one length, and what an ID consists of. */
typedef struct {
    bf_texts chrom, ref, alt;
    const int64_t *positions;
    const bf_id_part *parts;
    uint64_t num_parts;
} bf_variant_ids;

/* Bytes that the IDs of these rows take at most. BF_ERR_ARGUMENT: there is no such row, or its
 * position is below 0, or its ID would be of 4 GiB. */
bf_status bf_variant_ids_room(const bf_variant_ids *self, const uint64_t *rows, uint64_t num_rows,
    uint64_t *room, bf_error *err);

/* Write them, and where each begins and its size. */
void bf_variant_ids_write(const bf_variant_ids *self, const uint64_t *rows, uint64_t num_rows,
    uint8_t *out, uint64_t *starts, uint32_t *sizes);

#endif
