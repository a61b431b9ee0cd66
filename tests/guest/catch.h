/* SPDX-License-Identifier: MIT */
/* What the tests of signals share: a handler that notes what it sees, and children that
 * check. */
#ifndef GUEST_CATCH_H
#define GUEST_CATCH_H

#include <signal.h>
#include <unistd.h>
#include "check.h"

static volatile int count;
static volatile siginfo_t seen;

static inline void on_info(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    memcpy((void *)&seen, info, sizeof *info);
    count++;
}

static inline void catch (int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction act = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};

    CHECK_EQ(sigaction(sig, &act, NULL), 0);
}

static inline void forget(void)
{
    count = 0;
    memset((void *)&seen, 0, sizeof seen);
}

static inline void change(int how, int sig)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK_EQ(sigprocmask(how, &set, NULL), 0);
}

/* Its exit status says of its own checks. */
static inline pid_t checking_child(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        check_failed = 0;
    return pid;
}

#endif
