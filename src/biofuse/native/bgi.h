/* Rows of the table Variant of a `.bgi`, an SQLite database, in the order of its primary key.
 *
 * Rows are made as SQLite's records, each after its size, in runs that ascend; then runs are
 * merged into the table's b-tree. */
#ifndef BF_BGI_H
#define BF_BGI_H

#include "btree.h"
#include "texts.h"

/* Columns of one length, and one offset more: where each record of the .bgen begins and ends. */
typedef struct {
    bf_texts chrom, rsid, allele1, allele2;
    const int64_t *positions;
    const uint64_t *offsets;
} bf_bgi;

/* Bytes that the rows take at most. */
uint64_t bf_bgi_room(const bf_bgi *self);

/* Write the rows, ascending, and their size. order and scratch have room for an entry a row.
 * BF_ERR_ARGUMENT, with the row, if it is longer than SQLite takes. */
bf_status bf_bgi_write(const bf_bgi *self, uint32_t *order, uint32_t *scratch, uint8_t *out,
    uint64_t *size, bf_error *err);

/* Where in bytes of rows an ascending run begins and ends. */
typedef struct {
    uint64_t at, end;
} bf_bgi_run;

typedef struct {
    const uint8_t *rows;
    bf_bgi_run *runs;      /* a heap by their first rows */
    uint64_t num_runs;
    bf_btree tree;
    int done;
} bf_bgi_merge;

/* Begin to merge runs, which the caller has checked to lie in the bytes, and keeps. Those that
 * are empty are left out. BF_ERR_TRUNCATED: a row is malformed. */
bf_status bf_bgi_merge_init(bf_bgi_merge *self, const uint8_t *rows, bf_bgi_run *runs,
    uint64_t num_runs, uint32_t first_page, bf_error *err);

/* Add rows to the tree until there are `enough` bytes of pages, or none are left: then it is
 * ended, and its root is written, and `done` set. */
bf_status bf_bgi_merge_some(bf_bgi_merge *self, uint64_t enough, uint8_t *root, bf_error *err);

#endif
