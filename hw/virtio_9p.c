/* SPDX-License-Identifier: MIT */
/* virtio-9p: a host folder by 9P over one queue.  A thread of its own takes a request
 * out of the queue, has it served without the machine's lock, and gives the answer. */
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include "inside.h"
#include "p9.h"
#include "virtio.h"

enum { QUEUE, QUEUES, TAG_MOST = 128 };

typedef struct Virtio9p {
    VirtioDevice v;
    P9 *server; /* the worker's; others' while it is not busy */
    char *tag;
    GThread *worker;
    GCond work; /* with the machine's lock */
    bool busy, quit;
    bool forget;          /* the driver has reset: fids are nobody's */
    u8 *request, *answer; /* P9_MOST bytes each; the worker's */
} Virtio9p;

/* ---- the worker ---- */

/* The request's size; 0: it is none, and the device is broken. */
static u32 request_get(Virtio9p *p, const VirtioElement *e)
{
    u32 size;

    if (e->in_size < P9_ERROR || virtio_get(e, 0, &size, 4) < 4 || size < P9_HEAD ||
        size > P9_MOST || virtio_get(e, 0, p->request, size) < size) {
        virtio_broken(&p->v, "a 9P message that is not as long as it says");
        return 0;
    }
    return size;
}

/* Lock held, but not while the request is served. */
static void serve(Virtio9p *p, VirtioElement *e)
{
    Machine *m = p->v.device.machine;
    u32 size = request_get(p, e), limit = (u32)MIN(e->in_size, P9_MOST);
    bool forget = p->forget;

    p->forget = false;
    if (size) {
        p->busy = true;
        machine_unlock(m);
        if (forget)
            p9_reset(p->server);
        size = p9_serve(p->server, p->request, size, p->answer, limit);
        machine_lock(m);
        p->busy = false;
        virtio_put(e, 0, p->answer, size);
    }
    virtio_push(&p->v, QUEUE, e, size);
    virtio_notify(&p->v, QUEUE);
}

static gpointer work(gpointer data)
{
    Virtio9p *p = data;
    Machine *m = p->v.device.machine;

    machine_lock(m);
    while (!p->quit) {
        VirtioElement *e = m->run == RUN_RUNNING ? virtio_pop(&p->v, QUEUE) : NULL;

        if (e)
            serve(p, e);
        else
            g_cond_wait(&p->work, &m->lock);
    }
    machine_unlock(m);
    return NULL;
}

/* ---- the device ---- */

static void p9_notify(VirtioDevice *v, u32 queue)
{
    g_cond_signal(&((Virtio9p *)v)->work);
}

static void p9_config(VirtioDevice *v, u8 *config)
{
    const char *tag = ((Virtio9p *)v)->tag;
    u16 n = strlen(tag);

    memcpy(config, &n, sizeof(n));
    memcpy(config + sizeof(n), tag, n);
}

static void p9_device_reset(VirtioDevice *v) { ((Virtio9p *)v)->forget = true; }

static bool p9_drained(VirtioDevice *v) { return !((Virtio9p *)v)->busy; }

static void p9_device_state(VirtioDevice *v, State *s)
{
    Virtio9p *p = (Virtio9p *)v;

    if (p->forget)
        p9_reset(p->server);
    p->forget = false;
    p9_state(p->server, s);
}

static void p9_info(const VirtioDevice *v, GString *out)
{
    const Virtio9p *p = (const Virtio9p *)v;

    g_string_append_printf(out, "%s: %s, %s\n", p->tag, p->server->fs->path,
                           p->busy ? "busy" : "idle");
}

static void p9_end(VirtioDevice *v)
{
    Virtio9p *p = (Virtio9p *)v;

    p->quit = true;
    g_cond_signal(&p->work);
    machine_unlock(v->device.machine);
    g_thread_join(p->worker);
    machine_lock(v->device.machine);
    g_cond_clear(&p->work);
    p9_free(p->server);
    g_free(p->tag);
    g_free(p->request);
    g_free(p->answer);
}

static VirtioDevice *p9_create(Machine *m, Props *props, char **error)
{
    const char *id = props_get(props, "fsdev"), *tag = props_get(props, "mount_tag");
    Fs *fs = id ? fs_find(m, id) : NULL;
    Virtio9p *p;

    if (!fs || !tag || !*tag || strlen(tag) > TAG_MOST) {
        *error =
            fs ? g_strdup_printf("mount_tag=TAG: wanted, of up to %u bytes", TAG_MOST)
               : g_strdup_printf("fsdev=%s: no such -fsdev", id ? id : "");
        return NULL;
    }
    p = virtio_new(m, &virtio_9p, sizeof(*p));
    p->tag = g_strdup(tag);
    p->server = p9_new(fs);
    p->request = g_malloc(P9_MOST);
    p->answer = g_malloc(P9_MOST);
    g_cond_init(&p->work);
    p->worker = g_thread_new("9p", work, p);
    return &p->v;
}

const VirtioType virtio_9p = {
    .name = "virtio-9p-device",
    .id = VIRTIO_ID_9P,
    .features = 1ull << VIRTIO_9P_MOUNT_TAG,
    .n_queues = QUEUES,
    .queue_most = 128, /* as Linux's driver has it */
    .create = p9_create,
    .config_size = sizeof(u16) + TAG_MOST,
    .config_read = p9_config,
    .notify = p9_notify,
    .reset = p9_device_reset,
    .state = p9_device_state,
    .drained = p9_drained,
    .info = p9_info,
    .free = p9_end,
};
