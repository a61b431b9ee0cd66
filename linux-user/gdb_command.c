/* SPDX-License-Identifier: MIT */
/* Packets and their answers, but for queries and files. */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "gdb.h"

enum { REG_BYTES = 64 };

void gdb_put_error(GString *out, int error)
{
    g_string_printf(out, "E%02d", error % 100);
}

static void put_ok(GString *out) { g_string_assign(out, "OK"); }

static void put_result(GString *out, int error)
{
    if (error)
        gdb_put_error(out, error);
    else
        put_ok(out);
}

/* ---- signals ---- */

/* include/gdb/signals.def; guest's number -> gdb's. */
static const u8 signal_numbers[SIGNALS + 1] = {
    0,  1,  2,  3,  4,  5,  6,  10, 8,  9,  30, 11, 31, 13, 14, 15, 0,
    20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12, 77, [64] = 78,
};

enum { RT_FIRST = 33, RT_LAST = 63, GDB_RT_FIRST = 45, GDB_UNKNOWN = 143 };

int gdb_signal_out(int sig)
{
    if (sig >= RT_FIRST && sig <= RT_LAST)
        return sig - RT_FIRST + GDB_RT_FIRST;
    return signal_numbers[sig] || sig == 0 ? signal_numbers[sig] : GDB_UNKNOWN;
}

int gdb_signal_in(int number)
{
    for (int sig = 1; sig <= SIGNALS; sig++)
        if (gdb_signal_out(sig) == number)
            return sig;
    return 0;
}

/* ---- threads ---- */

bool gdb_text_thread(GdbText *t, GdbId *id)
{
    GdbText all = *t;

    *id = (GdbId){-1, -1};
    if (!gdb_text_skip(t, "p")) {
        if (gdb_text_id(t, &id->tid))
            return true;
    } else if (gdb_text_id(t, &id->pid) &&
               (!gdb_text_skip(t, ".") || gdb_text_id(t, &id->tid))) {
        return true;
    }
    *t = all;
    return false;
}

void gdb_put_thread(const Gdb *g, GString *out, const GdbTask *gt)
{
    if (g->session.multiprocess)
        g_string_append_printf(out, "p%x.", gt->pid);
    g_string_append_printf(out, "%x", gt->tid);
}

bool gdb_matches(const GdbTask *gt, GdbId id)
{
    return (id.pid <= 0 || id.pid == gt->pid) && (id.tid <= 0 || id.tid == gt->tid);
}

GdbTask *gdb_find(const Gdb *g, GdbId id)
{
    if (g->chosen && gdb_matches(g->chosen, id))
        return g->chosen;
    for (GdbTask *gt = g->tasks; gt; gt = gt->next)
        if (gdb_matches(gt, id))
            return gt;
    return NULL;
}

static void choose_thread(Gdb *g, GdbText *in, GString *out)
{
    bool general = gdb_text_skip(in, "g");
    GdbTask *gt;
    GdbId id;

    if ((!general && !gdb_text_skip(in, "c")) || !gdb_text_thread(in, &id) ||
        !(gt = gdb_find(g, id))) {
        gdb_put_error(out, ESRCH);
        return;
    }
    if (general)
        g->chosen = gt;
    put_ok(out);
}

static void thread_alive(Gdb *g, GdbText *in, GString *out)
{
    GdbId id;

    put_result(out, gdb_text_thread(in, &id) && gdb_find(g, id) ? 0 : ESRCH);
}

/* ---- why it has stopped ---- */

static void put_reg(Gdb *g, GString *out, u32 reg)
{
    u8 value[REG_BYTES];
    u32 size = g->process->guest->debug->get(g->chosen->task->env, reg, value);

    g_string_append_printf(out, "%02x:", reg);
    gdb_put_hex(out, value, size);
    g_string_append_c(out, ';');
}

static void put_exec(Gdb *g, GString *out)
{
    const char *exe = g->process->exe ? g->process->exe : g->process->program;

    g_string_append(out, "exec:");
    gdb_put_hex(out, exe, strlen(exe));
    g_string_append_c(out, ';');
}

static void put_reason(Gdb *g, GString *out, const Stop *s)
{
    static const char *const watch[] = {"watch", "rwatch", "awatch"};
    unsigned long long value = s->value;
    int pid = (int)s->value;

    switch (s->kind) {
    case STOP_BREAK: g_string_append(out, "swbreak:;"); break;
    case STOP_WATCH:
        g_string_append_printf(out, "%s:%llx;", watch[s->type - '2'], value);
        break;
    case STOP_ENTRY: g_string_append_printf(out, "syscall_entry:%llx;", value); break;
    case STOP_RETURN: g_string_append_printf(out, "syscall_return:%llx;", value); break;
    case STOP_FORK: g_string_append_printf(out, "fork:p%x.%x;", pid, pid); break;
    case STOP_VFORK: g_string_append_printf(out, "vfork:p%x.%x;", pid, pid); break;
    case STOP_VFORK_DONE: g_string_append(out, "vforkdone:;"); break;
    case STOP_EXEC: put_exec(g, out); break;
    default: break;
    }
}

void gdb_put_stop(Gdb *g, GString *out)
{
    const GuestDebug *d = g->process->guest->debug;
    const Stop *s = &g->chosen->stop;

    g_string_printf(out, "T%02xthread:", gdb_signal_out(s->sig));
    gdb_put_thread(g, out, g->chosen);
    g_string_append_c(out, ';');
    put_reg(g, out, d->pc);
    put_reg(g, out, d->sp);
    put_reg(g, out, d->fp);
    put_reason(g, out, s);
}

static void why_stopped(Gdb *g, GdbText *in, GString *out)
{
    if (g->chosen)
        gdb_put_stop(g, out);
    else
        g_string_assign(out, "W00");
}

/* ---- registers ---- */

static Env *chosen_env(Gdb *g) { return g->chosen->task->env; }

static void read_regs(Gdb *g, GdbText *in, GString *out)
{
    const GuestDebug *d = g->process->guest->debug;
    u8 value[REG_BYTES];

    for (u32 i = 0; i < d->n_general; i++)
        gdb_put_hex(out, value, d->get(chosen_env(g), i, value));
}

static void write_regs(Gdb *g, GdbText *in, GString *out)
{
    const GuestDebug *d = g->process->guest->debug;
    u8 value[REG_BYTES];

    gdb_kick(g, g->chosen);
    for (u32 i = 0; i < d->n_general; i++) {
        if (!gdb_text_bytes(in, value, d->get(chosen_env(g), i, value))) {
            gdb_put_error(out, EINVAL);
            return;
        }
        d->set(chosen_env(g), i, value);
    }
    put_ok(out);
}

static void read_reg(Gdb *g, GdbText *in, GString *out)
{
    u8 value[REG_BYTES];
    u64 reg;
    u32 size = 0;

    if (gdb_text_number(in, &reg) && reg <= UINT32_MAX)
        size = g->process->guest->debug->get(chosen_env(g), (u32)reg, value);
    if (size)
        gdb_put_hex(out, value, size);
    else
        gdb_put_error(out, EINVAL);
}

static void write_reg(Gdb *g, GdbText *in, GString *out)
{
    const GuestDebug *d = g->process->guest->debug;
    u8 value[REG_BYTES];
    u64 reg;
    bool good;

    gdb_kick(g, g->chosen);
    good = gdb_text_number(in, &reg) && reg <= UINT32_MAX && gdb_text_skip(in, "=") &&
           gdb_text_bytes(in, value, d->get(chosen_env(g), (u32)reg, value)) &&
           gdb_text_end(in) && d->set(chosen_env(g), (u32)reg, value);
    put_result(out, good ? 0 : EINVAL);
}

/* ---- memory ---- */

static void read_memory(Gdb *g, GdbText *in, GString *out)
{
    u64 addr, len;

    if (!gdb_text_pair(in, &addr, &len) || len > GDB_PACKET_MAX / 2) {
        gdb_put_error(out, EINVAL);
        return;
    }
    g_byte_array_set_size(g->bytes, (guint)len);
    /* A debugger would rather have less than nothing. */
    while (len && !gdb_read(g, addr, g->bytes->data, len))
        len = addr / PAGE_SIZE == (addr + len - 1) / PAGE_SIZE
                  ? 0
                  : align_down(addr + len - 1, PAGE_SIZE) - addr;
    if (len == 0 && g->bytes->len)
        gdb_put_error(out, EFAULT);
    else
        gdb_put_hex(out, g->bytes->data, len);
}

static void write_bytes(Gdb *g, GdbText *in, GString *out,
                        bool (*parse)(GdbText *t, GByteArray *bytes))
{
    u64 addr, len;

    if (!gdb_text_pair(in, &addr, &len) || !gdb_text_skip(in, ":") ||
        !parse(in, g->bytes) || g->bytes->len != len)
        gdb_put_error(out, EINVAL);
    else
        put_result(out, gdb_write(g, addr, g->bytes->data, len) ? 0 : EFAULT);
}

static void write_memory(Gdb *g, GdbText *in, GString *out)
{
    write_bytes(g, in, out, gdb_text_hex);
}

static void write_binary(Gdb *g, GdbText *in, GString *out)
{
    write_bytes(g, in, out, gdb_text_binary);
}

static void change_point(Gdb *g, GdbText *in, GString *out,
                         int (*change)(Gdb *g, char type, u64 addr, u64 len))
{
    char type = gdb_text_end(in) ? 0 : *in->at++;
    u64 addr, len;

    if (type < '0' || type > '4')
        return; /* no such kind: not supported */
    if (!gdb_text_skip(in, ",") || !gdb_text_pair(in, &addr, &len))
        gdb_put_error(out, EINVAL);
    else
        put_result(out, change(g, type, addr, len));
}

static void insert_point(Gdb *g, GdbText *in, GString *out)
{
    change_point(g, in, out, gdb_insert);
}

static void remove_point(Gdb *g, GdbText *in, GString *out)
{
    change_point(g, in, out, gdb_remove);
}

/* ---- going on ---- */

typedef struct Resume {
    GdbAction action;
    int signal;
    u64 start, end;
    GdbId id;
} Resume;

static void resume_task(GdbTask *gt, const Resume *r)
{
    gt->action = r->action;
    gt->range_start = r->start;
    gt->range_end = r->end;
    gt->stepped = false;
    if (r->action != GDB_HOLD)
        gdb_make_call_again(gt);
    if (gt->asking) {
        gt->signal = r->signal;
    } else if (r->signal) {
        gt->inject = r->signal;
        host_syscall(SYS_tgkill, getpid(), gt->task->tid, r->signal);
    }
}

/* Each thread does what the first action that names it says. */
static void resume(Gdb *g, const Resume *r, size_t n)
{
    static const Resume none = {.action = GDB_HOLD};

    g->unnamed = GDB_HOLD;
    for (size_t i = n; i-- > 0;)
        if (r[i].id.tid <= 0)
            g->unnamed = GDB_RUN;
    for (GdbTask *gt = g->tasks; gt; gt = gt->next) {
        const Resume *what = &none;

        for (size_t i = n; i-- > 0;)
            if (gdb_matches(gt, r[i].id))
                what = &r[i];
        resume_task(gt, what);
    }
    gdb_resume_all(g);
}

static bool parse_signal(GdbText *in, int *sig)
{
    u64 number;

    if (!gdb_text_number(in, &number) || number > 255)
        return false;
    *sig = gdb_signal_in((int)number);
    return *sig || number == 0;
}

/* One action of vCont. */
static bool parse_action(GdbText *in, Resume *r)
{
    char what = gdb_text_end(in) ? 0 : *in->at++;

    *r = (Resume){.id = {-1, -1},
                  .action = what == 'c' || what == 'C' ? GDB_RUN : GDB_STEP};
    switch (what) {
    case 'c':
    case 's': break;
    case 'C':
    case 'S':
        if (!parse_signal(in, &r->signal))
            return false;
        break;
    case 'r':
        if (!gdb_text_pair(in, &r->start, &r->end))
            return false;
        break;
    default: return false;
    }
    return gdb_text_end(in) ||
           (gdb_text_skip(in, ":") && gdb_text_thread(in, &r->id) && gdb_text_end(in));
}

enum { ACTIONS = 64 };

static bool cont(Gdb *g, GdbText *in, GString *out)
{
    Resume actions[ACTIONS];
    size_t n = 0;

    while (!gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');

        if (n == ACTIONS || !parse_action(&word, &actions[n++])) {
            gdb_put_error(out, EINVAL);
            return true;
        }
    }
    if (n)
        resume(g, actions, n);
    else
        gdb_put_error(out, EINVAL);
    return n == 0;
}

/* c, s, C, S: of all threads, or of the chosen one alone; [sig][;][address]. */
static bool cont_old(Gdb *g, char what, GdbText *in, GString *out)
{
    Resume r = {.id = {-1, -1},
                .action = what == 'c' || what == 'C' ? GDB_RUN : GDB_STEP};
    u8 value[REG_BYTES] = {0};
    u64 addr;

    if ((what == 'C' || what == 'S') && !parse_signal(in, &r.signal)) {
        gdb_put_error(out, EINVAL);
        return true;
    }
    gdb_text_skip(in, ";");
    if (gdb_text_number(in, &addr)) {
        memcpy(value, &addr, sizeof addr);
        g->process->guest->debug->set(chosen_env(g), g->process->guest->debug->pc,
                                      value);
    }
    if (r.action == GDB_STEP || r.signal)
        r.id = (GdbId){-1, g->chosen->tid};
    resume(g, &r, 1);
    return false;
}

/* ---- the end ---- */

static void kill_all(Gdb *g)
{
    if (g->socket_path)
        unlink(g->socket_path);
    gdb_kill_peers(g);
    kill(getpid(), SIGKILL);
}

static void kill_process(Gdb *g, GdbText *in, GString *out)
{
    put_ok(out);
    gdb_send(g, out);
    gdb_pass_on(g);
    if (g->socket_path)
        unlink(g->socket_path);
    kill(g->chosen->pid, SIGKILL);
}

static void detach(Gdb *g, GdbText *in, GString *out)
{
    put_ok(out);
    g->detached = true;
}

/* ---- dispatch ---- */

static bool verbose(Gdb *g, GdbText *in, GString *out)
{
    if (gdb_text_skip(in, "Cont?"))
        g_string_assign(out, "vCont;c;C;s;S;r");
    else if (gdb_text_skip(in, "Cont;"))
        return cont(g, in, out);
    else if (gdb_text_skip(in, "File:"))
        gdb_file(g, in, out);
    else if (gdb_text_skip(in, "Kill;"))
        kill_process(g, in, out);
    return true;
}

static const struct {
    char name;
    void (*answer)(Gdb *g, GdbText *in, GString *out);
} commands[] = {
    {'?', why_stopped},  {'D', detach},    {'G', write_regs},   {'H', choose_thread},
    {'M', write_memory}, {'P', write_reg}, {'T', thread_alive}, {'X', write_binary},
    {'Z', insert_point}, {'g', read_regs}, {'m', read_memory},  {'p', read_reg},
    {'z', remove_point},
};

bool gdb_packet(Gdb *g, const char *packet, size_t size, GString *out)
{
    GdbText in = {packet, packet + size};
    char name = size ? *in.at++ : 0;

    if (gdb_for_peer(g, packet, size, out))
        return out->len > 0;
    g_string_truncate(out, 0);
    if (!g->stopped || !g->chosen ||
        g->ended) { /* it has not been asked to wait for us */
        gdb_put_error(out, EBUSY);
        return true;
    }
    switch (name) {
    case 'q':
    case 'Q': return gdb_query(g, &(GdbText){packet, packet + size}, out);
    case 'v': return verbose(g, &in, out);
    case 'c':
    case 's':
    case 'C':
    case 'S': return cont_old(g, name, &in, out);
    case 'k': kill_all(g); return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i].name == name)
            commands[i].answer(g, &in, out);
    return true;
}
