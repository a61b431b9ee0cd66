/* SPDX-License-Identifier: MIT */
/*
 * One pass forward: constants, copies, identities, extensions of what is already
 * extended, and idioms (zero extension by two shifts, rotation by three ops, a
 * branch on a comparison).  What an op computes may change, and how; where and when
 * a global is written does not, but for two neighbouring ops that nothing can
 * observe apart.  Dropping what is no longer read is pass_dead's.
 */
#include "fold.h"

#include <string.h>

/* ---- hints ---- */

/* Without a branch: which kind of value an operand is cannot be predicted. */
static inline u32 hint(const Fold *f, Val v)
{
    return f->hint[MIN(v, VAL_CONST + IR_CONSTS)];
}

static inline u32 hints(const Fold *f, const Op *op)
{
    u32 a = hint(f, op->in[0]), b = hint(f, op->in[1]), c = hint(f, op->in[2]);
    u32 any = HINT_COPY | HINT_KNOWN | HINT_CONST | HINT_TINY | HINT_EXT;
    u32 both = HINT_BOUND | HINT_ALL | HINT_SHIFT;

    return ((a | b) & any) | (a & b & both) | (a & HINT_TEST) | (c & HINT_COPY) |
           (op->in[0] == op->in[1]) * HINT_SAME | !!(a & HINT_SHIFT) * HINT_SHIFT_A |
           !!((a | b) & HINT_BOUND) * HINT_EITHER | HINT_ANY;
}

/* What the results of an op are good for. */
static const u16 result_hint[OP_COUNT] = {
    [OP_sll] = HINT_SHIFT,  [OP_srl] = HINT_SHIFT,  [OP_sllw] = HINT_SHIFT,
    [OP_srlw] = HINT_SHIFT, [OP_slt] = HINT_TEST,   [OP_sltu] = HINT_TEST,
    [OP_xor] = HINT_TEST,   [OP_sub] = HINT_TEST,   [OP_add] = HINT_TEST,
    [OP_sext32] = HINT_EXT, [OP_zext32] = HINT_EXT,
};

static inline u32 hint_of_facts(const Facts *x)
{
    u32 known = HINT_KNOWN | HINT_CONST | HINT_TINY | HINT_ALL;
    bool bound = x->is | (x->width < 64);

    return (x->is & KNOWN_CONST) * known | bound * HINT_BOUND;
}

/* ---- what ops leave behind ---- */

static void record_move(Fold *f, const Op *op, u16 index)
{
    Val d = op->out, from = op->in[0];
    Facts x = facts(f, from);
    u32 hint = HINT_PLACE | hint_of_facts(&x), id;

    if (d == from)
        return;
    if (val_is_const(from)) {
        id = ++f->last_id;
        from = VAL_NONE;
    } else {
        id = place(f, from)->id;
        f->place[from].twin = val_is_global(d) ? d : VAL_NONE;
        hint |= HINT_COPY;
    }
    f->place[d] = (Place){x, id, 0, (u16)(index + 1), from, VAL_NONE, VAL_NONE};
    f->hint[d] = (u16)hint;
}

static void record_result(Fold *f, const Op *op, u16 index, const Facts *facts)
{
    Place now = {*facts,   ++f->last_id, 0,       (u16)(index + 1),
                 VAL_NONE, VAL_NONE,     VAL_NONE};

    if (op->in[0] < VAL_CONST) {
        Place *a = place(f, op->in[0]);

        now.source = a->id;
        now.source_twin = a->twin;
    }
    f->place[op->out] = now;
    f->hint[op->out] = (u16)(HINT_PLACE | hint_of_facts(facts) | result_hint[op->op]);
}

static inline void record(Fold *f, const Op *op, u16 index, u32 h)
{
    Facts a, b, x;

    if (op->op == OP_mov || op->op == OP_fmov) {
        record_move(f, op, index);
    } else if (op->out != VAL_NONE) {
        x = facts_of_kind(op->op);
        if (h & facts_when[op->op]) {
            a = facts(f, op->in[0]);
            b = facts(f, op->in[1]);
            x = facts_of_op(op->op, &a, &b);
        }
        record_result(f, op, index, &x);
    }
}

void fold_record(Fold *f, const Op *op, u16 index)
{
    record(f, op, index, hints(f, op));
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
                   ? fold_const(f, p->facts.value)
                   : v;
    if (p->copy == VAL_NONE || place(f, p->copy)->id != p->id)
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
    x = source_of(f, v, ext);
    return x != VAL_NONE && as_near(f, v, x) ? x : v;
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
    } else if (fold_rules[op->op].rule) {
        fold_rules[op->op].rule(f, op, &a, &b);
    }
}

/* Is there anything to be gained from looking at the op closely? */
static bool is_promising(const Op *op, const OpDesc *desc, u32 h)
{
    u32 when = HINT_COPY | HINT_KNOWN | HINT_ALL;

    if (op->op == OP_mov || op->op == OP_fmov)
        return h & HINT_COPY;
    if (desc->flags & COMM && val_is_const(op->in[0]))
        return true;
    if (desc->flags & LOW)
        when |= HINT_EXT;
    return h & (when | fold_rules[op->op].when);
}

/* Nothing is known of any global: at the start, and after a helper. */
static void forget_globals(Fold *f, u16 floor)
{
    f->floor = floor;
    memset(f->hint, 0, VAL_TEMP * sizeof(f->hint[0]));
}

static void start(Fold *f, Ir *ir)
{
    f->ir = ir;
    f->insn = f->prev = 0;
    f->last_id = 0;
    for (u32 i = 0; i < ir->n_consts; i++)
        f->hint[VAL_CONST + i] = hint_of_const(ir->consts[i]);
    f->hint[VAL_CONST + IR_CONSTS] = HINT_BOUND | HINT_ALL;
    forget_globals(f, 0);
}

static void fold_op(Fold *f, Op *op)
{
    const OpDesc *desc = &op_desc[op->op];
    u32 h = hints(f, op);

    if (is_promising(op, desc, h)) {
        improve_operands(f, op, desc);
        simplify(f, op, desc);
        h = hints(f, op);
    }
    record(f, op, f->at, h);
}

void pass_fold(Ir *ir)
{
    Fold f;

    start(&f, ir);
    for (u32 i = 0; i < ir->n_ops; i++) {
        Op *op = &ir->ops[i];

        f.at = (u16)i;
        if (op->op == OP_insn) {
            f.insn = f.at;
            continue;
        }
        if (op->op == OP_call) {
            forget_globals(&f, (u16)(i + 1));
            fold_record(&f, op, f.at);
        } else {
            fold_op(&f, op);
        }
        f.prev = f.at;
    }
}
