/* SPDX-License-Identifier: MIT */
/* Bytes counted into buckets, then spread in counting order: loads that feed stores. */
#include "kernel.h"

const u64 kernel_rounds = 1200;

enum { BYTES = 256 * 1024 };
static u8 input[BYTES], output[BYTES];
static u32 counts[256];

static NOINLINE void count_bytes(void)
{
    memset(counts, 0, sizeof(counts));
    for (size_t i = 0; i < BYTES; i++)
        counts[input[i]]++;
}

static NOINLINE void spread_bytes(void)
{
    u32 at = 0;

    for (size_t i = 0; i < 256; i++) {
        u32 count = counts[i];

        counts[i] = at;
        at += count;
    }
    for (size_t i = 0; i < BYTES; i++)
        output[counts[input[i]]++] = (u8)(input[i] ^ i);
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 15, sum = 0;

    for (size_t i = 0; i < BYTES; i++)
        input[i] = (u8)(next_random(&seed) >> 20);
    for (u64 i = 0; i < rounds; i++) {
        input[i * 97 % BYTES]++;
        count_bytes();
        spread_bytes();
        sum = checksum(sum, output[i * 1009 % BYTES]);
    }
    return sum;
}
