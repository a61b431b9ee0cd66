/* SPDX-License-Identifier: MIT */
/* The tracee's half of ptrace: its slot on the board, kicks, and being stopped. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include "ptrace.h"
#include "sys.h"

/* Found by other processes at the same distance from the program's entry.  A fork
 * writes to its head and its first slot: in one page. */
_Alignas(PAGE_SIZE) PtraceBoard ptrace_board;
_Static_assert(offsetof(PtraceBoard, slot[1]) <= PAGE_SIZE, "in one page");

/* ---- kicks ---- */

#define KICK_MARK 0x6b696b74ull

i64 ptrace_kick(i32 pid, i32 tid, u32 what, u32 code)
{
    siginfo_t info = {.si_signo = TRACEE_SIGNAL, .si_code = SI_QUEUE};

    info.si_pid = gettid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(KICK_MARK << 32 | (u64)code << 8 | what);
    return host_syscall(SYS_rt_tgsigqueueinfo, pid, tid, TRACEE_SIGNAL, &info);
}

bool ptrace_is_kick(const siginfo_t *info)
{
    return (info->si_code == SI_QUEUE || info->si_code == SI_TIMER) &&
           (u64)info->si_value.sival_ptr >> 32 == KICK_MARK;
}

enum { SOON_NS = 1000000 };

static bool timer_made(Task *t)
{
    struct sigevent e = {.sigev_signo = TRACEE_SIGNAL, .sigev_notify = SIGEV_THREAD_ID};
    i32 timer;

    e.sigev_value.sival_ptr = (void *)(KICK_MARK << 32 | TRACEE_LEAVE);
    e._sigev_un._tid = t->tid;
    if (!t->kick_timer &&
        host_syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &timer) == 0)
        t->kick_timer = timer + 1;
    return t->kick_timer;
}

static void timer_set(const Task *t, long ns)
{
    const struct itimerspec when = {.it_value.tv_nsec = ns};

    host_syscall(SYS_timer_settime, t->kick_timer - 1, 0, &when, NULL);
}

void ptrace_kick_soon(Task *t)
{
    if (timer_made(t))
        timer_set(t, SOON_NS);
    t->kick_soon = t->kick_timer;
}

void ptrace_kick_no_more(Task *t)
{
    timer_set(t, 0);
    t->kick_soon = false;
}

void ptrace_tell(const PtraceSlot *s, u32 what)
{
    siginfo_t info = {.si_signo = TRACEE_SIGNAL, .si_code = SI_QUEUE};
    u32 code = s->code & 0xffff;

    info.si_pid = s->tid;
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(KICK_MARK << 32 | (u64)code << 8 | what);
    host_syscall(SYS_rt_tgsigqueueinfo, s->tracer, s->tracer_tid, TRACEE_SIGNAL, &info);
}

/* A tracee has told us something: as the kernel does, SIGCHLD goes to the guest. */
static void send_sigchld(Process *p, const siginfo_t *kick)
{
    const SigAction *a = &p->actions[SIGCHLD];
    siginfo_t info = {.si_signo = SIGCHLD, .si_code = CLD_TRAPPED};

    if ((p->actions_known & signal_bit(SIGCHLD)) &&
        (a->handler == ABI_SIG_IGN || (a->flags & SA_NOCLDSTOP)))
        return;
    info.si_pid = kick->si_pid;
    info.si_uid = kick->si_uid;
    info.si_status = (int)((u64)kick->si_value.sival_ptr >> 8 & 0x7f);
    host_syscall(SYS_rt_sigqueueinfo, getpid(), SIGCHLD, &info);
}

static void wake_waiters(Tracer *r, i32 self)
{
    for (u32 i = 0; i < TRACEE_WAITERS; i++)
        if (r->waiters[i] && r->waiters[i] != self)
            ptrace_kick(getpid(), r->waiters[i], TRACEE_WAKE, 0);
}

static void told(Task *t, const siginfo_t *info, u32 what)
{
    Tracer *r = t->process->tracer;

    r->news[r->n_news++ % TRACEE_NEWS] = info->si_pid;
    r->soon = 1;
    if (what & TRACEE_TELL_SIGCHLD)
        send_sigchld(t->process, info);
    if (!t->waiting)
        wake_waiters(r, t->tid);
}

bool ptrace_kicked(Task *t, const siginfo_t *info, ucontext_t *context)
{
    u32 what = (u64)info->si_value.sival_ptr & 0xff;

    if (!ptrace_is_kick(info))
        return false;
    t->kicked = true;
    if (what & (TRACEE_TELL | TRACEE_TELL_SIGCHLD))
        told(t, info, what);
    if ((t->waiting && what != TRACEE_LEAVE) || ptrace_wished(t)) {
        t->interrupted = 1;
        exec_request(t->env);
        context_leave_syscall(context);
    }
    return true;
}

/* ---- slots ---- */

PtraceSlot *ptrace_slot_new(Task *t, i32 tid)
{
    PtraceBoard *b = &ptrace_board;

    for (u32 i = 0; i < TRACEE_SLOTS; i++) {
        PtraceSlot *s = &b->slot[i];
        i32 free = 0;

        if (!atomic_compare_exchange_strong(&s->tid, &free, -1))
            continue;
        memset((u8 *)s + sizeof s->tid, 0, sizeof *s - sizeof s->tid);
        s->pid = getpid();
        s->filter = seccomp_newest(t);
        for (u32 n = b->n; n <= i && !atomic_compare_exchange_weak(&b->n, &n, i + 1);)
            ;
        s->tid = tid;
        return s;
    }
    return NULL;
}

PtraceSlot *ptrace_next(u32 *i, i32 pid)
{
    for (; *i < MIN(ptrace_board.n, (u32)TRACEE_SLOTS); ++*i) {
        PtraceSlot *s = &ptrace_board.slot[*i];

        if (s->tid && s->pid == pid)
            return s;
    }
    return NULL;
}

bool ptrace_wished(const Task *t) { return t->ptrace && t->ptrace->wish.any; }

/* Signals that nobody but a tracer sees come to us while there is one. */
static void watch_signals(Process *p)
{
    bool traced = false;

    for (u32 i = 0; !traced && ptrace_next(&i, getpid()); i++)
        traced = ptrace_board.slot[i].tracer;
    if (traced != p->traced)
        signal_watch(p, traced);
}

void ptrace_adopt(Task *t)
{
    t->traced = t->ptrace && t->ptrace->tracer;
    watch_signals(t->process);
}

void ptrace_release(Task *t, PtraceSlot *s, i32 tracer)
{
    if (s->options & PTRACE_O_EXITKILL && !ptrace_tracer_lives(s))
        host_syscall(SYS_kill, getpid(), SIGKILL);
    if (s->tracer == tracer) { /* else another has already come */
        s->options = s->seized = s->mode = 0;
        atomic_compare_exchange_strong(&s->tracer, &tracer, 0);
    }
    ptrace_adopt(t);
}

bool ptrace_tracer_lives(const PtraceSlot *s)
{
    char path[32], text[128] = "", *after;
    i32 pid = s->tracer;
    int fd;

    if (pid == 0 || host_syscall(SYS_kill, pid, 0) == -ESRCH)
        return false;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* there is no /proc */
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = 0;
    close(fd);
    after = strrchr(text, ')');
    return !after || (after[2] != 'Z' && after[2] != 'X');
}

/* ---- being stopped ---- */

void ptrace_park(void)
{
    u64 all = ~0ull;

    for (;;)
        host_syscall(SYS_rt_sigsuspend, &all, sizeof all);
}

/* But where the process ends: what the slot says then stays. */
static void set_state(PtraceSlot *s, u32 from, u32 to)
{
    if (!atomic_compare_exchange_strong(&s->state, &from, to) && from != to)
        ptrace_park();
}

static siginfo_t trap_info(u32 code)
{
    siginfo_t info = {.si_signo = SIGTRAP, .si_code = (int)code};

    info.si_pid = gettid();
    info.si_uid = getuid();
    return info;
}

void ptrace_publish(Task *t, PtraceSlot *s, PtraceKind kind, u32 code, u64 message,
                    const siginfo_t *info)
{
    const AbiRegset *sets = t->process->abi->regsets;

    s->kind = kind;
    s->code = code;
    s->message = message;
    s->info = info ? *info : trap_info(code);
    s->mask = t->mask_saved ? t->saved_mask : t->mask;
    s->sys = t->sys;
    s->pc = t->env->pc;
    s->sp = t->process->abi->sp(t);
    seccomp_heads(t, s->seccomp);
    for (u32 i = 0; i < TRACEE_SETS; i++)
        sets[i].get(t->env, s->set[i]);
    s->dirty = 0;
    s->order = (PtraceOrder){0};
    s->serial++;
    set_state(s, TRACEE_RUNS, TRACEE_STOPPED);
    ptrace_tell(s, TRACEE_TELL_SIGCHLD);
}

/* What the tracer has changed meanwhile. */
static void take_changes(Task *t, PtraceSlot *s)
{
    const AbiRegset *sets = t->process->abi->regsets;

    for (u32 i = 0; i < TRACEE_SETS; i++)
        if (s->dirty & TRACEE_DIRTY_SETS << i)
            sets[i].set(t->env, s->set[i]);
    if (s->dirty & TRACEE_DIRTY_MASK) {
        t->mask = s->mask & ~UNBLOCKABLE;
        t->saved_mask = t->mask;
    }
}

/* Translated code of what tracers wrote is stale. */
static void drop_written(Process *p)
{
    PtraceBoard *b = &ptrace_board;
    u32 n = b->n_writes, seen = atomic_exchange(&p->tracer->writes_seen, n);

    if (n - seen > TRACEE_WRITES)
        cache_flush(p->cache);
    for (; n - seen <= TRACEE_WRITES && seen != n; seen++) {
        const PtraceWrite *w = &b->writes[seen % TRACEE_WRITES];

        if (space_contains(&p->mem->space, w->addr, w->len))
            cache_drop(p->cache, w->addr, w->len);
    }
}

enum { CHECK_NS = 250 * 1000 * 1000, STRANGER_CHECKS = 20 };

/* The next kick, or another signal of the set; 0: none in a while. */
static int next_kick(Task *t, u64 set, siginfo_t *info)
{
    struct timespec limit = {.tv_nsec = CHECK_NS};
    i64 sig = host_syscall(SYS_rt_sigtimedwait, &set, info, &limit, sizeof set);

    if (sig == TRACEE_SIGNAL && !ptrace_is_kick(info))
        signal_enqueue(t, TRACEE_SIGNAL, info);
    else if (sig == TRACEE_SIGNAL &&
             (u64)info->si_value.sival_ptr & ~(TRACEE_KICK | TRACEE_LEAVE) & 0xff)
        told(t, info, (u64)info->si_value.sival_ptr & 0xff);
    return (int)MAX(sig, 0);
}

/* While the tracer listens, SIGCONT and PTRACE_INTERRUPT make it a stop again. */
static void listen(Task *t, int sig, const siginfo_t *info)
{
    PtraceSlot *s = t->ptrace;
    u32 code = SIGTRAP | PTRACE_EVENT_STOP << 8;

    if (sig == SIGCONT)
        signal_enqueue(t, sig, info);
    else if (!s->wish.interrupt)
        return;
    s->wish.interrupt = 0;
    ptrace_publish(t, s, TRACEE_AT_EVENT, code, 0, NULL);
}

/* Waits for an order that lets it go on. */
static PtraceOrder await_order(Task *t)
{
    PtraceSlot *s = t->ptrace;
    siginfo_t info;
    u32 unseen = 0;

    for (;;) {
        bool listens = s->order.command == TRACEE_LISTEN;
        int sig = next_kick(
            t, signal_bit(TRACEE_SIGNAL) | (listens ? signal_bit(SIGCONT) : 0), &info);

        if (listens)
            listen(t, sig, &info);
        else if (s->order.command != TRACEE_WAIT && s->order.command != TRACEE_LISTEN) {
            if (sig != TRACEE_SIGNAL) /* its kick is on its way */
                next_kick(t, signal_bit(TRACEE_SIGNAL), &info);
            return s->order;
        }
        if (sig != 0)
            continue;
        if (!ptrace_tracer_lives(s))
            return (PtraceOrder){.command = TRACEE_DETACH};
        if (s->seen == s->serial)
            continue;
        if (t->process->tracer->stranger && ++unseen > STRANGER_CHECKS)
            fatal(1, "-ptrace: process %d is no tracer", s->tracer);
        ptrace_tell(s, TRACEE_TELL_SIGCHLD); /* the first met another's */
    }
}

/* PTRACE_O_EXITKILL while it runs: the kernel knows when a parent ends. */
static void die_with_tracer(PtraceSlot *s, bool stays)
{
    bool wanted = stays && s->options & PTRACE_O_EXITKILL;
    bool of_parent = wanted && getppid() == s->tracer;

    if (of_parent != s->dies_with) {
        prctl(PR_SET_PDEATHSIG, of_parent ? SIGKILL : 0);
        s->dies_with = of_parent;
    } else if (of_parent) {
        return;
    }
    if (wanted && !ptrace_tracer_lives(s)) /* it may have ended just before */
        host_syscall(SYS_kill, getpid(), SIGKILL);
}

int ptrace_wait(Task *t)
{
    PtraceSlot *s = t->ptrace;
    const u64 faults = FAULT_SIGNALS & ~signal_bit(TRACEE_SIGNAL);
    const i32 tracer = s->tracer;
    u64 mask = ~faults, old;
    PtraceOrder order;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
    order = await_order(t);
    take_changes(t, s);
    drop_written(t->process);
    s->kind = TRACEE_AT_NOTHING;
    set_state(s, TRACEE_STOPPED, TRACEE_RUNS);
    s->mode = order.command;
    s->order = (PtraceOrder){0};
    die_with_tracer(s, order.command != TRACEE_DETACH);
    if (order.command == TRACEE_DETACH)
        ptrace_release(t, s, tracer);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    if (s->dirty & TRACEE_DIRTY_MASK)
        signal_set_mask(t, t->mask);
    if (s->wish.any)
        t->interrupted = 1;
    return order.signal;
}

int ptrace_stop(Task *t, PtraceKind kind, u32 code, u64 message, const siginfo_t *info)
{
    const u64 faults = FAULT_SIGNALS & ~signal_bit(TRACEE_SIGNAL);
    u64 mask = ~faults, old;
    int sig;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
    ptrace_publish(t, t->ptrace, kind, code, message, info);
    sig = ptrace_wait(t);
    if (!(t->ptrace->dirty & TRACEE_DIRTY_MASK))
        host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    return sig;
}
