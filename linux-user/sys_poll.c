/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors: poll, select, epoll.  Those that take a signal mask hand
 * it to signal.c first.  None of them is restarted after a signal handler.
 */
#include <sys/epoll.h>
#include <time.h>
#include "sys.h"

/* An optional guest timespec; *out is NULL or ts. */
static bool get_timeout(Task *t, u64 addr, struct timespec *ts, struct timespec **out)
{
    *out = addr ? ts : NULL;
    return !addr || GET(t, addr, ts);
}

/* The kernel writes back what is left of the time, and ignores when it cannot. */
static void put_timeout(Task *t, u64 addr, const struct timespec *ts)
{
    if (addr)
        (void)PUT(t, addr, ts);
}

i64 sys_ppoll(Task *t, u64 fds, u64 n, u64 timeout, u64 set, u64 set_size)
{
    struct timespec ts, *limit;
    void *p = guest_ptr(t, fds, (u64)(u32)n * 8, GUEST_WRITE);
    i64 r;

    if (!p || !get_timeout(t, timeout, &ts, &limit))
        return -EFAULT;
    r = signal_mask_for_call(t, set, set_size);
    if (r)
        return r;
    r = safe_syscall(SYS_ppoll, p, n, limit, NULL, sizeof(u64));
    put_timeout(t, timeout, &ts);
    return r;
}

/* The sixth argument points to a set and its size. */
static i64 select_mask(Task *t, u64 addr)
{
    u64 pair[2];

    if (!addr)
        return 0;
    return GET(t, addr, &pair) ? signal_mask_for_call(t, pair[0], pair[1]) : -EFAULT;
}

i64 sys_pselect6(Task *t, u64 n, u64 in, u64 out, u64 except, u64 timeout, u64 mask)
{
    struct timespec ts, *limit;
    u64 bytes = align_up(MIN((u32)n, 1u << 20), 64) / 8;
    void *set[3];
    i64 r;

    if ((i32)n < 0)
        return -EINVAL;
    if (!guest_opt(t, in, bytes, GUEST_WRITE, &set[0]) ||
        !guest_opt(t, out, bytes, GUEST_WRITE, &set[1]) ||
        !guest_opt(t, except, bytes, GUEST_WRITE, &set[2]) ||
        !get_timeout(t, timeout, &ts, &limit))
        return -EFAULT;
    r = select_mask(t, mask);
    if (r)
        return r;
    r = safe_syscall(SYS_pselect6, n, set[0], set[1], set[2], limit, NULL);
    put_timeout(t, timeout, &ts);
    return r;
}

/* ---- epoll ---- */

enum { EVENTS_AT_ONCE = 256 };

i64 sys_epoll_ctl(Task *t, u64 epoll, u64 op, u64 fd, u64 addr)
{
    GuestEpollEvent g = {0};
    struct epoll_event event;

    if ((i32)op != EPOLL_CTL_DEL && !GET(t, addr, &g))
        return -EFAULT;
    event.events = g.events;
    event.data.u64 = g.data;
    return host_syscall(SYS_epoll_ctl, epoll, op, fd, &event);
}

static i64 put_events(Task *t, u64 addr, const struct epoll_event *events, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        GuestEpollEvent g = {.events = events[i].events, .data = events[i].data.u64};

        if (!PUT(t, addr + (u64)i * sizeof g, &g))
            return i ? i : -EFAULT;
    }
    return n;
}

i64 sys_epoll_pwait(Task *t, u64 epoll, u64 addr, u64 max, u64 timeout, u64 set,
                    u64 set_size)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    i64 r = signal_mask_for_call(t, set, set_size);

    if (r)
        return r;
    r = safe_syscall(SYS_epoll_pwait, epoll, events, MIN((i32)max, EVENTS_AT_ONCE),
                     timeout, NULL, sizeof(u64));
    return put_events(t, addr, events, r);
}

i64 sys_epoll_pwait2(Task *t, u64 epoll, u64 addr, u64 max, u64 timeout, u64 set,
                     u64 set_size)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    struct timespec ts, *limit;
    i64 r;

    if (!get_timeout(t, timeout, &ts, &limit))
        return -EFAULT;
    r = signal_mask_for_call(t, set, set_size);
    if (r)
        return r;
    r = safe_syscall(SYS_epoll_pwait2, epoll, events, MIN((i32)max, EVENTS_AT_ONCE),
                     limit, NULL, sizeof(u64));
    return put_events(t, addr, events, r);
}
