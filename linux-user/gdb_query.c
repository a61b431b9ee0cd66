/* SPDX-License-Identifier: MIT */
/* Packets that ask (q) and set (Q), and objects that are read in pieces (qXfer). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gdb.h"

static void put_ok(GString *out) { g_string_assign(out, "OK"); }

/* ---- what we can ---- */

static void supported(Gdb *g, GdbText *in, GString *out)
{
    GdbSession *s = &g->session;

    gdb_text_skip(in, ":");
    while (!gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');

        s->multiprocess |= gdb_text_skip(&word, "multiprocess+");
        s->fork_events |= gdb_text_skip(&word, "fork-events+");
        s->vfork_events |= gdb_text_skip(&word, "vfork-events+");
        s->exec_events |= gdb_text_skip(&word, "exec-events+");
    }
    g_string_printf(
        out,
        "PacketSize=%x;qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;"
        "qXfer:siginfo:read+;qXfer:threads:read+;QStartNoAckMode+;QPassSignals+;"
        "QCatchSyscalls+;vContSupported+;swbreak+;hwbreak+%s%s%s%s",
        GDB_PACKET_MAX, s->multiprocess ? ";multiprocess+" : "",
        s->fork_events ? ";fork-events+" : "", s->vfork_events ? ";vfork-events+" : "",
        s->exec_events ? ";exec-events+" : "");
}

static void no_ack(Gdb *g, GdbText *in, GString *out)
{
    g->session.no_ack = true;
    put_ok(out);
}

/* ---- threads ---- */

static void first_threads(Gdb *g, GdbText *in, GString *out)
{
    char mark = 'm';

    for (const GdbTask *gt = g->tasks; gt; gt = gt->next, mark = ',') {
        g_string_append_c(out, mark);
        gdb_put_thread(g, out, gt);
    }
    gdb_put_peers(g, out);
}

static void more_threads(Gdb *g, GdbText *in, GString *out)
{
    g_string_assign(out, "l"); /* all were told at once */
}

static void current_thread(Gdb *g, GdbText *in, GString *out)
{
    g_string_assign(out, "QC");
    gdb_put_thread(g, out, g->chosen);
}

/* The thread's name as the kernel knows it. */
static void thread_name(const GdbTask *gt, char name[32])
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/comm", gt->tid);
    f = fopen(path, "re");
    *name = 0;
    if (f && fgets(name, 32, f))
        name[strcspn(name, "\n")] = 0;
    if (f)
        fclose(f);
}

static void thread_info(Gdb *g, GdbText *in, GString *out)
{
    const GdbTask *gt;
    char name[32];
    GdbId id;

    if (!gdb_text_skip(in, ",") || !gdb_text_thread(in, &id) ||
        !(gt = gdb_find(g, id))) {
        gdb_put_error(out, ESRCH);
        return;
    }
    thread_name(gt, name);
    gdb_put_hex(out, name, strlen(name));
}

static void attached(Gdb *g, GdbText *in, GString *out)
{
    g_string_assign(out, g->waited ? "0" : "1"); /* 0: killed when the client ends */
}

/* ---- what is worth a stop ---- */

static void pass_signals(Gdb *g, GdbText *in, GString *out)
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
    g->session.pass_signals = mask;
    put_ok(out);
}

static void catch_syscalls(Gdb *g, GdbText *in, GString *out)
{
    GdbSession *s = &g->session;
    u64 nr;

    s->catching = gdb_text_skip(in, ":1");
    s->catch_all = s->catching && !gdb_text_skip(in, ";");
    memset(s->catches, 0, sizeof s->catches);
    while (s->catching && !gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');

        if (gdb_text_number(&word, &nr) && nr < GDB_SYSCALLS)
            s->catches[nr] = true;
    }
    put_ok(out);
}

/* ---- objects ---- */

/* Each puts the whole object into g->bytes; false: there is none. */

static void put_text(Gdb *g, const char *text)
{
    g_byte_array_append(g->bytes, (const u8 *)text, (guint)strlen(text));
}

static bool features(Gdb *g, const GdbText *annex)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return false;
    g->process->guest->debug->describe(f);
    fclose(f);
    put_text(g, text);
    free(text);
    return true;
}

static bool auxv(Gdb *g, const GdbText *annex)
{
    const Process *p = g->process;

    g_byte_array_set_size(g->bytes, (guint)(p->auxv_end - p->auxv_start));
    return gdb_read(g, p->auxv_start, g->bytes->data, g->bytes->len);
}

static bool exec_file(Gdb *g, const GdbText *annex)
{
    char path[PATH_MAX];

    put_text(g, g->process->exe                       ? g->process->exe
                : realpath(g->process->program, path) ? path
                                                      : g->process->program);
    return true;
}

static bool siginfo(Gdb *g, const GdbText *annex)
{
    siginfo_t info = g->chosen->stop.info;

    info.si_signo = g->chosen->stop.sig;
    g_byte_array_append(g->bytes, (const u8 *)&info, sizeof info);
    return info.si_signo;
}

static bool threads(Gdb *g, const GdbText *annex)
{
    GString *id = g_string_new(NULL);

    put_text(g, "<?xml version=\"1.0\"?>\n<threads>\n");
    for (const GdbTask *gt = g->tasks; gt; gt = gt->next) {
        char name[32];

        thread_name(gt, name);
        for (char *c = name; *c; c++)
            if (strchr("<>&\"", *c) || (u8)*c < ' ' || (u8)*c > '~')
                *c = '?';
        g_string_assign(id, "<thread id=\"");
        gdb_put_thread(g, id, gt);
        g_string_append_printf(id, "\" name=\"%s\"/>\n", name);
        put_text(g, id->str);
    }
    g_string_truncate(id, 0);
    gdb_put_peers(g, id);
    for (char *save, *name = strtok_r(id->str, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        put_text(g, "<thread id=\"");
        put_text(g, name);
        put_text(g, "\"/>\n");
    }
    put_text(g, "</threads>\n");
    g_string_free(id, TRUE);
    return true;
}

static const struct {
    const char *name;
    bool (*get)(Gdb *g, const GdbText *annex);
} objects[] = {
    {"features", features}, {"auxv", auxv},       {"exec-file", exec_file},
    {"siginfo", siginfo},   {"threads", threads},
};

/* object:read:annex:offset,length */
static void transfer(Gdb *g, GdbText *in, GString *out)
{
    GdbText name = gdb_text_word(in, ':'), annex;
    u64 at, len;

    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        GdbText rest = name;

        if (!gdb_text_skip(&rest, objects[i].name) || !gdb_text_end(&rest))
            continue;
        if (!gdb_text_skip(in, "read:"))
            return; /* not supported */
        annex = gdb_text_word(in, ':');
        g_byte_array_set_size(g->bytes, 0);
        if (!gdb_text_pair(in, &at, &len) || at > g->bytes->len + (1u << 30) ||
            !objects[i].get(g, &annex)) {
            gdb_put_error(out, EINVAL);
            return;
        }
        at = MIN(at, g->bytes->len);
        len = MIN(MIN(len, g->bytes->len - at), GDB_PACKET_MAX / 2 - 16);
        g_string_append_c(out, at + len < g->bytes->len ? 'm' : 'l');
        gdb_put_binary(out, g->bytes->data + at, len);
        return;
    }
}

/* ---- monitor ---- */

static void monitor_stats(Gdb *g, GString *out)
{
    CacheStats s;

    cache_stats(g->process->cache, &s);
    g_string_append_printf(out, "%llu blocks translated, %llu traces, %llu flushes\n",
                           (unsigned long long)s.blocks, (unsigned long long)s.traces,
                           (unsigned long long)s.flushes);
}

static void monitor_where(Gdb *g, GString *out)
{
    char text[PATH_MAX];
    u64 pc = g->chosen->task->env->pc;

    mem_describe(g->process, pc, text, sizeof text);
    g_string_append_printf(out, "pc 0x%llx is in %s\n", (unsigned long long)pc, text);
}

static void monitor_flush(Gdb *g, GString *out)
{
    cache_flush(g->process->cache);
    g_string_append(out, "all translated code dropped\n");
}

static void monitor_help(Gdb *g, GString *out);

static const struct {
    const char *name, *help;
    void (*run)(Gdb *g, GString *out);
} monitor_commands[] = {
    {"help", "this text", monitor_help},
    {"stats", "what the translator has done", monitor_stats},
    {"where", "the file that pc is in", monitor_where},
    {"flush", "drop all translated code", monitor_flush},
};

static void monitor_help(Gdb *g, GString *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(monitor_commands); i++)
        g_string_append_printf(out, "%-8s%s\n", monitor_commands[i].name,
                               monitor_commands[i].help);
}

static void monitor(Gdb *g, GdbText *in, GString *out)
{
    GString *text = g_string_new(NULL);

    if (!gdb_text_skip(in, ",") || !gdb_text_hex(in, g->bytes)) {
        gdb_put_error(out, EINVAL);
        g_string_free(text, TRUE);
        return;
    }
    g_byte_array_append(g->bytes, (const u8 *)"", 1);
    for (size_t i = 0; i < ARRAY_SIZE(monitor_commands); i++)
        if (!strcmp((const char *)g->bytes->data, monitor_commands[i].name))
            monitor_commands[i].run(g, text);
    if (text->len == 0)
        g_string_assign(text, "unknown; help lists what there is\n");
    gdb_put_hex(out, text->str, text->len);
    g_string_free(text, TRUE);
}

/* ---- dispatch ---- */

static const struct {
    const char *name;
    void (*answer)(Gdb *g, GdbText *in, GString *out);
} queries[] = {
    {"qSupported", supported},
    {"QStartNoAckMode", no_ack},
    {"qfThreadInfo", first_threads},
    {"qsThreadInfo", more_threads},
    {"qThreadExtraInfo", thread_info},
    {"qAttached", attached},
    {"QPassSignals", pass_signals},
    {"QCatchSyscalls", catch_syscalls},
    {"qXfer:", transfer},
    {"qRcmd", monitor},
    {"qC", current_thread},
};

bool gdb_query(Gdb *g, GdbText *in, GString *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
        if (gdb_text_skip(in, queries[i].name)) {
            queries[i].answer(g, in, out);
            break;
        }
    return true;
}
