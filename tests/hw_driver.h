/* SPDX-License-Identifier: MIT */
/* What a guest's virtio driver does, step by step, so that a test can do each wrong. */
#ifndef TESSERA_TESTS_HW_DRIVER_H
#define TESSERA_TESTS_HW_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include "../hw/virtio.h"
#include "hw_board.h"

#define DRIVER_SLOTS 0x10001000ull

enum {
    DRIVER_STRIDE = 0x1000,
    DRIVER_IRQ = 1,
    DRIVER_QUEUE = 8,      /* entries of a queue */
    DRIVER_RINGS = 0x4000, /* bytes that a queue's rings have, all together */
    DRIVER_INDIRECT = 1ull << VIRTIO_RING_F_INDIRECT_DESC,
    DRIVER_EVENT = 1ull << VIRTIO_RING_F_EVENT_IDX,
};

typedef struct Driver {
    Machine *m;
    u64 slot;
    u64 rings[VIRTIO_QUEUES]; /* physical: descriptors, +0x1000 available, +0x2000 used
                               */
    u16 avail[VIRTIO_QUEUES], used[VIRTIO_QUEUES], next[VIRTIO_QUEUES];
    bool event;
} Driver;

/* A machine with eight empty slots, running. */
static inline Machine *driver_machine(void)
{
    Machine *m = board_new();

    machine_lock(m);
    virtio_slots(m, DRIVER_SLOTS, DRIVER_STRIDE, DRIVER_IRQ);
    machine_unlock(m);
    return m;
}

/* Plugs in what the -device list says; its slot's registers. */
static inline u64 driver_plug(Machine *m, const VirtioType *type, const char *list)
{
    Props *p = props_parse(list, "driver");
    char *error = NULL;
    VirtioDevice *v;

    machine_lock(m);
    v = type->create(m, p, &error);
    cr_assert(v && virtio_plug(v, &error), "%s", error);
    machine_unlock(m);
    props_free(p);
    return v->device.base;
}

/* One buffer of a chain; from: its bytes, in RAM already when NULL. */
typedef struct Buffer {
    u64 phys;
    u32 size;
    bool in; /* for the device to write */
} Buffer;

static inline u32 reg(const Driver *d, u32 offset)
{
    u64 value;

    cr_assert(bus_read(&d->m->bus, d->slot + offset, 4, &value));
    return value;
}

static inline void set(const Driver *d, u32 offset, u32 value)
{
    cr_assert(bus_write(&d->m->bus, d->slot + offset, 4, value));
}

static inline void *ram(const Driver *d, u64 phys)
{
    return space_host(&d->m->space, phys);
}

static inline struct vring_desc *descs(const Driver *d, u32 q)
{
    return ram(d, d->rings[q]);
}
static inline struct vring_avail *avail(const Driver *d, u32 q)
{
    return ram(d, d->rings[q] + 0x1000);
}
static inline struct vring_used *used(const Driver *d, u32 q)
{
    return ram(d, d->rings[q] + 0x2000);
}

static inline u64 driver_features(const Driver *d)
{
    u64 features;

    set(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    features = (u64)reg(d, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
    set(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return features | reg(d, VIRTIO_MMIO_DEVICE_FEATURES);
}

static inline u32 driver_status(const Driver *d) { return reg(d, VIRTIO_MMIO_STATUS); }

static inline void driver_status_add(const Driver *d, u32 bits)
{
    set(d, VIRTIO_MMIO_STATUS, driver_status(d) | bits);
}

/* Reset to FEATURES_OK. */
static inline void driver_agree(Driver *d, u64 features)
{
    set(d, VIRTIO_MMIO_STATUS, 0);
    driver_status_add(d, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    features |= 1ull << VIRTIO_F_VERSION_1;
    for (u32 i = 0; i < 2; i++) {
        set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
        set(d, VIRTIO_MMIO_DRIVER_FEATURES, features >> 32 * i);
    }
    driver_status_add(d, VIRTIO_CONFIG_S_FEATURES_OK);
    d->event = features & DRIVER_EVENT;
}

static inline void driver_queue_at(Driver *d, u32 q, u32 size, u64 desc, u64 driver,
                                   u64 device)
{
    set(d, VIRTIO_MMIO_QUEUE_SEL, q);
    set(d, VIRTIO_MMIO_QUEUE_NUM, size);
    set(d, VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
    set(d, VIRTIO_MMIO_QUEUE_DESC_HIGH, desc >> 32);
    set(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, driver);
    set(d, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, driver >> 32);
    set(d, VIRTIO_MMIO_QUEUE_USED_LOW, device);
    set(d, VIRTIO_MMIO_QUEUE_USED_HIGH, device >> 32);
    set(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

static inline void driver_queue(Driver *d, u32 q)
{
    u64 at = BOARD_RAM + BOARD_RAM_SIZE / 2 + q * DRIVER_RINGS;

    d->rings[q] = at;
    d->avail[q] = d->used[q] = d->next[q] = 0;
    memset(ram(d, at), 0, DRIVER_RINGS);
    driver_queue_at(d, q, DRIVER_QUEUE, at, at + 0x1000, at + 0x2000);
}

/* A driver that is ready, with so many queues. */
static inline Driver driver_new(Machine *m, u64 slot, u64 features, u32 queues)
{
    Driver d = {.m = m, .slot = slot};

    driver_agree(&d, features);
    cr_assert(driver_status(&d) & VIRTIO_CONFIG_S_FEATURES_OK, "features refused");
    for (u32 q = 0; q < queues; q++)
        driver_queue(&d, q);
    driver_status_add(&d, VIRTIO_CONFIG_S_DRIVER_OK);
    return d;
}

/* Makes a head available, without telling the device. */
static inline void driver_offer(Driver *d, u32 q, u16 head)
{
    avail(d, q)->ring[d->avail[q]++ % DRIVER_QUEUE] = head;
    __atomic_store_n(&avail(d, q)->idx, d->avail[q], __ATOMIC_RELEASE);
}

static inline void driver_kick(const Driver *d, u32 q)
{
    set(d, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* A chain of so many buffers, offered; its head. */
static inline u16 driver_add(Driver *d, u32 q, const Buffer *b, u32 n)
{
    u16 head = d->next[q] % DRIVER_QUEUE;

    for (u32 i = 0; i < n; i++) {
        u16 at = (head + i) % DRIVER_QUEUE, next = (at + 1) % DRIVER_QUEUE;

        descs(d, q)[at] = (struct vring_desc){b[i].phys, b[i].size,
                                              (b[i].in ? VRING_DESC_F_WRITE : 0) |
                                                  (i + 1 < n ? VRING_DESC_F_NEXT : 0),
                                              next};
    }
    d->next[q] += n;
    driver_offer(d, q, head);
    return head;
}

/* Has the device given something back?  *written: bytes of it. */
static inline bool driver_used(Driver *d, u32 q, u32 *head, u32 *written)
{
    const struct vring_used_elem *e;

    if (__atomic_load_n(&used(d, q)->idx, __ATOMIC_ACQUIRE) == d->used[q])
        return false;
    e = &used(d, q)->ring[d->used[q]++ % DRIVER_QUEUE];
    *head = e->id;
    *written = e->len;
    return true;
}

/* Waits for it, at most 20 s. */
static inline u32 driver_wait(Driver *d, u32 q)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    u32 head, written;

    while (!driver_used(d, q, &head, &written)) {
        cr_assert(g_get_monotonic_time() < end, "the device does not answer");
        g_main_context_iteration(d->m->io, FALSE);
        g_usleep(50);
    }
    return written;
}

static inline bool driver_broken(const Driver *d)
{
    return driver_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

#endif
