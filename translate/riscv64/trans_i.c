/* SPDX-License-Identifier: MIT */
/* RV64I and M: arithmetic, loads and stores, branches and jumps. */
#include "riscv64.h"

static Val imm(Dis *d, const Arg *a) { return ir_const(d->ir, a->imm); }

/* ---- results that need no work ---- */

static bool set_const(Dis *d, u8 rd, u64 value)
{
    if (rd)
        gen_mov(d->ir, rd, ir_const(d->ir, (i64)value));
    return true;
}

static bool copy(Dis *d, u8 rd, u8 rs)
{
    if (rd && !rs)
        return set_const(d, rd, 0);
    if (rd && rd != rs)
        gen_mov(d->ir, rd, rs);
    return true;
}

static bool widen(Dis *d, u8 rd, u8 rs)
{
    if (rd && !rs)
        return set_const(d, rd, 0);
    if (rd)
        gen_sext32(d->ir, rd, rs);
    return true;
}

/* ---- arithmetic: what is written to x0 is not computed ---- */

static bool alu(Dis *d, const Arg *a, OpCode op)
{
    if (a->rd)
        ir_gen(d->ir, op, a->rd, x_in(d, a->rs1), x_in(d, a->rs2), VAL_NONE, 0, 0);
    return true;
}

static bool alu_imm(Dis *d, const Arg *a, OpCode op)
{
    if (a->rd)
        ir_gen(d->ir, op, a->rd, x_in(d, a->rs1), imm(d, a), VAL_NONE, 0, 0);
    return true;
}

bool trans_add(Dis *d, const Arg *a)
{
    if (!a->rs1)
        return copy(d, a->rd, a->rs2);
    return a->rs2 ? alu(d, a, OP_add) : copy(d, a->rd, a->rs1);
}

bool trans_addi(Dis *d, const Arg *a)
{
    if (!a->rs1)
        return set_const(d, a->rd, (u64)(i64)a->imm);
    return a->imm ? alu_imm(d, a, OP_add) : copy(d, a->rd, a->rs1);
}

bool trans_addiw(Dis *d, const Arg *a)
{
    if (!a->rs1)
        return set_const(d, a->rd, (u64)(i64)a->imm);
    return a->imm ? alu_imm(d, a, OP_addw) : widen(d, a->rd, a->rs1);
}

bool trans_addw(Dis *d, const Arg *a)
{
    if (!a->rs1)
        return widen(d, a->rd, a->rs2);
    return a->rs2 ? alu(d, a, OP_addw) : widen(d, a->rd, a->rs1);
}

TRANS(lui, set_const(d, a->rd, (u64)(i64)a->imm))
TRANS(auipc, set_const(d, a->rd, d->pc + (u64)(i64)a->imm))

TRANS(slti, alu_imm(d, a, OP_slt))
TRANS(sltiu, alu_imm(d, a, OP_sltu))
TRANS(xori, alu_imm(d, a, OP_xor))
TRANS(ori, alu_imm(d, a, OP_or))
TRANS(andi, alu_imm(d, a, OP_and))
TRANS(slli, alu_imm(d, a, OP_sll))
TRANS(srli, alu_imm(d, a, OP_srl))
TRANS(srai, alu_imm(d, a, OP_sra))
TRANS(slliw, alu_imm(d, a, OP_sllw))
TRANS(srliw, alu_imm(d, a, OP_srlw))
TRANS(sraiw, alu_imm(d, a, OP_sraw))

TRANS(sub, alu(d, a, OP_sub))
TRANS(sll, alu(d, a, OP_sll))
TRANS(slt, alu(d, a, OP_slt))
TRANS(sltu, alu(d, a, OP_sltu))
TRANS(xor, alu(d, a, OP_xor))
TRANS(srl, alu(d, a, OP_srl))
TRANS(sra, alu(d, a, OP_sra))
TRANS(or, alu(d, a, OP_or))
TRANS(and, alu(d, a, OP_and))
TRANS(subw, alu(d, a, OP_subw))
TRANS(sllw, alu(d, a, OP_sllw))
TRANS(srlw, alu(d, a, OP_srlw))
TRANS(sraw, alu(d, a, OP_sraw))

/* ---- M ---- */

TRANS(mul, alu(d, a, OP_mul))
TRANS(mulh, alu(d, a, OP_mulh))
TRANS(mulhsu, alu(d, a, OP_mulhsu))
TRANS(mulhu, alu(d, a, OP_mulhu))
TRANS(div, alu(d, a, OP_div))
TRANS(divu, alu(d, a, OP_divu))
TRANS(rem, alu(d, a, OP_rem))
TRANS(remu, alu(d, a, OP_remu))
TRANS(mulw, alu(d, a, OP_mulw))
TRANS(divw, alu(d, a, OP_divw))
TRANS(divuw, alu(d, a, OP_divuw))
TRANS(remw, alu(d, a, OP_remw))
TRANS(remuw, alu(d, a, OP_remuw))

/* ---- memory: a load into x0 may fault as any other ---- */

static bool load(Dis *d, const Arg *a, OpCode op)
{
    ir_gen(d->ir, op, x_out(d, a->rd), x_in(d, a->rs1), VAL_NONE, VAL_NONE, a->imm, 0);
    return true;
}

static bool store(Dis *d, const Arg *a, OpCode op)
{
    ir_gen(d->ir, op, VAL_NONE, x_in(d, a->rs1), x_in(d, a->rs2), VAL_NONE, a->imm, 0);
    return true;
}

TRANS(lb, load(d, a, OP_ld8s))
TRANS(lh, load(d, a, OP_ld16s))
TRANS(lw, load(d, a, OP_ld32s))
TRANS(ld, load(d, a, OP_ld64))
TRANS(lbu, load(d, a, OP_ld8u))
TRANS(lhu, load(d, a, OP_ld16u))
TRANS(lwu, load(d, a, OP_ld32u))
TRANS(sb, store(d, a, OP_st8))
TRANS(sh, store(d, a, OP_st16))
TRANS(sw, store(d, a, OP_st32))
TRANS(sd, store(d, a, OP_st64))

/* ---- control ---- */

static u64 destination(const Dis *d, const Arg *a) { return d->pc + (u64)(i64)a->imm; }

/* A register compared with itself: known now. */
static bool branch_same(Dis *d, const Arg *a, OpCode op)
{
    if (op == OP_beq || op == OP_bge || op == OP_bgeu)
        dis_jump(d, destination(d, a));
    return true;
}

static bool branch(Dis *d, const Arg *a, OpCode op)
{
    if (UNLIKELY(a->rs1 == a->rs2))
        return branch_same(d, a, op);
    dis_branch(d, op, x_in(d, a->rs1), x_in(d, a->rs2), destination(d, a));
    return true;
}

TRANS(beq, branch(d, a, OP_beq))
TRANS(bne, branch(d, a, OP_bne))
TRANS(blt, branch(d, a, OP_blt))
TRANS(bge, branch(d, a, OP_bge))
TRANS(bltu, branch(d, a, OP_bltu))
TRANS(bgeu, branch(d, a, OP_bgeu))

bool trans_jal(Dis *d, const Arg *a)
{
    set_const(d, a->rd, d->pc + d->len);
    dis_jump(d, destination(d, a));
    return true;
}

bool trans_jalr(Dis *d, const Arg *a)
{
    Val to = ir_temp(d->ir), base = x_in(d, a->rs1);

    if (a->imm) {
        gen_add(d->ir, to, base, imm(d, a));
        base = to;
    }
    gen_and(d->ir, to, base, ir_const(d->ir, -2));
    set_const(d, a->rd, d->pc + d->len);
    dis_jump_to(d, to);
    return true;
}
