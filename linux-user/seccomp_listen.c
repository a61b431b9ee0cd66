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
#include <stddef.h>
#include <sys/ioctl.h>
#include "bpf.h"
#include "sys.h"

enum {
    NUMBERS = 0x20000000, /* | turn << TURN_BITS | the guest's number */
    TURN_BITS = 16,
    TURNS = 0x1000,
    CONTINUES = -0x7e55e7a, /* an answer's error */
};

static int number_of(u32 turn, u64 nr)
{
    return (int)(NUMBERS | turn << TURN_BITS | (u32)nr);
}

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

    if (turn >= TURNS)
        return -ENOMEM;
    return (int)host_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

bool seccomp_notify(Task *t, u32 turn, i64 *result)
{
    const u64 *a = t->sys.arg;

    *result = -ENOSYS;
    if (!turn || turn >= TURNS || t->sys.nr >> TURN_BITS)
        return true;
    *result =
        safe_syscall(number_of(turn, t->sys.nr), a[0], a[1], a[2], a[3], a[4], a[5]);
    return *result != CONTINUES;
}

/* ---- the listener's side ---- */

/* The guest's pc is not known here. */
static void show_guest(const Task *t, struct seccomp_notif *n)
{
    if (n->data.nr < NUMBERS || n->data.nr >= number_of(TURNS, 0))
        return;
    n->data.nr &= (1 << TURN_BITS) - 1;
    n->data.arch = seccomp_arch(t);
    n->data.instruction_pointer = 0;
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
    }
    return host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &a);
}

i64 seccomp_ioctl(Task *t, u64 fd, u64 request, u64 addr)
{
    return (u32)request == SECCOMP_IOCTL_NOTIF_RECV ? receive(t, fd, addr)
                                                    : answer(t, fd, addr);
}
