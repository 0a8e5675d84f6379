/* Threads that read a file through one engine, for the sanitizers.
 *
 * usage: engine_threads FOLDER VARIANTS SAMPLES PLOIDY CHUNK_ROWS CHUNK_SAMPLES BUDGET SOUND BED
 *     STREAM GIVEN SPLIT CHANGES
 *
 * The folder has chunks called ROW.COLUMN. BED has the bytes that the .bed is to have; if STREAM
 * is not 0, the .bed is a stream of so many bytes, and BED the file that frames it. Half of
 * the threads read any parts of it; the others take requests off a socket and answer them, as
 * a worker does, and one more looks at counts. If GIVEN is 1 chunks are not files to the engine, and
 * who finds that one is wanted gives it; if SPLIT is 1 records go by the encoder of split sites.
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
#include "bgzf.h"
#include "case.h"
#include "plink1.h"
#include "split.h"

enum { MOST_GIFTS = 200, MOST_RECORDS = 4096 };
enum { THREADS = 4, TURNS = 400, SLOTS = 64, MAX_CHUNKS = 64 };

static bf_engine engine;
static bf_door door;
static const uint8_t *expected;
static uint64_t size;
static int sound, given, ended;
static int changes;
static int may_fail; /* given chunks may be gone before they are read, or files be changed */
static const char *folder_name;
static bf_array array;

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

    (void) snprintf(path, sizeof(path), "%s/%d.%d", folder_name, (int) place->chunk_row,
        (int) array.columns[place->chunk]);
    frame = read_file(path, &bytes);
    status = bf_source_from_bytes(frame, bytes, &array.kind, &source, &err);
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

static void
set_up(char **argv, const uint8_t *magic)
{
    static bf_split_alt alts[MOST_RECORDS];
    static bf_split split;
    static bf_file file;
    static uint32_t columns[MAX_CHUNKS], taken[MAX_CHUNKS];
    uint64_t variants = number(argv[2]), samples = number(argv[3]), ploidy = number(argv[4]);
    uint64_t rows = number(argv[5]), width = number(argv[6]);
    bf_error err;

    for (uint64_t at = 0; at < samples; at += width) {
        columns[array.num_chunks] = array.num_chunks;
        taken[array.num_chunks++] = (uint32_t) (samples - at < width ? samples - at : width);
    }
    array.chunk_rows = (uint32_t) rows;
    array.columns = columns;
    array.kind.raw_size = rows * width * ploidy;
    given = (int) number(argv[11]);
    folder_name = argv[1];
    changes = (int) number(argv[13]);
    may_fail = changes || (given && number(argv[7]) < 1 << 20);
    array.local = !given;
    array.prefix = array.tail = "";
    array.separator = ".";
    /* Of a file that frames it, the stream begins behind what a block begins with. */
    file.framed = number(argv[10]) > 0;
    file.header = magic + (file.framed ? BF_BGZF_HEAD : 0);
    file.header_size = 3;
    file.record_size = (samples + 3) / 4;
    file.records = variants;
    file.size = file.framed ? number(argv[10]) : size;
    file.encode = bf_plink1_encode;
    file.phased = -1;
    if (number(argv[12])) {
        for (uint64_t i = 0; i < MOST_RECORDS; i++) {
            /* Of as many alleles as there may be. */
            alts[i] = (bf_split_alt){ 1, 128 };
        }
        split = (bf_split){ alts, variants, 1, bf_plink1_encode, NULL };
        file.encode = bf_split_encode;
        file.encoder = &split;
    }
    engine.folder = open(argv[1], O_RDONLY | O_DIRECTORY);
    engine.arrays = &array;
    engine.num_arrays = 1;
    engine.files = &file;
    engine.num_files = 1;
    engine.ahead_bytes = 500;
    engine.cache = bf_cache_new(number(argv[7]));
    engine.open_files = bf_cache_new(8 * BF_OPEN_FILE);
    if (bf_engine_init(&engine, &err) != BF_OK) {
        case_fail("there is no engine");
    }
    for (int i = 0; i < THREADS - 1; i++) {
        bf_context *context = calloc(1, sizeof(*context));

        context->rows[0] = calloc(1, sizeof(bf_rows));
        context->bound[0] = -1;
        context->sources[0] = calloc(MAX_CHUNKS, sizeof(bf_source *));
        if (bf_rows_init(context->rows[0], array.chunk_rows, (uint32_t) width, (uint32_t) ploidy,
                array.num_chunks, taken, NULL, &err)
            != BF_OK) {
            case_fail("rows are refused");
        }
        context->rows[0]->cache = engine.cache;
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
        bf_rows_free(context->rows[0]);
        free(context->rows[0]);
        free(context->sources[0]);
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

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS], looker;
    int requests[2], kernel[2];
    uint8_t *bed, *table = calloc(1, BF_SLOTS_AT + SLOTS * BF_SLOT_SIZE);

    if (argc != 14) {
        return 2;
    }
    sound = (int) number(argv[8]);
    expected = bed = read_file(argv[9], &size);
    set_up(argv, bed);
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
    free(bed);
    free(table);
    puts("done");
    return 0;
}
