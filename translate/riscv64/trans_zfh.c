/* SPDX-License-Identifier: MIT */
/*
 * Zfh: half precision.  A half is widened to a single, what is asked for is done there,
 * and the result is made a half again.  That rounds twice, to the same result and the
 * same flags as once: of +, -, *, / and sqrt of 11 significant bits, 24 bits tell on
 * which side of each half, and of each middle of two, the exact result lies
 * (24 >= 2 * 11 + 2), and for a fused multiply-add the 53 of a double do.
 */
#include "riscv64.h"

/* ---- operands and results ---- */

Val fd_half(Dis *d, u8 r)
{
    Val v = ir_ftemp(d->ir);

    gen_fcvt_s_h(d->ir, v, f_reg(r));
    return v;
}

Val fd_double(Dis *d, Val v)
{
    Val wide = ir_ftemp(d->ir);

    gen_fcvt_d_s(d->ir, wide, v);
    return wide;
}

static void half_in2(Dis *d, const Arg *a, Val in[2])
{
    in[0] = fd_half(d, a->rs1);
    in[1] = a->rs1 == a->rs2 ? in[0] : fd_half(d, a->rs2);
}

void fd_narrow(Dis *d, u8 rd, Val in, Rounding how, u8 rm)
{
    Val bits = ir_temp(d->ir), mode = ir_const(d->ir, how == ROUND_AWAY ? RM_RMM : rm);

    gen_call(d->ir, bits, fd_raw(d, in), mode, VAL_NONE, HELPER_fcvt_h_d);
    gen_fmv_d_x(d->ir, f_reg(rd), bits);
}

/* The first of two roundings; of ties away, it is to nearest: so is a zero's sign. */
static Val first_begin(Dis *d, Rounding how, u8 rm)
{
    return how == ROUND_AWAY ? fd_round_begin(d, ROUND_SET, RM_RNE)
                             : fd_round_begin(d, how, rm);
}

/* rd = op(in), a single, as a half. */
static bool rounded(Dis *d, const Arg *a, OpCode op, const Val *in)
{
    Rounding how = fd_rounding(d, a->rm);
    Val v = ir_ftemp(d->ir), begun;

    begun = first_begin(d, how, a->rm);
    ir_gen(d->ir, op, v, in[0], in[1], VAL_NONE, 0, 0);
    if (how != ROUND_AWAY)
        gen_fcvt_h_s(d->ir, f_reg(a->rd), v);
    fd_round_end(d, begun);
    if (how == ROUND_AWAY)
        fd_narrow(d, a->rd, fd_double(d, v), how, a->rm);
    return true;
}

/* ---- arithmetic ---- */

static bool arith(Dis *d, const Arg *a, OpCode op)
{
    Val in[2];

    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    half_in2(d, a, in);
    return rounded(d, a, op, in);
}

TRANS(fadd_h, arith(d, a, OP_fadd_s))
TRANS(fsub_h, arith(d, a, OP_fsub_s))
TRANS(fmul_h, arith(d, a, OP_fmul_s))
TRANS(fdiv_h, arith(d, a, OP_fdiv_s))

bool trans_fsqrt_h(Dis *d, const Arg *a)
{
    Val in[2] = {VAL_NONE, VAL_NONE};

    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    in[0] = fd_half(d, a->rs1);
    return rounded(d, a, OP_fsqrt_s, in);
}

static bool fused(Dis *d, const Arg *a, OpCode op)
{
    Rounding how = fd_rounding(d, a->rm);
    Val in[3], v = ir_ftemp(d->ir), begun;

    if (how == ROUND_BAD)
        return false;
    half_in2(d, a, in);
    in[2] = fd_half(d, a->rs3);
    for (int i = 0; i < 3; i++)
        in[i] = fd_double(d, in[i]);
    begun = first_begin(d, how, a->rm);
    ir_gen(d->ir, op, v, in[0], in[1], in[2], 0, 0);
    fd_round_end(d, begun);
    fd_narrow(d, a->rd, v, how, a->rm);
    return true;
}

TRANS(fmadd_h, fused(d, a, OP_fmadd_d))
TRANS(fmsub_h, fused(d, a, OP_fmsub_d))
TRANS(fnmsub_h, fused(d, a, OP_fnmsub_d))
TRANS(fnmadd_h, fused(d, a, OP_fnmadd_d))

/* ---- minimum, comparisons: nothing to round ---- */

static bool pick(Dis *d, const Arg *a, OpCode op)
{
    Val in[2], v = ir_ftemp(d->ir);

    half_in2(d, a, in);
    ir_gen(d->ir, op, v, in[0], in[1], VAL_NONE, 0, 0);
    gen_fcvt_h_s(d->ir, f_reg(a->rd), v);
    return true;
}

TRANS(fmin_h, pick(d, a, OP_fmin_s))
TRANS(fmax_h, pick(d, a, OP_fmax_s))

static bool compare(Dis *d, const Arg *a, OpCode op)
{
    Val in[2];

    half_in2(d, a, in);
    ir_gen(d->ir, op, x_out(d, a->rd), in[0], in[1], VAL_NONE, 0, 0);
    return true;
}

TRANS(feq_h, compare(d, a, OP_feq_s))
TRANS(flt_h, compare(d, a, OP_flt_s))
TRANS(fle_h, compare(d, a, OP_fle_s))

/* ---- signs and classes: integers ---- */

enum { SIGN = 0x8000 };
#define BOX (~0xffffll)
#define NAN (BOX | 0x7e00)

static Val with(Dis *d, OpCode op, Val a, i64 b)
{
    Val v = ir_temp(d->ir);

    ir_gen(d->ir, op, v, a, ir_const(d->ir, b), VAL_NONE, 0, 0);
    return v;
}

static Val both(Dis *d, OpCode op, Val a, Val b)
{
    Val v = ir_temp(d->ir);

    ir_gen(d->ir, op, v, a, b, VAL_NONE, 0, 0);
    return v;
}

/* A register's bits, or the canonical NaN if that is not a boxed half. */
static Val unboxed(Dis *d, u8 r)
{
    Val bits = fd_raw(d, f_reg(r)), bad = with(d, OP_add, with(d, OP_sra, bits, 16), 1);

    return both(d, OP_xor, bits, both(d, OP_czeqz, with(d, OP_xor, bits, NAN), bad));
}

static bool put(Dis *d, const Arg *a, Val bits)
{
    gen_fmv_d_x(d->ir, f_reg(a->rd), bits);
    return true;
}

/* rs1 with the sign of rs2, or the other one. */
static bool sign(Dis *d, const Arg *a, i64 flip)
{
    Val size = with(d, OP_and, unboxed(d, a->rs1), ~(i64)SIGN);
    Val from = with(d, OP_xor, unboxed(d, a->rs2), flip);

    return put(d, a, both(d, OP_or, size, with(d, OP_and, from, SIGN)));
}

TRANS(fsgnj_h, sign(d, a, 0))
TRANS(fsgnjn_h, sign(d, a, SIGN))

bool trans_fsgnjx_h(Dis *d, const Arg *a)
{
    Val v = unboxed(d, a->rs1);

    return put(d, a, both(d, OP_xor, v, with(d, OP_and, unboxed(d, a->rs2), SIGN)));
}

bool trans_fclass_h(Dis *d, const Arg *a)
{
    Val v = ir_ftemp(d->ir);

    gen_fmv_d_x(d->ir, v, unboxed(d, a->rs1));
    gen_fclass_h(d->ir, x_out(d, a->rd), v);
    return true;
}

/* ---- moves and memory ---- */

bool trans_fmv_x_h(Dis *d, const Arg *a)
{
    gen_sext16(d->ir, x_out(d, a->rd), fd_raw(d, f_reg(a->rs1)));
    return true;
}

TRANS(fmv_h_x, put(d, a, with(d, OP_or, x_in(d, a->rs1), BOX)))

bool trans_flh(Dis *d, const Arg *a)
{
    Val v = ir_temp(d->ir);

    gen_ld16u(d->ir, v, x_in(d, a->rs1), a->imm);
    return put(d, a, with(d, OP_or, v, BOX));
}

bool trans_fsh(Dis *d, const Arg *a)
{
    gen_st16(d->ir, x_in(d, a->rs1), fd_raw(d, f_reg(a->rs2)), a->imm);
    return true;
}

/* ---- conversions between formats ---- */

bool trans_fcvt_s_h(Dis *d, const Arg *a) /* exact */
{
    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    gen_fcvt_s_h(d->ir, f_reg(a->rd), f_reg(a->rs1));
    gen_fcanon_s(d->ir, f_reg(a->rd), f_reg(a->rd));
    return true;
}

bool trans_fcvt_d_h(Dis *d, const Arg *a) /* exact */
{
    if (fd_rounding(d, a->rm) == ROUND_BAD)
        return false;
    gen_fcvt_d_s(d->ir, f_reg(a->rd), fd_half(d, a->rs1));
    gen_fcanon_d(d->ir, f_reg(a->rd), f_reg(a->rd));
    return true;
}

bool trans_fcvt_h_s(Dis *d, const Arg *a)
{
    Rounding how = fd_rounding(d, a->rm);
    Val begun, v;

    if (how == ROUND_BAD)
        return false;
    v = fd_unboxed(d, a->rs1);
    if (how == ROUND_AWAY) {
        fd_narrow(d, a->rd, fd_double(d, v), how, a->rm);
        return true;
    }
    begun = fd_round_begin(d, how, a->rm);
    gen_fcvt_h_s(d->ir, f_reg(a->rd), v);
    fd_round_end(d, begun);
    return true;
}

bool trans_fcvt_h_d(Dis *d, const Arg *a)
{
    Rounding how = fd_rounding(d, a->rm);

    if (how == ROUND_BAD)
        return false;
    fd_narrow(d, a->rd, f_reg(a->rs1), how, a->rm);
    return true;
}

/* ---- integers ---- */

/* What a double cannot hold is far out of a half's range, rounded or not. */
static bool from_int(Dis *d, const Arg *a, OpCode op)
{
    Rounding how = fd_rounding(d, a->rm);
    Val v = ir_ftemp(d->ir);

    if (how == ROUND_BAD)
        return false;
    ir_gen(d->ir, op, v, x_in(d, a->rs1), VAL_NONE, VAL_NONE, 0, 0);
    fd_narrow(d, a->rd, v, how, a->rm);
    return true;
}

TRANS(fcvt_h_w, from_int(d, a, OP_fcvt_d_w))
TRANS(fcvt_h_wu, from_int(d, a, OP_fcvt_d_wu))
TRANS(fcvt_h_l, from_int(d, a, OP_fcvt_d_l))
TRANS(fcvt_h_lu, from_int(d, a, OP_fcvt_d_lu))

static bool to_int(Dis *d, const Arg *a, OpCode op, OpCode truncating, int away)
{
    return fd_rounding(d, a->rm) != ROUND_BAD &&
           fd_to_int(d, a, op, truncating, away, fd_half(d, a->rs1));
}

#define TO_INT(to)                                                         \
    TRANS(fcvt_##to##_h, to_int(d, a, OP_fcvt_##to##_s, OP_fcvtz_##to##_s, \
                                HELPER_away_fcvt_##to##_s))
TO_INT(w)
TO_INT(wu)
TO_INT(l)
TO_INT(lu)
