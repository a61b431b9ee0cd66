/* SPDX-License-Identifier: MIT */
/* Random numbers, and values worth trying: for x registers, for f registers. */
#include "random_insn.h"

u64 random_next(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

u64 random_int(u64 *state)
{
    static const u64 edges[] = {
        0,
        1,
        2,
        31,
        32,
        63,
        64,
        127,
        128,
        255,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffffffff00000000,
        0xffffffff7fffffff,
        0xffffffff80000000,
        0xffffffffffffff80,
        0xfffffffffffffffe,
        0xffffffffffffffff,
        0x5555555555555555,
        0x0123456789abcdef,
    };
    u64 v = random_next(state), how = random_next(state) >> 32;

    switch (how % 6) {
    case 0:
    case 1: return edges[v % ARRAY_SIZE(edges)];
    case 2: return (u64)(i64)(i32)v;
    case 3: return v >> (how >> 8 & 63);
    case 4: return 1ull << (v & 63);
    default: return v;
    }
}

static u64 random_double(u64 v, u64 how)
{
    static const u64 edges[] = {
        0,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x3fe0000000000000,
        0x3ff0000000000000,
        0x3ff0000000000001,
        0x4004000000000000,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x41f0000000000000,
        0x43e0000000000000,
        0x43f0000000000000,
        0x36a0000000000000,
        0x47efffffe0000000,
        0x7fefffffffffffff,
        0x7ff0000000000000,
        0x7ff8000000000000,
        0x7ff0000000000001,
        0x7fe0000000000000,
    };

    if (how & 1)
        return edges[v % ARRAY_SIZE(edges)] | (v & 1ull << 63);
    if (how & 2) /* near 1, so that sums and products stay in range */
        return (v & 0x800fffffffffffff) | (0x3f8ull + (how >> 8 & 15)) << 52;
    return v;
}

static u64 random_single(u64 v, u64 how)
{
    static const u32 edges[] = {
        0,          1,          0x007fffff, 0x00800000, 0x3f000000, 0x3f800000,
        0x3f800001, 0x40200000, 0x4effffff, 0x4f000000, 0x4f800000, 0x5f000000,
        0x5f800000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7f800001, 0x7f000000,
    };
    u32 s = (u32)v;

    if (how & 1)
        s = edges[v % ARRAY_SIZE(edges)] | ((u32)v & 1u << 31);
    else if (how & 2)
        s = (s & 0x807fffff) | (0x78u + (how >> 8 & 15)) << 23;
    return 0xffffffff00000000 | s;
}

static u64 random_half(u64 v, u64 how)
{
    static const u16 edges[] = {0,      1,      0x03ff, 0x0400, 0x3800, 0x3c00, 0x3c01,
                                0x4100, 0x77ff, 0x7800, 0x7bff, 0x7c00, 0x7e00, 0x7c01};
    u16 h = (u16)v;

    if (how & 1)
        h = edges[v % ARRAY_SIZE(edges)] | (u16)(v >> 32 & 1u << 15);
    return 0xffffffffffff0000 | h;
}

u64 random_float(u64 *state)
{
    u64 v = random_next(state), how = random_next(state) >> 32;

    if (how % 7 == 3)
        return random_half(v, how >> 4);
    return how % 7 < 3 ? random_single(v, how >> 4) : random_double(v, how >> 4);
}
