/* SPDX-License-Identifier: MIT */
/*
 * virtio-balloon (virtio 1.2, 5.5): pages that the guest does without go back to the
 * host, which gives it zeroed ones when they are next touched.  RAM is private memory
 * of this process, so there is nothing to do when the guest takes one back.
 */
#include <linux/virtio_balloon.h>
#include <string.h>
#include <sys/mman.h>
#include "virtio.h"

enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, QUEUES };
enum { PAGE = 1 << VIRTIO_BALLOON_PFN_SHIFT };

typedef struct Balloon {
    VirtioDevice v;
    u32 wanted, actual; /* pages that the guest shall, and does, do without */
    u32 poison;         /* what it fills free pages with, if it does */
    u64 stat[VIRTIO_BALLOON_S_NR];
    u64 interval; /* seconds between questions for them; 0: never */
    Timer *ask;
} Balloon;

static const char *const stat_name[] = VIRTIO_BALLOON_S_NAMES;

/* ---- pages ---- */

/* Whole pages of host memory that is the guest's RAM. */
static void discard(u8 *ram, u64 size)
{
    u8 *start = (u8 *)(((uintptr_t)ram + PAGE - 1) & -(uintptr_t)PAGE);
    u8 *end = (u8 *)(((uintptr_t)ram + size) & -(uintptr_t)PAGE);

    if (start < end)
        madvise(start, end - start, MADV_DONTNEED);
}

/* Neighbouring pages of a list, gathered into one call; upwards or downwards. */
typedef struct Run {
    u8 *start;
    u64 size;
} Run;

static void run_add(Run *r, u8 *page)
{
    if (r->size && page == r->start + r->size) {
        r->size += PAGE;
    } else if (r->size && page + PAGE == r->start) {
        r->start = page;
        r->size += PAGE;
    } else {
        discard(r->start, r->size);
        *r = (Run){page, PAGE};
    }
}

static void inflate(Balloon *b, const VirtioElement *e)
{
    u32 pfn[256];
    Run run = {0};
    size_t n;

    for (size_t at = 0; (n = virtio_get(e, at, pfn, sizeof(pfn)) / 4); at += n * 4)
        for (size_t i = 0; i < n; i++) {
            u64 phys = (u64)pfn[i] << VIRTIO_BALLOON_PFN_SHIFT;
            u8 *page = dma_ram(b->v.device.machine, phys, PAGE, true);

            if (page)
                run_add(&run, page);
        }
    discard(run.start, run.size);
}

/* Free pages that the guest will not miss the contents of: what it is to read next is
 * zeroes, which is not what one that poisons them expects. */
static void give_back(Balloon *b, const VirtioElement *e)
{
    if (virtio_has(&b->v, VIRTIO_BALLOON_F_PAGE_POISON) && b->poison)
        return;
    for (u32 i = 0; i < e->n_in; i++)
        discard(e->in[i].iov_base, e->in[i].iov_len);
}

static void pages_all(Balloon *b, u32 queue)
{
    VirtioElement *e;

    while ((e = virtio_pop(&b->v, queue))) {
        if (queue == QUEUE_INFLATE)
            inflate(b, e);
        else if (queue == QUEUE_REPORTING)
            give_back(b, e);
        virtio_push(&b->v, queue, e, 0);
    }
    virtio_notify(&b->v, queue);
}

/* ---- statistics ---- */

/* The guest leaves a buffer of them with us; it fills it anew when it gets it back. */
static void stats_read(Balloon *b)
{
    VirtioElement *e = virtio_pop(&b->v, QUEUE_STATS);
    struct virtio_balloon_stat s;

    if (!e)
        return;
    for (size_t at = 0; virtio_get(e, at, &s, sizeof(s)) == sizeof(s); at += sizeof(s))
        if (s.tag < VIRTIO_BALLOON_S_NR)
            b->stat[s.tag] = s.val;
    virtio_unpop(&b->v, QUEUE_STATS, e);
}

static void stats_again(Balloon *b)
{
    u64 ns = b->interval * 1000000000;

    timer_set(b->ask,
              b->interval ? machine_clock(b->v.device.machine) + ns : TIMER_OFF);
}

static void stats_ask(void *ctx)
{
    Balloon *b = ctx;
    VirtioElement *e = virtio_pop(&b->v, QUEUE_STATS);

    if (e)
        virtio_push(&b->v, QUEUE_STATS, e, 0);
    virtio_notify(&b->v, QUEUE_STATS);
    stats_again(b);
}

/* ---- the device ---- */

static void balloon_notify(VirtioDevice *v, u32 queue)
{
    Balloon *b = (Balloon *)v;

    if (queue == QUEUE_STATS)
        stats_read(b);
    else
        pages_all(b, queue);
}

static void balloon_config(VirtioDevice *v, u8 *config)
{
    const Balloon *b = (const Balloon *)v;
    const struct virtio_balloon_config c = {
        .num_pages = b->wanted, .actual = b->actual, .poison_val = b->poison};

    memcpy(config, &c, sizeof(c));
}

static void balloon_config_write(VirtioDevice *v, u32 offset, u32 value, u32 width)
{
    Balloon *b = (Balloon *)v;

    if (width != 4)
        return;
    if (offset == offsetof(struct virtio_balloon_config, poison_val))
        b->poison = value;
    if (offset == offsetof(struct virtio_balloon_config, actual) &&
        b->actual != value) {
        b->actual = value;
        machine_event(v->device.machine, EVENT_BALLOON);
    }
}

static void balloon_reset(VirtioDevice *v)
{
    Balloon *b = (Balloon *)v;

    b->actual = b->poison = 0;
    memset(b->stat, 0xff, sizeof(b->stat));
    timer_set(b->ask, TIMER_OFF);
}

static void balloon_ready(VirtioDevice *v) { stats_again((Balloon *)v); }

static void balloon_state(VirtioDevice *v, State *s)
{
    Balloon *b = (Balloon *)v;

    state_u32(s, &b->wanted);
    state_u32(s, &b->actual);
    state_u32(s, &b->poison);
    for (u32 i = 0; i < VIRTIO_BALLOON_S_NR; i++)
        state_u64(s, &b->stat[i]);
    if (s->loading && virtio_running(v))
        stats_again(b);
}

static void balloon_info(const VirtioDevice *v, GString *out)
{
    const Balloon *b = (const Balloon *)v;

    g_string_append_printf(out, "%u pages wanted, %u in the balloon\n", b->wanted,
                           b->actual);
    for (u32 i = 0; i < VIRTIO_BALLOON_S_NR; i++)
        if (b->stat[i] != ~0ull)
            g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", stat_name[i],
                                   b->stat[i]);
}

static void balloon_end(VirtioDevice *v) { timer_free(((Balloon *)v)->ask); }

/* ---- monitors ---- */

static Balloon *balloon_here(const Machine *m)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type == &virtio_mmio && ((VirtioDevice *)d)->type == &virtio_balloon)
            return (Balloon *)d;
    }
    return NULL;
}

static Balloon *balloon_find(const Machine *m, char **error)
{
    Balloon *b = balloon_here(m);

    if (!b)
        *error = g_strdup("No balloon device has been activated");
    return b;
}

bool balloon_set(Machine *m, u64 bytes, char **error)
{
    Balloon *b = balloon_find(m, error);

    if (!b)
        return false;
    b->wanted = (m->ram_size - MIN(bytes, m->ram_size)) >> VIRTIO_BALLOON_PFN_SHIFT;
    virtio_config_changed(&b->v);
    return true;
}

bool balloon_get(Machine *m, u64 *bytes, char **error)
{
    const Balloon *b = balloon_find(m, error);
    u64 gone = b ? (u64)b->actual << VIRTIO_BALLOON_PFN_SHIFT : 0;

    *bytes = m->ram_size - MIN(gone, m->ram_size);
    return b;
}

/* ---- its options ---- */

static const struct {
    const char *name;
    u32 feature;
    bool on;
} option[] = {
    {"deflate-on-oom", VIRTIO_BALLOON_F_DEFLATE_ON_OOM, false},
    {"free-page-reporting", VIRTIO_BALLOON_F_REPORTING, false},
    {"page-poison", VIRTIO_BALLOON_F_PAGE_POISON, true},
};

static VirtioDevice *balloon_create(Machine *m, Props *p, char **error)
{
    u64 features = 0, interval = 0;
    Balloon *b;

    for (u32 i = 0; i < G_N_ELEMENTS(option); i++) {
        bool on = option[i].on;

        if (!props_bool(p, option[i].name, &on, error))
            return NULL;
        features |= (u64)on << option[i].feature;
    }
    if (!props_u64(p, "guest-stats-polling-interval", &interval, error))
        return NULL;
    if (interval > G_MAXUINT32 || balloon_here(m)) {
        *error =
            g_strdup(balloon_here(m) ? "there is one already"
                                     : "guest-stats-polling-interval= is too long");
        return NULL;
    }
    b = virtio_new(m, &virtio_balloon, sizeof(*b));
    b->v.more_features = features;
    b->interval = interval;
    b->ask = timer_new(m, stats_ask, b);
    balloon_reset(&b->v);
    return &b->v;
}

const VirtioType virtio_balloon = {
    .name = "virtio-balloon-device",
    .id = VIRTIO_ID_BALLOON,
    .features = 1ull << VIRTIO_BALLOON_F_STATS_VQ,
    .n_queues = QUEUES,
    .create = balloon_create,
    .config_size = sizeof(struct virtio_balloon_config),
    .config_read = balloon_config,
    .config_write = balloon_config_write,
    .notify = balloon_notify,
    .ready = balloon_ready,
    .reset = balloon_reset,
    .state = balloon_state,
    .info = balloon_info,
    .free = balloon_end,
};
