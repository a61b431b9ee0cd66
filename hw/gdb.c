/* SPDX-License-Identifier: MIT */
/*
 * -gdb: a debugger of the whole machine (tcache/gdb/gdb.h has what stubs share).  Each
 * CPU is a thread, 1 and on.  Memory is what the chosen CPU's tables map as it stands,
 * or what is physically there (Qqemu.PhyMemMode).  All of this runs on the main thread,
 * with all CPUs parked while a packet is answered; gdb_run is what a CPU does that is
 * stepped, or that runs while memory is watched.
 */
#include <errno.h>
#include <string.h>
#include "../tcache/gdb/gdb.h"
#include "inside.h"

enum { PID = 1, OUT_MOST = 1 << 20 };

typedef struct GdbCpu {
    GdbThread thread; /* first */
    Cpu *cpu;
} GdbCpu;

struct GdbMachine {
    GdbStub stub; /* first */
    Machine *machine;
    Chardev *line;
    CharClient client;
    GByteArray *out; /* not yet taken by the line */
    bool physical;   /* addresses are */
    bool ran;        /* when the client came */
    GdbCpu cpu[MAX_CPUS];
};

static GdbMachine *gdb_of(GdbStub *s) { return (GdbMachine *)s; }
static Cpu *cpu_of(const GdbThread *t) { return ((const GdbCpu *)t)->cpu; }

/* ---- bytes ---- */

static void flush(GdbMachine *g)
{
    size_t n = chardev_write(g->line, &g->client, g->out->data, g->out->len);

    if (n)
        g_byte_array_remove_range(g->out, 0, (guint)n);
}

static void send_bytes(GdbStub *s, const char *bytes, size_t n)
{
    GdbMachine *g = gdb_of(s);

    g_byte_array_append(g->out, (const u8 *)bytes, (guint)n);
    flush(g);
}

/* ---- memory ---- */

static bool physical(const GdbMachine *g, u64 addr, u64 *phys)
{
    const Machine *m = g->machine;

    *phys = addr;
    return g->physical || m->board->translate(cpu_of(g->stub.chosen), addr, phys);
}

static bool access_memory(GdbMachine *g, u64 addr, u8 *bytes, u64 len, bool write)
{
    Machine *m = g->machine;

    for (u64 done = 0, n; done < len; done += n) {
        u64 phys;

        n = MIN(len - done, PAGE_SIZE - ((addr + done) & ~PAGE_MASK));
        if (!physical(g, addr + done, &phys) ||
            !(write ? dma_write(m, phys, bytes + done, n)
                    : dma_read(m, phys, bytes + done, n)))
            return false;
    }
    return true;
}

static bool read_memory(GdbStub *s, u64 addr, void *to, u64 len)
{
    return access_memory(gdb_of(s), addr, to, len, false);
}

static bool write_memory(GdbStub *s, u64 addr, const void *from, u64 len)
{
    return access_memory(gdb_of(s), addr, (u8 *)from, len, true);
}

/* ---- stopping and going on ---- */

static int signal_of(const Machine *m)
{
    switch (m->run) {
    case RUN_DEBUG: return SIGTRAP;
    case RUN_IO_ERROR: return SIGIO;
    case RUN_SHUTDOWN: return SIGQUIT;
    default: return SIGINT;
    }
}

/* Whose stop it is, and why. */
static void choose(GdbMachine *g)
{
    Machine *m = g->machine;
    Cpu *met = m->run == RUN_DEBUG ? m->debugged : NULL;
    GdbStub *s = &g->stub;

    if (met)
        s->chosen = &g->cpu[met->id].thread;
    if (!met)
        s->chosen->stop = (Stop){.sig = signal_of(m)};
    else if (s->chosen->stop.kind == STOP_NONE)
        s->chosen->stop = (Stop){.kind = STOP_BREAK, .sig = SIGTRAP};
}

/* The machine has stopped, if it has not gone on since: tells the client that waits. */
static void on_stopped(void *ctx)
{
    GdbMachine *g = ctx;
    Machine *m = g->machine;

    if (!g->stub.attached || !g->stub.waiting || m->run == RUN_RUNNING)
        return;
    machine_hold(m);
    for (u32 i = 0; i < m->n_cpus; i++) {
        g->cpu[i].thread.action = GDB_RUN;
        m->cpu[i].frozen = m->cpu[i].slow = false;
    }
    choose(g);
    gdb_tell_stop(&g->stub);
    machine_release(m);
}

static void stop(GdbStub *s)
{
    GdbMachine *g = gdb_of(s);

    if (g->machine->run == RUN_RUNNING)
        machine_stop(g->machine, RUN_PAUSED);
    else
        io_call(g->machine, on_stopped, g);
}

/* What the CPU is to do when the machine runs. */
static void resume_thread(GdbThread *t, int sig)
{
    Cpu *cpu = cpu_of(t);

    t->stop = (Stop){.sig = SIGTRAP};
    cpu->frozen = t->action == GDB_HOLD;
    cpu->slow = t->action == GDB_STEP || cpu->machine->gdb->stub.watches->len;
}

static void resume(GdbStub *s)
{
    Machine *m = gdb_of(s)->machine;

    s->waiting = true;
    if (m->run != RUN_SHUTDOWN)
        machine_cont(m);
    else
        io_call(m, on_stopped, s);
}

static void kill_machine(GdbStub *s, bool all) { machine_quit(gdb_of(s)->machine, 0); }

/* ---- one instruction after the other ---- */

static bool in_range(const GdbThread *t, u64 pc)
{
    return pc >= t->range_start && pc < t->range_end;
}

/* Something happened that a CPU waits for, or it is to park: not now. */
static bool interrupted(Cpu *cpu)
{
    if (!cpu->env->request && !atomic_load(&cpu->calls))
        return false;
    atomic_fetch_and(&cpu->env->request, ~(u64)REQUEST_SIGNAL);
    return true;
}

/* A step is whole when its trap has been delivered. */
static TrapKind end_step(Cpu *cpu, GdbThread *t, TrapKind kind)
{
    if (kind != TRAP_NONE && kind != TRAP_WAIT && kind != TRAP_REQUEST)
        cpu->machine->board->trap(cpu);
    if (in_range(t, cpu->env->pc))
        return TRAP_NONE;
    t->stop.kind = STOP_STEP;
    return TRAP_STOP;
}

TrapKind gdb_run(Cpu *cpu)
{
    GdbMachine *g = cpu->machine->gdb;
    GdbThread *t = &g->cpu[cpu->id].thread;
    bool step = t->action == GDB_STEP;
    Env *env = cpu->env;

    for (bool first = true;; first = false) {
        TrapKind kind;
        Access access;

        if (!(first && step) && space_stops(&cpu->machine->space, env->pc)) {
            t->stop.kind = STOP_BREAK;
            return TRAP_STOP;
        }
        if (atomic_load(&cpu->attention) || (!step && interrupted(cpu)))
            return TRAP_REQUEST;
        kind = exec_step(env, &access);
        if (gdb_watch_hit(&g->stub, &access, &t->stop))
            return TRAP_STOP;
        if (step)
            kind = end_step(cpu, t, kind);
        if (kind != TRAP_NONE)
            return kind;
    }
}

/* ---- packets of a machine's ---- */

static void thread_name(const GdbThread *t, char name[GDB_NAME])
{
    Cpu *cpu = cpu_of(t);

    g_snprintf(name, GDB_NAME, "CPU#%u [%s]", cpu->id,
               cpu->halted ? "halted" : "running");
}

static void monitor(GdbStub *s, GdbText *in, GString *out)
{
    const char *line = gdb_monitor_line(s, in, out);
    char *text = line ? monitor_command(gdb_of(s)->machine, line) : NULL;

    if (text && *text)
        gdb_put_hex(out, text, strlen(text));
    else if (line)
        g_string_assign(out, "OK");
    g_free(text);
}

static void set_physical(GdbStub *s, GdbText *in, GString *out)
{
    u64 on;

    if (!gdb_text_number(in, &on) || on > 1) {
        gdb_put_error(out, EINVAL);
        return;
    }
    gdb_of(s)->physical = on;
    g_string_assign(out, "OK");
}

static void is_physical(GdbStub *s, GdbText *in, GString *out)
{
    g_string_assign(out, gdb_of(s)->physical ? "1" : "0");
}

static void qemu_supported(GdbStub *s, GdbText *in, GString *out)
{
    g_string_assign(out, "PhyMemMode");
}

static const GdbQuery queries[] = {
    {"qRcmd", monitor},
    {"Qqemu.PhyMemMode:", set_physical},
    {"qqemu.PhyMemMode", is_physical},
    {"qqemu.Supported", qemu_supported},
    {0},
};

static const GdbSide side = {
    .send = send_bytes,
    .stop = stop,
    .resume = resume,
    .resume_thread = resume_thread,
    .kill = kill_machine,
    .name = thread_name,
    .read = read_memory,
    .write = write_memory,
    .queries = queries,
};

/* ---- the client comes and goes ---- */

static void attach(GdbMachine *g)
{
    Machine *m = g->machine;

    g->ran = m->run == RUN_RUNNING;
    g->physical = false;
    g_byte_array_set_size(g->out, 0);
    if (g->ran)
        machine_stop(m, RUN_PAUSED);
    gdb_client_comes(&g->stub);
}

/* The machine goes on as before the client came, or if it said so. */
static void detach(GdbMachine *g, bool go_on)
{
    Machine *m = g->machine;

    machine_hold(m);
    gdb_remove_all(&g->stub);
    for (u32 i = 0; i < m->n_cpus; i++) {
        g->cpu[i].thread.action = GDB_RUN;
        m->cpu[i].frozen = m->cpu[i].slow = false;
    }
    g->stub.attached = g->stub.waiting = g->stub.detached = false;
    machine_release(m);
    if (go_on &&
        (m->run == RUN_PAUSED || m->run == RUN_DEBUG || m->run == RUN_PRELAUNCH))
        machine_cont(m);
}

static size_t client_room(void *ctx)
{
    const GdbMachine *g = ctx;

    return g->out->len < OUT_MOST ? 4096 : 0;
}

static void client_says(void *ctx, const u8 *bytes, size_t n)
{
    GdbMachine *g = ctx;

    if (!g->stub.attached)
        return;
    machine_hold(g->machine);
    for (size_t i = 0; i < n && g->stub.attached && !g->stub.detached; i++) {
        g->stub.stopped = !g->stub.waiting;
        gdb_client_says(&g->stub, bytes + i, 1);
    }
    machine_release(g->machine);
    if (g->stub.detached)
        detach(g, true);
}

static void client_event(void *ctx, int event)
{
    GdbMachine *g = ctx;

    if (event == CHAR_OPENED && !g->stub.attached)
        attach(g);
    else if (event == CHAR_CLOSED && g->stub.attached && !g->machine->quit)
        detach(g, g->ran || g->stub.waiting);
}

static void client_writable(void *ctx)
{
    GdbMachine *g = ctx;

    flush(g);
    chardev_accept(g->line, &g->client);
}

/* ---- the machine ---- */

static void on_event(void *ctx, MachineEvent event)
{
    GdbMachine *g = ctx;
    GString *text;

    if (event == EVENT_STOP)
        io_call(g->machine, on_stopped, g);
    if (event != EVENT_SHUTDOWN || !g->stub.waiting || g->machine->options->no_shutdown)
        return;
    text = g_string_new(NULL);
    g_string_assign(text, "W00");
    g->stub.waiting = false;
    gdb_send(&g->stub, text);
    g_string_free(text, TRUE);
}

/* A socket waits for clients; other lines are what they are. */
static char *line_spec(const char *address)
{
    bool tcp = g_str_has_prefix(address, "tcp:");
    bool serves =
        (tcp || g_str_has_prefix(address, "unix:")) && !strstr(address, ",server");

    return g_strconcat(address, serves ? ",server=on,wait=off" : "",
                       tcp && !strstr(address, ",nodelay") ? ",nodelay=on" : "", NULL);
}

static void add_cpus(GdbMachine *g)
{
    Machine *m = g->machine;

    for (u32 i = 0; i < m->n_cpus; i++) {
        GdbCpu *c = &g->cpu[i];

        c->cpu = &m->cpu[i];
        c->thread = (GdbThread){
            .env = m->cpu[i].env, .pid = PID, .tid = (i32)i + 1, .action = GDB_RUN};
        gdb_thread_add(&g->stub, &c->thread);
    }
}

bool gdb_new(Machine *m, const char *address, char **error)
{
    GdbMachine *g;
    char *spec;

    if (m->gdb) {
        *error = g_strdup_printf("-gdb %s: there is one already", address);
        return false;
    }
    g = g_new0(GdbMachine, 1);
    g->machine = m;
    g->out = g_byte_array_new();
    gdb_stub_init(&g->stub, &side, m->board->guest, m->cache);
    add_cpus(g);
    g->client =
        (CharClient){g, client_room, client_says, client_event, client_writable};
    spec = line_spec(address);
    g->line = chardev_new(m, "gdb", spec, error);
    g_free(spec);
    m->gdb = g;
    if (!g->line || !chardev_attach(g->line, &g->client)) {
        if (g->line)
            *error = g_strdup_printf("-gdb %s: somebody else has it", address);
        gdb_free(m);
        return false;
    }
    machine_listen(m, on_event, g);
    return true;
}

void gdb_free(Machine *m)
{
    GdbMachine *g = m->gdb;

    if (!g)
        return;
    m->gdb = NULL;
    machine_unlisten(m, g);
    gdb_stub_free(&g->stub);
    g_byte_array_free(g->out, TRUE);
    g_free(g);
}
