/* SPDX-License-Identifier: MIT */
/* The entropy device (virtio 1.2, 5.4): bytes of the host's getrandom, as many in a
 * period of time as max-bytes= and period= allow. */
#include <string.h>
#include <sys/random.h>
#include "virtio.h"

enum { AT_ONCE = 4096 }; /* of one chain */

typedef struct Rng {
    VirtioDevice v;
    u64 most, period; /* bytes in so many ns */
    u64 left;         /* bytes, of this period */
    u64 ends;         /* this period; TIMER_OFF: none has begun */
    Timer *timer;
} Rng;

static size_t fill(VirtioElement *e, size_t n)
{
    u8 bytes[AT_ONCE];
    ssize_t got;

    n = MIN(n, MIN(e->in_size, AT_ONCE));
    got = n ? getrandom(bytes, n, 0) : 0;
    return got > 0 ? virtio_put(e, 0, bytes, got) : 0;
}

static void period_begin(Rng *r)
{
    if (r->most == ~0ull || r->ends != TIMER_OFF)
        return;
    r->ends = machine_clock(r->v.device.machine) + r->period;
    timer_set(r->timer, r->ends);
}

/* What the driver waits for, as far as the period allows it. */
static void serve(Rng *r)
{
    VirtioElement *e;
    bool any = false;

    while (r->left && (e = virtio_pop(&r->v, 0))) {
        size_t n = fill(e, r->left);

        if (r->most != ~0ull)
            r->left -= n;
        virtio_push(&r->v, 0, e, n);
        any = true;
    }
    if (any) {
        period_begin(r);
        virtio_notify(&r->v, 0);
    }
}

static void on_timer(void *ctx)
{
    Rng *r = ctx;

    r->left = r->most;
    r->ends = TIMER_OFF;
    serve(r);
}

static void rng_notify(VirtioDevice *v, u32 queue) { serve((Rng *)v); }

static void rng_state(VirtioDevice *v, State *s)
{
    Rng *r = (Rng *)v;

    state_u64(s, &r->left);
    state_u64(s, &r->ends);
    if (!s->loading)
        return;
    r->left = MIN(r->left, r->most);
    timer_set(r->timer, r->ends);
}

static void rng_free(VirtioDevice *v)
{
    if (((Rng *)v)->timer)
        timer_free(((Rng *)v)->timer);
}

static VirtioDevice *rng_create(Machine *m, Props *p, char **error)
{
    u64 most = ~0ull, period = 1 << 16;
    Rng *r;

    props_get(p, "rng"); /* an -object: getrandom gives what each of them would */
    if (!props_u64(p, "max-bytes", &most, error) ||
        !props_u64(p, "period", &period, error))
        return NULL;
    if (!most || !period || period > G_MAXUINT32) {
        *error = g_strdup("max-bytes= and period= (ms): wanted more than 0");
        return NULL;
    }
    r = virtio_new(m, &virtio_rng, sizeof *r);
    r->most = r->left = most;
    r->period = period * 1000000;
    r->ends = TIMER_OFF;
    r->timer = timer_new(m, on_timer, r);
    return &r->v;
}

const VirtioType virtio_rng = {
    .name = "virtio-rng-device",
    .id = 4,
    .n_queues = 1,
    .queue_most = 8,
    .create = rng_create,
    .notify = rng_notify,
    .state = rng_state,
    .free = rng_free,
};
