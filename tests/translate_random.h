/* SPDX-License-Identifier: MIT */
/* Numbers that are the same in every run. */
#ifndef TESSERA_TRANSLATE_RANDOM_H
#define TESSERA_TRANSLATE_RANDOM_H

#include "../microops/base.h"

static u64 random_state = 1;

static inline u64 random64(void) /* xorshift */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1d;
}

#endif
