/* SPDX-License-Identifier: MIT */
/* Identities, and ops on operands of which enough is known: a rule for each op. */
#include "fold.h"

static bool is_extended(const Facts *x, OpCode ext)
{
    switch (ext) {
    case OP_sext8: return x->width <= 8;
    case OP_sext16: return x->width <= 16;
    case OP_sext32: return x->width <= 32;
    case OP_zext8: return x->low <= 8;
    case OP_zext16: return x->low <= 16;
    case OP_zext32: return x->low <= 32;
    default: return false;
    }
}

/* One of the extensions, or a move where a is extended already. */
static void become_ext(Fold *f, Op *op, OpCode ext, Val a)
{
    Facts x = facts(f, a);

    become(op, is_extended(&x, ext) ? OP_mov : ext, a, VAL_NONE);
}

static void rule_add(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 0))
        become_mov(op, op->in[0]);
    else
        fold_rotate(f, op);
}

static void rule_sub(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1])
        become_const(f, op, 0);
    else if (equals(b, 0))
        become_mov(op, op->in[0]);
    else if (is_const(b) && fits_i32(b->value) && fits_i32(-b->value))
        become_imm(f, op, OP_add, op->in[0], -b->value);
}

static void rule_and(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    u64 mask = (u64)b->value;

    if (op->in[0] == op->in[1] || equals(b, -1))
        become_mov(op, op->in[0]);
    else if (equals(b, 0))
        become_const(f, op, 0);
    else if (is_const(b) && a->low < 64 && !(~mask & ((1ull << a->low) - 1)))
        become_mov(op, op->in[0]);
    else if (equals(b, UINT8_MAX))
        become(op, OP_zext8, op->in[0], VAL_NONE);
    else if (equals(b, UINT16_MAX))
        become(op, OP_zext16, op->in[0], VAL_NONE);
    else if (equals(b, UINT32_MAX))
        become(op, OP_zext32, op->in[0], VAL_NONE);
}

static void rule_or(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1] || equals(b, 0))
        become_mov(op, op->in[0]);
    else if (equals(b, -1))
        become_const(f, op, -1);
    else
        fold_rotate(f, op);
}

static void rule_xor(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1])
        become_const(f, op, 0);
    else if (equals(b, 0))
        become_mov(op, op->in[0]);
    else
        fold_rotate(f, op);
}

static void rule_andn(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1] || equals(b, -1) || equals(a, 0))
        become_const(f, op, 0);
    else if (equals(b, 0))
        become_mov(op, op->in[0]);
}

static void rule_orn(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1] || equals(b, 0))
        become_const(f, op, -1);
    else if (equals(b, -1))
        become_mov(op, op->in[0]);
}

static void rule_xnor(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1])
        become_const(f, op, -1);
    else if (equals(b, -1))
        become_mov(op, op->in[0]);
}

static void rule_shift(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (is_const(b) && (b->value & 63) == 0)
        become_mov(op, op->in[0]);
    else if (equals(a, 0))
        become_const(f, op, 0);
    else if (op->op == OP_srl || op->op == OP_sra)
        fold_shift_pair(f, op);
}

/* A 32-bit op on operands too small to overflow is the 64-bit one. */
static void rule_addw(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 0))
        become_ext(f, op, OP_sext32, op->in[0]);
    else if (MAX(a->width, b->width) < 32)
        become(op, OP_add, op->in[0], op->in[1]);
    else
        fold_rotate(f, op);
}

static void rule_subw(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1])
        become_const(f, op, 0);
    else if (equals(b, 0))
        become_ext(f, op, OP_sext32, op->in[0]);
    else if (MAX(a->width, b->width) < 32)
        become(op, OP_sub, op->in[0], op->in[1]);
    else if (is_const(b) && fits_i32(b->value) && fits_i32(-b->value))
        become_imm(f, op, OP_addw, op->in[0], -b->value);
}

static void rule_shiftw(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    i64 n = b->value & 31;

    if (!is_const(b))
        return;
    if (n == 0)
        become_ext(f, op, OP_sext32, op->in[0]);
    else if (op->op == OP_sllw && a->width + n <= 32)
        become_imm(f, op, OP_sll, op->in[0], n);
    else if (op->op == OP_srlw && a->low <= 32)
        become_imm(f, op, OP_srl, op->in[0], n);
    else if (op->op == OP_sraw && a->width <= 32)
        become_imm(f, op, OP_sra, op->in[0], n);
}

static void rule_mul(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    u64 v = (u64)b->value;

    if (!is_const(b))
        return;
    if (v == 0)
        become_const(f, op, 0);
    else if (v == 1)
        become_mov(op, op->in[0]);
    else if (!(v & (v - 1)))
        become_imm(f, op, OP_sll, op->in[0], __builtin_ctzll(v));
}

static void rule_mulw(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 0))
        become_const(f, op, 0);
    else if (equals(b, 1))
        become_ext(f, op, OP_sext32, op->in[0]);
    else if (a->width + b->width <= 32)
        become(op, OP_mul, op->in[0], op->in[1]);
}

static void rule_div(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 1))
        become_mov(op, op->in[0]);
}

static void rule_divw(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 1))
        become_ext(f, op, OP_sext32, op->in[0]);
}

static void rule_rem(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(b, 1))
        become_const(f, op, 0);
}

static void rule_less(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1] || (op->op == OP_sltu && equals(b, 0)))
        become_const(f, op, 0);
}

static void rule_pick(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (op->in[0] == op->in[1])
        become_mov(op, op->in[0]);
}

static void rule_shadd(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(a, 0))
        become_mov(op, op->in[1]);
    else if (equals(b, 0))
        become_imm(f, op, OP_sll, op->in[0], op->op - OP_sh1add + 1);
}

static void rule_cond(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (equals(a, 0))
        become_const(f, op, 0);
    else if (is_const(b) && (b->value == 0) == (op->op == OP_czeqz))
        become_const(f, op, 0);
    else if (is_const(b))
        become_mov(op, op->in[0]);
}

static void rule_ext(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    become_ext(f, op, op->op, op->in[0]);
}

static void rule_known(Op *op, const Facts *a, u8 known)
{
    if (a->is & known)
        become(op, OP_fmov, op->in[0], VAL_NONE);
}

static void rule_funbox(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    rule_known(op, a, KNOWN_BOXED);
}

static void rule_fcanon_d(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    rule_known(op, a, KNOWN_CANON_D);
}

static void rule_fcanon_s(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    rule_known(op, a, KNOWN_CANON_S);
}

/* The sign of a put on a itself. */
static void rule_fsgnj(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    static const u16 unary[OP_COUNT] = {
        [OP_fsgnj_d] = OP_fmov, [OP_fsgnjn_d] = OP_fneg_d, [OP_fsgnjx_d] = OP_fabs_d,
        [OP_fsgnj_s] = OP_fmov, [OP_fsgnjn_s] = OP_fneg_s, [OP_fsgnjx_s] = OP_fabs_s,
    };

    if (op->in[0] == op->in[1])
        become(op, unary[op->op], op->in[0], VAL_NONE);
}

static void rule_branch(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    fold_branch(f, op);
}

static void rule_jump(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    if (is_const(a) && op->imm != JUMP_ANEW)
        fold_jump(f, op, (u64)a->value);
}

/* clang-format off */
#define H(name) HINT_##name
const FoldRule fold_rules[OP_COUNT] = {
    [OP_add]       = {rule_add,      H(TINY) | H(SHIFT)},
    [OP_sub]       = {rule_sub,      H(SAME) | H(CONST)},
    [OP_and]       = {rule_and,      H(SAME) | H(CONST) | H(BOUND)},
    [OP_or]        = {rule_or,       H(SAME) | H(TINY) | H(SHIFT)},
    [OP_xor]       = {rule_xor,      H(SAME) | H(TINY) | H(SHIFT)},
    [OP_andn]      = {rule_andn,     H(SAME) | H(TINY)},
    [OP_orn]       = {rule_orn,      H(SAME) | H(TINY)},
    [OP_xnor]      = {rule_xnor,     H(SAME) | H(TINY)},
    [OP_sll]       = {rule_shift,    H(TINY) | H(SHIFT_A)},
    [OP_srl]       = {rule_shift,    H(TINY) | H(SHIFT_A)},
    [OP_sra]       = {rule_shift,    H(TINY) | H(SHIFT_A)},
    [OP_rol]       = {rule_shift,    H(TINY) | H(SHIFT_A)},
    [OP_ror]       = {rule_shift,    H(TINY) | H(SHIFT_A)},
    [OP_addw]      = {rule_addw,     H(TINY) | H(BOUND) | H(SHIFT)},
    [OP_subw]      = {rule_subw,     H(SAME) | H(CONST) | H(BOUND)},
    [OP_sllw]      = {rule_shiftw,   H(TINY) | H(BOUND)},
    [OP_srlw]      = {rule_shiftw,   H(TINY) | H(BOUND)},
    [OP_sraw]      = {rule_shiftw,   H(TINY) | H(BOUND)},
    [OP_rolw]      = {rule_shiftw,   H(TINY) | H(BOUND)},
    [OP_rorw]      = {rule_shiftw,   H(TINY) | H(BOUND)},
    [OP_mul]       = {rule_mul,      H(CONST)},
    [OP_mulw]      = {rule_mulw,     H(TINY) | H(BOUND)},
    [OP_div]       = {rule_div,      H(TINY)},
    [OP_divu]      = {rule_div,      H(TINY)},
    [OP_divw]      = {rule_divw,     H(TINY)},
    [OP_divuw]     = {rule_divw,     H(TINY)},
    [OP_rem]       = {rule_rem,      H(TINY)},
    [OP_remu]      = {rule_rem,      H(TINY)},
    [OP_remw]      = {rule_rem,      H(TINY)},
    [OP_remuw]     = {rule_rem,      H(TINY)},
    [OP_slt]       = {rule_less,     H(SAME) | H(TINY)},
    [OP_sltu]      = {rule_less,     H(SAME) | H(TINY)},
    [OP_min]       = {rule_pick,     H(SAME)},
    [OP_max]       = {rule_pick,     H(SAME)},
    [OP_minu]      = {rule_pick,     H(SAME)},
    [OP_maxu]      = {rule_pick,     H(SAME)},
    [OP_sh1add]    = {rule_shadd,    H(TINY)},
    [OP_sh2add]    = {rule_shadd,    H(TINY)},
    [OP_sh3add]    = {rule_shadd,    H(TINY)},
    [OP_czeqz]     = {rule_cond,     H(CONST)},
    [OP_cznez]     = {rule_cond,     H(CONST)},
    [OP_sext8]     = {rule_ext,      H(BOUND)},
    [OP_sext16]    = {rule_ext,      H(BOUND)},
    [OP_sext32]    = {rule_ext,      H(BOUND)},
    [OP_zext8]     = {rule_ext,      H(BOUND)},
    [OP_zext16]    = {rule_ext,      H(BOUND)},
    [OP_zext32]    = {rule_ext,      H(BOUND)},
    [OP_funbox]    = {rule_funbox,   H(BOUND)},
    [OP_fcanon_d]  = {rule_fcanon_d, H(BOUND)},
    [OP_fcanon_s]  = {rule_fcanon_s, H(BOUND)},
    [OP_fsgnj_d]   = {rule_fsgnj,    H(SAME)},
    [OP_fsgnjn_d]  = {rule_fsgnj,    H(SAME)},
    [OP_fsgnjx_d]  = {rule_fsgnj,    H(SAME)},
    [OP_fsgnj_s]   = {rule_fsgnj,    H(SAME)},
    [OP_fsgnjn_s]  = {rule_fsgnj,    H(SAME)},
    [OP_fsgnjx_s]  = {rule_fsgnj,    H(SAME)},
    [OP_beq]       = {rule_branch,   H(TEST)},
    [OP_bne]       = {rule_branch,   H(TEST)},
    [OP_jump]      = {rule_jump,     H(CONST)},
};
#undef H
/* clang-format on */
