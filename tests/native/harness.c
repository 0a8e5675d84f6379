/* Run the kernels over a file of cases, one line of output each: status and hash.
 *
 * A case is the ten 32-bit little-endian numbers of case_geometry, then the frame. */
#include <stdio.h>
#include <stdlib.h>

#include "case.h"

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static int
read_case(FILE *file, case_geometry *geometry, uint8_t **frame)
{
    uint8_t head[40];
    uint32_t numbers[10];

    if (fread(head, 1, sizeof(head), file) != sizeof(head)) {
        return 0;
    }
    for (int i = 0; i < 10; i++) {
        numbers[i] = get_u32(head + 4 * i);
    }
    memcpy(geometry, numbers, sizeof(*geometry));
    *frame = malloc(geometry->frame_size);
    if (fread(*frame, 1, geometry->frame_size, file) != geometry->frame_size) {
        case_fail("the file of cases ends within a frame");
    }
    return 1;
}

int
main(int argc, char **argv)
{
    case_geometry geometry;
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
    while (read_case(file, &geometry, &frame)) {
        result = case_check(&geometry, frame);
        printf("%d %016llx\n", (int) result.status, (unsigned long long) result.hash);
        /* So that a crash is seen to be in the next case. */
        fflush(stdout);
        free(frame);
    }
    fclose(file);
    return 0;
}
