/* Fuzz target: the loop that answers, from requests of any numbers to what the kernel is told.
 *
 * Six bytes choose the store, the file and the budget; each six that follow are a step: a request,
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
#include "plink1.h"

enum { HEAD = 6, STEP = 6, MOST_STEPS = 60, MOST_GIFTS = 64 };
enum { WIDTH = 32, PLOIDY = 2, ROW = WIDTH * PLOIDY, MOST_CHUNKS = 4, MOST_ROWS = 16, SLOTS = 3 };
enum { MOST_FRAME = BF_FRAME_HEADER_SIZE + MOST_ROWS * (4 + 4 + ROW), HEADER = 3 };

typedef struct {
    bf_engine engine;
    bf_door door;
    bf_array array;
    bf_file file;
    uint32_t columns[MOST_CHUNKS], taken[MOST_CHUNKS];
    uint64_t variants, samples;
    uint8_t *expected;
    uint8_t *table;
    int requests, kernel, is_damaged;
} bench;

static const uint8_t magic[HEADER] = { 0x6c, 0x1b, 0x01 };

static unsigned
allele(uint64_t variant, uint64_t sample, unsigned haplotype)
{
    return (uint32_t) (variant * 2654435761u ^ (sample * 2 + haplotype) * 40503u) >> 7 & 1;
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
make_frame(const bench *b, uint8_t *frame, uint64_t chunk_row, uint32_t chunk)
{
    static const uint8_t head[4] = { 2, 1, 0x90, 1 };
    uint32_t rows = b->array.chunk_rows, at = BF_FRAME_HEADER_SIZE + 4 * rows;

    memcpy(frame, head, 4);
    put_u32(frame + 4, rows * ROW);
    put_u32(frame + 8, ROW);
    for (uint32_t row = 0; row < rows; row++) {
        put_u32(frame + BF_FRAME_HEADER_SIZE + 4 * row, at);
        put_u32(frame + at, ROW);
        for (uint32_t i = 0; i < ROW; i++) {
            frame[at + 4 + i] = (uint8_t) allele(chunk_row * rows + row,
                (uint64_t) chunk * WIDTH + i / PLOIDY, i % PLOIDY);
        }
        at += 4 + ROW;
    }
    put_u32(frame + 12, at);
    return at;
}

static void
give(bench *b, const bf_place *place, const uint8_t *damage)
{
    uint8_t frame[MOST_FRAME], *copy;
    uint32_t size = make_frame(b, frame, place->chunk_row, place->chunk);
    bf_source *source;
    bf_error err;

    if (damage != NULL) {
        frame[(damage[0] | damage[1] << 8) % size] ^= damage[2];
        size -= damage[3] % 8 == 0 ? damage[4] % size : 0;
        b->is_damaged = 1;
    }
    copy = case_copy(frame, size);
    if (bf_source_from_bytes(copy, size, &b->array.kind, &source, &err) == BF_OK) {
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
    uint64_t size = b->file.framed ? bf_bgzf_size(b->file.size) : b->file.size, wanted = 0;
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
        .offset = (step[2] | step[3] << 8) % (b->file.size + 9),
        .size = step[4] * 9u };
    bf_place place = { 0, step[1] % 3, step[2] % b->array.num_chunks };

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
        (void) bf_engine_has_row(&b->engine, 0, step[1] % 4);
        return bf_engine_runs(&b->engine) <= BF_MAX_RUNS;
    }
}

static void
make_expected(bench *b)
{
    uint64_t width = (b->samples + 3) / 4;
    uint8_t *out = calloc(1, bf_bgzf_size(b->file.size)), *stream = out;

    stream += b->file.framed ? BF_BGZF_HEAD : 0;
    memcpy(stream, magic, HEADER);
    for (uint64_t v = 0; v < b->variants; v++) {
        for (uint64_t s = 0; s < b->samples; s++) {
            static const uint8_t code[3] = { 3, 2, 0 };

            stream[HEADER + v * width + s / 4]
                |= (uint8_t) (code[allele(v, s, 0) + allele(v, s, 1)] << 2 * (s % 4));
        }
    }
    if (b->file.framed) {
        /* The stream is of less than a block. */
        bf_bgzf_close(out, (uint32_t) b->file.size);
        memcpy(out + b->file.size + BF_BGZF_AROUND, bf_bgzf_end, BF_BGZF_END);
    }
    b->expected = out;
}

static void
set_up(bench *b, const uint8_t *head)
{
    static const uint64_t budgets[] = { 0, 700, 3000, 1 << 16 };
    bf_error err;

    b->array.chunk_rows = 1 + head[0] % MOST_ROWS;
    b->array.num_chunks = 1 + head[1] % MOST_CHUNKS;
    b->variants = 1 + head[2] % (3 * b->array.chunk_rows);
    b->samples = (uint64_t) WIDTH * b->array.num_chunks - head[3] % WIDTH;
    for (uint32_t c = 0; c < b->array.num_chunks; c++) {
        b->columns[c] = c;
        b->taken[c] = WIDTH;
    }
    b->taken[b->array.num_chunks - 1] -= head[3] % WIDTH;
    b->array.columns = b->columns;
    b->array.kind.raw_size = (uint64_t) b->array.chunk_rows * ROW;
    b->array.prefix = b->array.tail = "";
    b->array.separator = ".";
    b->file.framed = head[4] & 1;
    b->file.header = magic;
    b->file.header_size = HEADER;
    b->file.record_size = (b->samples + 3) / 4;
    b->file.records = b->variants;
    b->file.size = HEADER + b->variants * b->file.record_size;
    b->file.encode = bf_plink1_encode;
    b->file.phased = -1;
    b->engine.folder = -1;
    b->engine.arrays = &b->array;
    b->engine.num_arrays = 1;
    b->engine.files = &b->file;
    b->engine.num_files = 1;
    b->engine.ahead_bytes = head[5] * 4u;
    b->engine.cache = bf_cache_new(budgets[head[4] >> 1 & 3]);
    b->engine.open_files = bf_cache_new(8 * BF_OPEN_FILE);
    b->engine.counters = (uint64_t *) b->table;
    if (bf_engine_init(&b->engine, &err) != BF_OK) {
        case_fail("there is no engine");
    }
    for (int i = 0; i < 2; i++) {
        bf_context *context = calloc(1, sizeof(*context));

        context->rows[0] = calloc(1, sizeof(bf_rows));
        context->bound[0] = -1;
        context->sources[0] = calloc(MOST_CHUNKS, sizeof(bf_source *));
        if (bf_rows_init(context->rows[0], b->array.chunk_rows, WIDTH, PLOIDY,
                b->array.num_chunks, b->taken, NULL, &err)
            != BF_OK) {
            case_fail("rows are refused");
        }
        context->rows[0]->cache = b->engine.cache;
        context->next = b->engine.contexts;
        b->engine.contexts = context;
    }
    make_expected(b);
}

static void
tear_down(bench *b)
{
    bf_context *context;

    while ((context = b->engine.contexts) != NULL) {
        b->engine.contexts = context->next;
        bf_rows_free(context->rows[0]);
        free(context->rows[0]);
        free(context->sources[0]);
        free(context->out);
        free(context->blocks);
        free(context);
    }
    bf_cache_free(b->engine.cache);
    bf_cache_free(b->engine.open_files);
    bf_engine_free(&b->engine);
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
