/* SPDX-License-Identifier: MIT */
/*
 * Split queues (virtio 1.2, 2.7): chains out of the available ring, with indirect
 * tables, their heads into the used ring, and who wants to hear of either.  The rings
 * are asked for anew each time: they are the guest's memory, and may hold anything.
 *
 * The driver's threads run beside ours: an index is read before, and written after,
 * what it speaks of; and between writing one's own index and reading whether the other
 * wants to be told there is a full fence, or both would wait.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include "../microops/log.h"
#include "virtio.h"

enum { CHAIN_MOST = VIRTIO_QUEUE_MOST };

/* ---- the rings ---- */

static const u8 *ring_desc(const VirtioDevice *v, const VirtQueue *q)
{
    return dma_ram(v->device.machine, q->desc, 16ull * q->size, false);
}

static struct vring_avail *ring_avail(const VirtioDevice *v, const VirtQueue *q)
{
    return (void *)dma_ram(v->device.machine, q->avail, 6 + 2ull * q->size, false);
}

static struct vring_used *ring_used(const VirtioDevice *v, const VirtQueue *q)
{
    return (void *)dma_ram(v->device.machine, q->used, 6 + 8ull * q->size, true);
}

bool virtio_queue_fits(const VirtioDevice *v, const VirtQueue *q)
{
    return q->size && !(q->size & (q->size - 1)) && !(q->desc % 16) &&
           !(q->avail % 2) && !(q->used % 4) && ring_desc(v, q) && ring_avail(v, q) &&
           ring_used(v, q);
}

static bool running(const VirtioDevice *v, const VirtQueue *q)
{
    return q->ready && virtio_running(v);
}

/* ---- a chain ---- */

typedef struct Chain {
    VirtioDevice *v;
    const u8 *table;
    u32 size;  /* descriptors in it */
    u32 steps; /* seen of them */
    bool indirect;
    u32 n_out, n_in;
    u64 out_size, in_size;
    struct iovec *iov; /* CHAIN_MOST */
} Chain;

static bool wrong(Chain *c, const char *why)
{
    virtio_broken(c->v, why);
    return false;
}

static bool chain_indirect(Chain *c, const struct vring_desc *d)
{
    if (c->indirect || !virtio_has(c->v, VIRTIO_RING_F_INDIRECT_DESC) ||
        d->flags & VRING_DESC_F_NEXT)
        return wrong(c, "an indirect descriptor where none may be");
    if (!d->len || d->len % sizeof *d)
        return wrong(c, "a table of descriptors of wrong size");
    c->table = dma_ram(c->v->device.machine, d->addr, d->len, false);
    c->size = MIN(d->len / sizeof *d, CHAIN_MOST);
    c->steps = 0;
    c->indirect = true;
    return c->table || wrong(c, "a table of descriptors that is not in RAM");
}

static bool chain_buffer(Chain *c, const struct vring_desc *d)
{
    bool in = d->flags & VRING_DESC_F_WRITE;
    u64 *size = in ? &c->in_size : &c->out_size;
    struct iovec *iov = &c->iov[c->n_out + c->n_in];

    if (c->n_out + c->n_in == CHAIN_MOST)
        return wrong(c, "a chain that is too long");
    if (!in && c->n_in)
        return wrong(c, "what the device reads after what it writes");
    if (!d->len)
        return wrong(c, "an empty buffer");
    iov->iov_len = d->len;
    *size += d->len;
    if (c->out_size + c->in_size > c->v->device.machine->ram_size)
        return wrong(c, "a chain larger than RAM");
    iov->iov_base = dma_ram(c->v->device.machine, d->addr, d->len, in);
    *(in ? &c->n_in : &c->n_out) += 1;
    return iov->iov_base || wrong(c, "a buffer that is not in RAM");
}

/* The driver may change descriptors under our eyes: each is looked at once. */
static bool chain_read(Chain *c, u32 i)
{
    for (;;) {
        struct vring_desc d;

        if (i >= c->size || c->steps++ == c->size)
            return wrong(c, "a chain that leaves its table, or loops");
        memcpy(&d, c->table + i * sizeof d, sizeof d);
        if (d.flags & VRING_DESC_F_INDIRECT) {
            if (!chain_indirect(c, &d))
                return false;
            i = 0;
            continue;
        }
        if (!chain_buffer(c, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        i = d.next;
    }
}

/* Element and segments in one piece. */
static VirtioElement *element_new(const Chain *c, const VirtQueue *q, u16 head)
{
    u32 n = c->n_out + c->n_in;
    VirtioElement *e = g_malloc(sizeof *e + n * sizeof *e->in);
    struct iovec *iov = (struct iovec *)(e + 1);

    memcpy(iov, c->iov, n * sizeof *iov);
    *e = (VirtioElement){
        .head = head,
        .epoch = q->epoch,
        .n_out = c->n_out,
        .n_in = c->n_in,
        .out_size = c->out_size,
        .in_size = c->in_size,
        .out = iov,
        .in = iov + c->n_out,
    };
    return e;
}

VirtioElement *virtio_again(VirtioDevice *v, u32 queue, u16 head)
{
    VirtQueue *q = &v->queue[queue];
    struct iovec iov[CHAIN_MOST];
    Chain c;

    if (!running(v, q))
        return NULL;
    if (q->in_flight >= q->size) {
        virtio_broken(v, "more chains than the queue has room for");
        return NULL;
    }
    c = (Chain){.v = v, .table = ring_desc(v, q), .size = q->size, .iov = iov};
    if (!c.table || !chain_read(&c, head))
        return NULL;
    q->in_flight++;
    return element_new(&c, q, head);
}

/* ---- available ---- */

/* Behind the used ring: at which index of the available one we want to be told. */
static u16 *avail_event(struct vring_used *used, const VirtQueue *q)
{
    return (u16 *)&used->ring[q->size];
}

/* Does the driver tell us when it adds to the queue? */
static void tell_us(VirtioDevice *v, VirtQueue *q, bool tell)
{
    bool event = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
    struct vring_used *used = tell || !event ? ring_used(v, q) : NULL;

    if (!used)
        return;
    if (event)
        __atomic_store_n(avail_event(used, q), q->next, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&used->flags, tell ? 0 : VRING_USED_F_NO_NOTIFY,
                         __ATOMIC_RELAXED);
    if (tell)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Chains that the driver has made available and nobody has popped. */
static u16 avail_count(const VirtQueue *q, const struct vring_avail *avail)
{
    return (u16)(__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) - q->next);
}

VirtioElement *virtio_pop(VirtioDevice *v, u32 queue)
{
    VirtQueue *q = &v->queue[queue];
    struct vring_avail *avail = running(v, q) ? ring_avail(v, q) : NULL;
    VirtioElement *e;
    u16 n, head;

    if (!avail)
        return NULL;
    n = avail_count(q, avail);
    if (!n) {
        tell_us(v, q, true);
        n = avail_count(q, avail);
    }
    if (!n)
        return NULL;
    if (n > q->size) {
        virtio_broken(v, "more made available than the queue has room for");
        return NULL;
    }
    head = __atomic_load_n(&avail->ring[q->next & (q->size - 1)], __ATOMIC_RELAXED);
    e = virtio_again(v, queue, head);
    if (!e)
        return NULL;
    q->next++;
    tell_us(v, q, false);
    return e;
}

bool virtio_pending(VirtioDevice *v, u32 queue)
{
    VirtQueue *q = &v->queue[queue];
    struct vring_avail *avail = running(v, q) ? ring_avail(v, q) : NULL;

    return avail && avail_count(q, avail);
}

/* ---- used ---- */

static bool current(const VirtioDevice *v, const VirtQueue *q, const VirtioElement *e)
{
    return running(v, q) && e->epoch == q->epoch;
}

void virtio_push(VirtioDevice *v, u32 queue, VirtioElement *e, u32 written)
{
    VirtQueue *q = &v->queue[queue];
    struct vring_used *used = current(v, q, e) ? ring_used(v, q) : NULL;

    if (used) {
        used->ring[q->used_index & (q->size - 1)] =
            (struct vring_used_elem){e->head, MIN(written, e->in_size)};
        q->in_flight--;
        q->used_index++;
        __atomic_store_n(&used->idx, q->used_index, __ATOMIC_RELEASE);
    }
    g_free(e);
}

void virtio_unpop(VirtioDevice *v, u32 queue, VirtioElement *e)
{
    VirtQueue *q = &v->queue[queue];

    if (current(v, q, e)) {
        q->next--;
        q->in_flight--;
    }
    g_free(e);
}

bool virtio_put_off(VirtioDevice *v, u32 queue, VirtioElement *e)
{
    bool ours = current(v, &v->queue[queue], e);

    v->queue[queue].in_flight -= ours;
    g_free(e);
    return ours;
}

/* ---- telling the driver ---- */

static bool wants_to_know(VirtioDevice *v, VirtQueue *q)
{
    struct vring_avail *avail = ring_avail(v, q);
    u16 old = q->signalled;
    bool any = q->signalled_any;

    if (!avail)
        return false;
    if (!virtio_has(v, VIRTIO_RING_F_EVENT_IDX))
        return !(__atomic_load_n(&avail->flags, __ATOMIC_RELAXED) &
                 VRING_AVAIL_F_NO_INTERRUPT);
    q->signalled = q->used_index;
    q->signalled_any = true;
    return !any ||
           vring_need_event(__atomic_load_n(&avail->ring[q->size], __ATOMIC_RELAXED),
                            q->used_index, old);
}

static void raise_interrupt(VirtioDevice *v, u32 why)
{
    v->interrupt |= why;
    device_irq(&v->device, true);
}

void virtio_notify(VirtioDevice *v, u32 queue)
{
    VirtQueue *q = &v->queue[queue];

    if (!running(v, q))
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (wants_to_know(v, q))
        raise_interrupt(v, VIRTIO_MMIO_INT_VRING);
}

void virtio_config_changed(VirtioDevice *v)
{
    if (!(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
        return;
    v->generation++;
    raise_interrupt(v, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_broken(VirtioDevice *v, const char *why)
{
    if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;
    if (log_on(LOG_GUEST_ERRORS))
        log_printf("%s: %s\n", v->type->name, why);
    v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    virtio_config_changed(v);
}

/* ---- what is in an element ---- */

/* Copies between bytes and the segments' bytes from offset on. */
static size_t copy(const struct iovec *iov, u32 n, size_t offset, u8 *bytes,
                   size_t size, bool out)
{
    size_t done = 0;

    for (u32 i = 0; i < n && done < size; i++) {
        size_t len = iov[i].iov_len, k;

        if (offset >= len) {
            offset -= len;
            continue;
        }
        k = MIN(len - offset, size - done);
        if (out)
            memcpy(bytes + done, (u8 *)iov[i].iov_base + offset, k);
        else
            memcpy((u8 *)iov[i].iov_base + offset, bytes + done, k);
        done += k;
        offset = 0;
    }
    return done;
}

size_t virtio_get(const VirtioElement *e, size_t offset, void *to, size_t n)
{
    return copy(e->out, e->n_out, offset, to, n, true);
}

size_t virtio_put(const VirtioElement *e, size_t offset, const void *from, size_t n)
{
    return copy(e->in, e->n_in, offset, (u8 *)from, n, false);
}
