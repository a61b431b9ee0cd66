/* SPDX-License-Identifier: MIT */
/* Packets that ask (q) and set (Q), and objects that are read in pieces (qXfer). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gdb.h"

static void put_ok(GString *out) { g_string_assign(out, "OK"); }

/* ---- what we can ---- */

static void supported(GdbStub *s, GdbText *in, GString *out)
{
    GdbSession *asked = &s->session;

    gdb_text_skip(in, ":");
    while (!gdb_text_end(in)) {
        GdbText word = gdb_text_word(in, ';');

        asked->multiprocess |= gdb_text_skip(&word, "multiprocess+");
        asked->fork_events |= gdb_text_skip(&word, "fork-events+");
        asked->vfork_events |= gdb_text_skip(&word, "vfork-events+");
        asked->exec_events |= gdb_text_skip(&word, "exec-events+");
    }
    g_string_printf(out,
                    "PacketSize=%x;qXfer:features:read+;qXfer:threads:read+;"
                    "QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+",
                    GDB_PACKET_MAX);
    if (asked->multiprocess)
        g_string_append(out, ";multiprocess+");
    if (s->side->features)
        s->side->features(s, out);
}

static void no_ack(GdbStub *s, GdbText *in, GString *out)
{
    s->session.no_ack = true;
    put_ok(out);
}

/* ---- threads ---- */

/* ",ID" of each that is not the stub's own. */
static void put_others(GdbStub *s, GString *out)
{
    if (s->side->more_threads)
        s->side->more_threads(s, out);
}

static void first_threads(GdbStub *s, GdbText *in, GString *out)
{
    char mark = 'm';

    for (const GdbThread *t = s->threads; t; t = t->next, mark = ',') {
        g_string_append_c(out, mark);
        gdb_put_thread(s, out, t);
    }
    put_others(s, out);
}

static void more_threads(GdbStub *s, GdbText *in, GString *out)
{
    g_string_assign(out, "l"); /* all were told at once */
}

static void current_thread(GdbStub *s, GdbText *in, GString *out)
{
    g_string_assign(out, "QC");
    gdb_put_thread(s, out, s->chosen);
}

static void thread_info(GdbStub *s, GdbText *in, GString *out)
{
    const GdbThread *t;
    char name[GDB_NAME];
    GdbId id;

    if (!gdb_text_skip(in, ",") || !gdb_text_thread(in, &id) ||
        !(t = gdb_find(s, id))) {
        gdb_put_error(out, ESRCH);
        return;
    }
    s->side->name(t, name);
    gdb_put_hex(out, name, strlen(name));
}

static void attached(GdbStub *s, GdbText *in, GString *out)
{
    g_string_assign(out, s->waited ? "0" : "1"); /* 0: killed when the client ends */
}

/* ---- objects ---- */

/* Each puts the whole object into s->bytes; false: there is none. */

void gdb_put_text(GdbStub *s, const char *text)
{
    g_byte_array_append(s->bytes, (const u8 *)text, (guint)strlen(text));
}

static bool features(GdbStub *s)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return false;
    s->guest->debug->describe(f, s->chosen->env);
    fclose(f);
    gdb_put_text(s, text);
    free(text);
    return true;
}

static bool threads(GdbStub *s)
{
    GString *id = g_string_new(NULL);

    gdb_put_text(s, "<?xml version=\"1.0\"?>\n<threads>\n");
    for (const GdbThread *t = s->threads; t; t = t->next) {
        char name[GDB_NAME];

        s->side->name(t, name);
        for (char *c = name; *c; c++)
            if (strchr("<>&\"", *c) || (u8)*c < ' ' || (u8)*c > '~')
                *c = '?';
        g_string_assign(id, "<thread id=\"");
        gdb_put_thread(s, id, t);
        g_string_append_printf(id, "\" name=\"%s\"/>\n", name);
        gdb_put_text(s, id->str);
    }
    g_string_truncate(id, 0);
    put_others(s, id);
    for (char *save, *name = strtok_r(id->str, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        gdb_put_text(s, "<thread id=\"");
        gdb_put_text(s, name);
        gdb_put_text(s, "\"/>\n");
    }
    gdb_put_text(s, "</threads>\n");
    g_string_free(id, TRUE);
    return true;
}

static const GdbObject objects[] = {{"features", features}, {"threads", threads}, {0}};

static const GdbObject *find_object(const GdbObject *list, const GdbText *name)
{
    for (; list && list->name; list++) {
        GdbText rest = *name;

        if (gdb_text_skip(&rest, list->name) && gdb_text_end(&rest))
            return list;
    }
    return NULL;
}

/* object:read:annex:offset,length */
static void transfer(GdbStub *s, GdbText *in, GString *out)
{
    GdbText name = gdb_text_word(in, ':');
    const GdbObject *object = find_object(objects, &name);
    u64 at, len;

    object = object ? object : find_object(s->side->objects, &name);
    if (!object || !gdb_text_skip(in, "read:"))
        return; /* not supported */
    gdb_text_word(in, ':');
    g_byte_array_set_size(s->bytes, 0);
    if (!gdb_text_pair(in, &at, &len) || at > (1u << 30) || !object->get(s)) {
        gdb_put_error(out, EINVAL);
        return;
    }
    at = MIN(at, s->bytes->len);
    len = MIN(MIN(len, s->bytes->len - at), GDB_PACKET_MAX / 2 - 16);
    g_string_append_c(out, at + len < s->bytes->len ? 'm' : 'l');
    gdb_put_binary(out, s->bytes->data + at, len);
}

/* ---- monitor ---- */

const char *gdb_monitor_line(GdbStub *s, GdbText *in, GString *out)
{
    if (!gdb_text_skip(in, ",") || !gdb_text_hex(in, s->bytes)) {
        gdb_put_error(out, EINVAL);
        return NULL;
    }
    g_byte_array_append(s->bytes, (const u8 *)"", 1);
    return (const char *)s->bytes->data;
}

/* ---- dispatch ---- */

static const GdbQuery queries[] = {
    {"qSupported", supported},
    {"QStartNoAckMode", no_ack},
    {"qfThreadInfo", first_threads},
    {"qsThreadInfo", more_threads},
    {"qThreadExtraInfo", thread_info},
    {"qAttached", attached},
    {"qXfer:", transfer},
    {"qC", current_thread},
    {0},
};

static bool answer_from(const GdbQuery *list, GdbStub *s, GdbText *in, GString *out)
{
    for (; list && list->name; list++)
        if (gdb_text_skip(in, list->name)) {
            list->answer(s, in, out);
            return true;
        }
    return false;
}

void gdb_query(GdbStub *s, GdbText *in, GString *out)
{
    if (!answer_from(s->side->queries, s, in, out))
        answer_from(queries, s, in, out);
}
