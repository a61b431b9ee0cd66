/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's firmware: RISC-V SBI 2.0 (base, timer, IPI, remote fences, hart
 * state, system reset, debug console, and the legacy calls), in place of code in
 * machine mode.  A call runs on its hart's thread, without the machine's lock; one that
 * cannot be finished yet leaves pc where it is, so that it is made again.
 */
#include "inside.h"
#include "riscv64_board.h"

/* Error codes (SBI 3). */
enum {
    SBI_SUCCESS = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_INVALID_ADDRESS = -5,
    SBI_ALREADY_AVAILABLE = -6,
};

/* Hart states (SBI 9); Cpu.halted tells them apart. */
enum { HSM_STARTED, HSM_STOPPED };

enum { SPEC_VERSION = 2 << 24, IMPLEMENTATION = 0x7e55, CONSOLE_CHUNK = 256 };

/* Registers of an NS16550A. */
enum { UART_DATA = 0, UART_LSR = 5, LSR_DATA = 1, LSR_EMPTY = 32 };

struct Sbi {
    Machine *machine;
    u64 console;
};

typedef struct SbiCall {
    Sbi *sbi;
    Cpu *cpu;
    Hart *hart;
    u64 *arg; /* a0 to a5 */
    u64 function;
    u64 value; /* result */
    bool again;
} SbiCall;

/* ---- harts ---- */

#define SUPERVISOR_TRAPS 0xb1ff /* all but ecalls from S mode: nobody is in M mode */
#define SUPERVISOR_IRQS  (1ull << IRQ_SSI | 1ull << IRQ_STI | 1ull << IRQ_SEI)
#define SUPERVISOR_ENVCFG \
    (ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_PBMTE | ENVCFG_STCE)

/* The hart, which does not run, starts in S mode (SBI 9.1). */
static void start_supervisor(Cpu *cpu, u64 pc, u64 opaque)
{
    Hart *h = &riscv_cpu(cpu)->hart;

    hart_reset(cpu->env, pc);
    h->priv = PRIV_S;
    h->medeleg = SUPERVISOR_TRAPS;
    h->mideleg = SUPERVISOR_IRQS;
    h->mcounteren = 0xffffffff;
    h->scounteren = 7; /* as OpenSBI leaves it: Linux without a PMU, vDSO with rdtime */
    h->menvcfg |= SUPERVISOR_ENVCFG;
    cpu->env->g[X_A0] = h->id;
    cpu->env->g[X_A0 + 1] = opaque;
    hart_changed(cpu->env);
}

/* Harts as bits of a mask and the number of its first; false: one does not exist. */
static bool hart_mask(const SbiCall *c, u64 bits, u64 base, u64 *mask)
{
    u32 n = c->sbi->machine->n_cpus;

    if (base == ~0ull) {
        *mask = (1ull << n) - 1;
        return true;
    }
    *mask = base < n ? bits << base : 0;
    return !bits || (base < n && *mask >> base == bits && !(*mask >> n));
}

static i64 hart_start(SbiCall *c)
{
    u64 id = c->arg[0];
    i64 error = SBI_SUCCESS;

    if (id >= c->sbi->machine->n_cpus)
        return SBI_INVALID_PARAM;
    if (!bus_ram(&c->sbi->machine->bus, c->arg[1] & ~1ull, 2))
        return SBI_INVALID_ADDRESS;
    machine_lock(c->sbi->machine);
    if (!c->sbi->machine->cpu[id].halted) {
        error = SBI_ALREADY_AVAILABLE;
    } else {
        start_supervisor(&c->sbi->machine->cpu[id], c->arg[1], c->arg[2]);
        cpu_start(&c->sbi->machine->cpu[id]);
    }
    machine_unlock(c->sbi->machine);
    return error;
}

static i64 hart_stop(SbiCall *c)
{
    machine_lock(c->sbi->machine);
    atomic_store(&c->cpu->halted, true);
    machine_unlock(c->sbi->machine);
    c->again = true; /* if it were run again */
    return SBI_SUCCESS;
}

/* Sleep may end at any time: it does so at once. */
static i64 hart_suspend(SbiCall *c)
{
    enum { RETENTIVE = 0, NON_RETENTIVE = 1u << 31 };

    if ((u32)c->arg[0] == RETENTIVE)
        return SBI_SUCCESS;
    if ((u32)c->arg[0] != NON_RETENTIVE)
        return SBI_INVALID_PARAM;
    if (!bus_ram(&c->sbi->machine->bus, c->arg[1] & ~1ull, 2))
        return SBI_INVALID_ADDRESS;
    start_supervisor(c->cpu, c->arg[1], c->arg[2]);
    c->again = true;
    return SBI_SUCCESS;
}

static i64 call_hsm(SbiCall *c)
{
    switch (c->function) {
    case 0: return hart_start(c);
    case 1: return hart_stop(c);
    case 2:
        if (c->arg[0] >= c->sbi->machine->n_cpus)
            return SBI_INVALID_PARAM;
        c->value = c->sbi->machine->cpu[c->arg[0]].halted ? HSM_STOPPED : HSM_STARTED;
        return SBI_SUCCESS;
    case 3: return hart_suspend(c);
    default: return SBI_NOT_SUPPORTED;
    }
}

/* ---- timer, interrupts between harts ---- */

static i64 call_time(SbiCall *c)
{
    if (c->function)
        return SBI_NOT_SUPPORTED;
    hart_set_stimecmp(c->cpu->env, c->arg[0]);
    return SBI_SUCCESS;
}

static void send_ipi(SbiCall *c, u64 mask)
{
    for (u32 i = 0; mask >> i; i++)
        if (mask >> i & 1)
            hart_post(c->sbi->machine->cpu[i].env, IRQ_SSI);
}

static i64 call_ipi(SbiCall *c)
{
    u64 mask;

    if (c->function)
        return SBI_NOT_SUPPORTED;
    if (!hart_mask(c, c->arg[0], c->arg[1], &mask))
        return SBI_INVALID_PARAM;
    send_ipi(c, mask);
    return SBI_SUCCESS;
}

/* ---- remote fences ---- */

typedef struct Fence {
    u64 start, size; /* size ~0: all */
    u64 space, mask; /* of satp: the spaces meant */
} Fence;

enum { FENCE_PAGES = 64 }; /* more than this: everything */

static void fence_here(Cpu *cpu, void *arg)
{
    const Fence *f = arg;

    if (f->size > FENCE_PAGES * PAGE_SIZE)
        mmu_flush_spaces(cpu->env, f->space, f->mask);
    else
        for (u64 at = 0; at < f->size; at += PAGE_SIZE)
            mmu_flush_page(cpu->env, f->start + at, f->space, f->mask);
}

/* Of the harts that run: those that start later know nothing yet. */
static void fence_tables(SbiCall *c, u64 mask, u64 start, u64 size)
{
    Fence fence = {.start = start & PAGE_MASK, .size = size + (start & ~PAGE_MASK)};

    if (!(start | size) || fence.size < size)
        fence.size = ~0ull;
    if (c->function == 2) {
        fence.mask = SATP_ASID;
        fence.space = c->arg[4] << SATP_ASID_SHIFT & SATP_ASID;
    }
    machine_lock(c->sbi->machine);
    for (u32 i = 0; i < c->sbi->machine->n_cpus; i++)
        if (c->sbi->machine->cpu[i].halted)
            mask &= ~(1ull << i);
    machine_unlock(c->sbi->machine);
    cpu_call(c->cpu, mask, fence_here, &fence);
}

static i64 call_fence(SbiCall *c)
{
    u64 mask;

    if (c->function > 2)
        return SBI_NOT_SUPPORTED; /* the others are the hypervisor's */
    if (!hart_mask(c, c->arg[0], c->arg[1], &mask))
        return SBI_INVALID_PARAM;
    if (c->function == 0)
        cache_fence_i(c->cpu->env->cache); /* all harts' blocks */
    else
        fence_tables(c, mask, c->arg[2], c->arg[3]);
    return SBI_SUCCESS;
}

/* ---- reset ---- */

static i64 call_reset(SbiCall *c)
{
    u32 type = (u32)c->arg[0], reason = (u32)c->arg[1];
    enum { SHUTDOWN, COLD_REBOOT, WARM_REBOOT };

    if (c->function || type > WARM_REBOOT)
        return c->function ? SBI_NOT_SUPPORTED : SBI_INVALID_PARAM;
    machine_lock(c->sbi->machine);
    if (type == SHUTDOWN)
        machine_shutdown(c->sbi->machine, reason != 0);
    else
        machine_reset(c->sbi->machine);
    machine_unlock(c->sbi->machine);
    c->again = true; /* it does not return */
    return SBI_SUCCESS;
}

/* ---- the console: the board's serial port ---- */

static bool uart_has(const SbiCall *c, u8 bit)
{
    u64 lsr;

    return bus_read(&c->sbi->machine->bus, c->sbi->console + UART_LSR, 1, &lsr) &&
           lsr & bit;
}

static bool put_byte(const SbiCall *c, u8 byte)
{
    return uart_has(c, LSR_EMPTY) &&
           bus_write(&c->sbi->machine->bus, c->sbi->console + UART_DATA, 1, byte);
}

static bool get_byte(const SbiCall *c, u8 *byte)
{
    u64 v;

    if (!uart_has(c, LSR_DATA) ||
        !bus_read(&c->sbi->machine->bus, c->sbi->console + UART_DATA, 1, &v))
        return false;
    *byte = (u8)v;
    return true;
}

static i64 console_write(SbiCall *c, u64 n, u64 phys)
{
    u8 bytes[CONSOLE_CHUNK];
    u64 done = 0;

    n = MIN(n, sizeof bytes);
    if (!dma_read(c->sbi->machine, phys, bytes, n))
        return SBI_INVALID_PARAM;
    while (done < n && put_byte(c, bytes[done]))
        done++;
    c->again = n && !done;
    c->value = done;
    return SBI_SUCCESS;
}

static i64 console_read(SbiCall *c, u64 n, u64 phys)
{
    u8 bytes[CONSOLE_CHUNK];

    n = MIN(n, sizeof bytes);
    if (!dma_ram(c->sbi->machine, phys, n, true))
        return SBI_INVALID_PARAM;
    while (c->value < n && get_byte(c, &bytes[c->value]))
        c->value++;
    dma_write(c->sbi->machine, phys, bytes, c->value);
    return SBI_SUCCESS;
}

static i64 call_console(SbiCall *c)
{
    if (c->function < 2 && c->arg[2])
        return SBI_INVALID_PARAM; /* the upper half of an address of 128 bits */
    switch (c->function) {
    case 0: return console_write(c, c->arg[0], c->arg[1]);
    case 1: return console_read(c, c->arg[0], c->arg[1]);
    case 2: c->again = !put_byte(c, (u8)c->arg[0]); return SBI_SUCCESS;
    default: return SBI_NOT_SUPPORTED;
    }
}

/* ---- the base extension ---- */

static bool extension_there(u64 id);

static i64 call_base(SbiCall *c)
{
    const u64 values[] = {
        SPEC_VERSION, IMPLEMENTATION, 1, extension_there(c->arg[0]), 0, 0, 0};

    if (c->function >= ARRAY_SIZE(values))
        return SBI_NOT_SUPPORTED;
    c->value = values[c->function];
    return SBI_SUCCESS;
}

/* ---- calls of version 0.1: one result, masks in memory ---- */

/* The mask that a virtual address points at; NULL: all harts. */
static u64 legacy_mask(const SbiCall *c)
{
    u64 all = (1ull << c->sbi->machine->n_cpus) - 1, mask = all;
    MmuPage page;

    if (!c->arg[0])
        return all;
    if (!hart_walk(c->cpu->env, c->arg[0], MMU_READ, &page) ||
        !dma_read(c->sbi->machine, page.phys, &mask, sizeof mask))
        return 0;
    return mask & all;
}

static i64 legacy_getchar(const SbiCall *c)
{
    u8 byte;

    return get_byte(c, &byte) ? byte : -1;
}

static i64 call_legacy(SbiCall *c, u64 number)
{
    enum {
        SET_TIMER,
        PUTCHAR,
        GETCHAR,
        CLEAR_IPI,
        SEND_IPI,
        FENCE_I,
        SFENCE,
        SFENCE_ASID,
        SHUTDOWN
    };

    switch (number) {
    case SET_TIMER: hart_set_stimecmp(c->cpu->env, c->arg[0]); break;
    case PUTCHAR: c->again = !put_byte(c, (u8)c->arg[0]); break;
    case GETCHAR: return legacy_getchar(c);
    case CLEAR_IPI:
        atomic_fetch_and(&c->hart->posted, ~(1ull << IRQ_SSI));
        c->hart->mip &= ~(1ull << IRQ_SSI);
        break;
    case SEND_IPI: send_ipi(c, legacy_mask(c)); break;
    case FENCE_I: cache_fence_i(c->cpu->env->cache); break;
    case SFENCE:
    case SFENCE_ASID:
        c->function = 0;
        fence_tables(c, legacy_mask(c), c->arg[1], c->arg[2]);
        break;
    case SHUTDOWN: c->function = c->arg[0] = c->arg[1] = 0; return call_reset(c);
    }
    return SBI_SUCCESS;
}

/* ---- which call ---- */

enum { LEGACY_CALLS = 9 };

static const struct Extension {
    u32 id;
    i64 (*call)(SbiCall *c);
} extensions[] = {
    {0x10, call_base},        {0x54494d45, call_time},    /* TIME */
    {0x735049, call_ipi},                                 /* sPI */
    {0x52464e43, call_fence}, {0x48534d, call_hsm},       /* RFNC, HSM */
    {0x53525354, call_reset}, {0x4442434e, call_console}, /* SRST, DBCN */
};

static const struct Extension *extension_find(u64 id)
{
    for (u32 i = 0; i < ARRAY_SIZE(extensions); i++)
        if (extensions[i].id == id)
            return &extensions[i];
    return NULL;
}

static bool extension_there(u64 id) { return id < LEGACY_CALLS || extension_find(id); }

void sbi_call(Cpu *cpu)
{
    Env *env = cpu->env;
    SbiCall c = {.sbi = virt_of(cpu->machine)->sbi,
                 .cpu = cpu,
                 .hart = hart_of(env),
                 .arg = &env->g[X_A0],
                 .function = env->g[X_A7 - 1]};
    u64 id = env->g[X_A7];
    const struct Extension *e = extension_find(id);
    i64 error = e                   ? e->call(&c)
                : id < LEGACY_CALLS ? call_legacy(&c, id)
                                    : SBI_NOT_SUPPORTED;

    if (c.again)
        return;
    env->g[X_A0] = (u64)error;
    if (id >= LEGACY_CALLS)
        env->g[X_A0 + 1] = c.value;
    env->pc += 4;
}

/* ---- made, reset, saved ---- */

Sbi *sbi_new(Machine *m, u64 console)
{
    Sbi *sbi = g_new0(Sbi, 1);

    *sbi = (Sbi){.machine = m, .console = console};
    return sbi;
}

void sbi_free(Sbi *sbi) { g_free(sbi); }

void sbi_reset(Sbi *sbi, u64 entry, u64 fdt)
{
    Machine *m = sbi->machine;

    for (u32 i = 0; i < m->n_cpus; i++) {
        start_supervisor(&m->cpu[i], entry, fdt);
        atomic_store(&m->cpu[i].halted, i != 0);
    }
}
