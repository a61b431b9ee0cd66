/* SPDX-License-Identifier: MIT */
/* Packets and their answers, but for queries. */
#include <errno.h>
#include <string.h>
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

enum { SIGNALS = 64 };

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

void gdb_put_thread(const GdbStub *s, GString *out, const GdbThread *t)
{
    if (s->session.multiprocess)
        g_string_append_printf(out, "p%x.", t->pid);
    g_string_append_printf(out, "%x", t->tid);
}

bool gdb_matches(const GdbThread *t, GdbId id)
{
    return (id.pid <= 0 || id.pid == t->pid) && (id.tid <= 0 || id.tid == t->tid);
}

GdbThread *gdb_find(const GdbStub *s, GdbId id)
{
    if (s->chosen && gdb_matches(s->chosen, id))
        return s->chosen;
    for (GdbThread *t = s->threads; t; t = t->next)
        if (gdb_matches(t, id))
            return t;
    return NULL;
}

static void choose_thread(GdbStub *s, GdbText *in, GString *out)
{
    bool general = gdb_text_skip(in, "g");
    GdbThread *t;
    GdbId id;

    if ((!general && !gdb_text_skip(in, "c")) || !gdb_text_thread(in, &id) ||
        !(t = gdb_find(s, id))) {
        gdb_put_error(out, ESRCH);
        return;
    }
    if (general)
        s->chosen = t;
    put_ok(out);
}

static void thread_alive(GdbStub *s, GdbText *in, GString *out)
{
    GdbId id;

    put_result(out, gdb_text_thread(in, &id) && gdb_find(s, id) ? 0 : ESRCH);
}

/* ---- why it has stopped ---- */

static void put_reg(GdbStub *s, GString *out, u32 reg)
{
    u8 value[REG_BYTES];
    u32 size = s->guest->debug->get(s->chosen->env, reg, value);

    g_string_append_printf(out, "%02x:", reg);
    gdb_put_hex(out, value, size);
    g_string_append_c(out, ';');
}

static void put_reason(GdbStub *s, GString *out, const Stop *why)
{
    static const char *const watch[] = {"watch", "rwatch", "awatch"};

    if (why->kind == STOP_BREAK)
        g_string_append(out, "swbreak:;");
    else if (why->kind == STOP_WATCH)
        g_string_append_printf(out, "%s:%llx;", watch[why->type - '2'],
                               (unsigned long long)why->value);
    else if (s->side->reason)
        s->side->reason(s, out, why);
}

void gdb_put_stop(GdbStub *s, GString *out)
{
    const GuestDebug *d = s->guest->debug;
    const Stop *why = &s->chosen->stop;

    g_string_printf(out, "T%02xthread:", gdb_signal_out(why->sig));
    gdb_put_thread(s, out, s->chosen);
    g_string_append_c(out, ';');
    put_reg(s, out, d->pc);
    put_reg(s, out, d->sp);
    put_reg(s, out, d->fp);
    put_reason(s, out, why);
}

static void why_stopped(GdbStub *s, GdbText *in, GString *out)
{
    if (s->chosen)
        gdb_put_stop(s, out);
    else
        g_string_assign(out, "W00");
}

/* ---- registers ---- */

/* The chosen thread's registers are going to be changed. */
static void change(GdbStub *s)
{
    if (s->side->change)
        s->side->change(s->chosen);
}

static Env *chosen_env(GdbStub *s) { return s->chosen->env; }

static void read_regs(GdbStub *s, GdbText *in, GString *out)
{
    const GuestDebug *d = s->guest->debug;
    u8 value[REG_BYTES];

    for (u32 i = 0; i < d->n_general; i++)
        gdb_put_hex(out, value, d->get(chosen_env(s), i, value));
}

static void write_regs(GdbStub *s, GdbText *in, GString *out)
{
    const GuestDebug *d = s->guest->debug;
    u8 value[REG_BYTES];

    change(s);
    for (u32 i = 0; i < d->n_general; i++) {
        if (!gdb_text_bytes(in, value, d->get(chosen_env(s), i, value))) {
            gdb_put_error(out, EINVAL);
            return;
        }
        d->set(chosen_env(s), i, value);
    }
    put_ok(out);
}

static void read_reg(GdbStub *s, GdbText *in, GString *out)
{
    u8 value[REG_BYTES];
    u64 reg;
    u32 size = 0;

    if (gdb_text_number(in, &reg) && reg <= UINT32_MAX)
        size = s->guest->debug->get(chosen_env(s), (u32)reg, value);
    if (size)
        gdb_put_hex(out, value, size);
    else
        gdb_put_error(out, EINVAL);
}

static void write_reg(GdbStub *s, GdbText *in, GString *out)
{
    const GuestDebug *d = s->guest->debug;
    u8 value[REG_BYTES];
    u64 reg;
    bool good;

    change(s);
    good = gdb_text_number(in, &reg) && reg <= UINT32_MAX && gdb_text_skip(in, "=") &&
           gdb_text_bytes(in, value, d->get(chosen_env(s), (u32)reg, value)) &&
           gdb_text_end(in) && d->set(chosen_env(s), (u32)reg, value);
    put_result(out, good ? 0 : EINVAL);
}

/* ---- memory ---- */

static void read_memory(GdbStub *s, GdbText *in, GString *out)
{
    u64 addr, len;

    if (!gdb_text_pair(in, &addr, &len) || len > GDB_PACKET_MAX / 2) {
        gdb_put_error(out, EINVAL);
        return;
    }
    g_byte_array_set_size(s->bytes, (guint)len);
    /* A debugger would rather have less than nothing. */
    while (len && !s->side->read(s, addr, s->bytes->data, len))
        len = addr / PAGE_SIZE == (addr + len - 1) / PAGE_SIZE
                  ? 0
                  : align_down(addr + len - 1, PAGE_SIZE) - addr;
    if (len == 0 && s->bytes->len)
        gdb_put_error(out, EFAULT);
    else
        gdb_put_hex(out, s->bytes->data, len);
}

static void write_bytes(GdbStub *s, GdbText *in, GString *out,
                        bool (*parse)(GdbText *t, GByteArray *bytes))
{
    u64 addr, len;

    if (!gdb_text_pair(in, &addr, &len) || !gdb_text_skip(in, ":") ||
        !parse(in, s->bytes) || s->bytes->len != len)
        gdb_put_error(out, EINVAL);
    else
        put_result(out, s->side->write(s, addr, s->bytes->data, len) ? 0 : EFAULT);
}

static void write_memory(GdbStub *s, GdbText *in, GString *out)
{
    write_bytes(s, in, out, gdb_text_hex);
}

static void write_binary(GdbStub *s, GdbText *in, GString *out)
{
    write_bytes(s, in, out, gdb_text_binary);
}

static void change_point(GdbStub *s, GdbText *in, GString *out,
                         int (*change)(GdbStub *s, char type, u64 addr, u64 len))
{
    char type = gdb_text_end(in) ? 0 : *in->at++;
    u64 addr, len;

    if (type < '0' || type > '4')
        return; /* no such kind: not supported */
    if (!gdb_text_skip(in, ",") || !gdb_text_pair(in, &addr, &len))
        gdb_put_error(out, EINVAL);
    else
        put_result(out, change(s, type, addr, len));
}

static void insert_point(GdbStub *s, GdbText *in, GString *out)
{
    change_point(s, in, out, gdb_insert);
}

static void remove_point(GdbStub *s, GdbText *in, GString *out)
{
    change_point(s, in, out, gdb_remove);
}

/* ---- going on ---- */

typedef struct Resume {
    GdbAction action;
    int signal;
    u64 start, end;
    GdbId id;
} Resume;

static void resume_thread(GdbStub *s, GdbThread *t, const Resume *r)
{
    t->action = r->action;
    t->range_start = r->start;
    t->range_end = r->end;
    if (s->side->resume_thread)
        s->side->resume_thread(t, r->signal);
}

/* Each thread does what the first action that names it says. */
static void resume(GdbStub *s, const Resume *r, size_t n)
{
    static const Resume none = {.action = GDB_HOLD};

    s->unnamed = GDB_HOLD;
    for (size_t i = n; i-- > 0;)
        if (r[i].id.tid <= 0)
            s->unnamed = GDB_RUN;
    for (GdbThread *t = s->threads; t; t = t->next) {
        const Resume *what = &none;

        for (size_t i = n; i-- > 0;)
            if (gdb_matches(t, r[i].id))
                what = &r[i];
        resume_thread(s, t, what);
    }
    s->side->resume(s);
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

static bool cont(GdbStub *s, GdbText *in, GString *out)
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
        resume(s, actions, n);
    else
        gdb_put_error(out, EINVAL);
    return n == 0;
}

/* c, s, C, S: of all threads, or of the chosen one alone; [sig][;][address]. */
static bool cont_old(GdbStub *s, char what, GdbText *in, GString *out)
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
        s->guest->debug->set(chosen_env(s), s->guest->debug->pc, value);
    }
    if (r.action == GDB_STEP || r.signal)
        r.id = (GdbId){-1, s->chosen->tid};
    resume(s, &r, 1);
    return false;
}

/* ---- the end ---- */

static void kill_chosen(GdbStub *s, GString *out)
{
    put_ok(out);
    gdb_send(s, out);
    s->side->kill(s, false);
}

static void detach(GdbStub *s, GdbText *in, GString *out)
{
    put_ok(out);
    s->detached = true;
}

/* ---- dispatch ---- */

static bool verbose(GdbStub *s, GdbText *in, GString *out)
{
    if (gdb_text_skip(in, "Cont?"))
        g_string_assign(out, "vCont;c;C;s;S;r");
    else if (gdb_text_skip(in, "Cont;"))
        return cont(s, in, out);
    else if (s->side->file && gdb_text_skip(in, "File:"))
        s->side->file(s, in, out);
    else if (gdb_text_skip(in, "Kill;"))
        kill_chosen(s, out);
    return true;
}

static const struct {
    char name;
    void (*answer)(GdbStub *s, GdbText *in, GString *out);
} commands[] = {
    {'?', why_stopped},  {'D', detach},    {'G', write_regs},   {'H', choose_thread},
    {'M', write_memory}, {'P', write_reg}, {'T', thread_alive}, {'X', write_binary},
    {'Z', insert_point}, {'g', read_regs}, {'m', read_memory},  {'p', read_reg},
    {'z', remove_point},
};

bool gdb_packet(GdbStub *s, const char *packet, size_t size, GString *out)
{
    GdbText in = {packet, packet + size};
    char name = size ? *in.at++ : 0;

    g_string_truncate(out, 0);
    if (s->side->redirect && s->side->redirect(s, packet, size, out))
        return out->len > 0;
    if (!s->stopped || !s->chosen ||
        s->ended) { /* it has not been asked to wait for us */
        gdb_put_error(out, EBUSY);
        return true;
    }
    switch (name) {
    case 'q':
    case 'Q': gdb_query(s, &(GdbText){packet, packet + size}, out); return true;
    case 'v': return verbose(s, &in, out);
    case 'c':
    case 's':
    case 'C':
    case 'S': return cont_old(s, name, &in, out);
    case 'k': s->side->kill(s, true); return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i].name == name)
            commands[i].answer(s, &in, out);
    return true;
}
