/* SPDX-License-Identifier: MIT */
/*
 * What several ops amount to together: extensions by two shifts, rotations by three
 * ops, branches on the result of a comparison.
 */
#include "fold.h"

/* ---- pairs and triples of shifts ---- */

/* Is op, at index, the neighbour of the op at hand and works in place on a global? */
static bool in_place(const Fold *f, const Op *op, u16 index)
{
    return index == f->prev && op->out == op->in[0] && val_is_global(op->out);
}

/*
 * The op at hand, "d = code(a[, b])" in the end, was about to read what the
 * neighbour made of a in place.  It goes before the neighbour, and the neighbour
 * after it, or away if it has been overwritten.
 */
static void swap_in_place(Fold *f, Op *op, Op *neighbour, OpCode code, Val b)
{
    Op later = *neighbour;
    Val a = neighbour->in[0];
    Place *before = place(f, a);

    *neighbour = (Op){.op = (u16)code, .out = op->out, .in = {a, b, VAL_NONE}};
    *before = (Place){FACTS_NOTHING, before->source, 0,       before->written,
                      VAL_NONE,      VAL_NONE,       VAL_NONE};
    f->hint[a] = HINT_PLACE;
    fold_record(f, neighbour, index_of(f, neighbour));
    *op = later;
    if (neighbour->out == a)
        become_mov(op, a);
}

/* a << left >> right, with what moves bits to the same place in one op. */
static OpCode shift_pair(bool sign, i64 left, i64 right, i64 *count)
{
    *count = -1;
    if (left == right && left == 32)
        return sign ? OP_sext32 : OP_zext32;
    if (left == right && left == 48)
        return sign ? OP_sext16 : OP_zext16;
    if (left == right && left == 56)
        return sign ? OP_sext8 : OP_zext8;
    *count = right - left;
    if (left == 32 && right > 32)
        return sign ? OP_sraw : OP_srlw;
    return OP_COUNT;
}

void fold_shift_pair(Fold *f, Op *op)
{
    Op *first = maker(f, op->in[0]);
    i64 right = shift_count(f, op, 64), left, count;
    Val a, b = VAL_NONE;
    OpCode code;

    if (!first || first->op != OP_sll || right < 0)
        return;
    left = shift_count(f, first, 64);
    code = shift_pair(op->op == OP_sra, left, right, &count);
    if (code == OP_COUNT || !has_const_room(f))
        return;
    if (count >= 0)
        b = fold_const(f, count);
    a = source_of(f, op->in[0], first);
    if (a != VAL_NONE)
        become(op, code, a, b);
    else if (in_place(f, first, index_of(f, first)) && val_is_global(op->out))
        swap_in_place(f, op, first, code, b);
}

/* Are these two shifts, if of one value, a rotation by *right?  The op to use for it.
 */
static OpCode rotation(const Fold *f, const Op *l, const Op *r, i64 *right)
{
    bool word = l->op == OP_sllw && r->op == OP_srlw;
    u32 bits = word ? 32 : 64;
    i64 left = shift_count(f, l, bits);

    *right = shift_count(f, r, bits);
    if (!word && !(l->op == OP_sll && r->op == OP_srl))
        return OP_COUNT;
    if (left <= 0 || *right <= 0 || left + *right != bits)
        return OP_COUNT;
    return word ? OP_rorw : OP_ror;
}

/* The value that both of these places were made of can be read there; or nowhere. */
static Val common_source(Fold *f, Val x, Val y)
{
    Val v = source_of(f, x, maker(f, x));

    return v != VAL_NONE ? v : source_of(f, y, maker(f, y));
}

void fold_rotate(Fold *f, Op *op)
{
    Op *x = maker(f, op->in[0]), *y = maker(f, op->in[1]), *last = MAX(x, y);
    OpCode code;
    i64 right;
    Val a;

    if (!x || !y || x == y || place(f, x->out)->source != place(f, y->out)->source)
        return;
    code = rotation(f, x, y, &right);
    if (code == OP_COUNT)
        code = rotation(f, y, x, &right);
    if (code == OP_COUNT || (op->op == OP_addw && code != OP_rorw) ||
        !has_const_room(f))
        return;
    a = common_source(f, x->out, y->out);
    if (a != VAL_NONE)
        become(op, code, a, fold_const(f, right));
    else if (in_place(f, last, index_of(f, last)) && val_is_global(op->out) &&
             place(f, x->out)->source)
        swap_in_place(f, op, last, code, fold_const(f, right));
}

/* ---- branches and jumps ---- */

/* beq or bne of test, made by one op, and 0: the branch that tests its operands. */
static OpCode branch_on(const Fold *f, const Op *test, bool if_zero)
{
    bool one = val_is_const(test->in[1]) && ir_value(f->ir, test->in[1]) == 1;

    switch (test->op) {
    case OP_slt: return if_zero ? OP_bge : OP_blt;
    case OP_sltu:
        if (one)
            return if_zero ? OP_bne : OP_beq; /* seqz; operand b becomes 0 */
        return if_zero ? OP_bgeu : OP_bltu;
    case OP_add:
        if (!val_is_const(test->in[1]))
            return OP_COUNT;
        return if_zero ? OP_beq : OP_bne; /* operand b changes its sign */
    case OP_sub:
    case OP_xor: return if_zero ? OP_beq : OP_bne;
    default: return OP_COUNT;
    }
}

static bool is_const_val(const Fold *f, Val v, i64 value)
{
    return val_is_const(v) && ir_value(f->ir, v) == value;
}

/* An operand that a branch may compare with instead of what was made of it. */
static bool is_comparable(Fold *f, Val v, u16 made)
{
    if (val_is_const(v))
        return fits_i32(ir_value(f->ir, v)) && ir_value(f->ir, v) != INT32_MIN;
    return unchanged(f, v, made);
}

void fold_branch(Fold *f, Op *op)
{
    Op *test = maker(f, op->in[0]);
    Val zero = op->in[1], x, y;
    OpCode code;

    if (!test || !is_const_val(f, zero, 0))
        return;
    code = branch_on(f, test, op->op == OP_beq);
    if (code == OP_COUNT || !has_const_room(f))
        return;
    x = test->in[0];
    y = test->in[1];
    if (!is_comparable(f, x, index_of(f, test)) ||
        !is_comparable(f, y, index_of(f, test)))
        return;
    if (test->op == OP_sltu && is_const_val(f, y, 1))
        y = zero;
    else if (test->op == OP_sltu && is_const_val(f, x, 0))
        x = y, y = zero, code = op->op; /* snez */
    else if (test->op == OP_add)
        y = fold_const(f, -ir_value(f->ir, y));
    become(op, code, x, y);
}

void fold_jump(Fold *f, Op *op, u64 pc)
{
    Ir *ir = f->ir;

    if (ir->n_exits == IR_EXITS || !ir->n_insns)
        return;
    op->exit = ir_exit(ir, EXIT_JUMP, TRAP_NONE, pc);
    ir->exits[op->exit].loop = pc <= ir->insns[ir->n_insns - 1].pc;
    become(op, OP_leave, VAL_NONE, VAL_NONE);
}
