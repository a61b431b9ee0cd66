/* SPDX-License-Identifier: MIT */
/* The machine: made of its board, RAM and devices; stopped, started, reset, left. */
#include <errno.h>
#include <signal.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include "chardev.h"

Machine *machine_here;

void machine_lock(Machine *m)
{
    g_mutex_lock(&m->lock);
    cpu_in_device++;
}

void machine_unlock(Machine *m)
{
    cpu_in_device--;
    g_mutex_unlock(&m->lock);
}

/* ---- listeners ---- */

typedef struct Listener {
    MachineListener *f;
    void *ctx;
} Listener;

void machine_listen(Machine *m, MachineListener *f, void *ctx)
{
    Listener *l = g_new(Listener, 1);

    *l = (Listener){f, ctx};
    g_ptr_array_add(m->listeners, l);
}

void machine_unlisten(Machine *m, const void *ctx)
{
    for (u32 i = m->listeners->len; i--;)
        if (((Listener *)m->listeners->pdata[i])->ctx == ctx)
            g_ptr_array_remove_index(m->listeners, i);
}

void machine_event(Machine *m, MachineEvent event)
{
    for (u32 i = 0; i < m->listeners->len; i++) {
        const Listener *l = m->listeners->pdata[i];

        l->f(l->ctx, event);
    }
}

/* ---- made and unmade ---- */

static bool ram_new(Machine *m, char **error)
{
    u64 base = m->board->ram_base;
    u8 *host;

    if (!space_init(&m->space, base + m->ram_size) ||
        !space_contains(&m->space, base, m->ram_size)) {
        *error = g_strdup_printf("no room for %llu MiB of memory",
                                 (unsigned long long)m->ram_size >> 20);
        return false;
    }
    host = mmap(space_host(&m->space, base), m->ram_size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (host == MAP_FAILED) {
        *error = g_strdup_printf("no memory: %s", strerror(errno));
        return false;
    }
    madvise(host, m->ram_size, MADV_HUGEPAGE);
    space_set(&m->space, base, m->ram_size,
              PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    m->bus.space = &m->space;
    return true;
}

static bool insides_new(Machine *m, char **error)
{
    CacheOptions options = m->options->cache;

    options.system = true;
    options.budget = m->options->icount >= 0;
    options.in_turn = m->options->single_thread || options.budget;
    if (!loop_init(m)) {
        *error = g_strdup_printf("no timer: %s", strerror(errno));
        return false;
    }
    if (m->options->single_thread || options.budget)
        turns_new(m);
    if (!ram_new(m, error))
        return false;
    m->cache = cache_new(&options, m->board->guest, &m->space);
    if (!m->cache || !cpus_create(m)) {
        *error = g_strdup_printf("no code cache: %s", strerror(errno));
        return false;
    }
    return true;
}

static void reset_all(Machine *m)
{
    devices_reset(m);
    m->board->reset(m);
}

Machine *machine_new(const MachineOptions *o, char **error)
{
    Machine *m = g_new0(Machine, 1);

    m->options = o;
    m->board = o->board;
    m->ram_size = o->ram_size;
    m->n_cpus = o->n_cpus;
    m->devices = g_ptr_array_new();
    m->chardevs = g_ptr_array_new();
    m->listeners = g_ptr_array_new_with_free_func(g_free);
    m->run = RUN_PRELAUNCH;
    m->clock_stopped = 0;
    machine_here = m;
    cpu_catch_faults();
    signal(SIGXFSZ, SIG_IGN); /* a limit of size is an error like a full disk */
    machine_lock(m);
    if (!insides_new(m, error) || !m->board->create(m, error)) {
        machine_unlock(m);
        machine_free(m);
        return NULL;
    }
    reset_all(m);
    machine_unlock(m);
    return m;
}

void machine_free(Machine *m)
{
    machine_lock(m);
    chardevs_close(m);
    gdb_free(m);
    devices_free(m);
    machine_unlock(m);
    cpus_free(m);
    if (m->board->free)
        m->board->free(m);
    if (m->loop)
        loop_free(m);
    g_free(m->turns);
    g_ptr_array_free(m->devices, TRUE);
    g_ptr_array_free(m->chardevs, TRUE);
    g_ptr_array_free(m->listeners, TRUE);
    machine_here = NULL;
    g_free(m);
}

/* ---- stopped and started ---- */

void machine_hold(Machine *m)
{
    m->held++;
    cpus_kick(m);
    while (!cpus_parked(m)) {
        cpu_in_device--;
        g_cond_wait(&m->parked, &m->lock);
        cpu_in_device++;
    }
}

void machine_release(Machine *m)
{
    if (!--m->held)
        cpus_kick(m);
}

void machine_stop(Machine *m, RunState why)
{
    bool ran = m->run == RUN_RUNNING;

    m->run = why;
    if (!ran)
        return;
    machine_clock_stop(m);
    cpus_kick(m);
    machine_event(m, EVENT_STOP);
}

void machine_cont(Machine *m)
{
    if (m->run == RUN_RUNNING)
        return;
    m->run = RUN_RUNNING;
    m->debugged = NULL;
    machine_clock_set(m, m->clock_stopped, true);
    machine_event(m, EVENT_RESUME);
    cpus_kick(m);
}

/* ---- reset and end ---- */

void machine_quit(Machine *m, int status)
{
    if (!m->quit)
        m->status = status;
    m->quit = true;
    cpus_kick(m);
    g_main_context_wakeup(m->io);
}

void machine_shutdown(Machine *m, int status)
{
    machine_event(m, EVENT_SHUTDOWN);
    m->asked = NULL;
    if (m->options->no_shutdown)
        machine_stop(m, RUN_SHUTDOWN);
    else
        machine_quit(m, status);
}

void machine_reset(Machine *m)
{
    if (m->options->no_reboot) {
        machine_shutdown(m, 0);
        return;
    }
    m->reset_wanted = true;
    cpus_kick(m);
    g_main_context_wakeup(m->io);
}

/* Main thread. */
void machine_reset_now(Machine *m)
{
    m->reset_wanted = false;
    machine_hold(m);
    reset_all(m);
    machine_event(m, EVENT_RESET);
    m->asked = NULL;
    machine_release(m);
}

/* Somebody wants us to end: in order, so that what was written goes out and the
 * terminal is as it was; at once when asked again. */
static void on_end(int sig)
{
    if (machine_here->signalled) {
        terminal_restore();
        signal(sig, SIG_DFL);
        raise(sig);
    }
    machine_here->signalled = sig;
    g_main_context_wakeup(machine_here->io);
}

static void ends_catch(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction old,
        new = {.sa_handler = on_end, .sa_flags = SA_ONSTACK | SA_RESTART};

    for (u32 i = 0; i < ARRAY_SIZE(ends); i++)
        if (!sigaction(ends[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(ends[i], &new, NULL);
}

static void signalled(Machine *m)
{
    report("terminating on signal %d", m->signalled);
    m->asked = "host-signal";
    machine_event(m, EVENT_SHUTDOWN);
    m->asked = NULL;
    machine_quit(m, 0);
}

int machine_main(Machine *m)
{
    machine_lock(m);
    ends_catch();
    cpus_begin(m);
    if (!m->options->start_stopped && m->run == RUN_PRELAUNCH)
        machine_cont(m);
    while (!m->quit) {
        if (m->reset_wanted)
            machine_reset_now(m);
        machine_unlock(m);
        g_main_context_iteration(m->io, TRUE);
        machine_lock(m);
        if (m->signalled && !m->quit)
            signalled(m);
    }
    cpus_kick(m);
    machine_unlock(m);
    cpus_end(m);
    return m->status;
}
