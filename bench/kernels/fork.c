/* SPDX-License-Identifier: MIT */
/* fork, a child that exits at once, wait. */
#include "kernel.h"
#include <sys/wait.h>
#include <unistd.h>

const u64 kernel_rounds = 1000;

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        int status = 0;
        pid_t child = fork();

        if (child == 0)
            _exit((int)(i & 0x7f));
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 0;
        sum = checksum(sum, (u64)WEXITSTATUS(status));
    }
    return sum;
}
