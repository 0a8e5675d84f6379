/* Run the reader of values over a file of cases, one line of output each: status and hash.
 *
 * A case is the six 32-bit little-endian numbers of values_geometry, then the frame. */
#include <stdio.h>
#include <stdlib.h>

#include "case_values.h"

int
main(int argc, char **argv)
{
    uint32_t numbers[6];
    uint8_t *frame;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (file == NULL) {
        fprintf(stderr, "usage: harness_values CASES\n");
        return 2;
    }
    while (case_read(file, numbers, 6, &frame)) {
        values_geometry geometry;
        case_result result;

        memcpy(&geometry, numbers, sizeof(geometry));
        result = case_check_values(&geometry, frame);
        printf("%d %016llx\n", (int) result.status, (unsigned long long) result.hash);
        fflush(stdout);
        free(frame);
    }
    fclose(file);
    return 0;
}
