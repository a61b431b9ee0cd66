/* SPDX-License-Identifier: MIT */
/*
 * virtio-serial (virtio 1.2, 5.3): consoles and named ports, each a pair of queues and
 * a chardev, and two queues to speak of them.  No chain is kept: one that was written
 * in part goes back into its queue with a note of how far it got.
 */
#include <linux/virtio_console.h>
#include <string.h>
#include "virtio.h"

enum { QUEUE_TO_GUEST = 2, QUEUE_FROM_GUEST = 3, PORTS = VIRTIO_QUEUES / 2 - 1 };
enum { TOLD_MOST = 256, NAME_MOST = 200 };

typedef struct Console Console;
typedef struct virtio_console_control Control;

typedef struct Port {
    Console *console;
    u32 nr;
    bool is_console;
    char *name;       /* NULL */
    Chardev *chardev; /* NULL: to and from nobody */
    CharClient client;
    bool host_open, guest_open;
    u64 written; /* bytes of the first chain of its queue that are gone already */
} Port;

struct Console {
    VirtioDevice v;
    Port *port[PORTS];
    u64 n_ports;
    GQueue told; /* of GBytes *: control messages that the guest has no room for yet */
};

static u32 port_queue(const Port *p, bool from_guest)
{
    return (p->nr ? 2 * p->nr + 2 : 0) + from_guest;
}

/* ---- what is said of ports ---- */

static void tell_all(Console *c)
{
    GBytes *b;
    VirtioElement *e;

    while ((b = g_queue_peek_head(&c->told)) &&
           (e = virtio_pop(&c->v, QUEUE_TO_GUEST))) {
        size_t size, n;
        const void *bytes = g_bytes_get_data(b, &size);

        n = virtio_put(e, 0, bytes, size);
        virtio_push(&c->v, QUEUE_TO_GUEST, e, n);
        g_queue_pop_head(&c->told);
        g_bytes_unref(b);
    }
    virtio_notify(&c->v, QUEUE_TO_GUEST);
}

/* name: appended; NULL. */
static void tell(Port *p, u16 event, u16 value, const char *name)
{
    Console *c = p->console;
    u8 bytes[sizeof(Control) + NAME_MOST + 1];
    const Control control = {p->nr, event, value};
    size_t n = name ? strlen(name) + 1 : 0;

    if (!virtio_has(&c->v, VIRTIO_CONSOLE_F_MULTIPORT) || c->told.length >= TOLD_MOST)
        return;
    memcpy(bytes, &control, sizeof(control));
    if (n)
        memcpy(bytes + sizeof(control), name, n);
    g_queue_push_tail(&c->told, g_bytes_new(bytes, sizeof(control) + n));
}

static void hear(Console *c, const Control *control)
{
    Port *p = control->id < PORTS ? c->port[control->id] : NULL;

    if (control->event == VIRTIO_CONSOLE_DEVICE_READY && control->value)
        for (u32 i = 0; i < PORTS; i++)
            if (c->port[i])
                tell(c->port[i], VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    if (!p)
        return;
    if (control->event == VIRTIO_CONSOLE_PORT_READY && control->value) {
        if (p->is_console)
            tell(p, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
        if (p->name)
            tell(p, VIRTIO_CONSOLE_PORT_NAME, 1, p->name);
        if (p->host_open)
            tell(p, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    }
    if (control->event == VIRTIO_CONSOLE_PORT_OPEN) {
        p->guest_open = control->value;
        if (p->guest_open && p->chardev)
            chardev_accept(p->chardev, &p->client);
    }
}

static void hear_all(Console *c)
{
    VirtioElement *e;

    while ((e = virtio_pop(&c->v, QUEUE_FROM_GUEST))) {
        Control control;

        if (virtio_get(e, 0, &control, sizeof(control)) == sizeof(control))
            hear(c, &control);
        virtio_push(&c->v, QUEUE_FROM_GUEST, e, 0);
    }
    virtio_notify(&c->v, QUEUE_FROM_GUEST);
    tell_all(c);
}

/* ---- bytes from the guest ---- */

/* True when all of the chain is gone. */
static bool port_write(Port *p, const VirtioElement *e)
{
    u64 skip = p->written;

    if (!p->chardev || !p->host_open)
        return true;
    for (u32 i = 0; i < e->n_out; i++) {
        size_t len = e->out[i].iov_len, n;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        n = chardev_write(p->chardev, &p->client, (u8 *)e->out[i].iov_base + skip,
                          len - skip);
        p->written += n;
        if (n < len - skip)
            return false;
        skip = 0;
    }
    return true;
}

static void port_write_all(Port *p)
{
    VirtioDevice *v = &p->console->v;
    u32 queue = port_queue(p, true);
    VirtioElement *e;

    while ((e = virtio_pop(v, queue))) {
        if (!port_write(p, e)) {
            virtio_unpop(v, queue, e);
            break;
        }
        p->written = 0;
        virtio_push(v, queue, e, 0);
    }
    virtio_notify(v, queue);
}

/* When the machine goes on, all queues are looked at. */
static void port_writable(void *ctx)
{
    Port *p = ctx;

    if (p->console->v.device.machine->run == RUN_RUNNING)
        port_write_all(p);
}

/* ---- bytes to the guest ---- */

static size_t port_room(void *ctx)
{
    Port *p = ctx;
    VirtioDevice *v = &p->console->v;
    u32 queue = port_queue(p, false);
    bool multiport = virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT);
    VirtioElement *e = NULL;
    size_t room;

    if (v->device.machine->run == RUN_RUNNING && (!multiport || p->guest_open))
        e = virtio_pop(v, queue);
    if (!e)
        return 0;
    room = e->in_size;
    virtio_unpop(v, queue, e);
    return room;
}

static void port_receive(void *ctx, const u8 *bytes, size_t n)
{
    Port *p = ctx;
    VirtioDevice *v = &p->console->v;
    u32 queue = port_queue(p, false);
    VirtioElement *e;

    while (n && (e = virtio_pop(v, queue))) {
        size_t done = virtio_put(e, 0, bytes, n);

        if (!done)
            virtio_broken(v, "a buffer to receive into that has no room");
        virtio_push(v, queue, e, done);
        bytes += done;
        n -= done;
    }
    virtio_notify(v, queue);
}

/* Whether somebody is at the host's end of a port; at a console's always. */
static void port_event(void *ctx, int event)
{
    Port *p = ctx;

    if (p->is_console || (event != CHAR_OPENED && event != CHAR_CLOSED))
        return;
    p->host_open = event == CHAR_OPENED;
    tell(p, VIRTIO_CONSOLE_PORT_OPEN, p->host_open, NULL);
    if (p->console->v.device.machine->run == RUN_RUNNING)
        tell_all(p->console);
    if (!p->host_open)
        port_writable(p); /* what waits for nobody */
}

/* ---- the device ---- */

static Port *queue_port(const Console *c, u32 queue)
{
    u32 nr = queue < QUEUE_TO_GUEST ? 0 : queue / 2 - 1;

    return nr < PORTS ? c->port[nr] : NULL;
}

static void console_notify(VirtioDevice *v, u32 queue)
{
    Console *c = (Console *)v;
    Port *p;

    if (queue == QUEUE_TO_GUEST)
        tell_all(c);
    else if (queue == QUEUE_FROM_GUEST)
        hear_all(c);
    else if (!(p = queue_port(c, queue)) || !p->chardev)
        return;
    else if (queue & 1)
        port_write_all(p);
    else
        chardev_accept(p->chardev, &p->client);
}

static void console_config(VirtioDevice *v, u8 *config)
{
    const struct virtio_console_config c = {.max_nr_ports = ((Console *)v)->n_ports};

    memcpy(config, &c, sizeof(c));
}

/* The emergency write: a byte to the first console, before there are queues. */
static void console_config_write(VirtioDevice *v, u32 offset, u32 value, u32 width)
{
    Console *c = (Console *)v;
    const u8 byte = (u8)value;

    if (offset != offsetof(struct virtio_console_config, emerg_wr))
        return;
    for (u32 i = 0; i < PORTS; i++) {
        Port *p = c->port[i];

        if (p && p->is_console && p->chardev) {
            chardev_write(p->chardev, &p->client, &byte, 1);
            return;
        }
    }
}

static void console_reset(VirtioDevice *v)
{
    Console *c = (Console *)v;

    g_queue_clear_full(&c->told, (GDestroyNotify)g_bytes_unref);
    for (u32 i = 0; i < PORTS; i++)
        if (c->port[i]) {
            c->port[i]->guest_open = false;
            c->port[i]->written = 0;
        }
}

/* Messages not yet told, each a size and its bytes. */
static void told_state(Console *c, State *s)
{
    u32 n = c->told.length;

    state_u32(s, &n);
    if (n > TOLD_MOST)
        state_refuse(s, "too many control messages");
    if (s->loading)
        g_queue_clear_full(&c->told, (GDestroyNotify)g_bytes_unref);
    for (u32 i = 0; i < n && !s->error; i++) {
        u8 bytes[sizeof(Control) + NAME_MOST + 1] = {0};
        GBytes *b = s->loading ? NULL : g_queue_peek_nth(&c->told, i);
        u32 size = b ? g_bytes_get_size(b) : 0;

        state_u32(s, &size);
        if (size > sizeof(bytes))
            state_refuse(s, "a control message that is too long");
        if (s->error)
            return;
        if (b)
            memcpy(bytes, g_bytes_get_data(b, NULL), size);
        state_bytes(s, bytes, size);
        if (s->loading)
            g_queue_push_tail(&c->told, g_bytes_new(bytes, size));
    }
}

static void console_state(VirtioDevice *v, State *s)
{
    Console *c = (Console *)v;

    told_state(c, s);
    for (u32 i = 0; i < PORTS; i++) {
        Port *p = c->port[i];
        bool here = p, was = here;

        state_bool(s, &was);
        if (was != here)
            state_refuse(s, "other ports");
        if (!p || s->error)
            continue;
        state_bool(s, &p->guest_open);
        state_u64(s, &p->written);
    }
}

static void console_info(const VirtioDevice *v, GString *out)
{
    const Console *c = (const Console *)v;

    for (u32 i = 0; i < PORTS; i++) {
        const Port *p = c->port[i];

        if (p)
            g_string_append_printf(out, "port %u%s%s%s, guest %s, host %s\n", p->nr,
                                   p->is_console ? " (console)" : "",
                                   p->name ? " " : "", p->name ? p->name : "",
                                   p->guest_open ? "on" : "off",
                                   p->host_open ? "on" : "off");
    }
}

static void console_end(VirtioDevice *v)
{
    Console *c = (Console *)v;

    g_queue_clear_full(&c->told, (GDestroyNotify)g_bytes_unref);
    for (u32 i = 0; i < PORTS; i++)
        if (c->port[i]) {
            g_free(c->port[i]->name);
            g_free(c->port[i]);
        }
}

static VirtioDevice *console_create(Machine *m, Props *p, char **error)
{
    u64 n = PORTS, asked = PORTS;
    Console *c;

    if (!props_u64(p, "max_ports", &asked, error))
        return NULL;
    if (asked < 1 || asked > 31) {
        *error = g_strdup("max_ports= is 1 to 31");
        return NULL;
    }
    c = virtio_new(m, &virtio_console, sizeof(*c));
    c->n_ports = MIN(n, asked);
    c->v.n_queues = c->n_ports == 1 ? 2 : 2 * c->n_ports + 2;
    if (c->n_ports > 1)
        c->v.more_features = 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
    return &c->v;
}

const VirtioType virtio_console = {
    .name = "virtio-serial-device",
    .id = VIRTIO_ID_CONSOLE,
    .features = 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE,
    .n_queues = VIRTIO_QUEUES,
    .create = console_create,
    .config_size = sizeof(struct virtio_console_config),
    .config_read = console_config,
    .config_write = console_config_write,
    .notify = console_notify,
    .reset = console_reset,
    .state = console_state,
    .info = console_info,
    .free = console_end,
};

/* ---- ports ---- */

/* The last one, or the one that bus=ID.0 names. */
static Console *console_find(const Machine *m, const char *bus)
{
    for (u32 i = m->devices->len; i--;) {
        Device *d = m->devices->pdata[i];
        size_t n = d->id ? strlen(d->id) : 0;

        if (d->type != &virtio_mmio || ((VirtioDevice *)d)->type != &virtio_console)
            continue;
        if (!bus || (d->id && !strncmp(bus, d->id, n) && (!bus[n] || bus[n] == '.')))
            return (Console *)d;
    }
    return NULL;
}

/* Number 0 is a console's, or nobody's. */
static bool port_number(const Console *c, bool is_console, Props *p, u64 *nr,
                        char **error)
{
    *nr = !is_console;
    while (*nr < c->n_ports && c->port[*nr])
        ++*nr;
    if (!props_u64(p, "nr", nr, error))
        return false;
    if (*nr < c->n_ports && !c->port[*nr] && (*nr || is_console))
        return true;
    *error =
        g_strdup_printf("nr=%" G_GUINT64_FORMAT
                        ": taken, or beyond the device's %" G_GUINT64_FORMAT " ports",
                        *nr, c->n_ports);
    return false;
}

static bool port_attach(Port *p, const char *id, char **error)
{
    Machine *m = p->console->v.device.machine;

    p->host_open = p->is_console || !id;
    if (!id)
        return true;
    p->client = (CharClient){p, port_room, port_receive, port_event, port_writable};
    p->chardev = chardev_find(m, id);
    if (p->chardev && chardev_attach(p->chardev, &p->client))
        return true;
    *error = g_strdup_printf("chardev=%s: no such -chardev, or in use", id);
    return false;
}

bool virtio_port_add(Machine *m, bool is_console, Props *props, char **error)
{
    const char *name = props_get(props, "name");
    Console *c = console_find(m, props_get(props, "bus"));
    Port *p;
    u64 nr;

    if (!c || (name && strlen(name) > NAME_MOST)) {
        *error = g_strdup(c ? "name= is too long"
                            : "there is no -device virtio-serial-device for it");
        return false;
    }
    if (!port_number(c, is_console, props, &nr, error))
        return false;
    p = g_new0(Port, 1);
    *p = (Port){c, (u32)nr, is_console, g_strdup(name)};
    c->port[nr] = p;
    return port_attach(p, props_get(props, "chardev"), error);
}
