/* SPDX-License-Identifier: MIT */
/* A signal raised, handled with its siginfo, and returned from. */
#include "kernel.h"
#include <signal.h>

const u64 kernel_rounds = 100000;

static volatile u64 seen;

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    seen += (u64)number + (info->si_signo == number);
}

u64 kernel_run(u64 rounds)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    for (u64 i = 0; i < rounds; i++)
        raise(SIGUSR1);
    return seen;
}
