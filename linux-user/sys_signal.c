/* SPDX-License-Identifier: MIT */
/* System calls on signals: signal.c does them. */
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
