#define _GNU_SOURCE
#include "answer.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Offsets in a slot. */
enum { SLOT_STATE = 0, SLOT_UNIQUE = 8, SLOT_ANSWERED_NS = 40, SLOT_BYTES = 56 };

bf_arrival
bf_door_receive(const bf_door *self, int wait, bf_request *request)
{
    for (;;) {
        /* The size of the message, which may be larger. */
        ssize_t got
            = recv(self->socket, request, sizeof(*request), MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT));

        if (got == (ssize_t) sizeof(*request)) {
            return BF_DOOR_REQUEST;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return BF_DOOR_NOTHING;
        }
        return BF_DOOR_END;
    }
}

static void
mark(const bf_door *self, const bf_request *request, uint64_t bytes)
{
    uint64_t at = BF_SLOTS_AT + (uint64_t) request->slot * BF_SLOT_SIZE, unique, now;
    uint32_t size = (uint32_t) bytes;
    struct timespec time;
    uint8_t *slot;

    if (at + BF_SLOT_SIZE > self->table_size) {
        return;
    }
    slot = self->table + at;
    memcpy(&unique, slot + SLOT_UNIQUE, sizeof(unique));
    if (unique != request->unique) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &time);
    now = (uint64_t) time.tv_sec * 1000000000u + (uint64_t) time.tv_nsec;
    memcpy(slot + SLOT_ANSWERED_NS, &now, sizeof(now));
    memcpy(slot + SLOT_BYTES, &size, sizeof(size));
    __atomic_store_n((uint32_t *) (slot + SLOT_STATE), BF_SLOT_ANSWERED, __ATOMIC_RELEASE);
}

int
bf_door_answer(const bf_door *self, const bf_request *request, struct iovec *iov, int num_iov)
{
    struct fuse_out_header header = { .unique = request->unique };
    uint64_t bytes = 0;

    for (int i = 1; i < num_iov; i++) {
        bytes += iov[i].iov_len;
    }
    header.len = (uint32_t) (sizeof(header) + bytes);
    iov[0] = (struct iovec){ &header, sizeof(header) };
    while (writev(self->fuse, iov, num_iov) < 0) {
        if (errno == ENOENT || errno == ENODEV) {
            break;
        }
        if (errno != EINTR) {
            return errno;
        }
    }
    mark(self, request, bytes);
    return 0;
}
