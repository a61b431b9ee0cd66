/* SPDX-License-Identifier: MIT */
/*
 * What is not computing: system calls and breakpoints, fences, CSRs, cache blocks.
 */
#include "riscv64.h"

bool trans_illegal(Dis *d, const Arg *a) { return false; }

bool trans_ecall(Dis *d, const Arg *a)
{
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

/* ---- Zicsr ---- */

static void csr_read(Dis *d, Val out, u32 csr)
{
    if (csr == CSR_FFLAGS)
        gen_fget(d->ir, out);
    else
        gen_call(d->ir, out, ir_const(d->ir, csr), VAL_NONE, VAL_NONE, HELPER_csr_read);
}

static void csr_write(Dis *d, u32 csr, Val value)
{
    if (csr == CSR_FFLAGS)
        gen_fset(d->ir, value);
    else
        gen_call(d->ir, VAL_NONE, ir_const(d->ir, csr), value, VAL_NONE,
                 HELPER_csr_write);
}

/* Code depends on the rounding mode. */
static void csr_written(Dis *d, u32 csr)
{
    if (csr == CSR_FRM || csr == CSR_FCSR)
        dis_end(d);
}

/* A whole system's: what is allowed is known when it is run. */
static bool csr_any(Dis *d, const Arg *a, u32 how, Val source)
{
    u32 csr = (u32)a->imm;
    Val old = x_out(d, a->rd);

    how |= a->rd || how != CSR_SWAP ? CSR_READS : 0;
    how |= a->rs1 || (how & CSR_HOW) == CSR_SWAP ? CSR_WRITES : 0;
    gen_call(d->ir, old, ir_const(d->ir, csr), source, ir_const(d->ir, how),
             HELPER_csr);
    if (how & CSR_WRITES && csr_ends_block(csr))
        dis_end(d);
    return true;
}

/* Is it as in user mode, where what is allowed is known now?  A whole system's is when
 * it is one of floating point's. */
static bool csr_plain(const Dis *d, u32 csr)
{
    return !(d->key.flags & KEY_SYSTEM) || csr_writable(csr);
}

static bool csr_off(const Dis *d, u32 csr)
{
    return csr_writable(csr) && d->key.flags & KEY_FS_OFF;
}

/* csr = source, rd = its old value; nothing is read for x0. */
static bool csr_swap(Dis *d, const Arg *a, Val source)
{
    u32 csr = (u32)a->imm;
    Val old = ir_temp(d->ir);

    if (!csr_plain(d, csr))
        return csr_any(d, a, CSR_SWAP, source);
    if (!csr_writable(csr) || csr_off(d, csr))
        return false;
    if (a->rd)
        csr_read(d, old, csr);
    csr_write(d, csr, source);
    if (a->rd)
        gen_mov(d->ir, a->rd, old);
    csr_written(d, csr);
    return true;
}

/* rd = csr, csr = op(csr, source); nothing is written when rs1 (or zimm) is 0. */
static bool csr_change(Dis *d, const Arg *a, OpCode op, Val source)
{
    u32 csr = (u32)a->imm;
    Val old = ir_temp(d->ir), new = ir_temp(d->ir);

    if (!csr_plain(d, csr))
        return csr_any(d, a, op == OP_or ? CSR_SET : CSR_CLEAR, source);
    if (!csr_readable(csr) || (a->rs1 && !csr_writable(csr)) || csr_off(d, csr))
        return false;
    csr_read(d, old, csr);
    if (a->rs1) {
        ir_gen(d->ir, op, new, old, source, VAL_NONE, 0, 0);
        csr_write(d, csr, new);
    }
    if (a->rd)
        gen_mov(d->ir, a->rd, old);
    if (a->rs1)
        csr_written(d, csr);
    return true;
}

static Val zimm(Dis *d, const Arg *a) { return ir_const(d->ir, a->rs1); }

bool trans_csrrw(Dis *d, const Arg *a) { return csr_swap(d, a, x_in(d, a->rs1)); }
bool trans_csrrwi(Dis *d, const Arg *a) { return csr_swap(d, a, zimm(d, a)); }
bool trans_csrrs(Dis *d, const Arg *a)
{
    return csr_change(d, a, OP_or, x_in(d, a->rs1));
}
bool trans_csrrsi(Dis *d, const Arg *a) { return csr_change(d, a, OP_or, zimm(d, a)); }
bool trans_csrrc(Dis *d, const Arg *a)
{
    return csr_change(d, a, OP_andn, x_in(d, a->rs1));
}
bool trans_csrrci(Dis *d, const Arg *a)
{
    return csr_change(d, a, OP_andn, zimm(d, a));
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
