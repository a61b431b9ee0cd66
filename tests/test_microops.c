/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_microops && ctest --test-dir build -R test_microops
 *
 * The op buffer, the interpreter and the passes.  Random blocks are interpreted as
 * made and after the passes: whatever can be observed must be the same, at every
 * exit and at every fault.  SEED=n in the environment: other blocks.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../microops/microops.h"

/* ---- a guest with nothing but registers ---- */

enum {
    INTS = 12,     /* globals 0.. */
    FLOATS = 6,    /* globals INTS.. */
    MEMORY = 4096, /* guest addresses 0.. */
    ROUNDS = 20000,
    BLOCK_OPS = 40,
};

static u64 help_mix(Env *env, u64 a, u64 b, u64 c)
{
    return a * 3 + b;
}

static u64 help_poke(Env *env, u64 a, u64 b, u64 c)
{
    env->g[a % INTS] += 7;
    return 0;
}

static const HelperDesc helpers[] = {
    {"mix", help_mix, 2, true},
    {"poke", help_poke, 1, false},
};

static u64 state = 0x9e3779b97f4a7c15; /* of random64 */

static GuestRegs guest = {.name = "test", .helpers = helpers, .n_helpers = 2};

static void set_up(void)
{
    const char *seed = getenv("SEED");

    state ^= seed ? strtoull(seed, NULL, 0) * 0x100000001 : 0;
    for (u32 i = 0; i < INTS + FLOATS; i++) {
        GlobalDesc *g = &guest.globals[i];

        snprintf(g->name, sizeof(g->name), "%c%u", i < INTS ? 'r' : 'f', i % 100);
        g->cls = i < INTS ? CLS_R : CLS_F;
        g->host = i % 3 == 2 ? HOST_NONE : (u8)i;
    }
}

static Ir *new_ir(void)
{
    Ir *ir = ir_new();

    cr_assert_not_null(ir);
    ir_reset(ir, (const struct Guest *)&guest);
    return ir;
}

/* ---- random numbers ---- */

static u64 random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static u32 below(u32 n)
{
    return (u32)(random64() >> 32) % n;
}

static u64 random_int(void)
{
    static const u64 edges[] = {0,
                                1,
                                2,
                                31,
                                32,
                                63,
                                0xff,
                                0xffff,
                                0x7fffffff,
                                0x80000000,
                                0xffffffff,
                                0x100000000,
                                ~0ull,
                                ~1ull,
                                1ull << 63,
                                (1ull << 63) - 1,
                                0xffffffff80000000};

    switch (below(4)) {
    case 0: return random64();
    case 1: return (u64)(i64)(i32)random64();
    case 2: return below(100);
    default: return edges[below(ARRAY_SIZE(edges))];
    }
}

static u64 random_float(void)
{
    static const u64 edges[] = {0,
                                0x8000000000000000,
                                0x3ff0000000000000,
                                0x7ff0000000000000,
                                0xfff0000000000000,
                                0x7ff8000000000000,
                                0xfff8000000000000,
                                0x7ff0000000000001,
                                0xffffffff7fc00000,
                                0xffffffff7f800001,
                                0xffffffff3f800000,
                                0xffffffff00000000,
                                0x000000007fc00000};

    switch (below(3)) {
    case 0: return random64();
    case 1: return 0xffffffff00000000 | random64();
    default: return edges[below(ARRAY_SIZE(edges))];
    }
}

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
static Val some_int(void)
{
    return (Val)below(below(3) ? 4 : INTS);
}
static Val some_float(void)
{
    return (Val)(INTS + below(FLOATS));
}

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

TestSuite(microops, .init = set_up);
TestSuite(passes, .init = set_up);
TestSuite(log);

Test(passes, fold_keeps_meaning)
{
    try_pass(pass_fold);
}
Test(passes, dead_keeps_meaning)
{
    try_pass(pass_dead);
}
Test(passes, both_keep_meaning)
{
    try_pass(both);
}
Test(passes, twice_keeps_meaning)
{
    try_pass(twice);
}

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

/* ---- the verifier ---- */

static void refused(Ir *ir, const char *because)
{
    const char *why = "nothing";

    cr_assert_not(ir_verify(ir, &why), "%s was accepted", because);
    cr_assert_not_null(strstr(why, because), "\"%s\" is not about \"%s\"", why,
                       because);
}

#define REFUSES(name, because, ...)                          \
    Test(microops, name)                                     \
    {                                                        \
        Ir *ir = new_ir();                                   \
        u16 out = ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x1000); \
                                                             \
        ir_insn(ir, 0x1000, 4);                              \
        __VA_ARGS__;                                         \
        gen_leave(ir, out);                                  \
        refused(ir, because);                                \
        free(ir);                                            \
    }

REFUSES(float_operand, "wrong class", gen_add(ir, 1, 2, INTS))
REFUSES(int_operand, "wrong class", gen_fadd_d(ir, INTS, INTS, 1))
REFUSES(float_result, "wrong class", gen_add(ir, INTS, 1, 1))
REFUSES(unused_global, "wrong class", gen_add(ir, 1, 2, 63))
REFUSES(float_constant, "wrong class", gen_fmov(ir, INTS, ir_const(ir, 1)))
REFUSES(temp_of_wrong_class, "wrong class", gen_fmov(ir, ir_temp(ir), INTS))
REFUSES(unwritten_temp, "before it is written", gen_mov(ir, 1, ir_temp(ir)))
REFUSES(outlived_temp, "before it is written", gen_mov(ir, ir_temp(ir), 1),
        ir_insn(ir, 0x1004, 4), gen_mov(ir, 1, VAL_TEMP))
REFUSES(no_constant, "no such constant", gen_mov(ir, 1, VAL_CONST + 5))
REFUSES(missing_operand, "missing", gen_add(ir, 1, 2, VAL_NONE))
REFUSES(extra_operand, "too many", ir_gen(ir, OP_mov, 1, 2, 3, VAL_NONE, 0, 0))
REFUSES(missing_result, "missing", gen_mov(ir, VAL_NONE, 1))
REFUSES(extra_result, "too many", ir_gen(ir, OP_st8, 1, 2, 3, VAL_NONE, 0, 0))
REFUSES(constant_result, "is a constant", gen_mov(ir, ir_const(ir, 0), 1))
REFUSES(no_exit, "no such exit", gen_beq(ir, 1, 2, out + 1))
REFUSES(trap_of_no_kind, "without its trap",
        gen_beq(ir, 1, 2, ir_exit(ir, EXIT_TRAP, TRAP_NONE, 0)))
REFUSES(no_helper, "no such helper", gen_call(ir, 1, 2, 3, VAL_NONE, 2))
REFUSES(too_few_arguments, "missing", gen_call(ir, 1, 2, VAL_NONE, VAL_NONE, 0))
REFUSES(too_many_arguments, "too many", gen_call(ir, VAL_NONE, 2, 3, VAL_NONE, 1))
REFUSES(early_end, "after the end", gen_leave(ir, out))
REFUSES(foreign_insn, "out of order", gen_insn(ir, 0))
REFUSES(no_op, "no such op", ir_gen(ir, OP_COUNT, 1, 2, 3, VAL_NONE, 0, 0))

Test(microops, blocks_must_end)
{
    Ir *ir = new_ir();

    refused(ir, "does not end");
    ir_insn(ir, 0x1000, 4);
    gen_mov(ir, 1, 2);
    refused(ir, "does not end");
    free(ir);
}

Test(microops, text)
{
    Ir *ir = new_ir();
    char text[128];
    u16 out = ir_exit(ir, EXIT_TRAP, TRAP_SYSCALL, 0x1000);

    gen_st64(ir, 1, ir_const(ir, 0x123456), -8);
    ir_op_text(text, sizeof(text), ir, &ir->ops[0]);
    cr_assert_str_eq(text, "st64     [r1 - 8], 0x123456");
    gen_leave(ir, out);
    ir_op_text(text, sizeof(text), ir, &ir->ops[1]);
    cr_assert_str_eq(text, "leave     -> syscall at 0x1000");
    gen_call(ir, 1, 2, 3, VAL_NONE, 0);
    cr_assert_eq(ir_op_text(text, 8, ir, &ir->ops[2]), 24, "length without truncation");
    cr_assert_str_eq(text, "call   ");
    free(ir);
}

/* ---- the log and the disassembler ---- */

static bool accepts_items(const char *spec)
{
    const char *bad = NULL;

    return log_set_items(spec, &bad);
}

Test(log, items)
{
    const char *bad;

    cr_assert(accepts_items("in_asm,op,strace"));
    cr_assert_eq(log_mask, LOG_IN_ASM | LOG_OP | LOG_STRACE);
    cr_assert_not(log_set_items("op,nonsense,in_asm", &bad));
    cr_assert_eq(strncmp(bad, "nonsense,", 9), 0);
    cr_assert_not(accepts_items(""));
    cr_assert_not(accepts_items("op,"));
    cr_assert_not(accepts_items("opp"));
    cr_assert_not(accepts_items("o"));
    cr_assert_eq(log_mask, LOG_IN_ASM | LOG_OP | LOG_STRACE,
                 "bad items change nothing");
}

Test(log, help, .exit_code = 0)
{
    accepts_items("op,help");
    cr_assert(false, "help must exit");
}

Test(log, filter)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1..",
                                      "..2",
                                      "1+0",
                                      "1-0",
                                      "5..4",
                                      "1.2",
                                      "a..b",
                                      "1..2,",
                                      "1..2 ",
                                      "-1..2",
                                      "1..2x",
                                      "1+-1",
                                      ",1..2",
                                      "0x..1",
                                      "1..0x",
                                      "99999999999999999999..1",
                                      "2+18446744073709551615"};

    cr_assert(log_wants(0x1234), "no filter: all");
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(log_set_filter(bad[i]), "\"%s\"", bad[i]);
    cr_assert(log_wants(0x1234), "bad filters change nothing");
    cr_assert(log_set_filter("0x1000..0x1fff,0x3000+0x10,0x4010-16"));
    cr_assert(log_wants(0x1000) && log_wants(0x1fff) && !log_wants(0x2000));
    cr_assert(log_wants(0x3000) && log_wants(0x300f) && !log_wants(0x3010));
    cr_assert(log_wants(0x4010) && log_wants(0x4001) && !log_wants(0x4000));
}

static void must_contain(const char *path, const char *text)
{
    char got[256] = "";
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f);
    cr_assert_geq(fread(got, 1, sizeof(got) - 1, f), 0u);
    fclose(f);
    cr_assert_str_eq(got, text);
}

Test(log, file_named_by_pid)
{
    char path[64];
    FILE *f;

    cr_assert_not(log_set_file("/nonexistent/log"));
    cr_assert(log_set_file("/tmp/tessera-log-%d"));
    snprintf(path, sizeof(path), "/tmp/tessera-log-%d", (int)getpid());
    f = log_begin();
    fprintf(f, "two ");
    log_begin();
    log_printf("lines\n");
    log_end();
    must_contain(path, "");
    log_end();
    log_printf("%s\n", "more");
    must_contain(path, "two lines\nmore\n");
    unlink(path);
}

Test(microops, disassembly)
{
    static const u8 code[] = {0x48, 0x8d, 0x04, 0x3b, 0xc3, 0x06};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    disas_host(f, code, sizeof(code), 0x401000);
    fclose(f);
    cr_assert_not_null(strstr(text, "0x000000401000:  488d043b"));
    cr_assert_not_null(strstr(text, "lea rax, [rbx + rdi]"));
    cr_assert_not_null(strstr(text, "0x000000401004:  c3"));
    cr_assert_not_null(strstr(text, ".byte 0x06"), "not an instruction in 64-bit mode");
    free(text);
}
