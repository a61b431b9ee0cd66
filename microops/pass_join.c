/* SPDX-License-Identifier: MIT */
/*
 * Two ops into one, where the first one's result lives only until the second: a shift
 * left by 1 to 3 and an addition are the op that indexes an array.  pass_fold cannot
 * see this, for the shift is mostly in place, and the addition comes some ops later.
 */
#include "microops.h"

#include <string.h>

enum { JOIN_WITHIN = 24 }; /* ops */

static bool reads(const Op *op, Val v)
{
    return op->in[0] == v || op->in[1] == v || op->in[2] == v;
}

/* May globals be seen here as they are? */
static bool observes(const Op *op)
{
    return op_desc[op->op].flags & (LEAVE | FAULT) || op->op == OP_call;
}

static bool is_index(const Ir *ir, const Op *op)
{
    return op->op == OP_sll && val_is_global(op->out) && val_is_global(op->in[0]) &&
           val_is_const(op->in[1]) && (u64)ir_value(ir, op->in[1]) - 1 < 3;
}

/* "x = x + b", which is the last that is seen of the old x. */
static bool adds_to(const Op *op, Val x, Val *b)
{
    if (op->op != OP_add || op->out != x || (op->in[0] == x) == (op->in[1] == x))
        return false;
    *b = op->in[0] == x ? op->in[1] : op->in[0];
    return !val_is_const(*b);
}

/* The addition to join the shift at index to; NULL: none. */
static Op *find_addition(Ir *ir, u32 index, Val *b)
{
    Op *shift = &ir->ops[index];
    Val x = shift->out, y = shift->in[0];
    u32 end = MIN(index + JOIN_WITHIN, ir->n_ops);

    for (u32 i = index + 1; i < end; i++) {
        Op *op = &ir->ops[i];

        if (adds_to(op, x, b))
            return op;
        if (observes(op) || reads(op, x) || op->out == x || op->out == y)
            return NULL;
    }
    return NULL;
}

static bool join(Ir *ir, u32 index)
{
    Op *shift = &ir->ops[index], *add;
    Val b;

    if (!is_index(ir, shift) || !(add = find_addition(ir, index, &b)))
        return false;
    add->op = (u16)(OP_sh1add + ir_value(ir, shift->in[1]) - 1);
    add->in[0] = shift->in[0];
    add->in[1] = b;
    return true;
}

void pass_join(Ir *ir)
{
    u32 to = 0;

    for (u32 i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].op == OP_insn)
            ir->insns[ir->ops[i].imm].op = (u16)to;
        else if (join(ir, i))
            continue;
        ir->ops[to++] = ir->ops[i];
    }
    ir->n_ops = to;
}
