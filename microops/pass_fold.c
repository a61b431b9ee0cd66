/* SPDX-License-Identifier: MIT */
/*
 * One pass forward: constants, copies, identities, extensions of what is already
 * extended, and idioms (zero extension by two shifts, rotation by three ops, a
 * branch on a comparison).  What an op computes may change, and how; where and when
 * a global is written does not, but for two neighbouring ops that nothing can
 * observe apart.  Dropping what is no longer read is pass_dead's.
 */
#include "facts.h"

/* A global or temp.  "Written at n" means: by the op of index n - 1; 0: before. */
typedef struct Place {
    Facts facts;
    u16 written, before; /* at; and the time before that */
    Val copy;            /* it equals this place, if that was last written at: */
    u16 copy_written;
} Place;

typedef struct Fold {
    Ir *ir;
    u64 seen; /* globals whose Place is valid; others are unknown, written at: */
    u16 floor;
    u16 insn; /* index of the instruction's OP_insn: its temps are written later */
    u16 prev; /* index of the op before the one at hand, OP_insn not counted */
    u16 at;   /* index of the op at hand */
    Place place[VAL_CONST];
} Fold;

/* ---- places and facts ---- */

static inline Place *place(Fold *f, Val v)
{
    Place *p = &f->place[v];

    if (v < VAL_TEMP && !(f->seen >> v & 1)) {
        f->seen |= 1ull << v;
        *p = (Place){FACTS_NOTHING, f->floor, f->floor, VAL_NONE, 0};
    }
    return p;
}

static Facts facts(Fold *f, Val v)
{
    if (v == VAL_NONE)
        return FACTS_NOTHING;
    return val_is_const(v) ? facts_of_const(ir_value(f->ir, v)) : place(f, v)->facts;
}

/* Has v still the value that the op at index read in it? */
static bool unchanged(Fold *f, Val v, u16 index)
{
    if (val_is_const(v))
        return true;
    return place(f, v)->written <= index && (v < VAL_TEMP || index >= f->insn);
}

/* The op that made v, if it is one of this block. */
static Op *maker(Fold *f, Val v)
{
    u16 written = v < VAL_CONST ? place(f, v)->written : 0;

    if (!written || f->ir->ops[written - 1].out != v)
        return NULL;
    return &f->ir->ops[written - 1];
}

static u16 index_of(const Fold *f, const Op *op)
{
    return (u16)(op - f->ir->ops);
}

/* The constant count of a shift; -1: not constant. */
static i64 shift_count(const Fold *f, const Op *op, u32 bits)
{
    return val_is_const(op->in[1]) ? ir_value(f->ir, op->in[1]) & (bits - 1) : -1;
}

/* ---- rewriting the op at hand ---- */

static void become(Op *op, OpCode code, Val a, Val b)
{
    op->op = (u16)code;
    op->in[0] = a;
    op->in[1] = b;
}

static bool has_const_room(const Fold *f)
{
    return f->ir->n_consts < IR_CONSTS;
}

static void become_const(Fold *f, Op *op, i64 value)
{
    if (has_const_room(f))
        become(op, OP_mov, ir_const(f->ir, value), VAL_NONE);
}

static void become_imm(Fold *f, Op *op, OpCode code, Val a, i64 b)
{
    if (has_const_room(f))
        become(op, code, a, ir_const(f->ir, b));
}

static void become_mov(Op *op, Val a)
{
    become(op, OP_mov, a, VAL_NONE);
}

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

/* ---- idioms ---- */

/* Forgets what is known of v, for an op that was moved. */
static void forget(Fold *f, Val v)
{
    Place *p = place(f, v);

    p->facts = FACTS_NOTHING;
    p->copy = VAL_NONE;
}

static void record(Fold *f, const Op *op, u16 index);

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

    *neighbour = (Op){.op = (u16)code, .out = op->out, .in = {a, b, VAL_NONE}};
    forget(f, a);
    record(f, neighbour, index_of(f, neighbour));
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

/* sll by a constant, then srl or sra by one. */
static void fold_shift_pair(Fold *f, Op *op)
{
    Op *first = maker(f, op->in[0]);
    i64 right = shift_count(f, op, 64), left, count;
    Val b = VAL_NONE;
    OpCode code;

    if (!first || first->op != OP_sll || right < 0)
        return;
    left = shift_count(f, first, 64);
    code = shift_pair(op->op == OP_sra, left, right, &count);
    if (code == OP_COUNT || !has_const_room(f))
        return;
    if (count >= 0)
        b = ir_const(f->ir, count);
    if (unchanged(f, first->in[0], index_of(f, first)))
        become(op, code, first->in[0], b);
    else if (in_place(f, first, index_of(f, first)) && val_is_global(op->out))
        swap_in_place(f, op, first, code, b);
}

/* Are these two shifts of one value a rotation by *right?  The op to use for it. */
static OpCode rotation(const Fold *f, const Op *l, const Op *r, i64 *right)
{
    bool word = l->op == OP_sllw && r->op == OP_srlw;
    u32 bits = word ? 32 : 64;
    i64 left = shift_count(f, l, bits);

    *right = shift_count(f, r, bits);
    if (!word && !(l->op == OP_sll && r->op == OP_srl))
        return OP_COUNT;
    if (l->in[0] != r->in[0] || left <= 0 || *right <= 0 || left + *right != bits)
        return OP_COUNT;
    return word ? OP_rorw : OP_ror;
}

/* The first of two shifts read what the second reads, and the op at hand may too. */
static bool same_source(Fold *f, Val a, u16 first, u16 last, bool in_place)
{
    if (val_is_const(a))
        return false;
    return in_place ? place(f, a)->before <= first && place(f, a)->written == last + 1
                    : unchanged(f, a, first);
}

/* Two shifts joined by or, xor or add. */
static void fold_rotate(Fold *f, Op *op)
{
    Op *x = maker(f, op->in[0]), *y = maker(f, op->in[1]), *last = MAX(x, y);
    OpCode code;
    i64 right;
    Val a;

    if (!x || !y || x == y)
        return;
    code = rotation(f, x, y, &right);
    if (code == OP_COUNT)
        code = rotation(f, y, x, &right);
    if (code == OP_COUNT || (op->op == OP_addw && code != OP_rorw) ||
        !has_const_room(f))
        return;
    a = x->in[0];
    if (same_source(f, a, index_of(f, MIN(x, y)), 0, false))
        become(op, code, a, ir_const(f->ir, right));
    else if (in_place(f, last, index_of(f, last)) && val_is_global(op->out) &&
             same_source(f, a, index_of(f, MIN(x, y)), index_of(f, last), true))
        swap_in_place(f, op, last, code, ir_const(f->ir, right));
}

/* ---- identities: one rule for each kind of op ---- */

/* a and b: what is known of the operands. */
typedef void Rule(Fold *f, Op *op, const Facts *a, const Facts *b);

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

/* beq or bne with 0. */
static void rule_branch(Fold *f, Op *op, const Facts *a, const Facts *b)
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
    if (!is_comparable(f, x, index_of(f, test)) || !is_comparable(f, y, index_of(f, test)))
        return;
    if (test->op == OP_sltu && is_const_val(f, y, 1))
        y = zero;
    else if (test->op == OP_sltu && is_const_val(f, x, 0))
        x = y, y = zero, code = op->op; /* snez */
    else if (test->op == OP_add)
        y = ir_const(f->ir, -ir_value(f->ir, y));
    become(op, code, x, y);
}

/* To a known pc: a direct exit, with a check where it goes back. */
static void rule_jump(Fold *f, Op *op, const Facts *a, const Facts *b)
{
    Ir *ir = f->ir;
    u64 pc = (u64)a->value;

    if (!is_const(a) || ir->n_exits == IR_EXITS || !ir->n_insns)
        return;
    op->exit = ir_exit(ir, EXIT_JUMP, TRAP_NONE, pc);
    ir->exits[op->exit].loop = pc <= ir->insns[ir->n_insns - 1].pc;
    become(op, OP_leave, VAL_NONE, VAL_NONE);
}

/* clang-format off */
static Rule *const rules[OP_COUNT] = {
    [OP_add] = rule_add,        [OP_sub] = rule_sub,        [OP_and] = rule_and,
    [OP_or] = rule_or,          [OP_xor] = rule_xor,        [OP_andn] = rule_andn,
    [OP_orn] = rule_orn,        [OP_xnor] = rule_xnor,      [OP_sll] = rule_shift,
    [OP_srl] = rule_shift,      [OP_sra] = rule_shift,      [OP_rol] = rule_shift,
    [OP_ror] = rule_shift,      [OP_addw] = rule_addw,      [OP_subw] = rule_subw,
    [OP_sllw] = rule_shiftw,    [OP_srlw] = rule_shiftw,    [OP_sraw] = rule_shiftw,
    [OP_rolw] = rule_shiftw,    [OP_rorw] = rule_shiftw,    [OP_mul] = rule_mul,
    [OP_mulw] = rule_mulw,      [OP_div] = rule_div,        [OP_divu] = rule_div,
    [OP_divw] = rule_divw,      [OP_divuw] = rule_divw,     [OP_rem] = rule_rem,
    [OP_remu] = rule_rem,       [OP_remw] = rule_rem,       [OP_remuw] = rule_rem,
    [OP_slt] = rule_less,       [OP_sltu] = rule_less,      [OP_min] = rule_pick,
    [OP_max] = rule_pick,       [OP_minu] = rule_pick,      [OP_maxu] = rule_pick,
    [OP_sh1add] = rule_shadd,   [OP_sh2add] = rule_shadd,   [OP_sh3add] = rule_shadd,
    [OP_czeqz] = rule_cond,     [OP_cznez] = rule_cond,     [OP_sext8] = rule_ext,
    [OP_sext16] = rule_ext,     [OP_sext32] = rule_ext,     [OP_zext8] = rule_ext,
    [OP_zext16] = rule_ext,     [OP_zext32] = rule_ext,     [OP_funbox] = rule_funbox,
    [OP_fcanon_d] = rule_fcanon_d, [OP_fcanon_s] = rule_fcanon_s,
    [OP_fsgnj_d] = rule_fsgnj,  [OP_fsgnjn_d] = rule_fsgnj, [OP_fsgnjx_d] = rule_fsgnj,
    [OP_fsgnj_s] = rule_fsgnj,  [OP_fsgnjn_s] = rule_fsgnj, [OP_fsgnjx_s] = rule_fsgnj,
    [OP_beq] = rule_branch,     [OP_bne] = rule_branch,     [OP_jump] = rule_jump,
};
/* clang-format on */

/* ---- what ops leave behind ---- */

static Facts facts_of_result(Fold *f, const Op *op)
{
    Facts a = facts(f, op->in[0]), b = facts(f, op->in[1]);

    return facts_of_op(op->op, &a, &b);
}

static void record(Fold *f, const Op *op, u16 index)
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
    } else if (rules[op->op]) {
        rules[op->op](f, op, &a, &b);
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
        record(&f, op, f.at);
        f.prev = f.at;
    }
}
