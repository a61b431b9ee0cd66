/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_virtio
 *
 * The virtio transport and its queues, with a device that gives back what it is given:
 * as drivers use them, and as no driver may. */
#include <unistd.h>
#include "hw_driver.h"

/* ---- the device: copies out to in; queue 1's chains stay with it ---- */

typedef struct Echo {
    VirtioDevice v;
    VirtioElement *held;
    u32 config, notified;
} Echo;

static void echo_queue(VirtioDevice *v)
{
    VirtioElement *e;
    bool any = false;

    while ((e = virtio_pop(v, 0))) {
        u8 bytes[256];
        size_t n = virtio_get(e, 0, bytes, sizeof bytes);

        virtio_push(v, 0, e, virtio_put(e, 0, bytes, n));
        any = true;
    }
    if (any)
        virtio_notify(v, 0);
}

static void echo_notify(VirtioDevice *v, u32 queue)
{
    Echo *echo = (Echo *)v;

    echo->notified++;
    if (queue == 0)
        echo_queue(v);
    else if (!echo->held)
        echo->held = virtio_pop(v, 1);
}

static void echo_config_read(VirtioDevice *v, u8 *config)
{
    memcpy(config, &((Echo *)v)->config, 4);
}

static void echo_config_write(VirtioDevice *v, u32 offset, u32 value, u32 width)
{
    memcpy((u8 *)&((Echo *)v)->config + offset, &value, width);
}

static void echo_state(VirtioDevice *v, State *s)
{
    state_u32(s, &((Echo *)v)->config);
}
static VirtioDevice *echo_create(Machine *m, Props *p, char **error);

static const VirtioType echo_type = {
    .name = "echo",
    .id = 42,
    .features = 1 << 5,
    .n_queues = 2,
    .queue_most = 8,
    .create = echo_create,
    .config_size = 4,
    .config_read = echo_config_read,
    .config_write = echo_config_write,
    .notify = echo_notify,
    .state = echo_state,
};

static VirtioDevice *echo_create(Machine *m, Props *p, char **error)
{
    return virtio_new(m, &echo_type, sizeof(Echo));
}

static Echo *echo_of(Machine *m)
{
    for (u32 i = 0; i < m->devices->len; i++)
        if (((VirtioDevice *)m->devices->pdata[i])->type == &echo_type)
            return m->devices->pdata[i];
    cr_assert_fail("no echo device");
    return NULL;
}

static Driver start(u64 features)
{
    Machine *m = driver_machine();

    return driver_new(m, driver_plug(m, &echo_type, "echo"), features, 2);
}

static u64 read_at(const Driver *d, u32 offset, u32 width)
{
    u64 value;

    cr_assert(bus_read(&d->m->bus, d->slot + offset, width, &value));
    return value;
}

static void write_at(const Driver *d, u32 offset, u32 width, u64 value)
{
    cr_assert(bus_write(&d->m->bus, d->slot + offset, width, value));
}

/* ---- registers ---- */

Test(registers, empty_slot)
{
    Driver d = {.m = driver_machine(), .slot = DRIVER_SLOTS};

    cr_assert_eq(reg(&d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_VERSION), 2);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_DEVICE_ID), 0);
    for (u32 at = 0; at < 0x200; at += 4) {
        set(&d, at, ~0u);
        cr_assert(at < 0x10 || !reg(&d, at), "register 0x%x", at);
    }
    machine_free(d.m);
}

Test(registers, highest_slot_first_and_eight)
{
    Machine *m = driver_machine();
    char *error = NULL;

    for (u32 i = VIRTIO_SLOTS; i--;)
        cr_assert_eq(driver_plug(m, &echo_type, "echo"),
                     DRIVER_SLOTS + i * DRIVER_STRIDE);
    cr_assert(!virtio_plug(echo_create(m, NULL, NULL), &error));
    cr_assert(strstr(error, "no slot"));
    machine_free(m);
}

Test(registers, identity_and_widths)
{
    Driver d = start(0);
    u64 value;

    cr_assert_eq(reg(&d, VIRTIO_MMIO_DEVICE_ID), 42);
    cr_assert_eq(read_at(&d, VIRTIO_MMIO_MAGIC_VALUE, 1), 0);
    cr_assert_eq(read_at(&d, VIRTIO_MMIO_VERSION, 2), 0);
    write_at(&d, VIRTIO_MMIO_STATUS, 1, 0);
    write_at(&d, VIRTIO_MMIO_STATUS, 8, 0);
    cr_assert(driver_status(&d) & VIRTIO_CONFIG_S_DRIVER_OK, "a narrow write did it");
    cr_assert(!bus_read(&d.m->bus, d.slot + 2, 4, &value), "not aligned");
    set(&d, VIRTIO_MMIO_CONFIG, 0x11223344);
    cr_assert_eq(read_at(&d, VIRTIO_MMIO_CONFIG + 1, 1), 0x33);
    cr_assert_eq(read_at(&d, VIRTIO_MMIO_CONFIG + 2, 2), 0x1122);
    cr_assert_eq(read_at(&d, VIRTIO_MMIO_CONFIG, 8), ~0ull);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_CONFIG + 4), ~0u);
    set(&d, VIRTIO_MMIO_CONFIG + 4, 5);
    cr_assert_eq(echo_of(d.m)->config, 0x11223344);
    machine_free(d.m);
}

Test(registers, features)
{
    Driver d = start(0);
    u64 features = driver_features(&d);

    cr_assert_eq(features,
                 1ull << VIRTIO_F_VERSION_1 | DRIVER_INDIRECT | DRIVER_EVENT | 1 << 5);
    set(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
    driver_agree(&d, 1 << 6);
    cr_assert(!(driver_status(&d) & VIRTIO_CONFIG_S_FEATURES_OK), "one not offered");
    driver_agree(&d, 1 << 5);
    cr_assert(driver_status(&d) & VIRTIO_CONFIG_S_FEATURES_OK);
    set(&d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(&d, VIRTIO_MMIO_DRIVER_FEATURES, 0);
    cr_assert_eq(echo_of(d.m)->v.driver_features & 1 << 5, 1 << 5,
                 "changed when agreed");
    set(&d, VIRTIO_MMIO_STATUS, 0);
    cr_assert_eq(driver_status(&d), 0);
    driver_status_add(&d, VIRTIO_CONFIG_S_FEATURES_OK);
    cr_assert(!(driver_status(&d) & VIRTIO_CONFIG_S_FEATURES_OK), "not version 1");
    machine_free(d.m);
}

Test(registers, queues)
{
    Driver d = start(0);

    set(&d, VIRTIO_MMIO_QUEUE_SEL, 1);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_NUM_MAX), 8);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_READY), 1);
    set(&d, VIRTIO_MMIO_QUEUE_NUM, 4);
    set(&d, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
    cr_assert_eq(echo_of(d.m)->v.queue[1].size, 8, "changed while ready");
    cr_assert_eq(echo_of(d.m)->v.queue[1].desc, d.rings[1]);
    set(&d, VIRTIO_MMIO_QUEUE_READY, 0);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_READY), 0);
    set(&d, VIRTIO_MMIO_QUEUE_SEL, 2);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    set(&d, VIRTIO_MMIO_QUEUE_READY, 1);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_READY), 0);
    set(&d, VIRTIO_MMIO_QUEUE_SEL, ~0u);
    set(&d, VIRTIO_MMIO_QUEUE_NUM, 8);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    machine_free(d.m);
}

/* ---- as drivers do it ---- */

enum { OUT = 0x1000, IN = 0x2000, TABLE = 0x3000 };

static void put_text(const Driver *d, u64 at, const char *text)
{
    memcpy(ram(d, BOARD_RAM + at), text, strlen(text));
}

static void check_echo(Driver *d, u32 n)
{
    u32 head, written;

    for (u32 i = 0; i < n; i++) {
        memset(ram(d, BOARD_RAM + IN), 0, 64);
        put_text(d, OUT, "some bytes, or more");
        driver_add(d, 0,
                   (Buffer[]){{BOARD_RAM + OUT, 5},
                              {BOARD_RAM + OUT + 5, 14},
                              {BOARD_RAM + IN, 7, true},
                              {BOARD_RAM + IN + 7, 99, true}},
                   4);
        driver_kick(d, 0);
        cr_assert(driver_used(d, 0, &head, &written), "round %u", i);
        cr_assert_eq(written, 19);
        cr_assert_str_eq(ram(d, BOARD_RAM + IN), "some bytes, or more");
    }
}

Test(queue, echoes)
{
    Driver d = start(0);

    check_echo(&d, 70000);
    machine_free(d.m);
}

Test(queue, echoes_with_events)
{
    Driver d = start(DRIVER_EVENT | DRIVER_INDIRECT);

    check_echo(&d, 70000);
    machine_free(d.m);
}

Test(queue, indirect_behind_direct)
{
    Driver d = start(DRIVER_INDIRECT);
    struct vring_desc *table = ram(&d, BOARD_RAM + TABLE);
    u32 head, written;

    put_text(&d, OUT, "abcdef");
    table[0] = (struct vring_desc){BOARD_RAM + OUT + 2, 4, VRING_DESC_F_NEXT, 2};
    table[2] = (struct vring_desc){BOARD_RAM + IN, 10, VRING_DESC_F_WRITE, 0};
    descs(&d, 0)[0] = (struct vring_desc){BOARD_RAM + OUT, 2, VRING_DESC_F_NEXT, 1};
    descs(&d, 0)[1] =
        (struct vring_desc){BOARD_RAM + TABLE, 48, VRING_DESC_F_INDIRECT, 0};
    driver_offer(&d, 0, 0);
    driver_kick(&d, 0);
    cr_assert(driver_used(&d, 0, &head, &written));
    cr_assert_eq(written, 6);
    cr_assert_str_eq(ram(&d, BOARD_RAM + IN), "abcdef");
    machine_free(d.m);
}

Test(queue, found_at_driver_ok)
{
    Machine *m = driver_machine();
    Driver d = {.m = m, .slot = driver_plug(m, &echo_type, "echo")};
    u32 head, written;

    driver_agree(&d, 0);
    driver_queue(&d, 0);
    driver_add(&d, 0, &(Buffer){BOARD_RAM + IN, 8, true}, 1);
    driver_kick(&d, 0);
    cr_assert(!driver_used(&d, 0, &head, &written), "before DRIVER_OK");
    cr_assert_eq(echo_of(m)->notified, 0);
    driver_status_add(&d, VIRTIO_CONFIG_S_DRIVER_OK);
    cr_assert(driver_used(&d, 0, &head, &written));
    machine_free(m);
}

/* ---- who is told ---- */

static bool interrupted(const Driver *d)
{
    bool yes = reg(d, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_VRING;

    cr_assert_eq(board_lines >> (DRIVER_IRQ + VIRTIO_SLOTS - 1) & 1, yes);
    set(d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    return yes;
}

static void echo_once(Driver *d)
{
    driver_add(d, 0, &(Buffer){BOARD_RAM + IN, 8, true}, 1);
    driver_kick(d, 0);
}

Test(told, by_flag)
{
    Driver d = start(0);

    echo_once(&d);
    cr_assert(interrupted(&d));
    cr_assert(!interrupted(&d), "acknowledged");
    avail(&d, 0)->flags = VRING_AVAIL_F_NO_INTERRUPT;
    echo_once(&d);
    cr_assert(!interrupted(&d));
    cr_assert_eq(used(&d, 0)->flags, 0, "an empty queue wants to be told");
    driver_add(&d, 1, &(Buffer){BOARD_RAM + IN, 8, true}, 1);
    driver_kick(&d, 1);
    cr_assert_eq(used(&d, 1)->flags, VRING_USED_F_NO_NOTIFY);
    machine_free(d.m);
}

Test(told, by_event)
{
    Driver d = start(DRIVER_EVENT);
    u16 *event = &avail(&d, 0)->ring[DRIVER_QUEUE];

    echo_once(&d); /* the first always is */
    cr_assert(interrupted(&d));
    *event = 2;
    echo_once(&d);
    cr_assert(!interrupted(&d), "the second");
    echo_once(&d);
    cr_assert(interrupted(&d), "the third");
    echo_once(&d);
    cr_assert(!interrupted(&d), "no more were asked for");
    cr_assert_eq(*(u16 *)&used(&d, 0)->ring[DRIVER_QUEUE], 4,
                 "where we want to be told");
    machine_free(d.m);
}

Test(told, of_configuration)
{
    Driver d = start(0);
    u32 generation = reg(&d, VIRTIO_MMIO_CONFIG_GENERATION);

    machine_lock(d.m);
    virtio_config_changed(&echo_of(d.m)->v);
    machine_unlock(d.m);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    cr_assert_neq(reg(&d, VIRTIO_MMIO_CONFIG_GENERATION), generation);
    machine_free(d.m);
}

/* ---- as no driver may ---- */

/* A table of descriptors in the queue, whose first is offered; breaks the device. */
static void check_broken(const char *what, const struct vring_desc *desc, u32 n,
                         u64 features)
{
    Driver d = start(features);
    u32 head, written;

    memcpy(descs(&d, 0), desc, n * sizeof *desc);
    driver_offer(&d, 0, 0);
    driver_kick(&d, 0);
    cr_assert(!driver_used(&d, 0, &head, &written), "%s: served", what);
    cr_assert(driver_broken(&d), "%s: not noticed", what);
    cr_assert(reg(&d, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
    driver_kick(&d, 0);
    d = driver_new(d.m, d.slot, features, 2);
    check_echo(&d, 3);
    cr_assert(!driver_broken(&d), "%s: after the reset", what);
    machine_free(d.m);
}

#define CHECK_BROKEN(what, features, ...)                           \
    check_broken(what, (const struct vring_desc[]){__VA_ARGS__},    \
                 sizeof((const struct vring_desc[]){__VA_ARGS__}) / \
                     sizeof(struct vring_desc),                     \
                 features)

enum { NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE };
#define TABLE_OF(n) BOARD_RAM + TABLE, (n), VRING_DESC_F_INDIRECT

Test(hostile, chains)
{
    CHECK_BROKEN("loop of one", 0, {BOARD_RAM, 8, NEXT, 0});
    CHECK_BROKEN("loop of two", 0, {BOARD_RAM, 8, NEXT, 1}, {BOARD_RAM, 8, NEXT, 0});
    CHECK_BROKEN("next outside", 0, {BOARD_RAM, 8, NEXT, 8});
    CHECK_BROKEN("next far outside", 0, {BOARD_RAM, 8, NEXT, 0xffff});
    CHECK_BROKEN("empty", 0, {BOARD_RAM, 0, WRITE});
    CHECK_BROKEN("reads after writes", 0, {BOARD_RAM, 8, WRITE | NEXT, 1},
                 {BOARD_RAM, 8});
    CHECK_BROKEN("huge", 0, {BOARD_RAM, 0xffffffff, WRITE});
    CHECK_BROKEN("over the end", 0, {BOARD_RAM + BOARD_RAM_SIZE - 4, 8, WRITE});
    CHECK_BROKEN("below RAM", 0, {BOARD_RAM - 4, 8, WRITE});
    CHECK_BROKEN("wraps", 0, {~0ull - 3, 8, WRITE});
    CHECK_BROKEN("far away", 0, {1ull << 60, 8});
    CHECK_BROKEN("a device's registers", 0, {DRIVER_SLOTS + 0x70, 4, WRITE});
    CHECK_BROKEN("more than RAM", 0, {BOARD_RAM, BOARD_RAM_SIZE, NEXT, 1},
                 {BOARD_RAM, BOARD_RAM_SIZE, NEXT, 2}, {BOARD_RAM, 1});
}

Test(hostile, indirect)
{
    CHECK_BROKEN("not agreed", 0, {TABLE_OF(16)});
    CHECK_BROKEN("no table", DRIVER_INDIRECT, {TABLE_OF(0)});
    CHECK_BROKEN("half a descriptor", DRIVER_INDIRECT, {TABLE_OF(24)});
    CHECK_BROKEN("goes on", DRIVER_INDIRECT,
                 {BOARD_RAM + TABLE, 16, VRING_DESC_F_INDIRECT | NEXT, 1},
                 {BOARD_RAM, 8});
    CHECK_BROKEN("empty buffers", DRIVER_INDIRECT, {TABLE_OF(16)});
    CHECK_BROKEN("outside", DRIVER_INDIRECT, {1ull << 40, 16, VRING_DESC_F_INDIRECT});
    CHECK_BROKEN("huge", DRIVER_INDIRECT, {TABLE_OF(0xfffffff0)});
}

/* Tables that only the test's own bytes can make. */
static void check_table(const char *what, const struct vring_desc *table, u32 n,
                        u32 size)
{
    Driver d = start(DRIVER_INDIRECT);

    memcpy(ram(&d, BOARD_RAM + TABLE), table, n * sizeof *table);
    descs(&d, 0)[0] = (struct vring_desc){TABLE_OF(size), 0};
    driver_offer(&d, 0, 0);
    driver_kick(&d, 0);
    cr_assert(driver_broken(&d), "%s", what);
    machine_free(d.m);
}

Test(hostile, tables)
{
    struct vring_desc *many = g_new(struct vring_desc, 2000);

    check_table("nested", (struct vring_desc[]){{TABLE_OF(16), 0}}, 1, 16);
    check_table("loop", (struct vring_desc[]){{BOARD_RAM, 8, NEXT, 0}}, 1, 16);
    check_table("next outside", (struct vring_desc[]){{BOARD_RAM, 8, NEXT, 1}}, 1, 16);
    for (u32 i = 0; i < 2000; i++)
        many[i] = (struct vring_desc){BOARD_RAM, 1, i == 1999 ? 0 : NEXT, i + 1};
    check_table("2000 buffers", many, 2000, 2000 * 16);
    g_free(many);
}

Test(hostile, available_ring)
{
    Driver d = start(0);

    driver_offer(&d, 0, 8);
    driver_kick(&d, 0);
    cr_assert(driver_broken(&d), "a head that is none");
    d = driver_new(d.m, d.slot, 0, 2);
    avail(&d, 0)->idx = 9;
    driver_kick(&d, 0);
    cr_assert(driver_broken(&d), "more than there is room for");
    machine_free(d.m);
}

/* The used ring lies over the available one: nonsense, but nobody's end. */
Test(hostile, rings_over_one_another)
{
    Driver d = start(0);
    u64 at = d.rings[0];

    for (u32 shift = 0; shift < 64; shift += 4) {
        driver_agree(&d, 0);
        driver_queue(&d, 0);
        set(&d, VIRTIO_MMIO_QUEUE_READY, 0);
        driver_queue_at(&d, 0, 8, at, at + 0x1000, at + 0x1000 + shift);
        driver_status_add(&d, VIRTIO_CONFIG_S_DRIVER_OK);
        for (u32 i = 0; i < 20; i++) {
            driver_add(&d, 0, &(Buffer){at, 64, true}, 1);
            driver_kick(&d, 0);
        }
    }
    machine_free(d.m);
}

static void check_no_queue(Driver *d, u32 size, u64 desc, u64 driver, u64 device)
{
    driver_agree(d, 0);
    driver_queue_at(d, 0, size, desc, driver, device);
    cr_assert_eq(reg(d, VIRTIO_MMIO_QUEUE_READY), 0, "size %u desc 0x%llx", size,
                 (unsigned long long)desc);
    driver_status_add(d, VIRTIO_CONFIG_S_DRIVER_OK);
    driver_kick(d, 0);
}

Test(hostile, queues)
{
    Driver d = start(0);
    u64 r = BOARD_RAM, end = BOARD_RAM + BOARD_RAM_SIZE;

    check_no_queue(&d, 0, r, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 3, r, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 16, r, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 0x10008, r, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 0x80000000, r, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 8, r + 8, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 8, r, r + 0x1001, r + 0x2000);
    check_no_queue(&d, 8, r, r + 0x1000, r + 0x2002);
    check_no_queue(&d, 8, 0, r + 0x1000, r + 0x2000);
    check_no_queue(&d, 8, r, end - 16, r + 0x2000);
    check_no_queue(&d, 8, r, r + 0x1000, end - 64);
    check_no_queue(&d, 8, r, r + 0x1000, DRIVER_SLOTS);
    check_no_queue(&d, 8, ~0ull << 4, r + 0x1000, r + 0x2000);
    machine_free(d.m);
}

/* What was popped before a reset is not pushed after it. */
Test(hostile, reset_in_flight)
{
    Driver d = start(0);
    Echo *echo = echo_of(d.m);

    driver_add(&d, 1, &(Buffer){BOARD_RAM + IN, 8, true}, 1);
    driver_kick(&d, 1);
    cr_assert(echo->held);
    cr_assert_eq(echo->v.queue[1].in_flight, 1);
    d = driver_new(d.m, d.slot, 0, 2);
    machine_lock(d.m);
    virtio_push(&echo->v, 1, echo->held, 8);
    virtio_notify(&echo->v, 1);
    echo->held = NULL;
    machine_unlock(d.m);
    cr_assert_eq(used(&d, 1)->idx, 0);
    cr_assert_eq(echo->v.queue[1].in_flight, 0);
    check_echo(&d, 3);
    machine_free(d.m);
}

Test(queue, popped_and_taken_back)
{
    Driver d = start(0);
    Echo *echo = echo_of(d.m);
    u16 head = driver_add(&d, 1, &(Buffer){BOARD_RAM + IN, 8, true}, 1);

    driver_kick(&d, 1);
    machine_lock(d.m);
    virtio_unpop(&echo->v, 1, echo->held);
    cr_assert(virtio_pending(&echo->v, 1));
    echo->held = virtio_pop(&echo->v, 1);
    cr_assert_eq(echo->held->head, head);
    cr_assert(virtio_put_off(&echo->v, 1, echo->held));
    echo->held = virtio_again(&echo->v, 1, head);
    cr_assert(echo->held);
    virtio_push(&echo->v, 1, echo->held, 8);
    echo->held = NULL;
    machine_unlock(d.m);
    cr_assert_eq(driver_wait(&d, 1), 8);
    cr_assert_eq(echo->v.queue[1].in_flight, 0);
    machine_free(d.m);
}

/* ---- saved and loaded ---- */

Test(state, in_mid_use)
{
    Driver d = start(DRIVER_EVENT);
    GByteArray *bytes;

    check_echo(&d, 7);
    set(&d, VIRTIO_MMIO_CONFIG, 77);
    bytes = board_save(d.m, &echo_of(d.m)->v.device);
    set(&d, VIRTIO_MMIO_STATUS, 0);
    set(&d, VIRTIO_MMIO_CONFIG, 78);
    cr_assert(board_load(d.m, &echo_of(d.m)->v.device, bytes));
    cr_assert_eq(reg(&d, VIRTIO_MMIO_CONFIG), 77);
    check_echo(&d, 7);
    driver_add(&d, 0, &(Buffer){BOARD_RAM + IN, 8, true}, 1); /* not told of */
    g_byte_array_free(bytes, true);
    bytes = board_save(d.m, &echo_of(d.m)->v.device);
    cr_assert(board_load(d.m, &echo_of(d.m)->v.device, bytes));
    driver_wait(&d, 0);
    g_byte_array_free(bytes, true);
    machine_free(d.m);
}

static void state_refused(Device *d, State *s) { state_refuse(s, "not today"); }

Test(state, refused_while_saving)
{
    static const DeviceType type = {.name = "mule", .state = state_refused};
    Machine *m = driver_machine();
    Device mule = {0};
    char *error = NULL, *path = NULL;

    close(g_file_open_tmp("tessera-state-XXXXXX", &path, NULL));
    machine_lock(m);
    cr_assert(machine_save(m, path, &error), "%s", error);
    cr_assert(device_add(m, &mule, &type, 0, 0));
    cr_assert(!machine_save(m, path, &error));
    machine_unlock(m);
    cr_assert(strstr(error, "not today"), "%s", error);
    g_free(error);
    error = g_strdup_printf("%s.part", path);
    cr_assert(!g_file_test(error, G_FILE_TEST_EXISTS));
    unlink(path);
    machine_free(m);
}

/* Each bit of it wrong: refused or not, it is survived. */
Test(state, hostile)
{
    Driver d = start(0);
    Device *device = &echo_of(d.m)->v.device;
    GByteArray *bytes = board_save(d.m, device);

    for (u32 i = 0; i < bytes->len * 8; i++) {
        bytes->data[i / 8] ^= 1 << i % 8;
        board_load(d.m, device, bytes);
        bytes->data[i / 8] ^= 1 << i % 8;
        for (u32 q = 0; q < 4; q++)
            driver_kick(&d, q);
    }
    cr_assert(board_load(d.m, device, bytes));
    g_byte_array_set_size(bytes, bytes->len - 1);
    cr_assert(!board_load(d.m, device, bytes));
    g_byte_array_free(bytes, true);
    machine_free(d.m);
}

/* ---- at random ---- */

Test(fuzz, registers_and_rings)
{
    Driver d = start(DRIVER_INDIRECT | DRIVER_EVENT);
    GRand *rand = g_rand_new_with_seed(7);

    for (u32 i = 0; i < 60000; i++) {
        u32 at = g_rand_int_range(rand, 0, 0x180),
            width = 1 << g_rand_int_range(rand, 0, 4);
        u64 where = g_rand_int_range(rand, 0, 0x3000), value = g_rand_int(rand);

        if (i % 500 == 0) {
            g_free(echo_of(d.m)->held);
            echo_of(d.m)->held = NULL;
            d = driver_new(d.m, d.slot, DRIVER_INDIRECT | DRIVER_EVENT, 2);
        }
        if (g_rand_int(rand) % 2)
            value %= 16;
        bus_write(&d.m->bus, d.slot + at, width, value);
        bus_read(&d.m->bus, d.slot + at, width, &value);
        *(u16 *)((u8 *)ram(&d, d.rings[0]) + where / 2 * 2) = g_rand_int(rand) % 32;
        driver_kick(&d, i % 3);
    }
    g_rand_free(rand);
    machine_free(d.m);
}
