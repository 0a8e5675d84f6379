#include "btree.h"

#include <stdlib.h>
#include <string.h>

#define LEAF 0x0a
#define INTERIOR 0x02
/* What a page begins with; an interior one has its last child behind that. */
#define LEAF_HEAD 8
#define INTERIOR_HEAD 12
#define CHILD 4
#define POINTER 2
#define OVERFLOW_DATA (BF_BTREE_PAGE - 4)
/* Bytes of a payload that stay in its page. */
#define MAX_LOCAL ((BF_BTREE_PAGE - 12) * 64 / 255 - 23)
#define MIN_LOCAL ((BF_BTREE_PAGE - 12) * 32 / 255 - 23)
#define MAX_CELL (BF_BTREE_MAX_VARINT + MAX_LOCAL + 4)

static void
put_u16(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t) (number >> 8);
    to[1] = (uint8_t) number;
}

static void
put_u32(uint8_t *to, uint32_t number)
{
    put_u16(to, number >> 16);
    put_u16(to + 2, number);
}

static uint32_t
get_u32(const uint8_t *from)
{
    return (uint32_t) from[0] << 24 | (uint32_t) from[1] << 16 | (uint32_t) from[2] << 8
        | from[3];
}

uint8_t *
bf_btree_put_varint(uint8_t *to, uint64_t number)
{
    unsigned bytes = 1;

    while (number >> (7 * bytes) != 0) {
        bytes++;
    }
    while (bytes-- > 0) {
        *to++ = (uint8_t) ((number >> (7 * bytes) & 0x7f) | (bytes > 0 ? 0x80 : 0));
    }
    return to;
}

static void
clear_level(bf_btree_level *level)
{
    memset(level->page, 0, sizeof(level->page));
    level->cells = 0;
    level->content = BF_BTREE_PAGE;
}

void
bf_btree_init(bf_btree *self, uint32_t first_page)
{
    self->depth = 0;
    self->next = first_page;
    self->out = NULL;
    self->out_size = self->out_room = 0;
}

void
bf_btree_free(bf_btree *self)
{
    free(self->out);
    self->out = NULL;
}

/* Append an empty page to `out`. The page that is never used is there, of zeros. */
static bf_status
new_page(bf_btree *self, uint32_t *number, uint8_t **page, bf_error *err)
{
    uint64_t pages = self->next == BF_BTREE_LOCK_PAGE ? 2 : 1;

    if (self->next + pages - 1 > UINT32_MAX - 1) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the index has more pages than SQLite allows");
    }
    if (self->out_room - self->out_size < pages * BF_BTREE_PAGE) {
        uint64_t room = 2 * self->out_room + 64 * BF_BTREE_PAGE;
        uint8_t *out = realloc(self->out, room);

        if (out == NULL) {
            return bf_fail(err, BF_ERR_NOMEM, "pages of the index");
        }
        self->out = out;
        self->out_room = room;
    }
    memset(self->out + self->out_size, 0, pages * BF_BTREE_PAGE);
    self->out_size += pages * BF_BTREE_PAGE;
    self->next += pages;
    *page = self->out + self->out_size - BF_BTREE_PAGE;
    *number = (uint32_t) (self->next - 1);
    return BF_OK;
}

/* Complete a level's page. right: the last child of an interior one. */
static void
complete(bf_btree_level *level, unsigned height, uint32_t right)
{
    level->page[0] = height > 0 ? INTERIOR : LEAF;
    put_u16(level->page + 3, level->cells);
    put_u16(level->page + 5, level->content);
    if (height > 0) {
        put_u32(level->page + LEAF_HEAD, right);
    }
}

static bf_status
write_level(bf_btree *self, unsigned height, uint32_t right, uint32_t *number, bf_error *err)
{
    uint8_t *page;
    bf_status status = new_page(self, number, &page, err);

    if (status == BF_OK) {
        complete(&self->level[height], height, right);
        memcpy(page, self->level[height].page, BF_BTREE_PAGE);
    }
    return status;
}

/* Add a cell, behind the number of its left child in an interior page, to a level. */
static bf_status
put_cell(bf_btree *self, unsigned height, uint32_t child, const uint8_t *cell, uint32_t size,
    bf_error *err)
{
    bf_btree_level *level = &self->level[height];
    uint32_t head = height > 0 ? INTERIOR_HEAD : LEAF_HEAD;
    uint32_t before = height > 0 ? CHILD : 0;

    if (height == BF_BTREE_LEVELS) {
        return bf_fail(err, BF_ERR_ARGUMENT, "the index is too deep");
    }
    if (height == self->depth) {
        self->depth++;
        clear_level(level);
    }
    if (head + POINTER * (level->cells + 1) + before + size > level->content) {
        /* The page's last cell parts it from the next one, a level above. */
        uint8_t last[MAX_CELL];
        uint32_t end = level->cells > 1
            ? (uint32_t) level->page[head + POINTER * (level->cells - 2)] << 8
                | level->page[head + POINTER * (level->cells - 2) + 1]
            : BF_BTREE_PAGE;
        uint32_t last_size = end - level->content - before, right, number;
        bf_status status;

        right = height > 0 ? get_u32(level->page + level->content) : 0;
        memcpy(last, level->page + level->content + before, last_size);
        memset(level->page + level->content, 0, before + last_size);
        level->content = end;
        level->cells--;
        put_u16(level->page + head + POINTER * level->cells, 0);
        status = write_level(self, height, right, &number, err);
        if (status == BF_OK) {
            status = put_cell(self, height + 1, number, last, last_size, err);
        }
        if (status != BF_OK) {
            return status;
        }
        clear_level(level);
    }
    level->content -= before + size;
    put_u16(level->page + head + POINTER * level->cells, level->content);
    level->cells++;
    if (height > 0) {
        put_u32(level->page + level->content, child);
    }
    memcpy(level->page + level->content + before, cell, size);
    return BF_OK;
}

/* Write what does not stay in its page to a chain of pages. */
static bf_status
put_overflow(bf_btree *self, const uint8_t *data, uint64_t size, uint32_t *first, bf_error *err)
{
    uint64_t previous = 0;

    for (uint64_t done = 0; done < size; done += OVERFLOW_DATA) {
        uint64_t some = size - done < OVERFLOW_DATA ? size - done : OVERFLOW_DATA;
        uint32_t number;
        uint8_t *page;

        if (new_page(self, &number, &page, err) != BF_OK) {
            return err->status;
        }
        if (done == 0) {
            *first = number;
        } else {
            put_u32(self->out + previous, number);
        }
        previous = (uint64_t) (page - self->out);
        memcpy(page + 4, data + done, some);
    }
    return BF_OK;
}

bf_status
bf_btree_add(bf_btree *self, const uint8_t *record, uint64_t size, bf_error *err)
{
    uint8_t cell[MAX_CELL];
    uint8_t *to = bf_btree_put_varint(cell, size);
    uint64_t local = size;

    if (size > MAX_LOCAL) {
        local = MIN_LOCAL + (size - MIN_LOCAL) % OVERFLOW_DATA;
        if (local > MAX_LOCAL) {
            local = MIN_LOCAL;
        }
    }
    memcpy(to, record, local);
    to += local;
    if (local < size) {
        uint32_t first = 0;

        if (put_overflow(self, record + local, size - local, &first, err) != BF_OK) {
            return err->status;
        }
        put_u32(to, first);
        to += 4;
    }
    return put_cell(self, 0, 0, cell, (uint32_t) (to - cell), err);
}

bf_status
bf_btree_finish(bf_btree *self, uint8_t *root, bf_error *err)
{
    uint32_t number = 0;

    if (self->depth == 0) {
        self->depth = 1;
        clear_level(&self->level[0]);
    }
    for (unsigned height = 0; height + 1 < self->depth; height++) {
        if (write_level(self, height, number, &number, err) != BF_OK) {
            return err->status;
        }
    }
    complete(&self->level[self->depth - 1], self->depth - 1, number);
    memcpy(root, self->level[self->depth - 1].page, BF_BTREE_PAGE);
    return BF_OK;
}
