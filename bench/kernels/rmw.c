/* SPDX-License-Identifier: MIT */
/* Random read-modify-write over a table of half a megabyte. */
#include "kernel.h"

const u64 kernel_rounds = 170;

enum { ENTRIES = 64 * 1024 };
static u64 table[ENTRIES];

static NOINLINE u64 update(u64 state, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        state = next_random(&state);
        table[state % ENTRIES] ^= state;
    }
    return state;
}

u64 kernel_run(u64 rounds)
{
    u64 state = 14, sum = 0;

    for (u64 i = 0; i < rounds; i++)
        state = update(state, 1000000);
    for (size_t i = 0; i < ENTRIES; i += 31)
        sum = checksum(sum, table[i]);
    return sum;
}
