/* SPDX-License-Identifier: MIT */
/*
 * What is not computing: system calls and breakpoints, fences, cache blocks.
 */
#include "riscv64.h"

bool trans_illegal(Dis *d, const Arg *a) { return false; }

/* A program's call in a whole system is the guest's own business: no way out to C. */
static bool ecall_inside(Dis *d)
{
    Val pc = ir_temp(d->ir);

    gen_call(d->ir, pc, ir_const(d->ir, (i64)d->pc), VAL_NONE, VAL_NONE, HELPER_ecall);
    dis_jump_to(d, pc);
    return true;
}

bool trans_ecall(Dis *d, const Arg *a)
{
    if (d->key.flags & KEY_SYSTEM && !(d->key.flags >> KEY_PRIV_SHIFT & 3))
        return ecall_inside(d);
    dis_trap(d, TRAP_SYSCALL, d->pc);
    return true;
}

bool trans_ebreak(Dis *d, const Arg *a)
{
    dis_trap(d, TRAP_BREAK, d->pc);
    return true;
}

/* ---- fences: the host orders all but a store and a later load ---- */

enum { FENCE_W = 1, FENCE_R = 2, FENCE_O = 4, FENCE_I = 8 };

bool trans_fence(Dis *d, const Arg *a)
{
    int before = a->imm >> 4, after = a->imm;

    if ((before & (FENCE_W | FENCE_O)) && (after & (FENCE_R | FENCE_I)))
        gen_fence(d->ir, 0);
    return true;
}

bool trans_fence_tso(Dis *d, const Arg *a) { return true; }
bool trans_pause(Dis *d, const Arg *a) { return true; }

bool trans_fence_i(Dis *d, const Arg *a)
{
    dis_trap(d, TRAP_FENCE_I, d->pc + d->len);
    return true;
}

/* ---- cache blocks: the host's caches are coherent, but bad addresses must fault ----
 */

static bool cbo_check(Dis *d, const Arg *a)
{
    gen_ld8u(d->ir, ir_temp(d->ir), x_in(d, a->rs1), 0);
    return true;
}

bool trans_cbo_inval(Dis *d, const Arg *a) { return cbo_check(d, a); }
bool trans_cbo_clean(Dis *d, const Arg *a) { return cbo_check(d, a); }
bool trans_cbo_flush(Dis *d, const Arg *a) { return cbo_check(d, a); }

bool trans_cbo_zero(Dis *d, const Arg *a)
{
    Val block = ir_temp(d->ir), zero = ir_const(d->ir, 0);

    gen_and(d->ir, block, x_in(d, a->rs1), ir_const(d->ir, -CACHE_BLOCK));
    for (int at = 0; at < CACHE_BLOCK; at += 8)
        gen_st64(d->ir, block, zero, at);
    return true;
}

bool trans_prefetch_i(Dis *d, const Arg *a) { return true; }
bool trans_prefetch_r(Dis *d, const Arg *a) { return true; }
bool trans_prefetch_w(Dis *d, const Arg *a) { return true; }
