/* SPDX-License-Identifier: MIT */
/*
 * "-accel check": runs each block interpreted and as code, and compares.  A request
 * or a write to code that comes in between takes all back: the block is entered again.
 * With more than one thread memory has no one order, so blocks just run.
 */
#include <immintrin.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

/* MXCSR's rounding mode and the flags that guests have. */
enum { MXCSR_GUEST = 0x603d };

/* ---- making ---- */

struct Checker *check_new(u32 max_tbs)
{
    struct Checker *k = calloc(1, sizeof *k);

    if (k)
        k->blocks = calloc(max_tbs, sizeof *k->blocks);
    return k;
}

static void block_free(CheckBlock *b)
{
    free((void *)b->code.ops);
    *b = (CheckBlock){0};
}

void check_reset(struct Checker *k)
{
    for (u32 i = 0; i < k->n_blocks; i++)
        block_free(&k->blocks[i]);
    k->n_blocks = 0;
}

CheckRun *check_run_new(Env *env, const Space *space)
{
    CheckRun *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->env = env;
    r->space = space;
    r->stores = g_array_new(FALSE, FALSE, sizeof(CheckStore));
    return r;
}

void check_run_free(CheckRun *r)
{
    g_array_free(r->stores, TRUE);
    free(r);
}

static void *put(char **at, const void *from, size_t n)
{
    void *to = *at;

    if (n)
        memcpy(to, from, n);
    *at += align_up(n, 8);
    return to;
}

void check_keep(Cache *c, u32 tb, const Ir *ir)
{
    CheckBlock *b = &c->check->blocks[tb];
    size_t ops = ir->n_ops * sizeof *ir->ops, consts = ir->n_consts * sizeof(i64);
    size_t insns = ir->n_insns * sizeof *ir->insns;
    size_t exits = ir->n_exits * sizeof *ir->exits;
    char *at = g_malloc(ops + consts + insns + exits + 32);

    block_free(b);
    b->code = interp_code(ir);
    b->code.ops = put(&at, ir->ops, ops);
    b->code.consts = put(&at, ir->consts, consts);
    b->code.insns = put(&at, ir->insns, insns);
    b->exits = put(&at, ir->exits, exits);
    b->n_ops = ir->n_ops;
    b->n_consts = ir->n_consts;
    b->n_insns = ir->n_insns;
    b->n_exits = ir->n_exits;
    c->check->n_blocks = MAX(c->check->n_blocks, tb + 1);
}

/* ---- planted bugs ---- */

static void plant(const Cache *c, Ir *ir)
{
    for (u32 i = 0; i < ir->n_ops; i++)
        if (ir->ops[i].op == c->options.plant[0])
            ir->ops[i].op = (u16)c->options.plant[1];
}

const Ir *check_plant(const Cache *c, const Ir *ir)
{
    static Ir *planted;

    if (c->options.plant[0] == c->options.plant[1] || c->options.plant_in)
        return ir;
    if (!planted)
        planted = ir_new();
    *planted = *ir;
    plant(c, planted);
    return planted;
}

void check_plant_in(const Cache *c, const char *pass, Ir *ir)
{
    if (c->options.plant_in && !strcmp(c->options.plant_in, pass))
        plant(c, ir);
}

/* ---- states ---- */

void check_save(CheckState *s, const Env *env)
{
    memcpy(s->g, env->g, sizeof s->g);
    memcpy(s->guest_state, env->guest_state, sizeof s->guest_state);
    s->key_flags = env->key_flags;
    s->res_addr = env->res_addr;
    s->res_value = env->res_value;
    s->mxcsr = env->mxcsr & MXCSR_GUEST;
    if (env->mmu)
        env->cache->guest->save(env, s->system);
}

void check_load(Env *env, const CheckState *s)
{
    memcpy(env->g, s->g, sizeof s->g);
    memcpy(env->guest_state, s->guest_state, sizeof s->guest_state);
    if (env->mmu)
        env->cache->guest->load(env, s->system);
    env->key_flags = s->key_flags;
    if (env->mmu)
        mmu_enter(env, env->mmu->now->id, env->mmu->mode);
    env->res_addr = s->res_addr;
    env->res_value = s->res_value;
    env->mxcsr = (env->mxcsr & ~(u32)MXCSR_GUEST) | (u32)s->mxcsr;
}

/* ---- stores ---- */

static CheckStore *store_at(const CheckRun *r, u32 i)
{
    return &g_array_index(r->stores, CheckStore, i);
}

static __attribute__((no_sanitize_address)) u64 memory_now(const CheckStore *s)
{
    u64 now = 0;

    switch (s->size) { /* copies of a known size are one instruction */
    case 8: memcpy(&now, s->host, 8); break;
    case 4: memcpy(&now, s->host, 4); break;
    case 2: memcpy(&now, s->host, 2); break;
    default: memcpy(&now, s->host, 1); break;
    }
    return now;
}

void check_note(CheckRun *r, u64 addr, u8 *host, u8 size)
{
    CheckStore s = {.addr = addr, .host = host, .op = r->run.op, .size = size};

    s.before = memory_now(&s);
    g_array_append_val(r->stores, s);
}

void check_escape(CheckRun *r)
{
    r->fragile = false;
    siglongjmp(r->escape, 1);
}

/* InterpRun.on_store; what was there may be unreadable, which is then the fault. */
static void note_store(InterpRun *run, u16 op)
{
    CheckRun *r = (CheckRun *)((char *)run - offsetof(CheckRun, run));
    u8 *host = (u8 *)(uintptr_t)run->host;

    if (!run->miss && space_flags(r->space, run->addr) & PAGE_SHARED) {
        r->shared = true;
        check_escape(r);
    }
    if (host != (u8 *)r->env->bounce)
        check_note(r, run->addr, host, (u8)op_access_size(op));
}

/* A store that faulted did not happen. */
static void forget_fault(CheckRun *r)
{
    u32 n = r->stores->len;

    if (n && store_at(r, n - 1)->op == r->run.op && !store_at(r, n - 1)->marks)
        g_array_set_size(r->stores, n - 1);
}

static void note_results(CheckRun *r)
{
    for (u32 i = 0; i < r->stores->len; i++)
        store_at(r, i)->after = memory_now(store_at(r, i));
}

void check_undo(CheckRun *r)
{
    for (u32 i = r->stores->len; i-- > 0;) {
        CheckStore *s = store_at(r, i);

        if (memory_now(s) != s->before) /* else it may not even be writable */
            memcpy(s->host, &s->before, s->size);
    }
    if (r->marked) /* or it would not be done again */
        mmu_flush(r->env);
}

/* ---- interpreting ---- */

static void fault_outcome(CheckRun *r, const InterpCode *code, CheckOutcome *o)
{
    bool nowhere = r->fault.si_signo == SIGSEGV && r->fault.si_code == SI_KERNEL;

    o->end = END_FAULTED;
    o->pc = interp_pc(code, r->run.op, r->env->pc);
    if (r->refused) {
        o->kind = CHECK_FAULT(&r->env->trap);
        o->addr = r->env->trap.addr;
        return;
    }
    o->kind = (u32)r->fault.si_signo;
    o->addr =
        nowhere ? 0 : (u64)(uintptr_t)r->fault.si_addr - (u64)(uintptr_t)r->space->base;
}

static void exit_outcome(CheckRun *r, const IrExit *exits, CheckOutcome *o)
{
    const IrExit *x;

    if (r->run.exit == INTERP_JUMP) {
        o->pc = r->run.pc;
        return;
    }
    x = &exits[r->run.exit];
    canon_apply(r->env->g, x->canon);
    o->end = x->kind == EXIT_TRAP ? END_TRAPPED : END_WENT_ON;
    o->pc = x->pc;
    o->kind = x->trap;
}

/* The instruction that op belongs to. */
static const IrInsn *insn_of(const InterpCode *code, u32 op)
{
    while (code->ops[op].op != OP_insn)
        op--;
    return &code->insns[code->ops[op].imm];
}

void check_interpret(CheckRun *r, const InterpCode *code, const IrExit *exits,
                     CheckOutcome *o)
{
    Env *env = r->env;

    *o = (CheckOutcome){.end = END_WENT_ON};
    check_load(env, &r->start);
    g_array_set_size(r->stores, 0);
    r->shared = r->refused = r->marked = r->fault_writes = false;
    r->tape.at = 0;
    r->run.on_store = note_store;
    check_system_begin(r);
    if (sigsetjmp(r->escape, 0) == 0) {
        r->fragile = true;
        interp_block(env, code, &r->run);
        r->fragile = false;
        exit_outcome(r, exits, o);
    } else if (interp_leave(env, &r->run), !r->shared) {
        forget_fault(r);
        canon_apply(env->g, insn_of(code, r->run.op)->canon);
        fault_outcome(r, code, o);
    }
    check_system_end(r);
    note_results(r);
    check_save(&o->state, env);
}

bool check_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context)
{
    CheckRun *r = env->thread->check;

    if (!r->fragile)
        return false;
    r->fragile = false;
    r->fault = *info;
    r->fault_writes = context->uc_mcontext.gregs[REG_ERR] & 2;
    pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
    _mm_setcsr(context->uc_mcontext.fpregs->mxcsr); /* a handler has its own */
    siglongjmp(r->escape, 1);
}

/* ---- comparing ---- */

static void say(const CheckTell *t, const char *what, u64 meant, u64 got)
{
    if (t)
        fprintf(t->f, "  %-10s interpreted %016" PRIx64 ", %s %016" PRIx64 "\n", what,
                meant, t->who, got);
}

static bool same_value(const CheckTell *t, const char *what, u64 meant, u64 got)
{
    if (meant != got)
        say(t, what, meant, got);
    return meant == got;
}

static bool same_state(const Cache *c, const CheckState *a, const CheckState *b,
                       const CheckTell *t)
{
    bool same = true;

    if (LIKELY(memcmp(a, b, sizeof *a) == 0))
        return true;
    for (u32 i = 0; i < ENV_GLOBALS; i++)
        if (c->guest->regs.globals[i].cls != CLS_NONE)
            same &= same_value(t, c->guest->regs.globals[i].name, a->g[i], b->g[i]);
    for (u32 i = 0; i < ARRAY_SIZE(a->guest_state); i++)
        same &= same_value(t, "state", a->guest_state[i], b->guest_state[i]);
    for (u32 i = 0; i < c->guest->n_words; i++)
        same &= same_value(t, "system", a->system[i], b->system[i]);
    same &= same_value(t, "mxcsr", a->mxcsr, b->mxcsr);
    same &= same_value(t, "key", a->key_flags, b->key_flags);
    same &= same_value(t, "reserved", a->res_addr, b->res_addr);
    if (a->res_addr != ~0ull)
        same &= same_value(t, "... value", a->res_value, b->res_value);
    return same;
}

bool check_same(const Cache *c, const CheckOutcome *meant, const CheckOutcome *got,
                const CheckTell *t)
{
    static const char *const ends[] = {"goes on", "trapped", "faulted"};
    bool same = same_value(t, "pc", meant->pc, got->pc);

    if (meant->end != got->end) {
        if (t)
            fprintf(t->f, "  %-10s interpreted it %s, %s %s\n", "end", ends[meant->end],
                    t->who, ends[got->end]);
        same = false;
    } else if (meant->end != END_WENT_ON) {
        same &= same_value(t, "kind", meant->kind, got->kind);
    }
    if (meant->end == END_FAULTED && got->end == END_FAULTED)
        same &= same_value(t, "address", meant->addr, got->addr);
    return same & same_state(c, &meant->state, &got->state, t);
}

bool check_same_memory(const CheckRun *r, const CheckTell *t)
{
    bool same = true;

    for (u32 i = 0; i < r->stores->len; i++) {
        const CheckStore *s = store_at(r, i);
        char what[40];

        if (LIKELY(s->after == memory_now(s)))
            continue;
        snprintf(what, sizeof what, "[%" PRIx64 "]", s->addr);
        same &= same_value(t, what, s->after, memory_now(s));
    }
    return same;
}

/* ---- a block ---- */

/* As if it had not been entered: exec_run goes round again. */
static u32 nothing_done(Env *env, const CheckRun *r, const Tb *tb)
{
    check_load(env, &r->start);
    env->budget = r->budget;
    env->pc = tb->pc;
    env->trap.kind = TRAP_NONE;
    return EXIT_FAULT;
}

/* Did the interpreter fault on a page that is only watched for its code? */
static bool watched(Cache *c, Env *env, const CheckRun *r, const Tb *tb)
{
    u64 addr = r->meant.addr;

    if (r->meant.end != END_FAULTED || !r->fault_writes ||
        !exec_watches(c, addr, &r->fault))
        return false;
    exec_lock(c, env->thread);
    smc_write(c, addr, tb);
    exec_unlock(c, env->thread);
    return true;
}

/* Did code run, and to its end? */
static bool ran(const Cache *c, const Env *env, u32 number)
{
    if (number == EXIT_FAULT)
        return env->trap.kind != TRAP_NONE;
    if (number == EXIT_JUMP_MISS)
        return true;
    return !(number & EXIT_KINDS) && !c->exits[number].request;
}

static void code_outcome(const Cache *c, const Env *env, u32 number, CheckOutcome *o)
{
    *o = (CheckOutcome){.end = END_WENT_ON, .pc = env->pc};
    if (number == EXIT_FAULT) {
        o->end = END_FAULTED;
        o->kind = CHECK_FAULT(&env->trap);
        o->addr = env->trap.addr;
    } else if (number != EXIT_JUMP_MISS) {
        const TbExit *x = &c->exits[number];

        o->end = x->kind == EXIT_TRAP ? END_TRAPPED : END_WENT_ON;
        o->pc = x->pc;
        o->kind = x->trap;
    }
    check_save(&o->state, env);
}

/* Nobody else may see memory in between, or change it. */
static bool alone(Cache *c)
{
    if (!c->threads->next || c->options.in_turn)
        return true;
    if (!c->check->said)
        report("-accel check: the guest has threads; what runs beside others is not "
               "compared");
    c->check->said = true;
    return false;
}

/* Runs the code; false: to be entered again, or by another way (*number). */
static bool run_code(Cache *c, Env *env, CheckRun *r, const Tb *tb, u32 *number)
{
    check_load(env, &r->start);
    env->budget = r->budget;
    r->tape.at = 0;
    r->tape.plays = true;
    *number = exec_enter(c, env, tb);
    r->tape.plays = false;
    if (ran(c, env, *number))
        return true;
    check_undo(r);
    if (*number == EXIT_FAULT || !(*number & EXIT_KINDS))
        *number = nothing_done(env, r, tb);
    else
        check_load(env, &r->start);
    return false;
}

/* True: they agree, or were not to be compared. */
static bool enter_both(Cache *c, Env *env, CheckRun *r, const Tb *tb, u32 *number)
{
    const CheckBlock *b = &c->check->blocks[tb_number(c, tb)];

    check_interpret(r, &b->code, b->exits, &r->meant);
    check_undo(r);
    if (r->shared) {
        check_load(env, &r->start);
        r->passed_by++;
        *number = exec_enter(c, env, tb);
        return true;
    }
    if (watched(c, env, r, tb) || b->code.ops[r->run.op].op == OP_check) {
        *number = nothing_done(env, r, tb);
        return true;
    }
    if (!run_code(c, env, r, tb, number))
        return true;
    r->compared++;
    code_outcome(c, env, *number, &r->got);
    return check_same(c, &r->meant, &r->got, NULL) && check_same_memory(r, NULL);
}

u32 check_enter(Cache *c, Env *env, const Tb *tb)
{
    CheckRun *r = env->thread->check;
    u32 number;

    if (!alone(c)) {
        r->passed_by++;
        return exec_enter(c, env, tb);
    }
    check_save(&r->start, env);
    r->budget = env->budget;
    env->tape = &r->tape;
    if (!enter_both(c, env, r, tb, &number)) {
        check_undo(r); /* again: memory may have been another process's to write */
        check_load(env, &r->start);
        if (!enter_both(c, env, r, tb, &number))
            check_report(c, env, tb);
    }
    env->tape = NULL;
    return number;
}

void check_add_stats(const Thread *t, CacheStats *s)
{
    s->compared += t->check->compared;
    s->passed_by += t->check->passed_by;
}
