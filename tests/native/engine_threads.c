/* Threads that read a file through one engine, for the sanitizers.
 *
 * usage: engine_threads FOLDER VARIANTS SAMPLES PLOIDY CHUNK_ROWS CHUNK_SAMPLES BUDGET SOUND FORMAT
 *     WIDTH FRAMED GIVEN SPLIT CHANGES PHASED
 *
 * The folder has chunks called ROW.COLUMN, the plain alleles of all of them in a file, `alleles`,
 * and gets the bytes that the file is to have, `made`. FORMAT is one of case_format, and WIDTH the
 * bytes of what it has of a call; if FRAMED is 1 the file frames a stream. If PHASED is 1 chunks
 * pROW.COLUMN, and the plain file `phased`, tell which calls are. Half of
 * the threads read any parts of the file; the others take requests off a socket and answer them, as
 * a worker does, and one more looks at counts. If GIVEN is 1 chunks are not files to the engine, and
 * who finds that one is wanted gives it; if SPLIT is 1 records are of sites that are split.
 * If CHANGES is 1 who looks at counts also writes chunks anew, with the same bytes: reads of them
 * fail from then on, or are right. If SOUND is 0 chunks may be damaged, and only the size of what is
 * read counts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "case.h"
#include "case_file.h"

enum { MOST_GIFTS = 200, ARGUMENTS = 16 };
enum { THREADS = 4, TURNS = 400, SLOTS = 64, MAX_CHUNKS = 64 };

static bf_engine engine;
static bf_door door;
static const uint8_t *expected;
static uint64_t size;
static int sound, given, ended;
static int changes;
static int may_fail; /* given chunks may be gone before they are read, or files be changed */
static const char *folder_name;
static bf_array arrays[BF_MAX_ARRAYS]; /* of calls, and of which of them are phased */
static uint32_t ploidies[BF_MAX_ARRAYS] = { 0, 1 };
static case_file file_made;

static uint64_t
number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static uint32_t
next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void
check_pieces(const bf_context *context, uint64_t offset, uint64_t wanted)
{
    uint64_t at = offset;

    for (int i = 1; i < context->num_iov; i++) {
        if (context->iov[i].iov_len > size - at
            || (sound && memcmp(context->iov[i].iov_base, expected + at, context->iov[i].iov_len))) {
            case_fail("other bytes were made");
        }
        at += context->iov[i].iov_len;
    }
    if (at - offset != wanted) {
        case_fail("fewer or more bytes were made");
    }
}

static uint8_t *read_file(const char *path, uint64_t *bytes);

/* Give the chunk that is wanted. Returns whether it is one that can be read. */
static int
give(const bf_place *place)
{
    char path[BF_MAX_PATH];
    bf_source *source;
    bf_error err;
    bf_status status;
    uint64_t bytes;
    uint8_t *frame;

    (void) snprintf(path, sizeof(path), "%s/%s%d.%d", folder_name, arrays[place->array].prefix,
        (int) place->chunk_row, (int) arrays[place->array].columns[place->chunk]);
    frame = read_file(path, &bytes);
    status = bf_source_from_bytes(frame, bytes, &arrays[place->array].kind, &source, &err);
    free(frame);
    if (status == BF_OK) {
        bf_engine_give(&engine, place, source);
    }
    return status == BF_OK;
}

/* bf_engine_read, given what it wants. BF_ERR_READ if that is more than the cache can hold. */
static bf_status
read_given(bf_context **context, uint32_t file, uint64_t offset, uint64_t wanted, bf_place *place)
{
    bf_error err;
    bf_status status = BF_OK;

    for (int i = 0; i < MOST_GIFTS; i++) {
        *context = bf_engine_enter(&engine, 1);
        status = bf_engine_read(&engine, *context, file, offset, wanted, place, &err);
        if (!given || status != BF_ERR_READ || place->array < 0 || i == MOST_GIFTS - 1) {
            return status;
        }
        bf_engine_end(&engine, *context);
        bf_engine_leave(&engine, *context);
        if (!give(place)) {
            *context = bf_engine_enter(&engine, 1);
            (*context)->num_iov = 1;
            (*context)->num_held = 0;
            return BF_ERR_BLOCK;
        }
    }
    return status;
}

/* Write a chunk anew, in place of what it was. */
static void
change(int row, int column)
{
    char path[BF_MAX_PATH], other[BF_MAX_PATH];
    uint64_t bytes;
    uint8_t *frame;
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/%d.%d", folder_name, row, column);
    (void) snprintf(other, sizeof(other), "%s/new", folder_name);
    frame = read_file(path, &bytes);
    file = fopen(other, "wb");
    if (file == NULL || fwrite(frame, 1, bytes, file) != bytes || fclose(file) != 0
        || rename(other, path) != 0) {
        case_fail("a chunk cannot be written");
    }
    free(frame);
}

/* Look at counts until everybody is done. */
static void *
look(void *argument)
{
    uint32_t seed = 5;

    (void) argument;
    while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE)) {
        bf_engine_publish(&engine);
        if (bf_engine_runs(&engine) > BF_MAX_RUNS) {
            case_fail("there are more runs than can be");
        }
        (void) bf_engine_has_row(&engine, 0, 1);
        if (changes && next(&seed) % 64 == 0) {
            change((int) (next(&seed) % 3), (int) (next(&seed) % 4));
        }
        sched_yield();
    }
    return NULL;
}

/* Read parts of the file, some of them one after another. */
static void *
read_parts(void *argument)
{
    uint32_t seed = (uint32_t) (uintptr_t) argument;
    uint64_t offset = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t asked = next(&seed) % 700, end;
        bf_context *context;
        bf_place place;
        bf_status status;

        if (next(&seed) % 4 == 0 || offset >= size) {
            offset = next(&seed) % size;
        }
        end = offset + asked < size ? offset + asked : size;
        status = read_given(&context, 0, offset, asked, &place);
        if (status == BF_OK) {
            check_pieces(context, offset, end - offset);
        } else if (sound && !(may_fail && status == BF_ERR_READ)) {
            case_fail("a part cannot be read");
        }
        bf_engine_end(&engine, context);
        bf_engine_leave(&engine, context);
        offset = end;
        if (next(&seed) % 8 == 0) {
            if (bf_engine_ahead(&engine, &place) && given && place.array >= 0) {
                (void) give(&place);
            }
        }
    }
    return NULL;
}

/* Answer requests until the socket is closed. */
static void *
answer(void *argument)
{
    bf_request request;
    bf_place place;

    (void) argument;
    while (bf_door_receive(&door, 1, &request) == BF_DOOR_REQUEST) {
        bf_context *context;

        if (read_given(&context, request.file, request.offset, request.size, &place) != BF_OK) {
            if (sound && !may_fail) {
                case_fail("a request cannot be answered");
            }
            context->num_iov = 1;
        }
        if (bf_door_answer(&door, &request, context->iov, context->num_iov) != 0) {
            case_fail("an answer is not taken");
        }
        bf_engine_end(&engine, context);
        bf_engine_leave(&engine, context);
    }
    bf_engine_publish(&engine);
    return NULL;
}

/* Be serve and the kernel: ask, and look at answers, which come in any order. */
static void
ask(int requests, int kernel, uint8_t *table)
{
    static uint64_t offsets[SLOTS];
    static uint8_t buffer[sizeof(struct fuse_out_header) + 1024];
    struct fuse_out_header header;
    uint32_t seed = 99;

    for (int round = 0; round < 8; round++) {
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            bf_request request = { .slot = slot,
                .unique = (uint64_t) round * SLOTS + slot + 1,
                .offset = offsets[slot] = next(&seed) % size,
                .size = 1 + next(&seed) % 1000 };
            uint8_t *at = table + BF_SLOTS_AT + slot * BF_SLOT_SIZE;

            __atomic_store_n((uint32_t *) at, 1, __ATOMIC_RELEASE);
            memcpy(at + 8, &request.unique, 8);
            if (send(requests, &request, sizeof(request), 0) != sizeof(request)) {
                case_fail("a request cannot be sent");
            }
        }
        for (int i = 0; i < SLOTS; i++) {
            ssize_t got = recv(kernel, buffer, sizeof(buffer), 0);
            uint64_t at;

            memcpy(&header, buffer, sizeof(header));
            at = offsets[(header.unique - 1) % SLOTS];
            if (got != (ssize_t) header.len || header.error != 0
                || (sound && memcmp(buffer + sizeof(header), expected + at, got - sizeof(header)))) {
                case_fail("an answer has other bytes");
            }
        }
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            uint32_t *state = (uint32_t *) (table + BF_SLOTS_AT + slot * BF_SLOT_SIZE);

            while (__atomic_load_n(state, __ATOMIC_ACQUIRE) != BF_SLOT_ANSWERED) {
                sched_yield();
            }
        }
    }
}

static bf_context *
new_context(const uint32_t *taken, uint32_t width)
{
    bf_context *context = calloc(1, sizeof(*context));
    bf_error err;

    for (uint32_t a = 0; a < engine.num_arrays; a++) {
        context->rows[a] = calloc(1, sizeof(bf_rows));
        context->bound[a] = -1;
        context->sources[a] = calloc(MAX_CHUNKS, sizeof(bf_source *));
        if (bf_rows_init(context->rows[a], arrays[a].chunk_rows, width, ploidies[a],
                arrays[a].num_chunks, taken, NULL, &err)
            != BF_OK) {
            case_fail("rows are refused");
        }
        context->rows[a]->cache = engine.cache;
        context->rows[a]->owner = a;
    }
    return context;
}

static void
set_up(char **argv)
{
    static uint32_t columns[MAX_CHUNKS], taken[MAX_CHUNKS];
    uint64_t samples = number(argv[3]), rows = number(argv[5]), width = number(argv[6]);
    uint32_t num_chunks = 0;
    bf_error err;

    for (uint64_t at = 0; at < samples; at += width) {
        columns[num_chunks] = num_chunks;
        taken[num_chunks++] = (uint32_t) (samples - at < width ? samples - at : width);
    }
    ploidies[0] = (uint32_t) number(argv[4]);
    given = (int) number(argv[12]);
    changes = (int) number(argv[14]);
    may_fail = changes || (given && number(argv[7]) < 1 << 20);
    for (int a = 0; a < BF_MAX_ARRAYS; a++) {
        arrays[a].chunk_rows = (uint32_t) rows;
        arrays[a].num_chunks = num_chunks;
        arrays[a].columns = columns;
        arrays[a].kind.raw_size = rows * width * ploidies[a];
        arrays[a].local = !given;
        arrays[a].prefix = a == 0 ? "" : "p";
        arrays[a].separator = ".";
        arrays[a].tail = "";
    }
    engine.folder = open(argv[1], O_RDONLY | O_DIRECTORY);
    engine.arrays = arrays;
    engine.num_arrays = file_made.kind.phased ? 2 : 1;
    engine.files = &file_made.file;
    engine.num_files = 1;
    engine.ahead_bytes = 500;
    engine.cache = bf_cache_new(number(argv[7]));
    engine.open_files = bf_cache_new(8 * BF_OPEN_FILE);
    if (bf_engine_init(&engine, &err) != BF_OK) {
        case_fail("there is no engine");
    }
    for (int i = 0; i < THREADS - 1; i++) {
        bf_context *context = new_context(taken, (uint32_t) width);

        context->next = engine.contexts;
        engine.contexts = context;
    }
}

static void
tear_down(void)
{
    bf_context *context;

    while ((context = engine.contexts) != NULL) {
        engine.contexts = context->next;
        for (uint32_t a = 0; a < engine.num_arrays; a++) {
            bf_rows_free(context->rows[a]);
            free(context->rows[a]);
            free(context->sources[a]);
        }
        free(context->out);
        free(context->blocks);
        free(context);
    }
    bf_cache_free(engine.cache);
    bf_cache_free(engine.open_files);
    bf_engine_free(&engine);
}

static uint8_t *
read_file(const char *path, uint64_t *length)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        case_fail("there is no such file");
    }
    *length = (uint64_t) ftell(file);
    rewind(file);
    bytes = malloc(*length);
    if (fread(bytes, 1, *length, file) != *length) {
        case_fail("the file is cut short");
    }
    fclose(file);
    return bytes;
}

static uint8_t *
read_inside(const char *name)
{
    char path[BF_MAX_PATH];
    uint64_t bytes;

    (void) snprintf(path, sizeof(path), "%s/%s", folder_name, name);
    return read_file(path, &bytes);
}

/* Make the file's bytes without an engine, and leave them in the folder too. Returns them. */
static uint8_t *
make_expected(char **argv)
{
    case_file_kind kind = { .format = (case_format) number(argv[9]),
        .width = (unsigned) number(argv[10]),
        .framed = (int) number(argv[11]),
        .split = (int) number(argv[13]),
        .phased = (int) number(argv[15]),
        .variants = (uint32_t) number(argv[2]),
        .samples = (uint32_t) number(argv[3]),
        .ploidy = (uint32_t) number(argv[4]) };
    uint8_t *alleles = read_inside("alleles"), *phased = kind.phased ? read_inside("phased") : NULL;
    uint8_t *bytes;
    char path[BF_MAX_PATH];
    FILE *file;

    case_file_init(&file_made, &kind);
    bytes = case_file_bytes(&file_made, (int8_t *) alleles, (int8_t *) phased, &size);
    (void) snprintf(path, sizeof(path), "%s/made", folder_name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        case_fail("the file cannot be written");
    }
    free(phased);
    free(alleles);
    return bytes;
}

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS], looker;
    int requests[2], kernel[2];
    uint8_t *made, *table = calloc(1, BF_SLOTS_AT + SLOTS * BF_SLOT_SIZE);

    if (argc != ARGUMENTS) {
        return 2;
    }
    sound = (int) number(argv[8]);
    folder_name = argv[1];
    expected = made = make_expected(argv);
    set_up(argv);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, requests) != 0
        || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, kernel) != 0) {
        case_fail("there are no sockets");
    }
    door = (bf_door){ requests[1], kernel[1], table, BF_SLOTS_AT + SLOTS * BF_SLOT_SIZE };
    engine.counters = (uint64_t *) table;
    for (uintptr_t t = 0; t < THREADS; t++) {
        pthread_create(&threads[t], NULL, t % 2 ? answer : read_parts, (void *) (t + 1));
    }
    pthread_create(&looker, NULL, look, NULL);
    ask(requests[0], kernel[0], table);
    close(requests[0]);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
    __atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
    pthread_join(looker, NULL);
    tear_down();
    case_file_free(&file_made);
    free(made);
    free(table);
    puts("done");
    return 0;
}
