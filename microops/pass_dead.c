/* SPDX-License-Identifier: MIT */
/*
 * One pass from the end to the beginning: drops results that nobody reads, and
 * extensions of results of which nobody reads the upper half.  Whatever may leave
 * the block or fault, and every helper, sees all globals in full; temps are seen
 * by the ops that use them.
 */
#include "microops.h"

#include <string.h>

/*
 * Which values are read further on, and of which the upper halves: globals, and the
 * first 64 temps of each class.  An instruction with more has the rest kept.
 */
typedef struct Live {
    u64 any, high;
    u64 temps[2], high_temps[2];
} Live;

/* How an op reads; by bits, since which op comes next cannot be predicted. */
enum {
    LOW_A = 1, /* only the low half of operand a */
    LOW_B = 2,
    LOW_C = 4,
    LOW_ALL = 7,
    TRANSPARENT = 8, /* LOW_ALL where only the result's low half is read */
};

static const u8 reads[OP_COUNT] = {
    [OP_mov] = TRANSPARENT,    [OP_add] = TRANSPARENT,    [OP_sub] = TRANSPARENT,
    [OP_and] = TRANSPARENT,    [OP_or] = TRANSPARENT,     [OP_xor] = TRANSPARENT,
    [OP_andn] = TRANSPARENT,   [OP_orn] = TRANSPARENT,    [OP_xnor] = TRANSPARENT,
    [OP_sll] = TRANSPARENT,    [OP_mul] = TRANSPARENT,    [OP_sh1add] = TRANSPARENT,
    [OP_sh2add] = TRANSPARENT, [OP_sh3add] = TRANSPARENT, [OP_st8] = LOW_B,
    [OP_st16] = LOW_B,         [OP_st32] = LOW_B,
};

/* The cheaper op with the same low half. */
static OpCode narrowed(const Ir *ir, const Op *op)
{
    switch (op->op) {
    case OP_addw: return OP_add;
    case OP_subw: return OP_sub;
    case OP_mulw: return OP_mul;
    case OP_sext32:
    case OP_zext32: return OP_mov;
    case OP_rorw: return val_is_const(op->in[1]) ? OP_rorz : OP_rorw;
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

static inline u64 global_bit(Val v) { return (u64)val_is_global(v) << v % 64; }

static inline bool has_temps(const Op *op)
{
    return val_is_temp(op->in[0]) | val_is_temp(op->in[1]) | val_is_temp(op->in[2]);
}

/* Which of temps[] has the bit v % 64 for v; -1: none. */
static inline i32 temp_word(Val v)
{
    if ((u32)(v - VAL_TEMP) < 64)
        return 0;
    return (u32)(v - VAL_FTEMP) < 64 ? 1 : -1;
}

static void read_temp(Live *live, Val v, bool low)
{
    i32 at = temp_word(v);

    if (at < 0)
        return;
    live->temps[at] |= 1ull << v % 64;
    live->high_temps[at] |= (u64)!low << v % 64;
}

static inline void read_operands(Live *live, const Op *op, u32 flags, bool high_dead)
{
    u32 how = reads[op->op];
    bool all = (flags & LOW) | ((how & TRANSPARENT) && high_dead);
    u32 low = how | all * LOW_ALL;
    u64 a = global_bit(op->in[0]), b = global_bit(op->in[1]), c = global_bit(op->in[2]);

    live->any |= a | b | c;
    live->high |= (low & LOW_A ? 0 : a) | (low & LOW_B ? 0 : b) | (low & LOW_C ? 0 : c);
    if (has_temps(op)) {
        read_temp(live, op->in[0], low & LOW_A);
        read_temp(live, op->in[1], low & LOW_B);
        read_temp(live, op->in[2], low & LOW_C);
    }
}

/* Tells who reads v after this write of it: nobody, or not the upper half.  Before
 * it, nobody does. */
static inline void write(Live *live, Val v, bool *dead, bool *high_dead)
{
    u64 *any = &live->any, *high = &live->high, bit = global_bit(v);

    if (val_is_temp(v) && temp_word(v) >= 0) {
        bit = 1ull << v % 64;
        any = &live->temps[temp_word(v)];
        high = &live->high_temps[temp_word(v)];
    }
    *dead = bit & ~*any;
    *high_dead = bit & ~*high;
    *any &= ~bit;
    *high &= ~bit;
}

/* Steps over op, against the direction of time.  False: it can go. */
static inline bool step(Live *live, const Ir *ir, Op *op)
{
    u32 flags = op_desc[op->op].flags;
    bool dead, high_dead;
    u64 all;

    if (UNLIKELY(is_self_move(op)))
        return false;
    write(live, op->out, &dead, &high_dead);
    if (UNLIKELY(high_dead && flags & PURE)) {
        if (dead)
            return false;
        op->op = (u16)narrowed(ir, op);
        if (is_self_move(op)) {
            read_operands(live, op, flags, high_dead);
            return false;
        }
    }
    all = 0 - (u64)((flags & (LEAVE | FAULT)) != 0 || op->op == OP_call);
    live->any |= all;
    live->high |= all;
    read_operands(live, op, flags, high_dead);
    return true;
}

void pass_dead(Ir *ir)
{
    Live live = {.any = ~0ull, .high = ~0ull};
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
