/* SPDX-License-Identifier: MIT */
/* A human monitor at a serial line's end: prompt, line, answer.  Nothing more is read
 * while an answer waits to be taken. */
#include "monitor.h"

enum { ROOM = 512 };

typedef struct Session {
    Monitor mon;
    Chardev *chardev;
    CharClient client;
    LineEdit edit;
    GString *waiting; /* to be written */
    bool busy;        /* a command is running (it may run the event loop) */
} Session;

static void flush(Session *s)
{
    size_t n = chardev_write(s->chardev, &s->client, (const u8 *)s->waiting->str,
                             s->waiting->len);

    g_string_erase(s->waiting, 0, (gssize)n);
}

static size_t session_room(void *ctx)
{
    const Session *s = ctx;

    return s->busy || s->waiting->len ? 0 : ROOM;
}

static void accept_more(void *ctx)
{
    Session *s = ctx;

    if (session_room(s))
        chardev_accept(s->chardev, &s->client);
}

/* A terminal in raw mode wants its carriage returned. */
static void add_text(GString *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            g_string_append_c(to, '\r');
        g_string_append_c(to, *text);
    }
}

static void run_line(Session *s)
{
    char *line = line_edit_take(&s->edit);

    flush(s); /* the line, before what may take long */
    s->mon.out = g_string_new(NULL);
    s->busy = true;
    monitor_run(&s->mon, line);
    s->busy = false;
    add_text(s->waiting, s->mon.out->str);
    g_string_free(s->mon.out, TRUE);
    g_string_append(s->waiting, MONITOR_PROMPT);
    g_free(line);
    io_call(s->mon.m, accept_more, s);
}

static void session_receive(void *ctx, const u8 *bytes, size_t n)
{
    Session *s = ctx;

    for (size_t i = 0; i < n; i++)
        if (line_edit_put(&s->edit, bytes[i], s->waiting))
            run_line(s);
    flush(s);
}

static void begin(Session *s)
{
    g_free(line_edit_take(&s->edit));
    g_string_assign(s->waiting,
                    "Tessera " TESSERA_VERSION
                    " monitor - type 'help' for more information\r\n" MONITOR_PROMPT);
}

static void session_event(void *ctx, int event)
{
    Session *s = ctx;

    if (event == CHAR_CLOSED)
        g_string_truncate(s->waiting, 0);
    if (event == CHAR_FOCUS)
        g_string_append_printf(s->waiting, "\r\n" MONITOR_PROMPT "%s",
                               s->edit.line->str);
    if (event == CHAR_OPENED)
        begin(s);
    flush(s);
}
static void session_writable(void *ctx)
{
    Session *s = ctx;

    flush(s);
    accept_more(s);
}

bool monitor_new(Machine *m, Chardev *c, char **error)
{
    Session *s = g_new0(Session, 1);

    s->mon.m = m;
    s->chardev = c;
    s->waiting = g_string_new(NULL);
    s->client =
        (CharClient){s, session_room, session_receive, session_event, session_writable};
    line_edit_init(&s->edit);
    s->edit.complete = monitor_complete;
    if (chardev_attach(c, &s->client))
        return true;
    *error = g_strdup("the monitor's serial line is taken");
    line_edit_free(&s->edit);
    g_string_free(s->waiting, TRUE);
    g_free(s);
    return false;
}
