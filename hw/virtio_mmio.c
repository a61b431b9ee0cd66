/* SPDX-License-Identifier: MIT */
/*
 * The transport: registers of virtio 1.2, 4.2 (version 2 alone: every driver since 2015
 * knows it), for a device that has been plugged into the slot or for none.  Out of turn
 * is ignored: a queue's place and size while it is ready, features once they are
 * agreed.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include "../microops/log.h"
#include "virtio.h"

#define MAGIC  0x74726976 /* "virt" */
#define VENDOR 0x554d4551 /* QEMU's, as drivers know it */
#define TRANSPORT                                                       \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
     1ull << VIRTIO_RING_F_EVENT_IDX)

enum { CONFIG_MOST = 256, STATUS_BITS = 0xff, QUEUE_SIZE = 256 };

/* ---- what the device is ---- */

static u64 offered(const VirtioDevice *v)
{
    return v->type->features | v->more_features | TRANSPORT;
}

static u32 queue_count(const VirtioDevice *v)
{
    return v->n_queues ? v->n_queues : v->type->n_queues;
}

static u32 queue_most(const VirtioDevice *v)
{
    u32 most = v->queue_most ? v->queue_most : v->type->queue_most;

    return most ? most : QUEUE_SIZE;
}

/* The one that the driver has selected; NULL: there is none. */
static VirtQueue *queue_selected(VirtioDevice *v)
{
    return v->queue_page < queue_count(v) ? &v->queue[v->queue_page] : NULL;
}

bool virtio_running(const VirtioDevice *v)
{
    const u32 needed = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK;

    return (v->status & (needed | VIRTIO_CONFIG_S_NEEDS_RESET)) == needed;
}

/* ---- its own registers ---- */

static u8 *config_get(VirtioDevice *v, u8 *config)
{
    memset(config, 0, CONFIG_MOST);
    if (v->type->config_read)
        v->type->config_read(v, config);
    return config;
}

static u64 config_read(VirtioDevice *v, u64 offset, u32 width)
{
    u8 config[CONFIG_MOST];
    u64 value = 0;

    if (offset + width > v->type->config_size)
        return width == 8 ? ~0ull : (1ull << 8 * width) - 1;
    memcpy(&value, config_get(v, config) + offset, width);
    return value;
}

static void config_write(VirtioDevice *v, u64 offset, u64 value, u32 width)
{
    if (offset + width <= v->type->config_size && v->type->config_write)
        v->type->config_write(v, offset, value, width);
}

/* ---- queues ---- */

/* Forgets it; what has been popped from it is not pushed any more. */
static void queue_drop(VirtQueue *q) { *q = (VirtQueue){.epoch = q->epoch + 1}; }

static void queue_ready(VirtioDevice *v, VirtQueue *q, bool ready)
{
    if (q->ready == ready)
        return;
    if (!ready)
        queue_drop(q);
    else if (q->size <= queue_most(v) && virtio_queue_fits(v, q))
        q->ready = true;
    else
        virtio_broken(v, "a queue of wrong size, or not in RAM");
}

static void queue_write(VirtioDevice *v, VirtQueue *q, u64 offset, u32 value)
{
    u64 *address = offset >= VIRTIO_MMIO_QUEUE_USED_LOW    ? &q->used
                   : offset >= VIRTIO_MMIO_QUEUE_AVAIL_LOW ? &q->avail
                                                           : &q->desc;

    if (offset == VIRTIO_MMIO_QUEUE_READY)
        queue_ready(v, q, value & 1);
    else if (q->ready)
        return;
    else if (offset == VIRTIO_MMIO_QUEUE_NUM)
        q->size = value <= VIRTIO_QUEUE_MOST ? value : 0;
    else if (offset & 4)
        *address = (u32)*address | (u64)value << 32;
    else
        *address = *address >> 32 << 32 | value;
}

static void queue_notify(VirtioDevice *v, u32 queue)
{
    if (queue < queue_count(v) && v->queue[queue].ready && virtio_running(v))
        v->type->notify(v, queue);
}

static void queues_notify(VirtioDevice *v)
{
    for (u32 i = 0; i < queue_count(v); i++)
        queue_notify(v, i);
}

/* ---- the driver's status ---- */

static void device_reset(Device *d)
{
    VirtioDevice *v = (VirtioDevice *)d;

    if (!v->type)
        return;
    if (v->type->reset)
        v->type->reset(v);
    for (u32 i = 0; i < VIRTIO_QUEUES; i++)
        queue_drop(&v->queue[i]);
    v->driver_features = 0;
    v->status = v->interrupt = 0;
    v->features_page = v->driver_page = v->queue_page = 0;
    device_irq(d, false);
}

static void status_write(VirtioDevice *v, u32 value)
{
    bool ran = virtio_running(v);

    if (!value) {
        device_reset(&v->device);
        return;
    }
    if (v->driver_features & ~offered(v) ||
        !(v->driver_features >> VIRTIO_F_VERSION_1 & 1))
        value &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    v->status = value | (v->status & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (ran || !virtio_running(v))
        return;
    if (v->type->ready)
        v->type->ready(v);
    queues_notify(v); /* what was put there before is seen too */
}

static void features_write(VirtioDevice *v, u32 value)
{
    u32 shift = 32 * v->driver_page;

    if (v->status & VIRTIO_CONFIG_S_FEATURES_OK || v->driver_page > 1)
        return;
    v->driver_features =
        (v->driver_features & ~(0xffffffffull << shift)) | (u64)value << shift;
}

/* ---- the registers ---- */

static u32 read32(VirtioDevice *v, u64 offset)
{
    const VirtQueue *q = queue_selected(v);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_ID: return v->type->id;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return v->features_page < 2 ? offered(v) >> 32 * v->features_page : 0;
    case VIRTIO_MMIO_QUEUE_NUM_MAX: return q ? queue_most(v) : 0;
    case VIRTIO_MMIO_QUEUE_READY: return q && q->ready;
    case VIRTIO_MMIO_INTERRUPT_STATUS: return v->interrupt;
    case VIRTIO_MMIO_STATUS: return v->status;
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH: return 0xffffffff; /* no such region */
    case VIRTIO_MMIO_CONFIG_GENERATION: return v->generation;
    }
    if (log_on(LOG_GUEST_ERRORS))
        log_printf("%s: read of register 0x%x\n", v->type->name, (u32)offset);
    return 0;
}

static void interrupt_clear(VirtioDevice *v, u32 bits)
{
    v->interrupt &= ~bits;
    device_irq(&v->device, v->interrupt);
}

static void write32(VirtioDevice *v, u64 offset, u32 value)
{
    VirtQueue *q = queue_selected(v);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL: v->features_page = value; return;
    case VIRTIO_MMIO_DRIVER_FEATURES: features_write(v, value); return;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL: v->driver_page = value; return;
    case VIRTIO_MMIO_QUEUE_SEL: v->queue_page = value; return;
    case VIRTIO_MMIO_QUEUE_NOTIFY: queue_notify(v, value); return;
    case VIRTIO_MMIO_INTERRUPT_ACK: interrupt_clear(v, value); return;
    case VIRTIO_MMIO_STATUS: status_write(v, value & STATUS_BITS); return;
    case VIRTIO_MMIO_SHM_SEL: return;
    case VIRTIO_MMIO_QUEUE_NUM:
    case VIRTIO_MMIO_QUEUE_READY:
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        if (q)
            queue_write(v, q, offset, value);
        return;
    }
    if (log_on(LOG_GUEST_ERRORS))
        log_printf("%s: write to register 0x%x\n", v->type->name, (u32)offset);
}

/* An empty slot says only that it is one. */
static u64 mmio_read(Device *d, u64 offset, u32 width)
{
    VirtioDevice *v = (VirtioDevice *)d;

    if (offset >= VIRTIO_MMIO_CONFIG)
        return v->type ? config_read(v, offset - VIRTIO_MMIO_CONFIG, width) : 0;
    if (width != 4)
        return 0;
    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE: return MAGIC;
    case VIRTIO_MMIO_VERSION: return 2;
    case VIRTIO_MMIO_VENDOR_ID: return VENDOR;
    }
    return v->type ? read32(v, offset) : 0;
}

static void mmio_write(Device *d, u64 offset, u64 value, u32 width)
{
    VirtioDevice *v = (VirtioDevice *)d;

    if (!v->type)
        return;
    if (offset >= VIRTIO_MMIO_CONFIG)
        config_write(v, offset - VIRTIO_MMIO_CONFIG, value, width);
    else if (width == 4)
        write32(v, offset, value);
}

/* ---- queues of which nobody was told: a stopped machine's, a loaded one's ---- */

static void look_at_all(void *ctx)
{
    Machine *m = ctx;

    for (u32 i = 0; m->run == RUN_RUNNING && i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type == &virtio_mmio && ((VirtioDevice *)d)->type)
            queues_notify((VirtioDevice *)d);
    }
}

static void on_event(void *ctx, MachineEvent event)
{
    if (event == EVENT_RESUME)
        look_at_all(ctx);
}

/* ---- saved and loaded ---- */

static void queue_state(VirtioDevice *v, VirtQueue *q, State *s)
{
    state_u64(s, &q->desc);
    state_u64(s, &q->avail);
    state_u64(s, &q->used);
    state_u16(s, &q->size);
    state_bool(s, &q->ready);
    state_u16(s, &q->next);
    state_u16(s, &q->used_index);
    state_u16(s, &q->signalled);
    state_bool(s, &q->signalled_any);
    if (!s->loading)
        return;
    q->in_flight = 0;
    q->epoch++;
    if (q->ready && (q->size > queue_most(v) || !virtio_queue_fits(v, q)))
        state_refuse(s, "a virtio queue that is not in RAM");
}

static void mmio_state(Device *d, State *s)
{
    VirtioDevice *v = (VirtioDevice *)d;
    u32 id = v->type ? v->type->id : 0, saved = id;

    state_u32(s, &saved);
    if (saved != id)
        state_refuse(s, "another virtio device is in that slot");
    if (!v->type || saved != id)
        return;
    state_u64(s, &v->driver_features);
    state_u32(s, &v->status);
    state_u32(s, &v->interrupt);
    state_u32(s, &v->features_page);
    state_u32(s, &v->driver_page);
    state_u32(s, &v->queue_page);
    state_u32(s, &v->generation);
    if (v->driver_features & ~offered(v))
        state_refuse(s, "virtio features that this device has not");
    for (u32 i = 0; i < queue_count(v); i++)
        queue_state(v, &v->queue[i], s);
    if (v->type->state)
        v->type->state(v, s);
    if (s->loading)
        io_call(d->machine, look_at_all, d->machine);
}

static bool mmio_drained(Device *d)
{
    VirtioDevice *v = (VirtioDevice *)d;

    return !v->type || !v->type->drained || v->type->drained(v);
}

/* ---- slots ---- */

static void mmio_info(const Device *d, GString *out)
{
    const VirtioDevice *v = (const VirtioDevice *)d;

    if (!v->type) {
        g_string_append(out, "empty\n");
        return;
    }
    g_string_append_printf(out, "%s status 0x%02x features 0x%llx\n", v->type->name,
                           v->status, (unsigned long long)v->driver_features);
    for (u32 i = 0; i < queue_count(v); i++)
        g_string_append_printf(out, "queue %u size %u next %u used %u in flight %u\n",
                               i, v->queue[i].size, v->queue[i].next,
                               v->queue[i].used_index, v->queue[i].in_flight);
    if (v->type->info)
        v->type->info(v, out);
}

static void mmio_free(Device *d)
{
    VirtioDevice *v = (VirtioDevice *)d;

    if (v->type && v->type->free)
        v->type->free(v);
    g_free(d->id);
    g_free(v);
}

const DeviceType virtio_mmio = {
    .name = "virtio-mmio",
    .size = VIRTIO_MMIO_CONFIG + CONFIG_MOST,
    .widths = 1 | 2 | 4 | 8,
    .read = mmio_read,
    .write = mmio_write,
    .reset = device_reset,
    .state = mmio_state,
    .drained = mmio_drained,
    .info = mmio_info,
    .free = mmio_free,
};

void virtio_slots(Machine *m, u64 base, u64 stride, u32 first_irq)
{
    for (u32 i = 0; i < VIRTIO_SLOTS; i++) {
        VirtioDevice *v = g_new0(VirtioDevice, 1);
        bool added =
            device_add(m, &v->device, &virtio_mmio, base + i * stride, first_irq + i);

        assert(added);
    }
    machine_listen(m, on_event, m);
}

void *virtio_new(Machine *m, const VirtioType *type, size_t size)
{
    VirtioDevice *v = g_malloc0(size);

    v->type = type;
    v->device.machine = m;
    return v;
}

bool virtio_plug(VirtioDevice *v, char **error)
{
    Machine *m = v->device.machine;
    Device *best = NULL;
    u32 index = 0;

    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type == &virtio_mmio && !((VirtioDevice *)d)->type &&
            (!best || d->base > best->base)) {
            best = d;
            index = i;
        }
    }
    if (!best) {
        *error = g_strdup_printf("no slot is left for %s: there are %u", v->type->name,
                                 VIRTIO_SLOTS);
        return false;
    }
    assert(v->type->config_size <= CONFIG_MOST && queue_count(v) <= VIRTIO_QUEUES);
    v->device.type = &virtio_mmio;
    v->device.base = best->base;
    v->device.irq = best->irq;
    m->devices->pdata[index] = v;
    m->bus.region[bus_find(&m->bus, best->base) - m->bus.region].ctx = v;
    g_free(best);
    return true;
}
