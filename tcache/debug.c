/* SPDX-License-Identifier: MIT */
/*
 * What a debugger needs: breakpoints, which are guest pcs that end a block, and
 * running one instruction.  That is interpreted, whatever the accelerator is: it is
 * exact, and it shows what memory was touched.
 */
#include <stdlib.h>
#include <string.h>
#include "tb.h"

typedef struct Stepper Stepper;

/* ---- breakpoints ---- */

static u32 place_of(const Space *s, u64 pc)
{
    u32 i = 0;

    while (i < s->n_stops && s->stops[i] < pc)
        i++;
    return i;
}

static bool change_stops(Space *s, u64 pc, bool stop)
{
    u32 i = place_of(s, pc), rest = s->n_stops - i;
    u64 *stops = (u64 *)s->stops;

    if (stop) {
        stops = realloc(stops, (s->n_stops + 1) * sizeof *stops);
        if (!stops)
            return false;
        memmove(stops + i + 1, stops + i, rest * sizeof *stops);
        stops[i] = pc;
        s->n_stops++;
    } else {
        memmove(stops + i, stops + i + 1, (rest - 1) * sizeof *stops);
        s->n_stops--;
    }
    s->stops = stops;
    return true;
}

bool cache_stop_at(Cache *c, u64 pc, bool stop)
{
    bool ok = true;

    lock_take(&c->lock);
    if (space_stops(c->space, pc) != stop)
        ok = change_stops(c->space, pc, stop);
    lock_leave(&c->lock);
    if (c->options.system) /* it is a virtual address */
        cache_flush(c);
    else
        cache_drop(c, pc, 1);
    return ok;
}

/* ---- one instruction ---- */

enum { RECENT = 1024, LONGEST = 16 };

/* An instruction that was run lately, as micro-ops. */
typedef struct OneInsn {
    TbKey key;
    u8 bytes[LONGEST];
    u32 len; /* 0: could not be read; never again the same */
    InterpCode code;
    IrExit *exits;
} OneInsn;

struct Stepper {
    Ir *ir;
    Space space;       /* the cache's, without stops */
    Source source;     /* of a system's code */
    const Space *from; /* where the instruction at hand is read from */
    InterpRun run;
    volatile bool inside;         /* guest memory is read or written */
    const OneInsn *volatile insn; /* what runs; NULL: it is being read */
    sigjmp_buf fault;
    OneInsn recent[RECENT];
};

static void *copy(const void *from, size_t n) { return g_memdup2(from, n); }

static void insn_free(OneInsn *i)
{
    g_free((void *)i->code.ops);
    g_free((void *)i->code.consts);
    g_free((void *)i->code.insns);
    g_free(i->exits);
    *i = (OneInsn){0};
}

void stepper_free(Stepper *s)
{
    for (u32 i = 0; i < RECENT; i++)
        insn_free(&s->recent[i]);
    free(s->ir);
    g_free(s);
}

static __attribute__((noinline)) Stepper *stepper_of(Env *env)
{
    Cache *c = env->cache;
    Stepper *s = env->thread->stepper;

    if (s)
        return s;
    s = g_new0(Stepper, 1);
    s->ir = ir_new();
    if (!s->ir) {
        report("no memory to run one instruction");
        abort();
    }
    s->space = *c->space;
    s->space.stops = NULL;
    s->space.n_stops = 0;
    return env->thread->stepper = s;
}

/* Its length, 0: it cannot be read. */
static u32 read_insn(Stepper *s, const Cache *c, TbKey key, const Space *space)
{
    Dis d;

    translate_block(&d, s->ir, c->guest, space, key, 1, NULL);
    return MIN(s->ir->insns[0].len, LONGEST);
}

/* The same from a copy of its bytes, as another thread may be writing them. */
static u32 read_still(Stepper *s, const Cache *c, TbKey key, u8 bytes[LONGEST])
{
    Space still = *s->from;
    u32 len = read_insn(s, c, key, &still), had = 0;

    still.base = (u8 *)((uintptr_t)bytes - key.pc);
    while (len > had) {
        had = len;
        memcpy(bytes, space_host(s->from, key.pc), had);
        len = read_insn(s, c, key, &still);
    }
    return len;
}

static void insn_make(Stepper *s, const Cache *c, TbKey key, OneInsn *i)
{
    Ir *ir = s->ir;
    u32 len;

    insn_free(i);
    len = read_still(s, c, key, i->bytes);
    pass_fold(ir);
    pass_dead(ir);
    i->key = key;
    i->code = interp_code(ir);
    i->code.ops = copy(ir->ops, ir->n_ops * sizeof *ir->ops);
    i->code.consts = copy(ir->consts, ir->n_consts * sizeof *ir->consts);
    i->code.insns = copy(ir->insns, ir->n_insns * sizeof *ir->insns);
    i->exits = copy(ir->exits, ir->n_exits * sizeof *ir->exits);
    i->len = len;
}

/* What env->pc stands for, and where it is read from; false: env->trap. */
static bool find_source(Stepper *s, Env *env, TbKey *key)
{
    Cache *c = env->cache;
    u64 second;

    *key = (TbKey){env->pc, env->key_flags};
    s->from = &s->space;
    if (!c->options.system)
        return true;
    if (!system_key(c, env, key, &second) || !system_source(c, env, *key, &s->source))
        return false;
    s->source.view.n_stops = 0;
    s->from = &s->source.view;
    return true;
}

/* The instruction at env->pc, as memory is now; NULL: env->trap. */
static const OneInsn *insn_at(Stepper *s, Env *env)
{
    OneInsn *i;
    TbKey key;

    if (!find_source(s, env, &key))
        return NULL;
    i = &s->recent[(key.pc >> 1) % RECENT];
    if (i->len == 0 || i->key.pc != key.pc || i->key.flags != key.flags ||
        !space_check(s->from, key.pc, i->len, PAGE_EXEC) ||
        memcmp(i->bytes, space_host(s->from, key.pc), i->len))
        insn_make(s, env->cache, key, i);
    return i;
}

static TrapKind trap_memory(Env *env, int sig, int code, u64 addr, bool write)
{
    env->trap = (Trap){
        .kind = TRAP_MEMORY, .sig = sig, .code = code, .addr = addr, .write = write};
    return TRAP_MEMORY;
}

static bool op_writes(const Stepper *s)
{
    return op_desc[s->insn->code.ops[s->run.op].op].flags & STORE;
}

static TrapKind run_insn(Stepper *s, Env *env)
{
    const IrExit *x;

    s->insn = insn_at(s, env);
    if (!s->insn)
        return env->trap.kind;
    if (log_on(LOG_EXEC | LOG_CPU))
        exec_log(env, false);
    interp_block(env, &s->insn->code, &s->run);
    switch (s->run.exit) {
    case INTERP_JUMP: env->pc = s->run.pc; return TRAP_NONE;
    case INTERP_FAULT:
        return trap_memory(env, SIGSEGV, SEGV_MAPERR, s->run.addr, op_writes(s));
    }
    x = &s->insn->exits[s->run.exit];
    env->pc = x->pc;
    if (x->kind != EXIT_TRAP)
        return TRAP_NONE;
    env->trap = (Trap){.kind = x->trap, .addr = x->addr};
    return x->trap;
}

/* What the ops that were run did: all of an instruction's have one base. */
static void find_access(const Stepper *s, Access *a)
{
    const Op *ops = s->insn->code.ops, *last = NULL;
    u64 end = 0;

    for (u32 i = s->run.op + 1; i-- > 0;) {
        u16 flags = op_desc[ops[i].op].flags;
        u64 at;

        if (!(flags & FAULT) || (last && ops[i].in[0] != last->in[0]))
            continue;
        if (!last)
            last = &ops[i];
        at = s->run.addr + (u64)(i64)ops[i].imm - (u64)(i64)last->imm;
        end = MAX(end, at + op_access_size(ops[i].op));
        a->addr = last == &ops[i] ? at : MIN(a->addr, at);
        a->size = end - a->addr;
        a->load |= flags & LOAD;
        a->store |= flags & STORE;
    }
}

TrapKind exec_step(Env *env, Access *access)
{
    Stepper *s = stepper_of(env);
    TrapKind kind;

    s->run.miss = system_misses(env);
    s->run.limit = s->run.miss ? 0 : s->space.size;
    s->insn = NULL;
    env->trap.kind = TRAP_NONE;
    if (sigsetjmp(s->fault, 0) == 0) {
        s->inside = true;
        kind = run_insn(s, env);
    } else {
        if (s->insn)
            interp_leave(env, &s->run);
        kind = env->trap.kind;
    }
    s->inside = false;
    if (access)
        *access = (Access){0};
    if (access && kind == TRAP_NONE)
        find_access(s, access);
    return kind;
}

/* ---- faults of it ---- */

void step_fault(Env *env)
{
    if (env->thread->stepper && env->thread->stepper->inside)
        siglongjmp(env->thread->stepper->fault, 1);
}

/* Where a handler returns to: the signal mask as before, the stack below the fault. */
static _Noreturn void land(Stepper *s) { siglongjmp(s->fault, 1); }

static void redirect(Stepper *s, ucontext_t *context)
{
    greg_t *r = context->uc_mcontext.gregs;

    r[REG_RSP] = (r[REG_RSP] - 1024) / 16 * 16 - 8; /* as if just called */
    r[REG_RDI] = (greg_t)(uintptr_t)s;
    r[REG_RIP] = (greg_t)(uintptr_t)land;
}

/* A write to a page that is write-protected for its code: it is not any more. */
static bool write_to_code(Env *env, u64 addr, const siginfo_t *info, bool write)
{
    Cache *c = env->cache;

    if (c->interp || !write || !exec_watches(c, addr, info))
        return false;
    cache_host_write(c, addr, 1);
    return true;
}

bool step_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context)
{
    Stepper *s = env->thread->stepper;
    const Cache *c = env->cache;
    u64 addr = (u64)(uintptr_t)info->si_addr - (u64)(uintptr_t)c->space->base;
    bool write = context->uc_mcontext.gregs[REG_ERR] & 2;
    int code = info->si_code == SI_KERNEL ? SEGV_MAPERR : info->si_code;

    if (!s->inside || (sig != SIGSEGV && sig != SIGBUS) ||
        (!s->insn && addr >= s->space.size))
        return false;
    if (sig == SIGSEGV && write_to_code(env, addr, info, write))
        return true;
    if (c->options.system)
        return false;
    if (!s->insn)
        addr = env->pc; /* code that cannot be read */
    else if (addr - s->run.addr >= sizeof(u64))
        addr = s->run.addr;
    trap_memory(env, sig, code, addr, write);
    redirect(s, context);
    return true;
}

bool step_is_inside(const Thread *t) { return t->stepper && t->stepper->inside; }

void step_leave_access(Env *env, ucontext_t *context)
{
    env->trap = (Trap){.kind = TRAP_REQUEST};
    redirect(env->thread->stepper, context);
}
