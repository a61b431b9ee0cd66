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

/* Is it the sleep that only a tracer, or nobody, interrupted? */
static bool goes_on(Task *t)
{
    bool same = t->again_pc == t->env->pc && t->sleep_pc == t->env->pc;

    t->again_pc = 0;
    return same;
}

/* A sleep is not begun again after a handler; a relative one says what is left. */
i64 sys_clock_nanosleep(Task *t, u64 clock, u64 flags, u64 time, u64 left)
{
    const bool relative = !(flags & TIMER_ABSTIME);
    struct timespec ts, rest;
    i64 r;

    if (!GET(t, time, &ts))
        return -EFAULT;
    if (relative && goes_on(t))
        ts = t->sleep_left;
    r = safe_syscall(SYS_clock_nanosleep, clock, flags, &ts, &rest);
    t->sleep_pc = relative && (r == -EINTR || r == SYS_RESTART) ? t->env->pc : 0;
    t->sleep_left = r == -EINTR ? rest : ts;
    if (r == -EINTR && left && relative && !PUT(t, left, &rest))
        return -EFAULT;
    return r;
}

i64 sys_nanosleep(Task *t, u64 time, u64 left)
{
    return sys_clock_nanosleep(t, CLOCK_MONOTONIC, 0, time, left);
}
