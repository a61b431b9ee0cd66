/* SPDX-License-Identifier: MIT */
/* Zba, Zbb, Zbs and Zicond: bit manipulation and conditional zero. */
#include "riscv64.h"

/* rd = op(rs1, b), or nothing when rd is x0. */
static bool alu_with(Dis *d, const Arg *a, OpCode op, Val b)
{
    if (a->rd)
        ir_gen(d->ir, op, a->rd, x_in(d, a->rs1), b, VAL_NONE, 0, 0);
    return true;
}

static bool alu(Dis *d, const Arg *a, OpCode op)
{
    return alu_with(d, a, op, x_in(d, a->rs2));
}

static bool alu_imm(Dis *d, const Arg *a, OpCode op)
{
    return alu_with(d, a, op, ir_const(d->ir, a->imm));
}

static bool unary(Dis *d, const Arg *a, OpCode op)
{
    return alu_with(d, a, op, VAL_NONE);
}

/* ---- Zba ---- */

/* rd = op(low half of rs1, b) */
static bool alu_uw(Dis *d, const Arg *a, OpCode op, Val b)
{
    Val low = ir_temp(d->ir);

    if (!a->rd)
        return true;
    gen_zext32(d->ir, low, x_in(d, a->rs1));
    ir_gen(d->ir, op, a->rd, low, b, VAL_NONE, 0, 0);
    return true;
}

TRANS(sh1add, alu(d, a, OP_sh1add))
TRANS(sh2add, alu(d, a, OP_sh2add))
TRANS(sh3add, alu(d, a, OP_sh3add))
TRANS(sh1add_uw, alu_uw(d, a, OP_sh1add, x_in(d, a->rs2)))
TRANS(sh2add_uw, alu_uw(d, a, OP_sh2add, x_in(d, a->rs2)))
TRANS(sh3add_uw, alu_uw(d, a, OP_sh3add, x_in(d, a->rs2)))
TRANS(slli_uw, alu_uw(d, a, OP_sll, ir_const(d->ir, a->imm)))

bool trans_add_uw(Dis *d, const Arg *a)
{
    return a->rs2 ? alu_uw(d, a, OP_add, a->rs2) : unary(d, a, OP_zext32);
}

/* ---- Zbb ---- */

TRANS(andn, alu(d, a, OP_andn))
TRANS(orn, alu(d, a, OP_orn))
TRANS(xnor, alu(d, a, OP_xnor))
TRANS(clz, unary(d, a, OP_clz))
TRANS(ctz, unary(d, a, OP_ctz))
TRANS(cpop, unary(d, a, OP_cpop))
TRANS(clzw, unary(d, a, OP_clzw))
TRANS(ctzw, unary(d, a, OP_ctzw))
TRANS(cpopw, unary(d, a, OP_cpopw))
TRANS(sext_b, unary(d, a, OP_sext8))
TRANS(sext_h, unary(d, a, OP_sext16))
TRANS(zext_h, unary(d, a, OP_zext16))
TRANS(min, alu(d, a, OP_min))
TRANS(minu, alu(d, a, OP_minu))
TRANS(max, alu(d, a, OP_max))
TRANS(maxu, alu(d, a, OP_maxu))
TRANS(rol, alu(d, a, OP_rol))
TRANS(ror, alu(d, a, OP_ror))
TRANS(rori, alu_imm(d, a, OP_ror))
TRANS(rolw, alu(d, a, OP_rolw))
TRANS(rorw, alu(d, a, OP_rorw))
TRANS(roriw, alu_imm(d, a, OP_rorw))
TRANS(orc_b, unary(d, a, OP_orcb))
TRANS(rev8, unary(d, a, OP_rev8))

/* ---- Zbs: bit b of rs1 ---- */

/* rd = op(rs1, 1 << rs2) */
static bool bit(Dis *d, const Arg *a, OpCode op)
{
    Val mask = ir_temp(d->ir);

    if (!a->rd)
        return true;
    gen_sll(d->ir, mask, ir_const(d->ir, 1), x_in(d, a->rs2));
    return alu_with(d, a, op, mask);
}

static bool bit_imm(Dis *d, const Arg *a, OpCode op)
{
    return alu_with(d, a, op, ir_const(d->ir, (i64)(1ull << a->imm)));
}

/* rd = (rs1 >> b) & 1 */
static bool bit_extract(Dis *d, const Arg *a, Val b)
{
    Val shifted = ir_temp(d->ir);

    if (!a->rd)
        return true;
    gen_srl(d->ir, shifted, x_in(d, a->rs1), b);
    gen_and(d->ir, a->rd, shifted, ir_const(d->ir, 1));
    return true;
}

TRANS(bset, bit(d, a, OP_or))
TRANS(bclr, bit(d, a, OP_andn))
TRANS(binv, bit(d, a, OP_xor))
TRANS(bseti, bit_imm(d, a, OP_or))
TRANS(bclri, bit_imm(d, a, OP_andn))
TRANS(binvi, bit_imm(d, a, OP_xor))
TRANS(bext, bit_extract(d, a, x_in(d, a->rs2)))
TRANS(bexti, bit_extract(d, a, ir_const(d->ir, a->imm)))

/* ---- Zicond ---- */

TRANS(czero_eqz, alu(d, a, OP_czeqz))
TRANS(czero_nez, alu(d, a, OP_cznez))
