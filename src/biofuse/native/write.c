#define _GNU_SOURCE
#include "write.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

void
bf_copy_out(const struct iovec *iov, int num_iov, uint8_t *out)
{
    for (int i = 0; i < num_iov; i++) {
        memcpy(out, iov[i].iov_base, iov[i].iov_len);
        out += iov[i].iov_len;
    }
}

int
bf_write_at(int fd, struct iovec *iov, int num_iov, uint64_t at)
{
    while (num_iov > 0) {
        ssize_t done;

        if (iov->iov_len == 0) {
            iov++;
            num_iov--;
            continue;
        }
        done = pwritev(fd, iov, num_iov, (off_t) at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? errno : EIO;
        }
        at += (uint64_t) done;
        while (num_iov > 0 && (size_t) done >= iov->iov_len) {
            done -= (ssize_t) iov->iov_len;
            iov++;
            num_iov--;
        }
        if (num_iov > 0) {
            iov->iov_base = (uint8_t *) iov->iov_base + done;
            iov->iov_len -= (size_t) done;
        }
    }
    return 0;
}
