/* SPDX-License-Identifier: MIT */
/* A tracee's clone, execve and end. */
#include <fcntl.h>
#include <glib.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "ptrace.h"

/* ---- the beginning ---- */

static void begin(Process *p, Tracer *r)
{
    *r = (Tracer){.pid = getpid()};
    r->lock = (Lock){0};
    p->tracer = r;
    ptrace_board.base = (u64)p->mem->space.base;
    ptrace_board.size = p->mem->space.size;
    ptrace_board.map = (u64)&p->mem->map;
}

void ptrace_init(Process *p)
{
    Tracer *r = malloc(sizeof *r);

    if (!r)
        fatal(1, "out of memory");
    begin(p, r);
}

/* ---- clone ---- */

u32 ptrace_clone_event(const Task *t, const CloneArgs *a)
{
    u32 event = a->flags & CLONE_VFORK      ? PTRACE_EVENT_VFORK
                : a->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
                                            : PTRACE_EVENT_FORK;

    return !(a->flags & CLONE_UNTRACED) && ptrace_wants(t, event) ? event : 0;
}

/* A new thread of the tracer's: it stops first of all. */
static void inherit(Task *child, PtraceSlot *s, const PtraceSlot *parent)
{
    child->ptrace = s;
    child->traced = s && parent;
    if (!child->traced)
        return;
    s->options = parent->options;
    s->seized = parent->seized;
    s->tracer_tid = parent->tracer_tid;
    s->mode = TRACEE_CONT;
    if (s->seized)
        s->wish.interrupt = 1;
    else
        s->wish.sigstop = 1;
    child->interrupted = 1;
    s->tracer = parent->tracer;
}

static bool attaches(const Task *t, const CloneArgs *a)
{
    return t->traced && (ptrace_clone_event(t, a) || a->flags & CLONE_PTRACE);
}

void ptrace_thread_new(Task *t, Task *child, const CloneArgs *a)
{
    inherit(child, ptrace_slot_new(child, -1), attaches(t, a) ? t->ptrace : NULL);
}

void ptrace_thread_begin(Task *t)
{
    if (t->ptrace)
        t->ptrace->tid = t->tid;
}

/* The fork's child: the board is a copy, and of it only what it inherits is true. */
void ptrace_fork_child(Task *t, const CloneArgs *a)
{
    PtraceBoard *b = &ptrace_board;
    PtraceSlot parent = t->ptrace ? *t->ptrace : (PtraceSlot){0};
    bool attached = attaches(t, a);

    begin(t->process, t->process->tracer); /* its memory is at hand */
    for (u32 i = 0; i < b->n; i++)
        b->slot[i].tid = 0;
    b->n = 0;
    b->n_writes = 0;
    inherit(t, ptrace_slot_new(t, t->tid), attached ? &parent : NULL);
    if (t->process->traced && !t->traced)
        signal_watch(t->process, false);
}

/* In the child, on the parent's Task; the parent cannot run before it is gone, so its
 * stop is made here and waited for later. */
void ptrace_vfork_child(Task *t, const CloneArgs *a)
{
    PtraceSlot *parent = t->ptrace;
    bool attached = attaches(t, a);
    u32 event = ptrace_clone_event(t, a);

    inherit(t, ptrace_slot_new(t, gettid()), attached ? parent : NULL);
    if (event)
        ptrace_publish(t, parent, TRACEE_AT_EVENT, SIGTRAP | event << 8, (u64)gettid(),
                       NULL);
}

void ptrace_vfork_parent(Task *t, i32 pid)
{
    PtraceSlot *s;

    for (u32 i = 0; pid > 0 && (s = ptrace_next(&i, pid)); i++)
        s->tid = 0;
    if (!t->ptrace)
        return;
    if (t->ptrace->state == TRACEE_STOPPED)
        ptrace_wait(t);
    ptrace_adopt(t);
    if (pid > 0 && ptrace_wants(t, PTRACE_EVENT_VFORK_DONE))
        ptrace_event(t, PTRACE_EVENT_VFORK_DONE, (u64)pid);
}

void ptrace_share_child(Task *t, bool own_process)
{
    if (own_process)
        ptrace_init(t->process);
    t->ptrace = ptrace_slot_new(t, t->tid);
}

void ptrace_share_end(Process *p, i32 pid)
{
    PtraceSlot *s;

    for (u32 i = 0; (s = ptrace_next(&i, pid)); i++)
        s->tid = 0;
    if (p->tracer->pid != pid)
        return;
    if (p->tracer->tracees)
        g_array_free(p->tracer->tracees, TRUE);
    free(p->tracer);
}

/* ---- execve ---- */

bool ptrace_exec_begin(const Task *t, char text[TRACEE_TEXT])
{
    const PtraceSlot *s = t->ptrace;

    if (t->traced)
        snprintf(text, TRACEE_TEXT, "%d.%d.%u.%u.%u.%u.%d.%u", s->tracer, s->tracer_tid,
                 s->seized, s->options, s->mode, s->serial, t->tid, (u32)t->sys.nr);
    return t->traced;
}

/* Stops as execve does when it has succeeded. */
static void stop_after_exec(Task *t, i32 former)
{
    PtraceSlot *s = t->ptrace;
    siginfo_t info = {.si_signo = SIGTRAP, .si_code = SI_USER};

    if (ptrace_wants(t, PTRACE_EVENT_EXEC))
        ptrace_event(t, PTRACE_EVENT_EXEC, (u64)former);
    if (t->traced && s->mode == TRACEE_CALL)
        ptrace_syscall_end(t, 0);
    if (!t->traced || s->seized || s->options & PTRACE_O_TRACEEXEC)
        return;
    info.si_pid = getpid();
    info.si_uid = getuid();
    signal_enqueue(t, SIGTRAP, &info);
}

typedef struct Heritage {
    i32 tracer, tracer_tid, former;
    u32 seized, options, mode, serial, nr;
} Heritage;

static bool heritage_parse(Heritage *h, const char *text)
{
    int end = 0;

    return sscanf(text, "%d.%d.%u.%u.%u.%u.%d.%u%n", &h->tracer, &h->tracer_tid,
                  &h->seized, &h->options, &h->mode, &h->serial, &h->former, &h->nr,
                  &end) == 8 &&
           text[end] == 0 && h->tracer > 0 && h->tracer != getpid() &&
           h->tracer_tid > 0 && h->former > 0 && h->seized <= 1 &&
           !(h->options & ~(u32)PTRACE_O_MASK) && h->mode <= TRACEE_DETACH;
}

/* Is the tracer still there?  One that we may not look at is taken at its word. */
static bool tracer_is_there(Process *p, const Heritage *h)
{
    Tracee tracer;
    i64 r = board_await(h->tracer_tid, &tracer);

    if (r == -ESRCH)
        return false;
    p->tracer->stranger = r < 0 && !board_may_look(h->tracer_tid);
    if (!p->tracer->stranger && (r < 0 || tracer.pid != h->tracer))
        fatal(1, "-ptrace: process %d is no tracer", h->tracer);
    return true;
}

/* Becomes the tracee that execve was called by; returns the tid it had, 0: not traced
 * any more. */
static i32 go_on(Task *t, const char *text)
{
    PtraceSlot *s = t->ptrace;
    Heritage h;

    if (!heritage_parse(&h, text))
        fatal(1, "-ptrace %s: not what another tessera left", text);
    if (!tracer_is_there(t->process, &h))
        return 0;
    s->tracer_tid = h.tracer_tid;
    s->seized = h.seized;
    s->options = h.options;
    s->mode = h.mode;
    s->serial = h.serial;
    s->tracer = h.tracer;
    t->sys.nr = h.nr;
    return h.former;
}

void ptrace_begin(Task *t, const char *heritage)
{
    i32 former = 0;

    t->ptrace = ptrace_slot_new(t, t->tid);
    if (t->ptrace && heritage)
        former = go_on(t, heritage);
    ptrace_board.ready = TRACEE_READY;
    if (!former)
        return;
    ptrace_adopt(t);
    stop_after_exec(t, former);
    signal_deliver(t, 0);
}

/* ---- the end ---- */

/* Of a process whose parent is not its tracer: the tracer is to know first. */
static void others_park(const Task *t)
{
    PtraceSlot *s;

    for (u32 i = 0; (s = ptrace_next(&i, getpid())); i++) {
        if (s == t->ptrace)
            continue;
        s->wish.park = 1;
        ptrace_kick(s->pid, s->tid, TRACEE_KICK, 0);
    }
}

static bool unreaped(const Task *t)
{
    PtraceSlot *s;
    bool some = false;

    for (u32 i = 0; !some && (s = ptrace_next(&i, getpid())); i++)
        some = s->tracer && s->state == TRACEE_EXITED;
    return some && ptrace_tracer_lives(t->ptrace);
}

static void wait_to_be_reaped(Task *t, u32 status)
{
    u64 all = ~0ull, kick = signal_bit(TRACEE_SIGNAL);
    const struct timespec often = {.tv_nsec = 50 * 1000 * 1000};
    PtraceSlot *s;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    others_park(t);
    for (u32 i = 0; (s = ptrace_next(&i, getpid())); i++) {
        s->code = status;
        s->state = TRACEE_EXITED;
    }
    host_syscall(SYS_close_range, 0, ~0u, 0); /* as a zombie has nothing open */
    ptrace_tell(t->ptrace, TRACEE_TELL_SIGCHLD);
    for (u32 i = 1; unreaped(t); i++) {
        host_syscall(SYS_rt_sigtimedwait, &kick, NULL, &often, sizeof kick);
        if (i % 8 == 0)
            ptrace_tell(t->ptrace, TRACEE_TELL_SIGCHLD);
    }
}

void ptrace_process_end(Task *t, u32 status)
{
    tracer_end(t->process, 0);
    if (!t->traced)
        return;
    if (ptrace_wants(t, PTRACE_EVENT_EXIT))
        ptrace_event(t, PTRACE_EVENT_EXIT, status);
    if (!t->traced)
        return;
    if (getppid() == t->ptrace->tracer)
        ptrace_tell(t->ptrace, TRACEE_TELL);
    else
        wait_to_be_reaped(t, status);
}

void ptrace_thread_exit(Task *t, u32 status)
{
    if (t->ptrace)
        t->ptrace->filter = 0; /* of no more interest, also before it is joined */
    if (ptrace_wants(t, PTRACE_EVENT_EXIT))
        ptrace_event(t, PTRACE_EVENT_EXIT, status);
}

void ptrace_thread_end(Task *t)
{
    PtraceSlot *s = t->ptrace;

    if (!s)
        return;
    if (t->tid)
        tracer_end(t->process, t->tid);
    t->ptrace = NULL;
    if (!t->traced || !t->tid) {
        s->tid = 0;
        return;
    }
    if (t->tid == getpid()) /* the others go on */
        return;
    s->code = (u32)(t->exit_code & 0xff) << 8;
    s->state = TRACEE_EXITED;
    ptrace_tell(s, TRACEE_TELL_SIGCHLD);
}
