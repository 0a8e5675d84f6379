/* A CSI index of where sites of a region are.
 *
 * Specification: https://samtools.github.io/hts-specs/CSIv1.pdf. Positions lie in bins of several
 * sizes, of which each is eight times the one below; a site is in the smallest one that it fits.
 * Sites come contig by contig and in order, so that a bin of any size that was left is done. */
#ifndef BF_CSI_H
#define BF_CSI_H

#include "error.h"

/* Sizes of bins that there can be, from the smallest one: enough for positions of 32 bits. */
#define BF_CSI_LEVELS 8

typedef struct {
    uint64_t begin, end; /* virtual offsets */
} bf_csi_chunk;

typedef struct {
    uint32_t number;      /* among those of its size */
    uint32_t num_chunks;
} bf_csi_bin;

/* Bins of one size that have sites, in order, and the chunks of all of them. */
typedef struct {
    bf_csi_bin *bins;
    uint64_t num_bins, bins_room;
    bf_csi_chunk *chunks;
    uint64_t num_chunks, chunks_room;
} bf_csi_level;

typedef struct {
    uint64_t first, last, count; /* virtual offsets of its sites, and how many there are */
    bf_csi_level levels[BF_CSI_LEVELS];
    uint64_t *windows; /* for each of the smallest bins where a site begins that reaches into it */
    uint64_t num_windows, windows_room;
} bf_csi_contig;

typedef struct {
    bf_csi_contig **contigs; /* NULL where there is no site; none behind the last that has */
    uint64_t num_contigs, contigs_room;
    uint32_t num_listed;      /* contigs of the file's header */
    int64_t contig, position; /* of the last site, -1 before the first */
    unsigned levels;          /* sizes of bins above the smallest one that are needed */
} bf_csi;

/* Columns of sites, and where their records begin and end in the stream: one more. */
typedef struct {
    uint64_t count;
    const int32_t *contigs;
    const int64_t *positions; /* 1-based */
    const int32_t *lengths;
    const uint64_t *offsets;
} bf_csi_sites;

/* Of a file with so many contigs. */
void bf_csi_init(bf_csi *self, uint32_t num_listed);
void bf_csi_free(bf_csi *self);

/* BF_ERR_ARGUMENT, with the row: a site that comes behind others that should follow it, or whose
 * contig or position there can't be. */
bf_status bf_csi_add(bf_csi *self, const bf_csi_sites *sites, bf_error *err);

/* Put small bins together. Nothing can be added any more. */
bf_status bf_csi_finish(bf_csi *self, bf_error *err);
/* Bytes of the finished index, not compressed, and these. */
uint64_t bf_csi_size(const bf_csi *self);
void bf_csi_write(const bf_csi *self, uint8_t *out);

#endif
