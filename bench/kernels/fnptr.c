/* SPDX-License-Identifier: MIT */
/* Calls through a table of functions, chosen by data. */
#include "kernel.h"

const u64 kernel_rounds = 11000;

typedef u64 Operation(u64 a, u64 b);

static NOINLINE u64 do_add(u64 a, u64 b) { return a + b; }
static NOINLINE u64 do_sub(u64 a, u64 b) { return a - b; }
static NOINLINE u64 do_xor(u64 a, u64 b) { return a ^ b; }
static NOINLINE u64 do_and(u64 a, u64 b) { return (a & b) + 1; }
static NOINLINE u64 do_or(u64 a, u64 b) { return (a | b) - 1; }
static NOINLINE u64 do_shift(u64 a, u64 b) { return a << (b & 7); }
static NOINLINE u64 do_mul(u64 a, u64 b) { return a * (b | 1); }
static NOINLINE u64 do_mix(u64 a, u64 b) { return (a >> 3) + b; }

static Operation *const operations[] = {do_add, do_sub, do_xor,   do_and,
                                        do_or,  do_mul, do_shift, do_mix};

enum { CALLS = 8192 };
static u8 order[CALLS];

/* Runs of the same function, then changes: neither always guessed nor never. */
static void make_order(void)
{
    u64 seed = 9;
    u8 index = 0;

    for (size_t i = 0; i < CALLS; i++) {
        if (i % 4 == 0)
            index = (u8)(next_random(&seed) % ARRAY_SIZE(operations));
        order[i] = index;
    }
}

static NOINLINE u64 call_all(u64 value)
{
    for (size_t i = 0; i < CALLS; i++)
        value = operations[order[i]](value, i);
    return value;
}

u64 kernel_run(u64 rounds)
{
    u64 value = 1;

    make_order();
    for (u64 i = 0; i < rounds; i++)
        value = call_all(value ^ i);
    return value;
}
