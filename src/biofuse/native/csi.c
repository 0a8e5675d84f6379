#include "csi.h"

#include <stdlib.h>
#include <string.h>

#include "bgzf.h"
#include "bits.h"

#define MIN_SHIFT 14
/* Enough for contigs of 512 Mb; there are more where a site is beyond. */
#define USUAL_LEVELS 5
#define NONE UINT64_MAX
/* A bin whose records are nearer to each other in the file, in bytes, is none of its own. */
#define SMALL 0x10000

void
bf_csi_init(bf_csi *self, uint32_t num_listed)
{
    memset(self, 0, sizeof(*self));
    self->num_listed = num_listed;
    self->contig = self->position = -1;
    self->levels = USUAL_LEVELS;
}

void
bf_csi_free(bf_csi *self)
{
    for (uint64_t i = 0; i < self->num_contigs; i++) {
        bf_csi_contig *contig = self->contigs[i];

        for (unsigned k = 0; contig != NULL && k < BF_CSI_LEVELS; k++) {
            free(contig->levels[k].bins);
            free(contig->levels[k].chunks);
        }
        if (contig != NULL) {
            free(contig->windows);
        }
        free(contig);
    }
    free(self->contigs);
    bf_csi_init(self, 0);
}

/* Room for so many items at least. */
static int
grow(void **items, uint64_t *room, uint64_t count, size_t item_size)
{
    uint64_t wanted = *room < 16 ? 16 : *room;
    void *found;

    if (count <= *room) {
        return 1;
    }
    while (wanted < count) {
        wanted += wanted / 2;
    }
    found = wanted > SIZE_MAX / item_size ? NULL : realloc(*items, wanted * item_size);
    if (found == NULL) {
        return 0;
    }
    *items = found;
    *room = wanted;
    return 1;
}

static uint64_t
virtual_offset(uint64_t at)
{
    uint64_t block = at / BF_BGZF_PAYLOAD;

    return block * (BF_BGZF_PAYLOAD + BF_BGZF_AROUND) << 16 | at % BF_BGZF_PAYLOAD;
}

static int
add_chunk(bf_csi_level *level, uint32_t number, uint64_t begin, uint64_t end)
{
    bf_csi_bin *bin;
    bf_csi_chunk *chunk;

    if (level->num_bins == 0 || level->bins[level->num_bins - 1].number != number) {
        if (!grow((void **) &level->bins, &level->bins_room, level->num_bins + 1, sizeof(*bin))) {
            return 0;
        }
        level->bins[level->num_bins++] = (bf_csi_bin){ .number = number };
    }
    bin = &level->bins[level->num_bins - 1];
    chunk = bin->num_chunks > 0 ? &level->chunks[level->num_chunks - 1] : NULL;
    /* Chunks that meet in a block are one. */
    if (chunk != NULL && chunk->end >> 16 >= begin >> 16) {
        chunk->end = end;
        return 1;
    }
    if (!grow((void **) &level->chunks, &level->chunks_room, level->num_chunks + 1,
            sizeof(*chunk))) {
        return 0;
    }
    level->chunks[level->num_chunks++] = (bf_csi_chunk){ begin, end };
    bin->num_chunks++;
    return 1;
}

/* A site from position start, 0-based, to last, inclusive. */
static int
add_site(bf_csi *self, bf_csi_contig *contig, uint64_t start, uint64_t last, uint64_t begin,
    uint64_t end)
{
    uint64_t window = start >> MIN_SHIFT, last_window = last >> MIN_SHIFT;
    unsigned level = 0;

    while (start >> (MIN_SHIFT + 3 * level) != last >> (MIN_SHIFT + 3 * level)) {
        level++;
    }
    while (last >> (MIN_SHIFT + 3 * self->levels) != 0) {
        self->levels++;
    }
    if (!add_chunk(&contig->levels[level], (uint32_t) (start >> (MIN_SHIFT + 3 * level)), begin,
            end)
        || !grow((void **) &contig->windows, &contig->windows_room, last_window + 1,
            sizeof(*contig->windows))) {
        return 0;
    }
    /* Sites before this one reach into all windows from its first one to the last there is. */
    while (contig->num_windows < window) {
        contig->windows[contig->num_windows++] = NONE;
    }
    while (contig->num_windows <= last_window) {
        contig->windows[contig->num_windows++] = begin;
    }
    contig->last = end;
    contig->count++;
    return 1;
}

static bf_csi_contig *
begin_contig(bf_csi *self, uint64_t number, uint64_t first)
{
    bf_csi_contig *contig = calloc(1, sizeof(*contig));

    if (contig == NULL
        || !grow((void **) &self->contigs, &self->contigs_room, number + 1,
            sizeof(*self->contigs))) {
        free(contig);
        return NULL;
    }
    while (self->num_contigs <= number) {
        self->contigs[self->num_contigs++] = NULL;
    }
    contig->first = first;
    self->contigs[number] = contig;
    return contig;
}

bf_status
bf_csi_add(bf_csi *self, const bf_csi_sites *sites, bf_error *err)
{
    uint64_t end = sites->count > 0 ? virtual_offset(sites->offsets[0]) : 0;

    for (uint64_t i = 0; i < sites->count; i++) {
        int64_t number = sites->contigs[i];
        int64_t start = sites->positions[i] > 0 ? sites->positions[i] - 1 : 0;
        int64_t length = sites->lengths[i] > 0 ? sites->lengths[i] : 1;
        uint64_t begin = end;
        bf_csi_contig *contig;

        err->row = (int64_t) i;
        if (number < 0 || number >= self->num_listed || start > INT32_MAX) {
            return bf_fail(err, BF_ERR_ARGUMENT, "the site's place is one that no index has");
        }
        if (number == self->contig) {
            contig = self->contigs[number];
            if (start < self->position) {
                return bf_fail(err, BF_ERR_ARGUMENT, "the site comes behind ones that follow it");
            }
        } else {
            if ((uint64_t) number < self->num_contigs && self->contigs[number] != NULL) {
                return bf_fail(err, BF_ERR_ARGUMENT, "the site comes behind ones that follow it");
            }
            contig = begin_contig(self, (uint64_t) number, begin);
            if (contig == NULL) {
                return bf_fail(err, BF_ERR_NOMEM, "out of memory");
            }
        }
        self->contig = number;
        self->position = start;
        end = virtual_offset(sites->offsets[i + 1]);
        if (!add_site(self, contig, (uint64_t) start, (uint64_t) (start + length - 1), begin,
                end)) {
            return bf_fail(err, BF_ERR_NOMEM, "out of memory");
        }
    }
    err->row = -1;
    return BF_OK;
}

/* Number of the first bin of a size, counted from the largest one, which is 0. */
static uint32_t
first_bin(unsigned depth)
{
    return (uint32_t) ((((uint64_t) 1 << 3 * depth) - 1) / 7);
}

static uint8_t *
put32(uint8_t *out, uint64_t number)
{
    bf_store32(out, (uint32_t) number);
    return out + 4;
}

static uint8_t *
put64(uint8_t *out, uint64_t number)
{
    bf_store64(out, number);
    return out + 8;
}

static int
by_begin(const void *a, const void *b)
{
    const bf_csi_chunk *one = a, *other = b;

    return one->begin < other->begin ? -1 : one->begin > other->begin;
}

/* Join those of n chunks that meet in a block, in order; returns how many are left. */
static uint32_t
join_chunks(bf_csi_chunk *chunks, uint64_t n)
{
    uint64_t kept = 0;

    qsort(chunks, n, sizeof(*chunks), by_begin);
    for (uint64_t i = 0; i < n; i++) {
        bf_csi_chunk *last = kept > 0 ? &chunks[kept - 1] : NULL;

        if (last != NULL && last->end >> 16 >= chunks[i].begin >> 16) {
            last->end = chunks[i].end > last->end ? chunks[i].end : last->end;
        } else {
            chunks[kept++] = chunks[i];
        }
    }
    return (uint32_t) kept;
}

static int
is_small(const bf_csi_bin *bin, const bf_csi_chunk *chunks)
{
    return (chunks[bin->num_chunks - 1].end >> 16) - (chunks[0].begin >> 16) < SMALL;
}

/* Have what is in small bins in those above, as htslib does. */
static int
fold(bf_csi_level *below, bf_csi_level *above)
{
    bf_csi_level kept = { 0 }, made = { 0 };
    uint64_t b = 0, from = 0, a = 0, own = 0;

    if (!grow((void **) &kept.bins, &kept.bins_room, below->num_bins, sizeof(*kept.bins))
        || !grow((void **) &kept.chunks, &kept.chunks_room, below->num_chunks,
            sizeof(*kept.chunks))
        || !grow((void **) &made.bins, &made.bins_room, below->num_bins + above->num_bins,
            sizeof(*made.bins))
        || !grow((void **) &made.chunks, &made.chunks_room,
            below->num_chunks + above->num_chunks, sizeof(*made.chunks))) {
        free(kept.bins);
        free(kept.chunks);
        free(made.bins);
        free(made.chunks);
        return 0;
    }
    while (b < below->num_bins || a < above->num_bins) {
        uint32_t number = b < below->num_bins ? below->bins[b].number >> 3 : UINT32_MAX;
        bf_csi_chunk *to = made.chunks + made.num_chunks;
        uint64_t n = 0;

        if (a < above->num_bins && above->bins[a].number < number) {
            number = above->bins[a].number;
        }
        if (a < above->num_bins && above->bins[a].number == number) {
            n = above->bins[a++].num_chunks;
            memcpy(to, above->chunks + own, n * sizeof(*to));
            own += n;
        }
        for (; b < below->num_bins && below->bins[b].number >> 3 == number; b++) {
            const bf_csi_bin *bin = &below->bins[b];
            const bf_csi_chunk *chunks = below->chunks + from;
            uint64_t size = bin->num_chunks * sizeof(*chunks);

            from += bin->num_chunks;
            if (is_small(bin, chunks)) {
                memcpy(to + n, chunks, size);
                n += bin->num_chunks;
            } else {
                kept.bins[kept.num_bins++] = *bin;
                memcpy(kept.chunks + kept.num_chunks, chunks, size);
                kept.num_chunks += bin->num_chunks;
            }
        }
        if (n > 0) {
            uint32_t joined = join_chunks(to, n);

            made.bins[made.num_bins++] = (bf_csi_bin){ number, joined };
            made.num_chunks += joined;
        }
    }
    free(below->bins);
    free(below->chunks);
    free(above->bins);
    free(above->chunks);
    *below = kept;
    *above = made;
    return 1;
}

bf_status
bf_csi_finish(bf_csi *self, bf_error *err)
{
    for (uint64_t i = 0; i < self->num_contigs; i++) {
        bf_csi_contig *contig = self->contigs[i];
        uint64_t following = 0;

        if (contig == NULL) {
            continue;
        }
        for (uint64_t w = contig->num_windows; w-- > 0;) {
            /* Who looks for sites from an empty window on finds those of the next one. */
            if (contig->windows[w] == NONE) {
                contig->windows[w] = following;
            }
            following = contig->windows[w];
        }
        for (unsigned k = 0; k < self->levels; k++) {
            if (!fold(&contig->levels[k], &contig->levels[k + 1])) {
                return bf_fail(err, BF_ERR_NOMEM, "out of memory");
            }
        }
    }
    return BF_OK;
}

uint64_t
bf_csi_size(const bf_csi *self)
{
    uint64_t size = 16 + 4 + 8;

    /* Those behind the last one that has sites too: htslib looks them up without asking. */
    size += 4 * (uint64_t) self->num_listed;
    for (uint64_t i = 0; i < self->num_contigs; i++) {
        const bf_csi_contig *contig = self->contigs[i];

        for (unsigned k = 0; contig != NULL && k < BF_CSI_LEVELS; k++) {
            size += 16 * (contig->levels[k].num_bins + contig->levels[k].num_chunks);
        }
        if (contig != NULL) {
            /* The bin that tells how many sites there are. */
            size += 16 + 2 * 16;
        }
    }
    return size;
}

static uint8_t *
put_level(const bf_csi_contig *contig, unsigned level, uint32_t first, uint8_t *out)
{
    const bf_csi_level *own = &contig->levels[level];
    const bf_csi_chunk *chunk = own->chunks;

    for (uint64_t b = 0; b < own->num_bins; b++) {
        const bf_csi_bin *bin = &own->bins[b];

        out = put32(out, first + bin->number);
        out = put64(out, contig->windows[(uint64_t) bin->number << 3 * level]);
        out = put32(out, bin->num_chunks);
        for (uint32_t c = 0; c < bin->num_chunks; c++, chunk++) {
            out = put64(put64(out, chunk->begin), chunk->end);
        }
    }
    return out;
}

static uint8_t *
put_contig(const bf_csi_contig *contig, unsigned levels, uint8_t *out)
{
    uint64_t num_bins = 1;

    for (unsigned k = 0; k <= levels; k++) {
        num_bins += contig->levels[k].num_bins;
    }
    out = put32(out, num_bins);
    for (unsigned k = 0; k <= levels; k++) {
        out = put_level(contig, k, first_bin(levels - k), out);
    }
    out = put32(out, first_bin(levels + 1) + 1);
    out = put64(out, 0);
    out = put32(out, 2);
    out = put64(put64(out, contig->first), contig->last);
    return put64(put64(out, contig->count), 0);
}

void
bf_csi_write(const bf_csi *self, uint8_t *out)
{
    memcpy(out, "CSI\1", 4);
    out = put32(out + 4, MIN_SHIFT);
    out = put32(out, self->levels);
    out = put32(out, 0);
    out = put32(out, self->num_listed);
    for (uint64_t i = 0; i < self->num_listed; i++) {
        out = i < self->num_contigs && self->contigs[i] != NULL
                  ? put_contig(self->contigs[i], self->levels, out)
                  : put32(out, 0);
    }
    (void) put64(out, 0);
}
