/* SPDX-License-Identifier: MIT */
/* Read-modify-write at scattered places of a table that the nearest cache holds. */
#include "kernel.h"

const u64 kernel_rounds = 650;

enum { INDEX_BITS = 12, UPDATES = 1000000 };
static u64 table[1 << INDEX_BITS];

static NOINLINE void update(u64 key, size_t count)
{
    for (; count > 0; count--, key++) {
        u64 hash = key * 0x9e3779b97f4a7c15;

        table[hash >> (64 - INDEX_BITS)] ^= hash;
    }
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++)
        update(i * i * 12345, UPDATES);
    for (size_t i = 0; i < ARRAY_SIZE(table); i += 31)
        sum = checksum(sum, table[i]);
    return sum;
}
