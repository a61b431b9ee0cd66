/* SPDX-License-Identifier: MIT */
/*
 * -explain: where time goes.  Each thread has a timer whose signal is let in only
 * within exec_run, so that no system call of the guest ever sees it; a tick counts for
 * the byte of code it finds.  Ticks share out the time inside, which the thread's CPU
 * clock tells exactly.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "explain.h"

static u64 clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

u64 explain_cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

u64 explain_process_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

/* ---- threads ---- */

static int timer_start(ExplainThread *t, int sig)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig};
    struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    int id;

    event.sigev_value.sival_ptr = t;
    event._sigev_un._tid = t->tid;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) < 0)
        return -1;
    syscall(SYS_timer_settime, id, 0, &every, NULL);
    return id;
}

void explain_thread_begin(Cache *c, Thread *thread)
{
    Explain *x = c->explain;
    ExplainThread *t = calloc(1, sizeof *t);

    if (!t)
        return;
    t->explain = x;
    t->tid = (i32)syscall(SYS_gettid);
    t->timer = x->heat ? timer_start(t, x->sig) : -1;
    x->threads++;
    thread->explain = t;
}

void explain_thread_end(Cache *c, Thread *thread)
{
    ExplainThread *t = thread->explain;

    explain_keep_tallies(c, thread);
    if (t->timer >= 0)
        syscall(SYS_timer_delete, t->timer);
    t->explain->inside_ns += t->inside_ns;
    t->explain->runs += t->runs;
    thread->explain = NULL;
    free(t);
}

u64 explain_inside_ns(const Cache *c)
{
    u64 ns = c->explain->inside_ns;

    for (const Thread *t = c->threads; t; t = t->next) {
        const ExplainThread *e = t->explain;

        if (!e)
            continue;
        ns += e->inside_ns;
        if (e->entered_ns && e->seen_ns > e->entered_ns) /* it has not left yet */
            ns += e->seen_ns - e->entered_ns;
    }
    return ns;
}

/* ---- in and out ---- */

static void ticks(ExplainThread *t, int how)
{
    u64 set = 1ull << (t->explain->sig - 1);

    if (t->timer >= 0)
        syscall(SYS_rt_sigprocmask, how, &set, NULL, sizeof set);
}

void explain_enter(ExplainThread *t)
{
    ticks(t, SIG_UNBLOCK);
    t->entered_ns = explain_cpu_ns();
}

void explain_leave(ExplainThread *t)
{
    t->inside_ns += explain_cpu_ns() - t->entered_ns;
    t->runs++;
    t->entered_ns = 0;
    ticks(t, SIG_BLOCK);
}

u64 explain_gen_begin(Cache *c)
{
    c->explain->translating = true;
    return explain_cpu_ns();
}

void explain_gen_end(Cache *c, u64 began)
{
    c->explain->translate_ns += explain_cpu_ns() - began;
    c->explain->translating = false;
}

/* Tried out, as often as can be told from a clock. */
void explain_clocks_ns(const Cache *c, u64 *inside, u64 *outside)
{
    enum { TIMES = 200 };
    ExplainThread t = {.explain = c->explain};
    u64 runs = c->explain->runs, took = explain_cpu_ns();

    for (u32 i = 0; i < TIMES; i++) {
        explain_enter(&t);
        explain_leave(&t);
    }
    took = explain_cpu_ns() - took;
    for (const Thread *thread = c->threads; thread; thread = thread->next)
        runs += thread->explain ? thread->explain->runs : 0;
    *inside = t.inside_ns * runs / TIMES;
    *outside = (took - MIN(took, t.inside_ns)) * runs / TIMES;
}

bool exec_tick(Env *env, int sig, const siginfo_t *info, const ucontext_t *context)
{
    const Cache *c = env->cache;
    ExplainThread *t = env->thread->explain;
    Explain *x;
    u64 at = (u64)context->uc_mcontext.gregs[REG_RIP] - (u64)(uintptr_t)c->exec;

    if (LIKELY(!t) || sig != t->explain->sig || info->si_code != SI_TIMER ||
        info->si_value.sival_ptr != t)
        return false;
    x = t->explain;
    t->seen_ns = explain_cpu_ns();
    if (at >= c->size && x->translating)
        return true;
    if (at >= c->size && env->call_site) { /* in a helper: its caller's */
        at = env->call_site - 1 - (u64)(uintptr_t)c->exec;
        x->helper_samples++;
    }
    if (at >= c->size) {
        x->linking_samples++;
        return true;
    }
    x->samples++;
    if (at < c->at_start)
        x->shared_samples++;
    x->heat[at]++;
    x->warm[at / WARM] = 1;
    return true;
}
