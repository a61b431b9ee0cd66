/* SPDX-License-Identifier: MIT */
/*
 * Runs a trial twice, interpreted and as emitted code, and compares how each ended.
 * The code buffer is one mapping, writable and executable: a test may.
 */
#include <asm/prctl.h>
#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "emit_case.h"

enum {
    BUFFER = 1 << 20,
    COUNTER = BUFFER - 64, /* offset of the entry counter */
    GUARD = 1 << 16,
    ROUNDS = 50, /* of a loop */
    LANDED = 0x1234567,
    BLOCK = 0x4321,
    FIRST_EXIT = 700,
    NOTHING = 0xcc,
    SECONDS = 5,
};

typedef struct Runner {
    u8 *buffer, *memory;
    Env env;
    EmitTask task;
    EmitThunks thunks;
    u32 landing;
    const void *helpers[OP_COUNT + 8];
    Ir passed;
    Result interpreted, emitted;
    char why[160];
} Runner;

static Runner runner;
static sigjmp_buf escape;

static void on_signal(int signal) { siglongjmp(escape, signal); }

static void *map(size_t size, int prot)
{
    void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

void run_init(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    Runner *r = &runner;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    stack_t stack = {.ss_sp = map(GUARD, PROT_READ | PROT_WRITE), .ss_size = GUARD};

    r->buffer = map(BUFFER, PROT_READ | PROT_WRITE | PROT_EXEC);
    r->memory = (u8 *)map(MEMORY + 2 * GUARD, PROT_READ | PROT_WRITE) + GUARD;
    for (u32 i = 0; i < emit_guest.n_helpers; i++)
        r->helpers[i] = (const void *)emit_guest.helpers[i].fn;
    for (u32 i = 0; i < OP_COUNT; i++)
        r->helpers[emit_guest.n_helpers + i] = (const void *)interp_fn[i];
    sigaltstack(&stack, NULL);
    for (u32 i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &action, NULL);
    syscall(SYS_arch_prctl, ARCH_SET_GS, r->memory);
}

/* ---- states ---- */

static void put_state(Runner *r, const State *s, bool request)
{
    Env *env = &r->env;

    memset(env, 0, sizeof *env);
    host_env_init(env);
    memcpy(env->g, s->g, sizeof s->g);
    env->base = (u64)(uintptr_t)r->memory;
    env->res_addr = s->res_addr;
    env->res_value = s->res_value;
    env->mxcsr = s->mxcsr;
    env->request = request;
    env->helpers = r->helpers;
    for (u32 i = 0; i < JUMP_CACHE_SIZE; i++)
        env->jump_cache[i] = (JumpSlot){JUMP_EMPTY, NULL};
    memcpy(r->memory, s->memory, MEMORY);
}

static void get_state(const Runner *r, State *s)
{
    memcpy(s->g, r->env.g, sizeof s->g);
    s->res_addr = r->env.res_addr;
    s->res_value = r->env.res_value;
    s->mxcsr = r->env.mxcsr & 0x603d; /* rounding, and the flags guests have */
    memcpy(s->memory, r->memory, MEMORY);
}

/* ---- interpreting ---- */

static bool is_head(const Case *c, const Ir *ir, i32 exit)
{
    return c->loops && exit >= 0 && ir->exits[exit].kind == EXIT_JUMP &&
           ir->exits[exit].pc == c->head_pc;
}

/* Does the emitter loop here?  Elsewhere it leaves, which is as good. */
static bool at_end(const Ir *ir, u32 op)
{
    return op + 1 == ir->n_ops ||
           (op + 2 == ir->n_ops && op_desc[ir->ops[op].op].n_in == 2 &&
            ir->ops[op].op != OP_check && ir->ops[op + 1].op == OP_leave);
}

static bool any_head(const Case *c, const Ir *ir)
{
    for (u32 i = 0; i < ir->n_exits; i++)
        if (is_head(c, ir, (i32)i))
            return true;
    return false;
}

static void interpret(Runner *r, const Case *c, const Ir *ir, bool request, Result *to)
{
    InterpCode code = interp_code(ir);
    InterpRun run = {0};
    u32 rounds = 0;

    put_state(r, &c->start, request);
    do {
        interp_block(&r->env, &code, &run);
        if (run.exit >= 0)
            canon_apply(r->env.g, ir->exits[run.exit].canon);
    } while (is_head(c, ir, run.exit) && at_end(ir, run.op) && ++rounds < ROUNDS);
    to->way = rounds == ROUNDS          ? WAY_ENDLESS
              : run.exit == INTERP_JUMP ? WAY_JUMP
                                        : WAY_EXIT;
    to->exit = (u32)run.exit;
    to->pc = run.pc;
    get_state(r, &to->state);
}

/* What code shall do: the entry's own ways out come before the block. */
static bool expect(Runner *r, const Case *c, const Ir *ir, Result *to)
{
    bool request = c->request;

    interpret(r, c, c->loops ? ir : c->ir, request, to);
    if (to->way == WAY_ENDLESS)
        request = true;
    if (c->counted && c->counted_out) {
        to->way = WAY_HOT;
    } else if (c->check_len && c->stale) {
        to->way = WAY_STALE;
    } else if (c->loops && any_head(c, ir) && request) {
        to->way = WAY_EXIT;
        for (to->exit = 0; !is_head(c, ir, (i32)to->exit);)
            to->exit++;
    } else {
        return request;
    }
    put_state(r, &c->start, request);
    get_state(r, &to->state);
    return request;
}

/* ---- emitting ---- */

/* What jumps into other blocks find there: a number, and out. */
static void make_landing(Runner *r)
{
    u8 *p = r->buffer + r->thunks.end;
    u32 number = LANDED;

    r->landing = r->thunks.end;
    p[0] = 0xb8; /* mov eax, number */
    memcpy(p + 1, &number, 4);
    p[5] = 0xe9; /* jmp leave */
    emit_write_rel(r->buffer, r->landing + 6, r->thunks.leave);
}

static bool emit(Runner *r, const Case *c, const Ir *ir)
{
    EmitTask *t = &r->task;
    struct Emit *emitter = t->emitter;
    const struct Guest *guest = (const struct Guest *)&emit_guest;

    emit_thunks(&r->thunks, c->set, c->entry, r->buffer, guest);
    make_landing(r);
    memset(t, 0, sizeof *t);
    t->emitter = emitter; /* kept, as the code cache does */
    t->ir = ir;
    t->plan = c->plan;
    t->entry_plan = c->entry;
    t->set = c->set;
    t->thunks = &r->thunks;
    t->buffer = r->buffer;
    t->at = r->landing + 64 + c->skew;
    t->limit = c->small ? t->at + 4096 + (u32)(c->seed * 41 % 3000) : COUNTER - GUARD;
    memset(r->buffer + t->limit, NOTHING, 4096);
    t->first_exit = FIRST_EXIT;
    t->counted = c->counted;
    t->block = BLOCK;
    t->counter = COUNTER;
    t->head_pc = c->head_pc;
    t->loops = c->loops;
    t->check_len = c->check_len;
    t->check_bytes = c->start.memory + ir->insns[0].pc;
    t->n_helpers = emit_guest.n_helpers;
    return emit_block(t);
}

/* ---- running ---- */

static u32 enter(Runner *r)
{
    int signal = sigsetjmp(escape, 1);
    u32 number;

    if (signal) {
        _mm_setcsr(0x1f80);
        return EXIT_KINDS | (u32)signal; /* no block has this number */
    }
    alarm(SECONDS);
    number = host_enter(&r->env, r->buffer + r->task.at, r->buffer + r->thunks.enter);
    alarm(0);
    return number;
}

static void fill_jump_cache(Runner *r, u64 pc)
{
    r->env.jump_cache[pc >> 1 & (JUMP_CACHE_SIZE - 1)] =
        (JumpSlot){pc, r->buffer + r->landing};
}

static void run_code(Runner *r, const Case *c, bool request, Result *to)
{
    const EmitTask *t = &r->task;
    i32 count = c->counted_out ? 1 : 2;
    u32 number;

    put_state(r, &c->start, request);
    memcpy(r->buffer + COUNTER, &count, sizeof count);
    if (c->stale && c->check_len)
        r->memory[t->ir->insns[0].pc + c->seed % c->check_len] ^= 0x10;
    if (c->cached && r->interpreted.way == WAY_JUMP)
        fill_jump_cache(r, r->interpreted.pc);
    number = enter(r);
    if (c->stale && c->check_len)
        r->memory[t->ir->insns[0].pc + c->seed % c->check_len] ^= 0x10;
    to->exit = number;
    to->pc = r->env.pc;
    to->way = WAY_EXIT;
    if (number == EXIT_JUMP_MISS)
        to->way = WAY_JUMP;
    else if (number == LANDED)
        to->way = WAY_LANDED;
    else if (number == (EXIT_HOT | BLOCK))
        to->way = WAY_HOT;
    else if (number == (EXIT_STALE | BLOCK))
        to->way = WAY_STALE;
    else if (number - FIRST_EXIT >= t->n_exits)
        to->way = WAY_SIGNAL;
    get_state(r, &to->state);
}

/* ---- comparing ---- */

#define DIFFER(...) (snprintf(runner.why, sizeof runner.why, __VA_ARGS__), false)

static bool same_state(const State *a, const State *b)
{
    for (u32 i = 0; i < GLOBALS; i++)
        if (a->g[i] != b->g[i])
            return DIFFER("%s: interpreted %016llx, code %016llx",
                          emit_guest.globals[i].name, (unsigned long long)a->g[i],
                          (unsigned long long)b->g[i]);
    if (a->mxcsr != b->mxcsr)
        return DIFFER("MXCSR: interpreted %x, code %x", a->mxcsr, b->mxcsr);
    if (a->res_addr != b->res_addr || a->res_value != b->res_value)
        return DIFFER("reservation differs");
    for (u32 i = 0; i < MEMORY; i++)
        if (a->memory[i] != b->memory[i])
            return DIFFER("memory at 0x%x: interpreted %02x, code %02x", i,
                          a->memory[i], b->memory[i]);
    return true;
}

static bool same_exit(const Runner *r, const Ir *ir)
{
    const EmitExit *e = &r->task.exits[r->emitted.exit - FIRST_EXIT];
    const IrExit *b = &ir->exits[e->ir_exit];
    const IrExit known = {.pc = r->interpreted.pc, .kind = EXIT_JUMP};
    const IrExit *a = r->interpreted.way == WAY_JUMP ? &known /* the passes saw it */
                                                     : &ir->exits[r->interpreted.exit];

    if (a->kind != b->kind || a->pc != b->pc || a->trap != b->trap)
        return DIFFER("left by the exit to 0x%llx, code by the one to 0x%llx",
                      (unsigned long long)a->pc, (unsigned long long)b->pc);
    return true;
}

static bool same_way(const Runner *r, const Case *c, const Ir *ir)
{
    const Result *a = &r->interpreted, *b = &r->emitted;
    Way expected =
        a->way == WAY_JUMP && c->cached && !r->env.request ? WAY_LANDED : a->way;

    if (a->way == WAY_JUMP && b->way == WAY_EXIT && c->passes)
        return same_exit(r, ir);
    if (expected != b->way)
        return DIFFER("ended in way %d, code in way %d (%#x)", expected, b->way,
                      b->exit);
    if (b->way == WAY_JUMP && a->pc != b->pc)
        return DIFFER("jumped to 0x%llx, code to 0x%llx", (unsigned long long)a->pc,
                      (unsigned long long)b->pc);
    return b->way != WAY_EXIT || same_exit(r, ir);
}

/* The exit taken, pointed at another block: it must arrive there in the same state. */
static bool same_when_linked(Runner *r, const Case *c, bool request)
{
    const EmitExit *e;

    if (r->emitted.way != WAY_EXIT)
        return true;
    e = &r->task.exits[r->emitted.exit - FIRST_EXIT];
    if (!e->jump || e->request)
        return true;
    if ((e->jump & 63) > 60)
        return DIFFER("a jump to be patched straddles a cache line: %x", e->jump);
    host_patch(r->buffer, e->jump, r->landing);
    run_code(r, c, request, &r->emitted);
    if (r->emitted.way != WAY_LANDED)
        return DIFFER("linked, it ended in way %d (%#x)", r->emitted.way,
                      r->emitted.exit);
    return same_state(&r->interpreted.state, &r->emitted.state);
}

static bool within_limits(const Runner *r)
{
    const EmitTask *t = &r->task;

    for (u32 i = 0; i < 4096; i++)
        if (t->buffer[t->limit + i] != NOTHING)
            return DIFFER("written beyond the limit");
    return true;
}

static bool agrees(Runner *r, const Case *c)
{
    const Ir *ir = c->ir;
    bool request, fits;

    if (c->passes) {
        r->passed = *c->ir;
        pass_fold(&r->passed);
        pass_dead(&r->passed);
        pass_join(&r->passed);
        pass_nan(&r->passed);
        ir = &r->passed;
    }
    fits = emit(r, c, ir);
    if (!within_limits(r))
        return false;
    if (!fits)
        return c->small || ir->n_ops > LARGE_BLOCK || DIFFER("it did not fit");
    request = expect(r, c, ir, &r->interpreted);
    run_code(r, c, request, &r->emitted);
    return same_way(r, c, ir) && same_state(&r->interpreted.state, &r->emitted.state) &&
           same_when_linked(r, c, request);
}

bool case_agrees(const Case *c, const char **why)
{
    *why = runner.why;
    return agrees(&runner, c);
}
