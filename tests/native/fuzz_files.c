/* Fuzz target: every sidecar, head and table that is made of any chunk of texts, and an index's
 * pages of any rows.
 *
 * A byte says which of the two, and in how many runs rows are; the others are the chunk, which
 * begins with the number of its texts, or the rows. */
#include <stdlib.h>

#include "case.h"
#include "case_files.h"

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bf_error err = { BF_OK, -1, -1, 0, -1, NULL };
    uint64_t hash;
    uint32_t count;
    uint8_t *copy;

    if (size < 5) {
        return 0;
    }
    copy = case_copy(data + 1, size - 1);
    if (data[0] & 0x80) {
        (void) case_merge_rows(copy, size - 1, 1 + data[0] % 8, &hash, &err);
    } else {
        count = copy[0] | (uint32_t) copy[1] << 8 | (uint32_t) copy[2] << 16
                | (uint32_t) copy[3] << 24;
        (void) case_make_files(
            copy, (uint32_t) (size - 1), count < MOST ? count : MOST, &hash, &err);
    }
    free(copy);
    return 0;
}
