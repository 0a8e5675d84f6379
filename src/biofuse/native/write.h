/* Bytes that are written to files, from where they are. */
#ifndef BF_WRITE_H
#define BF_WRITE_H

#include <stdint.h>
#include <sys/uio.h>

/* Copy the bytes that iov points to, one after another. */
void bf_copy_out(const struct iovec *iov, int num_iov, uint8_t *out);

/* Write all of them to a file, from byte `at` on. Returns 0 or an errno. iov is changed. */
int bf_write_at(int fd, struct iovec *iov, int num_iov, uint64_t at);

#endif
