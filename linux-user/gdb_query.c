/* SPDX-License-Identifier: MIT */
/* Packets that only a program answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gdb.h"

static void put_ok(GString *out) { g_string_assign(out, "OK"); }

void gdb_features(const GdbStub *s, GString *out)
{
    g_string_append_printf(out,
                           ";qXfer:auxv:read+;qXfer:exec-file:read+;qXfer:siginfo:read+"
                           ";QPassSignals+;QCatchSyscalls+%s%s%s",
                           s->session.fork_events ? ";fork-events+" : "",
                           s->session.vfork_events ? ";vfork-events+" : "",
                           s->session.exec_events ? ";exec-events+" : "");
}

/* The thread's name as the kernel knows it. */
void gdb_thread_name(const GdbThread *t, char name[GDB_NAME])
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/comm", t->tid);
    f = fopen(path, "re");
    *name = 0;
    if (f && fgets(name, GDB_NAME, f))
        name[strcspn(name, "\n")] = 0;
    if (f)
        fclose(f);
}

/* ---- why it has stopped ---- */

static void put_exec(GdbStub *s, GString *out)
{
    const Process *p = gdb_of(s)->process;
    const char *exe = p->exe ? p->exe : p->program;

    g_string_append(out, "exec:");
    gdb_put_hex(out, exe, strlen(exe));
    g_string_append_c(out, ';');
}

void gdb_reason(GdbStub *s, GString *out, const Stop *why)
{
    unsigned long long value = why->value;
    int pid = (int)why->value;

    switch (why->kind) {
    case STOP_ENTRY: g_string_append_printf(out, "syscall_entry:%llx;", value); break;
    case STOP_RETURN: g_string_append_printf(out, "syscall_return:%llx;", value); break;
    case STOP_FORK: g_string_append_printf(out, "fork:p%x.%x;", pid, pid); break;
    case STOP_VFORK: g_string_append_printf(out, "vfork:p%x.%x;", pid, pid); break;
    case STOP_VFORK_DONE: g_string_append(out, "vforkdone:;"); break;
    case STOP_EXEC: put_exec(s, out); break;
    default: break;
    }
}

/* ---- what is worth a stop ---- */

static void pass_signals(GdbStub *s, GdbText *in, GString *out)
{
    u64 mask = 0, number;

    gdb_text_skip(in, ":");
    while (!gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');
        int sig = 0;

        if (gdb_text_number(&word, &number) && number < 256)
            sig = gdb_signal_in((int)number);
        if (sig)
            mask |= signal_bit(sig);
    }
    s->session.pass_signals = mask;
    put_ok(out);
}

static void catch_syscalls(GdbStub *s, GdbText *in, GString *out)
{
    GdbSession *asked = &s->session;
    u64 nr;

    asked->catching = gdb_text_skip(in, ":1");
    asked->catch_all = asked->catching && !gdb_text_skip(in, ";");
    memset(asked->catches, 0, sizeof asked->catches);
    while (asked->catching && !gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');

        if (gdb_text_number(&word, &nr) && nr < GDB_SYSCALLS)
            asked->catches[nr] = true;
    }
    put_ok(out);
}

/* ---- objects ---- */

static bool auxv(GdbStub *s)
{
    const Process *p = gdb_of(s)->process;

    g_byte_array_set_size(s->bytes, (guint)(p->auxv_end - p->auxv_start));
    return gdb_read(s, p->auxv_start, s->bytes->data, s->bytes->len);
}

static bool exec_file(GdbStub *s)
{
    char path[PATH_MAX];

    gdb_put_text(s, gdb_of(s)->process->exe ? gdb_of(s)->process->exe
                    : realpath(gdb_of(s)->process->program, path)
                        ? path
                        : gdb_of(s)->process->program);
    return true;
}

static bool siginfo(GdbStub *s)
{
    siginfo_t info = s->chosen->stop.info;

    info.si_signo = s->chosen->stop.sig;
    g_byte_array_append(s->bytes, (const u8 *)&info, sizeof info);
    return info.si_signo;
}

const GdbObject gdb_objects[] = {
    {"auxv", auxv}, {"exec-file", exec_file}, {"siginfo", siginfo}, {0}};

/* ---- monitor ---- */

static void monitor_stats(GdbStub *s, GString *out)
{
    CacheStats stats;

    cache_stats(s->cache, &stats);
    g_string_append_printf(out, "%llu blocks translated, %llu traces, %llu flushes\n",
                           (unsigned long long)stats.blocks,
                           (unsigned long long)stats.traces,
                           (unsigned long long)stats.flushes);
}

static void monitor_where(GdbStub *s, GString *out)
{
    char text[PATH_MAX];
    u64 pc = s->chosen->env->pc;

    mem_describe(gdb_of(s)->process, pc, text, sizeof text);
    g_string_append_printf(out, "pc 0x%llx is in %s\n", (unsigned long long)pc, text);
}

static void monitor_flush(GdbStub *s, GString *out)
{
    cache_flush(s->cache);
    g_string_append(out, "all translated code dropped\n");
}

static void monitor_help(GdbStub *s, GString *out);

static const struct {
    const char *name, *help;
    void (*run)(GdbStub *s, GString *out);
} monitor_commands[] = {
    {"help", "this text", monitor_help},
    {"stats", "what the translator has done", monitor_stats},
    {"where", "the file that pc is in", monitor_where},
    {"flush", "drop all translated code", monitor_flush},
};

static void monitor_help(GdbStub *s, GString *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(monitor_commands); i++)
        g_string_append_printf(out, "%-8s%s\n", monitor_commands[i].name,
                               monitor_commands[i].help);
}

static void monitor(GdbStub *s, GdbText *in, GString *out)
{
    const char *line = gdb_monitor_line(s, in, out);
    GString *text = g_string_new(NULL);

    for (size_t i = 0; line && i < ARRAY_SIZE(monitor_commands); i++)
        if (!strcmp(line, monitor_commands[i].name))
            monitor_commands[i].run(s, text);
    if (text->len == 0)
        g_string_assign(text, "unknown; help lists what there is\n");
    if (line)
        gdb_put_hex(out, text->str, text->len);
    g_string_free(text, TRUE);
}

const GdbQuery gdb_queries[] = {
    {"QPassSignals", pass_signals},
    {"QCatchSyscalls", catch_syscalls},
    {"qRcmd", monitor},
    {0},
};
