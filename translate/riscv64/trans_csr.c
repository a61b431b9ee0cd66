/* SPDX-License-Identifier: MIT */
/*
 * Zicsr.  The key says which mode code runs in and whether floating point is on, so
 * what an instruction may do to which CSR is known when it is translated.
 */
#include "riscv64.h"

/* ---- a program's: floating point and counters ---- */

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

/* ---- a whole system's ---- */

/* Is it used as in a program? */
static bool csr_plain(const Dis *d, u32 csr)
{
    return !(d->key.flags & KEY_SYSTEM) || csr_writable(csr);
}

static bool csr_off(const Dis *d, u32 csr)
{
    return csr_writable(csr) && d->key.flags & KEY_FS_OFF;
}

/* The low bits of sstatus and mstatus enable interrupts; nothing waits for one that is
 * disabled. */
static bool csr_disables(u32 csr, u32 how, Val source)
{
    return (csr == CSR_SSTATUS || csr == CSR_MSTATUS) && (how & CSR_HOW) == CSR_CLEAR &&
           val_is_const(source);
}

static bool csr_any(Dis *d, const Arg *a, u32 how, Val source)
{
    Val old = x_out(d, a->rd);
    CsrUse use;

    how |= a->rd || how != CSR_SWAP ? CSR_READS : 0;
    how |= a->rs1 || (how & CSR_HOW) == CSR_SWAP ? CSR_WRITES : 0;
    if (!csr_find((u32)a->imm, d->key.flags >> KEY_PRIV_SHIFT & 3, how, &use))
        return false;
    gen_call(d->ir, old, ir_const(d->ir, use.what), source, ir_const(d->ir, how),
             use.is_word ? HELPER_csr_word : HELPER_csr);
    if (use.ends && !csr_disables((u32)a->imm, how, source))
        dis_end(d);
    return true;
}

/* ---- instructions ---- */

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

TRANS(csrrw, csr_swap(d, a, x_in(d, a->rs1)))
TRANS(csrrwi, csr_swap(d, a, zimm(d, a)))
TRANS(csrrs, csr_change(d, a, OP_or, x_in(d, a->rs1)))
TRANS(csrrsi, csr_change(d, a, OP_or, zimm(d, a)))
TRANS(csrrc, csr_change(d, a, OP_andn, x_in(d, a->rs1)))
TRANS(csrrci, csr_change(d, a, OP_andn, zimm(d, a)))
