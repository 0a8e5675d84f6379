/* A process that ends with the one that has started it, and may do little. */
#ifndef BF_PROCESS_H
#define BF_PROCESS_H

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock, of Linux 5.13, in terms of its own: systems to build on have no header of it.
   Documentation/userspace-api/landlock.rst of the kernel. */
#define BF_LANDLOCK_CREATE_RULESET 444
#define BF_LANDLOCK_RESTRICT_SELF 446
#define BF_LANDLOCK_VERSION 1
#define BF_LANDLOCK_EXECUTE ((uint64_t)1 << 0)
#define BF_LANDLOCK_WRITE_FILE ((uint64_t)1 << 1)
/* Removing and making what a directory has, of any kind: rights 4 to 12. */
#define BF_LANDLOCK_CHANGE_DIR ((uint64_t)0x1FF << 4)
/* Of the second and the third version. */
#define BF_LANDLOCK_REFER ((uint64_t)1 << 13)
#define BF_LANDLOCK_TRUNCATE ((uint64_t)1 << 14)

/* Have the kernel kill this process when its parent ends; end now if that has ended. */
static inline int bf_die_with(int parent)
{
    int status = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (getppid() != parent) {
        _exit(1);
    }
    return status;
}

/* Have this thread, and those that it starts, gain no right by a program that they run. */
static inline int bf_gain_no_rights(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Have this thread, and those that it starts, open no file for writing, make and remove none,
   and run no program; and gain no right by any. What is open stays as it is. Returns what kept
   the kernel from it: nothing (0), or that it has no Landlock, or not here (1). */
static inline int bf_confine(void)
{
    uint64_t rights = BF_LANDLOCK_EXECUTE | BF_LANDLOCK_WRITE_FILE | BF_LANDLOCK_CHANGE_DIR;
    long version, ruleset;
    int refused;

    bf_gain_no_rights();
    version = syscall(BF_LANDLOCK_CREATE_RULESET, NULL, 0, BF_LANDLOCK_VERSION);
    if (version < 1) {
        return 1;
    }
    rights |= version >= 2 ? BF_LANDLOCK_REFER : 0;
    rights |= version >= 3 ? BF_LANDLOCK_TRUNCATE : 0;
    ruleset = syscall(BF_LANDLOCK_CREATE_RULESET, &rights, sizeof rights, 0);
    if (ruleset < 0) {
        return 1;
    }
    refused = syscall(BF_LANDLOCK_RESTRICT_SELF, (int)ruleset, 0) != 0;
    close((int)ruleset);
    return refused;
}

#endif
