/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads: clone, execve, the end, prctl, resource limits.  The work is
 * task.c's; here the guest's arguments are taken apart.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "sys.h"

/* ---- clone ---- */

/* The order of the last two is riscv's (and most others', not x86-64's). */
i64 sys_clone(Task *t, u64 flags, u64 stack, u64 parent_tid, u64 tls, u64 child_tid)
{
    CloneArgs a = {
        .flags = (u32)flags & ~(u64)CSIGNAL,
        .exit_signal = flags & CSIGNAL,
        .stack = stack,
        .tls = tls,
        .pidfd = flags & CLONE_PIDFD ? parent_tid : 0,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
    };

    return task_clone(t, &a);
}

i64 sys_clone3(Task *t, u64 addr, u64 size)
{
    struct clone_args g = {0};
    i32 tids[32]; /* MAX_PID_NS_LEVEL */
    CloneArgs a;

    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (!guest_read(t, &g, addr, MIN(size, sizeof g)))
        return -EFAULT;
    if ((g.set_tid_size || g.flags & CLONE_INTO_CGROUP) && g.flags & CLONE_VM)
        return -ENOSYS; /* callers then do without, or with clone */
    if (g.set_tid_size > ARRAY_SIZE(tids) || !g.set_tid != !g.set_tid_size)
        return -EINVAL;
    if (!guest_read(t, tids, g.set_tid, g.set_tid_size * sizeof *tids))
        return -EFAULT;
    if (g.flags & CSIGNAL || g.exit_signal > SIGNALS || !g.stack != !g.stack_size)
        return -EINVAL;
    a = (CloneArgs){
        .flags = g.flags,
        .exit_signal = g.exit_signal,
        .stack = g.stack + g.stack_size,
        .tls = g.tls,
        .pidfd = g.pidfd,
        .parent_tid = g.parent_tid,
        .child_tid = g.child_tid,
        .tids = tids,
        .n_tids = g.set_tid_size,
        .cgroup = (int)g.cgroup,
    };
    return task_clone(t, &a);
}

/* ---- execve ---- */

enum { ARGS_MAX = 1 << 20, ARGS_FIRST = 64 };

/* The guest's array of strings, NULL-terminated; its strings stay where they are. */
static i64 read_strings(Task *t, u64 addr, char ***out)
{
    size_t n = 0, room = ARGS_FIRST;
    char **v = malloc(room * sizeof *v);
    const char *s;
    u64 p;
    i64 r = v ? 0 : -ENOMEM;

    while (r >= 0 && addr) {
        r = GET(t, addr, &p) ? 0 : -EFAULT;
        if (r < 0 || !p)
            break;
        r = n < ARGS_MAX ? guest_string(t, p, ABI_ARG_STRLEN, &s) : -E2BIG;
        if (n + 2 > room) {
            char **more = realloc(v, (room *= 2) * sizeof *v);

            if (!more)
                r = -ENOMEM;
            v = more ? more : v;
        }
        if (r >= 0)
            v[n++] = (char *)s;
        addr += sizeof p;
    }
    if (v)
        v[n] = NULL;
    *out = v;
    return r == -ENAMETOOLONG ? -E2BIG : MIN(r, 0);
}

static i64 exec_at(Task *t, i32 dir, u64 path_addr, u64 argv_addr, u64 envp_addr,
                   i32 flags)
{
    char **argv = NULL, **envp = NULL, exe[PATH_MAX];
    const char *path;
    i64 r = guest_string(t, path_addr, PATH_MAX, &path);

    if (r >= 0)
        r = read_strings(t, argv_addr, &argv);
    if (r >= 0)
        r = read_strings(t, envp_addr, &envp);
    if (r >= 0 && (*path || flags & AT_EMPTY_PATH) && proc_exe(t, dir, path, exe))
        path = exe;
    if (r >= 0)
        r = task_exec(t, dir, path, argv, envp, flags);
    free(argv);
    free(envp);
    return r;
}

i64 sys_execve(Task *t, u64 path, u64 argv, u64 envp)
{
    return exec_at(t, AT_FDCWD, path, argv, envp, 0);
}

i64 sys_execveat(Task *t, u64 dir, u64 path, u64 argv, u64 envp, u64 flags)
{
    return exec_at(t, (i32)dir, path, argv, envp, (i32)flags);
}

/* Our own binary must still be found by the next execve. */
i64 sys_chroot(Task *t, u64 addr)
{
    const char *path;
    i64 r = guest_string(t, addr, PATH_MAX, &path);

    if (r < 0)
        return r;
    task_keep_exe(t->process);
    return host(chroot(path));
}

/* ---- the end, and what is left behind ---- */

i64 sys_exit(Task *t, u64 code) { return task_exit(t, (i32)code); }

i64 sys_exit_group(Task *t, u64 code) { task_exit_group(t, (i32)code); }

i64 sys_set_tid_address(Task *t, u64 addr) { return task_set_tid_address(t, addr); }

i64 sys_set_robust_list(Task *t, u64 head, u64 len)
{
    return task_set_robust_list(t, head, len);
}

/* The kernel's list is ours, so only the caller's own can be told. */
i64 sys_get_robust_list(Task *t, u64 pid, u64 head, u64 len)
{
    if ((i32)pid && (i32)pid != t->tid)
        return host_syscall(SYS_kill, (i32)pid, 0) < 0 ? -ESRCH : -EPERM;
    return PUT(t, head, &t->robust_list) && PUT(t, len, &t->robust_len) ? 0 : -EFAULT;
}

/* ---- prctl ---- */

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif

static i64 prctl_auxv(Task *t, u64 addr, u64 len)
{
    const Process *p = t->process;
    u64 size = p->auxv_end - p->auxv_start, n = MIN(len, size);
    const void *from = guest_ptr(t, p->auxv_start, n, GUEST_READ);

    return from && guest_write(t, addr, from, n) ? (i64)size : -EFAULT;
}

static i64 prctl_memory(Task *t, long op, u64 addr, u64 len)
{
    void *p = guest_ptr(t, addr, len, GUEST_WRITE);

    return p ? host_syscall(SYS_prctl, op, p) : -EFAULT;
}

i64 sys_prctl(Task *t, u64 op, u64 a, u64 b, u64 c, u64 d)
{
    switch ((u32)op) {
    case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER: return prctl_memory(t, op, a, sizeof(i32));
    case PR_GET_NAME: return prctl_memory(t, op, a, 16);
    case PR_SET_NAME: return host_syscall(SYS_prctl, op, host_addr(t, a));
    case PR_GET_TID_ADDRESS: return PUT(t, a, &t->clear_child_tid) ? 0 : -EFAULT;
    case PR_SET_VMA:
        return host_syscall(SYS_prctl, op, a, host_addr(t, b), c, host_addr(t, d));
    case PR_SET_SECCOMP: return seccomp_prctl(t, a, b);
    case PR_GET_SECCOMP: return seccomp_mode(t);
    case PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : seccomp_no_new_privs(t);
    case PR_GET_AUXV: return prctl_auxv(t, a, b);
    case PR_SET_PDEATHSIG:
    case PR_GET_DUMPABLE:
    case PR_SET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_SET_KEEPCAPS:
    case PR_GET_TIMING:
    case PR_SET_TIMING:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_GET_TIMERSLACK:
    case PR_SET_TIMERSLACK:
    case PR_MCE_KILL_GET:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_GET_THP_DISABLE:
    case PR_SET_THP_DISABLE:
    case PR_CAP_AMBIENT:
    case PR_GET_SPECULATION_CTRL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_PTRACER:
    case PR_GET_IO_FLUSHER:
    case PR_SET_IO_FLUSHER: return host_syscall(SYS_prctl, op, a, b, c, d);
    default: sys_unimp("prctl %u", (u32)op); return -EINVAL;
    }
}

/* ---- resource limits ---- */

enum { LEAST_STACK = 1 << 20 };

/* Limits on memory would hit us, who have reserved the whole window. */
static bool limit_applies(u32 resource, const struct rlimit *limit)
{
    if (resource == RLIMIT_STACK)
        return limit->rlim_cur >= LEAST_STACK;
    return resource != RLIMIT_AS && resource != RLIMIT_DATA;
}

i64 sys_prlimit64(Task *t, u64 pid, u64 resource, u64 new_addr, u64 old_addr)
{
    struct rlimit limit, old;
    bool ours = (i32)pid == 0 || (i32)pid == host_syscall(SYS_getpid), set = new_addr;
    i64 r;

    if (new_addr && !GET(t, new_addr, &limit))
        return -EFAULT;
    if (set && ours && !limit_applies((u32)resource, &limit))
        set = false;
    r = host_syscall(SYS_prlimit64, pid, resource, set ? &limit : NULL, &old);
    if (r == 0 && set && ours && (u32)resource == RLIMIT_CORE)
        core_update(t->process);
    return r < 0 || !old_addr || PUT(t, old_addr, &old) ? r : -EFAULT;
}

i64 sys_setrlimit(Task *t, u64 resource, u64 addr)
{
    return addr ? sys_prlimit64(t, 0, resource, addr, 0) : -EFAULT;
}

i64 sys_getrlimit(Task *t, u64 resource, u64 addr)
{
    return addr ? sys_prlimit64(t, 0, resource, 0, addr) : -EFAULT;
}
