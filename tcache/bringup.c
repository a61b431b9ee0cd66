/* SPDX-License-Identifier: MIT */
/* tcache.h by interpretation alone: every public function forwards to accel_interp.c.
 */
#include "accel_interp.h"

#include <stdatomic.h>
#include <stdlib.h>

struct Cache {
    InterpCache *interp;
    const Guest *guest;
    Space *space;
    _Atomic u64 last_id;
};

struct Thread {
    InterpThread *interp;
};

Cache *cache_new(const CacheOptions *options, const Guest *guest, Space *space)
{
    Cache *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->guest = guest;
    c->space = space;
    c->interp = interp_cache_new(options, guest, space);
    if (!c->interp) {
        free(c);
        return NULL;
    }
    return c;
}

void cache_stats(Cache *c, CacheStats *out)
{
    interp_cache_stats(c->interp, out);
}
void cache_count_time(Cache *c) {}

Env *env_new(Cache *c)
{
    Env *env = aligned_alloc(64, align_up(sizeof(*env), 64));
    InterpThread *interp = interp_thread_new(c->interp);
    struct Thread *thread = calloc(1, sizeof(*thread));

    if (!env || !interp || !thread) {
        if (interp)
            interp_thread_free(interp);
        free(thread);
        free(env);
        return NULL;
    }
    *env = (Env){.cache = c, .thread = thread, .base = (u64)(uintptr_t)c->space->base};
    env->id = ++c->last_id;
    env->mxcsr = 0x1f80; /* all exceptions masked, to nearest, no flags */
    env->res_addr = ~0ull;
    thread->interp = interp;
    c->guest->reset(env);
    return env;
}

void env_free(Env *env)
{
    interp_thread_free(env->thread->interp);
    free(env->thread);
    free(env);
}

void exec_thread_begin(Env *env) {}
void exec_thread_end(Env *env) {}

TrapKind exec_run(Env *env)
{
    return interp_run(env->thread->interp, env);
}

void exec_request(Env *env)
{
    atomic_fetch_or(&env->request, REQUEST_SIGNAL);
}

bool exec_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context)
{
    return interp_host_fault(env->thread->interp, env, sig, info, context);
}

bool exec_in_code(const Cache *c, u64 host_pc)
{
    return false;
}

void exec_fork_prepare(Cache *c) {}
void exec_fork_parent(Cache *c) {}
void exec_fork_child(Cache *c, Env *env) {}

void cache_invalidate(Cache *c, u64 addr, u64 len)
{
    space_clear_bits(c->space, addr, len, PAGE_CODE);
}

void cache_host_write(Cache *c, u64 addr, u64 len) {}
void cache_fence_i(Cache *c) {}
void cache_flush(Cache *c)
{
    interp_cache_flush(c->interp);
}
