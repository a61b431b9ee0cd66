/* SPDX-License-Identifier: MIT */
/* Fibonacci numbers by double recursion: calls and returns, little else. */
#include "kernel.h"

const u64 kernel_rounds = 130;

static NOINLINE u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++)
        sum = checksum(sum, fib(30 + (i & 1)));
    return sum;
}
