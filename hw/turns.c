/* SPDX-License-Identifier: MIT */
/*
 * CPUs that share one thread and take turns.  With -icount a turn is a number of
 * instructions and the machine's clock counts them, so that a run without input from
 * outside is the same each time; else turns end by the host's clock.
 */
#include "inside.h"

enum { TURN_NS = 1000000, TURN_INSNS = 20000 };

struct Turns {
    Timer *timer; /* of the turn at hand; NULL with -icount */
    _Atomic bool over;
    Cpu *cpu;         /* whose turn it is */
    _Atomic u64 past; /* -icount: ns on the clock when the turn began */
    i64 budget;       /* that it began with */
};

/* ---- the clock that counts ---- */

u64 turns_clock(const Machine *m)
{
    const Turns *t = m->turns;
    i64 used = t->cpu ? t->budget - t->cpu->env->budget : 0;

    return atomic_load(&t->past) + ((u64)MAX(used, 0) << m->options->icount);
}

void turns_clock_set(Machine *m, u64 now)
{
    Turns *t = m->turns;

    t->budget = t->cpu ? t->cpu->env->budget : 0;
    atomic_store(&t->past, now);
}

/* Instructions until the next timer, at most a turn's. */
static i64 budget_until(const Machine *m)
{
    u64 now = turns_clock(m), next = loop_next(m);
    u64 left = next > now ? (next - now) >> m->options->icount : 0;

    return (i64)CLAMP(left, 1, TURN_INSNS);
}

static void turn_begin(Machine *m, Cpu *cpu)
{
    Turns *t = m->turns;

    cpu_run_as(cpu);
    atomic_store(&t->over, false);
    if (turns_count(m)) {
        t->budget = cpu->env->budget = budget_until(m);
        t->cpu = cpu;
    } else if (m->n_cpus > 1) {
        machine_lock(m);
        timer_set(t->timer, machine_clock(m) + TURN_NS);
        machine_unlock(m);
    }
}

static void turn_end(Machine *m)
{
    Turns *t = m->turns;

    if (!turns_count(m))
        return;
    atomic_store(&t->past, turns_clock(m));
    t->cpu = NULL;
    machine_lock(m);
    loop_fire(m);
    machine_unlock(m);
}

/* A timer was set: the turn at hand may end earlier for it. */
void turns_shorten(Machine *m)
{
    Turns *t = m->turns;
    Cpu *cpu = t->cpu;
    i64 left = cpu ? budget_until(m) : 0;

    if (!cpu) {
        cpu_kick(&m->cpu[0]);
    } else if (cpu_current() != cpu) { /* from outside */
        atomic_store(&t->over, true);
        exec_request(cpu->env);
    } else if (left < cpu->env->budget) {
        t->budget -= cpu->env->budget - left;
        cpu->env->budget = left;
    }
}

static void on_turn_over(void *ctx)
{
    Machine *m = ctx;

    atomic_store(&m->turns->over, true);
    if (m->turns->cpu)
        exec_request(m->turns->cpu->env);
}

/* ---- turns ---- */

static bool looked_at(const Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++)
        if (atomic_load(&m->cpu[i].attention))
            return true;
    return false;
}

static void take_turn(Machine *m, Cpu *cpu)
{
    Turns *t = m->turns;

    turn_begin(m, cpu);
    t->cpu = cpu;
    while (!atomic_load(&t->over) && !cpu->halted && !atomic_load(&cpu->waiting) &&
           !looked_at(m)) {
        cpu_go(cpu);
        if (turns_count(m) && cpu->env->budget <= 0)
            break;
    }
    turn_end(m);
    t->cpu = NULL;
}

static bool ready(const Cpu *cpu)
{
    return !cpu->halted && !cpu->frozen &&
           (!atomic_load(&cpu->waiting) || cpu->machine->board->wakes(cpu));
}

/* All wait: until the next timer, or somebody kicks. */
static void idle(Machine *m)
{
    u32 kicks = atomic_load(&m->cpu[0].kicks); /* all kicks come here */
    u64 now = machine_clock(m), next = turns_count(m) ? loop_next(m) : TIMER_OFF, slept;

    for (u32 i = 0; i < m->n_cpus; i++)
        if (ready(&m->cpu[i]) || atomic_load(&m->cpu[i].attention))
            return;
    slept = cpu_sleep(&m->cpu[0], kicks, next > now ? next - now : 0);
    if (!turns_count(m))
        return;
    atomic_store(&m->turns->past, MIN(now + slept, MAX(next, now)));
    machine_lock(m);
    loop_fire(m);
    machine_unlock(m);
}

static void round_of_turns(Machine *m)
{
    bool any = false;

    for (u32 i = 0; i < m->n_cpus && !looked_at(m); i++) {
        Cpu *cpu = &m->cpu[i];

        if (!ready(cpu))
            continue;
        atomic_store(&cpu->waiting, false);
        any = true;
        take_turn(m, cpu);
    }
    if (!any)
        idle(m);
}

gpointer turns_thread(gpointer data)
{
    Machine *m = ((Cpu *)data)->machine;

    cpu_thread_begin();
    for (u32 i = 0; i < m->n_cpus; i++) {
        m->cpu[i].tid = gettid();
        exec_thread_begin(m->cpu[i].env);
    }
    g_mutex_lock(&m->lock);
    while (cpus_park(m)) {
        g_mutex_unlock(&m->lock);
        while (!looked_at(m))
            round_of_turns(m);
        g_mutex_lock(&m->lock);
    }
    g_mutex_unlock(&m->lock);
    for (u32 i = 0; i < m->n_cpus; i++)
        exec_thread_end(m->cpu[i].env);
    return NULL;
}

void turns_new(Machine *m)
{
    m->turns = g_new0(Turns, 1);
    if (!turns_count(m))
        m->turns->timer = timer_new(m, on_turn_over, m);
}
