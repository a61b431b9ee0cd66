/* SPDX-License-Identifier: MIT */
/*
 * Futexes.  A guest word is a host word, so the host's kernel does all of it; the
 * operation says which arguments are addresses.
 */
#include <linux/futex.h>
#include <time.h>
#include "sys.h"

/* Does the operation take a time limit (else its fourth argument is a number)? */
static bool futex_is_timed(u32 op)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: return true;
    default: return false;
    }
}

/* Does the kernel write to the (first, second) word? */
static bool futex_writes(u32 op, int which)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI: return which == 0;
    case FUTEX_WAKE_OP:
    case FUTEX_CMP_REQUEUE_PI:
    case FUTEX_WAIT_REQUEUE_PI: return which == 1;
    default: return false;
    }
}

/* Is it begun again after any handler? */
static bool futex_goes_on(u32 op)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI: return true;
    default: return false;
    }
}

static u64 futex_word(Task *t, u32 op, int which, u64 addr)
{
    if (addr && futex_writes(op, which))
        (void)guest_ptr(t, addr, sizeof(u32), GUEST_WRITE);
    return host_addr(t, addr);
}

i64 sys_futex(Task *t, u64 addr, u64 op, u64 value, u64 timeout, u64 addr2, u64 value3)
{
    struct timespec ts;
    u64 limit = timeout;
    i64 r;

    if (futex_is_timed(op) && timeout) {
        if (!GET(t, timeout, &ts))
            return -EFAULT;
        limit = (u64)&ts;
    }
    r = safe_syscall(SYS_futex, futex_word(t, op, 0, addr), op, value, limit,
                     futex_word(t, op, 1, addr2), value3);
    return r == SYS_RESTART_SA && futex_goes_on(op) ? SYS_RESTART : r;
}

i64 sys_futex_waitv(Task *t, u64 waiters, u64 n, u64 flags, u64 timeout, u64 clock)
{
    struct futex_waitv v[FUTEX_WAITV_MAX];
    struct timespec ts;

    if ((u32)n == 0 || (u32)n > FUTEX_WAITV_MAX)
        return -EINVAL;
    if (!guest_read(t, v, waiters, (u32)n * sizeof *v) ||
        (timeout && !GET(t, timeout, &ts)))
        return -EFAULT;
    for (u32 i = 0; i < (u32)n; i++)
        v[i].uaddr = host_addr(t, v[i].uaddr);
    return safe_syscall(SYS_futex_waitv, v, n, flags, timeout ? &ts : NULL, clock);
}

/* ---- the calls that do one operation each; their numbers are the host's ---- */

i64 sys_futex_wait(Task *t, u64 addr, u64 value, u64 mask, u64 flags, u64 timeout,
                   u64 clock)
{
    struct timespec ts;

    if (timeout && !GET(t, timeout, &ts))
        return -EFAULT;
    return safe_syscall((long)t->sys.nr, host_addr(t, addr), value, mask, flags,
                        timeout ? &ts : NULL, clock);
}

i64 sys_futex_requeue(Task *t, u64 waiters, u64 flags, u64 n_wake, u64 n_requeue)
{
    struct futex_waitv v[2];

    if (!waiters)
        return -EINVAL;
    if (!GET(t, waiters, &v))
        return -EFAULT;
    for (size_t i = 0; i < ARRAY_SIZE(v); i++)
        v[i].uaddr = host_addr(t, v[i].uaddr);
    return host_syscall((long)t->sys.nr, v, flags, n_wake, n_requeue);
}
