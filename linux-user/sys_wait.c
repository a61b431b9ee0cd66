/* SPDX-License-Identifier: MIT */
/*
 * wait4 and waitid.  Children are the host's to report; tracees that have stopped, and
 * the ends of those that are nobody's children here, are ours (ptrace.h).
 */
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "sys.h"
#include "ptrace.h"

typedef struct Wanted {
    int which; /* P_ALL, P_PID, P_PGID, P_PIDFD */
    i32 id;
    u32 flags; /* as of waitid */
    bool stops;
} Wanted;

typedef struct Found {
    i32 pid;
    u32 status; /* as of wait4 */
} Found;

/* ---- tracees ---- */

/* The process that a pidfd is of; not one: -1. */
static i32 pidfd_process(i32 fd)
{
    char path[40];
    g_autofree char *text = NULL;
    const char *line;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return -1;
    line = strstr(text, "\nPid:\t");
    return line ? atoi(line + 6) : -1;
}

static bool is_wanted(const Task *t, const Wanted *w, const Tracee *e)
{
    if ((w->flags & __WNOTHREAD) && e->tracer_tid != t->tid)
        return false;
    switch (w->which) {
    case P_ALL: return true;
    case P_PID: return w->id == e->tid;
    case P_PGID: return host_syscall(SYS_getpgid, e->tid) == w->id;
    case P_PIDFD: return e->tid == pidfd_process(w->id);
    default: return false;
    }
}

/* The end of a child that the host has not reported: its status, or 0: it lives or is
 * no child (*child). */
static u32 zombie_status(i32 pid, bool *child)
{
    siginfo_t info = {0};
    i64 r = host_syscall(SYS_waitid, P_PID, pid, &info,
                         WEXITED | WNOHANG | WNOWAIT | __WALL, NULL);

    *child = r >= 0;
    if (r < 0 || info.si_pid != pid)
        return 0;
    return info.si_code == CLD_EXITED ? 0x10000u | (u32)(info.si_status & 0xff) << 8
                                      : 0x10000u | (u32)info.si_status |
                                            (info.si_code == CLD_DUMPED ? 0x80u : 0);
}

static bool has_other_threads(const Tracer *r, const Tracee *e)
{
    for (u32 i = 0; i < r->tracees->len; i++) {
        const Tracee *o = &g_array_index(r->tracees, Tracee, i);

        if (o->pid == e->pid && o->tid != e->tid)
            return true;
    }
    return false;
}

/* Has a tracee that is no more ended in a way that we must report? */
static bool ended(const Tracer *r, const Tracee *e, Found *out)
{
    bool child;
    u32 status = zombie_status(e->pid, &child);

    if (e->pid == e->tid) {
        if (child || has_other_threads(r, e))
            return false; /* the host's, or later */
        *out = (Found){e->tid, SIGKILL};
        return true;
    }
    if (child || host_syscall(SYS_kill, e->pid, 0) == 0)
        *out = (Found){e->tid, status & 0xffff};
    else
        *out = (Found){e->tid, SIGKILL};
    return true;
}

/* After an event another tracee exists; after execve another does not. */
static void note_event(Tracer *r, const Tracee *e, const PtraceSlot *s)
{
    u32 event = s->code >> 8;
    i32 other = (i32)s->message;
    Tracee new = {.tid = other, .tracer_tid = e->tracer_tid};

    if (event == PTRACE_EVENT_EXEC && other != e->tid)
        tracee_remove(r, other);
    if (event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK &&
        event != PTRACE_EVENT_CLONE)
        return;
    new.pid = event == PTRACE_EVENT_CLONE ? e->pid : other;
    tracee_add(r, &new);
}

static void forget(Tracer *r, Tracee *e)
{
    const i32 none = 0;

    if (e->slot)
        TRACEE_PUT(e, tid, &none);
    ptrace_kick(e->pid, e->pid, TRACEE_KICK, 0);
    tracee_remove(r, e->tid);
}

/* Has the tracee something to report? */
static bool look(Tracer *r, Tracee *e, const Wanted *w, Found *out)
{
    bool keep = w->flags & WNOWAIT;
    PtraceSlot s;

    if (!tracee_read(e, &s, false)) {
        if (!tracee_gone(e) || !(w->flags & WEXITED) || !ended(r, e, out))
            return false;
        if (!keep)
            tracee_remove(r, e->tid);
        return true;
    }
    if (s.tracer != r->pid) {
        tracee_remove(r, e->tid);
        return false;
    }
    if (s.state == TRACEE_EXITED) {
        if (!(w->flags & WEXITED) || (e->tid == e->pid && has_other_threads(r, e)))
            return false;
        *out = (Found){e->tid, s.code};
        if (!keep)
            forget(r, e);
        return true;
    }
    if (s.state != TRACEE_STOPPED || s.order.command != TRACEE_WAIT ||
        s.serial == e->told)
        return false;
    *out = (Found){e->tid, s.code << 8 | 0x7f};
    if (!keep) {
        e->told = s.serial;
        TRACEE_PUT(e, seen, &s.serial);
        note_event(r,
                   &(Tracee){.pid = e->pid, .tid = e->tid, .tracer_tid = e->tracer_tid},
                   &s);
    }
    return true;
}

/* *some: there are tracees to wait for. */
static bool look_at_all(Task *t, const Wanted *w, Found *out, bool *some)
{
    Tracer *r = t->process->tracer;
    bool found = false;

    *some = false;
    lock_take(&r->lock);
    tracer_look(r);
    for (u32 i = 0; r->tracees && i < r->tracees->len && !found; i++) {
        Tracee *e = &g_array_index(r->tracees, Tracee, i);

        if (is_wanted(t, w, e)) {
            *some = true;
            found = look(r, e, w, out);
        }
    }
    lock_leave(&r->lock);
    return found;
}

/* ---- waiting ---- */

static _Atomic i32 *waiter_new(Tracer *r, i32 tid)
{
    for (u32 i = 0; i < TRACEE_WAITERS; i++) {
        i32 none = 0;

        if (atomic_compare_exchange_strong(&r->waiters[i], &none, tid))
            return &r->waiters[i];
    }
    return NULL;
}

static bool has_news(const Tracer *r)
{
    for (u32 i = 0; i < TRACEE_NEWS; i++)
        if (r->news[i])
            return true;
    return false;
}

/* The host's call; flags are added.  Fills status or info, and usage. */
typedef i64 HostWait(const Wanted *w, u32 flags, void *out, void *usage, bool blocks);

enum { SOON_NS = 100 * 1000, LATE_NS = 50 * 1000 * 1000 };

/* Children end without telling us, and tracees that are killed as well: the longer
 * nothing happens, the longer we sleep.  Kicks and signals end it. */
static i64 sleep_a_while(Tracer *r, u64 *ns)
{
    struct timespec time;
    i64 result;

    if (atomic_exchange(&r->soon, 0))
        *ns = SOON_NS;
    time = (struct timespec){.tv_nsec = (long)*ns};
    *ns = MIN(*ns * 2, (u64)LATE_NS);
    result = safe_syscall(SYS_ppoll, NULL, 0, &time, NULL, 0);
    return result == 0 ? 0 : SYS_RESTART_SA;
}

static bool is_interruption(i64 result)
{
    return result == -EINTR || result == SYS_RESTART || result == SYS_RESTART_SA;
}

/* Returns the host's result, or *found: a tracee's. */
static i64 wait_loop(Task *t, const Wanted *w, HostWait *host_wait, void *out,
                     void *usage, Found *found)
{
    Tracer *r = t->process->tracer;
    u64 ns = SOON_NS;

    for (;;) {
        bool some;
        i64 result;

        t->kicked = false;
        signal_update(t);
        if (ptrace_wished(t))
            return SYS_RESTART_SA;
        if (look_at_all(t, w, found, &some))
            return 0;
        result = host_wait(w, some ? WNOHANG : 0, out, usage, !some);
        if (some && (result == 0 || result == -ECHILD)) {
            if (w->flags & WNOHANG)
                return 0;
            result = sleep_a_while(r, &ns);
            if (result == 0)
                continue;
        }
        if (result == -ECHILD ? !has_news(r) : !is_interruption(result))
            return result;
        if (result != -ECHILD && signal_ready(t))
            return SYS_RESTART_SA;
    }
}

/* The thread may be told of tracees meanwhile. */
static i64 wait_for(Task *t, const Wanted *w, HostWait *host_wait, void *out,
                    void *usage, Found *found)
{
    Tracer *r = t->process->tracer;
    _Atomic i32 *waiter = waiter_new(r, t->tid);
    i64 result;

    t->waiting = true;
    result = wait_loop(t, w, host_wait, out, usage, found);
    t->waiting = false;
    if (waiter)
        *waiter = 0;
    signal_update(t);
    return result;
}

/* The host has reported the end of a child, which may have been a tracee. */
static void child_ended(Task *t, i32 pid)
{
    Tracer *r = t->process->tracer;

    if (!r->tracees)
        return;
    lock_take(&r->lock);
    tracee_remove(r, pid);
    lock_leave(&r->lock);
}

/* ---- the calls ---- */

static i64 host_wait4(const Wanted *w, u32 flags, void *out, void *usage, bool blocks)
{
    i32 id = w->which == P_PID ? w->id : w->which == P_PGID ? -w->id : -1;
    u32 options = (w->flags & ~(u32)(WEXITED | WNOWAIT)) | flags;

    if (!w->stops)
        options &= ~(u32)WUNTRACED;
    if (blocks)
        return safe_syscall(SYS_wait4, id, out, options, usage);
    return host_syscall(SYS_wait4, id, out, options, usage);
}

i64 sys_wait4(Task *t, u64 pid, u64 status_addr, u64 flags, u64 usage_addr)
{
    const i32 id = (i32)pid;
    const u32 known =
        WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE;
    Wanted w = {.which = id > 0     ? P_PID
                         : id == -1 ? P_ALL
                                    : P_PGID,
                .id = id > 0    ? id
                      : id == 0 ? (i32)host_syscall(SYS_getpgid, 0)
                                : (i32)(0u - (u32)id),
                .flags = (u32)flags | WEXITED,
                .stops = flags & WUNTRACED};
    struct rusage usage = {0};
    Found found = {0};
    int status = 0;
    i64 r;

    if ((u32)flags & ~known)
        return -EINVAL;
    if (id == INT32_MIN)
        return -ESRCH;
    r = wait_for(t, &w, host_wait4, &status, &usage, &found);
    if (found.pid) {
        r = found.pid;
        status = (int)found.status;
    } else if (r > 0 && !WIFSTOPPED(status) && !WIFCONTINUED(status)) {
        child_ended(t, (i32)r);
    }
    if (r > 0 && ((status_addr && !PUT(t, status_addr, &status)) ||
                  (usage_addr && !PUT(t, usage_addr, &usage))))
        return -EFAULT;
    return r;
}

static i64 host_waitid(const Wanted *w, u32 flags, void *out, void *usage, bool blocks)
{
    i64 r;

    flags |= w->flags;
    if (blocks)
        return safe_syscall(SYS_waitid, w->which, w->id, out, flags, usage);
    r = host_syscall(SYS_waitid, w->which, w->id, out, flags, usage);
    return r == 0 ? ((siginfo_t *)out)->si_pid : r;
}

static void fill_info(siginfo_t *info, const Found *f)
{
    u32 status = f->status;

    *info = (siginfo_t){.si_signo = SIGCHLD};
    info->si_pid = f->pid;
    info->si_uid = getuid();
    if ((status & 0xff) == 0x7f) {
        info->si_code = CLD_TRAPPED;
        info->si_status = (int)(status >> 8);
    } else if (status & 0x7f) {
        info->si_code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
        info->si_status = (int)(status & 0x7f);
    } else {
        info->si_code = CLD_EXITED;
        info->si_status = (int)(status >> 8 & 0xff);
    }
}

static bool is_end(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED || info->si_code == CLD_KILLED ||
           info->si_code == CLD_DUMPED;
}

i64 sys_waitid(Task *t, u64 which, u64 id, u64 info_addr, u64 flags, u64 usage_addr)
{
    Wanted w = {.which = (int)which, .id = (i32)id, .flags = (u32)flags};
    struct rusage usage = {0};
    siginfo_t info = {0};
    Found found = {0};
    i64 r;

    if (w.which == P_PGID && w.id == 0)
        w.id = (i32)host_syscall(SYS_getpgid, 0);
    r = wait_for(t, &w, host_waitid, &info, &usage, &found);
    if (found.pid) {
        fill_info(&info, &found);
        r = 0;
    } else if (r >= 0 && is_end(&info) && !(w.flags & WNOWAIT)) {
        child_ended(t, info.si_pid);
    }
    r = MIN(r, 0);
    if (r == 0 && ((info_addr && !PUT(t, info_addr, &info)) ||
                   (usage_addr && info.si_pid && !PUT(t, usage_addr, &usage))))
        return -EFAULT;
    return r;
}
