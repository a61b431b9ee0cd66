/* SPDX-License-Identifier: MIT */
/* The loop of a guest thread: run until a trap, make it a system call or a signal. */
#include <stdatomic.h>
#include "sig.h"

/*
 * Makes the call; when it touches guest memory that another thread has just unmapped,
 * the signal handler comes back here.
 */
static __attribute__((noinline)) i64 call(Task *t)
{
    void *back[5];
    i64 r = -EFAULT;

    if (__builtin_setjmp(back) == 0) {
        t->recover = back;
        r = syscall_run(t);
    }
    t->recover = NULL;
    return r;
}

static bool is_restart(i64 r)
{
    return r == SYS_RESTART || r == SYS_RESTART_SA || r == SYS_RESTART_IDLE;
}

/* What debuggers and tracers want before and after. */
static bool call_begins(Task *t)
{
    if (t->gdb)
        gdb_syscall_begin(t);
    return !t->traced || ptrace_syscall_begin(t);
}

static i64 call_result(Task *t, i64 r)
{
    r = ptrace_syscall_result(t, r);
    return t->gdb ? gdb_syscall_result(t, r) : r;
}

static void system_call(Task *t)
{
    const Abi *abi = t->process->abi;
    i64 r;

    abi->syscall(t);
    r = UNLIKELY(t->gdb || t->traced) && !call_begins(t) ? SYS_KEEP : call(t);
    if (UNLIKELY(t->gdb || t->traced || t->kicked))
        r = call_result(t, r);
    if (UNLIKELY(t->mask_saved)) {
        /* Interrupted under a mask of its own: its handler may not run twice. */
        if (is_restart(r))
            r = -EINTR;
        if (r != -EINTR) {
            signal_restore_mask(t);
            signal_set_mask(t, t->mask);
        }
    }
    if (UNLIKELY(is_restart(r))) {
        if (t->traced)
            ptrace_syscall_again(t, r);
        signal_deliver(t, r);
    } else {
        if (r != SYS_KEEP)
            abi->set_result(t, r);
        if (UNLIKELY(t->traced && !t->exiting))
            ptrace_syscall_end(t, r);
    }
    if (UNLIKELY(t->gdb))
        gdb_syscall_end(t);
}

/* The kernel's si_code for an address that the guest has no page at. */
static int segv_code(const Task *t, u64 addr)
{
    return mem_mapped(t->process->mem, addr, 1) ? SEGV_ACCERR : SEGV_MAPERR;
}

/* Of an address that is not canonical the host says only that. */
static void memory_trap(Task *t, const Trap *trap)
{
    u64 addr = trap->addr ? trap->addr : t->process->abi->accessed(t);

    if (trap->sig == SIGBUS)
        signal_force(t, SIGBUS, trap->code, trap->addr);
    else
        signal_force(t, SIGSEGV, segv_code(t, addr), addr);
}

static void handle(Task *t, TrapKind kind)
{
    const Trap *trap = &t->env->trap;
    u64 pc = t->env->pc;

    switch (kind) {
    case TRAP_SYSCALL: system_call(t); break;
    case TRAP_BREAK: signal_force(t, SIGTRAP, TRAP_BRKPT, pc); break;
    case TRAP_ILLEGAL: signal_force(t, SIGILL, ILL_ILLOPC, pc); break;
    case TRAP_FETCH:
        signal_force(t, SIGSEGV, segv_code(t, trap->addr), trap->addr);
        break;
    case TRAP_MEMORY: memory_trap(t, trap); break;
    case TRAP_MISALIGNED:
        signal_force(t, SIGBUS, BUS_ADRALN, t->process->abi->accessed(t));
        break;
    case TRAP_FENCE_I: cache_fence_i(t->process->cache); break;
    case TRAP_REQUEST: signal_deliver(t, 0); break;
    case TRAP_STOP: handle(t, exec_step(t->env, NULL)); break; /* a child's, not seen */
    case TRAP_WAIT:                                            /* a whole system only */
    case TRAP_NONE: break;
    }
}

static TrapKind run(Task *t)
{
    if (UNLIKELY(t->gdb))
        return gdb_run(t);
    return UNLIKELY(t->traced) ? ptrace_run(t) : exec_run(t->env);
}

void cpu_loop(Task *t)
{
    while (!t->exiting) {
        handle(t, run(t));
        if (UNLIKELY((t->interrupted || t->mask_saved) && !t->exiting))
            signal_deliver(t, 0);
    }
}
