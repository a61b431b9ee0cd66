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
    STACK = 1 << 16,
    ALL_FLAGS = 0x603d, /* rounding, and the flags guests have */
    ROUNDS = 50,        /* of a loop */
    LANDED = 0x1234567,
    BLOCK = 0x4321,
    NOTHING = 0xcc,
    SECONDS = 5,
};

#define NOTHING_THERE (1ull << 34) /* on both sides of memory */

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

/* Of a host signal: where, and what the registers were. */
typedef struct Caught {
    int code;
    u64 addr, rip;
    u64 r[HOST_GPRS], f[HOST_FPRS];
    u32 mxcsr;
} Caught;

static Caught caught;
static sigjmp_buf escape;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    static const u8 numbers[HOST_GPRS] = {REG_RBX, REG_R12, REG_R13, REG_R14,
                                          REG_R15, REG_R8,  REG_R9,  REG_R10,
                                          REG_R11, REG_RSI, REG_RDI};
    const mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;

    caught.code = info->si_code;
    caught.addr = (u64)(uintptr_t)info->si_addr;
    caught.rip = (u64)m->gregs[REG_RIP];
    caught.mxcsr = m->fpregs->mxcsr;
    for (u32 h = 0; h < HOST_GPRS; h++)
        caught.r[h] = (u64)m->gregs[numbers[h]];
    for (u32 h = 0; h < HOST_FPRS; h++)
        memcpy(&caught.f[h], &m->fpregs->_xmm[h + 4], 8);
    siglongjmp(escape, signal);
}

static void *map(size_t size, int prot)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(NULL, size, prot, flags, -1, 0);

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
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_ONSTACK | SA_SIGINFO};
    stack_t stack = {.ss_sp = map(STACK, PROT_READ | PROT_WRITE), .ss_size = STACK};

    r->buffer = map(BUFFER, PROT_READ | PROT_WRITE | PROT_EXEC);
    r->memory = (u8 *)map(2 * NOTHING_THERE, PROT_NONE) + NOTHING_THERE;
    mprotect(r->memory - GUARD, MEMORY + 2 * GUARD, PROT_READ | PROT_WRITE);
    for (u32 i = 0; i < emit_guest.n_helpers; i++)
        r->helpers[i] = (const void *)emit_guest.helpers[i].fn;
    for (u32 i = 0; i < OP_COUNT; i++)
        r->helpers[emit_guest.n_helpers + i] = (const void *)interp_fn[i];
    for (u32 i = 0; i < JUMP_CACHE_SIZE; i++)
        r->env.jump_cache[i] = (JumpSlot){JUMP_EMPTY, NULL};
    sigaltstack(&stack, NULL);
    for (u32 i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &action, NULL);
    syscall(SYS_arch_prctl, ARCH_SET_GS, r->memory);
}

/* ---- states ---- */

static void put_state(Runner *r, const State *s, bool request)
{
    Env *env = &r->env;

    memset(env, 0, offsetof(Env, jump_cache));
    host_env_init(env);
    memcpy(env->g, s->g, sizeof s->g);
    env->base = (u64)(uintptr_t)r->memory;
    env->res_addr = s->res_addr;
    env->res_value = s->res_value;
    env->mxcsr = s->mxcsr;
    env->request = request;
    env->helpers = r->helpers;
    memcpy(r->memory, s->memory, MEMORY);
}

static void get_state(const Runner *r, State *s)
{
    memcpy(s->g, r->env.g, sizeof s->g);
    s->res_addr = r->env.res_addr;
    s->res_value = r->env.res_value;
    s->mxcsr = r->env.mxcsr & ALL_FLAGS;
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

static u64 fault_address(const Runner *r)
{
    return caught.code == SI_KERNEL ? 0 : caught.addr - r->env.base;
}

/* The op at run.op has faulted: which instruction's, and its state. */
static void interpreted_fault(Runner *r, const Ir *ir, u32 op, Result *to)
{
    r->env.mxcsr = caught.mxcsr;
    _mm_setcsr(0x1f80);
    to->way = WAY_FAULT;
    to->op = op;
    to->pc = fault_address(r);
    while (ir->ops[op].op != OP_insn)
        op--;
    to->exit = (u32)ir->ops[op].imm;
    canon_apply(r->env.g, ir->insns[to->exit].canon);
    get_state(r, &to->state);
}

static void interpret(Runner *r, const Case *c, const Ir *ir, bool request, Result *to)
{
    InterpCode code = interp_code(ir);
    static InterpRun run;
    volatile u32 rounds = 0;

    run = (InterpRun){0};
    to->rounds = 0;
    put_state(r, &c->start, request);
    if (sigsetjmp(escape, 1)) {
        interpreted_fault(r, ir, run.op, to);
        return;
    }
    do {
        interp_block(&r->env, &code, &run);
        if (run.exit >= 0)
            canon_apply(r->env.g, ir->exits[run.exit].canon);
    } while (is_head(c, ir, run.exit) && at_end(ir, run.op) && ++rounds < ROUNDS);
    to->way = rounds == ROUNDS          ? WAY_ENDLESS
              : run.exit == INTERP_JUMP ? WAY_JUMP
                                        : WAY_EXIT;
    to->exit = (u32)run.exit;
    to->op = run.op;
    to->rounds = rounds;
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
    to->op = to->rounds = 0;
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

    emit_thunks(&r->thunks, c->set, c->entry, r->buffer, guest, 0, false);
    make_landing(r);
    memset(t, 0, sizeof *t);
    t->emitter = emitter; /* kept, as the code cache does */
    if (emitter && !c->memo_kept)
        emitter->memo_of = NULL;
    t->statistics = c->statistics;
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
    t->check_at = (i64)ir->insns[0].pc;
    t->check_bytes = c->start.memory + ir->insns[0].pc;
    t->n_helpers = emit_guest.n_helpers;
    cover_begin();
    return emit_block(t);
}

/* ---- running ---- */

/* Which instruction the code at this offset belongs to. */
static u32 insn_at(const EmitTask *t, u32 at)
{
    u32 i = t->ir->n_insns - 1;

    while (i && t->insn_at[i] > at)
        i--;
    return i;
}

/* A fault in code, or in a helper that code called: the registers into env, as the
 * code cache does. */
static void code_fault(Runner *r)
{
    const EmitTask *t = &r->task;
    const Plan *plan = t->plan;
    u64 buffer = (u64)(uintptr_t)r->buffer;
    bool inside = caught.rip - buffer < BUFFER;
    u32 at = (u32)((inside ? caught.rip : r->env.call_site - 1) - buffer);

    r->env.mxcsr = caught.mxcsr;
    for (u32 i = 0; i < GLOBALS && inside; i++)
        if (plan->host[i] != HOST_NONE)
            r->env.g[i] = i < INTS ? caught.r[plan->host[i]] : caught.f[plan->host[i]];
    r->emitted.exit = insn_at(t, at);
    canon_apply(r->env.g, t->ir->insns[r->emitted.exit].canon);
    r->env.pc = fault_address(r);
}

static u32 enter(Runner *r)
{
    int signal = sigsetjmp(escape, 1);
    u32 number;

    if (signal) {
        _mm_setcsr(0x1f80);
        alarm(0);
        if (signal != SIGSEGV)
            return EXIT_KINDS | (u32)signal; /* no block has this number */
        code_fault(r);
        return EXIT_FAULT;
    }
    alarm(SECONDS);
    number = host_enter(&r->env, r->buffer + r->task.at, r->buffer + r->thunks.enter);
    alarm(0);
    return number;
}

static void set_jump_cache(Runner *r, u64 pc, bool filled)
{
    r->env.jump_cache[pc >> 1 & (JUMP_CACHE_SIZE - 1)] =
        filled ? (JumpSlot){pc, r->buffer + r->landing} : (JumpSlot){JUMP_EMPTY, NULL};
}

static void run_code(Runner *r, const Case *c, bool request, Result *to)
{
    const EmitTask *t = &r->task;
    bool cached = c->cached && r->interpreted.way == WAY_JUMP;
    i32 count = c->counted_out ? 1 : 2;
    u32 number;

    put_state(r, &c->start, request);
    memcpy(r->buffer + COUNTER, &count, sizeof count);
    if (c->stale && c->check_len)
        r->memory[t->ir->insns[0].pc + c->seed % c->check_len] ^= 0x10;
    if (cached)
        set_jump_cache(r, r->interpreted.pc, true);
    number = enter(r);
    if (cached)
        set_jump_cache(r, r->interpreted.pc, false);
    if (c->stale && c->check_len)
        r->memory[t->ir->insns[0].pc + c->seed % c->check_len] ^= 0x10;
    if (number != EXIT_FAULT)
        to->exit = number;
    to->pc = r->env.pc;
    to->way = WAY_EXIT;
    if (number == EXIT_FAULT)
        to->way = WAY_FAULT;
    else if (number == EXIT_JUMP_MISS)
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
    for (u32 i = 0; i < MEMORY && memcmp(a->memory, b->memory, MEMORY); i++)
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

    if (a->way == WAY_JUMP && b->way == WAY_EXIT && c->fold)
        return same_exit(r, ir);
    if (expected != b->way)
        return DIFFER("ended in way %d, code in way %d (%#x)", expected, b->way,
                      b->exit);
    if (b->way == WAY_FAULT && (a->exit != b->exit || a->pc != b->pc))
        return DIFFER("instruction %u faults at 0x%llx, in code %u at 0x%llx", a->exit,
                      (unsigned long long)a->pc, b->exit, (unsigned long long)b->pc);
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
    cover_event(COVER_linked);
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

/* -stats' counters: the block once, and the jump. */
static bool same_counts(const Runner *r, const Case *c)
{
    const Result *a = &r->interpreted;
    u64 entered = c->statistics,
        jumps = c->statistics && (r->emitted.way == WAY_JUMP ||
                                  (r->emitted.way == WAY_LANDED && a->way == WAY_JUMP));

    if (r->env.entered != entered || r->env.jumps != jumps)
        return DIFFER("way %d: counted %llu blocks and %llu jumps", a->way,
                      (unsigned long long)r->env.entered,
                      (unsigned long long)r->env.jumps);
    return true;
}

static const Ir *pass(Runner *r, const Case *c)
{
    if (!c->fold && !c->dead && !c->join && !c->nan)
        return c->ir;
    r->passed = *c->ir;
    if (c->fold)
        pass_fold(&r->passed);
    if (c->dead)
        pass_dead(&r->passed);
    if (c->join)
        pass_join(&r->passed);
    if (c->nan)
        pass_nan(&r->passed);
    return &r->passed;
}

static bool agrees(Runner *r, const Case *c)
{
    const Ir *ir = pass(r, c);
    bool request, fits = emit(r, c, ir);

    if (!within_limits(r))
        return false;
    if (!fits) {
        cover_event(COVER_full);
        return c->small || ir->n_ops > LARGE_BLOCK || DIFFER("it did not fit");
    }
    request = expect(r, c, ir, &r->interpreted);
    run_code(r, c, request, &r->emitted);
    if (!same_way(r, c, ir) || !same_state(&r->interpreted.state, &r->emitted.state) ||
        !same_counts(r, c))
        return false;
    cover_note(c, ir, &r->task, &r->interpreted, &r->emitted);
    return same_when_linked(r, c, request);
}

bool case_agrees(const Case *c, const char **why)
{
    *why = runner.why;
    return agrees(&runner, c);
}
