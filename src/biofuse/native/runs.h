/* Runs of reads: who reads on where another read has ended.
 *
 * The kernel reads ahead of a program in pieces that may arrive out of order, and several
 * programs may read one file at once. So there are several runs, and a read belongs to one if
 * it begins near where that run is. */
#ifndef BF_RUNS_H
#define BF_RUNS_H

#include <stdint.h>

enum { BF_MAX_RUNS = 128 };

typedef struct {
    uint32_t file;
    uint32_t reads;       /* that have joined; 0: there is no such run */
    uint64_t first;       /* the byte that the first one began at */
    uint64_t position;    /* the furthest byte that was asked for */
    uint64_t used;        /* when the last one joined, counted in reads */
    uint64_t last_size;   /* bytes of it */
    uint64_t asked;       /* bytes of all of them */
    uint64_t passed;      /* the record before which nothing is wanted any more */
    uint64_t parts[2];    /* records that reads took a part of, plus 1; the latter is newer */
    uint64_t ahead;       /* the record that is to be prepared next */
    uint32_t ahead_step;  /* how far that is done */
    uint64_t ahead_row;   /* the chunk row of which chunks were opened last */
} bf_run;

typedef struct {
    bf_run runs[BF_MAX_RUNS];
    uint64_t clock;
    uint32_t turn; /* whose turn it is to be prepared */
} bf_runs;

/* Take note of a read of bytes [start, stop) of a file; returns the run that it belongs to. */
bf_run *bf_runs_observe(bf_runs *self, uint32_t file, uint64_t start, uint64_t stop);

/* Whether more reads of it are to be expected: not if they are here and there in a small part
 * of the file. */
static inline int
bf_run_goes_on(const bf_run *run)
{
    return run->reads > 1 && 4 * run->asked >= run->position - run->first;
}

/* Whether reads have joined it of late. */
int bf_run_is_active(const bf_runs *self, const bf_run *run);

/* How many go on and are active. */
uint32_t bf_runs_active(const bf_runs *self);

#endif
