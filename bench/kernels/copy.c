/* SPDX-License-Identifier: MIT */
/* Blocks of memory copied a word at a time, forwards and from an odd distance. */
#include "kernel.h"

const u64 kernel_rounds = 21000;

enum { WORDS = 32 * 1024 };
static u64 first[WORDS + 8], second[WORDS + 8];

static NOINLINE void copy_words(u64 *to, const u64 *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 13, sum = 0;

    for (size_t i = 0; i < WORDS; i++)
        first[i] = next_random(&seed);
    for (u64 i = 0; i < rounds; i++) {
        copy_words(second + (i & 7), first, WORDS);
        copy_words(first, second + (i & 3), WORDS);
    }
    for (size_t i = 0; i < WORDS; i += 13)
        sum = checksum(sum, first[i]);
    return sum;
}
