/* SPDX-License-Identifier: MIT */
/*
 * Puts off making NaNs canonical.  An op that takes any NaN and whose own result is
 * made canonical need not see canonical operands, so what a trace computes is looked
 * at only where it is used otherwise, two values at a time.  Until then a global is
 * "due".  Nobody can tell: exits and instructions note what is due there, and on the
 * way out, or when an instruction faults, it is made good.
 */
#include "microops.h"

#include <string.h>

enum { PARTNER_WITHIN = 32 }; /* ops */

/* What an op makes of an operand that is any NaN, and not the canonical one. */
enum {
    TAKES_D = 1, /* the same as of the canonical one */
    TAKES_S = 2,
    ARITH = 4, /* but for its result, which must be made canonical */
};

static const u8 takes[OP_COUNT] = {
    [OP_fadd_d] = ARITH | TAKES_D,
    [OP_fadd_s] = ARITH | TAKES_S,
    [OP_fsub_d] = ARITH | TAKES_D,
    [OP_fsub_s] = ARITH | TAKES_S,
    [OP_fmul_d] = ARITH | TAKES_D,
    [OP_fmul_s] = ARITH | TAKES_S,
    [OP_fdiv_d] = ARITH | TAKES_D,
    [OP_fdiv_s] = ARITH | TAKES_S,
    [OP_fsqrt_d] = ARITH | TAKES_D,
    [OP_fsqrt_s] = ARITH | TAKES_S,
    [OP_fcvt_s_d] = ARITH | TAKES_D,
    [OP_fcvt_d_s] = ARITH | TAKES_S,
    [OP_fmadd_d] = TAKES_D,
    [OP_fmadd_s] = TAKES_S,
    [OP_fmsub_d] = TAKES_D,
    [OP_fmsub_s] = TAKES_S,
    [OP_fnmsub_d] = TAKES_D,
    [OP_fnmsub_s] = TAKES_S,
    [OP_fnmadd_d] = TAKES_D,
    [OP_fnmadd_s] = TAKES_S,
    [OP_fmin_d] = TAKES_D,
    [OP_fmin_s] = TAKES_S,
    [OP_fmax_d] = TAKES_D,
    [OP_fmax_s] = TAKES_S,
    [OP_feq_d] = TAKES_D,
    [OP_feq_s] = TAKES_S,
    [OP_flt_d] = TAKES_D,
    [OP_flt_s] = TAKES_S,
    [OP_fle_d] = TAKES_D,
    [OP_fle_s] = TAKES_S,
    [OP_fcvt_w_d] = TAKES_D,
    [OP_fcvt_w_s] = TAKES_S,
    [OP_fcvt_wu_d] = TAKES_D,
    [OP_fcvt_wu_s] = TAKES_S,
    [OP_fcvt_l_d] = TAKES_D,
    [OP_fcvt_l_s] = TAKES_S,
    [OP_fcvt_lu_d] = TAKES_D,
    [OP_fcvt_lu_s] = TAKES_S,
    [OP_fcvtz_w_d] = TAKES_D,
    [OP_fcvtz_w_s] = TAKES_S,
    [OP_fcvtz_wu_d] = TAKES_D,
    [OP_fcvtz_wu_s] = TAKES_S,
    [OP_fcvtz_l_d] = TAKES_D,
    [OP_fcvtz_l_s] = TAKES_S,
    [OP_fcvtz_lu_d] = TAKES_D,
    [OP_fcvtz_lu_s] = TAKES_S,
};

typedef struct Nan {
    Ir *ir;
    u32 at, to; /* the op at hand; where the next op kept goes */
    Canon due;
    u16 exit_uses[IR_EXITS];
} Nan;

static u64 bit_of(Val v) { return val_is_global(v) ? 1ull << v : 0; }

/* ---- looking ahead ---- */

static bool touches(const Op *op, Val v)
{
    return op->out == v || op->in[0] == v || op->in[1] == v || op->in[2] == v ||
           op_desc[op->op].flags & (LEAVE | FAULT) || op->op == OP_call;
}

/* Is the result of the op at index made canonical before it can be seen? */
static bool is_made_canonical(const Nan *n, u32 index)
{
    const Op *op = &n->ir->ops[index], *end = n->ir->ops + n->ir->n_ops;
    OpCode canon = op_desc[op->op].flags & BOX ? OP_fcanon_s : OP_fcanon_d;
    Val out = op->out;

    while (++op < end && op->op != OP_insn)
        if (touches(op, out))
            return op->op == canon && op->in[0] == out && op->out == out;
    return false;
}

/* Which of its operands the op at index must see canonical. */
static Canon needs(const Nan *n, u32 index)
{
    const Op *op = &n->ir->ops[index];
    u8 how = takes[op->op];
    u64 read = 0;

    if (how & ARITH && !is_made_canonical(n, index))
        how = 0;
    for (u32 i = 0; i < 3; i++)
        read |= bit_of(op->in[i]);
    return (Canon){how & TAKES_D ? 0 : read, how & TAKES_S ? 0 : read};
}

static bool is_delayable(const Op *op)
{
    return (op->op == OP_fcanon_d || op->op == OP_fcanon_s) && op->out == op->in[0] &&
           val_is_global(op->out);
}

static bool closes(const Nan *n, u32 index)
{
    const Op *op = &n->ir->ops[index];

    return index + 1 == n->ir->n_ops || op->op == OP_leave || op->op == OP_jump ||
           op->op == OP_call;
}

/* Which of due must be made canonical before long, too? */
static u64 partner(const Nan *n, u64 due, bool single)
{
    u32 end = MIN(n->at + PARTNER_WITHIN, n->ir->n_ops);

    for (u32 i = n->at; i < end && due; i++) {
        const Op *op = &n->ir->ops[i];
        Canon need = needs(n, i);
        u64 now = due & (single ? need.s : need.d);

        if (op->op == OP_insn || is_delayable(op))
            continue;
        if (closes(n, i))
            now = due;
        if (now)
            return now & -now;
        due &= ~bit_of(op->out);
    }
    return 0;
}

/* ---- making canonical ---- */

static void make_canonical(Nan *n, u64 which, bool single)
{
    u64 *due = single ? &n->due.s : &n->due.d;

    *due &= ~which;
    for (; which; which &= which - 1) {
        Val v = (Val)__builtin_ctzll(which);
        OpCode op = single ? OP_fcanon_s : OP_fcanon_d;

        n->ir->ops[n->to++] = (Op){(u16)op, v, {v, VAL_NONE, VAL_NONE}, 0, 0};
    }
}

/* These of what is due, and one more if that makes pairs. */
static void settle(Nan *n, u64 which, bool single)
{
    u64 due = single ? n->due.s : n->due.d;

    which &= due;
    if (__builtin_popcountll(which) & 1)
        which |= partner(n, due & ~which, single);
    make_canonical(n, which, single);
}

static void settle_all(Nan *n)
{
    settle(n, n->due.d, false);
    settle(n, n->due.s, true);
}

/* ---- the pass ---- */

/* A branch notes what is due where it leads to; before the last one, nothing is. */
static void leave(Nan *n, const Op *op)
{
    if (!op_desc[op->op].has_exit || closes(n, n->at) || closes(n, n->at + 1) ||
        n->exit_uses[op->exit] > 1)
        settle_all(n);
    else
        n->ir->exits[op->exit].canon = n->due;
}

static void step(Nan *n)
{
    Op op = n->ir->ops[n->at];
    Canon need = needs(n, n->at);

    if (op.op == OP_insn) {
        n->ir->insns[op.imm].op = (u16)n->to;
        n->ir->insns[op.imm].canon = n->due;
    } else if (is_delayable(&op)) {
        bool single = op.op == OP_fcanon_s;

        settle(n, single ? need.d : need.s, !single);
        *(single ? &n->due.s : &n->due.d) |= bit_of(op.out);
        return;
    } else {
        settle(n, need.d, false);
        settle(n, need.s, true);
        if (op_desc[op.op].flags & LEAVE)
            leave(n, &op);
        if (op.op == OP_call)
            settle_all(n);
        n->due.d &= ~bit_of(op.out);
        n->due.s &= ~bit_of(op.out);
    }
    n->ir->ops[n->to++] = op;
}

void pass_nan(Ir *ir)
{
    Nan n = {.ir = ir};

    for (u32 i = 0; i < ir->n_ops; i++)
        n.exit_uses[ir->ops[i].exit] += op_desc[ir->ops[i].op].has_exit;
    for (n.at = 0; n.at < ir->n_ops; n.at++)
        step(&n);
    ir->n_ops = n.to;
}

void canon_apply(u64 *globals, Canon canon)
{
    for (; canon.d; canon.d &= canon.d - 1) {
        u64 *g = &globals[__builtin_ctzll(canon.d)];

        *g = interp_fn[OP_fcanon_d](NULL, *g, 0, 0);
    }
    for (; canon.s; canon.s &= canon.s - 1) {
        u64 *g = &globals[__builtin_ctzll(canon.s)];

        *g = interp_fn[OP_fcanon_s](NULL, *g, 0, 0);
    }
}
