/* SPDX-License-Identifier: MIT */
/* A guest that is nothing but registers and two helpers, and random values for it. */
#ifndef TESSERA_FAKE_GUEST_H
#define TESSERA_FAKE_GUEST_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include "../microops/microops.h"

enum {
    INTS = 12,  /* globals 0.. */
    FLOATS = 6, /* globals INTS.. */
};

static u64 help_mix(Env *env, u64 a, u64 b, u64 c) { return a * 3 + b; }

static u64 help_poke(Env *env, u64 a, u64 b, u64 c)
{
    env->g[a % INTS] += 7;
    return 0;
}

static const HelperDesc helpers[] = {
    {"mix", help_mix, 2, true},
    {"poke", help_poke, 1, false},
};

static u64 state = 0x9e3779b97f4a7c15; /* of random64 */

static GuestRegs guest = {.name = "test", .helpers = helpers, .n_helpers = 2};

static inline void set_up(void)
{
    const char *seed = getenv("SEED");

    state ^= seed ? strtoull(seed, NULL, 0) * 0x100000001 : 0;
    for (u32 i = 0; i < INTS + FLOATS; i++) {
        GlobalDesc *g = &guest.globals[i];

        snprintf(g->name, sizeof(g->name), "%c%u", i < INTS ? 'r' : 'f', i % 100);
        g->cls = i < INTS ? CLS_R : CLS_F;
        g->host = i % 3 == 2 ? HOST_NONE : (u8)i;
    }
}

static inline Ir *new_ir(void)
{
    Ir *ir = ir_new();

    cr_assert_not_null(ir);
    ir_reset(ir, (const struct Guest *)&guest);
    return ir;
}

static u64 random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static u32 below(u32 n) { return (u32)(random64() >> 32) % n; }

static inline u64 random_int(void)
{
    static const u64 edges[] = {0,
                                1,
                                2,
                                31,
                                32,
                                63,
                                0xff,
                                0xffff,
                                0x7fffffff,
                                0x80000000,
                                0xffffffff,
                                0x100000000,
                                ~0ull,
                                ~1ull,
                                1ull << 63,
                                (1ull << 63) - 1,
                                0xffffffff80000000};

    switch (below(4)) {
    case 0: return random64();
    case 1: return (u64)(i64)(i32)random64();
    case 2: return below(100);
    default: return edges[below(ARRAY_SIZE(edges))];
    }
}

static inline u64 random_float(void)
{
    static const u64 edges[] = {0,
                                0x8000000000000000,
                                0x3ff0000000000000,
                                0x7ff0000000000000,
                                0xfff0000000000000,
                                0x7ff8000000000000,
                                0xfff8000000000000,
                                0x7ff0000000000001,
                                0xffffffff7fc00000,
                                0xffffffff7f800001,
                                0xffffffff3f800000,
                                0xffffffff00000000,
                                0x000000007fc00000};

    switch (below(3)) {
    case 0: return random64();
    case 1: return 0xffffffff00000000 | random64();
    default: return edges[below(ARRAY_SIZE(edges))];
    }
}

#endif
