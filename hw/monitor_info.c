/* SPDX-License-Identifier: MIT */
/* "info ITEM": what the machine, its devices and the translator can tell of themselves.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "disk.h"
#include "monitor.h"
#include "virtio.h"

typedef struct Item {
    const char *name;
    void (*run)(Monitor *mon);
    const char *args, *help;
} Item;

static const Item items[];

static void PRINTF(2, 3) put(Monitor *mon, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_string_append_vprintf(mon->out, format, ap);
    va_end(ap);
}

/* ---- the machine ---- */

static void info_status(Monitor *mon)
{
    const char *name;

    if (monitor_status_name(mon->m, &name))
        put(mon, "VM status: running\n");
    else if (mon->m->run == RUN_PAUSED)
        put(mon, "VM status: paused\n");
    else
        put(mon, "VM status: paused (%s)\n", name);
}

static void info_version(Monitor *mon) { put(mon, TESSERA_VERSION "\n"); }

static void info_name(Monitor *mon) { put(mon, "%s\n", mon->m->board->help); }

/* ---- CPUs ---- */

static void put_registers(Monitor *mon, const Cpu *cpu)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return;
    mon->m->board->guest->dump(f, cpu->env);
    fclose(f);
    put(mon, "CPU#%u\n%s", cpu->id, text);
    free(text);
    if (mon->m->board->info_cpu)
        mon->m->board->info_cpu(cpu, mon->out);
}

static void info_registers(Monitor *mon)
{
    bool all = mon->arg[1] && strcmp(mon->arg[1], "-a") == 0;

    if (mon->arg[1] && !all) {
        monitor_refuse(mon, "info registers: unsupported option '%s'", mon->arg[1]);
        return;
    }
    for (u32 i = 0; i < mon->m->n_cpus; i++)
        if (all || i == mon->cpu)
            put_registers(mon, &mon->m->cpu[i]);
}

static void info_cpus(Monitor *mon)
{
    for (u32 i = 0; i < mon->m->n_cpus; i++) {
        const Cpu *c = &mon->m->cpu[i];

        put(mon, "%c CPU #%u: thread_id=%d pc=0x%016" PRIx64 "%s%s idle=%.3fs\n",
            i == mon->cpu ? '*' : ' ', i, c->tid, c->env->pc,
            c->halted ? " (not started)" : "", c->waiting ? " (waiting)" : "",
            (double)c->idle_ns * 1e-9);
    }
}

/* ---- addresses ---- */

typedef void CpuInfo(const Cpu *cpu, GString *out);

static void put_cpu_info(Monitor *mon, CpuInfo *f)
{
    if (f)
        f(monitor_cpu(mon), mon->out);
    else
        put(mon, "not known of this board\n");
}

static void info_tlb(Monitor *mon) { put_cpu_info(mon, mon->m->board->info_tlb); }

static void info_mem(Monitor *mon) { put_cpu_info(mon, mon->m->board->info_mem); }

static void info_irq(Monitor *mon)
{
    if (mon->m->board->info_irq)
        mon->m->board->info_irq(mon->m, mon->out);
}

static int by_base(const void *a, const void *b)
{
    const Device *x = *(Device *const *)a, *y = *(Device *const *)b;

    return x->base < y->base ? -1 : x->base > y->base;
}

static void put_range(Monitor *mon, u64 base, u64 size, const char *kind,
                      const char *name, const char *id)
{
    put(mon, "  %016" PRIx64 "-%016" PRIx64 " (%s): %s%s%s\n", base, base + size - 1,
        kind, name, id ? " " : "", id ? id : "");
}

static void info_mtree(Monitor *mon)
{
    const Machine *m = mon->m;
    GPtrArray *sorted = g_ptr_array_new();
    bool ram = false;

    for (u32 i = 0; i < m->devices->len; i++)
        if (((Device *)m->devices->pdata[i])->type->size)
            g_ptr_array_add(sorted, m->devices->pdata[i]);
    g_ptr_array_sort(sorted, by_base);
    put(mon, "address-space: memory\n");
    for (u32 i = 0; i < sorted->len; i++) {
        const Device *d = sorted->pdata[i];

        if (!ram && d->base > m->board->ram_base) {
            put_range(mon, m->board->ram_base, m->ram_size, "ram", "ram", NULL);
            ram = true;
        }
        put_range(mon, d->base, d->type->size, "i/o", d->type->name, d->id);
    }
    if (!ram)
        put_range(mon, m->board->ram_base, m->ram_size, "ram", "ram", NULL);
    g_ptr_array_free(sorted, TRUE);
}

/* ---- devices ---- */

static void put_indented(Monitor *mon, const char *text, const char *indent)
{
    for (const char *p = text, *end; *p; p = end) {
        end = strchr(p, '\n');
        end = end ? end + 1 : p + strlen(p);
        put(mon, "%s%.*s%s", indent, (int)(end - p), p, end[-1] == '\n' ? "" : "\n");
    }
}

static void put_device(Monitor *mon, const Device *d)
{
    GString *text = g_string_new(NULL);

    put(mon, "dev: %s, id \"%s\"\n", d->type->name, d->id ? d->id : "");
    if (d->type->size)
        put(mon, "  mmio %016" PRIx64 "/%016" PRIx64 "\n", d->base, d->type->size);
    if (d->irq)
        put(mon, "  irq %u\n", d->irq);
    if (d->type->info)
        d->type->info(d, text);
    put_indented(mon, text->str, "  ");
    g_string_free(text, TRUE);
}

static void info_qtree(Monitor *mon)
{
    for (u32 i = 0; i < mon->m->devices->len; i++)
        put_device(mon, mon->m->devices->pdata[i]);
}

static u32 in_flight(const Device *d)
{
    const VirtioDevice *v = (const VirtioDevice *)d;
    u32 n = 0;

    if (d->type == &virtio_mmio && v->type)
        for (u32 q = 0; q < VIRTIO_QUEUES; q++)
            n += v->queue[q].in_flight;
    return n;
}

static void info_pending(Monitor *mon)
{
    u32 shown = 0;

    for (u32 i = 0; i < mon->m->devices->len; i++) {
        Device *d = mon->m->devices->pdata[i];
        bool busy = d->type->drained && !d->type->drained(d);
        u32 n = in_flight(d);

        if (!busy && !n)
            continue;
        put(mon, "%s%s%s at %016" PRIx64 ": %u requests%s\n", d->type->name,
            d->id ? " " : "", d->id ? d->id : "", d->base, n,
            busy ? ", under way" : ", waiting");
        shown++;
    }
    if (!shown)
        put(mon, "nothing is under way\n");
}

/* ---- back ends ---- */

static void info_chardev(Monitor *mon)
{
    ChardevInfo c;

    for (u32 i = 0; chardev_nth(mon->m, i, &c); i++)
        put(mon, "%s: filename=%s\n", c.label, c.filename);
}

static void info_block(Monitor *mon)
{
    DiskInfo d;

    for (u32 i = 0; disk_nth(mon->m, i, &d); i++)
        put(mon, "%s: %s (raw%s%s)\n    %" PRIu64 " bytes, %" PRIu64 " on the host%s\n",
            d.id, d.file, d.read_only ? ", read-only" : "",
            d.snapshot ? ", snapshot" : "", d.size, d.allocated,
            d.used ? "" : "\n    [not attached]");
}

static void info_network(Monitor *mon)
{
    for (u32 i = 0; i < mon->m->devices->len; i++) {
        const Device *d = mon->m->devices->pdata[i];

        if (g_str_has_prefix(d->type->name, "net-"))
            put_device(mon, d);
    }
}

static void info_balloon(Monitor *mon)
{
    char *error = NULL;
    u64 bytes;

    if (balloon_get(mon->m, &bytes, &error)) {
        put(mon, "balloon: actual=%" PRIu64 "\n", bytes >> 20);
        return;
    }
    put(mon, "Error: %s\n", error);
    g_free(error);
}

/* ---- the translator ---- */

static void info_jit(Monitor *mon)
{
    CacheStats s;

    cache_stats(mon->m->cache, &s);
#define LINE(field, text) put(mon, "%-24s %" PRIu64 "\n", text, s.field)
    LINE(blocks, "blocks translated");
    LINE(traces, "of these traces");
    LINE(guest_insns, "guest instructions");
    LINE(trace_insns, "of these in traces");
    LINE(host_bytes, "bytes of host code");
    LINE(meta_bytes, "bytes beside it");
    LINE(translate_ns, "ns spent translating");
    LINE(links, "exits linked");
    LINE(jump_misses, "jump cache misses");
    LINE(lookups, "look-ups");
    LINE(flushes, "flushes of everything");
    LINE(invalidated, "blocks dropped");
    LINE(smc_faults, "writes to code caught");
    LINE(hot_pages, "pages written too often");
    LINE(entries, "entries from C");
#undef LINE
    for (u32 i = 0; i < mon->m->n_cpus; i++) {
        const Mmu *mmu = mon->m->cpu[i].env->mmu;

        if (mmu)
            put(mon, "CPU #%u: %" PRIu64 " page walks, %" PRIu64 " TLB flushes\n", i,
                mmu->walks, mmu->flushes);
    }
}

/* ---- the table ---- */

static const Item items[] = {
    {"balloon", info_balloon, "", "memory that the guest keeps to, MiB"},
    {"block", info_block, "", "disks"},
    {"chardev", info_chardev, "", "where serial lines lead"},
    {"cpus", info_cpus, "", "CPUs and their threads"},
    {"irq", info_irq, "", "interrupt controllers"},
    {"jit", info_jit, "", "what was translated"},
    {"mem", info_mem, "", "virtual addresses that are mapped"},
    {"mtree", info_mtree, "", "physical addresses"},
    {"name", info_name, "", "the board"},
    {"network", info_network, "", "network back ends"},
    {"pending", info_pending, "", "requests that devices work on"},
    {"qtree", info_qtree, "", "devices"},
    {"registers", info_registers, "[-a]", "a CPU's registers; -a: all CPUs'"},
    {"status", info_status, "", "does it run?"},
    {"tlb", info_tlb, "", "what the TLB holds"},
    {"version", info_version, "", "ours"},
    {NULL},
};

void monitor_info_help(GString *out, const char *prefix)
{
    for (const Item *i = items; i->name; i++)
        if (g_str_has_prefix(i->name, prefix))
            g_string_append_printf(out, "info %s%s%s -- %s\n", i->name,
                                   *i->args ? " " : "", i->args, i->help);
}

void monitor_info_names(const char *prefix, GPtrArray *names)
{
    for (const Item *i = items; i->name; i++)
        if (g_str_has_prefix(i->name, prefix))
            g_ptr_array_add(names, g_strdup(i->name));
}

void monitor_info(Monitor *mon)
{
    const char *name = mon->arg[0];

    if (!name) {
        monitor_info_help(mon->out, "");
        return;
    }
    for (const Item *i = items; i->name; i++)
        if (strcmp(i->name, name) == 0) {
            if (mon->n_args > 1 && !*i->args)
                monitor_refuse(mon, "info %s: extraneous characters at the end of line",
                               name);
            else
                i->run(mon);
            return;
        }
    monitor_refuse(mon, "unknown command: 'info %s'", name);
}
