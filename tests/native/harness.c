/* Run the kernels over a file of cases, one line of output each: status and hash.
 *
 * A case is the ten 32-bit little-endian numbers of case_geometry, then the frame. */
#include <stdio.h>
#include <stdlib.h>

#include "case.h"

int
main(int argc, char **argv)
{
    case_geometry geometry;
    uint32_t numbers[10];
    case_result result;
    uint8_t *frame;
    FILE *file;

    if (argc != 2) {
        fprintf(stderr, "usage: harness CASES\n");
        return 2;
    }
    file = fopen(argv[1], "rb");
    if (file == NULL) {
        perror(argv[1]);
        return 2;
    }
    while (case_read(file, numbers, 10, &frame)) {
        memcpy(&geometry, numbers, sizeof(geometry));
        result = case_check(&geometry, frame);
        printf("%d %016llx\n", (int) result.status, (unsigned long long) result.hash);
        /* So that a crash is seen to be in the next case. */
        fflush(stdout);
        free(frame);
    }
    fclose(file);
    return 0;
}
