/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_steps && ctest --test-dir build -R test_steps
 *
 * The interpreter's two forms.  Random blocks run op by op (interp_block) and as steps
 * must end alike: registers, memory, flags and where.  And blocks linked to others, and
 * heads that notice a change.  SEED=n in the environment: other blocks.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "emit_case.h"

enum { ROUNDS = 20000, LAPS = 3000000 };

/* How a block ended. */
typedef struct End {
    Way way;
    u64 exit; /* WAY_SIGNAL: the pc */
    u64 pc;   /* WAY_JUMP, WAY_SIGNAL: the address */
    State state;
} End;

static const u64 limits[] = {MEMORY + GUARD / 2, MEMORY / 2, MEMORY / 8};
static const _Atomic u64 map_now = 5;
static StepRun steps_state = {.map = &map_now};
static Env env;
static u8 *memory;

static void set_up(void)
{
    memory = mmap(NULL, MEMORY + 2 * GUARD, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    memory += GUARD;
}

TestSuite(steps, .init = set_up);

/* ---- both forms ---- */

static void put_state(const Case *c)
{
    memset(&env, 0, sizeof env);
    memcpy(env.g, c->start.g, sizeof c->start.g);
    env.base = (u64)(uintptr_t)memory;
    env.res_addr = c->start.res_addr;
    env.res_value = c->start.res_value;
    env.mxcsr = c->start.mxcsr;
    env.request = c->request;
    for (u32 i = 0; i < JUMP_CACHE_SIZE; i++)
        env.jump_cache[i].pc = JUMP_EMPTY;
    memcpy(memory, c->start.memory, MEMORY);
}

static void get_state(State *s)
{
    memset(s, 0, sizeof *s);
    memcpy(s->g, env.g, sizeof s->g);
    s->res_addr = env.res_addr;
    s->res_value = env.res_value;
    s->mxcsr = env.mxcsr & 0x603d;
    memcpy(s->memory, memory, MEMORY);
}

static void run_ops(const Case *c, u64 limit, End *to)
{
    InterpCode code = interp_code(c->ir);
    InterpRun run = {.limit = limit};

    put_state(c);
    interp_block(&env, &code, &run);
    switch (run.exit) {
    case INTERP_FAULT:
        *to = (End){WAY_SIGNAL, interp_pc(&code, run.op, 0), run.addr};
        break;
    case INTERP_JUMP: *to = (End){WAY_JUMP, .pc = run.pc}; break;
    default: *to = (End){WAY_EXIT, (u64)run.exit}; break;
    }
    get_state(&to->state);
}

static void run_steps(const Case *c, u64 limit, End *to)
{
    StepRun *run = &steps_state;
    StepCode *code = steps_new(c->ir, &env, run, false);

    run->limit = limit;
    put_state(c);
    switch (steps_run(&env, code->steps, run)) {
    case STEPS_FAULT: *to = (End){WAY_SIGNAL, run->pc, run->addr}; break;
    case STEPS_JUMP: *to = (End){WAY_JUMP, .pc = run->pc}; break;
    case STEPS_LINK: *to = (End){WAY_EXIT, (u64)(run->link - code->links)}; break;
    default: *to = (End){WAY_STALE}; break;
    }
    get_state(&to->state);
    free(code);
}

static void must_agree(const Case *c, u64 limit)
{
    static End ops, steps;

    run_ops(c, limit, &ops);
    run_steps(c, limit, &steps);
    if (!memcmp(&ops, &steps, sizeof ops))
        return;
    case_print(c);
    ir_dump(stdout, c->ir);
    for (u32 i = 0; i < GLOBALS; i++)
        if (ops.state.g[i] != steps.state.g[i])
            printf("%s: by ops %llx, by steps %llx\n", emit_guest.globals[i].name,
                   (long long)ops.state.g[i], (long long)steps.state.g[i]);
    cr_assert(false,
              "seed %llu, limit %llx: way %d exit %llx pc %llx mxcsr %x, by steps "
              "%d %llx %llx %x",
              (long long)c->seed, (long long)limit, ops.way, (long long)ops.exit,
              (long long)ops.pc, ops.state.mxcsr, steps.way, (long long)steps.exit,
              (long long)steps.pc, steps.state.mxcsr);
}

Test(steps, as_ops)
{
    const char *seed = getenv("SEED");
    u64 first = seed ? strtoull(seed, NULL, 0) * ROUNDS : 0;
    Case c = {.ir = ir_new()};

    for (u64 i = first; i < first + ROUNDS; i++) {
        case_make(&c, i);
        for (u32 k = 0; k < ARRAY_SIZE(limits); k++)
            must_agree(&c, limits[k]);
    }
    free(c.ir);
}

/* ---- blocks that lead to blocks ---- */

typedef struct Block {
    StepHead head;
    StepCode *code;
} Block;

static const u8 nothing[1];

static Ir *empty_ir(void)
{
    Ir *ir = ir_new();

    ir_reset(ir, (const struct Guest *)&emit_guest);
    ir_insn(ir, 0x100, 2);
    return ir;
}

static void make_block(Block *b, Ir *ir, bool count)
{
    b->code = steps_new(ir, &env, &steps_state, count);
    b->head = (StepHead){.host = nothing, .bytes = nothing, .map = map_now};
    steps_head(&b->head, 0x100, b->code, false, count);
    free(ir);
}

/* g0 -= 1; g1 += 2; while g0 != 0, again; else by the last exit. */
static void make_loop(Block *b, bool count)
{
    Ir *ir = empty_ir();

    gen_add(ir, 0, 0, ir_const(ir, -1));
    gen_add(ir, 1, 1, ir_const(ir, 2));
    gen_bne(ir, 0, ir_const(ir, 0), ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x100));
    gen_leave(ir, ir_exit(ir, EXIT_TRAP, TRAP_SYSCALL, 0x102));
    make_block(b, ir, count);
    b->code->links[0].to = &b->head.enter;
}

/* Were a step called, and not jumped to, the stack would be used up. */
Test(steps, links)
{
    Block b;

    make_loop(&b, true);
    env.g[0] = LAPS;
    env.mxcsr = 0x1f80;
    cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), STEPS_LINK);
    cr_assert_eq(steps_state.link, &b.code->links[1]);
    cr_assert_eq(steps_state.link->kind, EXIT_TRAP);
    cr_assert_eq(steps_state.link->trap, TRAP_SYSCALL);
    cr_assert_eq(env.g[1], 2 * LAPS);
    cr_assert_eq(env.entered, LAPS);
}

Test(steps, request_ends_loop)
{
    Block b;

    make_loop(&b, false);
    env.g[0] = 10;
    env.mxcsr = 0x1f80;
    env.request = REQUEST_SIGNAL;
    cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), STEPS_LINK);
    cr_assert_eq(steps_state.link, &b.code->links[0]);
    cr_assert_eq(env.g[0], 9);
    cr_assert_eq(env.entered, 0);
}

Test(steps, jump_cache)
{
    Block loop, jump;
    Ir *ir = empty_ir();

    make_loop(&loop, false);
    gen_jump(ir, 2);
    make_block(&jump, ir, true);
    env.g[0] = 3;
    env.g[2] = 0x4444;
    env.mxcsr = 0x1f80;
    cr_assert_eq(steps_run(&env, &jump.head.enter, &steps_state), STEPS_JUMP);
    cr_assert_eq(steps_state.pc, 0x4444);
    env.jump_cache[jump_slot(0x4444)] = (JumpSlot){0x4444, &loop.head.enter};
    cr_assert_eq(steps_run(&env, &jump.head.enter, &steps_state), STEPS_LINK);
    cr_assert_eq(env.g[0], 0);
    cr_assert_eq(env.jumps, 2);
    env.request = REQUEST_SIGNAL;
    cr_assert_eq(steps_run(&env, &jump.head.enter, &steps_state), STEPS_JUMP);
}

/* ---- heads ---- */

/* A change of any bit, in code of any length. */
Test(steps, heads)
{
    u8 host[100], bytes[100];
    Block b;

    make_loop(&b, false);
    env.mxcsr = 0x1f80;
    for (u32 i = 0; i < sizeof host; i++)
        host[i] = bytes[i] = (u8)(i * 37);
    for (u32 len = 0; len < sizeof host; len++) {
        b.head = (StepHead){.host = host, .bytes = bytes, .len = len, .map = map_now};
        steps_head(&b.head, 0x100, b.code, false, false);
        for (u32 bit = 0; bit < 8 * sizeof host; bit++) {
            StepsEnd end = bit < 8 * len ? STEPS_STALE : STEPS_LINK;

            env.g[0] = 1;
            host[bit / 8] ^= 1 << bit % 8;
            cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), end,
                         "length %u, bit %u", len, bit);
            host[bit / 8] ^= 1 << bit % 8;
        }
        b.head.map--;
        cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), STEPS_STALE);
        cr_assert_eq(steps_state.head, &b.head);
    }
}

/* Fixed code is only looked at when the map has changed. */
Test(steps, fixed_head)
{
    u8 host[20] = {0}, bytes[20] = {1};
    Block b;

    make_loop(&b, false);
    env.mxcsr = 0x1f80;
    env.g[0] = 1;
    b.head = (StepHead){.host = host, .bytes = bytes, .len = 20, .map = map_now};
    steps_head(&b.head, 0x100, b.code, true, false);
    cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), STEPS_LINK);
    b.head.map--;
    cr_assert_eq(steps_run(&env, &b.head.enter, &steps_state), STEPS_STALE);
}
