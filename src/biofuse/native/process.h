/* A process that ends with the one that has started it. */
#ifndef BF_PROCESS_H
#define BF_PROCESS_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Have the kernel kill this process when its parent ends; end now if that has ended. */
static inline int bf_die_with(int parent)
{
    int status = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (getppid() != parent) {
        _exit(1);
    }
    return status;
}

#endif
