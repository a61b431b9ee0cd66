/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_join && ctest --test-dir build -R test_join
 *
 * Two ops into one.  Random blocks full of shifts and additions are interpreted as
 * made and after pass_join: globals must be the same at every exit and every fault.
 * SEED=n in the environment: other blocks.
 */
#include <string.h>
#include "fake_guest.h"

enum { MEMORY = 256, ROUNDS = 20000, BLOCK_INSNS = 16 };

/* Interprets; says where it ended: at an exit, or at the instruction that faults. */
static u64 interpret(const Ir *ir, u64 *g)
{
    static Env env; /* big */
    static u8 memory[MEMORY + 64];
    InterpCode code = interp_code(ir);
    InterpRun run = {.limit = MEMORY};

    memcpy(env.g, g, INTS * sizeof(*g));
    env.base = (u64)(uintptr_t)memory;
    interp_block(&env, &code, &run);
    memcpy(g, env.g, INTS * sizeof(*g));
    return run.exit == INTERP_FAULT ? interp_pc(&code, run.op, 0) : (u64)run.exit;
}

static void must_agree(const Ir *before, const Ir *after)
{
    u64 x[INTS], y[INTS], x_end, y_end;

    for (u32 i = 0; i < INTS; i++)
        x[i] = y[i] = below(2) ? below(MEMORY) : random_int();
    x_end = interpret(before, x);
    y_end = interpret(after, y);
    if (x_end == y_end && !memcmp(x, y, sizeof(x)))
        return;
    ir_dump(stderr, before);
    fprintf(stderr, "---- after the pass\n");
    ir_dump(stderr, after);
    cr_assert(false, "not the same");
}

static Val some_int(void) { return (Val)below(4); }

static void random_insn(Ir *ir)
{
    Val x = some_int();

    ir_insn(ir, 0x1000 + ir->n_insns * 4, 4);
    switch (below(12)) {
    case 0: gen_ld64(ir, x, some_int(), 0); break;
    case 1: gen_xor(ir, x, some_int(), some_int()); break;
    case 2: gen_add(ir, x, x, ir_const(ir, 8)); break;
    case 3:
        gen_beq(ir, x, some_int(), ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x4000));
        break;
    case 4: gen_call(ir, VAL_NONE, x, VAL_NONE, VAL_NONE, 1); break;
    case 5:
    case 6:
    case 7: gen_add(ir, some_int(), some_int(), some_int()); break;
    default: gen_sll(ir, x, below(3) ? x : some_int(), ir_const(ir, (i64)below(5)));
    }
}

static void random_block(Ir *ir)
{
    u32 length = 1 + below(BLOCK_INSNS);

    ir_reset(ir, (const struct Guest *)&guest);
    while (ir->n_insns < length)
        random_insn(ir);
    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x5000));
}

TestSuite(join, .init = set_up);

Test(join, keeps_meaning)
{
    Ir *before = new_ir(), *after = new_ir();
    const char *why = "";
    u32 joined = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        random_block(before);
        *after = *before;
        pass_join(after);
        cr_assert(ir_verify(after, &why), "%s", why);
        joined += before->n_ops - after->n_ops;
        for (u32 k = 0; k < 4; k++)
            must_agree(before, after);
    }
    cr_assert_gt(joined, ROUNDS / 20);
    free(before);
    free(after);
}

Test(join, an_index_in_place)
{
    Ir *ir = new_ir();

    ir_insn(ir, 0x1000, 4);
    gen_sll(ir, 1, 1, ir_const(ir, 3));
    ir_insn(ir, 0x1004, 4);
    gen_add(ir, 1, 2, 1);
    gen_leave(ir, ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x2000));
    pass_join(ir);
    cr_assert_eq(ir->n_ops, 4);
    cr_assert_eq(ir->ops[2].op, OP_sh3add);
    cr_assert(ir->ops[2].in[0] == 1 && ir->ops[2].in[1] == 2);
    free(ir);
}
