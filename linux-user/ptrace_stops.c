/* SPDX-License-Identifier: MIT */
/* What a tracee stops for: signals, system calls, single steps, the tracer's wishes. */
#include <string.h>
#include <sys/syscall.h>
#include "ptrace.h"

/* ---- signals ---- */

/* A signal of the tracer's choice, which may be the one that was there. */
static bool choose(Task *t, int sig, siginfo_t *info)
{
    PtraceSlot *s = t->ptrace;

    if (sig <= 0 || sig > SIGNALS)
        return false;
    if (sig == info->si_signo && s->dirty & TRACEE_DIRTY_INFO)
        *info = s->info;
    if (sig != info->si_signo) {
        *info = (siginfo_t){.si_signo = sig, .si_code = SI_USER};
        info->si_pid = s->tracer;
        info->si_uid = getuid();
    }
    if (!(t->mask & signal_bit(sig)))
        return true;
    signal_enqueue(t, sig, info);
    return false;
}

bool ptrace_signal(Task *t, siginfo_t *info)
{
    int sig = ptrace_stop(t, TRACEE_AT_SIGNAL, (u32)info->si_signo, 0, info);

    return choose(t, sig, info);
}

/* After a stop that is no signal's, the tracer's signal is as if sent. */
static void send(Task *t, int sig)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_USER};

    if (sig <= 0 || sig > SIGNALS)
        return;
    info.si_pid = t->ptrace->tracer;
    signal_enqueue(t, sig, &info);
    t->interrupted = 1;
}

/* ---- the whole process stops ---- */

static void stop_in_group(Task *t, u32 sig)
{
    siginfo_t info = {.si_signo = (int)sig,
                      .si_code = (int)sig | PTRACE_EVENT_STOP << 8};

    t->ptrace->wish.group = 0;
    if (t->ptrace->seized)
        ptrace_stop(t, TRACEE_AT_EVENT, (u32)info.si_code, 0, &info);
    else
        ptrace_stop(t, TRACEE_AT_GROUP, sig, 0, NULL);
}

void ptrace_stop_all(Task *t, int sig)
{
    PtraceSlot *s;

    for (u32 i = 0; (s = ptrace_next(&i, getpid())); i++) {
        if (s == t->ptrace || !s->tracer)
            continue;
        s->wish.group = (u8)sig;
        ptrace_kick(s->pid, s->tid, TRACEE_KICK, 0);
    }
    stop_in_group(t, (u32)sig);
}

/* ---- wishes ---- */

void ptrace_attend(Task *t)
{
    PtraceSlot *s = t->ptrace;
    bool stops = atomic_exchange(&s->wish.sigstop, 0); /* who attaches sets it last */

    if (s->wish.park)
        ptrace_park();
    if (s->wish.adopted) {
        s->wish.adopted = 0;
        ptrace_adopt(t);
    }
    if (stops) {
        siginfo_t info = {.si_signo = SIGSTOP, .si_code = SI_USER};

        info.si_pid = s->stop_sender;
        info.si_uid = s->stop_sender_uid;
        signal_enqueue(t, SIGSTOP, &info);
    }
}

void ptrace_attend_stops(Task *t)
{
    PtraceSlot *s = t->ptrace;

    if (!t->traced) {
        if (atomic_exchange(&s->wish.interrupt, 0) && s->tracer)
            s->wish.interrupt = 1; /* a new tracer's: it has to be adopted first */
        s->wish.group = 0;
    } else if (s->wish.group) {
        stop_in_group(t, s->wish.group);
    } else if (s->wish.interrupt) {
        s->wish.interrupt = 0;
        ptrace_stop(t, TRACEE_AT_EVENT, SIGTRAP | PTRACE_EVENT_STOP << 8, 0, NULL);
    }
    signal_update(t);
}

/* SIGSTOP for a thread of ours that is traced: its tracer sees it first. */
static bool stop_own(i32 pid, i32 tid)
{
    PtraceSlot *s;

    for (u32 i = 0; (s = ptrace_next(&i, pid)); i++) {
        if (!s->tracer || (tid && s->tid != tid))
            continue;
        s->stop_sender = getpid();
        s->stop_sender_uid = getuid();
        s->wish.sigstop = 1;
        ptrace_kick(s->pid, s->tid, TRACEE_KICK, 0);
        return true;
    }
    return false;
}

bool ptrace_sigstop(i32 pid, i32 tid)
{
    const i32 self = getpid();
    PtraceSlot slot;
    Tracee e;

    if (stop_own(pid > 0 ? pid : self, tid))
        return true;
    if (pid == self || board_find(tid ? tid : pid, &e) < 0 ||
        !tracee_read(&e, &slot, false) || !slot.tracer || slot.state == TRACEE_EXITED)
        return false;
    TRACEE_PUT(&e, stop_sender, &self);
    tracee_wish(&e, offsetof(PtraceSlot, wish.sigstop), 1);
    return true;
}

/* ---- events ---- */

bool ptrace_wants(const Task *t, u32 event)
{
    return t->traced && t->ptrace->options & 1u << event;
}

void ptrace_event(Task *t, u32 event, u64 message)
{
    send(t, ptrace_stop(t, TRACEE_AT_EVENT, SIGTRAP | event << 8, message, NULL));
}

/* The tracer may have changed the call's number and arguments. */
static void read_call(Task *t)
{
    u64 pc = t->env->pc;

    t->process->abi->syscall(t);
    t->env->pc = pc;
}

/* A call of no number returns this, or what the tracer puts in its place. */
static void preset_result(Task *t)
{
    if (t->sys.nr == ~0ull)
        t->process->abi->set_result(t, -ENOSYS);
}

bool ptrace_seccomp(Task *t, u32 data)
{
    u64 pc = t->env->pc;

    if (!ptrace_wants(t, PTRACE_EVENT_SECCOMP))
        return false;
    preset_result(t);
    t->ptrace->seccomp_data = data;
    send(t, ptrace_stop(t, TRACEE_AT_SECCOMP, SIGTRAP | PTRACE_EVENT_SECCOMP << 8, data,
                        NULL));
    if (t->env->pc == pc)
        read_call(t);
    return true;
}

/* ---- system calls and steps ---- */

static void stop_at_call(Task *t, PtraceKind kind)
{
    u32 good = t->ptrace->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0;
    u64 message = kind == TRACEE_AT_ENTRY ? PTRACE_EVENTMSG_SYSCALL_ENTRY
                                          : PTRACE_EVENTMSG_SYSCALL_EXIT;

    send(t, ptrace_stop(t, kind, SIGTRAP | good, message, NULL));
}

bool ptrace_syscall_begin(Task *t)
{
    u64 pc = t->env->pc;

    if (t->ptrace->mode != TRACEE_CALL)
        return true;
    preset_result(t);
    stop_at_call(t, TRACEE_AT_ENTRY);
    if (t->env->pc == pc)
        read_call(t);
    return t->sys.nr != ~0ull;
}

i64 ptrace_syscall_result(Task *t, i64 r)
{
    bool kicked = t->kicked;

    t->kicked = false;
    if (r == -EINTR && kicked && !signal_ready(t)) {
        if (t->mask_saved) {
            signal_restore_mask(t);
            signal_set_mask(t, t->mask);
        }
        return SYS_RESTART;
    }
    if (r == -EINTR && t->traced && t->interrupted && !t->mask_saved)
        return SYS_RESTART_IDLE;
    return r;
}

void ptrace_syscall_end(Task *t, i64 r)
{
    u32 mode = t->ptrace->mode;

    t->ptrace->result = r == SYS_KEEP ? (i64)t->process->abi->result(t) : r;
    if (mode == TRACEE_CALL)
        stop_at_call(t, TRACEE_AT_RETURN);
    else if (mode == TRACEE_STEP)
        signal_force(t, SIGTRAP, TRAP_TRACE, t->env->pc);
}

/* A call that is to be made again returns to the tracer all the same. */
void ptrace_syscall_again(Task *t, i64 r)
{
    u64 first = t->sys.arg[0];

    if (t->ptrace->mode != TRACEE_CALL)
        return;
    t->process->abi->set_result(t, r == SYS_RESTART_IDLE ? -514 : r);
    ptrace_syscall_end(t, r == SYS_RESTART_IDLE ? -514 : r);
    t->process->abi->set_result(t, (i64)first);
}

TrapKind ptrace_run(Task *t)
{
    TrapKind kind;

    if (t->ptrace->mode != TRACEE_STEP)
        return exec_run(t->env);
    if (t->env->request & REQUEST_SIGNAL)
        return TRAP_REQUEST;
    kind = exec_step(t->env, NULL);
    if (kind == TRAP_NONE)
        signal_force(t, SIGTRAP, TRAP_TRACE, t->env->pc);
    return kind;
}
