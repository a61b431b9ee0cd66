/* SPDX-License-Identifier: MIT */
/* A guest thread's Env and what the cache knows of it; its figures. */
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "accel_interp.h"
#include "check.h"
#include "explain.h"

enum { ROUNDS_MOST = 64 /* of a loop, before it is looked up ahead */ };

/* Where little makes a block hot, few rounds are granted to its loop. */
u64 exec_rounds_first(const Cache *c)
{
    return CLAMP(c->options.hot / 32, 2, ROUNDS_MOST);
}

enum { MORE_AFTER = 256 /* misses, before a thread gets a table of its own */ };

/* What all others have: never written to. */
static JumpSlot no_jumps[JUMP_MORE_SIZE];

void exec_forget_jumps(Env *env)
{
    env_forget_jumps(env);
    if (env->jump_more != no_jumps)
        madvise(env->jump_more, sizeof no_jumps, MADV_DONTNEED);
}

void exec_more_jumps(Env *env, const Tb *tb)
{
    JumpSlot *slot;

    if (env->jump_more == no_jumps) {
        if (env->thread->misses < MORE_AFTER || !(slot = code_sparse(sizeof no_jumps)))
            return;
        env->jump_more = slot;
    }
    slot = &env->jump_more[jump_more_slot(tb->pc)];
    slot->pc = JUMP_MORE_EMPTY; /* for a signal handler of ours */
    slot->host = env->cache->exec + tb->code;
    __atomic_store_n(&slot->pc, tb->pc ^ tb->flags, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->state, __ATOMIC_SEQ_CST) != TB_ALIVE)
        slot->pc = JUMP_MORE_EMPTY;
}

/* In one page: what a thread writes all the time, and copies after each fork. */
typedef struct Room {
    Thread thread;
    _Alignas(64) Env env;
} Room;

enum { ROOM = (sizeof(Room) + PAGE_SIZE - 1) & PAGE_MASK };

u32 exec_n_tallies(const Cache *c)
{
    return c->options.explain ? 2 * c->max_tbs + c->max_exits : 0;
}

i32 exec_tally_at(const Cache *c, u32 i)
{
    return (i32)(ROOM - offsetof(Room, env) - ENV_BIAS + i * sizeof(u64));
}

/* With -explain, what the thread counts comes after it: by rbp, which host processors
 * are faster at than by rip. */
static Room *room_new(const Cache *c)
{
    u64 size = ROOM + exec_n_tallies(c) * sizeof(u64);
    void *room =
        c->options.explain ? code_sparse(size) : aligned_alloc(PAGE_SIZE, size);

    return room;
}

Env *env_new(Cache *c)
{
    Room *room = room_new(c);
    Thread *t = &room->thread;
    Env *env = &room->env;

    if (!room)
        return NULL;
    memset(room, 0, offsetof(Room, env.jump_cache));
    env->jump_more = no_jumps;
    exec_forget_jumps(env);
    if (c->interp && !(t->interp = interp_thread_new(c->interp))) {
        free(room);
        return NULL;
    }
    if (c->check && !(t->check = check_run_new(env, c->space))) {
        free(room);
        return NULL;
    }
    host_env_init(env);
    env->cache = c;
    env->thread = t;
    env->base = (u64)(uintptr_t)c->space->base;
    env->helpers = c->helpers;
    t->tallies = c->options.explain ? (u64 *)((u8 *)room + ROOM) : NULL;
    env->res_addr = ~0ull;
    env->rounds_first = exec_rounds_first(c);
    env->id = ++c->last_id;
    t->env = env;
    t->step_pc = ~0ull;
    c->guest->reset(env);
    return env;
}

void env_free(Env *env)
{
    void *room = (u8 *)env - offsetof(Room, env);

    if (env->jump_more != no_jumps)
        munmap(env->jump_more, sizeof no_jumps);
    if (env->thread->interp)
        interp_thread_free(env->thread->interp);
    if (env->thread->check)
        check_run_free(env->thread->check);
    if (env->thread->stepper)
        stepper_free(env->thread->stepper);
    if (env->thread->tallies)
        munmap(room, ROOM + exec_n_tallies(env->cache) * sizeof(u64));
    else
        free(room);
}

void exec_list_add(Cache *c, Thread *t)
{
    t->next = c->threads;
    t->prev = &c->threads;
    if (t->next)
        t->next->prev = &t->next;
    c->threads = t;
}

void exec_thread_is(Env *env) { env->thread->tid = gettid(); }

void exec_thread_begin(Env *env)
{
    Cache *c = env->cache;

    syscall(SYS_arch_prctl, ARCH_SET_GS, env->base);
    exec_thread_is(env);
    env->thread->born = c->timed ? now_ns() : 0;
    lock_take(&c->lock);
    exec_list_add(c, env->thread);
    if (c->explain)
        explain_thread_begin(c, env->thread);
    lock_leave(&c->lock);
}

u64 now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

void exec_add_stats(const Thread *t, CacheStats *s)
{
    s->entries += t->entries;
    s->lookups += t->lookups;
    s->jump_misses += t->misses;
    s->entered += t->env->entered;
    s->jumps += t->env->jumps;
    s->inside_ns += t->inside_ns;
    if (t->check)
        check_add_stats(t, s);
    if (t->born)
        s->total_ns += now_ns() - t->born;
}

void exec_thread_end(Env *env)
{
    Cache *c = env->cache;
    Thread *t = env->thread;

    lock_take(&c->lock);
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    exec_add_stats(t, &c->stats);
    if (t->explain)
        explain_thread_end(c, t);
    lock_leave(&c->lock);
}
