/* Fuzz target: what is made of any chunk of texts: INFO and lines of a .pvar, heads of BCF
 * records, texts of calls.
 *
 * A byte says how many texts a sample has, the others are the chunk; the number of texts that it
 * begins with is that of the variants. */
#include <stdlib.h>

#include "case.h"
#include "case_texts.h"

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *chunk;
    uint64_t *starts, count;
    uint32_t *sizes;
    int64_t *positions;
    bf_error err = { .status = BF_OK };

    if (size < 5) {
        return 0;
    }
    chunk = case_copy(data + 1, size - 1);
    count = chunk[0] | (uint32_t) chunk[1] << 8 | (uint32_t) chunk[2] << 16
            | (uint32_t) chunk[3] << 24;
    (void) case_check_cells(chunk, size - 1, count, 1 + data[0] % 5);
    count = count < MOST ? count : MOST;
    starts = malloc((count + 1) * sizeof(*starts));
    sizes = malloc((count + 1) * sizeof(*sizes));
    positions = malloc((count + 1) * sizeof(*positions));
    if (bf_texts_from_vlen(chunk, size - 1, count, 0, starts, sizes, &err) == BF_OK) {
        bf_texts texts = { chunk, size - 1, starts, sizes, count, (const uint8_t *) ".", 1 };

        for (uint64_t i = 0; i < count; i++) {
            positions[i] = (int64_t) (i * 1000003 % UINT32_MAX);
        }
        (void) case_check_pvar(&texts, positions);
        (void) case_check_bcf_heads(&texts, positions);
    }
    free(positions);
    free(sizes);
    free(starts);
    free(chunk);
    return 0;
}
