/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_console
 *
 * virtio's serial ports: what is said of them, bytes both ways through a socket, and
 * what no driver says. */
#include <linux/virtio_console.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw_driver.h"

enum { IN0, OUT0, TO_GUEST, FROM_GUEST, IN1, OUT1, QUEUES };
enum { AT_IN = 0x10000, AT_OUT = 0x20000, AT_TOLD = 0x30000 };
#define MULTIPORT (1ull << VIRTIO_CONSOLE_F_MULTIPORT)

typedef struct virtio_console_control Control;

static char *path;

static void port_add(Machine *m, const char *list)
{
    char *error = NULL;

    machine_lock(m);
    cr_assert(devices_add(m, list, &error), "%s", error);
    machine_unlock(m);
}

/* A console and a port "p1", each at a socket; two buffers for what is told. */
static Driver begin(u64 features)
{
    Machine *m = driver_machine();
    char *spec, *error = NULL;
    u64 slot;
    Driver d;

    path = g_strdup_printf("/tmp/test_hw_console.%d", getpid());
    spec = g_strdup_printf("socket,id=c,path=%s,server=on,wait=off", path);
    slot = driver_plug(m, &virtio_console, "virtio-serial-device");
    machine_lock(m);
    cr_assert(chardev_add(m, spec, &error), "%s", error);
    cr_assert(chardev_add(m, "null,id=n", &error), "%s", error);
    machine_unlock(m);
    g_free(spec);
    port_add(m, "virtconsole,chardev=n");
    port_add(m, "virtserialport,chardev=c,name=p1");
    d = driver_new(m, slot, features, features & MULTIPORT ? QUEUES : 2);
    return d;
}

static void end(Driver *d)
{
    machine_free(d->m);
    unlink(path);
    g_free(path);
}

static int peer_new(Machine *m)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(a.sun_path, path, sizeof a.sun_path);
    cr_assert(!connect(fd, (struct sockaddr *)&a, sizeof a), "%m");
    board_settle(m);
    return fd;
}

static void say(Driver *d, u32 id, u16 event, u16 value)
{
    u64 at = BOARD_RAM + AT_TOLD + 0x8000;

    *(Control *)ram(d, at) = (Control){id, event, value};
    driver_add(d, FROM_GUEST, (Buffer[]){{at, sizeof(Control), false}}, 1);
    driver_kick(d, FROM_GUEST);
    driver_wait(d, FROM_GUEST);
}

/* Is that the next thing we are told?  Its text is at AT_TOLD. */
static bool told(Driver *d, u32 id, u16 event, u16 value)
{
    u64 at = BOARD_RAM + AT_TOLD;
    const Control *c = ram(d, at);

    driver_add(d, TO_GUEST, (Buffer[]){{at, 256, true}}, 1);
    driver_kick(d, TO_GUEST);
    driver_wait(d, TO_GUEST);
    return c->id == id && c->event == event && c->value == value;
}

static void open_ports(Driver *d)
{
    say(d, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    cr_expect(told(d, 0, VIRTIO_CONSOLE_PORT_ADD, 1));
    cr_expect(told(d, 1, VIRTIO_CONSOLE_PORT_ADD, 1));
    say(d, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect(told(d, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1));
    cr_expect(told(d, 0, VIRTIO_CONSOLE_PORT_OPEN, 1));
    say(d, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    cr_expect(told(d, 1, VIRTIO_CONSOLE_PORT_NAME, 1));
    cr_expect_str_eq((char *)ram(d, BOARD_RAM + AT_TOLD + sizeof(Control)), "p1");
    say(d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void out(Driver *d, u32 queue, const char *text, u32 size)
{
    memcpy(ram(d, BOARD_RAM + AT_OUT), text, size);
    driver_add(d, queue, (Buffer[]){{BOARD_RAM + AT_OUT, size, false}}, 1);
    driver_kick(d, queue);
}

/* ---- tests ---- */

Test(console, speaks_of_ports)
{
    Driver d = begin(MULTIPORT);
    int fd;

    open_ports(&d);
    driver_add(&d, IN1, (Buffer[]){{BOARD_RAM + AT_IN, 4, true}}, 1);
    fd = peer_new(d.m);
    cr_expect(told(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1), "somebody has come");
    close(fd);
    board_settle(d.m);
    cr_expect(told(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 0), "and gone");
    cr_expect(!driver_broken(&d));
    end(&d);
}

Test(console, carries_bytes_both_ways)
{
    Driver d = begin(MULTIPORT);
    char text[32] = {0};
    u32 head, written;
    int fd;

    open_ports(&d);
    out(&d, OUT1, "for nobody", 10);
    driver_wait(&d, OUT1);
    fd = peer_new(d.m);
    out(&d, OUT1, "for you", 7);
    driver_wait(&d, OUT1);
    board_settle(d.m);
    cr_expect(read(fd, text, sizeof text) == 7 && !strcmp(text, "for you"));
    cr_assert(write(fd, "ten bytes!", 10) == 10);
    board_settle(d.m);
    cr_expect(!driver_used(&d, IN1, &head, &written), "there is no buffer yet");
    for (u32 i = 0; i < 3; i++) {
        driver_add(&d, IN1, (Buffer[]){{BOARD_RAM + AT_IN + i * 4, 4, true}}, 1);
        driver_kick(&d, IN1);
        written = driver_wait(&d, IN1);
        cr_expect(written == (i < 2 ? 4 : 2), "%u", written);
    }
    cr_expect(!memcmp(ram(&d, BOARD_RAM + AT_IN), "ten bytes!", 10));
    close(fd);
    end(&d);
}

/* More than the socket takes, to a peer that reads late. */
Test(console, waits_for_slow_readers)
{
    enum { SIZE = 0x40000, CHAINS = 4 };
    Driver d = begin(MULTIPORT);
    u32 head, written, got = 0, done = 0;
    u8 *bytes, *back = g_malloc(SIZE);
    int fd;

    open_ports(&d);
    fd = peer_new(d.m);
    bytes = ram(&d, BOARD_RAM + 0x100000);
    for (u32 i = 0; i < SIZE; i++)
        bytes[i] = (u8)(i * 11 >> 3);
    for (u32 i = 0; i < CHAINS; i++)
        driver_add(&d, OUT1,
                   (Buffer[]){{BOARD_RAM + 0x100000, 1000, false},
                              {BOARD_RAM + 0x100000 + 1000, SIZE - 1000, false}},
                   1 + (i & 1));
    driver_kick(&d, OUT1);
    board_settle(d.m);
    while (got < CHAINS / 2 * (SIZE + 1000)) {
        u32 at = got % (SIZE + 1000), part = at < 1000 ? at : at - 1000;
        ssize_t n = recv(fd, back, MIN(at < 1000 ? 1000 - at : SIZE - part, 7777),
                         MSG_DONTWAIT);

        g_main_context_iteration(d.m->io, FALSE);
        if (n > 0) {
            cr_assert(!memcmp(back, bytes + part, n), "at %u", got);
            got += n;
        }
    }
    while (driver_used(&d, OUT1, &head, &written))
        done++;
    cr_expect(done == CHAINS, "%u chains", done);
    g_free(back);
    close(fd);
    end(&d);
}

Test(console, is_one_console_without_multiport)
{
    Driver d = begin(0);

    out(&d, OUT0, "text", 4);
    driver_wait(&d, OUT0);
    cr_expect(!driver_broken(&d));
    cr_expect(reg(&d, VIRTIO_MMIO_CONFIG + 4) == 7, "ports");
    set(&d, VIRTIO_MMIO_CONFIG + 8, 'x'); /* the emergency write */
    end(&d);
}

Test(console, survives_anything_said)
{
    Driver d = begin(MULTIPORT);
    GRand *r = g_rand_new_with_seed(3);

    for (u32 i = 0; i < 2000; i++) {
        u64 at = BOARD_RAM + AT_OUT;
        u32 n = g_rand_int_range(r, 1, 12),
            queue = g_rand_boolean(r) ? FROM_GUEST : OUT1;

        *(Control *)ram(&d, at) =
            (Control){g_rand_int_range(r, 0, g_rand_boolean(r) ? 3 : 1 << 30),
                      g_rand_int_range(r, 0, 10), g_rand_int_range(r, 0, 3)};
        driver_add(&d, queue, (Buffer[]){{at, n, false}}, 1);
        driver_kick(&d, queue);
        driver_wait(&d, queue);
    }
    cr_expect(!driver_broken(&d));
    driver_add(&d, IN1, (Buffer[]){{BOARD_RAM, 8, false}}, 1);
    say(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    driver_kick(&d, IN1);
    g_rand_free(r);
    end(&d);
}

Test(console, is_saved_with_what_is_not_told_yet)
{
    Driver d = begin(MULTIPORT);
    Device *device = NULL;
    GByteArray *saved;

    for (u32 i = 0; i < d.m->devices->len; i++) {
        Device *is = d.m->devices->pdata[i];

        device = is->base == d.slot ? is : device;
    }
    say(&d, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    saved = board_save(d.m, device);
    cr_expect(told(&d, 0, VIRTIO_CONSOLE_PORT_ADD, 1));
    cr_assert(board_load(d.m, device, saved));
    d.used[TO_GUEST]--; /* as the rings were, which are RAM's */
    d.avail[TO_GUEST]--;
    used(&d, TO_GUEST)->idx--;
    avail(&d, TO_GUEST)->idx--;
    cr_expect(told(&d, 0, VIRTIO_CONSOLE_PORT_ADD, 1), "again");
    cr_expect(told(&d, 1, VIRTIO_CONSOLE_PORT_ADD, 1));
    for (u32 i = 0; i < saved->len; i++) {
        saved->data[i] ^= 0x41;
        board_load(d.m, device, saved);
        saved->data[i] ^= 0x41;
    }
    g_byte_array_free(saved, TRUE);
    end(&d);
}

Test(console, refuses_bad_options)
{
    static const char *const bad[] = {"virtconsole,chardev=nobody",
                                      "virtserialport,chardev=n,nr=0",
                                      "virtserialport,nr=1",
                                      "virtserialport,nr=7",
                                      "virtserialport,bus=other.0",
                                      "virtserialport,chardev=c",
                                      "virtio-serial-device,max_ports=0",
                                      "virtconsole,frobnicate=on"};
    Driver d = begin(0);
    char *error = NULL;

    machine_lock(d.m);
    for (u32 i = 0; i < G_N_ELEMENTS(bad); i++) {
        cr_expect(!devices_add(d.m, bad[i], &error), "%s", bad[i]);
        cr_expect(error && !strchr(error, '\n'));
        g_clear_pointer(&error, g_free);
    }
    machine_unlock(d.m);
    end(&d);
}
