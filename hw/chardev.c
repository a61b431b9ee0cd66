/* SPDX-License-Identifier: MIT */
/*
 * Character devices: what all back ends share.  Output is gathered for two milliseconds
 * or until there is much of it, then written without ever waiting: a guest that prints
 * byte by byte costs a write(2) a line or so.  Input is read only as fast as the client
 * takes it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chardev.h"

enum {
    OUTPUT_MOST = 16384, /* bytes gathered at most: then clients wait */
    OUTPUT_MUCH = 4096,  /* written at once */
    GATHER_US = 2000,
};

/* ---- clients ---- */

void port_event(CharPort *p, int event)
{
    if (p->client.event)
        p->client.event(p->client.ctx, event);
}

void port_deliver(CharPort *p)
{
    while (p->input->len) {
        size_t n = MIN(p->client.room(p->client.ctx), p->input->len);
        u8 *bytes;

        if (!n)
            break;
        bytes = g_memdup2(p->input->data, n); /* a client may ask for more meanwhile */
        g_byte_array_remove_range(p->input, 0, n);
        p->client.receive(p->client.ctx, bytes, n);
        g_free(bytes);
    }
}

static CharPort *port_of(const Chardev *c, const CharClient *client)
{
    for (u32 i = 0; i < c->ports->len; i++) {
        CharPort *p = c->ports->pdata[i];

        if (p->client.ctx == client->ctx)
            return p;
    }
    return NULL;
}

static CharPort *port_focused(const Chardev *c)
{
    return c->ports->len ? c->ports->pdata[c->focus] : NULL;
}

/* Those that found no room try again. */
static void ports_writable(Chardev *c)
{
    for (u32 i = 0; i < c->ports->len; i++) {
        CharPort *p = c->ports->pdata[i];

        if (!p->waits)
            continue;
        p->waits = false;
        if (p->client.writable)
            p->client.writable(p->client.ctx);
    }
}

/* ---- input ---- */

static size_t input_room(const Chardev *c)
{
    const CharPort *p = port_focused(c);

    if (!p)
        return 0;
    return c->mux ? mux_room(c) : p->client.room(p->client.ctx);
}

static void receive(Chardev *c, const u8 *bytes, size_t n)
{
    CharPort *p = port_focused(c);

    if (c->mux)
        mux_receive(c, bytes, n);
    else if (p)
        p->client.receive(p->client.ctx, bytes, n);
}

static bool on_input(void *ctx, int fd, GIOCondition condition)
{
    Chardev *c = ctx;
    u8 bytes[4096];
    size_t room = MIN(input_room(c), sizeof bytes);
    ssize_t n;

    if (!room) {
        c->in_watch = 0;
        return false;
    }
    n = read(fd, bytes, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        chardev_gone(c);
        return false;
    }
    receive(c, bytes, n);
    return true;
}

static void input_watch(Chardev *c)
{
    if (!c->in_watch && c->in >= 0 && c->open && input_room(c))
        c->in_watch =
            io_watch(c->machine, c->in, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, c);
}

void chardev_accept(Chardev *c, const CharClient *client)
{
    CharPort *p = port_of(c, client);

    if (p)
        port_deliver(p);
    input_watch(c);
}

/* ---- output ---- */

static bool on_output(void *ctx, int fd, GIOCondition condition);

static ssize_t output_write(Chardev *c)
{
    if (c->is_socket)
        return send(c->out, c->output->data, c->output->len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    return write(c->out, c->output->data, c->output->len);
}

static void output_failed(Chardev *c)
{
    if (c->backend->gone) {
        chardev_gone(c);
        return;
    }
    if (!c->failed)
        report("%s: cannot write: %s", c->label, strerror(errno));
    c->failed = true;
    g_byte_array_set_size(c->output, 0);
}

/* Writes what can be written now.  False: the rest has to wait. */
static bool output_push(Chardev *c)
{
    while (c->output->len && c->out >= 0) {
        ssize_t n = output_write(c);

        if (n > 0) {
            g_byte_array_remove_range(c->output, 0, n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (!n || errno == EAGAIN)
            return false;
        output_failed(c);
    }
    return true;
}

static void output_flush(Chardev *c)
{
    c->flush_soon = false;
    if (c->out_watch)
        return;
    if (!output_push(c))
        c->out_watch =
            io_watch(c->machine, c->out, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_output, c);
    if (c->output->len < OUTPUT_MOST)
        ports_writable(c);
}

static bool on_output(void *ctx, int fd, GIOCondition condition)
{
    Chardev *c = ctx;

    c->out_watch = 0;
    if (condition & G_IO_HUP && c->backend->gone)
        chardev_gone(c);
    else
        output_flush(c);
    return false;
}

static gboolean on_flush(GSource *source, GSourceFunc f, gpointer data)
{
    Chardev *c = data;

    machine_lock(c->machine);
    g_source_set_ready_time(source, -1);
    output_flush(c);
    machine_unlock(c->machine);
    return G_SOURCE_CONTINUE;
}

static void output_later(Chardev *c)
{
    bool now = c->output->len >= OUTPUT_MUCH || g_main_context_is_owner(c->machine->io);

    if (c->out_watch || !c->output->len)
        return;
    if (now)
        g_source_set_ready_time(c->flush, 0);
    else if (!c->flush_soon)
        g_source_set_ready_time(c->flush, g_get_monotonic_time() + GATHER_US);
    c->flush_soon = true;
}

size_t chardev_write(Chardev *c, const CharClient *from, const u8 *bytes, size_t n)
{
    CharPort *p = port_of(c, from);
    size_t room = OUTPUT_MOST - MIN(c->output->len, OUTPUT_MOST), taken = MIN(n, room);

    if (!c->open || c->out < 0)
        return n;
    if (c->stamps)
        taken = mux_stamp(c, bytes, n, room);
    else
        g_byte_array_append(c->output, bytes, taken);
    if (p && taken < n)
        p->waits = true;
    output_later(c);
    return taken;
}

void chardev_print(Chardev *c, const char *text)
{
    if (c->open && c->out >= 0)
        g_byte_array_append(c->output, (const u8 *)text, strlen(text));
    output_later(c);
}

/* ---- peers ---- */

void chardev_rename(Chardev *c)
{
    g_free(c->filename);
    c->filename =
        g_strconcat(c->is_socket && !c->open ? "disconnected:" : "", c->address, NULL);
}

/* The client that has the keyboard hears that there is a peer, once; the others when
 * the keyboard becomes theirs. */
static void on_attached(void *ctx)
{
    Chardev *c = ctx;
    CharPort *p = port_focused(c);

    if (p && c->open && !p->greeted) {
        p->greeted = true;
        port_event(p, CHAR_OPENED);
    }
    input_watch(c);
}

void chardev_opened(Chardev *c)
{
    c->open = true;
    chardev_rename(c);
    on_attached(c);
}

static void watches_stop(Chardev *c)
{
    io_remove(c->machine, c->in_watch);
    io_remove(c->machine, c->out_watch);
    c->in_watch = c->out_watch = 0;
}

void chardev_gone(Chardev *c)
{
    if (!c->backend->gone) { /* the end of what can be read */
        io_remove(c->machine, c->in_watch);
        c->in_watch = 0;
        c->in = -1;
        return;
    }
    watches_stop(c);
    g_byte_array_set_size(c->output, 0);
    c->open = c->escaped = c->mid_line = false;
    chardev_rename(c);
    c->backend->gone(c);
    for (u32 i = 0; i < c->ports->len; i++) {
        CharPort *p = c->ports->pdata[i];

        if (p->greeted)
            port_event(p, CHAR_CLOSED);
        p->greeted = false;
    }
    ports_writable(c);
}

bool chardev_attach(Chardev *c, const CharClient *client)
{
    CharPort *p;

    if (c->ports->len && !c->mux)
        return false;
    p = g_new0(CharPort, 1);
    p->client = *client;
    p->input = g_byte_array_new();
    g_ptr_array_add(c->ports, p);
    c->focus = c->ports->len - 1;
    io_call(c->machine, on_attached, c);
    return true;
}

/* ---- creation ---- */

bool chardev_refuse(const Chardev *c, char **error, const char *what, int err)
{
    *error = g_strdup_printf("%s: %s%s%s", c->label, what, err ? ": " : "",
                             err ? strerror(err) : "");
    return false;
}

void chardev_free(Chardev *c)
{
    watches_stop(c);
    if (c->backend->close)
        c->backend->close(c);
    g_source_destroy(c->flush);
    g_source_unref(c->flush);
    for (u32 i = 0; i < c->ports->len; i++) {
        CharPort *p = c->ports->pdata[i];

        g_byte_array_unref(p->input);
        g_free(p);
    }
    g_ptr_array_unref(c->ports);
    g_byte_array_unref(c->output);
    g_free(c->label);
    g_free(c->address);
    g_free(c->filename);
    g_free(c);
}

Chardev *chardev_create(Machine *m, const char *label, const CharBackend *b)
{
    static GSourceFuncs flush = {.dispatch = on_flush};
    Chardev *c = g_new0(Chardev, 1);

    c->machine = m;
    c->backend = b;
    c->label = g_strdup(label);
    c->address = g_strdup(b->name);
    c->in = c->out = -1;
    c->output = g_byte_array_new();
    c->ports = g_ptr_array_new();
    c->flush = g_source_new(&flush, sizeof *c->flush);
    g_source_set_callback(c->flush, NULL, c, NULL);
    g_source_attach(c->flush, m->io);
    return c;
}

/* ---- the end ---- */

/* What clients have written goes out, as far as it does within a second in all. */
static void output_drain(Chardev *c, i64 until)
{
    while (c->open && c->output->len && !output_push(c)) {
        i64 left = (until - g_get_monotonic_time()) / 1000;
        struct pollfd p = {.fd = c->out, .events = POLLOUT};

        if (left <= 0 || poll(&p, 1, left) <= 0 || p.revents & POLLHUP)
            return;
    }
}

void chardevs_close(Machine *m)
{
    i64 until = g_get_monotonic_time() + G_USEC_PER_SEC;

    for (u32 i = 0; i < m->chardevs->len; i++)
        output_drain(m->chardevs->pdata[i], until);
    for (u32 i = 0; i < m->chardevs->len; i++)
        chardev_free(m->chardevs->pdata[i]);
    g_ptr_array_set_size(m->chardevs, 0);
    terminal_restore();
}
