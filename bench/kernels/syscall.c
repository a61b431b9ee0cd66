/* SPDX-License-Identifier: MIT */
/* The cheapest system call there is. */
#include "kernel.h"
#include <sys/syscall.h>
#include <unistd.h>

const u64 kernel_rounds = 1000000;

u64 kernel_run(u64 rounds)
{
    u64 good = 0;

    for (u64 i = 0; i < rounds; i++)
        good += syscall(SYS_getppid) >= 0;
    return good;
}
