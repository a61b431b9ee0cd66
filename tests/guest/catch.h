/* SPDX-License-Identifier: MIT */
/* What the tests of signals share: a handler that notes what it sees. */
#ifndef GUEST_CATCH_H
#define GUEST_CATCH_H

#include <signal.h>
#include "child.h"

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

#endif
