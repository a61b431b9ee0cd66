/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_nan && ctest --test-dir build -R test_nan
 *
 * Canonical NaNs put off.  Random blocks of floating point are interpreted as made
 * and after pass_nan: with what was due made good, registers, memory and flags must
 * be the same at every exit and every fault.  SEED=n in the environment: other blocks.
 */
#include <string.h>
#include "fake_guest.h"

enum { MEMORY = 256, ROUNDS = 20000, BLOCK_INSNS = 24 };

typedef struct Outcome {
    u64 g[INTS + FLOATS];
    u8 memory[MEMORY + 64];
    u32 mxcsr;
    u32 op; /* where it ended: an exit's index; or a fault's pc */
} Outcome;

/* ---- interpreting ---- */

static const IrInsn *insn_of(const Ir *ir, u32 op)
{
    while (ir->ops[op].op != OP_insn)
        op--;
    return &ir->insns[ir->ops[op].imm];
}

static void interpret(const Ir *ir, const Outcome *from, Outcome *to)
{
    static Env env; /* big */
    InterpCode code = interp_code(ir);
    InterpRun run = {.limit = MEMORY};

    *to = *from;
    memcpy(env.g, from->g, sizeof(from->g));
    env.base = (u64)(uintptr_t)to->memory;
    env.mxcsr = from->mxcsr;
    interp_block(&env, &code, &run);
    if (run.exit == INTERP_FAULT) {
        canon_apply(env.g, insn_of(ir, run.op)->canon);
        to->op = (u32)insn_of(ir, run.op)->pc;
    } else {
        canon_apply(env.g, ir->exits[run.exit].canon);
        to->op = (u32)run.exit;
    }
    memcpy(to->g, env.g, sizeof(to->g));
    to->mxcsr = env.mxcsr & 0x603d;
}

static void dump_and_fail(const Ir *before, const Ir *after, const char *why)
{
    ir_dump(stderr, before);
    fprintf(stderr, "---- after the pass\n");
    ir_dump(stderr, after);
    cr_assert(false, "%s", why);
}

static void must_agree(const Ir *before, const Ir *after)
{
    static Outcome start, x, y;

    memset(&start, 0, sizeof(start));
    for (u32 i = 0; i < INTS; i++)
        start.g[i] = below(MEMORY + 8) & ~7u;
    for (u32 i = INTS; i < INTS + FLOATS; i++)
        start.g[i] = random_float();
    for (u32 i = 0; i < MEMORY; i += 8)
        memcpy(start.memory + i, &(u64){random_float()}, 8);
    start.mxcsr = 0x1f80 | below(4) << 13;
    interpret(before, &start, &x);
    interpret(after, &start, &y);
    for (u32 i = 0; i < INTS + FLOATS; i++)
        if (x.g[i] != y.g[i])
            dump_and_fail(before, after, guest.globals[i].name);
    if (x.op != y.op)
        dump_and_fail(before, after, "left elsewhere");
    if (x.mxcsr != y.mxcsr)
        dump_and_fail(before, after, "other flags");
    if (memcmp(x.memory, y.memory, sizeof(x.memory)))
        dump_and_fail(before, after, "memory differs");
}

/* ---- random blocks, as a frontend would make them ---- */

static Val some_int(void) { return (Val)below(INTS); }
static Val some_float(void) { return (Val)(INTS + below(FLOATS)); }

static Val boxed(Ir *ir, Val v)
{
    Val t = ir_ftemp(ir);

    gen_funbox(ir, t, v);
    return below(2) ? t : v; /* as if it were known to be boxed; sometimes it is */
}

static void arithmetic(Ir *ir)
{
    static const OpCode ops[][2] = {
        {OP_fadd_d, OP_fadd_s}, {OP_fsub_d, OP_fsub_s},   {OP_fmul_d, OP_fmul_s},
        {OP_fdiv_d, OP_fdiv_s}, {OP_fsqrt_d, OP_fsqrt_s}, {OP_fcvt_d_s, OP_fcvt_s_d}};
    u32 which = below(ARRAY_SIZE(ops));
    bool single = !below(3);
    OpCode op = ops[which][single];
    Val d = some_float(), a = some_float(), b = some_float();

    if (op_desc[op].n_in == 1)
        b = VAL_NONE;
    if (single != (which == 5)) {
        a = boxed(ir, a);
        b = b == VAL_NONE ? b : boxed(ir, b);
    }
    ir_gen(ir, op, d, a, b, VAL_NONE, 0, 0);
    ir_gen(ir, single ? OP_fcanon_s : OP_fcanon_d, d, d, VAL_NONE, VAL_NONE, 0, 0);
}

/* Anything but what wants its result to be made canonical. */
static void other_float(Ir *ir)
{
    OpCode op = OP_fmadd_d + below(OP_fround - OP_fmadd_d);
    const OpDesc *desc = &op_desc[op];
    Val in[3] = {VAL_NONE, VAL_NONE, VAL_NONE};

    if (op == OP_fcanon_d || op == OP_fcanon_s || op == OP_fcvt_s_d ||
        op == OP_fcvt_d_s)
        return;
    for (u32 i = 0; i < desc->n_in; i++)
        in[i] = desc->in[i] == CLS_R ? some_int() : some_float();
    for (u32 i = 0; i < desc->n_in && strstr(desc->name, "_s") && in[0] >= INTS; i++)
        in[i] = boxed(ir, in[i]);
    ir_gen(ir, op, desc->out == CLS_R ? ir_temp(ir) : some_float(), in[0], in[1], in[2],
           0, 0);
}

static void random_insn(Ir *ir)
{
    ir_insn(ir, 0x1000 + ir->n_insns * 4, 4);
    switch (below(12)) {
    case 0: gen_fld64(ir, some_float(), some_int(), 0); break;
    case 1: gen_fld32(ir, some_float(), some_int(), 4); break;
    case 2: gen_fst64(ir, some_int(), some_float(), 0); break;
    case 3: gen_fmov(ir, some_float(), some_float()); break;
    case 4:
        gen_blt(ir, some_int(), some_int(), ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x4000));
        break;
    case 5: other_float(ir); break;
    case 6:
        if (!below(3))
            gen_call(ir, ir_temp(ir), some_float(), some_int(), VAL_NONE, 0);
        break;
    default: arithmetic(ir);
    }
}

static void random_block(Ir *ir)
{
    u32 length = 1 + below(BLOCK_INSNS);
    u16 exit;

    ir_reset(ir, (const struct Guest *)&guest);
    while (ir->n_insns < length)
        random_insn(ir);
    exit = ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x5000);
    if (below(2))
        gen_bne(ir, some_int(), some_int(), ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x6000));
    gen_leave(ir, exit);
}

TestSuite(nan, .init = set_up);

Test(nan, put_off_and_made_good)
{
    Ir *before = new_ir(), *after = new_ir();
    const char *why = "";

    for (u32 i = 0; i < ROUNDS; i++) {
        random_block(before);
        *after = *before;
        pass_nan(after);
        cr_assert(ir_verify(after, &why), "%s", why);
        cr_assert_leq(after->n_ops, before->n_ops);
        for (u32 k = 0; k < 4; k++)
            must_agree(before, after);
    }
    free(before);
    free(after);
}

/* ---- what is left ---- */

static u32 count(const Ir *ir, OpCode op)
{
    u32 n = 0;

    for (u32 i = 0; i < ir->n_ops; i++)
        n += ir->ops[i].op == op;
    return n;
}

enum { FA = INTS, FB, FC };

static Ir *sum_of_products(void)
{
    Ir *ir = new_ir();

    for (u32 i = 0; i < 4; i++) {
        ir_insn(ir, 0x1000 + i * 8, 4);
        gen_fmul_d(ir, FB, FC, FC);
        gen_fcanon_d(ir, FB, FB);
        ir_insn(ir, 0x1004 + i * 8, 4);
        gen_fadd_d(ir, FA, FA, FB);
        gen_fcanon_d(ir, FA, FA);
    }
    ir_insn(ir, 0x1020, 4);
    return ir;
}

Test(nan, at_the_end_each_value_once)
{
    Ir *ir = sum_of_products();

    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x2000));
    pass_nan(ir);
    cr_assert_eq(count(ir, OP_fcanon_d), 2);
    cr_assert_eq(ir->exits[0].canon.d, 0);
    free(ir);
}

Test(nan, before_a_store_with_a_partner)
{
    Ir *ir = sum_of_products();

    gen_fst64(ir, 0, FA, 0);
    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x2000));
    pass_nan(ir);
    cr_assert_eq(count(ir, OP_fcanon_d), 2);
    cr_assert_eq(ir->insns[8].canon.d, 1ull << FA | 1ull << FB);
    cr_assert_eq(ir->ops[ir->n_ops - 2].op, OP_fst64);
    free(ir);
}

Test(nan, branches_take_it_with_them)
{
    Ir *ir = sum_of_products();

    gen_bne(ir, 0, 1, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x2000));
    ir_insn(ir, 0x1024, 4);
    gen_fmov(ir, FA, FC);
    gen_fmov(ir, FB, FC);
    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x3000));
    pass_nan(ir);
    cr_assert_eq(count(ir, OP_fcanon_d), 0);
    cr_assert_eq(ir->exits[0].canon.d, 1ull << FA | 1ull << FB);
    free(ir);
}
