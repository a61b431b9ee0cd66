/* SPDX-License-Identifier: MIT */
/*
 * One pass from the end to the beginning: drops results that nobody reads, and
 * extensions of results of which nobody reads the upper half.  Whatever may leave
 * the block or fault, and every helper, sees all globals in full; temps are seen
 * by the ops that use them.
 */
#include "microops.h"

#include <string.h>

/* For each value, is it read further on, and are its upper 32 bits? */
typedef struct Live {
    u64 any[VAL_CONST / 64], high[VAL_CONST / 64];
} Live;

static inline bool bit_get(const u64 *bits, Val v)
{
    return bits[v / 64] >> v % 64 & 1;
}
static inline void bit_set(u64 *bits, Val v)
{
    bits[v / 64] |= 1ull << v % 64;
}
static inline void bit_clear(u64 *bits, Val v)
{
    bits[v / 64] &= ~(1ull << v % 64);
}

/* The low half of the result depends on nothing but the operands' low halves. */
static bool is_transparent(OpCode op)
{
    switch (op) {
    case OP_mov:
    case OP_add:
    case OP_sub:
    case OP_and:
    case OP_or:
    case OP_xor:
    case OP_andn:
    case OP_orn:
    case OP_xnor:
    case OP_sll:
    case OP_mul:
    case OP_sh1add:
    case OP_sh2add:
    case OP_sh3add: return true;
    default: return false;
    }
}

/* Reads only the low half of this operand? */
static bool reads_low(const Op *op, u32 operand, bool high_dead)
{
    switch (op->op) {
    case OP_st8:
    case OP_st16:
    case OP_st32: return operand == 1;
    default:
        return op_desc[op->op].flags & LOW || (high_dead && is_transparent(op->op));
    }
}

/* The cheaper op with the same low half. */
static OpCode narrowed(const Ir *ir, const Op *op)
{
    switch (op->op) {
    case OP_addw: return OP_add;
    case OP_subw: return OP_sub;
    case OP_mulw: return OP_mul;
    case OP_sext32:
    case OP_zext32: return OP_mov;
    case OP_sllw:
        if (val_is_const(op->in[1]) && (u64)ir_value(ir, op->in[1]) < 32)
            return OP_sll;
        return OP_sllw;
    default: return op->op;
    }
}

static bool is_self_move(const Op *op)
{
    return (op->op == OP_mov || op->op == OP_fmov) && op->out == op->in[0];
}

static void read_operands(Live *live, const Op *op, bool high_dead)
{
    for (u32 i = 0; i < 3; i++) {
        Val v = op->in[i];

        if (v >= VAL_CONST)
            continue;
        bit_set(live->any, v);
        if (!reads_low(op, i, high_dead))
            bit_set(live->high, v);
    }
}

/* Steps over op, against the direction of time.  False: it can go. */
static bool step(Live *live, const Ir *ir, Op *op)
{
    u32 flags = op_desc[op->op].flags;
    bool high_dead = false;

    if (op->out != VAL_NONE) {
        if (flags & PURE) {
            if (!bit_get(live->any, op->out))
                return false;
            high_dead = !bit_get(live->high, op->out);
            if (high_dead)
                op->op = (u16)narrowed(ir, op);
            if (is_self_move(op))
                return false;
        }
        bit_clear(live->any, op->out);
        bit_clear(live->high, op->out);
    }
    if (flags & (LEAVE | FAULT) || op->op == OP_call)
        live->any[0] = live->high[0] = ~0ull;
    read_operands(live, op, high_dead);
    return true;
}

void pass_dead(Ir *ir)
{
    Live live = {.any = {~0ull}, .high = {~0ull}};
    u32 to = ir->n_ops, gone;

    for (u32 i = ir->n_ops; i-- > 0;) {
        Op *op = &ir->ops[i];

        if (op->op == OP_insn)
            ir->insns[op->imm].op = (u16)(to - 1);
        else if (!step(&live, ir, op))
            continue;
        if (--to != i)
            ir->ops[to] = *op;
    }
    gone = to;
    if (!gone)
        return;
    ir->n_ops -= gone;
    memmove(ir->ops, ir->ops + gone, ir->n_ops * sizeof(*ir->ops));
    for (u32 i = 0; i < ir->n_insns; i++)
        ir->insns[i].op = (u16)(ir->insns[i].op - gone);
}
