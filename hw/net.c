/* SPDX-License-Identifier: MIT */
/* What all network back ends are: found by their id, taken by one device, and keeping
 * the frames that it has no room for. */
#include "net.h"
#include "virtio.h"

enum { HELD_MOST = 1024 }; /* frames; more are lost, as on a real wire */

static Net *net_named(Machine *m, const char *id)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type->free == net_free && d->id && !strcmp(d->id, id))
            return (Net *)d;
    }
    return NULL;
}

Net *net_find(Machine *m, const char *id)
{
    Net *n = net_named(m, id);

    if (!n || n->taken)
        return NULL;
    n->taken = true;
    return n;
}

void net_attach(Net *n, const NetClient *client) { n->client = *client; }

void net_send(Net *n, const u8 *frame, size_t size) { n->send(n, frame, size); }

static bool net_receive(Net *n, const u8 *frame, size_t size)
{
    return n->client.receive && n->client.receive(n->client.ctx, frame, size);
}

void net_deliver(Net *n, const u8 *frame, size_t size)
{
    if (g_queue_is_empty(&n->held) && net_receive(n, frame, size))
        return;
    if (n->client.receive && n->held.length < HELD_MOST)
        g_queue_push_tail(&n->held, g_bytes_new(frame, size));
}

void net_accept(Net *n)
{
    GBytes *b;

    while ((b = g_queue_peek_head(&n->held))) {
        size_t size;
        const u8 *frame = g_bytes_get_data(b, &size);

        if (!net_receive(n, frame, size))
            return;
        g_queue_pop_head(&n->held);
        g_bytes_unref(b);
    }
}

void net_forget(Net *n) { g_queue_clear_full(&n->held, (GDestroyNotify)g_bytes_unref); }

void net_free(Device *d)
{
    Net *n = (Net *)d;

    net_forget(n);
    n->free(n);
}

static Net *net_new(Machine *m, const char *id, Props *p, char **error)
{
    const char *type = props_get(p, "type");
    Net *n;

    if (id && net_named(m, id)) {
        *error = g_strdup_printf("id=%s is taken", id);
        return NULL;
    }
    if (!type || strcmp(type, "user") != 0) {
        *error = g_strdup_printf("no such back end (there is: user)");
        return NULL;
    }
    n = net_user_new(m, p, error);
    if (n)
        n->device.id = g_strdup(id);
    return n;
}

static bool all_used(const Props *p, char **error)
{
    const char *key = props_unused(p);

    if (key)
        *error = g_strdup_printf("no such property: %s", key);
    return !key;
}

static bool failed(const char *option, const char *spec, char *why, char **error)
{
    *error = g_strdup_printf("%s %s: %s", option, spec, why);
    g_free(why);
    return false;
}

bool net_add(Machine *m, const char *spec, char **error)
{
    Props *p = props_parse(spec, "type");
    const char *id = props_get(p, "id");
    char *why = NULL;
    bool ok;

    if (!id)
        why = g_strdup("id=ID is missing");
    ok = id && net_new(m, id, p, &why) && all_used(p, &why);
    props_free(p);
    return ok || failed("-netdev", spec, why, error);
}

/* The device's half of a -nic list; other is the back end's. */
static char *nic_device(Props *p, const char *id)
{
    const char *model = props_get(p, "model"), *mac = props_get(p, "mac");

    if (!model || !strcmp(model, "virtio"))
        model = "virtio-net-device";
    return g_strdup_printf("%s,netdev=%s%s%s", model, id, mac ? ",mac=" : "",
                           mac ? mac : "");
}

bool net_add_nic(Machine *m, const char *spec, char **error)
{
    Props *p = props_parse(spec, "type");
    const char *type = props_get(p, "type"), *given = props_get(p, "id");
    char *id = given ? g_strdup(given) : g_strdup_printf("#nic%u", m->devices->len);
    char *device = nic_device(p, id), *why = NULL;
    bool ok =
        !g_strcmp0(type, "none") ||
        (net_new(m, id, p, &why) && all_used(p, &why) && devices_add(m, device, &why));

    g_free(device);
    g_free(id);
    props_free(p);
    return ok || failed("-nic", spec, why, error);
}
