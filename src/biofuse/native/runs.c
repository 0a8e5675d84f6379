#include "runs.h"

#include <string.h>

/* A read this far from where a run is belongs to it. */
static const uint64_t SLACK = 2 << 20;
/* A run that none of this many reads, for each run there is, joined has ended. */
static const uint64_t RECENT = 8;

static uint64_t
distance(const bf_run *run, uint64_t start)
{
    return start > run->position ? start - run->position : run->position - start;
}

bf_run *
bf_runs_observe(bf_runs *self, uint32_t file, uint64_t start, uint64_t stop)
{
    bf_run *best = NULL, *oldest = &self->runs[0];

    for (int i = 0; i < BF_MAX_RUNS; i++) {
        bf_run *run = &self->runs[i];

        if (run->used < oldest->used) {
            oldest = run;
        }
        if (run->reads > 0 && run->file == file && distance(run, start) <= SLACK
            && (best == NULL || distance(run, start) < distance(best, start))) {
            best = run;
        }
    }
    if (best == NULL) {
        best = oldest;
        memset(best, 0, sizeof(*best));
        best->file = file;
        best->first = start;
        best->position = stop;
    }
    best->reads++;
    best->used = ++self->clock;
    best->last_size = stop - start;
    best->asked += stop - start;
    if (stop > best->position) {
        best->position = stop;
    }
    return best;
}

int
bf_run_is_active(const bf_runs *self, const bf_run *run)
{
    return run->reads > 0 && self->clock - run->used < RECENT * BF_MAX_RUNS;
}

uint32_t
bf_runs_active(const bf_runs *self)
{
    uint32_t found = 0;

    for (int i = 0; i < BF_MAX_RUNS; i++) {
        found += bf_run_goes_on(&self->runs[i]) && bf_run_is_active(self, &self->runs[i]);
    }
    return found;
}
