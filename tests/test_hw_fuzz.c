/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_fuzz
 *
 * The virt board with all its devices at once, and a driver without sense: random
 * accesses to all registers, random rings in RAM, resets in between.  Whatever was
 * asked, the machine is whole afterwards: its disk can be read, its registers answer.
 */
#include <stdlib.h>
#include <unistd.h>
#include "../hw/board.h"
#include "hw_driver.h"

enum {
    RAM_SIZE = 32 << 20,
    QUEUE = 8,
    QUEUES = 4,    /* of each slot that are set up */
    RINGS = 0x800, /* bytes that one queue's take */
    STEPS = 150000,
    EMPTY = 2, /* slots that nothing is plugged into */
};
#define WINDOW (BOARD_RAM + 0x100000) /* where the rings are, slot after slot */
#define SLOT   0x10001000ull

typedef struct Fuzz {
    Machine *m;
    GRand *rand;
    char *dir;
    u32 served[VIRTIO_SLOTS]; /* chains given back */
} Fuzz;

static u32 below(Fuzz *f, u32 n) { return g_rand_int(f->rand) % n; }
static bool seldom(Fuzz *f) { return below(f, 16) == 0; }
static bool rarely(Fuzz *f) { return below(f, 64) == 0; }

static u64 any(Fuzz *f) { return (u64)g_rand_int(f->rand) << 32 | g_rand_int(f->rand); }

/* ---- the machine ---- */

static char *file_make(const Fuzz *f, const char *name, u64 size)
{
    char *path = g_build_filename(f->dir, name, NULL);
    u8 *bytes = g_malloc0(size);

    memcpy(bytes + 56, "RSC\x05", 4); /* Linux's magic, for -kernel */
    cr_assert(g_file_set_contents(path, (char *)bytes, (gssize)size, NULL));
    g_free(bytes);
    return path;
}

static void machine_make(Fuzz *f)
{
    static MachineOptions options;
    char *kernel = file_make(f, "kernel", 4096), *disk = file_make(f, "disk", 1 << 20);
    char *shared = g_build_filename(f->dir, "shared", NULL), *error = NULL;
    char *line = g_strdup_printf(
        "t -m 32 -smp 2 -display none -serial null -monitor none -no-shutdown "
        "-accel jit,thread=single -kernel %s -drive file=%s,format=raw,if=virtio,id=d "
        "-netdev user,id=n,restrict=on -device virtio-net-device,netdev=n "
        "-device virtio-rng-device -device virtio-balloon-device "
        "-chardev null,id=c -device virtio-serial-device -device virtconsole,chardev=c "
        "-fsdev local,id=f,path=%s,security_model=none "
        "-device virtio-9p-device,fsdev=f,mount_tag=t",
        kernel, disk, shared);
    char **words = g_strsplit(line, " ", 0);

    cr_assert_eq(g_mkdir_with_parents(shared, 0700), 0);
    cr_assert(options_parse(&options, (int)g_strv_length(words), words, &error), "%s",
              error);
    f->m = machine_new(&options, &error);
    cr_assert(f->m, "%s", error);
    machine_lock(f->m);
    machine_cont(f->m);
    machine_unlock(f->m);
}

/* ---- what the driver does ---- */

/* Registers of any device; the first of them more often. */
static void touch(Fuzz *f)
{
    const BusRegion *r = &f->m->bus.region[below(f, f->m->bus.n)];
    u32 width = 1u << below(f, 4);
    u64 size = below(f, 4) ? MIN(r->size, 0x200) : r->size;
    u64 at = r->base + align_down(any(f) % size, width), value = any(f);

    if (seldom(f))
        at += below(f, 8);
    if (below(f, 2))
        value = below(f, 64);
    if (below(f, 2))
        bus_read(&f->m->bus, at, width, &value);
    else
        bus_write(&f->m->bus, at, width, value);
}

static void slot_set(const Fuzz *f, u32 slot, u32 offset, u32 value)
{
    bus_write(&f->m->bus, SLOT + slot * 0x1000 + offset, 4, value);
}

static u64 rings_of(u32 slot, u32 queue)
{
    return WINDOW + (u64)(slot * QUEUES + queue) * RINGS;
}

static void slot_count(Fuzz *f, u32 slot)
{
    for (u32 i = 0; i < f->m->devices->len; i++) {
        Device *d = f->m->devices->pdata[i];

        for (u32 q = 0; d->base == SLOT + slot * 0x1000 && q < QUEUES; q++)
            f->served[slot] += ((VirtioDevice *)d)->queue[q].used_index;
    }
}

/* As a driver does it, with any of the features that are offered. */
static void slot_start(Fuzz *f, u32 slot)
{
    Driver d = {.m = f->m, .slot = SLOT + slot * 0x1000};

    slot_count(f, slot);
    memset(space_host(&f->m->space, rings_of(slot, 0)), 0, QUEUES * RINGS);
    driver_agree(&d, driver_features(&d) & (any(f) | any(f)));
    for (u32 q = 0; q < QUEUES; q++) {
        u64 at = rings_of(slot, q);

        driver_queue_at(&d, q, QUEUE, at, at + 0x400,
                        seldom(f) ? at + below(f, RINGS) / 4 * 4 : at + 0x600);
    }
    driver_status_add(&d, VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Somewhere in RAM; seldom not, or in the rings. */
static u64 address(Fuzz *f)
{
    if (seldom(f))
        return seldom(f) ? any(f) : WINDOW + below(f, 0x10000);
    return BOARD_RAM + 0x200000 + below(f, RAM_SIZE - 0x400000);
}

/* Numbers that a request could begin with. */
static void header_put(Fuzz *f, u64 at)
{
    u32 words[8] = {below(f, 32), below(f, 256), below(f, 4096), below(f, 4)};

    for (u32 i = 4; i < 8; i++)
        words[i] = below(f, 2) ? below(f, 1 << 16) : g_rand_int(f->rand);
    if (space_check(&f->m->space, at, sizeof words, PAGE_MAPPED))
        memcpy(space_host(&f->m->space, at), words, sizeof words);
}

static bool slot_runs(const Fuzz *f, u32 slot)
{
    u64 status;

    bus_read(&f->m->bus, SLOT + slot * 0x1000 + VIRTIO_MMIO_STATUS, 4, &status);
    return status & VIRTIO_CONFIG_S_DRIVER_OK &&
           !(status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Outs, then ins, mostly; made available, mostly, and told of. */
static void chain(Fuzz *f, u32 slot, u32 queue)
{
    u64 at = rings_of(slot, queue);
    struct vring_desc *desc = (void *)space_host(&f->m->space, at);
    struct vring_avail *ring = (void *)space_host(&f->m->space, at + 0x400);
    u32 head = below(f, QUEUE), n = 1 + below(f, 4), outs = below(f, n + 1);

    for (u32 i = 0; i < n; i++) {
        struct vring_desc *d = &desc[(head + i) % QUEUE];

        d->addr = address(f);
        d->len = rarely(f) ? g_rand_int(f->rand) : 1u << below(f, 13);
        d->flags = (i < outs ? 0 : VRING_DESC_F_WRITE) |
                   (i + 1 < n ? VRING_DESC_F_NEXT : 0) | (rarely(f) ? below(f, 8) : 0);
        d->next = rarely(f) ? below(f, 16) : (head + i + 1) % QUEUE;
        header_put(f, d->addr);
    }
    ring->ring[ring->idx % QUEUE] = rarely(f) ? below(f, 16) : head;
    __atomic_store_n(&ring->idx, ring->idx + (rarely(f) ? below(f, 4) : 1),
                     __ATOMIC_RELEASE);
    slot_set(f, slot, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void step(Fuzz *f)
{
    u32 slot = below(f, VIRTIO_SLOTS);

    if (!slot_runs(f, slot) || !below(f, 64))
        slot_start(f, slot);
    switch (below(f, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: touch(f); break;
    default: chain(f, slot, below(f, QUEUES)); break;
    }
}

/* What the main thread would do; a reset takes CPUs that run, which there are not. */
static void settle(Fuzz *f, bool reset)
{
    for (u32 i = 0; i < 16 && g_main_context_iteration(f->m->io, FALSE); i++)
        ;
    machine_lock(f->m);
    if (reset)
        devices_reset(f->m);
    f->m->reset_wanted = false;
    machine_cont(f->m);
    machine_unlock(f->m);
}

/* ---- is all of it whole? ---- */

static u64 slot_of(const Fuzz *f, u32 id)
{
    for (u32 i = 0; i < VIRTIO_SLOTS; i++) {
        u64 value;

        bus_read(&f->m->bus, SLOT + i * 0x1000 + VIRTIO_MMIO_DEVICE_ID, 4, &value);
        if (value == id)
            return SLOT + i * 0x1000;
    }
    cr_assert_fail("no device %u", id);
    return 0;
}

static void check_disk(const Fuzz *f)
{
    Driver d = driver_new(f->m, slot_of(f, 2), 0, 1);
    const u64 at = BOARD_RAM + 0x1000;

    memset(ram(&d, at), 0, 16);
    *(u8 *)ram(&d, at + 0x1000 + 512) = 0xaa;
    driver_add(&d, 0, (Buffer[]){{at, 16}, {at + 0x1000, 513, true}}, 2);
    driver_kick(&d, 0);
    cr_assert_eq(driver_wait(&d, 0), 513);
    cr_assert_eq(*(u8 *)ram(&d, at + 0x1000 + 512), 0);
}

Test(fuzz, all_devices)
{
    Fuzz f = {.rand = g_rand_new_with_seed(20),
              .dir = g_dir_make_tmp("tessera-fuzz-XXXXXX", NULL)};
    char *remove = g_strdup_printf("chmod -R u+rwx %s; rm -rf %s", f.dir, f.dir);

    machine_make(&f);
    for (u32 i = 0; i < STEPS; i++) {
        step(&f);
        if (i % 64 == 0)
            settle(&f, i % 8192 == 0);
        if (i % 512 == 0)
            g_usleep(100); /* for the disk's thread */
    }
    settle(&f, true);
    for (u32 slot = EMPTY; slot < VIRTIO_SLOTS; slot++)
        cr_assert_gt(f.served[slot], 10, "slot %u", slot);
    check_disk(&f);
    for (u32 id = 1; id <= 5; id++)
        slot_of(&f, id);
    slot_of(&f, 9);
    machine_free(f.m);
    cr_assert_eq(system(remove), 0);
    g_free(remove);
}
