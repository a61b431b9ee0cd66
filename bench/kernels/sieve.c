/* SPDX-License-Identifier: MIT */
/* The sieve of Eratosthenes over a byte array that fits the second-level cache. */
#include "kernel.h"

const u64 kernel_rounds = 130;

enum { LIMIT = 1000000 };
static u8 composite[LIMIT];

static NOINLINE u64 count_primes(void)
{
    u64 count = 0;

    memset(composite, 0, sizeof(composite));
    for (u32 i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        count++;
        for (u64 j = (u64)i * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
    return count;
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++)
        sum = checksum(sum, count_primes());
    return sum;
}
