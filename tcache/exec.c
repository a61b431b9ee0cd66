/* SPDX-License-Identifier: MIT */
/*
 * Running blocks: the dispatcher, threads inside and outside of generated code,
 * stopping the world.
 */
#include <sched.h>
#include <stdlib.h>
#include "accel_interp.h"
#include "check.h"
#include "explain.h"
#include "saved.h"
#include "stride.h"

enum { NO_EXIT = 0xffffffff, KICK_AFTER = 100 /* looks at a thread inside */ };

void cache_each_env(Cache *c, void (*visit)(Env *env, void *ctx), void *ctx)
{
    lock_take(&c->lock);
    for (Thread *t = c->threads; t; t = t->next)
        visit(t->env, ctx);
    lock_leave(&c->lock);
}

/* ---- stopping the world ---- */

static void go_inside(Cache *c, Thread *t)
{
    for (;;) {
        atomic_store(&t->inside, 1);
        if (LIKELY(!atomic_load(&c->stopping)))
            return;
        atomic_store(&t->inside, 0);
        lock_take(&c->lock); /* held by whoever stops us */
        lock_leave(&c->lock);
    }
}

static void go_outside(Thread *t) { atomic_store(&t->inside, 0); }

void exec_thread_lost(Env *env)
{
    Cache *c = env->cache;
    Lock *const locks[] = {&c->pages_lock, &c->lock};
    bool held = false;

    go_outside(env->thread);
    exec_thread_is(env);
    for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
        if (lock_is_mine(locks[i])) {
            held = true;
            lock_leave(locks[i]);
        }
        lock_wake(locks[i]);
    }
    if (held) /* what it was at is half done */
        cache_flush(c);
}

void exec_lend_thread(void) { lock_know_self(); }

void exec_lock(Cache *c, Thread *self)
{
    bool inside = self && self->inside;

    if (inside)
        go_outside(self);
    lock_take(&c->lock);
    if (inside)
        atomic_store(&self->inside, 1);
}

void exec_unlock(Cache *c, Thread *self) { lock_leave(&c->lock); }

static void await_outside(const Cache *c, const Thread *t)
{
    for (u32 n = 0; atomic_load(&t->inside); n++) {
        sched_yield();
        if (UNLIKELY(c->kick != NULL) && n >= KICK_AFTER)
            exec_kick(c, t);
    }
}

void exec_stop_others(Cache *c, Thread *self)
{
    atomic_store(&c->stopping, 1);
    for (Thread *t = c->threads; t; t = t->next)
        if (t != self)
            atomic_fetch_or(&t->env->request, REQUEST_STOP);
    for (Thread *t = c->threads; t; t = t->next)
        if (t != self)
            await_outside(c, t);
}

void exec_resume_others(Cache *c)
{
    for (Thread *t = c->threads; t; t = t->next)
        atomic_fetch_and(&t->env->request, ~(u64)REQUEST_STOP);
    atomic_store(&c->stopping, 0);
}

void exec_hold(Env *env, ExecVisit *visit, void *ctx)
{
    Cache *c = env->cache;

    lock_take(&c->lock);
    exec_stop_others(c, env->thread);
    for (Thread *t = c->threads; t; t = t->next)
        visit(t->env, ctx);
}

void exec_release(Env *env)
{
    exec_resume_others(env->cache);
    lock_leave(&env->cache->lock);
}

void exec_flush(Cache *c, Thread *self)
{
    exec_stop_others(c, self);
    cache_reset(c);
    for (Thread *t = c->threads; t; t = t->next)
        exec_forget_jumps(t->env);
    c->stats.flushes++;
    exec_resume_others(c);
}

void cache_flush(Cache *c)
{
    if (c->interp) {
        interp_cache_flush(c->interp);
        return;
    }
    lock_take(&c->lock);
    exec_flush(c, NULL);
    lock_leave(&c->lock);
}

void exec_request(Env *env) { atomic_fetch_or(&env->request, REQUEST_SIGNAL); }

/* ---- the dispatcher ---- */

Tb *exec_gen(Cache *c, Env *env, TbKey key, GenKind kind, bool *faulted)
{
    u64 began = UNLIKELY(c->explain != NULL) ? explain_gen_begin(c) : 0;
    Tb *tb = NULL;

    *faulted = false;
    if (!__sigsetjmp(c->unreadable, 0)) {
        c->reader = env->thread;
        c->reader_tid = env->thread->tid;
        tb = tb_gen(c, env, key, kind);
    } else {
        *faulted = true;
    }
    c->reader = NULL;
    c->reader_tid = 0;
    if (UNLIKELY(c->explain != NULL))
        explain_gen_end(c, began);
    return tb;
}

/* The block, or where it cannot be read whole its first instruction.  NULL: not even
 * that; env->trap says why (TRAP_NONE: see await_page). */
static Tb *gen_or_flush(Cache *c, Env *env, TbKey key)
{
    bool faulted;
    Tb *tb = exec_gen(c, env, key, GEN_BLOCK, &faulted);

    if (!tb && !faulted) {
        exec_flush(c, env->thread);
        tb = exec_gen(c, env, key, GEN_BLOCK, &faulted);
    }
    if (!tb && faulted && env->trap.kind != TRAP_NONE && !(key.flags & KEY_STEP)) {
        key.flags |= KEY_STEP;
        return gen_or_flush(c, env, key);
    }
    assert(tb || faulted); /* an empty cache holds any block */
    return tb;
}

/* May blocks go on to others by themselves? */
static bool may_chain(const Cache *c) { return !log_on(LOG_NOCHAIN) && !c->check; }

/* What the code at env->pc is; false: it cannot be fetched, env->trap. */
static bool find_key(Cache *c, Env *env, TbKey *key, u64 *second)
{
    *key = (TbKey){env->pc, env->key_flags};
    *second = 0;
    return !c->options.system || system_key(c, env, key, second);
}

/* A system's mappings change: what is linked lies in one page. */
static bool may_link(const Cache *c, u32 exit, const Tb *to, u64 second)
{
    const Tb *from;

    if (LIKELY(!c->options.system))
        return true;
    from = &c->tbs[c->exits[exit].tb];
    return (from->flags == to->flags && !second && !((from->pc ^ to->pc) & PAGE_MASK));
}

/* Links an exit that code was just left by. */
static void link_exit(Cache *c, u32 from, Tb *to)
{
    if (from & EXIT_SAVED)
        from = saved_take_exit(c, from);
    if (from)
        chain_link(c, from, to);
}

static Tb *look_up(Cache *c, TbKey key, u64 second)
{
    return UNLIKELY(second) ? system_find_joint(c, key, second)
                            : tb_find(c, key.pc, key.flags);
}

/* The block at env->pc, made if need be and linked to the exit that led here. */
static Tb *find_block(Cache *c, Env *env, u32 from)
{
    u64 epoch = c->epoch;
    u32 made = c->n_tbs;
    u64 second;
    TbKey key;
    Tb *tb;

    env->thread->lookups++;
    if (!find_key(c, env, &key, &second))
        return NULL;
    tb = UNLIKELY(second) ? NULL : tb_find(c, key.pc, key.flags);
    if (tb && from == NO_EXIT)
        return tb;
    exec_lock(c, env->thread);
    if (UNLIKELY(c->n_written))
        smc_catch_up(c);
    if (epoch != c->epoch)
        from = NO_EXIT;
    if (epoch != c->epoch || made != c->n_tbs || tb || second)
        tb = look_up(c, key, second);
    epoch = c->epoch;
    if (!tb) {
        tb = saved_find(c, key);
        if (!tb)
            tb = gen_or_flush(c, env, key);
        fork_teach(c, key);
    }
    if (tb && from != NO_EXIT && epoch == c->epoch && may_chain(c) &&
        may_link(c, from, tb, second))
        link_exit(c, from, tb);
    exec_unlock(c, env->thread);
    return tb;
}

static Tb *step_block(Cache *c, Env *env)
{
    u64 second;
    TbKey key;
    Tb *tb;

    if (!find_key(c, env, &key, &second))
        return NULL;
    key.flags |= KEY_STEP;
    exec_lock(c, env->thread);
    tb = gen_or_flush(c, env, key);
    exec_unlock(c, env->thread);
    return tb;
}

static void fill_jump_cache(Cache *c, Env *env, const Tb *tb)
{
    JumpSlot *slot = &env->jump_cache[jump_slot(tb->pc)];
    const u8 *host = c->exec + tb->code;

    if (!may_chain(c) || (slot->pc == (tb->pc ^ env->jump_tag) && slot->host == host))
        return;
    if (UNLIKELY(env->thread->sparing)) {
        env->thread->sparing--;
        return;
    }
    slot->host = host;
    __atomic_store_n(&slot->pc, tb->pc ^ env->jump_tag, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->state, __ATOMIC_SEQ_CST) != TB_ALIVE)
        slot->pc = JUMP_EMPTY;
    if (!c->options.system)
        exec_more_jumps(env, tb);
}

void exec_log(Env *env, bool trace)
{
    char where[SYMBOL_TEXT];

    if (!log_wants(env->pc))
        return;
    log_begin();
    if (log_on(LOG_EXEC))
        log_printf("exec: thread %llu 0x%llx%s%s\n", (unsigned long long)env->id,
                   (unsigned long long)env->pc,
                   cache_symbol_text(env->cache, env->pc, where),
                   trace ? " (trace)" : "");
    if (log_on(LOG_CPU)) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (f) {
            env->cache->guest->dump(f, env);
            fclose(f);
            log_printf("%s", text);
            free(text);
        }
    }
    log_end();
}

static void drop_stale(Cache *c, Env *env, u32 block)
{
    u64 epoch = c->epoch;

    env->pc = c->tbs[block].pc;
    exec_lock(c, env->thread);
    if (epoch == c->epoch)
        tb_drop(c, &c->tbs[block]);
    exec_unlock(c, env->thread);
}

/* The same of a block in a saved file, which goes on at its trace from then on. */
static void promote_saved(Cache *c, Env *env, u32 number)
{
    u64 epoch = c->epoch;
    TbKey key = saved_key(c, number);
    bool faulted;
    u32 block;
    Tb *to;

    env->pc = key.pc;
    exec_lock(c, env->thread);
    block = epoch == c->epoch ? saved_take_block(c, number) : 0;
    if (block) {
        tb_drop(c, &c->tbs[block]);
        to = tb_find(c, key.pc, key.flags);
        if (!to)
            to = exec_gen(c, env, key, GEN_TRACE, &faulted);
        if (to)
            saved_redirect(c, &c->tbs[block], to);
    }
    exec_unlock(c, env->thread);
}

/* A block has been entered often: translate it again, as a trace. */
static void promote(Cache *c, Env *env, u32 block)
{
    u64 epoch = c->epoch;
    TbKey key;

    if (block & EXIT_SAVED) {
        promote_saved(c, env, block);
        return;
    }
    key = (TbKey){c->tbs[block].pc, c->tbs[block].flags};
    env->pc = key.pc;
    exec_lock(c, env->thread);
    if (epoch != c->epoch || c->tbs[block].state != TB_ALIVE) {
        /* somebody else has */
    } else if (!fork_may_write(c, c->tbs[block].code, PROMOTE_URGENCY)) {
        c->tbs[block].count = PROMOTE_AGAIN;
    } else {
        bool faulted;

        tb_drop(c, &c->tbs[block]);
        if (c->explain)
            explain_promoted(c, &c->tbs[block]);
        exec_gen(c, env, key, GEN_TRACE, &faulted); /* else it is made as it was */
    }
    exec_unlock(c, env->thread);
}

static void out_of_budget(Env *env, const Tb *tb)
{
    env->pc = tb->pc;
    env->budget = 0;
    env->trap = (Trap){.kind = TRAP_REQUEST};
}

static u64 trap_address(const TbExit *x)
{
    return x->next_page ? (x->pc & PAGE_MASK) + PAGE_SIZE : x->pc;
}

/* What leaving by this exit means.  True: exec_run ends with env->trap. */
static bool take_exit(Cache *c, Env *env, u32 number, u32 *from)
{
    TbExit saved;
    const TbExit *x = &saved;

    *from = NO_EXIT;
    if (number == EXIT_FAULT)
        return env->trap.kind != TRAP_NONE;
    if (number == EXIT_JUMP_MISS) {
        env->thread->misses++;
        return false;
    }
    if (number & EXIT_STRIDE) {
        env->thread->looks = number & ~EXIT_STRIDE;
        env->pc = c->tbs[env->thread->looks].pc;
        return false;
    }
    if ((number & EXIT_KINDS) == EXIT_HOT) {
        promote(c, env, number & ~EXIT_KINDS);
        return false;
    }
    if ((number & EXIT_KINDS) == EXIT_BUDGET) {
        out_of_budget(env, &c->tbs[number & ~EXIT_KINDS]);
        return true;
    }
    if ((number & EXIT_KINDS) == EXIT_STALE) {
        drop_stale(c, env, number & ~EXIT_KINDS);
        return false;
    }
    if (number & EXIT_SAVED)
        saved = saved_exit(c, number);
    else
        x = &c->exits[number];
    env->pc = x->pc;
    if (x->request)
        return false;
    if (x->kind == EXIT_TRAP) {
        env->trap = (Trap){.kind = x->trap, .addr = trap_address(x)};
        return x->trap != TRAP_NONE && x->trap != TRAP_REQUEST;
    }
    if (number & EXIT_SAVED || (x->jump && c->tbs[x->tb].state == TB_ALIVE))
        *from = number;
    return false;
}

u32 exec_enter(Cache *c, Env *env, const Tb *tb)
{
    Thread *t = env->thread;
    u32 number;
    u64 began;

    t->entries++;
    began = UNLIKELY(c->timed) ? now_ns() : 0;
    number = host_enter(env, c->exec + tb->code, c->exec + c->thunks.enter);
    if (UNLIKELY(c->timed))
        t->inside_ns += now_ns() - began;
    return number;
}

static u32 run_block(Cache *c, Env *env, const Tb *tb)
{
    return UNLIKELY(c->check != NULL) ? check_enter(c, env, tb)
                                      : exec_enter(c, env, tb);
}

static bool request_pending(Cache *c, Env *env)
{
    u64 request = atomic_load(&env->request);

    if (request & REQUEST_STOP) {
        go_outside(env->thread);
        go_inside(c, env->thread);
    }
    if (!(request & REQUEST_SIGNAL))
        return false;
    atomic_fetch_and(&env->request, ~(u64)REQUEST_SIGNAL);
    env->trap = (Trap){.kind = TRAP_REQUEST};
    return true;
}

/* For a page of code that is still to be provided, without a lock: reads there. */
static void await_page(Cache *c, Thread *t)
{
    sigjmp_buf back;

    go_outside(t);
    if (!__sigsetjmp(back, 0)) {
        t->awaits = &back;
        (void)*(const volatile u8 *)t->awaited;
    }
    t->awaits = NULL;
    go_inside(c, t);
}

/* Perhaps before the block did a thing; its pc shows whether. */
static bool left_early(u32 exit) { return exit >= EXIT_HOT && exit != EXIT_JUMP_MISS; }

TrapKind exec_run(Env *env)
{
    Cache *c = env->cache;
    Thread *t = env->thread;
    u32 from = NO_EXIT, exit;
    u64 logged = ~0ull; /* pc of a block that is entered again */

    if (c->interp)
        return interp_run(t->interp, env);
    go_inside(c, t);
    if (UNLIKELY(t->explain != NULL))
        explain_enter(t->explain);
    env->trap.kind = TRAP_NONE;
    t->looks = 0;
    for (;;) {
        Tb *tb = NULL;

        if (UNLIKELY(env->request)) {
            u64 epoch = c->epoch;

            if (request_pending(c, env))
                break;
            if (epoch != c->epoch) {
                from = NO_EXIT;
                t->looks = 0;
            }
        }
        if (UNLIKELY(t->looks)) {
            tb = strides_enter(c, env, t->looks);
            t->looks = 0;
        }
        if (!tb)
            tb = UNLIKELY(t->step_pc == env->pc) ? step_block(c, env)
                                                 : find_block(c, env, from);
        t->step_pc = ~0ull;
        if (UNLIKELY(!tb) && env->trap.kind != TRAP_NONE)
            break;
        if (UNLIKELY(!tb)) {
            await_page(c, t);
            from = NO_EXIT; /* there may be no such block any more */
            continue;
        }
        if (!tb->ahead)
            fill_jump_cache(c, env, tb);
        if (log_on(LOG_EXEC | LOG_CPU) && env->pc != logged)
            exec_log(env, tb->trace);
        logged = env->pc;
        exit = run_block(c, env, tb);
        env->rounds_first = exec_rounds_first(c);
        if (take_exit(c, env, exit, &from))
            break;
        if (!left_early(exit))
            logged = ~0ull;
    }
    if (UNLIKELY(t->explain != NULL))
        explain_leave(t->explain);
    go_outside(t);
    return env->trap.kind;
}
