/* SPDX-License-Identifier: MIT */
/* Takeuchi's function: recursion with three arguments and calls in each of them. */
#include "kernel.h"

const u64 kernel_rounds = 3200;

static NOINLINE i64 tak(i64 x, i64 y, i64 z)
{
    if (y >= x)
        return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++)
        sum = checksum(sum, (u64)tak(18 + (i64)(i & 1), 12, 6));
    return sum;
}
