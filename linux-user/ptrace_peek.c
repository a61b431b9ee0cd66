/* SPDX-License-Identifier: MIT */
/*
 * What a tracer asks about a stopped tracee's queued signals and seccomp filters.  The
 * signals wait in the host's queues, which only the host's ptrace shows without taking
 * them out: a helper that shares our memory attaches for that moment, and it is the one
 * that the host's SIGCHLD and wait4 are about.  Where the host does not let it, neither
 * do we.
 */
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bpf.h"
#include "ptrace.h"
#include "sys.h"

/* ---- queued signals ---- */

enum { PEEK_AT_ONCE = 32, HELPER_STACK = 16384, NAP_NS = 1000 * 1000, NAPS = 1000 };

typedef struct Peek {
    i32 tid;
    struct __ptrace_peeksiginfo_args args;
    siginfo_t info[PEEK_AT_ONCE];
    i64 result;
    _Alignas(16) u8 stack[HELPER_STACK];
} Peek;

static bool await_stop(i32 tid)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    int status;

    for (u32 i = 0; i < NAPS; i++) {
        if (host_syscall(SYS_wait4, tid, &status, __WALL | WNOHANG, NULL) == tid)
            return WIFSTOPPED(status);
        host_syscall(SYS_nanosleep, &nap, NULL);
    }
    return false;
}

/* The helper; its end lets the tracee go. */
static int peek_from_beside(void *data)
{
    Peek *p = data;

    p->result = host_syscall(SYS_ptrace, PTRACE_SEIZE, p->tid, 0, 0);
    if (p->result == 0)
        p->result = host_syscall(SYS_ptrace, PTRACE_INTERRUPT, p->tid, 0, 0);
    if (p->result == 0 && !await_stop(p->tid))
        p->result = -ESRCH;
    if (p->result == 0)
        p->result =
            host_syscall(SYS_ptrace, PTRACE_PEEKSIGINFO, p->tid, &p->args, p->info);
    host_syscall(SYS_exit, 0);
    return 0;
}

static i64 peek_at_once(Peek *p)
{
    u64 all = ~0ull, old;
    i64 pid;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
    pid = host(
        clone(peek_from_beside, p->stack + HELPER_STACK, CLONE_VM | CLONE_VFORK, p));
    if (pid > 0)
        host_syscall(SYS_wait4, pid, NULL, __WALL, NULL);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    return pid < 0 ? pid : p->result;
}

/* Would a child begin, or be in, another pid namespace? */
static bool goes_elsewhere(void)
{
    struct stat here, children;

    if (stat("/proc/thread-self/ns/pid", &here))
        return false;
    return stat("/proc/thread-self/ns/pid_for_children", &children) || /* no init yet */
           here.st_ino != children.st_ino;
}

/* Our own kicks are nobody's business, so the count begins at the first. */
static i64 peek_all(Task *t, Peek *p, const struct __ptrace_peeksiginfo_args *wanted,
                    u64 data)
{
    i64 n = 0, r;
    u64 seen = 0;

    do {
        r = n < wanted->nr ? peek_at_once(p) : 0;
        for (i64 i = 0; i < r && n < wanted->nr; i++) {
            if (ptrace_is_kick(&p->info[i]) || seen++ < wanted->off)
                continue;
            if (!PUT(t, data + (u64)n * sizeof *p->info, &p->info[i]))
                return n ? n : -EFAULT;
            n++;
        }
        p->args.off += PEEK_AT_ONCE;
    } while (r == PEEK_AT_ONCE && n < wanted->nr);
    return n ? n : MIN(r, 0);
}

i64 ptrace_peek_siginfo(Task *t, i32 tid, u64 addr, u64 data)
{
    struct __ptrace_peeksiginfo_args wanted;
    Peek *p;
    i64 r;

    if (!GET(t, addr, &wanted))
        return -EFAULT;
    if (wanted.flags & ~(u32)PTRACE_PEEKSIGINFO_SHARED || wanted.nr < 0)
        return -EINVAL;
    if (goes_elsewhere())
        return -EPERM;
    p = aligned_alloc(16, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->tid = tid;
    p->args =
        (struct __ptrace_peeksiginfo_args){.flags = wanted.flags, .nr = PEEK_AT_ONCE};
    r = peek_all(t, p, &wanted, data);
    free(p);
    return r;
}

/* ---- filters ---- */

i64 ptrace_get_filter(Task *t, const PtraceSlot *s, u64 nth, u64 data)
{
    struct sock_filter program[BPF_PROGRAM_LONGEST];
    SeccompView v;
    i64 r = seccomp_look(t, s->tid, s->seccomp, nth, &v);

    if (r < 0 || !data)
        return r < 0 ? r : (i64)v.n;
    if (!board_read(s->tid, v.program, program, v.n * sizeof *program))
        return -ESRCH;
    if (!guest_write(t, data, program, v.n * sizeof *program))
        return -EFAULT;
    return v.n;
}

i64 ptrace_get_filter_flags(Task *t, const PtraceSlot *s, u64 size, u64 data)
{
    struct {
        u64 nth, flags;
    } meta = {0};
    SeccompView v;
    i64 r;

    size = MIN(size, sizeof meta);
    if (size < sizeof meta.nth)
        return -EINVAL;
    if (!GET(t, data, &meta.nth))
        return -EFAULT;
    r = seccomp_look(t, s->tid, s->seccomp, meta.nth, &v);
    if (r < 0)
        return r;
    meta.flags = v.flags;
    return guest_write(t, data, &meta, size) ? (i64)size : -EFAULT;
}
