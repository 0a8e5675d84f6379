/* Answers to the kernel: requests that serve has routed, taken off a socket, and answered by
 * who makes their bytes.
 *
 * Specification: linux/fuse.h, struct fuse_out_header. A slot of the table that serve and its
 * worker share says which requests are answered. */
#ifndef BF_ANSWER_H
#define BF_ANSWER_H

#include "engine.h"

enum { BF_SLOTS_AT = 4096, BF_SLOT_SIZE = 64, BF_SLOT_ANSWERED = 2 };

/* A request as it comes from serve. */
typedef struct {
    uint32_t slot, file;
    uint64_t unique, offset;
    uint32_t size, spare;
} bf_request;

/* Where answers go. */
typedef struct {
    int socket, fuse;
    uint8_t *table;
    uint64_t table_size;
} bf_door;

typedef enum {
    BF_DOOR_END,     /* serve has closed its end */
    BF_DOOR_NOTHING, /* nothing came for a while */
    BF_DOOR_REQUEST,
} bf_arrival;

/* The next request; wait: whether to wait for it. */
bf_arrival bf_door_receive(const bf_door *self, int wait, bf_request *request);

/* Answer with iov[1] to iov[num_iov - 1]; iov[0] is for the header. Returns 0, or an errno if
 * the kernel does not take the answer; that it was answered before, or has given up on the
 * request, is no error. */
int bf_door_answer(
    const bf_door *self, const bf_request *request, struct iovec *iov, int num_iov);

#endif
