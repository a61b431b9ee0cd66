/* SPDX-License-Identifier: MIT */
/*
 * Inside pass_fold: what is known of values (fold_facts.c), one rule for each kind
 * of op (fold_rules.c), and what ops in a row amount to (fold_idioms.c).
 */
#ifndef TESSERA_FOLD_H
#define TESSERA_FOLD_H

#include "microops.h"

/* ---- fold_facts.c ---- */

/* What is known of a value. */
typedef struct Facts {
    i64 value; /* if constant */
    u8 is;     /* KNOWN_* */
    u8 low;    /* it is below 2^low */
    u8 width;  /* it fits a signed integer of so many bits */
} Facts;

enum {
    KNOWN_CONST = 1,
    KNOWN_BOXED = 2,   /* a boxed single */
    KNOWN_CANON_D = 4, /* a number or the canonical NaN, as a double */
    KNOWN_CANON_S = 8, /* the same, as a boxed single */
};

/* An operand that is missing, or of which nothing is known. */
#define FACTS_NOTHING ((Facts){.low = 64, .width = 64})

static inline bool is_const(const Facts *a) { return a->is & KNOWN_CONST; }
static inline bool equals(const Facts *a, i64 v)
{
    return is_const(a) && a->value == v;
}

Facts facts_of_const(i64 value);
/* Of the result of op, whatever its operands. */
static inline Facts facts_of_kind(OpCode op)
{
    u32 flags = op_desc[op].flags;
    u8 low = flags & BOOL ? 1 : 64, width = flags & BOOL ? 2 : flags & SEXT ? 32 : 64;

    return (Facts){.is = flags & BOX ? KNOWN_BOXED : 0, .low = low, .width = width};
}

/* There is more to it than that if the op has any of these hints (enum Hint). */
extern const u16 facts_when[OP_COUNT];
/* Of the result of op, for operands of which a and b are known. */
Facts facts_of_op(OpCode op, const Facts *a, const Facts *b);

/* ---- pass_fold.c: values and who made them ---- */

/*
 * A global or temp.  "Written at n" means: by the op of index n - 1; 0: before.  A
 * value's id is the same wherever moves took it.
 */
typedef struct Place {
    Facts facts;
    u32 id;     /* of the value here */
    u32 source; /* of the first operand of the op that made it; 0: none */
    u16 written;
    Val copy; /* where the value here was moved from, */
    Val twin; /* or a global it was moved to; either may hold another by now */
    Val source_twin;
} Place;

/*
 * What may be worth a closer look at a value: most ops have nothing to them, and
 * hints tell without a branch.
 */
enum Hint {
    HINT_COPY = 1,   /* it was a copy once */
    HINT_KNOWN = 2,  /* a place with a constant in it */
    HINT_CONST = 4,  /* a constant, or KNOWN */
    HINT_TINY = 8,   /* -1, 0 or 1; or KNOWN */
    HINT_BOUND = 16, /* its Facts are not nothing; in a test of two: both's */
    HINT_ALL = 32,   /* CONST or missing; in a test of two: both */
    HINT_SHIFT = 64, /* made by a shift; in a test of two: both */
    HINT_TEST = 128, /* made by an op that a branch could do itself */
    HINT_EXT = 256,  /* made by sext32 or zext32 */
    /* Of a pair of operands only: */
    HINT_SAME = 512,
    HINT_SHIFT_A = 1024, /* the first was made by a shift */
    HINT_EITHER = 2048,  /* BOUND is one of them */
    HINT_ANY = 4096,     /* always */
    /* Of a global or temp only: */
    HINT_PLACE = 8192, /* its Place is valid; else nothing is known of it */
};

typedef struct Fold {
    Ir *ir;
    u32 last_id; /* of a value */
    u16 floor;   /* when a global without a Place was written */
    u16 insn;    /* index of the instruction's OP_insn: its temps are written later */
    u16 prev;    /* index of the op before the one at hand, OP_insn not counted */
    u16 at;      /* index of the op at hand */
    Place place[VAL_CONST];
    u16 hint[VAL_CONST + IR_CONSTS + 1]; /* HINT_*, by Val; the last: VAL_NONE */
} Fold;

static inline u16 hint_of_const(i64 value)
{
    bool tiny = (u64)value + 1 <= 2;

    return (u16)(HINT_CONST | HINT_BOUND | HINT_ALL | tiny * HINT_TINY);
}

static inline Place *place(Fold *f, Val v)
{
    Place *p = &f->place[v];

    if (!f->hint[v]) {
        f->hint[v] = HINT_PLACE;
        *p = (Place){FACTS_NOTHING, ++f->last_id, 0,       f->floor,
                     VAL_NONE,      VAL_NONE,     VAL_NONE};
    }
    return p;
}

static inline Facts facts(Fold *f, Val v)
{
    if (v == VAL_NONE)
        return FACTS_NOTHING;
    return val_is_const(v) ? facts_of_const(ir_value(f->ir, v)) : place(f, v)->facts;
}

/* Has v still the value that the op at index read in it? */
static inline bool unchanged(Fold *f, Val v, u16 index)
{
    if (val_is_const(v))
        return true;
    return place(f, v)->written <= index && (v < VAL_TEMP || index >= f->insn);
}

/* The op that made v, if it is one of this block. */
static inline Op *maker(Fold *f, Val v)
{
    u16 written = v < VAL_CONST ? place(f, v)->written : 0;

    if (!written || f->ir->ops[written - 1].out != v)
        return NULL;
    return &f->ir->ops[written - 1];
}

/* May the op at hand read v, which some op before it read? */
static inline bool in_reach(const Fold *f, Val v, u16 index)
{
    return val_is_global(v) || (val_is_temp(v) && index >= f->insn);
}

static inline u16 index_of(const Fold *f, const Op *op)
{
    return (u16)(op - f->ir->ops);
}

/* Where the first operand of made, an op whose result v still holds, can be read now;
 * VAL_NONE: nowhere. */
static inline Val source_of(Fold *f, Val v, const Op *made)
{
    Place *p = place(f, v);
    Val in = made->in[0], twin = p->source_twin;

    if (p->source && in_reach(f, in, index_of(f, made)) &&
        place(f, in)->id == p->source)
        return in;
    if (p->source && twin != VAL_NONE && place(f, twin)->id == p->source)
        return twin;
    return VAL_NONE;
}

/* The constant count of a shift; -1: not constant. */
static inline i64 shift_count(const Fold *f, const Op *op, u32 bits)
{
    return val_is_const(op->in[1]) ? ir_value(f->ir, op->in[1]) & (bits - 1) : -1;
}

/* The op at index is done: notes what its result is. */
void fold_record(Fold *f, const Op *op, u16 index);

/* ---- rewriting the op at hand ---- */

static inline void become(Op *op, OpCode code, Val a, Val b)
{
    op->op = (u16)code;
    op->in[0] = a;
    op->in[1] = b;
}

static inline bool has_const_room(const Fold *f) { return f->ir->n_consts < IR_CONSTS; }

static inline Val fold_const(Fold *f, i64 value)
{
    Val v = ir_const(f->ir, value);

    f->hint[v] = hint_of_const(value);
    return v;
}

static inline void become_const(Fold *f, Op *op, i64 value)
{
    if (has_const_room(f))
        become(op, OP_mov, fold_const(f, value), VAL_NONE);
}

static inline void become_imm(Fold *f, Op *op, OpCode code, Val a, i64 b)
{
    if (has_const_room(f))
        become(op, code, a, fold_const(f, b));
}

static inline void become_mov(Op *op, Val a) { become(op, OP_mov, a, VAL_NONE); }

/* ---- fold_idioms.c: each leaves op alone or makes one op of several ---- */

/* sll by a constant, then srl or sra by one: an extension, or a shift of a word. */
void fold_shift_pair(Fold *f, Op *op);
/* Two shifts joined by or, xor or add: a rotation. */
void fold_rotate(Fold *f, Op *op);
/* beq or bne of a comparison and 0: the branch that compares. */
void fold_branch(Fold *f, Op *op);
/* To a known pc: a direct exit, with a check where it goes back. */
void fold_jump(Fold *f, Op *op, u64 pc);

/* ---- fold_rules.c: identities ---- */

/* a and b: what is known of the operands. */
typedef void Rule(Fold *f, Op *op, const Facts *a, const Facts *b);

typedef struct FoldRule {
    Rule *rule; /* NULL: none */
    u16 when;   /* any of these hints of its operands make it worth calling */
} FoldRule;

extern const FoldRule fold_rules[OP_COUNT];

#endif
