/* SPDX-License-Identifier: MIT */
/* QMP at a serial line's end: greeting, messages, events with their time. */
#include "qmp.h"
#include "virtio.h"

enum { ROOM = 4096, WAITING_MAX = 1 << 20 };

typedef struct Session {
    Machine *m;
    Chardev *chardev;
    CharClient client;
    QmpReader reader;
    GString *waiting; /* to be written */
    bool open, agreed;
    bool busy; /* a command is running (it may run the event loop) */
} Session;

static void flush(Session *s)
{
    size_t n = chardev_write(s->chardev, &s->client, (const u8 *)s->waiting->str,
                             s->waiting->len);

    g_string_erase(s->waiting, 0, (gssize)n);
}

/* Takes message. */
static void send_message(Session *s, json_t *message)
{
    char *text = json_dumps(message, JSON_ENSURE_ASCII);

    json_decref(message);
    if (!text)
        return;
    g_string_append_printf(s->waiting, "%s\r\n", text);
    free(text);
    flush(s);
}

/* ---- events ---- */

static const char *const event_names[] = {
    [EVENT_STOP] = "STOP",           [EVENT_RESUME] = "RESUME",
    [EVENT_RESET] = "RESET",         [EVENT_SHUTDOWN] = "SHUTDOWN",
    [EVENT_POWERDOWN] = "POWERDOWN", [EVENT_BALLOON] = "BALLOON_CHANGE",
};

static json_t *event_data(Machine *m, MachineEvent event)
{
    const char *asked = m->asked;
    char *error = NULL;
    u64 bytes = 0;

    switch (event) {
    case EVENT_RESET:
    case EVENT_SHUTDOWN:
        return json_pack("{s:b, s:s}", "guest", !asked, "reason",
                         asked                  ? asked
                         : event == EVENT_RESET ? "guest-reset"
                                                : "guest-shutdown");
    case EVENT_BALLOON:
        if (!balloon_get(m, &bytes, &error))
            g_free(error);
        return json_pack("{s:I}", "actual", (json_int_t)bytes);
    default: return NULL;
    }
}

static json_t *event_message(Machine *m, MachineEvent event)
{
    i64 now = g_get_real_time();
    json_t *message =
        json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds",
                  (json_int_t)(now / G_USEC_PER_SEC), "microseconds",
                  (json_int_t)(now % G_USEC_PER_SEC), "event", event_names[event]);
    json_t *data = event_data(m, event);

    if (data)
        json_object_set_new(message, "data", data);
    return message;
}

static void session_machine(void *ctx, MachineEvent event)
{
    Session *s = ctx;

    if (s->open && s->agreed && s->waiting->len < WAITING_MAX)
        send_message(s, event_message(s->m, event));
}

/* ---- messages ---- */

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

static void answer(Session *s)
{
    GString *text = s->reader.text;
    json_t *reply;

    s->busy = true;
    reply = qmp_answer(s->m, &s->agreed, text->str, text->len);
    s->busy = false;
    send_message(s, reply);
    io_call(s->m, accept_more, s);
}

static void take_byte(Session *s, u8 byte)
{
    static const char *const why[] = {
        [QMP_STRAY] = "JSON parse error, stray input",
        [QMP_LONG] = "JSON token size limit exceeded",
        [QMP_DEEP] = "JSON nesting depth limit exceeded",
    };
    QmpFound found = qmp_reader_put(&s->reader, byte);

    if (found == QMP_MESSAGE)
        answer(s);
    else if (found != QMP_MORE)
        send_message(s, qmp_refusal("GenericError", why[found]));
}

static void session_receive(void *ctx, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        take_byte(ctx, bytes[i]);
}

static void session_event(void *ctx, int event)
{
    Session *s = ctx;

    if (event != CHAR_OPENED && event != CHAR_CLOSED)
        return;
    s->open = event == CHAR_OPENED;
    s->agreed = false;
    g_string_truncate(s->waiting, 0);
    qmp_reader_free(&s->reader);
    qmp_reader_init(&s->reader);
    if (s->open)
        send_message(s, json_pack("{s:{s:o, s:[]}}", "QMP", "version", qmp_version(),
                                  "capabilities"));
}

static void session_writable(void *ctx)
{
    flush(ctx);
    accept_more(ctx);
}

bool qmp_new(Machine *m, Chardev *c, char **error)
{
    Session *s = g_new0(Session, 1);

    s->m = m;
    s->chardev = c;
    s->waiting = g_string_new(NULL);
    qmp_reader_init(&s->reader);
    s->client =
        (CharClient){s, session_room, session_receive, session_event, session_writable};
    if (chardev_attach(c, &s->client)) {
        machine_listen(m, session_machine, s);
        return true;
    }
    *error = g_strdup("QMP's serial line is taken");
    qmp_reader_free(&s->reader);
    g_string_free(s->waiting, TRUE);
    g_free(s);
    return false;
}
