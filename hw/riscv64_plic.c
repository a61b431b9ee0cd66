/* SPDX-License-Identifier: MIT */
/*
 * The platform-level interrupt controller (RISC-V PLIC 1.0.0, SiFive's): each source
 * has a priority; each hart has two contexts, machine and supervisor mode, with a
 * threshold and the sources it wants.  A source whose line is up is pending until a
 * context claims it, and again, should the line still be up, when that one completes.
 */
#include "inside.h"
#include "riscv64_board.h"

enum {
    PLIC_PENDING = 0x1000,
    PLIC_ENABLE = 0x2000,
    PLIC_ENABLE_STRIDE = 0x80,
    PLIC_CONTEXT = 0x200000,
    PLIC_CONTEXT_STRIDE = 0x1000,
    PLIC_SIZE = 0x600000,
    PLIC_PRIORITIES = 7,
};
enum { SOURCES = PLIC_SOURCES + 1, WORDS = (SOURCES + 31) / 32 };
enum { CONTEXTS = 2 * MAX_CPUS };

struct Plic {
    Device device;
    u32 priority[SOURCES];
    u32 line[WORDS], claimed[WORDS]; /* a bit each source */
    u32 enable[CONTEXTS][WORDS];
    u32 threshold[CONTEXTS];
};

static u32 contexts(const Plic *p) { return 2 * p->device.machine->n_cpus; }

/* ---- who is interrupted ---- */

/* The source to be served first, of more than this priority; 0: none. */
static u32 best(const Plic *p, u32 context, u32 above)
{
    u32 found = 0;

    for (u32 w = 0; w < WORDS; w++) {
        u32 bits = p->line[w] & ~p->claimed[w] & p->enable[context][w];

        for (; bits; bits &= bits - 1) {
            u32 irq = 32 * w + (u32)__builtin_ctz(bits);

            if (p->priority[irq] > above) {
                above = p->priority[irq];
                found = irq;
            }
        }
    }
    return found;
}

static void update(Plic *p)
{
    for (u32 i = 0; i < contexts(p); i++)
        hart_line(p->device.machine->cpu[i / 2].env, i % 2 ? IRQ_SEI : IRQ_MEI,
                  best(p, i, p->threshold[i]));
}

void plic_line(Plic *p, u32 irq, bool level)
{
    u32 bit = 1u << irq % 32, old;

    if (!irq || irq >= SOURCES)
        return;
    old = p->line[irq / 32];
    p->line[irq / 32] = level ? old | bit : old & ~bit;
    if (p->line[irq / 32] != old)
        update(p);
}

static u32 claim(Plic *p, u32 context)
{
    u32 irq = best(p, context, 0);

    p->claimed[irq / 32] |= irq ? 1u << irq % 32 : 0;
    update(p);
    return irq;
}

/* What the context does not want it cannot complete. */
static void complete(Plic *p, u32 context, u32 irq)
{
    if (irq >= SOURCES || !(p->enable[context][irq / 32] >> irq % 32 & 1))
        return;
    p->claimed[irq / 32] &= ~(1u << irq % 32);
    update(p);
}

/* ---- registers ---- */

/* The enable bits at offset; NULL: there are none. */
static u32 *enable_at(Plic *p, u64 offset)
{
    u64 context = (offset - PLIC_ENABLE) / PLIC_ENABLE_STRIDE;
    u64 w = (offset - PLIC_ENABLE) % PLIC_ENABLE_STRIDE / 4;

    if (offset < PLIC_ENABLE || context >= contexts(p) || w >= WORDS)
        return NULL;
    return &p->enable[context][w];
}

static u64 plic_read(Device *d, u64 offset, u32 width)
{
    Plic *p = (Plic *)d;
    u64 context = (offset - PLIC_CONTEXT) / PLIC_CONTEXT_STRIDE, w;
    const u32 *enable = enable_at(p, offset);

    if (offset < PLIC_PENDING)
        return offset / 4 < SOURCES ? p->priority[offset / 4] : 0;
    if (enable)
        return *enable;
    w = (offset - PLIC_PENDING) / 4;
    if (w < WORDS)
        return p->line[w] & ~p->claimed[w];
    if (offset < PLIC_CONTEXT || context >= contexts(p))
        return 0;
    switch (offset % PLIC_CONTEXT_STRIDE) {
    case 0: return p->threshold[context];
    case 4: return claim(p, (u32)context);
    default: return 0;
    }
}

/* Bits that stand for no source are zero. */
static u32 real_sources(const Plic *p, const u32 *enable, u32 value)
{
    u64 w = (u64)(enable - p->enable[0]) % WORDS;
    u32 last = SOURCES % 32;

    if (w == 0)
        value &= ~1u;
    if (w == WORDS - 1 && last)
        value &= (1u << last) - 1;
    return value;
}

static void plic_write(Device *d, u64 offset, u64 value, u32 width)
{
    Plic *p = (Plic *)d;
    u64 context = (offset - PLIC_CONTEXT) / PLIC_CONTEXT_STRIDE;
    u32 *enable = enable_at(p, offset);

    if (offset < 4 * SOURCES) {
        if (offset)
            p->priority[offset / 4] = value & PLIC_PRIORITIES;
    } else if (enable) {
        *enable = real_sources(p, enable, (u32)value);
    } else if (offset < PLIC_CONTEXT || context >= contexts(p)) {
        return;
    } else if (offset % PLIC_CONTEXT_STRIDE == 0) {
        p->threshold[context] = value & PLIC_PRIORITIES;
    } else if (offset % PLIC_CONTEXT_STRIDE == 4) {
        complete(p, (u32)context, (u32)value);
    }
    update(p);
}

/* ---- the device ---- */

/* Lines are the devices', which have been reset before or will be. */
static void plic_reset(Device *d)
{
    Plic *p = (Plic *)d;

    memset(p->priority, 0, sizeof p->priority);
    memset(p->claimed, 0, sizeof p->claimed);
    memset(p->enable, 0, sizeof p->enable);
    memset(p->threshold, 0, sizeof p->threshold);
    update(p);
}

static void state_words(State *s, u32 *words, u32 n, u32 mask)
{
    for (u32 i = 0; i < n; i++) {
        state_u32(s, &words[i]);
        words[i] &= mask;
    }
}

static void plic_state(Device *d, State *s)
{
    Plic *p = (Plic *)d;

    state_words(s, p->priority, SOURCES, PLIC_PRIORITIES);
    state_words(s, p->line, WORDS, ~0u);
    state_words(s, p->claimed, WORDS, ~0u);
    for (u32 i = 0; i < contexts(p); i++) {
        state_words(s, p->enable[i], WORDS, ~0u);
        for (u32 w = 0; w < WORDS; w++)
            p->enable[i][w] = real_sources(p, &p->enable[i][w], p->enable[i][w]);
    }
    state_words(s, p->threshold, contexts(p), PLIC_PRIORITIES);
    if (s->loading)
        update(p);
}

void plic_info(const Plic *p, GString *out)
{
    for (u32 irq = 1; irq < SOURCES; irq++) {
        u32 w = irq / 32, bit = irq % 32;
        bool up = p->line[w] >> bit & 1, claimed = p->claimed[w] >> bit & 1;

        if (up || claimed || p->priority[irq])
            g_string_append_printf(out, "source %2u: priority %u%s%s\n", irq,
                                   p->priority[irq], up ? ", line up" : "",
                                   claimed ? ", claimed" : "");
    }
}

static void device_info(const Device *d, GString *out)
{
    plic_info((const Plic *)d, out);
}

static void plic_free(Device *d) { g_free(d); }

static const DeviceType plic_type = {
    .name = "plic",
    .size = PLIC_SIZE,
    .widths = 4,
    .read = plic_read,
    .write = plic_write,
    .reset = plic_reset,
    .state = plic_state,
    .info = device_info,
    .free = plic_free,
};

Plic *plic_new(Machine *m, u64 base, char **error)
{
    Plic *p = g_new0(Plic, 1);

    if (!device_add(m, &p->device, &plic_type, base, 0)) {
        *error = g_strdup("no room for the plic");
        plic_free(&p->device);
        return NULL;
    }
    return p;
}
