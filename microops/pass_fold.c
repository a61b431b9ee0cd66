/* SPDX-License-Identifier: MIT */
/*
 * One pass forward: constants, copies, identities, extensions of what is already
 * extended, and idioms (zero extension by two shifts, rotation by three ops, a
 * branch on a comparison).  What an op computes may change, and how; where and when
 * a global is written does not, but for two neighbouring ops that nothing can
 * observe apart.  Dropping what is no longer read is pass_dead's.
 */
#include "fold.h"

static Facts facts_of_result(Fold *f, const Op *op)
{
    Facts a = facts(f, op->in[0]), b = facts(f, op->in[1]);

    return facts_of_op(op->op, &a, &b);
}

void fold_record(Fold *f, const Op *op, u16 index)
{
    bool move = op->op == OP_mov || op->op == OP_fmov;
    Place now = {.copy = VAL_NONE, .written = (u16)(index + 1)}, *p;

    if (op->out == VAL_NONE || (move && op->in[0] == op->out))
        return;
    now.facts = facts_of_result(f, op);
    if (move && !val_is_const(op->in[0])) {
        now.copy = op->in[0];
        now.copy_written = place(f, op->in[0])->written;
    }
    p = place(f, op->out);
    now.before = val_is_global(op->out) ? p->written : 0;
    *p = now;
}

/* ---- the pass ---- */

/* Is x as good a place to read as v? */
static bool as_near(const Fold *f, Val v, Val x)
{
    const GuestRegs *guest = (const GuestRegs *)f->ir->guest;

    if (val_is_temp(v))
        return true;
    return val_is_global(x) && (!guest || guest->globals[x].host != HOST_NONE ||
                                guest->globals[v].host == HOST_NONE);
}

/* Would the op rather have this operand's known value? */
static bool likes_const(const Op *op, u32 operand, i64 value)
{
    if (val_is_temp(op->in[operand]))
        return true;
    return fits_i32(value) && (operand == 1 || op_desc[op->op].flags & COMM);
}

/* The older place, or the constant, that the operand may be read from as well. */
static Val better(Fold *f, const Op *op, u32 operand)
{
    Val v = op->in[operand];
    Place *p = place(f, v);

    if (is_const(&p->facts))
        return has_const_room(f) && likes_const(op, operand, p->facts.value)
                   ? ir_const(f->ir, p->facts.value)
                   : v;
    if (p->copy == VAL_NONE || place(f, p->copy)->written != p->copy_written)
        return v;
    return as_near(f, v, p->copy) ? p->copy : v;
}

/* What v is an extension of, for an op that reads the low half. */
static Val unextended(Fold *f, Val v)
{
    const Op *ext = val_is_const(v) ? NULL : maker(f, v);
    Val x;

    if (!ext || (ext->op != OP_sext32 && ext->op != OP_zext32))
        return v;
    x = ext->in[0];
    return !val_is_const(x) && unchanged(f, x, index_of(f, ext)) && as_near(f, v, x)
               ? x
               : v;
}

static void improve_operands(Fold *f, Op *op, const OpDesc *desc)
{
    for (u32 i = 0; i < desc->n_in; i++) {
        if (op->in[i] < VAL_CONST)
            op->in[i] = better(f, op, i);
        if (desc->flags & LOW)
            op->in[i] = unextended(f, op->in[i]);
    }
}

static void swap_operands(Op *op, Facts *a, Facts *b)
{
    Val v = op->in[0];
    Facts x = *a;

    op->in[0] = op->in[1];
    op->in[1] = v;
    *a = *b;
    *b = x;
}

static bool is_foldable(const OpDesc *desc, const Facts *a, const Facts *b)
{
    return desc->out == CLS_R && desc->flags & PURE && is_const(a) &&
           (desc->n_in == 1 || is_const(b));
}

static void simplify(Fold *f, Op *op, const OpDesc *desc)
{
    Facts a = facts(f, op->in[0]), b = facts(f, op->in[1]);

    if (desc->flags & COMM && is_const(&a) && !is_const(&b))
        swap_operands(op, &a, &b);
    if (is_foldable(desc, &a, &b)) {
        if (op->op != OP_mov)
            become_const(f, op,
                         (i64)interp_fn[op->op](NULL, (u64)a.value, (u64)b.value, 0));
    } else if (fold_rules[op->op]) {
        fold_rules[op->op](f, op, &a, &b);
    }
}

/* A helper may write any global. */
static void forget_globals(Fold *f)
{
    f->seen = 0;
    f->floor = (u16)(f->at + 1);
}

void pass_fold(Ir *ir)
{
    Fold f;

    f.ir = ir;
    f.seen = f.floor = f.insn = f.prev = 0;
    for (u32 i = 0; i < ir->n_ops; i++) {
        Op *op = &ir->ops[i];
        const OpDesc *desc = &op_desc[op->op];

        f.at = (u16)i;
        if (op->op == OP_insn) {
            f.insn = f.at;
            continue;
        }
        if (op->op == OP_call) {
            forget_globals(&f);
        } else {
            improve_operands(&f, op, desc);
            simplify(&f, op, desc);
        }
        fold_record(&f, op, f.at);
        f.prev = f.at;
    }
}
