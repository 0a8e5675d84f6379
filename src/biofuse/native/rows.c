#include "rows.h"

#include <stdlib.h>

#include "blocks.h"

/* Alleles in a chunk or a row: far beyond any store, and no product of sizes wraps. */
static const uint64_t MAX_ALLELES = (uint64_t) 1 << 40;

bf_status
bf_rows_init(bf_rows *self, uint32_t chunk_rows, uint32_t chunk_samples, uint32_t ploidy,
    uint32_t num_chunks, const uint32_t *num_samples, const bf_gather *gather, bf_error *err)
{
    uint64_t total = 0;

    memset(self, 0, sizeof(*self));
    *err = (bf_error){ .status = BF_OK, .chunk = -1, .row = -1, .sample = -1 };
    if (ploidy == 0 || chunk_rows == 0 || chunk_samples == 0) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the chunk shape has a zero in it");
    }
    if ((uint64_t) chunk_rows * chunk_samples > MAX_ALLELES / ploidy) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the chunk shape is too large");
    }
    self->chunk_rows = chunk_rows;
    self->chunk_samples = chunk_samples;
    self->ploidy = ploidy;
    for (uint32_t c = 0; c < num_chunks; c++) {
        if (num_samples[c] > chunk_samples) {
            return bf_fail(err, BF_ERR_ARGUMENT, "more samples than a chunk holds");
        }
        total += num_samples[c];
    }
    if (total > UINT32_MAX || total > MAX_ALLELES / ploidy
        || (gather != NULL && gather->num_out > MAX_ALLELES / ploidy)) {
        return bf_fail(err, BF_ERR_ARGUMENT, "a row is too large");
    }
    if (gather != NULL) {
        for (uint32_t i = 0; i < gather->num_out; i++) {
            if (gather->index[i] >= total) {
                return bf_fail(err, BF_ERR_ARGUMENT, "a kept sample is out of range");
            }
        }
        if (gather->mask_words > (total * ploidy + 63) / 64) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the sample mask is too long");
        }
        self->gather = *gather;
    }
    self->chunks = calloc(num_chunks == 0 ? 1 : num_chunks, sizeof(*self->chunks));
    self->dctx = ZSTD_createDCtx();
    if (self->chunks == NULL || self->dctx == NULL) {
        bf_rows_free(self);
        return bf_fail(err, BF_ERR_NOMEM, "out of memory");
    }
    self->num_chunks = num_chunks;
    for (uint32_t c = 0; c < num_chunks; c++) {
        self->chunks[c].num_samples = num_samples[c];
        self->chunks[c].current = -1;
    }
    if (bf_planes_alloc(&self->row, total * ploidy, err) != BF_OK
        || (gather != NULL
            && bf_planes_alloc(&self->kept, (uint64_t) gather->num_out * ploidy, err) != BF_OK)) {
        bf_rows_free(self);
    }
    return err->status;
}

void
bf_rows_free(bf_rows *self)
{
    for (uint32_t c = 0; c < self->num_chunks; c++) {
        bf_blocks_drop(self, &self->chunks[c]);
        bf_planes_free(&self->chunks[c].block);
    }
    free(self->chunks);
    free(self->scratch);
    free(self->input);
    bf_planes_free(&self->row);
    bf_planes_free(&self->kept);
    ZSTD_freeDCtx(self->dctx);
    memset(self, 0, sizeof(*self));
}

uint64_t
bf_rows_size(const bf_rows *self)
{
    uint64_t size = self->scratch_size + self->input_size + bf_planes_size(&self->row) + bf_planes_size(&self->kept)
        + ZSTD_sizeof_DCtx(self->dctx);

    for (uint32_t c = 0; c < self->num_chunks; c++) {
        size += sizeof(*self->chunks) + bf_planes_size(&self->chunks[c].block);
    }
    return size;
}

static bf_status
get_chunk(bf_rows *self, uint32_t chunk, bf_chunk **out, bf_error *err)
{
    err->chunk = chunk;
    err->row = -1;
    if (chunk >= self->num_chunks) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such sample chunk");
    }
    *out = &self->chunks[chunk];
    bf_blocks_drop(self, *out);
    (*out)->kind = BF_CHUNK_EMPTY;
    (*out)->packed = NULL;
    (*out)->source = NULL;
    return BF_OK;
}

void
bf_rows_clear(bf_rows *self)
{
    for (uint32_t c = 0; c < self->num_chunks; c++) {
        self->chunks[c].kind = BF_CHUNK_EMPTY;
        self->chunks[c].packed = NULL;
        self->chunks[c].source = NULL;
        bf_blocks_drop(self, &self->chunks[c]);
    }
}

static bf_status
reserve_scratch(bf_rows *self, uint64_t block_size, bf_error *err)
{
    return bf_reserve(&self->scratch, &self->scratch_size, 2 * block_size, err);
}

static bf_cache_key
block_key(const bf_rows *self, uint64_t id, uint64_t version)
{
    return (bf_cache_key){
        .kind = BF_CACHED_BLOCK, .owner = self->owner, .a = id, .c = version };
}

bf_status
bf_rows_set_frame(
    bf_rows *self, uint32_t chunk, const bf_frame_source *source, bf_error *err)
{
    uint64_t raw = (uint64_t) self->chunk_rows * self->chunk_samples * self->ploidy;
    bf_chunk *c = NULL;

    if (get_chunk(self, chunk, &c, err) != BF_OK
        || bf_frame_parse_header(
               source->index, source->index_size, raw, source->size, 1, &c->frame.header, err)
               != BF_OK) {
        return err->status;
    }
    if (source->index_size < bf_frame_index_size(&c->frame.header)) {
        return bf_fail(err, BF_ERR_TRUNCATED, "the Blosc frame's offset table is cut short");
    }
    if (source->span_start > source->size
        || source->span_size > source->size - source->span_start) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the span lies outside the frame");
    }
    c->frame.offsets = source->index + BF_FRAME_HEADER_SIZE;
    c->frame.span = source->span;
    c->frame.span_start = source->span_start;
    c->frame.span_size = source->span_size;
    c->key = block_key(self, source->id, source->version);
    if (reserve_scratch(self, c->frame.header.block_size, err) != BF_OK) {
        return err->status;
    }
    c->kind = BF_CHUNK_FRAME;
    return BF_OK;
}

bf_status
bf_rows_set_source(
    bf_rows *self, uint32_t chunk, const bf_source *source, uint64_t id, bf_error *err)
{
    uint64_t raw = (uint64_t) self->chunk_rows * self->chunk_samples * self->ploidy;
    bf_chunk *c = NULL;

    if (source->absent) {
        return bf_rows_set_constant(self, chunk, source->fill, err);
    }
    if (get_chunk(self, chunk, &c, err) != BF_OK) {
        return err->status;
    }
    if (source->header.num_bytes != raw) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the frame is of another array");
    }
    c->frame.header = source->header;
    c->frame.offsets = source->index + BF_FRAME_HEADER_SIZE;
    c->frame.span = source->bytes;
    c->frame.span_start = 0;
    c->frame.span_size = source->bytes != NULL ? source->frame_size : 0;
    c->source = source->bytes != NULL ? NULL : source;
    c->key = block_key(self, id, source->version);
    if (reserve_scratch(self, c->frame.header.block_size, err) != BF_OK) {
        return err->status;
    }
    c->kind = BF_CHUNK_FRAME;
    return BF_OK;
}

bf_status
bf_rows_set_packed(bf_rows *self, uint32_t chunk, const bf_planes *packed, uint64_t row_bits,
    uint32_t first_row, uint32_t last_row, bf_error *err)
{
    bf_chunk *c = NULL;

    if (get_chunk(self, chunk, &c, err) != BF_OK) {
        return err->status;
    }
    if (last_row < first_row || last_row > self->chunk_rows
        || row_bits != (uint64_t) c->num_samples * self->ploidy
        || (last_row - first_row) * row_bits > packed->capacity) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the packed rows are of another shape");
    }
    c->packed = packed;
    c->first_row = first_row;
    c->last_row = last_row;
    c->kind = BF_CHUNK_PACKED;
    return BF_OK;
}

bf_status
bf_rows_set_constant(bf_rows *self, uint32_t chunk, int8_t allele, bf_error *err)
{
    bf_chunk *c = NULL;
    uint64_t bits;

    if (get_chunk(self, chunk, &c, err) != BF_OK) {
        return err->status;
    }
    bits = (uint64_t) c->num_samples * self->ploidy;
    if (bf_reserve_planes(&c->block, bits, err) != BF_OK) {
        return err->status;
    }
    if (bits > 0 && bf_planes_from_constant(&c->block, allele, bits, err) != BF_OK) {
        return err->status;
    }
    c->kind = BF_CHUNK_CONSTANT;
    return BF_OK;
}

/* Append the chunk's part of a row to self->row at dst_bit. */
static bf_status
append_from_frame(bf_rows *self, bf_chunk *chunk, uint32_t row, uint64_t dst_bit, bf_error *err)
{
    uint32_t block_size = chunk->frame.header.block_size;
    uint64_t pos = (uint64_t) row * self->chunk_samples * self->ploidy;
    uint64_t left = (uint64_t) chunk->num_samples * self->ploidy;
    bf_status status;

    while (left > 0) {
        uint32_t block = (uint32_t) (pos / block_size);
        uint64_t start = pos % block_size;
        uint64_t n = block_size - start < left ? block_size - start : left;

        if (chunk->current != (int64_t) block) {
            status = bf_blocks_load(self, chunk, block, err);
            if (status != BF_OK) {
                return status;
            }
        }
        status = bf_planes_copy(&self->row, dst_bit,
            chunk->shared != NULL ? &chunk->shared->planes : &chunk->block, start, n, err);
        if (status != BF_OK) {
            return status;
        }
        dst_bit += n;
        pos += n;
        left -= n;
    }
    return BF_OK;
}

bf_status
bf_rows_read(bf_rows *self, uint32_t row, bf_row *out, bf_error *err)
{
    const bf_planes *planes = &self->row;
    uint64_t bit = 0, bits;
    bf_status status;

    err->chunk = -1;
    err->row = row;
    if (row >= self->chunk_rows) {
        return bf_fail(err, BF_ERR_ARGUMENT, "there is no such row in the chunk");
    }
    self->row.depth = 1;
    bf_planes_clear_sign(&self->row);
    for (uint32_t c = 0; c < self->num_chunks; c++) {
        bf_chunk *chunk = &self->chunks[c];

        err->chunk = c;
        bits = (uint64_t) chunk->num_samples * self->ploidy;
        status = BF_OK;
        if (chunk->kind == BF_CHUNK_EMPTY) {
            status = bf_fail(err, BF_ERR_ARGUMENT, "a sample chunk was given no content");
        } else if (bits == 0) {
            continue;
        } else if (chunk->kind == BF_CHUNK_FRAME) {
            status = append_from_frame(self, chunk, row, bit, err);
        } else if (chunk->kind == BF_CHUNK_CONSTANT) {
            status = bf_planes_copy(&self->row, bit, &chunk->block, 0, bits, err);
        } else if (row < chunk->first_row || row >= chunk->last_row) {
            status = bf_fail(err, BF_ERR_ARGUMENT, "the row is not among the packed ones");
        } else {
            status = bf_planes_copy(&self->row, bit, chunk->packed,
                (row - chunk->first_row) * bits, bits, err);
        }
        if (status != BF_OK) {
            return status;
        }
        bit += bits;
    }
    err->chunk = -1;
    bf_planes_clear_tail(&self->row, bit);
    out->num_samples = (uint32_t) (bit / self->ploidy);
    if (self->gather.index != NULL) {
        status = bf_planes_gather(&self->kept, &self->row, &self->gather, self->ploidy, err);
        if (status != BF_OK) {
            return status;
        }
        out->num_samples = self->gather.num_out;
        planes = &self->kept;
        bf_planes_clear_tail(&self->kept, (uint64_t) out->num_samples * self->ploidy);
    }
    out->planes = planes;
    out->ploidy = self->ploidy;
    out->phased = NULL;
    out->values = NULL;
    out->num_values = 0;
    out->wide = bf_planes_is_wide(planes, (uint64_t) out->num_samples * self->ploidy);
    return BF_OK;
}

/* Add to row `number` what its record, the i-th, needs beside genotypes. */
static bf_status
read_extra(const bf_extra *extra, uint64_t i, uint32_t number, bf_row *row, bf_error *err)
{
    bf_row phased;

    if (extra->values != NULL) {
        if (extra->row_values != (uint64_t) row->num_samples * extra->num_values) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the values are of another shape");
        }
        row->values = extra->values + i * extra->row_values;
        row->num_values = extra->num_values;
    }
    if (extra->phased == NULL) {
        return BF_OK;
    }
    err->phased = 1;
    if (bf_rows_read(extra->phased, extra->phased_rows[i], &phased, err) != BF_OK) {
        return err->status;
    }
    /* What is wrong from here on is so in the row of genotypes. */
    err->phased = 0;
    err->row = number;
    if (phased.ploidy != 1 || phased.num_samples != row->num_samples) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the phased rows are of another shape");
    }
    row->phased = phased.planes->plane[BF_LOW_PLANE];
    return BF_OK;
}

static void
mark_rows(bf_rows *self, const uint32_t *rows, uint64_t num_rows)
{
    self->first_row = num_rows > 0 ? rows[0] : 0;
    self->last_row = num_rows > 0 ? rows[num_rows - 1] : 0;
}

static int
is_full(const bf_row *row)
{
    const uint8_t *plane = row->planes->plane[BF_LOW_PLANE];
    uint64_t bits = (uint64_t) row->num_samples * row->ploidy;

    for (uint64_t i = 0; i < bits; i += 64) {
        uint64_t mask = bf_low_mask(bits - i < 64 ? (unsigned) (bits - i) : 64);

        if ((bf_load64(plane + i / 8) & mask) != mask) {
            return 0;
        }
    }
    return 1;
}

bf_status
bf_rows_find_full(bf_rows *self, const uint32_t *rows, uint64_t num_rows, uint32_t *found,
    uint64_t *num_found, bf_error *err)
{
    bf_row row;

    *num_found = 0;
    mark_rows(self, rows, num_rows);
    for (uint64_t i = 0; i < num_rows; i++) {
        if (bf_rows_read(self, rows[i], &row, err) != BF_OK) {
            return err->status;
        }
        if (is_full(&row)) {
            found[(*num_found)++] = rows[i];
        }
    }
    return BF_OK;
}

bf_status
bf_rows_encode(bf_rows *self, const uint32_t *rows, uint64_t num_rows, const bf_extra *extra,
    bf_encode_record encode, const void *encoder, uint64_t first_record, const bf_output *output,
    bf_error *err)
{
    const uint64_t *offsets = output->offsets;
    bf_row row;
    bf_status status;

    mark_rows(self, rows, num_rows);
    if (extra->phased != NULL) {
        mark_rows(extra->phased, extra->phased_rows, num_rows);
    }
    for (uint64_t i = 0; i < num_rows; i++) {
        uint64_t start = offsets == NULL ? i * output->record_size : offsets[i] - offsets[0];
        uint64_t stop
            = offsets == NULL ? start + output->record_size : offsets[i + 1] - offsets[0];

        if (stop < start || stop > output->size) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the records do not fit the output");
        }
        status = bf_rows_read(self, rows[i], &row, err);
        if (status == BF_OK) {
            status = read_extra(extra, i, rows[i], &row, err);
        }
        if (status == BF_OK) {
            status = encode(encoder, &row, first_record + i, output->out + start, stop - start, err);
        }
        if (status != BF_OK) {
            return status;
        }
    }
    return BF_OK;
}
