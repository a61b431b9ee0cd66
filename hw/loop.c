/* SPDX-License-Identifier: MIT */
/*
 * The main thread's event loop: file descriptors, calls from other threads, and timers
 * of the machine's clock.  All timers share one timerfd, armed for the earliest; it is
 * armed anew only for an earlier one, so that a guest that moves its next tick away
 * costs no system call.
 */
#include <errno.h>
#include <glib-unix.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "inside.h"

struct Timer {
    Machine *machine;
    void (*fire)(void *ctx);
    void *ctx;
    u64 when;
};

struct Loop {
    GPtrArray *timers; /* of Timer */
    int fd;
    u64 armed; /* machine_clock that fd is set for; TIMER_OFF */
    GSource *source;
};

/* ---- the clock ---- */

static u64 host_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

u64 machine_clock(const Machine *m)
{
    u64 stopped = __atomic_load_n(&m->clock_stopped, __ATOMIC_ACQUIRE);

    if (stopped != CLOCK_RUNS)
        return stopped;
    if (turns_count(m))
        return turns_clock(m);
    return host_ns() - (u64)__atomic_load_n(&m->clock_shift, __ATOMIC_ACQUIRE);
}

void machine_clock_stop(Machine *m)
{
    if (m->clock_stopped == CLOCK_RUNS)
        __atomic_store_n(&m->clock_stopped, machine_clock(m), __ATOMIC_RELEASE);
}

void machine_clock_set(Machine *m, u64 now, bool runs)
{
    if (turns_count(m))
        turns_clock_set(m, now);
    __atomic_store_n(&m->clock_shift, (i64)(host_ns() - now), __ATOMIC_RELEASE);
    __atomic_store_n(&m->clock_stopped, runs ? CLOCK_RUNS : now, __ATOMIC_RELEASE);
    loop_rearm(m);
}

/* ---- timers ---- */

static void arm(Machine *m, u64 when)
{
    struct itimerspec at = {0};

    m->loop->armed = when;
    if (turns_count(m)) {
        turns_shorten(m);
        return;
    }
    if (when != TIMER_OFF && m->clock_stopped == CLOCK_RUNS) {
        u64 host = when + (u64)m->clock_shift;

        if (host < when || host >> 63)
            host = ~0ull >> 1;
        at.it_value.tv_sec = (time_t)(host / 1000000000);
        at.it_value.tv_nsec = (long)(host % 1000000000);
        if (!at.it_value.tv_sec && !at.it_value.tv_nsec)
            at.it_value.tv_nsec = 1;
    }
    timerfd_settime(m->loop->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

u64 loop_next(const Machine *m)
{
    u64 first = TIMER_OFF;

    for (u32 i = 0; i < m->loop->timers->len; i++)
        first = MIN(first, ((Timer *)m->loop->timers->pdata[i])->when);
    return first;
}

void loop_rearm(Machine *m) { arm(m, loop_next(m)); }

void loop_fire(Machine *m)
{
    u64 now = machine_clock(m);

    for (u32 i = 0; i < m->loop->timers->len; i++) {
        Timer *t = m->loop->timers->pdata[i];

        if (t->when <= now) {
            t->when = TIMER_OFF;
            t->fire(t->ctx);
        }
    }
    m->loop->armed = loop_next(m);
}

Timer *timer_new(Machine *m, void (*fire)(void *ctx), void *ctx)
{
    Timer *t = g_new(Timer, 1);

    *t = (Timer){m, fire, ctx, TIMER_OFF};
    g_ptr_array_add(m->loop->timers, t);
    return t;
}

void timer_free(Timer *t)
{
    if (!t)
        return;
    g_ptr_array_remove(t->machine->loop->timers, t);
    g_free(t);
}

void timer_set(Timer *t, u64 when)
{
    t->when = when;
    if (when < t->machine->loop->armed)
        arm(t->machine, when);
}

static gboolean on_timers(gint fd, GIOCondition condition, gpointer data)
{
    Machine *m = data;
    u64 count;

    if (read(fd, &count, sizeof count) < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    machine_lock(m);
    loop_fire(m);
    loop_rearm(m);
    machine_unlock(m);
    return G_SOURCE_CONTINUE;
}

/* ---- events ---- */

typedef struct Watch {
    Machine *machine;
    IoFunction *f;
    void *ctx;
} Watch;

static gboolean on_event(gint fd, GIOCondition condition, gpointer data)
{
    const Watch *w = data;
    Machine *m = w->machine;
    bool stay;

    machine_lock(m);
    stay =
        g_source_is_destroyed(g_main_current_source()) || w->f(w->ctx, fd, condition);
    machine_unlock(m);
    return stay;
}

guint io_watch(Machine *m, int fd, GIOCondition condition, IoFunction *f, void *ctx)
{
    GSource *source = g_unix_fd_source_new(fd, condition);
    Watch *w = g_new(Watch, 1);
    guint id;

    *w = (Watch){m, f, ctx};
    g_source_set_callback(source, G_SOURCE_FUNC(on_event), w, g_free);
    id = g_source_attach(source, m->io);
    g_source_unref(source);
    return id;
}

void io_remove(Machine *m, guint id)
{
    GSource *source = id ? g_main_context_find_source_by_id(m->io, id) : NULL;

    if (source)
        g_source_destroy(source);
}

typedef struct Call {
    Machine *machine;
    void (*f)(void *ctx);
    void *ctx;
} Call;

static gboolean on_call(gpointer data)
{
    Call *call = data;

    machine_lock(call->machine);
    call->f(call->ctx);
    machine_unlock(call->machine);
    return G_SOURCE_REMOVE;
}

void io_call(Machine *m, void (*f)(void *ctx), void *ctx)
{
    GSource *source = g_idle_source_new();
    Call *call = g_new(Call, 1);

    *call = (Call){m, f, ctx};
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, on_call, call, g_free);
    g_source_attach(source, m->io);
    g_source_unref(source);
}

/* ---- the loop ---- */

bool loop_init(Machine *m)
{
    Loop *l = g_new0(Loop, 1);

    m->loop = l;
    m->io = g_main_context_new();
    l->timers = g_ptr_array_new();
    l->armed = TIMER_OFF;
    l->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->fd < 0)
        return false;
    l->source = g_unix_fd_source_new(l->fd, G_IO_IN);
    g_source_set_callback(l->source, G_SOURCE_FUNC(on_timers), m, NULL);
    g_source_set_can_recurse(l->source,
                             TRUE); /* else glib wakes itself, twice a tick */
    g_source_attach(l->source, m->io);
    return true;
}

void loop_free(Machine *m)
{
    if (m->loop->source) {
        g_source_destroy(m->loop->source);
        g_source_unref(m->loop->source);
        close(m->loop->fd);
    }
    for (u32 i = 0; i < m->loop->timers->len; i++)
        g_free(m->loop->timers->pdata[i]);
    g_ptr_array_free(m->loop->timers, TRUE);
    g_main_context_unref(m->io);
    g_free(m->loop);
}
