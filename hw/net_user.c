/* SPDX-License-Identifier: MIT */
/*
 * User networking: the guest's frames end in libslirp, which speaks for it through the
 * host's sockets.  Their events come through one GSource of the main thread's loop;
 * all of libslirp is used with the machine's lock held.
 */
#include <errno.h>
#include <signal.h>
#include <libslirp.h>
#include "../microops/log.h"
#include "inside.h"
#include "net.h"
#include "net_user.h"

typedef struct NetUser NetUser;

typedef struct SlirpSource {
    GSource source;
    NetUser *user;
} SlirpSource;

struct NetUser {
    Net net;
    Slirp *slirp;
    SlirpSource *source;
    GArray *wanted;  /* of GPollFD: what libslirp waits for */
    GPtrArray *poll; /* of GPollFD *: what the loop polls */
    i64 deadline;    /* of g_get_monotonic_time; when libslirp wants to look again */
    NetUserConfig config;
};

/* ---- what libslirp asks for ---- */

static ssize_t user_deliver(const void *frame, size_t size, void *ctx)
{
    net_deliver(ctx, frame, size);
    return size;
}

static void user_error(const char *text, void *ctx)
{
    if (log_on(LOG_GUEST_ERRORS))
        log_printf("user network: %s\n", text);
}

static i64 user_clock(void *ctx) { return machine_clock(((Net *)ctx)->device.machine); }

static void *user_timer_new(SlirpTimerCb fire, void *arg, void *ctx)
{
    return timer_new(((Net *)ctx)->device.machine, fire, arg);
}

static void user_timer_free(void *timer, void *ctx) { timer_free(timer); }

static void user_timer_mod(void *timer, i64 ms, void *ctx)
{
    timer_set(timer, (u64)ms * 1000000);
}

static void user_poll_fd(int fd, void *ctx) {}

static void user_notify(void *ctx)
{
    g_main_context_wakeup(((Net *)ctx)->device.machine->io);
}

static const SlirpCb callbacks = {
    .send_packet = user_deliver,
    .guest_error = user_error,
    .clock_get_ns = user_clock,
    .timer_new = user_timer_new,
    .timer_free = user_timer_free,
    .timer_mod = user_timer_mod,
    .register_poll_fd = user_poll_fd,
    .unregister_poll_fd = user_poll_fd,
    .notify = user_notify,
};

/* ---- its sockets in the main thread's loop ---- */

static const struct {
    int slirp;
    GIOCondition glib;
} condition[] = {
    {SLIRP_POLL_IN, G_IO_IN},   {SLIRP_POLL_OUT, G_IO_OUT}, {SLIRP_POLL_PRI, G_IO_PRI},
    {SLIRP_POLL_ERR, G_IO_ERR}, {SLIRP_POLL_HUP, G_IO_HUP},
};

static int poll_add(int fd, int events, void *ctx)
{
    NetUser *u = ctx;
    GPollFD p = {.fd = fd};

    for (u32 i = 0; i < G_N_ELEMENTS(condition); i++)
        if (events & condition[i].slirp)
            p.events |= condition[i].glib;
    g_array_append_val(u->wanted, p);
    return u->wanted->len - 1;
}

static int poll_events(int index, void *ctx)
{
    NetUser *u = ctx;
    GPollFD *p = u->poll->pdata[index];
    int events = 0;

    for (u32 i = 0; i < G_N_ELEMENTS(condition); i++)
        if (p->revents & condition[i].glib)
            events |= condition[i].slirp;
    return events;
}

static bool poll_same(const NetUser *u)
{
    if (u->poll->len != u->wanted->len)
        return false;
    for (u32 i = 0; i < u->poll->len; i++) {
        const GPollFD *old = u->poll->pdata[i];

        if (old->fd != g_array_index(u->wanted, GPollFD, i).fd)
            return false;
    }
    return true;
}

static void poll_drop(NetUser *u)
{
    for (u32 i = 0; i < u->poll->len; i++)
        g_source_remove_poll(&u->source->source, u->poll->pdata[i]);
    g_ptr_array_set_size(u->poll, 0);
}

/* Tells the loop what has changed since it polled last: mostly nothing. */
static void poll_update(NetUser *u)
{
    bool same = poll_same(u);

    if (!same)
        poll_drop(u);
    for (u32 i = 0; i < u->wanted->len; i++) {
        GPollFD *want = &g_array_index(u->wanted, GPollFD, i);

        if (same) {
            ((GPollFD *)u->poll->pdata[i])->events = want->events;
        } else {
            g_ptr_array_add(u->poll, g_memdup2(want, sizeof(*want)));
            g_source_add_poll(&u->source->source, u->poll->pdata[i]);
        }
    }
}

static gboolean source_prepare(GSource *source, int *timeout)
{
    NetUser *u = ((SlirpSource *)source)->user;
    u32 ms = G_MAXINT;

    machine_lock(u->net.device.machine);
    g_array_set_size(u->wanted, 0);
    slirp_pollfds_fill(u->slirp, &ms, poll_add, u);
    poll_update(u);
    machine_unlock(u->net.device.machine);
    *timeout = ms >= G_MAXINT ? -1 : (int)ms;
    u->deadline = ms >= G_MAXINT ? G_MAXINT64 : g_get_monotonic_time() + ms * 1000ll;
    return false;
}

static gboolean source_check(GSource *source)
{
    NetUser *u = ((SlirpSource *)source)->user;

    for (u32 i = 0; i < u->poll->len; i++)
        if (((GPollFD *)u->poll->pdata[i])->revents)
            return true;
    return g_get_monotonic_time() >= u->deadline;
}

static gboolean source_dispatch(GSource *source, GSourceFunc f, void *ctx)
{
    NetUser *u = ((SlirpSource *)source)->user;

    machine_lock(u->net.device.machine);
    slirp_pollfds_poll(u->slirp, 0, poll_events, u);
    machine_unlock(u->net.device.machine);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

/* ---- the back end ---- */

/* libslirp's own minimum; what is longer than an IP packet can be is nobody's. */
static void user_send(Net *n, const u8 *frame, size_t size)
{
    if (size >= 14 && size <= 0xffff + 14)
        slirp_input(((NetUser *)n)->slirp, frame, size);
}

static void user_free(Net *n)
{
    NetUser *u = (NetUser *)n;

    poll_drop(u);
    g_source_destroy(&u->source->source);
    g_source_unref(&u->source->source);
    slirp_cleanup(u->slirp);
    g_ptr_array_free(u->poll, true);
    g_array_free(u->wanted, true);
    net_user_config_free(&u->config);
    g_free(u->net.device.id);
    g_free(u);
}

static void user_info(const Device *d, GString *out)
{
    const NetUser *u = (const NetUser *)d;
    char *text = slirp_connection_info(u->slirp);

    g_string_append_printf(out, "user network %s, %u frames held\n", d->id,
                           u->net.held.length);
    g_string_append(out, text);
    g_free(text);
}

static const DeviceType net_user = {
    .name = "net-user",
    .info = user_info,
    .free = net_free,
};

bool net_user_forward(Net *n, const char *rule, char **error)
{
    Forward f;

    if (!net_user_rule(rule, &f, error))
        return false;
    if (slirp_add_hostfwd(((NetUser *)n)->slirp, f.udp, f.host, f.host_port, f.guest,
                          f.guest_port) == 0)
        return true;
    *error = g_strdup_printf("hostfwd=%s: %s", rule, strerror(errno));
    return false;
}

static NetUser *user_new(Machine *m, const NetUserConfig *config)
{
    NetUser *u = g_new0(NetUser, 1);

    u->config = *config;
    u->net.takes_large = true; /* it reads no MTU into what it gets */
    u->net.send = user_send;
    u->net.free = user_free;
    u->wanted = g_array_new(false, false, sizeof(GPollFD));
    u->poll = g_ptr_array_new_with_free_func(g_free);
    device_add(m, &u->net.device, &net_user, 0, 0);
    u->slirp = slirp_new(&u->config.slirp, &callbacks, u);
    u->source = (SlirpSource *)g_source_new(&source_funcs, sizeof(SlirpSource));
    u->source->user = u;
    g_source_attach(&u->source->source, m->io);
    return u;
}

Net *net_user_new(Machine *m, Props *p, char **error)
{
    NetUserConfig config;
    NetUser *u;

    if (!net_user_config(p, &config, error))
        return NULL;
    signal(SIGPIPE, SIG_IGN); /* libslirp writes to peers that may have gone */
    u = user_new(m, &config);
    for (u32 i = 0; i < p->keys->len; i++)
        if (!strcmp(p->keys->pdata[i], "hostfwd") &&
            !net_user_forward(&u->net, p->values->pdata[i], error))
            return NULL;
    return &u->net;
}
