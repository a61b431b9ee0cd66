/* SPDX-License-Identifier: MIT */
/*
 * Accesses that wait for their page (userfaultfd).  The kernel holds such a thread at
 * the access, which has not been made; to the cache it is inside, and would be waited
 * for by whoever drops code, perhaps the one who is to provide the page.  A signal ends
 * the kernel's wait, and its handler finds the thread at an instruction that uses guest
 * memory: any of those may fault, so the guest's state is known there, and the thread
 * can leave as for a fault, with its instruction to be run again.  That costs nothing
 * until the guest asks for a userfaultfd.
 *
 * Reading code to translate it may wait as well, with the cache's lock.  Who waits for
 * that kicks the reader, who gives up, waits without it, and begins again.
 */
#include <time.h>
#include "accel_interp.h"
#include "tb.h"

enum { KICK_WAIT_NS = 200000 };

static void kick_reader(const Lock *l)
{
    const Cache *c = (const Cache *)((const char *)l - offsetof(Cache, lock));
    i32 tid = c->reader_tid;

    if (tid)
        c->kick(tid);
}

void cache_pages_awaited(Cache *c, void (*kick)(i32 tid))
{
    if (c->interp)
        interp_cache_pages_awaited(c->interp);
    c->kick = kick;
    c->lock.impatient = kick_reader;
}

void exec_kick(const Cache *c, const Thread *t)
{
    const struct timespec pause = {0, KICK_WAIT_NS};

    c->kick(t->tid);
    nanosleep(&pause, NULL);
}

/* Is the context at an access of guest memory?  *at: there. */
static bool guest_operand(const Cache *c, const ucontext_t *context, const void **at)
{
    u64 addr[HOST_OPERANDS], base = (u64)(uintptr_t)c->space->base;
    u32 n = host_operands(context, addr);

    for (u32 i = 0; i < n; i++)
        if (addr[i] - base < c->space->size &&
            space_flags(c->space, addr[i] - base) & PAGE_MAPPED) {
            *at = (const void *)(uintptr_t)addr[i];
            return true;
        }
    return false;
}

void exec_stop_awaiting(const Thread *t, const ucontext_t *context)
{
    pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
    siglongjmp(*t->awaits, 1);
}

/* In tb_gen: exec_run waits for the page in its place. */
_Noreturn static void stop_reading(Cache *c, Env *env, const ucontext_t *context)
{
    env->trap.kind = TRAP_NONE;
    pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
    siglongjmp(c->unreadable, 1);
}

/* False: it is not at an access that can be left. */
static bool leave_access(Cache *c, Env *env, ucontext_t *context)
{
    Thread *t = env->thread;
    const void *at;

    if (!guest_operand(c, context, &at))
        return false;
    if (step_is_inside(t)) {
        if (env->request)
            step_leave_access(env, context);
        return env->request;
    }
    if (c->interp)
        return interp_leave_access(t->interp, env, context);
    if (c->reader == t) {
        t->awaited = at;
        stop_reading(c, env, context);
    }
    if (t->awaits)
        exec_stop_awaiting(t, context);
    return exec_leave(c, env, context);
}

static bool is_inside(const Cache *c, const Thread *t)
{
    return step_is_inside(t) || (c->interp ? interp_is_inside(t->interp) : t->inside);
}

bool exec_interrupt(Env *env, ucontext_t *context)
{
    Cache *c = env->cache;

    return UNLIKELY(c->kick != NULL) && !leave_access(c, env, context) &&
           env->request && is_inside(c, env->thread);
}

void exec_urge(Env *env)
{
    const Cache *c = env->cache;

    exec_request(env);
    if (UNLIKELY(c->kick != NULL) && is_inside(c, env->thread))
        c->kick(env->thread->tid);
}
