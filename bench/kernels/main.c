/* SPDX-License-Identifier: MIT */
/*
 * The main program of every kernel: `KERNEL [PERCENT]` does PERCENT of the usual
 * rounds and prints its checksum, the nanoseconds they took and how many they were.
 */
#include "kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static u64 now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

int main(int argc, char **argv)
{
    u64 percent = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
    u64 rounds = kernel_rounds * percent / 100;
    u64 start, end, sum;

    if (rounds == 0)
        rounds = 1;
    start = now_ns();
    sum = kernel_run(rounds);
    end = now_ns();
    printf("%016llx %llu %llu\n", (unsigned long long)sum,
           (unsigned long long)(end - start), (unsigned long long)rounds);
    return 0;
}
