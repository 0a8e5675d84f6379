/* Pages of an SQLite index b-tree, filled with rows in key order.
 *
 * Specification: https://www.sqlite.org/fileformat2.html. Pages are of 4,096 bytes, none of
 * them reserved. They are numbered in the order in which they are made. */
#ifndef BF_BTREE_H
#define BF_BTREE_H

#include "error.h"

#define BF_BTREE_PAGE 4096
/* A page has four cells at least, so that more are never needed. */
#define BF_BTREE_LEVELS 20
/* The page at 1 GiB, which SQLite locks and never uses. */
#define BF_BTREE_LOCK_PAGE ((1u << 30) / BF_BTREE_PAGE + 1)
/* Bytes of a payload's size. */
#define BF_BTREE_MAX_VARINT 9

typedef struct {
    uint8_t page[BF_BTREE_PAGE];
    uint32_t cells;     /* in the page */
    uint32_t content;   /* where the last cell begins; cells are put from the page's end on */
} bf_btree_level;

/* Level 0 has the leaves. Pages that are complete wait in `out`, for the caller to take. */
typedef struct {
    bf_btree_level level[BF_BTREE_LEVELS];
    unsigned depth;     /* levels in use */
    uint64_t next;      /* number of the next page */
    uint8_t *out;
    uint64_t out_size, out_room;
} bf_btree;

/* Begin a tree whose pages, but for the root, are numbered from first_page on. */
void bf_btree_init(bf_btree *self, uint32_t first_page);
void bf_btree_free(bf_btree *self);

/* Add a row: its record, which must be above all before it. BF_ERR_NOMEM, or BF_ERR_ARGUMENT if
 * there are more pages than a database has. */
bf_status bf_btree_add(bf_btree *self, const uint8_t *record, uint64_t size, bf_error *err);

/* End the tree, and write its root. */
bf_status bf_btree_finish(bf_btree *self, uint8_t *root, bf_error *err);

/* Append a number as SQLite writes them, seven bits a byte, the highest first; below 2^56. */
uint8_t *bf_btree_put_varint(uint8_t *to, uint64_t number);

#endif
