/* SPDX-License-Identifier: MIT */
/*
 * F and D.  The host's arithmetic gives the right bits and flags; around it singles
 * are unboxed, NaNs made canonical and the rounding mode set where an instruction
 * names its own.  The mode that the host lacks goes to fp.c.
 */
#include "riscv64.h"

/* ---- rounding ---- */

Rounding fd_rounding(const Dis *d, u8 rm)
{
    if (rm <= RM_RUP)
        return ROUND_SET;
    if (rm == RM_RMM)
        return ROUND_AWAY;
    if (rm != RM_DYN || (d->key.flags & FRM_MASK) == FRM_INVALID)
        return ROUND_BAD;
    return (d->key.flags & FRM_MASK) == FRM_AWAY ? ROUND_AWAY : ROUND_HOST;
}

Val fd_round_begin(Dis *d, Rounding how, u8 rm)
{
    Val old = VAL_NONE;

    if (how == ROUND_SET) {
        old = ir_temp(d->ir);
        gen_fround(d->ir, old, ir_const(d->ir, rm));
    }
    return old;
}

void fd_round_end(Dis *d, Val begun)
{
    if (begun != VAL_NONE)
        gen_fround(d->ir, ir_temp(d->ir), begun);
}

/* One op under the instruction's rounding mode. */
static void gen_rounded(Dis *d, Rounding how, u8 rm, OpCode op, Val out, const Val *in)
{
    Val begun = fd_round_begin(d, how, rm);

    ir_gen(d->ir, op, out, in[0], in[1], in[2], 0, 0);
    fd_round_end(d, begun);
}

/* ---- operands and results ---- */

static bool is_single(OpCode op) { return op_desc[op].flags & BOX; }

Val fd_unboxed(Dis *d, u8 r)
{
    Val v = ir_ftemp(d->ir);

    gen_funbox(d->ir, v, f_reg(r));
    return v;
}

static Val f_in(Dis *d, u8 r, bool single)
{
    return single ? fd_unboxed(d, r) : f_reg(r);
}

/* Two operands; the same register is unboxed once. */
static void f_in2(Dis *d, const Arg *a, bool single, Val in[2])
{
    in[0] = f_in(d, a->rs1, single);
    in[1] = a->rs1 == a->rs2 ? in[0] : f_in(d, a->rs2, single);
}

static void canonical(Dis *d, Val v, bool single)
{
    if (single)
        gen_fcanon_s(d->ir, v, v);
    else
        gen_fcanon_d(d->ir, v, v);
}

/* Raw bits of a floating-point operand, for a helper. */
Val fd_raw(Dis *d, Val f)
{
    Val v;

    if (f == VAL_NONE)
        return VAL_NONE;
    v = ir_temp(d->ir);
    gen_fmv_x_d(d->ir, v, f);
    return v;
}

/* out = helper(in...); floating-point values as raw bits. */
static void soft_to_x(Dis *d, int helper, Val out, const Val *in)
{
    gen_call(d->ir, out, fd_raw(d, in[0]), fd_raw(d, in[1]), fd_raw(d, in[2]), helper);
}

static void soft_to_f(Dis *d, int helper, Val out, const Val *in)
{
    Val bits = ir_temp(d->ir);

    soft_to_x(d, helper, bits, in);
    gen_fmv_d_x(d->ir, out, bits);
}

/* ---- arithmetic ---- */

static bool arith(Dis *d, const Arg *a, OpCode op, int away, int n)
{
    Rounding how = fd_rounding(d, a->rm);
    Val in[3] = {VAL_NONE, VAL_NONE, VAL_NONE};

    if (how == ROUND_BAD)
        return false;
    if (n == 1)
        in[0] = f_in(d, a->rs1, is_single(op));
    else
        f_in2(d, a, is_single(op), in);
    if (how == ROUND_AWAY) {
        soft_to_f(d, away, f_reg(a->rd), in);
        return true;
    }
    gen_rounded(d, how, a->rm, op, f_reg(a->rd), in);
    canonical(d, f_reg(a->rd), is_single(op));
    return true;
}

#define ARITH(name, n) TRANS(name, arith(d, a, OP_##name, HELPER_away_##name, n))
ARITH(fadd_s, 2)
ARITH(fsub_s, 2)
ARITH(fmul_s, 2)
ARITH(fdiv_s, 2)
ARITH(fsqrt_s, 1)
ARITH(fadd_d, 2)
ARITH(fsub_d, 2)
ARITH(fmul_d, 2)
ARITH(fdiv_d, 2)
ARITH(fsqrt_d, 1)

/* ---- fused multiply-add: the ops give canonical results ---- */

static Val negated(Dis *d, Val v, bool single)
{
    Val n = ir_ftemp(d->ir);

    if (single)
        gen_fneg_s(d->ir, n, v);
    else
        gen_fneg_d(d->ir, n, v);
    return n;
}

/* +-(rs1 * rs2) +- rs3 */
static bool fused(Dis *d, const Arg *a, OpCode op, int away, bool neg_product,
                  bool neg_sum)
{
    Rounding how = fd_rounding(d, a->rm);
    bool single = is_single(op);
    Val in[3];

    if (how == ROUND_BAD)
        return false;
    f_in2(d, a, single, in);
    in[2] = f_in(d, a->rs3, single);
    if (how != ROUND_AWAY) {
        gen_rounded(d, how, a->rm, op, f_reg(a->rd), in);
        return true;
    }
    if (neg_product)
        in[0] = negated(d, in[0], single);
    if (neg_sum)
        in[2] = negated(d, in[2], single);
    soft_to_f(d, away, f_reg(a->rd), in);
    return true;
}

#define FUSED(name, sfx, neg_product, neg_sum)                                  \
    TRANS(name##_##sfx, fused(d, a, OP_##name##_##sfx, HELPER_away_fmadd_##sfx, \
                              neg_product, neg_sum))
FUSED(fmadd, s, false, false)
FUSED(fmsub, s, false, true)
FUSED(fnmsub, s, true, false)
FUSED(fnmadd, s, true, true)
FUSED(fmadd, d, false, false)
FUSED(fmsub, d, false, true)
FUSED(fnmsub, d, true, false)
FUSED(fnmadd, d, true, true)

/* ---- minimum, signs, comparisons, classes: nothing to round ---- */

static bool plain(Dis *d, const Arg *a, OpCode op, Val out, bool single)
{
    Val in[2];

    f_in2(d, a, single, in);
    ir_gen(d->ir, op, out, in[0], in[1], VAL_NONE, 0, 0);
    return true;
}

#define PLAIN_F(name) \
    TRANS(name, plain(d, a, OP_##name, f_reg(a->rd), is_single(OP_##name)))
PLAIN_F(fmin_s)
PLAIN_F(fmax_s)
PLAIN_F(fmin_d)
PLAIN_F(fmax_d)

#define COMPARE(name, single) \
    TRANS(name, plain(d, a, OP_##name, x_out(d, a->rd), single))
COMPARE(feq_s, true)
COMPARE(flt_s, true)
COMPARE(fle_s, true)
COMPARE(feq_d, false)
COMPARE(flt_d, false)
COMPARE(fle_d, false)

/* same: what it comes to when both operands are one register */
static bool sign(Dis *d, const Arg *a, OpCode op, OpCode same)
{
    Val rd = f_reg(a->rd);

    if (a->rs1 != a->rs2)
        return plain(d, a, op, rd, is_single(op));
    ir_gen(d->ir, same, rd, f_in(d, a->rs1, is_single(op) && same != OP_funbox),
           VAL_NONE, VAL_NONE, 0, 0);
    return true;
}

TRANS(fsgnj_s, sign(d, a, OP_fsgnj_s, OP_funbox))
TRANS(fsgnjn_s, sign(d, a, OP_fsgnjn_s, OP_fneg_s))
TRANS(fsgnjx_s, sign(d, a, OP_fsgnjx_s, OP_fabs_s))
TRANS(fsgnj_d, sign(d, a, OP_fsgnj_d, OP_fmov))
TRANS(fsgnjn_d, sign(d, a, OP_fsgnjn_d, OP_fneg_d))
TRANS(fsgnjx_d, sign(d, a, OP_fsgnjx_d, OP_fabs_d))

bool trans_fclass_s(Dis *d, const Arg *a)
{
    if (a->rd)
        gen_fclass_s(d->ir, a->rd, fd_unboxed(d, a->rs1));
    return true;
}

bool trans_fclass_d(Dis *d, const Arg *a)
{
    if (a->rd)
        gen_fclass_d(d->ir, a->rd, f_reg(a->rs1));
    return true;
}

/* ---- moves and memory ---- */

bool trans_fmv_x_w(Dis *d, const Arg *a)
{
    if (a->rd)
        gen_fmv_x_w(d->ir, a->rd, f_reg(a->rs1));
    return true;
}

bool trans_fmv_x_d(Dis *d, const Arg *a)
{
    if (a->rd)
        gen_fmv_x_d(d->ir, a->rd, f_reg(a->rs1));
    return true;
}

bool trans_fmv_w_x(Dis *d, const Arg *a)
{
    gen_fmv_w_x(d->ir, f_reg(a->rd), x_in(d, a->rs1));
    return true;
}

bool trans_fmv_d_x(Dis *d, const Arg *a)
{
    gen_fmv_d_x(d->ir, f_reg(a->rd), x_in(d, a->rs1));
    return true;
}

static bool load(Dis *d, const Arg *a, OpCode op)
{
    ir_gen(d->ir, op, f_reg(a->rd), x_in(d, a->rs1), VAL_NONE, VAL_NONE, a->imm, 0);
    return true;
}

static bool store(Dis *d, const Arg *a, OpCode op)
{
    ir_gen(d->ir, op, VAL_NONE, x_in(d, a->rs1), f_reg(a->rs2), VAL_NONE, a->imm, 0);
    return true;
}

TRANS(flw, load(d, a, OP_fld32))
TRANS(fld, load(d, a, OP_fld64))
TRANS(fsw, store(d, a, OP_fst32))
TRANS(fsd, store(d, a, OP_fst64))

/* ---- conversions between formats ---- */

bool trans_fcvt_s_d(Dis *d, const Arg *a)
{
    Rounding how = fd_rounding(d, a->rm);
    Val in[3] = {f_reg(a->rs1), VAL_NONE, VAL_NONE};

    if (how == ROUND_BAD)
        return false;
    if (how == ROUND_AWAY) {
        soft_to_f(d, HELPER_away_fcvt_s_d, f_reg(a->rd), in);
        return true;
    }
    gen_rounded(d, how, a->rm, OP_fcvt_s_d, f_reg(a->rd), in);
    gen_fcanon_s(d->ir, f_reg(a->rd), f_reg(a->rd));
    return true;
}

bool trans_fcvt_d_s(Dis *d, const Arg *a) /* exact */
{
    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    gen_fcvt_d_s(d->ir, f_reg(a->rd), fd_unboxed(d, a->rs1));
    gen_fcanon_d(d->ir, f_reg(a->rd), f_reg(a->rd));
    return true;
}

/* ---- from integers: a word widened is a long ---- */

static bool from_int(Dis *d, const Arg *a, OpCode op, int away, OpCode widen)
{
    Rounding how = fd_rounding(d, a->rm);
    Val in[3] = {x_in(d, a->rs1), VAL_NONE, VAL_NONE}, bits;

    if (how == ROUND_BAD)
        return false;
    if (how != ROUND_AWAY) {
        gen_rounded(d, how, a->rm, op, f_reg(a->rd), in);
        return true;
    }
    bits = ir_temp(d->ir);
    ir_gen(d->ir, widen, bits, in[0], VAL_NONE, VAL_NONE, 0, 0);
    gen_call(d->ir, bits, bits, VAL_NONE, VAL_NONE, away);
    gen_fmv_d_x(d->ir, f_reg(a->rd), bits);
    return true;
}

static bool from_int_exact(Dis *d, const Arg *a, OpCode op)
{
    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    ir_gen(d->ir, op, f_reg(a->rd), x_in(d, a->rs1), VAL_NONE, VAL_NONE, 0, 0);
    return true;
}

TRANS(fcvt_s_w, from_int(d, a, OP_fcvt_s_w, HELPER_away_fcvt_s_l, OP_sext32))
TRANS(fcvt_s_wu, from_int(d, a, OP_fcvt_s_wu, HELPER_away_fcvt_s_l, OP_zext32))
TRANS(fcvt_s_l, from_int(d, a, OP_fcvt_s_l, HELPER_away_fcvt_s_l, OP_mov))
TRANS(fcvt_s_lu, from_int(d, a, OP_fcvt_s_lu, HELPER_away_fcvt_s_lu, OP_mov))
TRANS(fcvt_d_w, from_int_exact(d, a, OP_fcvt_d_w))
TRANS(fcvt_d_wu, from_int_exact(d, a, OP_fcvt_d_wu))
TRANS(fcvt_d_l, from_int(d, a, OP_fcvt_d_l, HELPER_away_fcvt_d_l, OP_mov))
TRANS(fcvt_d_lu, from_int(d, a, OP_fcvt_d_lu, HELPER_away_fcvt_d_lu, OP_mov))

/* ---- to integers: the flags count even for x0 ---- */

bool fd_to_int(Dis *d, const Arg *a, OpCode op, OpCode truncating, int away, Val in)
{
    Rounding how = fd_rounding(d, a->rm);
    Val ins[3] = {in, VAL_NONE, VAL_NONE}, out = x_out(d, a->rd);

    if (how == ROUND_AWAY)
        soft_to_x(d, away, out, ins);
    else if (a->rm == RM_RTZ)
        ir_gen(d->ir, truncating, out, in, VAL_NONE, VAL_NONE, 0, 0);
    else
        gen_rounded(d, how, a->rm, op, out, ins);
    return true;
}

static bool to_int(Dis *d, const Arg *a, OpCode op, OpCode truncating, int away,
                   bool single)
{
    return fd_rounding(d, a->rm) != ROUND_BAD &&
           fd_to_int(d, a, op, truncating, away, f_in(d, a->rs1, single));
}

#define TO_INT(to, from, single)                                      \
    TRANS(fcvt_##to##_##from,                                         \
          to_int(d, a, OP_fcvt_##to##_##from, OP_fcvtz_##to##_##from, \
                 HELPER_away_fcvt_##to##_##from, single))
TO_INT(w, s, true)
TO_INT(wu, s, true)
TO_INT(l, s, true)
TO_INT(lu, s, true)
TO_INT(w, d, false)
TO_INT(wu, d, false)
TO_INT(l, d, false)
TO_INT(lu, d, false)
