/* SPDX-License-Identifier: MIT */
/*
 * Virtio 1.2 devices: a transport in a slot of the board (virtio_mmio.c), split queues
 * with indirect descriptors and event indices (virtqueue.c), and what each device adds.
 * All that a queue holds is hostile: a chain that loops, is too long, or leaves RAM
 * puts the device into "needs reset" and is never handed out.
 */
#ifndef TESSERA_VIRTIO_H
#define TESSERA_VIRTIO_H

#include "hw.h"

enum { VIRTIO_SLOTS = 8, VIRTIO_QUEUES = 16, VIRTIO_QUEUE_MOST = 1024 };

typedef struct VirtioDevice VirtioDevice;

/* A kind of device.  Its own struct begins with a VirtioDevice. */
typedef struct VirtioType {
    const char *name; /* of -device: "virtio-blk-device" */
    u32 id;           /* 5 */
    u64 features;     /* offered beside those of transport and queues */
    u32 n_queues;
    u16 queue_most; /* entries of a queue; 0: 256 */
    /* From -device's list; the caller checks for unknown keys.  NULL: *error. */
    VirtioDevice *(*create)(Machine *m, Props *props, char **error);
    u32 config_size;
    void (*config_read)(VirtioDevice *v, u8 *config); /* all config_size bytes */
    void (*config_write)(VirtioDevice *v, u32 offset, u32 value, u32 width); /* NULL */
    /* The driver has put something into a queue.  Lock held; a CPU's thread or the main
     * thread: what may block belongs to a worker thread. */
    void (*notify)(VirtioDevice *v, u32 queue);
    void (*ready)(VirtioDevice *v); /* DRIVER_OK, features are agreed; may be NULL */
    void (*reset)(VirtioDevice *v); /* may be NULL */
    void (*state)(VirtioDevice *v, State *s);
    bool (*drained)(VirtioDevice *v);
    void (*info)(const VirtioDevice *v, GString *out);
    void (*free)(VirtioDevice *v); /* what it owns, not itself */
} VirtioType;

typedef struct VirtQueue {
    u64 desc, avail, used; /* physical addresses */
    u16 size;              /* 0 or a power of two */
    bool ready;
    u16 next;       /* of the available ring, to be looked at */
    u16 used_index; /* of the used ring, to be written */
    u16 signalled;  /* used_index at the last interrupt */
    bool signalled_any;
    u32 in_flight; /* popped, not pushed */
    u32 epoch; /* grows when the queue is taken away: what was popped before is lost */
} VirtQueue;

struct VirtioDevice {
    Device device; /* its slot; first */
    const VirtioType *type;
    /* Offered features beside the type's; queues and their size, 0: the type's. */
    u64 more_features;
    u32 n_queues;
    u16 queue_most;
    u64 driver_features; /* agreed */
    u32 status, interrupt, features_page, driver_page, queue_page, generation;
    VirtQueue queue[VIRTIO_QUEUES];
};

/* One chain: what the driver wrote (out), then what it wants to read (in). */
typedef struct VirtioElement {
    u16 head;
    u32 epoch; /* of the queue: one from before a reset is not pushed */
    u32 n_out, n_in;
    u64 out_size, in_size; /* bytes, in all */
    struct iovec *out, *in;
} VirtioElement;

/* ---- virtqueue.c; lock held ---- */

/* The next chain, to be pushed or dropped later; NULL: none. */
VirtioElement *virtio_pop(VirtioDevice *v, u32 queue);
/* Gives it back, written bytes of its in part are set, and frees it. */
void virtio_push(VirtioDevice *v, u32 queue, VirtioElement *e, u32 written);
void virtio_unpop(VirtioDevice *v, u32 queue, VirtioElement *e); /* as if not popped */
/* Frees it; virtio_again gives the chain of its head once more (NULL: bad), after the
 * state has been loaded too.  False: it is nobody's any more. */
bool virtio_put_off(VirtioDevice *v, u32 queue, VirtioElement *e);
VirtioElement *virtio_again(VirtioDevice *v, u32 queue, u16 head);
bool virtio_pending(VirtioDevice *v, u32 queue); /* is there one to pop? */
/* Tells the driver of what was pushed, unless it does not want to know. */
void virtio_notify(VirtioDevice *v, u32 queue);
void virtio_config_changed(VirtioDevice *v);
/* The driver broke the rules: it must reset the device. */
void virtio_broken(VirtioDevice *v, const char *why);
/* May the queue be used: power of two, aligned, all of it in RAM? */
bool virtio_queue_fits(const VirtioDevice *v, const VirtQueue *q);
bool virtio_running(const VirtioDevice *v); /* driver and device both think so */
static inline bool virtio_has(const VirtioDevice *v, u32 feature)
{
    return v->driver_features >> feature & 1;
}
/* Copying from an element's out part, to its in part; bytes copied. */
size_t virtio_get(const VirtioElement *e, size_t offset, void *to, size_t n);
size_t virtio_put(const VirtioElement *e, size_t offset, const void *from, size_t n);

/* ---- virtio_mmio.c ---- */

/* A device's own struct of so many bytes, zeroed but for machine and type. */
void *virtio_new(Machine *m, const VirtioType *type, size_t size);
/* Plugs the device into the first free slot, as QEMU's virt does (the highest address
 * first).  False: *error. */
bool virtio_plug(VirtioDevice *v, char **error);
extern const DeviceType virtio_mmio;
/* The board's slots are empty ones at first; they answer with device id 0. */
void virtio_slots(Machine *m, u64 base, u64 stride, u32 first_irq);

/* ---- every kind ---- */

extern const VirtioType virtio_blk, virtio_net, virtio_console, virtio_rng,
    virtio_balloon, virtio_9p;
extern const VirtioType *const virtio_types[]; /* by -device name; NULL at the end */

/* ---- virtio_console.c ---- */

/* A port of the last virtio-serial-device: -device virtconsole and virtserialport. */
bool virtio_port_add(Machine *m, bool console, Props *p, char **error);

/* ---- virtio_balloon.c: monitors' ---- */

/* Asks the guest to keep to that many bytes of RAM.  False: *error. */
bool balloon_set(Machine *m, u64 bytes, char **error);
bool balloon_get(Machine *m, u64 *bytes, char **error); /* what it keeps to now */

#endif
