/* Run the kernels of texts over a file of cases, one line of output each: status and hash.
 *
 * A case is three 32-bit little-endian numbers, then bytes: what they are, a number, and how
 * many there are. The kernels' buffers are of exactly the size that they are told. */
#include <stdio.h>
#include <stdlib.h>

#include "case.h"
#include "case_files.h"

/* A chunk of vlen-utf8 of so many texts, of which every file's text is made; or rows of a
 * .bgi, in so many runs of about one length. */
enum { CHUNK = 0, ROWS = 1 };

int
main(int argc, char **argv)
{
    uint32_t numbers[3];
    uint8_t *data;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (file == NULL) {
        fprintf(stderr, "usage: harness_texts CASES\n");
        return 2;
    }
    while (case_read(file, numbers, 3, &data)) {
        bf_error err = { BF_OK, -1, -1, 0, -1, NULL };
        uint64_t hash = 0;
        bf_status status;

        status = numbers[0] == CHUNK ? case_make_files(data, numbers[2], numbers[1], &hash, &err)
                                     : case_merge_rows(data, numbers[2], numbers[1], &hash, &err);
        printf("%d %016llx\n", (int) status, (unsigned long long) hash);
        fflush(stdout);
        free(data);
    }
    fclose(file);
    return 0;
}
