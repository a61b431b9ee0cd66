/* SPDX-License-Identifier: MIT */
/*
 * The core-local interruptor (SiFive's CLINT; ACLINT's MSWI and MTIMER in its place):
 * a software interrupt and a timer of machine mode for each hart, and the time.
 */
#include "inside.h"
#include "riscv64_board.h"

enum { CLINT_MTIMECMP = 0x4000, CLINT_MTIME = 0xbff8, CLINT_SIZE = 0x10000 };

typedef struct ClintHart {
    Clint *clint;
    Cpu *cpu;
    Timer *timer;
    u64 mtimecmp;
    bool msip;
} ClintHart;

struct Clint {
    Device device;
    _Atomic u64 offset; /* of mtime to the machine's clock, in counts */
    ClintHart hart[MAX_CPUS];
};

/* ---- time ---- */

u64 clint_time(const Clint *c)
{
    return machine_clock(c->device.machine) / CLOCK_NS + atomic_load(&c->offset);
}

u64 clint_when(const Clint *c, u64 time)
{
    u64 counts = time - atomic_load(&c->offset);

    if (time <= clint_time(c))
        return 0;
    return counts > (~0ull >> 1) / CLOCK_NS ? TIMER_OFF : counts * CLOCK_NS;
}

/* Puts the timer interrupt right, now and later. */
static void update_timer(ClintHart *h)
{
    bool due = clint_time(h->clint) >= h->mtimecmp;

    hart_line(h->cpu->env, IRQ_MTI, due);
    timer_set(h->timer, due ? TIMER_OFF : clint_when(h->clint, h->mtimecmp));
}

static void timer_fire(void *ctx) { update_timer(ctx); }

/* All that depends on mtime: stimecmp is looked at by its hart. */
static void set_time(Clint *c, u64 time)
{
    atomic_store(&c->offset, time - machine_clock(c->device.machine) / CLOCK_NS);
    for (u32 i = 0; i < c->device.machine->n_cpus; i++) {
        Cpu *cpu = c->hart[i].cpu;

        update_timer(&c->hart[i]);
        timer_set(riscv_cpu(cpu)->timer, clint_when(c, riscv_cpu(cpu)->hart.stimecmp));
        cpu_kick(cpu);
    }
}

/* ---- registers: 64-bit words, either half of which may be asked for ---- */

/* The word at offset (a multiple of 8). */
static u64 word(const Clint *c, u64 offset)
{
    u32 n = c->device.machine->n_cpus;
    u64 i = (offset - CLINT_MTIMECMP) / 8;

    if (offset == CLINT_MTIME)
        return clint_time(c);
    if (offset >= CLINT_MTIMECMP)
        return i < n ? c->hart[i].mtimecmp : 0;
    i = offset / 4;
    return (i < n ? c->hart[i].msip : 0) |
           (i + 1 < n ? (u64)c->hart[i + 1].msip << 32 : 0);
}

static u64 clint_read(Device *d, u64 offset, u32 width)
{
    u64 v = word((Clint *)d, offset & ~7ull) >> 8 * (offset & 7);

    return width == 4 ? (u32)v : v;
}

/* A hart that is interrupted again may have waited for that, with the first still
 * pending. */
static void write_msip(Clint *c, u64 i, bool level)
{
    if (i >= c->device.machine->n_cpus)
        return;
    if (level && c->hart[i].msip)
        cpu_kick(c->hart[i].cpu);
    c->hart[i].msip = level;
    hart_line(c->hart[i].cpu->env, IRQ_MSI, level);
}

static void write_word(Clint *c, u64 offset, u64 value)
{
    u64 i = (offset - CLINT_MTIMECMP) / 8;

    if (offset == CLINT_MTIME) {
        set_time(c, value);
    } else if (i < c->device.machine->n_cpus) {
        c->hart[i].mtimecmp = value;
        update_timer(&c->hart[i]);
    }
}

static void clint_write(Device *d, u64 offset, u64 value, u32 width)
{
    Clint *c = (Clint *)d;
    u64 at = offset & ~7ull, low = 0xffffffffull;

    if (offset < CLINT_MTIMECMP) {
        write_msip(c, offset / 4, value & 1);
        if (width == 8)
            write_msip(c, offset / 4 + 1, value >> 32 & 1);
        return;
    }
    if (width == 4)
        value = offset & 4 ? (word(c, at) & low) | value << 32
                           : (word(c, at) & ~low) | (value & low);
    write_word(c, at, value);
}

/* ---- the device ---- */

static void clint_reset(Device *d)
{
    Clint *c = (Clint *)d;

    atomic_store(&c->offset, 0);
    for (u32 i = 0; i < d->machine->n_cpus; i++) {
        c->hart[i].mtimecmp = ~0ull;
        write_msip(c, i, false);
        update_timer(&c->hart[i]);
    }
}

static void clint_state(Device *d, State *s)
{
    Clint *c = (Clint *)d;
    u64 offset = atomic_load(&c->offset);

    state_u64(s, &offset);
    atomic_store(&c->offset, offset);
    for (u32 i = 0; i < d->machine->n_cpus; i++) {
        state_u64(s, &c->hart[i].mtimecmp);
        state_bool(s, &c->hart[i].msip);
        if (s->loading)
            write_msip(c, i, c->hart[i].msip);
    }
    if (s->loading)
        set_time(c, clint_time(c));
}

static void clint_info(const Device *d, GString *out)
{
    const Clint *c = (const Clint *)d;

    g_string_append_printf(out, "mtime %" G_GUINT64_FORMAT "\n", clint_time(c));
    for (u32 i = 0; i < d->machine->n_cpus; i++)
        g_string_append_printf(out,
                               "hart %u: msip %d, mtimecmp %" G_GUINT64_FORMAT "\n", i,
                               c->hart[i].msip, c->hart[i].mtimecmp);
}

static void clint_free(Device *d)
{
    Clint *c = (Clint *)d;

    for (u32 i = 0; i < d->machine->n_cpus; i++)
        timer_free(c->hart[i].timer);
    g_free(c);
}

static const DeviceType clint_type = {
    .name = "clint",
    .size = CLINT_SIZE,
    .widths = 4 | 8,
    .read = clint_read,
    .write = clint_write,
    .reset = clint_reset,
    .state = clint_state,
    .info = clint_info,
    .free = clint_free,
};

Clint *clint_new(Machine *m, u64 base, char **error)
{
    Clint *c = g_new0(Clint, 1);

    for (u32 i = 0; i < m->n_cpus; i++)
        c->hart[i] = (ClintHart){.clint = c,
                                 .cpu = &m->cpu[i],
                                 .timer = timer_new(m, timer_fire, &c->hart[i])};
    if (!device_add(m, &c->device, &clint_type, base, 0)) {
        *error = g_strdup("no room for the clint");
        clint_free(&c->device);
        return NULL;
    }
    return c;
}
