/* SPDX-License-Identifier: MIT */
/* Zfa: constants, quiet comparisons, minimum of what may be NaN, rounding to integers.
 * Halves are computed with as singles (trans_zfh.c). */
#include <math.h>
#include "../../microops/ops.h"
#include "riscv64.h"

typedef struct Format {
    bool single, half;
    i64 least, nan; /* the smallest normal number; the canonical NaN to compute with */
    OpCode min, max, eq, lt, le;
} Format;

#define OPS(sfx) OP_fmin_##sfx, OP_fmax_##sfx, OP_feq_##sfx, OP_flt_##sfx, OP_fle_##sfx
static const Format fmt_d = {false, false, 0x0010000000000000, 0x7ff8000000000000,
                             OPS(d)};
static const Format fmt_s = {true, false, (i64)0xffffffff00800000,
                             (i64)0xffffffff7fc00000, OPS(s)};
static const Format fmt_h = {false, true, (i64)0xffffffffffff0400,
                             (i64)0xffffffff7fc00000, OPS(s)};

/* A register's value to compute with. */
static Val in(Dis *d, u8 r, const Format *f)
{
    if (f->half)
        return fd_half(d, r);
    return f->single ? fd_unboxed(d, r) : f_reg(r);
}

/* ---- constants ---- */

const double riscv64_fli[FLI_COUNT] = {
    -1,
    0 /* the smallest normal number */,
    0x1p-16,
    0x1p-15,
    0x1p-8,
    0x1p-7,
    0.0625,
    0.125,
    0.25,
    0.3125,
    0.375,
    0.4375,
    0.5,
    0.625,
    0.75,
    0.875,
    1,
    1.25,
    1.5,
    1.75,
    2,
    2.5,
    3,
    4,
    8,
    16,
    128,
    256,
    0x1p15,
    0x1p16,
    (double)INFINITY,
    (double)NAN,
};

static i64 constant(u8 which, const Format *f)
{
    float single = (float)riscv64_fli[which];
    u32 low, ignored = 0;
    u64 bits;

    memcpy(&bits, &riscv64_fli[which], sizeof(bits));
    memcpy(&low, &single, sizeof(low));
    if (which == FLI_MIN)
        return f->least;
    if (f->half) /* where 2^16 is infinity */
        return (i64)f_half(bits, F_RNE, &ignored);
    return f->single ? ~0xffffffffll | low : (i64)bits;
}

static bool load_constant(Dis *d, const Arg *a, const Format *f)
{
    gen_fmv_d_x(d->ir, f_reg(a->rd), ir_const(d->ir, constant(a->rs1, f)));
    return true;
}

/* ---- minimum: of a NaN, a NaN ---- */

/* Is neither a NaN?  An integer. */
static Val ordered(Dis *d, const Val *v, const Format *f)
{
    Val a = ir_temp(d->ir), b = ir_temp(d->ir);

    ir_gen(d->ir, f->eq, a, v[0], v[0], VAL_NONE, 0, 0);
    ir_gen(d->ir, f->eq, b, v[1], v[1], VAL_NONE, 0, 0);
    gen_and(d->ir, a, a, b);
    return a;
}

static bool pick(Dis *d, const Arg *a, const Format *f, OpCode op)
{
    Val v[2] = {in(d, a->rs1, f), in(d, a->rs2, f)}, nan = ir_const(d->ir, f->nan);
    Val r = ir_ftemp(d->ir), bits;

    ir_gen(d->ir, op, r, v[0], v[1], VAL_NONE, 0, 0);
    bits = fd_raw(d, r);
    gen_xor(d->ir, bits, bits, nan);
    gen_czeqz(d->ir, bits, bits, ordered(d, v, f));
    gen_xor(d->ir, bits, bits, nan);
    if (!f->half) {
        gen_fmv_d_x(d->ir, f_reg(a->rd), bits);
        return true;
    }
    gen_fmv_d_x(d->ir, r, bits);
    gen_fcvt_h_s(d->ir, f_reg(a->rd), r);
    return true;
}

/* ---- comparisons: what they signal for quiet NaNs is taken back ---- */

static bool quiet(Dis *d, const Arg *a, const Format *f, OpCode op)
{
    Val v[2] = {in(d, a->rs1, f), in(d, a->rs2, f)}, flags = ir_temp(d->ir);

    gen_fget(d->ir, flags);
    ir_gen(d->ir, op, x_out(d, a->rd), v[0], v[1], VAL_NONE, 0, 0);
    gen_fset(d->ir, flags);
    ir_gen(d->ir, f->eq, ir_temp(d->ir), v[0], v[1], VAL_NONE, 0, 0);
    return true;
}

/* ---- to integers ---- */

static bool integral(Dis *d, const Arg *a, const Format *f, bool inexact)
{
    Rounding how = fd_rounding(d, a->rm);
    Val v, bits = ir_temp(d->ir), r = ir_ftemp(d->ir);

    if (how == ROUND_BAD)
        return false;
    v = in(d, a->rs1, f);
    v = f->single || f->half ? fd_double(d, v) : v;
    gen_call(d->ir, bits, fd_raw(d, v), ir_const(d->ir, inexact),
             ir_const(d->ir, how == ROUND_AWAY ? RM_RMM : a->rm), HELPER_fround);
    if (!f->single && !f->half) {
        gen_fmv_d_x(d->ir, f_reg(a->rd), bits);
        return true;
    }
    gen_fmv_d_x(d->ir, r, bits); /* exact from here on */
    gen_fcvt_s_d(d->ir, f->half ? r : f_reg(a->rd), r);
    if (f->half)
        gen_fcvt_h_s(d->ir, f_reg(a->rd), r);
    return true;
}

bool trans_fcvtmod_w_d(Dis *d, const Arg *a)
{
    gen_call(d->ir, x_out(d, a->rd), fd_raw(d, f_reg(a->rs1)), VAL_NONE, VAL_NONE,
             HELPER_fcvtmod_w_d);
    return true;
}

#define EACH(sfx)                                             \
    TRANS(fli_##sfx, load_constant(d, a, &fmt_##sfx))         \
    TRANS(fminm_##sfx, pick(d, a, &fmt_##sfx, fmt_##sfx.min)) \
    TRANS(fmaxm_##sfx, pick(d, a, &fmt_##sfx, fmt_##sfx.max)) \
    TRANS(fltq_##sfx, quiet(d, a, &fmt_##sfx, fmt_##sfx.lt))  \
    TRANS(fleq_##sfx, quiet(d, a, &fmt_##sfx, fmt_##sfx.le))  \
    TRANS(fround_##sfx, integral(d, a, &fmt_##sfx, false))    \
    TRANS(froundnx_##sfx, integral(d, a, &fmt_##sfx, true))
EACH(d)
EACH(s)
EACH(h)
