/* SPDX-License-Identifier: MIT */
/*
 * Seccomp's listeners (SECCOMP_RET_USER_NOTIF).  The guest's filters are run by us, but
 * who waits for an answer, until when, and what becomes of it is the host kernel's
 * decision: for a filter with a listener the host gets one too, which notifies of
 * numbers that no kernel has.  A guest's call that its filter wants to be told of is
 * made with such a number, and the guest's arguments; the listener's file descriptor
 * is the host's.  A filter cannot be taken away, so each listener of a list has numbers
 * of its own: its turn.
 *
 * The kernel would "continue" with that number, so who answers so sends an error that
 * no kernel has instead.  It takes two guests: a program of the host's that listens
 * sees these numbers.
 */
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bpf.h"
#include "ptrace.h"
#include "sys.h"

enum {
    NUMBERS = 0x20000000, /* | turn << TURN_BITS | the guest's number */
    TURN_BITS = 16,
    TURNS = 0x1000,
    /* errors of answers */
    CONTINUES = -0x7e55e7a,
    AS_IT_IS = -0x7e55000, /* + one that looks like an interruption */
};

static int number_of(u32 turn, u64 nr)
{
    return (int)(NUMBERS | turn << TURN_BITS | (u32)nr);
}

/* ---- is it heard?  Where we run in a container, its profile may refuse numbers that
 * it does not know, and what refuses is stricter than what notifies. ---- */

typedef struct Trial {
    int number;
    _Atomic i32 runs; /* the kernel clears it */
    _Alignas(16) u8 stack[16384];
} Trial;

static int call_once(void *data)
{
    host_syscall(((Trial *)data)->number);
    host_syscall(SYS_exit, 0);
    return 0;
}

/* Answers the child's call; true: it came. */
static bool answer_once(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const struct timespec little = {.tv_nsec = 1000 * 1000};
    struct seccomp_notif n = {0};
    struct seccomp_notif_resp a = {.error = -ENOSYS};

    if (host_syscall(SYS_ppoll, &p, 1, &little, NULL, 0) != 1 ||
        host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
        return false;
    a.id = n.id;
    return host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &a) == 0;
}

/* A thread that has the new filter makes a call.  Where we can have no more threads
 * (unshare with CLONE_NEWPID) we hope. */
static bool is_heard(int fd, u32 turn)
{
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                      CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    Trial trial = {.number = number_of(turn, 0), .runs = 1};
    u64 all = ~0ull, old;
    bool heard = false;
    int tid;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
    tid = clone(call_once, trial.stack + sizeof trial.stack, flags, &trial, NULL, NULL,
                &trial.runs);
    while (tid > 0 && trial.runs)
        heard |= answer_once(fd);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    return heard || tid < 0;
}

/* ---- the filter's side ---- */

int seccomp_listen(u32 turn, u32 flags)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~0u << TURN_BITS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)number_of(turn, 0), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {ARRAY_SIZE(program), program};
    int fd;

    if (turn >= TURNS)
        return -ENOMEM;
    fd = (int)host_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
    if (fd < 0 || is_heard(fd, turn))
        return fd;
    close(fd);
    return -EINVAL; /* as a kernel without listeners */
}

/* Errors between kernel and restarts: the guest sees them, as there is no signal. */
static bool is_interruption(i64 r) { return r <= -512 && r >= -516; }

bool seccomp_notify(Task *t, u32 turn, i64 *result)
{
    const u64 *a = t->sys.arg;

    *result = -ENOSYS;
    if (!turn || turn >= TURNS || t->sys.nr >> TURN_BITS)
        return true;
    if (t->ptrace)
        t->ptrace->pc = t->env->pc;
    *result =
        safe_syscall(number_of(turn, t->sys.nr), a[0], a[1], a[2], a[3], a[4], a[5]);
    if (is_interruption(*result - AS_IT_IS)) {
        t->process->abi->set_result(t, *result - AS_IT_IS);
        *result = SYS_KEEP;
    }
    return *result != CONTINUES;
}

/* ---- the listener's side ---- */

/* The caller's pc is on its board; 0: we may not look. */
static u64 pc_of(Tracer *r, i32 tid)
{
    PtraceSlot slot;
    u64 pc = 0;

    lock_take(&r->lock);
    if (r->asker.tid != tid)
        r->asker = (Tracee){.tid = tid};
    if (tracee_read(&r->asker, &slot, false))
        pc = slot.pc;
    lock_leave(&r->lock);
    return pc;
}

static void show_guest(const Task *t, struct seccomp_notif *n)
{
    if (n->data.nr < NUMBERS || n->data.nr >= number_of(TURNS, 0))
        return;
    n->data.nr &= (1 << TURN_BITS) - 1;
    n->data.arch = seccomp_arch(t);
    n->data.instruction_pointer = pc_of(t->process->tracer, (i32)n->pid);
}

static i64 receive(Task *t, u64 fd, u64 addr)
{
    struct seccomp_notif *n = guest_ptr(t, addr, sizeof *n, GUEST_WRITE);
    i64 r = safe_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_RECV, n);

    if (r == 0)
        show_guest(t, n);
    return r;
}

static i64 answer(Task *t, u64 fd, u64 addr)
{
    struct seccomp_notif_resp a;

    if (!GET(t, addr, &a))
        return host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, NULL);
    if (a.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE && !a.error && !a.val) {
        a.flags = 0;
        a.error = CONTINUES;
    } else if (a.flags == 0 && is_interruption(a.error ? a.error : a.val)) {
        a.error = AS_IT_IS + (a.error ? a.error : (i32)a.val);
    }
    return host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &a);
}

i64 seccomp_ioctl(Task *t, u64 fd, u64 request, u64 addr)
{
    return (u32)request == SECCOMP_IOCTL_NOTIF_RECV ? receive(t, fd, addr)
                                                    : answer(t, fd, addr);
}
