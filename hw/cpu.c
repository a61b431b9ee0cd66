/* SPDX-License-Identifier: MIT */
/*
 * CPU threads: running until a trap, waiting for interrupts, parking while the machine
 * is held or stopped, calls from one to another, and the host's faults.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "chardev.h"

_Thread_local u32 cpu_in_device;
static _Thread_local Cpu *running;

Cpu *cpu_current(void) { return running; }

/* ---- waking ---- */

static void futex_wake(_Atomic u32 *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void cpu_kick(Cpu *cpu)
{
    Cpu *sleeper = cpu->machine->turns ? &cpu->machine->cpu[0] : cpu;

    exec_request(cpu->env);
    atomic_fetch_add(&sleeper->kicks, 1);
    if (atomic_load(&sleeper->asleep))
        futex_wake(&sleeper->kicks);
}

u64 cpu_sleep(Cpu *cpu, u32 kicks, u64 ns)
{
    const struct timespec most = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    gint64 began = g_get_monotonic_time();

    atomic_store(&cpu->asleep, true);
    syscall(SYS_futex, &cpu->kicks, FUTEX_WAIT_PRIVATE, kicks, ns ? &most : NULL, NULL,
            0);
    atomic_store(&cpu->asleep, false);
    return (u64)(g_get_monotonic_time() - began) * 1000;
}

void cpu_start(Cpu *cpu)
{
    Machine *m = cpu->machine;

    atomic_store(&cpu->halted, false);
    cpu_kick(cpu);
    g_cond_signal(&m->cpu[m->turns ? 0 : cpu->id].wake);
}

void cpus_kick(Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++) {
        atomic_store(&m->cpu[i].attention, true);
        cpu_kick(&m->cpu[i]);
        g_cond_signal(&m->cpu[i].wake);
    }
}

bool cpus_parked(const Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++)
        if (!m->cpu[i].parked)
            return false;
    return true;
}

/* ---- calls ---- */

struct CpuCall {
    CpuCall *next;
    void (*f)(Cpu *cpu, void *arg);
    void *arg;
    _Atomic u32 *left;
};

static void serve_calls(Cpu *cpu)
{
    CpuCall *call = atomic_exchange(&cpu->calls, NULL);

    while (call) {
        CpuCall *next = call->next;
        _Atomic u32 *left = call->left;

        call->f(cpu, call->arg);
        if (atomic_fetch_sub(left, 1) == 1)
            futex_wake(left);
        call = next;
    }
}

static void post(Cpu *to, CpuCall *call)
{
    CpuCall *first = atomic_load(&to->calls);

    do {
        call->next = first;
    } while (!atomic_compare_exchange_weak(&to->calls, &first, call));
    cpu_kick(to);
    if (atomic_load(&to->parked_asleep)) {
        g_mutex_lock(&to->machine->lock);
        g_cond_signal(&to->wake);
        g_mutex_unlock(&to->machine->lock);
    }
}

void cpu_call(Cpu *from, u64 cpus, void (*f)(Cpu *cpu, void *arg), void *arg)
{
    Machine *m = from->machine;
    CpuCall calls[MAX_CPUS];
    _Atomic u32 left = 0;
    u32 now;

    for (u32 i = 0; i < m->n_cpus; i++) {
        Cpu *to = &m->cpu[i];

        if (!(cpus >> i & 1))
            continue;
        if (to == from || m->turns) {
            f(to, arg);
            continue;
        }
        calls[i] = (CpuCall){.f = f, .arg = arg, .left = &left};
        atomic_fetch_add(&left, 1);
        post(to, &calls[i]);
    }
    while ((now = atomic_load(&left))) {
        serve_calls(from); /* they may wait for us */
        syscall(SYS_futex, &left, FUTEX_WAIT_PRIVATE, now,
                &(struct timespec){.tv_nsec = 50000}, NULL, 0);
    }
}

/* ---- waiting for interrupts ---- */

/* WFI ends at once while an interrupt is pending that is not taken: firmware with
 * interrupts off waits so for long.  After so many such WFIs in a row each lasts until
 * somebody kicks, or for so long. */
enum { WFI_IN_VAIN = 64, WFI_IN_VAIN_NS = 20000000 };

static void wait_for_interrupt(Cpu *cpu)
{
    const BoardType *board = cpu->machine->board;
    u32 kicks = atomic_load(&cpu->kicks);
    bool wakes;

    atomic_store(&cpu->waiting, true);
    if (cpu->machine->turns) /* it does not get one until it wakes */
        return;
    wakes = board->wakes(cpu);
    cpu->in_vain = wakes ? cpu->in_vain + 1 : 0;
    if ((!wakes || cpu->in_vain > WFI_IN_VAIN) && !atomic_load(&cpu->calls) &&
        !atomic_load(&cpu->attention))
        cpu->idle_ns += cpu_sleep(cpu, kicks, wakes ? WFI_IN_VAIN_NS : 0);
    atomic_store(&cpu->waiting, false);
}

/* ---- parking ---- */

static bool may_run(const Cpu *cpu)
{
    const Machine *m = cpu->machine;

    return !m->held && m->run == RUN_RUNNING && !cpu->halted && !cpu->frozen;
}

/* One look, lock held: true: the CPU is parked. */
static bool parks(Cpu *cpu)
{
    const Machine *m = cpu->machine;

    atomic_store(&cpu->attention, false);
    cpu->parked = m->quit || !may_run(cpu);
    return cpu->parked;
}

static void wait_parked(Cpu *cpu)
{
    Machine *m = cpu->machine;

    g_cond_broadcast(&m->parked);
    atomic_store(&cpu->parked_asleep, true);
    if (!atomic_load(&cpu->calls))
        g_cond_wait(&cpu->wake, &m->lock);
    atomic_store(&cpu->parked_asleep, false);
    serve_calls(cpu);
}

/* Lock held: returns when the CPU may run; false: the machine is quitting. */
static bool park(Cpu *cpu)
{
    while (parks(cpu) && !cpu->machine->quit)
        wait_parked(cpu);
    g_cond_broadcast(&cpu->machine->parked);
    return !cpu->machine->quit;
}

bool cpus_park(Machine *m)
{
    for (;;) {
        u32 running = 0;

        for (u32 i = 0; i < m->n_cpus; i++)
            running += !parks(&m->cpu[i]);
        if (m->quit || running)
            break;
        wait_parked(&m->cpu[0]);
    }
    g_cond_broadcast(&m->parked);
    return !m->quit;
}

/* ---- running ---- */

static void debug_stop(Cpu *cpu)
{
    Machine *m = cpu->machine;

    machine_lock(m);
    m->debugged = cpu;
    machine_stop(m, RUN_DEBUG);
    machine_unlock(m);
}

void cpu_go(Cpu *cpu)
{
    const BoardType *board = cpu->machine->board;
    TrapKind kind = UNLIKELY(cpu->slow) ? gdb_run(cpu) : exec_run(cpu->env);

    switch (kind) {
    case TRAP_REQUEST: break;
    case TRAP_WAIT: wait_for_interrupt(cpu); break;
    case TRAP_STOP: debug_stop(cpu); break;
    default: board->trap(cpu); return;
    }
    if (atomic_load(&cpu->calls))
        serve_calls(cpu);
    if (kind != TRAP_STOP && board->interrupt(cpu))
        cpu->in_vain = 0;
}

void cpu_run_as(Cpu *cpu) { running = cpu; }

void cpu_thread_begin(void)
{
    stack_t stack = {.ss_size = 1 << 16};

    stack.ss_sp = g_malloc(stack.ss_size); /* the thread's as long as it lives */
    sigaltstack(&stack, NULL);
}

static gpointer cpu_thread(gpointer data)
{
    Cpu *cpu = data;
    Machine *m = cpu->machine;

    cpu_thread_begin();
    cpu_run_as(cpu);
    cpu->tid = gettid();
    exec_thread_begin(cpu->env);
    g_mutex_lock(&m->lock);
    while (park(cpu)) {
        g_mutex_unlock(&m->lock);
        while (!atomic_load(&cpu->attention) && !cpu->halted)
            cpu_go(cpu);
        g_mutex_lock(&m->lock);
    }
    g_mutex_unlock(&m->lock);
    exec_thread_end(cpu->env);
    return NULL;
}

/* ---- all of them ---- */

bool cpus_create(Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++) {
        Cpu *cpu = &m->cpu[i];

        *cpu = (Cpu){.machine = m, .id = i, .parked = true, .env = env_new(m->cache)};
        if (!cpu->env)
            return false;
        cpu->env->task = cpu;
    }
    return true;
}

void cpus_begin(Machine *m)
{
    for (u32 i = 0; i < (m->turns ? 1 : m->n_cpus); i++) {
        char name[16];

        g_snprintf(name, sizeof name, "cpu %u", i);
        m->cpu[i].thread =
            g_thread_new(name, m->turns ? turns_thread : cpu_thread, &m->cpu[i]);
    }
}

void cpus_end(Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++)
        if (m->cpu[i].thread)
            g_thread_join(m->cpu[i].thread);
}

void cpus_free(Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++)
        if (m->cpu[i].env)
            env_free(m->cpu[i].env);
}

/* ---- host faults ---- */

/* A device's write to a page that a CPU has just begun to watch. */
static bool device_fault(const siginfo_t *info)
{
    return machine_here && info->si_signo == SIGSEGV && info->si_code == SEGV_ACCERR &&
           cache_device_fault(machine_here->cache, info->si_addr);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    int error = errno;
    bool mine = !running || cpu_in_device
                    ? device_fault(info)
                    : exec_host_fault(running->env, sig, info, context);

    if (!mine) {
        terminal_restore();
        signal(sig, SIG_DFL); /* a bug: happens again, and kills us */
        return;
    }
    errno = error;
}

void cpu_catch_faults(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};

    for (u32 i = 0; i < ARRAY_SIZE(faults); i++)
        sigaction(faults[i], &action, NULL);
}
