/* SPDX-License-Identifier: MIT */
/* Clocks and sleeping. */
#include <sys/time.h>
#include <time.h>
#include "sys.h"

/* By way of libc, which asks the vDSO. */
i64 sys_clock_gettime(Task *t, u64 clock, u64 addr)
{
    struct timespec ts;
    i64 r = host(clock_gettime((clockid_t)clock, &ts));

    return r || PUT(t, addr, &ts) ? r : -EFAULT;
}

i64 sys_gettimeofday(Task *t, u64 addr, u64 zone_addr)
{
    struct timeval tv;
    struct timezone zone;

    gettimeofday(&tv, &zone);
    if ((addr && !PUT(t, addr, &tv)) || (zone_addr && !PUT(t, zone_addr, &zone)))
        return -EFAULT;
    return 0;
}

/* A sleep is not begun again after a handler; a relative one says what is left. */
i64 sys_clock_nanosleep(Task *t, u64 clock, u64 flags, u64 time, u64 left)
{
    struct timespec ts, rest;
    i64 r;

    if (!GET(t, time, &ts))
        return -EFAULT;
    r = safe_syscall(SYS_clock_nanosleep, clock, flags, &ts, &rest);
    if (r == -EINTR && left && !(flags & TIMER_ABSTIME) && !PUT(t, left, &rest))
        return -EFAULT;
    return r;
}

i64 sys_nanosleep(Task *t, u64 time, u64 left)
{
    return sys_clock_nanosleep(t, CLOCK_MONOTONIC, 0, time, left);
}
