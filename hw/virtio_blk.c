/* SPDX-License-Identifier: MIT */
/*
 * The block device (virtio 1.2, 5.2).  A thread of its own takes chains out of the
 * queues, a batch at a time, reads and writes without the machine's lock, and gives the
 * batch back at once.  Requests are served in the order they came in, so a flush finds
 * all that was done before it written.
 *
 * Blk.io is held while guest memory is read or written: once a reset has had it, what
 * was under way touches that memory no more.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include "disk.h"
#include "inside.h"
#include "virtio.h"

enum {
    BATCH = 64,
    BATCH_BYTES = 4 << 20,
    FAULTS = 1000,                           /* of one request, before it is given up */
    SECTORS_MOST = 0x7fffffff / DISK_SECTOR, /* of one discard */
};

typedef struct Request {
    VirtioElement *e;
    u32 queue, type, resets;
    u64 sector, size;
    struct iovec *iov; /* the data */
    u32 n;
    u8 *status_at, status;
    bool stop; /* the host failed, and the machine is to stop for it */
} Request;

typedef struct Head {
    u32 queue;
    u16 head;
} Head;

typedef struct Blk {
    VirtioDevice v;
    Disk *disk;
    char *serial;
    u32 block, physical_exp;
    bool writethrough; /* at a reset */
    GThread *worker;
    GCond work; /* with the machine's lock */
    GMutex io;  /* leaf */
    u32 resets; /* written with both locks */
    bool quit, busy;
    Request batch[BATCH];
    GArray *failed; /* of Head: to be done again when the machine goes on */
} Blk;

/* ---- a request ---- */

/* Takes n bytes from the segments' start. */
static void segments_skip(struct iovec **iov, u32 *n, size_t skip)
{
    for (; skip; ++*iov, --*n) {
        struct iovec *i = *iov;
        size_t k = MIN(skip, i->iov_len);

        i->iov_base = (u8 *)i->iov_base + k;
        i->iov_len -= k;
        skip -= k;
        if (i->iov_len)
            return;
    }
}

/* The last byte that the device writes is the status; it is data no more. */
static u8 *status_take(VirtioElement *e)
{
    struct iovec *last = &e->in[e->n_in - 1];

    return (u8 *)last->iov_base + --last->iov_len;
}

/* False: no request at all. */
static bool request_parse(Blk *b, Request *r, u32 queue, VirtioElement *e)
{
    struct virtio_blk_outhdr header;
    u64 in_size = e->in_size;

    if (virtio_get(e, 0, &header, sizeof header) < sizeof header || !e->n_in) {
        virtio_broken(&b->v, "a request without a header or a status");
        return false;
    }
    *r = (Request){
        .e = e,
        .queue = queue,
        .type = header.type,
        .resets = b->resets,
        .sector = header.sector,
        .status_at = status_take(e),
        .status = VIRTIO_BLK_S_OK,
    };
    if (r->type == VIRTIO_BLK_T_OUT) {
        r->iov = e->out;
        r->n = e->n_out;
        r->size = e->out_size - sizeof header;
        segments_skip(&r->iov, &r->n, sizeof header);
    } else {
        r->iov = e->in;
        r->n = e->n_in;
        r->size = in_size - 1;
    }
    return true;
}

/* ---- running it: the worker, without the machine's lock ---- */

static bool in_range(const Blk *b, u64 sector, u64 sectors)
{
    u64 all = b->disk->size / DISK_SECTOR;

    return sector <= all && sectors <= all - sector;
}

static int transfer_once(Blk *b, Request *r)
{
    u64 offset = r->sector * DISK_SECTOR;
    int error = -ECANCELED;

    g_mutex_lock(&b->io);
    if (r->resets == b->resets)
        error = r->type == VIRTIO_BLK_T_OUT ? disk_write(b->disk, offset, r->iov, r->n)
                                            : disk_read(b->disk, offset, r->iov, r->n);
    g_mutex_unlock(&b->io);
    return error;
}

/* A CPU has run code where we write to: again, after its code has been dropped. */
static void segments_reach(Blk *b, const Request *r)
{
    Machine *m = b->v.device.machine;

    for (u32 i = 0; i < r->n; i++)
        dma_ram(m, (u8 *)r->iov[i].iov_base - m->space.base, r->iov[i].iov_len, true);
}

static int transfer(Blk *b, Request *r)
{
    int error;

    if (r->size % b->block || r->sector % (b->block / DISK_SECTOR) ||
        !in_range(b, r->sector, r->size / DISK_SECTOR))
        return -EINVAL;
    for (u32 i = 0; (error = transfer_once(b, r)) == -EFAULT && i < FAULTS; i++)
        segments_reach(b, r);
    return error;
}

/* One segment, as we say in the configuration.  -ENOTSUP: not even a request for that.
 */
static int discard(Blk *b, const Request *r)
{
    bool zero = r->type == VIRTIO_BLK_T_WRITE_ZEROES;
    struct virtio_blk_discard_write_zeroes s;
    u64 offset;

    if (r->e->out_size != sizeof(struct virtio_blk_outhdr) + sizeof s ||
        virtio_get(r->e, sizeof(struct virtio_blk_outhdr), &s, sizeof s) < sizeof s ||
        s.flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
        return -ENOTSUP;
    if (s.num_sectors > SECTORS_MOST || s.num_sectors % (b->block / DISK_SECTOR) ||
        s.sector % (b->block / DISK_SECTOR) || !in_range(b, s.sector, s.num_sectors))
        return -EINVAL;
    offset = s.sector * DISK_SECTOR;
    return zero ? disk_zero(b->disk, offset, (u64)s.num_sectors * DISK_SECTOR, s.flags)
                : disk_discard(b->disk, offset, (u64)s.num_sectors * DISK_SECTOR);
}

static int request_do(Blk *b, Request *r)
{
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT: return transfer(b, r);
    case VIRTIO_BLK_T_FLUSH: return disk_flush(b->disk);
    case VIRTIO_BLK_T_GET_ID: return 0; /* request_end has the lock for it */
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return virtio_has(&b->v, r->type == VIRTIO_BLK_T_DISCARD
                                     ? VIRTIO_BLK_F_DISCARD
                                     : VIRTIO_BLK_F_WRITE_ZEROES)
                   ? discard(b, r)
                   : -ENOTSUP;
    }
    return -ENOTSUP;
}

/* What the guest did wrong is told to it; the host's failures as -drive says. */
static DiskError on_error(const Blk *b, const Request *r, int error)
{
    DiskError policy =
        r->type == VIRTIO_BLK_T_IN ? b->disk->on_read : b->disk->on_write;

    if (error == -ENOTSUP || error == -EINVAL || error == -EROFS || error == -EFAULT)
        return DISK_REPORT;
    if (policy == DISK_ENOSPC)
        return error == -ENOSPC ? DISK_STOP : DISK_REPORT;
    return policy;
}

static void request_run(Blk *b, Request *r)
{
    int error = request_do(b, r);
    DiskError policy = error ? on_error(b, r, error) : DISK_IGNORE;

    r->stop = policy == DISK_STOP;
    if (policy == DISK_REPORT)
        r->status = error == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* ---- the batch; lock held ---- */

static bool batch_add(Blk *b, u32 n, u32 queue, VirtioElement *e)
{
    if (request_parse(b, &b->batch[n], queue, e))
        return true;
    virtio_push(&b->v, queue, e, 0);
    return false;
}

static u32 batch_again(Blk *b)
{
    u32 n = 0;

    while (b->failed->len && n < BATCH) { /* few: the machine stops for the first */
        Head h = g_array_index(b->failed, Head, 0);
        VirtioElement *e = virtio_again(&b->v, h.queue, h.head);

        g_array_remove_index(b->failed, 0);
        if (e && batch_add(b, n, h.queue, e))
            n++;
    }
    return n;
}

static u32 batch_pop(Blk *b)
{
    u64 bytes = 0;
    u32 n;

    if (b->v.device.machine->run != RUN_RUNNING)
        return 0;
    n = batch_again(b);
    for (u32 queue = 0; queue < MAX(b->v.n_queues, 1); queue++)
        while (n < BATCH && bytes < BATCH_BYTES) {
            VirtioElement *e = virtio_pop(&b->v, queue);

            if (!e)
                break;
            if (!batch_add(b, n, queue, e))
                return n;
            bytes += b->batch[n++].size;
        }
    return n;
}

/* The host failed, and the machine stops: the request comes again when it goes on. */
static void request_put_off(Blk *b, Request *r)
{
    Head h = {r->queue, r->e->head};

    if (virtio_put_off(&b->v, r->queue, r->e))
        g_array_append_val(b->failed, h);
}

static void get_id(Blk *b, Request *r)
{
    char id[VIRTIO_BLK_ID_BYTES] = "";

    memcpy(id, b->serial, strnlen(b->serial, sizeof id));
    virtio_put(r->e, 0, id, sizeof id);
}

static void request_end(Blk *b, Request *r)
{
    if (r->resets == b->resets && r->type == VIRTIO_BLK_T_GET_ID)
        get_id(b, r);
    if (r->resets == b->resets)
        *r->status_at = r->status;
    virtio_push(&b->v, r->queue, r->e, r->e->in_size);
}

static void batch_end(Blk *b, u32 n)
{
    u32 used = 0; /* a bit for each queue */
    bool stop = false;

    for (u32 i = 0; i < n; i++) {
        Request *r = &b->batch[i];

        stop |= r->stop && r->resets == b->resets;
        used |= 1u << r->queue;
        if (r->stop)
            request_put_off(b, r);
        else
            request_end(b, r);
    }
    for (u32 queue = 0; used >> queue; queue++)
        if (used >> queue & 1)
            virtio_notify(&b->v, queue);
    if (stop)
        machine_stop(b->v.device.machine, RUN_IO_ERROR);
}

static void *work(void *ctx)
{
    Blk *b = ctx;
    Machine *m = b->v.device.machine;

    machine_lock(m);
    while (!b->quit) {
        u32 n = batch_pop(b);

        b->busy = n;
        if (!n) {
            g_cond_wait(&b->work, &m->lock);
            continue;
        }
        machine_unlock(m);
        for (u32 i = 0; i < n; i++)
            request_run(b, &b->batch[i]);
        machine_lock(m);
        batch_end(b, n);
        b->busy = false;
        if (m->held) /* perhaps until all is drained */
            g_main_context_wakeup(m->io);
    }
    machine_unlock(m);
    return NULL;
}

/* ---- the device ---- */

/* With -icount all happens at a moment of the guest's: at once, on its thread. */
static bool at_once(const Blk *b) { return b->v.device.machine->options->icount >= 0; }

static void serve_at_once(Blk *b)
{
    u32 n;

    while ((n = batch_pop(b))) {
        for (u32 i = 0; i < n; i++)
            request_run(b, &b->batch[i]);
        batch_end(b, n);
    }
}

static void blk_notify(VirtioDevice *v, u32 queue)
{
    Blk *b = (Blk *)v;

    if (at_once(b))
        serve_at_once(b);
    else
        g_cond_signal(&b->work);
}

static void blk_config_read(VirtioDevice *v, u8 *config)
{
    const Blk *b = (Blk *)v;
    const struct virtio_blk_config c = {
        .capacity = b->disk->size / DISK_SECTOR,
        .seg_max = v->queue_most - 2,
        .blk_size = b->block,
        .physical_block_exp = b->physical_exp,
        .wce = !b->disk->writethrough,
        .num_queues = v->n_queues,
        .max_discard_sectors = SECTORS_MOST,
        .max_discard_seg = 1,
        .discard_sector_alignment = b->block / DISK_SECTOR,
        .max_write_zeroes_sectors = SECTORS_MOST,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };

    memcpy(config, &c, sizeof c);
}

static void blk_config_write(VirtioDevice *v, u32 offset, u32 value, u32 width)
{
    if (offset == offsetof(struct virtio_blk_config, wce) && width == 1 &&
        virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE))
        ((Blk *)v)->disk->writethrough = !(value & 1);
}

/* A driver that cannot ask for flushes must not need them. */
static void blk_ready(VirtioDevice *v)
{
    if (!virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE))
        ((Blk *)v)->disk->writethrough = !virtio_has(v, VIRTIO_BLK_F_FLUSH);
}

static void blk_reset(VirtioDevice *v)
{
    Blk *b = (Blk *)v;

    g_mutex_lock(&b->io);
    b->resets++;
    g_mutex_unlock(&b->io);
    b->disk->writethrough = b->writethrough;
    g_array_set_size(b->failed, 0);
}

static void failed_state(Blk *b, State *s)
{
    u32 n = b->failed->len;

    state_u32(s, &n);
    if (s->loading)
        g_array_set_size(b->failed, 0);
    for (u32 i = 0; i < n && !s->error; i++) {
        Head h = s->loading ? (Head){0} : g_array_index(b->failed, Head, i);

        state_u32(s, &h.queue);
        state_u16(s, &h.head);
        if (h.queue >= b->v.n_queues)
            state_refuse(s, "a request of a queue that the disk has not");
        else if (s->loading)
            g_array_append_val(b->failed, h);
    }
}

static void blk_state(VirtioDevice *v, State *s)
{
    Blk *b = (Blk *)v;
    bool writethrough = b->disk->writethrough;

    state_bool(s, &writethrough);
    b->disk->writethrough = writethrough;
    failed_state(b, s);
}

static bool blk_drained(VirtioDevice *v) { return !((Blk *)v)->busy; }

static void blk_info(const VirtioDevice *v, GString *out)
{
    const Blk *b = (const Blk *)v;

    g_string_append_printf(
        out, "drive %s, %s, to be done again: %u\n", b->disk->device.id,
        b->disk->writethrough ? "writethrough" : "writeback", b->failed->len);
}

static void blk_free(VirtioDevice *v)
{
    Blk *b = (Blk *)v;

    b->quit = true;
    g_cond_signal(&b->work);
    if (b->worker) {
        machine_unlock(v->device.machine);
        g_thread_join(b->worker);
        machine_lock(v->device.machine);
    }
    if (b->disk)
        disk_close(b->disk);
    g_array_free(b->failed, true);
    g_free(b->serial);
    g_cond_clear(&b->work);
    g_mutex_clear(&b->io);
}

/* ---- -device virtio-blk-device ---- */

static bool in_bounds(const char *key, u64 value, u64 least, u64 most, bool power,
                      char **error)
{
    if (value >= least && value <= most && !(power && value & (value - 1)))
        return true;
    *error = g_strdup_printf("%s=%llu: wanted %llu to %llu%s", key,
                             (unsigned long long)value, (unsigned long long)least,
                             (unsigned long long)most, power ? ", a power of two" : "");
    return false;
}

static bool sizes_set(Blk *b, Props *p, char **error)
{
    u64 queues = 1, entries = 256, block = DISK_SECTOR, physical = 0;

    if (!props_u64(p, "num-queues", &queues, error) ||
        !props_u64(p, "queue-size", &entries, error) ||
        !props_u64(p, "logical_block_size", &block, error) ||
        !props_u64(p, "physical_block_size", &physical, error) ||
        !in_bounds("num-queues", queues, 1, VIRTIO_QUEUES, false, error) ||
        !in_bounds("queue-size", entries, 4, VIRTIO_QUEUE_MOST, true, error) ||
        !in_bounds("logical_block_size", block, DISK_SECTOR, 1 << 15, true, error) ||
        !in_bounds("physical_block_size", physical ? physical : block, block, 1 << 21,
                   true, error))
        return false;
    b->v.n_queues = queues;
    b->v.queue_most = entries;
    b->block = block;
    b->physical_exp = __builtin_ctzll((physical ? physical : block) / block);
    return true;
}

static bool features_set(Blk *b, Props *p, char **error)
{
    bool discard = true, zeroes = true;

    if (!props_bool(p, "discard", &discard, error) ||
        !props_bool(p, "write-zeroes", &zeroes, error))
        return false;
    b->v.more_features = (u64)discard << VIRTIO_BLK_F_DISCARD |
                         (u64)zeroes << VIRTIO_BLK_F_WRITE_ZEROES |
                         (u64)(b->v.n_queues > 1) << VIRTIO_BLK_F_MQ;
    return true;
}

static bool blk_set(Blk *b, Props *p, char **error)
{
    const char *drive = props_get(p, "drive"), *serial = props_get(p, "serial");
    bool write_cache;

    props_get(p, "bootindex"); /* there is no firmware here that asks for it */
    if (!drive)
        *error = g_strdup("drive=ID is missing");
    if (!drive || !sizes_set(b, p, error) || !features_set(b, p, error))
        return false;
    b->disk = disk_take(b->v.device.machine, drive, error);
    if (!b->disk)
        return false;
    write_cache = !b->disk->writethrough;
    if (!props_bool(p, "write-cache", &write_cache, error))
        return false;
    b->writethrough = !write_cache;
    b->disk->writethrough = !write_cache;
    b->v.more_features |= (u64)b->disk->read_only << VIRTIO_BLK_F_RO;
    b->serial = g_strdup(serial ? serial : "");
    return true;
}

static VirtioDevice *blk_create(Machine *m, Props *p, char **error)
{
    Blk *b = virtio_new(m, &virtio_blk, sizeof *b);

    g_cond_init(&b->work);
    g_mutex_init(&b->io);
    b->failed = g_array_new(false, false, sizeof(Head));
    if (!blk_set(b, p, error)) {
        blk_free(&b->v);
        g_free(b);
        return NULL;
    }
    if (!at_once(b))
        b->worker = g_thread_new("disk", work, b);
    return &b->v;
}

const VirtioType virtio_blk = {
    .name = "virtio-blk-device",
    .id = 2,
    .features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
                1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_TOPOLOGY |
                1ull << VIRTIO_BLK_F_CONFIG_WCE,
    .n_queues = 1,
    .create = blk_create,
    .config_size = sizeof(struct virtio_blk_config),
    .config_read = blk_config_read,
    .config_write = blk_config_write,
    .notify = blk_notify,
    .ready = blk_ready,
    .reset = blk_reset,
    .state = blk_state,
    .drained = blk_drained,
    .info = blk_info,
    .free = blk_free,
};
