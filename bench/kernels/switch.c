/* SPDX-License-Identifier: MIT */
/* A byte to another process and back: two switches and four system calls. */
#include "kernel.h"
#include <sys/wait.h>
#include <unistd.h>

const u64 kernel_rounds = 20000;

static void answer(int in, int out)
{
    u8 byte;

    while (read(in, &byte, 1) == 1) {
        byte++;
        if (write(out, &byte, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

u64 kernel_run(u64 rounds)
{
    int there[2], back[2];
    u64 sum = 0;
    u8 byte = 0;

    if (pipe(there) < 0 || pipe(back) < 0)
        return 0;
    if (fork() == 0) {
        close(there[1]);
        answer(there[0], back[1]);
    }
    for (u64 i = 0; i < rounds; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            return 0;
        sum = checksum(sum, byte);
    }
    close(there[1]);
    wait(NULL);
    return sum;
}
