/* SPDX-License-Identifier: MIT */
/*
 * Signals.  The host kernel's dispositions and masks mirror the guest's, so queueing,
 * default actions and wait statuses are the kernel's work; only a signal with a guest
 * handler (and a fault) comes here.  The host's handler puts it in the task's queue
 * and blocks everything else until the loop, between two runs of generated code,
 * builds the guest's frames.  So at most one asynchronous signal waits in the queue,
 * plus fault signals sent by kill, which the host can never block.
 *
 * The system calls are in signal_calls.c, the end of a process is in signal_die.c.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include "sig.h"

__thread Task *task_self;

/* ---- masks ---- */

/* What of the host's signals is never the guest's alone; set once at the start. */
static u64 ours;

u64 signal_ours(void) { return ours; }

void signal_host_mask(u64 mask)
{
    mask = (mask & ~FAULT_SIGNALS) | ours;
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

bool signal_ready(const Task *t) { return signal_queued(t, t->mask); }

bool signal_queued(const Task *t, u64 mask)
{
    for (u32 i = 0; t->n_queued && i < SIGNAL_QUEUE; i++)
        if (t->queue[i].si_signo && !(mask & signal_bit(t->queue[i].si_signo)))
            return true;
    return false;
}

/* After a change of mask or queue: what safe_syscall and generated code look at.  The
 * handler may set interrupted at any moment; it must never be lost. */
void signal_update(Task *t)
{
    t->interrupted = 0;
    if (!signal_ready(t) && !ptrace_wished(t))
        return;
    t->interrupted = 1;
    exec_request(t->env);
}

void signal_set_mask(Task *t, u64 mask)
{
    t->mask = mask & ~UNBLOCKABLE;
    signal_host_mask(t->mask);
    signal_update(t);
}

/* ---- the host's handler ---- */

/* The handler only fills empty slots, the thread only empties full ones. */
static void enqueue(Task *t, int sig, const siginfo_t *info)
{
    u32 slot = SIGNAL_QUEUE;

    for (u32 i = 0; i < SIGNAL_QUEUE; i++) {
        if (t->queue[i].si_signo == 0)
            slot = i;
        else if (sig < SIGRTMIN_KERNEL && t->queue[i].si_signo == sig)
            return;
    }
    if (slot == SIGNAL_QUEUE)
        return;
    t->queue[slot] = *info;
    t->queue[slot].si_signo = sig;
    t->queue_turn[slot] = t->queue_turns++;
    t->n_queued++;
}

void signal_enqueue(Task *t, int sig, const siginfo_t *info)
{
    u64 all = ~0ull, old;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
    enqueue(t, sig, info);
    t->interrupted = 1;
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
}

bool signal_dequeue(Task *t, u64 mask, siginfo_t *out)
{
    u32 first = SIGNAL_QUEUE;

    for (u32 i = 0; t->n_queued && i < SIGNAL_QUEUE; i++) {
        if (!t->queue[i].si_signo || (mask & signal_bit(t->queue[i].si_signo)))
            continue;
        if (first == SIGNAL_QUEUE || (i32)(t->queue_turn[i] - t->queue_turn[first]) < 0)
            first = i;
    }
    if (first == SIGNAL_QUEUE)
        return false;
    *out = t->queue[first];
    atomic_signal_fence(memory_order_seq_cst);
    t->queue[first].si_signo = 0;
    t->n_queued--;
    return true;
}

/* Async-signal-safe; on the task's own thread. */
static void asynchronous(Task *t, int sig, const siginfo_t *info, ucontext_t *context)
{
    if (UNLIKELY(t->gdb) && gdb_is_kick(t, info)) {
        t->interrupted = 1;
        context_leave_syscall(context);
        return;
    }
    if (sig == SIGFPE && ptrace_kicked(t, info, context))
        return;
    enqueue(t, sig, info);
    if (t->mask & signal_bit(sig) & FAULT_SIGNALS)
        return; /* the host could not block it */
    t->interrupted = 1;
    exec_request(t->env);
    context_leave_syscall(context);
    *(u64 *)&context->uc_sigmask = ~FAULT_SIGNALS;
}

static void leave_system_call(void) { __builtin_longjmp(task_self->recover, 1); }

/* Was it us, on the guest's behalf: a system call that lost its memory meanwhile? */
static bool system_call_fault(Task *t, const siginfo_t *info, ucontext_t *context)
{
    const Space *s = &t->process->mem->space;
    u64 at = (u64)info->si_addr - (u64)s->base;

    if (!t->recover || at >= s->size)
        return false;
    context_call(context, leave_system_call);
    return true;
}

static void on_signal(int sig, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    Task *t = task_self;
    int saved_errno = errno;

    if (t && exec_tick(t->env, sig, info, context))
        return;
    if (!(signal_bit(sig) & FAULT_SIGNALS) || info->si_code <= 0) {
        if (t) {
            asynchronous(t, sig, info, context);
            if (UNLIKELY(exec_interrupt(t->env, context)))
                ptrace_kick_soon(t);
        }
    } else if (!(t && exec_host_fault(t->env, sig, info, context)) &&
               !context_leave_copy(context) &&
               !(t && system_call_fault(t, info, context))) {
        signal_bug(sig, info, context);
    }
    errno = saved_errno;
}

/* ---- dispositions ---- */

static bool is_ignored_by_default(int sig)
{
    return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT;
}

/* Is it the host kernel that acts? */
static bool by_host(const Process *p, int sig, const SigAction *a)
{
    if ((signal_bit(sig) & (FAULT_SIGNALS | ours)) || a->handler > ABI_SIG_IGN)
        return false;
    if (p && p->traced)
        return false;
    return a->handler == ABI_SIG_IGN || is_ignored_by_default(sig) ||
           !(p->signals_watched || p->core_signals & signal_bit(sig));
}

void signal_host_action(const Process *p, int sig, const SigAction *a)
{
    const u64 kept = SA_NOCLDSTOP | SA_NOCLDWAIT;
    void *handler = (void *)on_signal;
    u64 flags = a->flags & kept;

    if (by_host(p, sig, a))
        handler = (void *)a->handler;
    else if (sig == SIGCHLD && a->handler == ABI_SIG_IGN)
        flags |= SA_NOCLDWAIT;
    host_sigaction(sig, handler, flags | SA_SIGINFO | SA_ONSTACK | SA_RESTART, ~0ull);
}

void signal_init_faults(void)
{
    static const SigAction none;

    for (int sig = 1; sig <= SIGNALS; sig++)
        if (signal_bit(sig) & FAULT_SIGNALS)
            signal_host_action(NULL, sig, &none);
}

void signal_init(Process *p)
{
    p->signal_lock = (Lock){0};
    for (int sig = 1; sig <= SIGNALS; sig++)
        if (signal_bit(sig) & FAULT_SIGNALS)
            signal_action_of(p, sig); /* before the host's are ours */
    signal_init_faults();
    if (p->explain) {
        ours = signal_bit(EXPLAIN_SIGNAL);
        p->actions_known |= ours;
        signal_host_action(p, EXPLAIN_SIGNAL, &p->actions[EXPLAIN_SIGNAL]);
    }
}

/* The lock is held. */
SigAction *signal_action_of(Process *p, int sig)
{
    SigAction *a = &p->actions[sig];

    if (!(p->actions_known & signal_bit(sig))) {
        a->handler = host_sighandler(sig) == SIG_IGN ? ABI_SIG_IGN : ABI_SIG_DFL;
        p->actions_known |= signal_bit(sig);
    }
    return a;
}

void signal_reclaim(Task *t)
{
    const int setxid = 33; /* the guest's libc uses the same */
    Process *p = t->process;

    lock_take(&p->signal_lock);
    signal_host_action(p, setxid, signal_action_of(p, setxid));
    lock_leave(&p->signal_lock);
    signal_host_mask(t->mask);
}

/* Mirrors default actions anew; the lock is held. */
static void mirror_defaults(Process *p, u64 signals)
{
    for (int sig = 1; sig <= SIGNALS; sig++) {
        const SigAction *a = signal_action_of(p, sig);

        if ((signals & signal_bit(sig) & ~(UNBLOCKABLE | FAULT_SIGNALS)) &&
            a->handler == ABI_SIG_DFL)
            signal_host_action(p, sig, a);
    }
}

void signal_intercept(Process *p, bool on)
{
    lock_take(&p->signal_lock);
    p->signals_watched = on;
    mirror_defaults(p, ~0ull);
    lock_leave(&p->signal_lock);
}

void signal_take(Process *p, u64 signals)
{
    lock_take(&p->signal_lock);
    signals ^= p->core_signals;
    p->core_signals ^= signals;
    mirror_defaults(p, signals);
    lock_leave(&p->signal_lock);
}

void signal_watch(Process *p, bool on)
{
    lock_take(&p->signal_lock);
    p->traced = on;
    for (int sig = 1; sig <= SIGNALS; sig++) {
        const SigAction *a = signal_action_of(p, sig);

        if (!(signal_bit(sig) & (UNBLOCKABLE | FAULT_SIGNALS | ours)) &&
            a->handler <= ABI_SIG_IGN)
            signal_host_action(p, sig, a);
    }
    lock_leave(&p->signal_lock);
}

/* ---- threads ---- */

void signal_thread_begin(Task *t, void *altstack)
{
    const stack_t stack = {.ss_sp = altstack, .ss_size = SIGNAL_ALTSTACK};

    sigaltstack(&stack, NULL);
    task_self = t;
    signal_host_mask(t->mask);
}

void signal_thread_end(Task *t)
{
    u64 all = ~0ull;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    task_self = NULL;
}

/* ---- delivery ---- */

/* The signal's action, as a handler's start leaves it (SA_RESETHAND). */
static SigAction take_action(Process *p, int sig)
{
    SigAction *now, action;

    lock_take(&p->signal_lock);
    now = signal_action_of(p, sig);
    action = *now;
    if (action.handler > ABI_SIG_IGN && (action.flags & SA_RESETHAND)) {
        now->handler = ABI_SIG_DFL;
        signal_host_action(p, sig, now);
    }
    lock_leave(&p->signal_lock);
    return action;
}

static bool on_altstack(const Task *t, u64 sp)
{
    return !(t->altstack.flags & SS_AUTODISARM) && t->altstack.size != 0 &&
           sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

/* Where the frame goes. */
static u64 frame_sp(const Task *t, const SigAction *a)
{
    u64 sp = t->process->abi->sp(t);

    if ((a->flags & SA_ONSTACK) && t->altstack.size != 0 && !on_altstack(t, sp))
        sp = t->altstack.sp + t->altstack.size;
    return sp;
}

/* Would a frame at sp leave the alternate stack that sp is on? */
static bool altstack_full(const Task *t, u64 sp)
{
    return on_altstack(t, sp) && !on_altstack(t, sp - t->process->abi->frame_size);
}

/* Enters the handler; the guest's mask is set, the host's not yet. */
static void enter_handler(Task *t, const SigAction *a, const siginfo_t *info)
{
    u64 old = t->mask_saved ? t->saved_mask : t->mask;
    u64 sp = frame_sp(t, a);
    int sig = info->si_signo;

    if (log_on(LOG_SIGNAL))
        log_printf("signal %d code %d: handler 0x%llx\n", sig, info->si_code,
                   (long long)a->handler);
    if (altstack_full(t, sp) || !t->process->abi->push_frame(t, a, info, old, sp)) {
        if (sig == SIGSEGV)
            signal_die_of(t, info, "no stack for its handler");
        signal_force(t, SIGSEGV, SI_KERNEL, sp);
        return;
    }
    t->mask_saved = false;
    t->mask |= a->mask & ~UNBLOCKABLE;
    if (!(a->flags & SA_NODEFER))
        t->mask |= signal_bit(sig);
    if (t->altstack.flags & SS_AUTODISARM)
        t->altstack = (SigStack){.flags = SS_DISABLE};
}

static bool stops_by_default(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void deliver(Task *t, const siginfo_t *info)
{
    int sig = info->si_signo;
    SigAction a = take_action(t->process, sig);

    if (a.handler > ABI_SIG_IGN)
        enter_handler(t, &a, info);
    else if (a.handler == ABI_SIG_IGN || is_ignored_by_default(sig))
        return;
    else if (stops_by_default(sig) && t->traced)
        ptrace_stop_all(t, sig);
    else if (stops_by_default(sig))
        kill(getpid(), SIGSTOP);
    else
        signal_die_of(t, info, NULL);
}

static void begin_again(Task *t)
{
    t->again_pc = t->env->pc;
    t->process->abi->restart(t);
}

/* EINTR or again?  The first handler to run decides. */
static void settle_call(Task *t, i64 result, const SigAction *first)
{
    const Abi *abi = t->process->abi;
    bool handled = first && first->handler > ABI_SIG_IGN;

    if (handled && (result == SYS_RESTART_IDLE ||
                    (result == SYS_RESTART_SA && !(first->flags & SA_RESTART))))
        abi->set_result(t, -EINTR);
    else
        begin_again(t);
}

static SigAction look_up_action(Process *p, int sig)
{
    SigAction a;

    lock_take(&p->signal_lock);
    a = *signal_action_of(p, sig);
    lock_leave(&p->signal_lock);
    return a;
}

/* A tracer sees the signal first, and the call that it interrupts is as if not made
 * unless there is a handler.  Whoever changes the pc meanwhile wants no call again. */
static bool tracer_lets_pass(Task *t, siginfo_t *info, i64 *restart)
{
    u64 pc;
    bool pass;

    if (*restart && look_up_action(t->process, info->si_signo).handler <= ABI_SIG_IGN) {
        begin_again(t);
        *restart = 0;
    }
    pc = t->env->pc;
    pass = ptrace_signal(t, info);
    if (t->env->pc != pc)
        *restart = 0;
    return pass;
}

/* The next that may be delivered, if a debugger or tracer does not keep it. */
static bool next_signal(Task *t, siginfo_t *info, i64 *restart)
{
    while (signal_dequeue(t, t->mask, info)) {
        if (UNLIKELY(t->traced) && !tracer_lets_pass(t, info, restart))
            continue;
        if (LIKELY(!t->gdb) || gdb_signal(t, info))
            return true;
    }
    return false;
}

static void deliver_all(Task *t, i64 restart)
{
    siginfo_t info;
    bool got = next_signal(t, &info, &restart);

    if (restart != 0) {
        SigAction first = {0};

        if (got)
            first = look_up_action(t->process, info.si_signo);
        settle_call(t, restart, &first);
        restart = 0;
    }
    for (; got && !t->exiting; got = next_signal(t, &info, &restart))
        deliver(t, &info);
    signal_restore_mask(t);
    signal_set_mask(t, t->mask);
}

void signal_deliver(Task *t, i64 restart)
{
    bool wished = ptrace_wished(t);

    if (UNLIKELY(t->kick_soon))
        ptrace_kick_no_more(t);
    atomic_fetch_and(&t->env->request, ~(u64)REQUEST_SIGNAL);
    if (UNLIKELY(wished))
        ptrace_attend(t);
    if (t->n_queued != 0 || restart != 0 || t->mask_saved)
        deliver_all(t, restart); /* queued later: asked for again */
    if (UNLIKELY(wished || ptrace_wished(t)))
        ptrace_attend_stops(t);
}

void signal_restore_mask(Task *t)
{
    if (t->mask_saved) {
        t->mask_saved = false;
        t->mask = t->saved_mask;
    }
}

void signal_force(Task *t, int sig, int code, u64 addr)
{
    siginfo_t info = {.si_signo = sig, .si_code = code};

    info.si_addr = (void *)addr;
    signal_force_info(t, &info);
}

void signal_force_info(Task *t, siginfo_t *info)
{
    SigAction a;

    if (UNLIKELY(t->traced) && !ptrace_signal(t, info))
        return;
    if (UNLIKELY(t->gdb) && !gdb_signal(t, info))
        return;
    a = take_action(t->process, info->si_signo);
    if (a.handler <= ABI_SIG_IGN || (t->mask & signal_bit(info->si_signo)))
        signal_die_of(t, info, NULL);
    enter_handler(t, &a, info);
    signal_set_mask(t, t->mask);
}
