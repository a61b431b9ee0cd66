/* SPDX-License-Identifier: MIT */
/* System calls on signals: signal.c does them. */
#include "sig.h"
#include "sys.h"

i64 sys_rt_sigaction(Task *t, u64 sig, u64 act, u64 old, u64 set_size)
{
    return signal_action(t, (i32)sig, act, old, set_size);
}

i64 sys_rt_sigprocmask(Task *t, u64 how, u64 set, u64 old, u64 set_size)
{
    return signal_mask(t, (i32)how, set, old, set_size);
}

i64 sys_rt_sigpending(Task *t, u64 set, u64 set_size)
{
    return signal_pending(t, set, set_size);
}

i64 sys_rt_sigsuspend(Task *t, u64 set, u64 set_size)
{
    return signal_suspend(t, set, set_size);
}

i64 sys_rt_sigtimedwait(Task *t, u64 set, u64 info, u64 timeout, u64 set_size)
{
    return signal_timedwait(t, set, info, timeout, set_size);
}

i64 sys_signalfd4(Task *t, u64 fd, u64 set, u64 size, u64 flags)
{
    u64 wanted = 0;

    if (size == sizeof wanted && !GET(t, set, &wanted))
        return -EFAULT;
    wanted &= ~signal_ours();
    return host_syscall(SYS_signalfd4, (i32)fd, &wanted, size, (i32)flags);
}

i64 sys_sigaltstack(Task *t, u64 stack, u64 old)
{
    return signal_altstack(t, stack, old);
}

i64 sys_rt_sigreturn(Task *t) { return signal_return(t); }

/* Only the kernel has reason to make this call, and ours restarts calls itself. */
i64 sys_restart_syscall(Task *t) { return -EINTR; }

/* ---- sending: SIGSTOP cannot be caught, but a tracer is to see it ---- */

i64 sys_kill(Task *t, u64 pid, u64 sig)
{
    if ((i32)sig == SIGSTOP && (i32)pid > 0 && ptrace_sigstop((i32)pid, 0))
        return 0;
    return host_syscall(SYS_kill, pid, sig);
}

i64 sys_tkill(Task *t, u64 tid, u64 sig)
{
    if ((i32)sig == SIGSTOP && (i32)tid > 0 && ptrace_sigstop(0, (i32)tid))
        return 0;
    return host_syscall(SYS_tkill, tid, sig);
}

i64 sys_tgkill(Task *t, u64 pid, u64 tid, u64 sig)
{
    if ((i32)sig == SIGSTOP && (i32)pid > 0 && (i32)tid > 0 &&
        ptrace_sigstop((i32)pid, (i32)tid))
        return 0;
    return host_syscall(SYS_tgkill, pid, tid, sig);
}

/* What a thread sends itself as if it had come from a fault, the host's handler would
 * take for a fault of ours. */
static bool is_forged(const Task *t, i32 tid, i32 sig, const siginfo_t *info)
{
    return tid == t->tid && sig > 0 && sig <= SIGNALS && info->si_code > 0 &&
           (signal_bit(sig) & FAULT_SIGNALS);
}

i64 sys_rt_sigqueueinfo(Task *t, u64 pid, u64 sig, u64 addr)
{
    siginfo_t info;

    if (!GET(t, addr, &info))
        return -EFAULT;
    if (!is_forged(t, (i32)pid, (i32)sig, &info))
        return host_syscall(SYS_rt_sigqueueinfo, pid, sig, &info);
    signal_enqueue(t, (i32)sig, &info);
    return 0;
}

i64 sys_rt_tgsigqueueinfo(Task *t, u64 pid, u64 tid, u64 sig, u64 addr)
{
    siginfo_t info;

    if (!GET(t, addr, &info))
        return -EFAULT;
    if ((i32)pid != getpid() || !is_forged(t, (i32)tid, (i32)sig, &info))
        return host_syscall(SYS_rt_tgsigqueueinfo, pid, tid, sig, &info);
    signal_enqueue(t, (i32)sig, &info);
    return 0;
}
