/* Rows of genotypes, assembled from the sample chunks of one chunk row.
 *
 * A chunk row is the set of call_genotype chunks that share a range of
 * variants: chunk_rows variants, and per chunk chunk_samples samples of ploidy
 * alleles. A row's bits are spread over all of them; each is read through a
 * cursor that holds the planes of one Blosc block, so memory is one block a
 * chunk whatever the size of a chunk.
 *
 * Rows may be read in any order; in ascending order every block is
 * decompressed once. Not thread-safe: one bf_rows per thread. */
#ifndef BF_ROWS_H
#define BF_ROWS_H

#include "cache.h"
#include "frame.h"
#include "planes.h"
#include "source.h"

typedef enum {
    BF_CHUNK_EMPTY = 0, /* nothing was given yet: reading is an error */
    BF_CHUNK_FRAME,
    BF_CHUNK_PACKED,
    BF_CHUNK_CONSTANT,
} bf_chunk_kind;

/* Planes of a decompressed block, as a cache has them: a is its chunk, b its number, and c the
 * version of the chunk's content. */
typedef struct {
    bf_cached cached;
    bf_planes planes;
} bf_block_planes;

typedef struct {
    uint32_t num_samples;    /* samples taken from this chunk: its first ones */
    bf_chunk_kind kind;
    bf_planes block;         /* planes of the frame's current block, or of a constant row */
    bf_block_planes *shared; /* FRAME: the current block's, where a cache is used; or NULL */
    bf_frame frame;          /* FRAME */
    const bf_source *source; /* FRAME: where it is read from, if its bytes are not given */
    bf_cache_key key;        /* FRAME: the current block's */
    int64_t current;         /* FRAME: the current block, or -1 */
    const bf_planes *packed; /* PACKED: planes of rows first_row to last_row, exclusive */
    uint32_t first_row, last_row;
} bf_chunk;

typedef struct {
    uint32_t chunk_rows;
    uint32_t chunk_samples;
    uint32_t ploidy;
    uint32_t num_chunks;
    bf_chunk *chunks;
    bf_gather gather;     /* num_out == 0 and index == NULL: every sample, in order */
    bf_planes row;
    bf_planes kept;
    uint8_t *scratch;
    uint64_t scratch_size;
    ZSTD_DCtx *dctx;
    uint8_t *input;       /* of a block that is read from a source */
    uint64_t input_size;
    bf_cache *cache;              /* or NULL; outlives self */
    uint32_t owner;               /* the array, in the cache */
    uint32_t first_row, last_row; /* those being read: blocks with others in them are cached */
} bf_rows;

typedef struct {
    const bf_planes *planes; /* num_samples x ploidy bits, zero after the last one */
    uint32_t num_samples;
    uint32_t ploidy;
    int wide;                /* an allele above 1 (or below -2) occurs in this row */
    const uint8_t *phased;   /* one bit a sample, padded as planes are; NULL if not known */
    const float *values;     /* num_samples x num_values, of another field; may be NULL */
    uint32_t num_values;
} bf_row;

/* num_samples: num_chunks entries. gather: NULL for every sample; its arrays
 * must outlive self. */
bf_status bf_rows_init(bf_rows *self, uint32_t chunk_rows, uint32_t chunk_samples,
    uint32_t ploidy, uint32_t num_chunks, const uint32_t *num_samples, const bf_gather *gather,
    bf_error *err);
void bf_rows_free(bf_rows *self);
/* Bytes of its own; what it shares with a cache is the cache's. */
uint64_t bf_rows_size(const bf_rows *self);

/* A frame: the span of it that is in memory, and what tells its content apart in the cache. */
typedef struct {
    const uint8_t *index; /* header and offset table */
    uint64_t index_size;
    const uint8_t *span;
    uint64_t span_start, span_size;
    uint64_t size; /* of the whole frame */
    uint64_t id, version;
} bf_frame_source;

/* Give a chunk its content. The bytes must stay valid until the next set, bf_rows_clear or
 * bf_rows_free. */
bf_status bf_rows_set_frame(
    bf_rows *self, uint32_t chunk, const bf_frame_source *source, bf_error *err);
/* A frame, or a chunk that is not stored, which its blocks are read from as they are wanted.
 * It must stay until the next set, bf_rows_clear or bf_rows_free. */
bf_status bf_rows_set_source(
    bf_rows *self, uint32_t chunk, const bf_source *source, uint64_t id, bf_error *err);
/* packed: rows first_row to last_row of row_bits = num_samples x ploidy bits each. */
bf_status bf_rows_set_packed(bf_rows *self, uint32_t chunk, const bf_planes *packed,
    uint64_t row_bits, uint32_t first_row, uint32_t last_row, bf_error *err);
bf_status bf_rows_set_constant(bf_rows *self, uint32_t chunk, int8_t allele, bf_error *err);
/* Forget what every chunk was given. */
void bf_rows_clear(bf_rows *self);

/* Have the blocks of a row of one chunk in the cache, if they fit; made: how many were not. */
bf_status bf_rows_warm(
    bf_rows *self, uint32_t chunk, uint32_t row, uint64_t *made, bf_error *err);

bf_status bf_rows_read(bf_rows *self, uint32_t row, bf_row *out, bf_error *err);

/* Those of num_rows rows in which the low bit of every allele is set: *num_found of them, to
 * found, which has room for all. */
bf_status bf_rows_find_full(bf_rows *self, const uint32_t *rows, uint64_t num_rows,
    uint32_t *found, uint64_t *num_found, bf_error *err);

/* A format's record encoder: writes exactly size bytes to out. */
typedef bf_status (*bf_encode_record)(
    const void *encoder, const bf_row *row, uint64_t record, uint8_t *out, uint64_t size,
    bf_error *err);

/* What else a row's record is made from. */
typedef struct {
    bf_rows *phased;             /* call_genotype_phased, of ploidy 1, or NULL */
    const uint32_t *phased_rows; /* its rows, one for each of the genotypes' */
    const float *values;         /* rows x samples x num_values, or NULL */
    uint32_t num_values;
    uint64_t row_values;         /* of one row */
} bf_extra;

/* Where records go: record i to out[offsets[i] - offsets[0] : offsets[i + 1] - offsets[0]],
 * or, if offsets is NULL, to out[i * record_size : (i + 1) * record_size]. */
typedef struct {
    uint8_t *out;
    uint64_t size;
    const uint64_t *offsets;
    uint64_t record_size;
} bf_output;

/* Read num_rows rows and write record first_record + i of rows[i]. */
bf_status bf_rows_encode(bf_rows *self, const uint32_t *rows, uint64_t num_rows,
    const bf_extra *extra, bf_encode_record encode, const void *encoder, uint64_t first_record,
    const bf_output *output, bf_error *err);

#endif
