/* Fuzz target: the loop that answers, from requests of any numbers to what the kernel is told.
 *
 * Eight bytes choose the store, the budget, the file and its format; each six that follow are a
 * step: a request,
 * a packet that is none, answering, reading ahead, a damaged chunk that is given, or counting.
 * Chunks are given as they are wanted. Answers have the very bytes of the file, as far as no
 * chunk was damaged, and nothing past the table is touched. */
#define _GNU_SOURCE
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "bgzf.h"
#include "case.h"
#include "case_file.h"

enum { HEAD = 8, STEP = 6, MOST_STEPS = 60, MOST_GIFTS = 64 };
enum { WIDTH = 32, MOST_PLOIDY = 2, MOST_CHUNKS = 4, MOST_ROWS = 16, SLOTS = 3, CONTEXTS = 2 };
enum { MOST_FRAME = BF_FRAME_HEADER_SIZE + MOST_ROWS * (4 + 4 + WIDTH * MOST_PLOIDY) };

typedef struct {
    bf_engine engine;
    bf_door door;
    bf_array arrays[BF_MAX_ARRAYS]; /* of calls, and of which of them are phased */
    uint32_t ploidies[BF_MAX_ARRAYS];
    case_file file;
    uint32_t columns[MOST_CHUNKS], taken[MOST_CHUNKS];
    uint8_t *expected;
    uint8_t *table;
    int requests, kernel, is_damaged;
} bench;

static int8_t
allele(const bench *b, uint64_t variant, uint64_t sample, unsigned haplotype)
{
    uint32_t x = (uint32_t) (variant * 2654435761u ^ (sample * 2 + haplotype) * 40503u) >> 7;

    /* Few are missing, or none. */
    if (x % 64 < 2) {
        return x % 64 == 1 && haplotype > 0 ? -2 : -1;
    }
    return (int8_t) (x % case_file_alleles(&b->file.kind));
}

static int8_t
is_phased(uint64_t variant, uint64_t sample)
{
    return variant % 3 > 0 || sample % 5 > 0;
}

static void
put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (x >> 8 * i);
    }
}

/* A chunk's frame, with a block a row that is stored as it is. Returns its size. */
static uint32_t
make_frame(const bench *b, uint8_t *frame, const bf_place *place)
{
    static const uint8_t head[4] = { 2, 1, 0x90, 1 };
    uint32_t rows = b->arrays[place->array].chunk_rows, at = BF_FRAME_HEADER_SIZE + 4 * rows;
    uint32_t ploidy = b->ploidies[place->array], size = WIDTH * ploidy;

    memcpy(frame, head, 4);
    put_u32(frame + 4, rows * size);
    put_u32(frame + 8, size);
    for (uint32_t row = 0; row < rows; row++) {
        uint64_t variant = place->chunk_row * rows + row;

        put_u32(frame + BF_FRAME_HEADER_SIZE + 4 * row, at);
        put_u32(frame + at, size);
        for (uint32_t i = 0; i < size; i++) {
            uint64_t sample = (uint64_t) place->chunk * WIDTH + i / ploidy;

            frame[at + 4 + i] = (uint8_t) (place->array == 0
                    ? allele(b, variant, sample, i % ploidy)
                    : is_phased(variant, sample));
        }
        at += 4 + size;
    }
    put_u32(frame + 12, at);
    return at;
}

static void
give(bench *b, const bf_place *place, const uint8_t *damage)
{
    uint8_t frame[MOST_FRAME], *copy;
    uint32_t size = make_frame(b, frame, place);
    bf_source *source;
    bf_error err;

    if (damage != NULL) {
        frame[(damage[0] | damage[1] << 8) % size] ^= damage[2];
        size -= damage[3] % 8 == 0 ? damage[4] % size : 0;
        b->is_damaged = 1;
    }
    copy = case_copy(frame, size);
    if (bf_source_from_bytes(copy, size, &b->arrays[place->array].kind, &source, &err) == BF_OK) {
        bf_engine_give(&b->engine, place, source);
    } else if (damage == NULL) {
        case_fail("a sound chunk is refused");
    }
    free(copy);
}

static void
check_answer(bench *b, const bf_request *request)
{
    static uint8_t got[sizeof(struct fuse_out_header) + (1 << 17)];
    struct fuse_out_header header;
    const bf_file *file = &b->file.file;
    uint64_t size = file->framed ? bf_bgzf_size(file->size) : file->size, wanted = 0;
    ssize_t length = recv(b->kernel, got, sizeof(got), MSG_DONTWAIT);

    if (request->offset < size) {
        wanted = request->size < size - request->offset ? request->size : size - request->offset;
    }
    memcpy(&header, got, sizeof(header));
    if (length != (ssize_t) (sizeof(header) + wanted) || header.len != length || header.error != 0
        || header.unique != request->unique) {
        case_fail("an answer is of another size, or to another request");
    }
    if (!b->is_damaged && wanted > 0
        && memcmp(got + sizeof(header), b->expected + request->offset, wanted) != 0) {
        case_fail("an answer has other bytes");
    }
}

/* Take a request, and answer it. Returns 0 once the loop would end. */
static int
answer(bench *b)
{
    bf_request request;
    bf_arrival arrival = bf_door_receive(&b->door, 0, &request);

    if (arrival != BF_DOOR_REQUEST) {
        return arrival == BF_DOOR_NOTHING;
    }
    for (int gifts = 0; gifts < MOST_GIFTS; gifts++) {
        bf_context *context = bf_engine_enter(&b->engine, 1);
        bf_place place;
        bf_error err;
        bf_status status = bf_engine_read(&b->engine, context, request.file, request.offset,
            request.size, &place, &err);

        if (status == BF_OK) {
            if (bf_door_answer(&b->door, &request, context->iov, context->num_iov) != 0) {
                case_fail("an answer is not taken");
            }
            check_answer(b, &request);
        }
        bf_engine_end(&b->engine, context);
        bf_engine_leave(&b->engine, context);
        if (status != BF_ERR_READ || place.array < 0) {
            if (status != BF_OK && !b->is_damaged && request.file == 0) {
                case_fail(err.detail != NULL ? err.detail : "a request cannot be answered");
            }
            return 1;
        }
        give(b, &place, NULL);
    }
    /* A budget that holds nothing: whoever asks makes it in another way. */
    return 1;
}

static int
take_step(bench *b, const uint8_t *step)
{
    bf_request request = { .slot = step[5],
        .file = step[1] >= 250,
        .unique = step[5],
        .offset = (step[2] | step[3] << 8) % (b->file.file.size + 9),
        .size = step[4] * 9u };
    bf_place place = { (int) ((step[1] >> 4) % b->engine.num_arrays), step[1] % 3,
        step[2] % b->arrays[0].num_chunks };

    switch (step[0] % 6) {
    case 0:
        if (step[1] % 16 == 0) {
            request.offset = UINT64_MAX - step[2];
            request.size = UINT32_MAX - step[3];
            request.slot = UINT32_MAX - step[4];
        }
        (void) send(b->requests, &request, sizeof(request), MSG_DONTWAIT);
        return 1;
    case 1:
        (void) send(b->requests, step, 1 + step[1] % STEP, MSG_DONTWAIT);
        return 1;
    case 2:
        return answer(b);
    case 3:
        for (int i = 0; i < step[1] % 8 && bf_engine_ahead(&b->engine, &place); i++) {
            if (place.array >= 0) {
                give(b, &place, NULL);
            }
        }
        return 1;
    case 4:
        if (step[5] % 4 == 0) {
            give(b, &place, step);
        }
        return 1;
    default:
        bf_engine_publish(&b->engine);
        (void) bf_engine_has_row(&b->engine, (uint32_t) place.array, step[1] % 4);
        return bf_engine_runs(&b->engine) <= BF_MAX_RUNS;
    }
}

static void
make_expected(bench *b)
{
    const case_file_kind *kind = &b->file.kind;
    uint64_t calls = (uint64_t) kind->variants * kind->samples, size;
    int8_t *alleles = malloc(calls * kind->ploidy), *phased = malloc(calls);

    for (uint64_t i = 0; i < calls; i++) {
        uint64_t variant = i / kind->samples, sample = i % kind->samples;

        phased[i] = is_phased(variant, sample);
        for (unsigned k = 0; k < kind->ploidy; k++) {
            alleles[i * kind->ploidy + k] = allele(b, variant, sample, k);
        }
    }
    b->expected = case_file_bytes(&b->file, alleles, phased, &size);
    free(phased);
    free(alleles);
}

static void
set_up_file(bench *b, const uint8_t *head)
{
    case_file_kind kind = { .format = head[6] % CASE_FORMATS,
        .width = 1 + (head[6] >> 2 & 1),
        .split = head[6] >> 3 & 1,
        .others_missing = head[6] >> 4 & 1,
        .haploid_as_diploid = head[6] >> 5 & 1,
        .ploidy = MOST_PLOIDY - (head[6] >> 6 & 1),
        .framed = head[4] & 1,
        .variants = 1 + head[2] % (3 * b->arrays[0].chunk_rows),
        .samples = WIDTH * b->arrays[0].num_chunks - head[3] % WIDTH };

    /* Others are not told of phase. */
    kind.phased = head[7] & 1 && (kind.format == CASE_BGEN || kind.format == CASE_BCF);
    case_file_init(&b->file, &kind);
}

static void
set_up_context(bench *b)
{
    bf_context *context = calloc(1, sizeof(*context));
    bf_error err;

    for (uint32_t a = 0; a < b->engine.num_arrays; a++) {
        context->rows[a] = calloc(1, sizeof(bf_rows));
        context->bound[a] = -1;
        context->sources[a] = calloc(MOST_CHUNKS, sizeof(bf_source *));
        if (bf_rows_init(context->rows[a], b->arrays[a].chunk_rows, WIDTH, b->ploidies[a],
                b->arrays[a].num_chunks, b->taken, NULL, &err)
            != BF_OK) {
            case_fail("rows are refused");
        }
        context->rows[a]->cache = b->engine.cache;
        context->rows[a]->owner = a;
    }
    context->next = b->engine.contexts;
    b->engine.contexts = context;
}

static void
set_up(bench *b, const uint8_t *head)
{
    static const uint64_t budgets[] = { 0, 700, 3000, 1 << 16 };
    uint32_t num_chunks = 1 + head[1] % MOST_CHUNKS;
    bf_error err;

    for (uint32_t c = 0; c < num_chunks; c++) {
        b->columns[c] = c;
        b->taken[c] = WIDTH;
    }
    b->taken[num_chunks - 1] -= head[3] % WIDTH;
    b->arrays[0].chunk_rows = 1 + head[0] % MOST_ROWS;
    b->arrays[1].chunk_rows = 1 + head[7] / MOST_ROWS;
    b->arrays[0].num_chunks = num_chunks;
    set_up_file(b, head);
    b->ploidies[0] = b->file.kind.ploidy;
    b->ploidies[1] = 1;
    for (int a = 0; a < BF_MAX_ARRAYS; a++) {
        bf_array *array = &b->arrays[a];

        array->num_chunks = num_chunks;
        array->columns = b->columns;
        array->kind.raw_size = (uint64_t) array->chunk_rows * WIDTH * b->ploidies[a];
        array->prefix = array->tail = "";
        array->separator = ".";
    }
    b->engine.folder = -1;
    b->engine.arrays = b->arrays;
    b->engine.num_arrays = b->file.kind.phased ? 2 : 1;
    b->engine.files = &b->file.file;
    b->engine.num_files = 1;
    b->engine.ahead_bytes = head[5] * 4u;
    b->engine.cache = bf_cache_new(budgets[head[4] >> 1 & 3]);
    b->engine.open_files = bf_cache_new(8 * BF_OPEN_FILE);
    b->engine.counters = (uint64_t *) b->table;
    if (bf_engine_init(&b->engine, &err) != BF_OK) {
        case_fail("there is no engine");
    }
    for (int i = 0; i < CONTEXTS; i++) {
        set_up_context(b);
    }
    make_expected(b);
}

static void
tear_down(bench *b)
{
    bf_context *context;

    while ((context = b->engine.contexts) != NULL) {
        b->engine.contexts = context->next;
        for (uint32_t a = 0; a < b->engine.num_arrays; a++) {
            bf_rows_free(context->rows[a]);
            free(context->rows[a]);
            free(context->sources[a]);
        }
        free(context->out);
        free(context->blocks);
        free(context);
    }
    bf_cache_free(b->engine.cache);
    bf_cache_free(b->engine.open_files);
    bf_engine_free(&b->engine);
    case_file_free(&b->file);
    free(b->expected);
    free(b->table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bench b = { 0 };
    int requests[2], kernel[2];

    if (size < HEAD) {
        return 0;
    }
    b.table = calloc(1, BF_SLOTS_AT + SLOTS * BF_SLOT_SIZE);
    set_up(&b, data);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, requests) != 0
        || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, kernel) != 0) {
        case_fail("there are no sockets");
    }
    b.door = (bf_door){ requests[1], kernel[1], b.table, BF_SLOTS_AT + SLOTS * BF_SLOT_SIZE };
    b.requests = requests[0];
    b.kernel = kernel[0];
    for (size_t at = HEAD, steps = 0; at + STEP <= size && steps < MOST_STEPS; at += STEP, steps++) {
        if (!take_step(&b, data + at)) {
            break;
        }
    }
    for (int i = 0; i < 2; i++) {
        close(requests[i]);
        close(kernel[i]);
    }
    tear_down(&b);
    return 0;
}
