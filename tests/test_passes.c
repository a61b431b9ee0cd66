/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_passes && ctest --test-dir build -R test_passes
 *
 * The interpreter and the passes.  Random blocks are interpreted as made and after
 * the passes: whatever can be observed must be the same, at every exit and at every
 * fault.  SEED=n in the environment: other blocks.
 */
#include <string.h>
#include "fake_guest.h"

enum {
    MEMORY = 4096, /* guest addresses 0.. */
    ROUNDS = 20000,
    BLOCK_OPS = 40,
};

/* ---- interpreting a block ---- */

typedef struct Outcome {
    u64 g[INTS + FLOATS];
    u8 memory[MEMORY + 64];
    u32 mxcsr;
    i32 how; /* EXIT_JUMP, EXIT_TRAP, or INTERP_FAULT */
    u64 pc, addr;
} Outcome;

static void interpret(const Ir *ir, const Outcome *from, Outcome *to)
{
    static Env env; /* big */
    InterpCode code = interp_code(ir);
    InterpRun run = {.limit = MEMORY};

    memcpy(to->memory, from->memory, sizeof(to->memory));
    memcpy(env.g, from->g, sizeof(from->g));
    env.base = (u64)(uintptr_t)to->memory;
    env.mxcsr = from->mxcsr;
    env.res_addr = ~0ull;
    interp_block(&env, &code, &run);
    memcpy(to->g, env.g, sizeof(to->g));
    to->mxcsr = env.mxcsr;
    to->addr = 0;
    to->how = run.exit;
    to->pc = run.pc;
    if (run.exit == INTERP_JUMP) {
        to->how = EXIT_JUMP;
    } else if (run.exit == INTERP_FAULT) {
        to->pc = interp_pc(&code, run.op, ~0ull);
        to->addr = run.addr;
    } else {
        to->how = ir->exits[run.exit].kind;
        to->pc = ir->exits[run.exit].pc;
    }
}

static void random_start(Outcome *o)
{
    memset(o, 0, sizeof(*o));
    for (u32 i = 0; i < INTS; i++)
        o->g[i] = random_int();
    for (u32 i = INTS; i < INTS + FLOATS; i++)
        o->g[i] = random_float();
    for (u32 i = 0; i < sizeof(o->memory); i++)
        o->memory[i] = (u8)random64();
    o->mxcsr = 0x1f80 | below(4) << 13;
}

static void dump_and_fail(const Ir *before, const Ir *after, const char *why)
{
    ir_dump(stderr, before);
    fprintf(stderr, "---- after the passes\n");
    ir_dump(stderr, after);
    cr_assert(false, "%s", why);
}

static void must_agree(const Ir *before, const Ir *after)
{
    static Outcome start, x, y;
    char why[128] = "";

    random_start(&start);
    interpret(before, &start, &x);
    interpret(after, &start, &y);
    for (u32 i = 0; i < INTS + FLOATS; i++)
        if (x.g[i] != y.g[i])
            snprintf(why, sizeof(why), "%s: %lx, then %lx", guest.globals[i].name,
                     x.g[i], y.g[i]);
    if (x.how != y.how || x.pc != y.pc || x.addr != y.addr)
        snprintf(why, sizeof(why), "left by %d at %lx (%lx), then %d at %lx (%lx)",
                 x.how, x.pc, x.addr, y.how, y.pc, y.addr);
    if (x.mxcsr != y.mxcsr)
        snprintf(why, sizeof(why), "MXCSR %x, then %x", x.mxcsr, y.mxcsr);
    if (memcmp(x.memory, y.memory, sizeof(x.memory)))
        snprintf(why, sizeof(why), "memory differs");
    if (*why)
        dump_and_fail(before, after, why);
}

/* ---- random blocks ---- */

/* Few registers, so that ops meet. */
static Val some_int(void) { return (Val)below(below(3) ? 4 : INTS); }
static Val some_float(void) { return (Val)(INTS + below(FLOATS)); }

static Val operand(Ir *ir, u8 cls)
{
    if (cls == CLS_F)
        return ir->n_ftemps && !below(3) ? (Val)(VAL_FTEMP + below(ir->n_ftemps))
                                         : some_float();
    if (ir->n_temps && !below(3))
        return (Val)(VAL_TEMP + below(ir->n_temps));
    return below(4) ? some_int() : ir_const(ir, (i64)random_int());
}

static Val result(Ir *ir, u8 cls)
{
    if (cls == CLS_NONE)
        return VAL_NONE;
    if (below(4))
        return cls == CLS_F ? some_float() : some_int();
    return cls == CLS_F ? ir_ftemp(ir) : ir_temp(ir);
}

/* An address, aligned, mostly in bounds. */
static Val address(Ir *ir)
{
    Val t = ir_temp(ir);

    gen_and(ir, t, some_int(), ir_const(ir, below(30) ? MEMORY - 64 : 0x7ffffff8));
    return t;
}

/* An op on singles, whose result is boxed if its operands are? */
static bool wants_boxed(OpCode code)
{
    return op_desc[code].flags & BOX && op_desc[code].in[0] == CLS_F &&
           code != OP_funbox && code != OP_fcvt_s_d;
}

static Val boxed(Ir *ir, Val v)
{
    Val t = ir_ftemp(ir);

    gen_funbox(ir, t, v);
    return t;
}

/* Canonical forms are asked of what arithmetic made: no NaN of it signals. */
static Val computed(Ir *ir, OpCode code, Val v)
{
    Val t = ir_ftemp(ir);

    ir_gen(ir, code == OP_fcanon_d ? OP_fadd_d : OP_fadd_s, t, v, v, VAL_NONE, 0, 0);
    return t;
}

static void random_op(Ir *ir)
{
    OpCode code = below(3) ? below(OP_ld8u) : below(OP_beq);
    const OpDesc *desc = &op_desc[code];
    Val in[3] = {VAL_NONE, VAL_NONE, VAL_NONE};
    i32 imm = 0;

    for (u32 i = 0; i < desc->n_in; i++)
        in[i] = operand(ir, desc->in[i]);
    for (u32 i = 0; i < desc->n_in && wants_boxed(code); i++)
        in[i] = boxed(ir, in[i]);
    if (code == OP_fcanon_d || code == OP_fcanon_s)
        in[0] = computed(ir, code, in[0]);
    if (desc->flags & FAULT)
        in[0] = address(ir);
    if (desc->flags & FAULT && desc->has_imm)
        imm = (i32)below(16) * (below(2) ? 1 : 4);
    ir_gen(ir, code, result(ir, desc->out), in[0], in[1], in[2], imm, 0);
}

static void random_shifts(Ir *ir)
{
    static const u8 counts[] = {16, 24, 31, 32, 33, 40, 48, 56, 63};
    Val d = some_int(), a = below(2) ? d : some_int();
    Val left = ir_const(ir, counts[below(ARRAY_SIZE(counts))]);
    Val right = below(2) ? left : ir_const(ir, counts[below(ARRAY_SIZE(counts))]);

    gen_sll(ir, d, a, left);
    ir_insn(ir, 0x2000, 4);
    ir_gen(ir, below(2) ? OP_srl : OP_sra, below(4) ? d : some_int(), d, right,
           VAL_NONE, 0, 0);
}

static void random_rotate(Ir *ir)
{
    static const OpCode joins[] = {OP_or, OP_xor, OP_add, OP_addw};
    bool word = below(2), flip = below(2);
    u32 n = 1 + below(word ? 31 : 63);
    OpCode left = word ? OP_sllw : OP_sll, right = word ? OP_srlw : OP_srl;
    Val a = some_int(), twin = a, x = some_int(), y = some_int();

    if (below(2))
        gen_mov(ir, twin = some_int(), a);
    ir_gen(ir, flip ? left : right, x, a, ir_const(ir, n), VAL_NONE, 0, 0);
    ir_insn(ir, 0x2000, 4);
    ir_gen(ir, flip ? right : left, y,
           below(2)   ? a
           : below(4) ? twin
                      : some_int(),
           ir_const(ir, (word ? 32 : 64) - n), VAL_NONE, 0, 0);
    if (below(2))
        ir_insn(ir, 0x3000, 4);
    ir_gen(ir, joins[below(4)], below(3) ? y : some_int(), x, y, VAL_NONE, 0, 0);
}

static void random_test(Ir *ir)
{
    static const OpCode tests[] = {OP_slt, OP_sltu, OP_xor, OP_sub, OP_add};
    Val zero = ir_const(ir, 0), a = below(4) ? operand(ir, CLS_R) : zero;
    Val b = below(4) ? operand(ir, CLS_R) : ir_const(ir, 1);
    Val t = below(2) ? ir_temp(ir) : some_int();

    ir_gen(ir, tests[below(5)], t, a, b, VAL_NONE, 0, 0);
    ir_gen(ir, below(2) ? OP_beq : OP_bne, VAL_NONE, t, zero, VAL_NONE, 0,
           ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x8000 + below(16) * 4));
}

static void random_control(Ir *ir)
{
    u16 exit;

    if (!below(3)) {
        gen_call(ir, some_int(), operand(ir, CLS_R), operand(ir, CLS_R), VAL_NONE, 0);
    } else if (!below(3)) {
        gen_call(ir, VAL_NONE, operand(ir, CLS_R), VAL_NONE, VAL_NONE, 1);
    } else {
        exit = ir_exit(ir, EXIT_TRAP, TRAP_BREAK, 0x9000 + below(16) * 4);
        ir_gen(ir, OP_beq + below(6), VAL_NONE, operand(ir, CLS_R), operand(ir, CLS_R),
               VAL_NONE, 0, exit);
    }
}

static void random_block(Ir *ir)
{
    u32 length = 1 + below(BLOCK_OPS);

    ir_reset(ir, (const struct Guest *)&guest);
    ir_insn(ir, 0x1000, 4);
    while (ir->n_ops < length) {
        if (!below(3))
            ir_insn(ir, 0x1000 + ir->n_insns * 4, 4);
        switch (below(16)) {
        case 0: random_shifts(ir); break;
        case 1: random_rotate(ir); break;
        case 2: random_test(ir); break;
        case 3: random_control(ir); break;
        case 4: gen_mov(ir, some_int(), operand(ir, CLS_R)); break;
        default: random_op(ir); break;
        }
    }
    if (below(2))
        gen_jump(ir, operand(ir, CLS_R));
    else
        gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x4000));
}

static void must_verify(const Ir *ir)
{
    const char *why = "";

    if (!ir_verify(ir, &why)) {
        ir_dump(stderr, ir);
        cr_assert(false, "%s", why);
    }
}

typedef void Pass(Ir *ir);

static void both(Ir *ir)
{
    pass_fold(ir);
    pass_dead(ir);
}

static void twice(Ir *ir)
{
    both(ir);
    both(ir);
}

static void try_pass(Pass *pass)
{
    Ir *before = new_ir(), *after = new_ir();

    for (u32 i = 0; i < ROUNDS; i++) {
        random_block(before);
        must_verify(before);
        *after = *before;
        pass(after);
        must_verify(after);
        for (u32 k = 0; k < 4; k++)
            must_agree(before, after);
    }
    free(before);
    free(after);
}

TestSuite(passes, .init = set_up);

Test(passes, fold_keeps_meaning) { try_pass(pass_fold); }
Test(passes, dead_keeps_meaning) { try_pass(pass_dead); }
Test(passes, both_keep_meaning) { try_pass(both); }
Test(passes, twice_keeps_meaning) { try_pass(twice); }

/* ---- folding ---- */

static bool is_integer_op(const OpDesc *desc)
{
    if (!(desc->flags & PURE) || desc->out != CLS_R)
        return false;
    for (u32 i = 0; i < desc->n_in; i++)
        if (desc->in[i] != CLS_R)
            return false;
    return true;
}

static void fold_constants(Ir *ir, OpCode code)
{
    u64 a = random_int(), b = random_int();
    Val vb = op_desc[code].n_in > 1 ? ir_const(ir, (i64)b) : VAL_NONE;

    ir_gen(ir, code, 1, ir_const(ir, (i64)a), vb, VAL_NONE, 0, 0);
    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0));
    pass_fold(ir);
    cr_assert_eq(ir->ops[0].op, OP_mov, "%s not folded", op_desc[code].name);
    cr_assert(val_is_const(ir->ops[0].in[0]));
    cr_assert_eq((u64)ir_value(ir, ir->ops[0].in[0]), interp_fn[code](NULL, a, b, 0),
                 "%s", op_desc[code].name);
}

Test(passes, constants_fold_as_ops_compute)
{
    Ir *ir = new_ir();

    for (OpCode code = 0; code < OP_COUNT; code++)
        for (u32 i = 0; i < 50 && is_integer_op(&op_desc[code]); i++) {
            ir_reset(ir, (const struct Guest *)&guest);
            fold_constants(ir, code);
        }
    free(ir);
}

/* Runs both passes over what was made so far; the ops that are left, as text. */
static const char *reduced(Ir *ir)
{
    static char text[1024];
    size_t at = 0;

    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x4000));
    both(ir);
    must_verify(ir);
    *text = 0;
    for (u32 i = 0; i + 1 < ir->n_ops; i++) {
        if (ir->ops[i].op == OP_insn)
            continue;
        at += (size_t)ir_op_text(text + at, sizeof(text) - at, ir, &ir->ops[i]);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "; ");
    }
    for (char *p = text; (p = strstr(p, "  "));)
        memmove(p, p + 1, strlen(p));
    return text;
}

#define C_(v) ir_const(ir, v)
#define REDUCES(name, text, ...)             \
    Test(passes, name)                       \
    {                                        \
        Ir *ir = new_ir();                   \
                                             \
        ir_insn(ir, 0x1000, 4);              \
        __VA_ARGS__;                         \
        cr_assert_str_eq(reduced(ir), text); \
        free(ir);                            \
    }

REDUCES(zero_extension_in_place, "zext32 r1, r1; ", gen_sll(ir, 1, 1, C_(32)),
        ir_insn(ir, 0x1004, 2), gen_srl(ir, 1, 1, C_(32)))
REDUCES(sign_extension_in_place, "sext8 r1, r1; ", gen_sll(ir, 1, 1, C_(56)),
        ir_insn(ir, 0x1004, 2), gen_sra(ir, 1, 1, C_(56)))
REDUCES(shifted_word, "sraw r2, r1, 5; ", gen_sll(ir, 2, 1, C_(32)),
        gen_sra(ir, 2, 2, C_(37)))
REDUCES(rotation, "rorw r2, r1, 7; mov r3, 0; ", gen_srlw(ir, 2, 1, C_(7)),
        gen_sllw(ir, 3, 1, C_(25)), gen_or(ir, 2, 2, 3), gen_mov(ir, 3, C_(0)))
REDUCES(rotation_of_a_copy, "mov r3, r1; rorw r1, r3, 7; mov r2, 0; ",
        gen_mov(ir, 3, 1), gen_srlw(ir, 1, 1, C_(7)), gen_sllw(ir, 2, 3, C_(25)),
        gen_or(ir, 1, 1, 2), gen_mov(ir, 2, C_(0)))
REDUCES(rotation_in_place, "rorw r1, r1, 7; mov r2, 0; ", gen_srlw(ir, 2, 1, C_(7)),
        ir_insn(ir, 0x1004, 2), gen_sllw(ir, 1, 1, C_(25)), ir_insn(ir, 0x1006, 2),
        gen_or(ir, 1, 1, 2), gen_mov(ir, 2, C_(0)))
REDUCES(rotation_into_the_other, "ror r2, r1, 7; mov r1, 0; ", gen_srl(ir, 2, 1, C_(7)),
        gen_sll(ir, 1, 1, C_(57)), gen_xor(ir, 2, 2, 1), gen_mov(ir, 1, C_(0)))
REDUCES(extension_of_extended, "addw r1, r2, r3; ", gen_addw(ir, 1, 2, 3),
        gen_sext32(ir, 1, 1))
REDUCES(extensions_nobody_reads, "add r1, r2, r3; addw r1, r1, r4; ",
        gen_addw(ir, 1, 2, 3), gen_addw(ir, 1, 1, 4), gen_addw(ir, 1, 1, C_(0)))
REDUCES(unboxing_of_boxed, "fld32 f12, [r1]; fadd_s f13, f12, f12; ",
        gen_fld32(ir, 12, 1, 0);
        Val t = ir_ftemp(ir); gen_funbox(ir, t, 12); gen_fadd_s(ir, 13, t, t))
REDUCES(constants_meet, "mov r1, 0x12345; ", gen_mov(ir, 1, C_(0x12000)),
        gen_add(ir, 1, 1, C_(0x345)))
REDUCES(branch_on_compare, "bltu r1, r2 -> 0x5000; ", {
    Val t = ir_temp(ir);
    gen_sltu(ir, t, 1, 2);
    gen_bne(ir, t, C_(0), ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x5000));
})
REDUCES(state_is_precise_at_faults, "addw r1, r2, r3; ld64 r4, [r5 + 8]; mov r1, 0; ",
        gen_addw(ir, 1, 2, 3), gen_ld64(ir, 4, 5, 8), gen_mov(ir, 1, C_(0)))
