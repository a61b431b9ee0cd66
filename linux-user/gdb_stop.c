/* SPDX-License-Identifier: MIT */
/*
 * Running under a debugger: a thread's way through exec_run or, while it is stepped or
 * memory is watched, one instruction after the other; and how all are held and let go.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "gdb.h"
#include "sig.h"

/* ---- holding ---- */

bool gdb_all_held(const Gdb *g)
{
    for (const GdbTask *gt = gdb_first(g); gt; gt = gdb_next(gt))
        if (gt->running)
            return false;
    return true;
}

void gdb_stop_all(Gdb *g)
{
    g->stub.stopped = 1;
    for (GdbTask *gt = gdb_first(g); gt; gt = gdb_next(gt))
        if (gt->running)
            exec_urge(gt->task->env);
    gdb_wake(g);
}

void gdb_resume_all(Gdb *g)
{
    g->stub.stopped = 0;
    g->stub.waiting = g->stub.attached;
    pthread_cond_broadcast(&g->go);
}

static bool must_wait(const Gdb *g, const GdbTask *gt)
{
    return g->stub.stopped || (g->stub.attached && gt->thread.action == GDB_HOLD);
}

/* The lock is held. */
static void hold(Gdb *g, GdbTask *gt)
{
    gt->running = false;
    if (g->stub.stopped)
        gdb_wake(g);
    while (must_wait(g, gt))
        pthread_cond_wait(&g->go, &g->lock);
    gt->running = true;
}

static void gate(Gdb *g, GdbTask *gt)
{
    if (gt->running && !g->stub.stopped && gt->thread.action != GDB_HOLD)
        return;
    pthread_mutex_lock(&g->lock);
    hold(g, gt);
    pthread_mutex_unlock(&g->lock);
}

/* ---- telling ---- */

/* Others may have been told of first, and the client may have changed its mind. */
static bool still_true(const Gdb *g, const GdbTask *gt, const Stop *stop)
{
    const Env *env = gt->task->env;

    switch (stop->kind) {
    case STOP_BREAK: return space_stops(&g->process->mem->space, env->pc);
    case STOP_STEP: return gt->thread.action == GDB_STEP;
    default: return true;
    }
}

void gdb_report(GdbTask *gt, const Stop *stop)
{
    Gdb *g = gt->task->process->gdb;

    pthread_mutex_lock(&g->lock);
    while (g->stub.stopped)
        hold(g, gt);
    gt->stepped = false;
    if (g->stub.attached && still_true(g, gt, stop)) {
        gt->thread.stop = *stop;
        gt->asking = stop->kind == STOP_SIGNAL;
        gt->signal = stop->sig;
        g->stub.chosen = &gt->thread;
        gdb_stop_all(g);
        hold(g, gt);
        gt->asking = false;
    }
    pthread_mutex_unlock(&g->lock);
}

/* ---- running ---- */

static bool in_range(const GdbTask *gt, u64 pc)
{
    return pc >= gt->thread.range_start && pc < gt->thread.range_end;
}

/* One instruction at a time, until the loop, a stop or the client is wanted. */
static TrapKind run_slowly(Gdb *g, GdbTask *gt, Stop *stop)
{
    Env *env = gt->task->env;
    const Space *space = &g->process->mem->space;

    for (bool first = true;; first = false) {
        TrapKind kind;
        Access access;

        if ((!first || gt->thread.action != GDB_STEP) && space_stops(space, env->pc)) {
            stop->kind = STOP_BREAK;
            return TRAP_NONE;
        }
        if (g->stub.stopped || env->request)
            return TRAP_REQUEST;
        kind = exec_step(env, &access);
        if (kind != TRAP_NONE) {
            gt->stepped = kind == TRAP_FENCE_I;
            return kind;
        }
        if (gdb_watch_hit(&g->stub, &access, stop))
            return TRAP_NONE;
        if (gt->thread.action == GDB_STEP && !in_range(gt, env->pc)) {
            stop->kind = STOP_STEP;
            return TRAP_NONE;
        }
    }
}

static TrapKind run(Gdb *g, GdbTask *gt, Stop *stop)
{
    TrapKind kind;

    if (UNLIKELY(gt->thread.action == GDB_STEP || g->stub.watches->len))
        return run_slowly(g, gt, stop);
    kind = exec_run(gt->task->env);
    if (kind != TRAP_STOP)
        return kind;
    stop->kind = STOP_BREAK;
    return TRAP_NONE;
}

TrapKind gdb_run(Task *t)
{
    Gdb *g = t->process->gdb;
    GdbTask *gt = t->gdb;

    for (;;) {
        Stop stop = {.sig = SIGTRAP};
        TrapKind kind;

        gate(g, gt);
        if (gt->stepped && gt->thread.action == GDB_STEP && !in_range(gt, t->env->pc)) {
            stop.kind = STOP_STEP;
        } else {
            gt->stepped = false;
            kind = run(g, gt, &stop);
            if (stop.kind == STOP_NONE)
                return kind;
        }
        gdb_report(gt, &stop);
    }
}

/* ---- system calls ---- */

static bool caught(const GdbSession *s, u64 nr)
{
    return s->catching && (s->catch_all || (nr < GDB_SYSCALLS && s->catches[nr]));
}

void gdb_syscall_begin(Task *t)
{
    Gdb *g = t->process->gdb;
    GdbTask *gt = t->gdb;
    u64 pc = t->env->pc;

    if (g->stub.attached && caught(&g->stub.session, t->sys.nr)) {
        gdb_report(gt, &(Stop){.kind = STOP_ENTRY, .sig = SIGTRAP, .value = t->sys.nr});
        if (t->env->pc == pc) { /* the client may have changed its arguments */
            t->process->abi->syscall(t);
            t->env->pc = pc;
        }
    }
    pthread_mutex_lock(&g->lock);
    if (g->stub.watches->len)
        gdb_watch_note(g, gt->before);
    gt->running = false;
    gt->away = true;
    if (g->stub.stopped)
        gdb_wake(g);
    pthread_mutex_unlock(&g->lock);
}

i64 gdb_syscall_result(Task *t, i64 r)
{
    return t->gdb->kicked && r == -EINTR && !signal_ready(t) ? SYS_RESTART : r;
}

void gdb_syscall_end(Task *t)
{
    Gdb *g = t->process->gdb;
    GdbTask *gt = t->gdb;
    Stop stop = {.sig = SIGTRAP};
    bool hit;

    pthread_mutex_lock(&g->lock);
    gt->away = gt->kicked = false;
    pthread_cond_broadcast(&g->go);
    hold(g, gt);
    hit = g->stub.watches->len && gdb_watch_changed(g, gt->before, &stop);
    gt->stepped = gt->thread.action == GDB_STEP;
    pthread_mutex_unlock(&g->lock);
    if (hit)
        gdb_report(gt, &stop);
    if (g->stub.attached && caught(&g->stub.session, t->sys.nr))
        gdb_report(gt,
                   &(Stop){.kind = STOP_RETURN, .sig = SIGTRAP, .value = t->sys.nr});
}

enum { KICK_SIGNAL = 64, KICK_SECONDS = 1 };

bool gdb_is_kick(const Task *t, const siginfo_t *info)
{
    return t->gdb && info->si_code == SI_QUEUE &&
           info->si_value.sival_ptr == t->process->gdb;
}

void gdb_kick(Gdb *g, GdbTask *gt)
{
    siginfo_t info = {.si_code = SI_QUEUE, .si_pid = getpid()};
    Env *env = gt->task->env;
    struct timespec until;
    u64 pc = env->pc;

    if (!gt->away)
        return;
    gt->kicked = true;
    info.si_value.sival_ptr = g;
    host_syscall(SYS_rt_tgsigqueueinfo, getpid(), gt->thread.tid, KICK_SIGNAL, &info);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += KICK_SECONDS; /* the guest may have the signal blocked */
    while (gt->away && pthread_cond_timedwait(&g->go, &g->lock, &until) == 0)
        ;
    if (gt->away || env->pc == pc)
        return;
    gt->call = env->pc;
    gt->after_call = env->pc = pc; /* as the client has seen it */
}

void gdb_make_call_again(GdbTask *gt)
{
    Env *env = gt->task->env;

    if (gt->after_call && env->pc == gt->after_call) {
        env->pc = gt->call;
        gt->after_call = 0;
    }
}

/* ---- signals ---- */

bool gdb_signal(Task *t, siginfo_t *info)
{
    Gdb *g = t->process->gdb;
    GdbTask *gt = t->gdb;
    int sig = info->si_signo;
    Stop stop = {STOP_SIGNAL, .sig = sig, .info = *info};

    if (gt->inject == sig) {
        gt->inject = 0;
    } else if (g->stub.attached && !(g->stub.session.pass_signals & signal_bit(sig))) {
        gt->signal = sig;
        gdb_report(gt, &stop);
        sig = gt->signal;
    }
    if (sig != info->si_signo)
        *info = (siginfo_t){.si_signo = sig, .si_code = SI_USER, .si_pid = getpid()};
    gt->stepped = gt->thread.action == GDB_STEP && sig;
    return sig;
}

/* ---- threads ---- */

GdbTask *gdb_task_new(Gdb *g, Task *t)
{
    GdbTask *gt = g_new0(GdbTask, 1);

    gt->task = t;
    gt->thread.env = t->env;
    gt->thread.pid = getpid();
    gt->thread.tid = t->tid;
    gt->thread.action = g->stub.attached ? g->stub.unnamed : GDB_RUN;
    gt->before = g_byte_array_new();
    t->gdb = gt;
    gdb_thread_add(&g->stub, &gt->thread);
    return gt;
}

void gdb_thread_begin(Task *t)
{
    Gdb *g = t->process->gdb;

    pthread_mutex_lock(&g->lock);
    gdb_task_new(g, t);
    pthread_mutex_unlock(&g->lock);
}

static void task_remove(Gdb *g, GdbTask *gt)
{
    gdb_thread_remove(&g->stub, &gt->thread);
    gt->task->gdb = NULL;
    g_byte_array_free(gt->before, TRUE);
    g_free(gt);
}

static GString *end_text(char how, int code)
{
    GString *text = g_string_new(NULL);

    g_string_printf(text, "%c%02x;process:%x", how, code & 0xff, (int)getpid());
    return text;
}

/* The process ends: says so, and keeps the lock, so that nothing follows. */
static void tell_end(Gdb *g, char how, int code)
{
    GString *text = end_text(how, code);

    g->stub.ended = true;
    if (g->stub.attached && g->stub.waiting)
        gdb_send(&g->stub, text);
    if (g->stub.owner)
        gdb_pass_on(g);
    if (g->socket_path)
        unlink(g->socket_path);
    g_string_free(text, TRUE);
}

/* The thread ends: takes the lock when nobody is stopped. */
static void wait_to_end(Gdb *g, GdbTask *gt)
{
    pthread_mutex_lock(&g->lock);
    gt->running = gt->away = false;
    if (g->stub.stopped)
        gdb_wake(g);
    while (g->stub.stopped)
        pthread_cond_wait(&g->go, &g->lock);
}

void gdb_thread_end(Task *t)
{
    Gdb *g = t->process->gdb;
    bool leader = t->tid == getpid();

    wait_to_end(g, t->gdb);
    if (leader)
        g->leader_code = t->exit_code;
    task_remove(g, t->gdb);
    if (!g->stub.threads) { /* our own thread would keep the process */
        tell_end(g, 'W', g->leader_code);
        host_syscall(SYS_exit_group, g->leader_code);
    }
    pthread_mutex_unlock(&g->lock);
}

void gdb_process_end(Task *t, int code, int sig)
{
    Gdb *g = t->process->gdb;
    GString *text;

    wait_to_end(g, t->gdb);
    if (!t->vfork_child) {
        tell_end(g, sig ? 'X' : 'W', sig ? gdb_signal_out(sig) : code);
        return;
    }
    text = end_text(sig ? 'X' : 'W', sig ? gdb_signal_out(sig) : code);
    gdb_send(&g->stub, text);
    g_string_free(text, TRUE);
    gdb_vfork_end(g, t->gdb);
    pthread_mutex_unlock(&g->lock);
}
