/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_net
 *
 * The network device with a back end that keeps what it is sent, and as a guest of
 * libslirp's: as drivers use it, and as no driver may. */
#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../hw/net.h"
#include "../hw/net_user.h"
#include "hw_driver.h"

enum { RX, TX, CONTROL, QUEUES, HEADER = sizeof(struct virtio_net_hdr_v1) };
enum { AT_TX = 0x10000, AT_RX = 0x20000, AT_CONTROL = 0x40000 };
#define F(f) (1ull << VIRTIO_NET_F_##f)
#define MAC  "\x52\x54\x00\x12\x34\x56"
#define ALL_FEATURES                                                                   \
    (F(MRG_RXBUF) | F(CSUM) | F(HOST_TSO4) | F(GUEST_CSUM) | F(CTRL_VQ) | F(CTRL_RX) | \
     F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR))

/* ---- a back end of the test's ---- */

typedef struct Wire {
    Net net;
    GByteArray *last; /* the last frame from the guest */
    u32 frames;
} Wire;

static void wire_send(Net *n, const u8 *frame, size_t size)
{
    Wire *w = (Wire *)n;

    g_byte_array_set_size(w->last, 0);
    g_byte_array_append(w->last, frame, size);
    w->frames++;
}

static void wire_end(Net *n) { g_byte_array_free(((Wire *)n)->last, TRUE); }
static const DeviceType wire_type = {.name = "wire", .free = net_free};

static Wire *wire_add(Machine *m)
{
    Wire *w = g_new0(Wire, 1);

    w->net.send = wire_send;
    w->net.free = wire_end;
    w->net.takes_large = true;
    w->net.device.id = g_strdup("w");
    w->last = g_byte_array_new();
    device_add(m, &w->net.device, &wire_type, 0, 0);
    return w;
}

static void deliver(Driver *d, Net *n, const u8 *frame, size_t size)
{
    machine_lock(d->m);
    net_deliver(n, frame, size);
    machine_unlock(d->m);
}

static Driver begin(Wire **wire, u64 features)
{
    Machine *m = driver_machine();

    *wire = wire_add(m);
    return driver_new(m, driver_plug(m, &virtio_net, "virtio-net-device,netdev=w"),
                      features, QUEUES);
}

/* ---- sending ---- */

/* A frame with its header, as one chain of two buffers; waits until it is gone. */
static void send_frame(Driver *d, const struct virtio_net_hdr_v1 *h, const void *frame,
                       u32 size)
{
    u64 at = BOARD_RAM + AT_TX;

    memcpy(ram(d, at), h, HEADER);
    memcpy(ram(d, at + HEADER), frame, size);
    driver_add(d, TX, (Buffer[]){{at, HEADER, false}, {at + HEADER, size, false}}, 2);
    driver_kick(d, TX);
    driver_wait(d, TX);
}

Test(net, sends_frames_as_they_are)
{
    const struct virtio_net_hdr_v1 plain = {0};
    u8 frame[1514];
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 i = 0; i < sizeof frame; i++)
        frame[i] = (u8)i;
    send_frame(&d, &plain, frame, sizeof frame);
    cr_expect(w->last->len == sizeof frame &&
              !memcmp(w->last->data, frame, sizeof frame));
    send_frame(&d, &plain, frame, 60);
    cr_expect(w->last->len == 60 && w->frames == 2);
    machine_free(d.m);
}

/* As RFC 1071 has it, a byte pair at a time. */
static u16 sum_of(const u8 *bytes, u32 size, u32 sum)
{
    for (u32 i = 0; i < size; i++)
        sum += i & 1 ? bytes[i] : (u32)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

Test(net, completes_checksums)
{
    struct virtio_net_hdr_v1 h = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    u8 frame[1000];
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 size = 60; size < 68; size++) {
        for (u32 i = 0; i < size; i++)
            frame[i] = (u8)(i * 37 + size);
        send_frame(&d, &h, frame, size);
        cr_assert(w->last->len == size);
        memcpy(frame + 40, w->last->data + 40, 2);
        cr_expect(!memcmp(w->last->data, frame, size), "only the checksum changes");
    }
    memset(frame, 0, sizeof frame);
    memset(frame + 34, 0x11, 8); /* 4 * 0x1111, of which one is the field's */
    send_frame(&d, &h, frame, 42);
    cr_expect(w->last->data[40] == 0xbb && w->last->data[41] == 0xbb);
    frame[50] = 0xbb;
    frame[51] = 0xbb;
    send_frame(&d, &h, frame, 52);
    cr_expect(w->last->data[40] == 0xff && w->last->data[41] == 0xff, "never 0");
    cr_expect(sum_of(frame + 34, 18, 0) == 0xffff);
    machine_free(d.m);
}

Test(net, drops_what_nobody_can_send)
{
    static const struct virtio_net_hdr_v1 bad[] = {
        {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 59, .csum_offset = 0},
        {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0xffff},
        {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 0xffff},
        {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4},
        {.gso_type = VIRTIO_NET_HDR_GSO_UDP, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM},
        {.gso_type = 77, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM},
    };
    struct virtio_net_hdr_v1 large = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                      .gso_size = 1448,
                                      .csum_start = 34,
                                      .csum_offset = 16};
    static u8 frame[0xffff + 14 + 1];
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 i = 0; i < G_N_ELEMENTS(bad); i++)
        send_frame(&d, &bad[i], frame, 60);
    send_frame(&d, &large, frame, sizeof frame);
    cr_expect(w->frames == 0, "%u frames", w->frames);
    send_frame(&d, &large, frame, sizeof frame - 1);
    cr_expect(w->frames == 1 && w->last->len == sizeof frame - 1);
    driver_add(&d, TX, (Buffer[]){{BOARD_RAM + AT_TX, HEADER - 1, false}}, 1);
    driver_kick(&d, TX);
    board_settle(d.m);
    cr_expect(driver_broken(&d), "a frame that has not even a header");
    machine_free(d.m);
}

/* ---- receiving ---- */

static void offer(Driver *d, u64 at, u32 size)
{
    memset(ram(d, at), 0xee, size);
    driver_add(d, RX, (Buffer[]){{at, size, true}}, 1);
    driver_kick(d, RX);
}

Test(net, spreads_frames_over_buffers)
{
    u64 at = BOARD_RAM + AT_RX;
    struct virtio_net_hdr_v1 h;
    u32 head, written, all = 0;
    u8 frame[700];
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 i = 0; i < sizeof frame; i++)
        frame[i] = (u8)(i * 7);
    for (u32 i = 0; i < 4; i++)
        offer(&d, at + i * 256, 256);
    deliver(&d, &w->net, frame, sizeof frame);
    memcpy(&h, ram(&d, at), HEADER);
    cr_expect(h.num_buffers == 3 && h.flags == VIRTIO_NET_HDR_F_DATA_VALID);
    cr_expect(!memcmp(ram(&d, at + HEADER), frame, sizeof frame));
    while (driver_used(&d, RX, &head, &written))
        all += written;
    cr_expect(all == HEADER + sizeof frame && d.used[RX] == 3);
    machine_free(d.m);
}

Test(net, keeps_frames_until_there_is_room)
{
    u64 at = BOARD_RAM + AT_RX;
    u8 frame[700] = {1, 2, 3};
    u32 head, written;
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    deliver(&d, &w->net, frame, sizeof frame);
    offer(&d, at, 256);
    board_settle(d.m);
    cr_expect(!driver_used(&d, RX, &head, &written), "one buffer is too little");
    offer(&d, at + 256, 1024);
    cr_expect(driver_wait(&d, RX) == 256);
    cr_expect(driver_wait(&d, RX) == sizeof frame + HEADER - 256);
    for (u32 i = 0; i < 3000; i++)
        deliver(&d, &w->net, frame, 60);
    cr_expect(w->net.held.length == 1024, "no more than so many are kept");
    set(&d, VIRTIO_MMIO_STATUS, 0);
    cr_expect(w->net.held.length == 0, "none for who comes after a reset");
    machine_free(d.m);
}

Test(net, drops_what_does_not_fit_one_buffer)
{
    u64 at = BOARD_RAM + AT_RX;
    u8 frame[700] = {0};
    u32 head, written;
    Wire *w;
    Driver d = begin(&w, 0);

    offer(&d, at, 256);
    offer(&d, at + 256, 1024);
    deliver(&d, &w->net, frame, sizeof frame);
    cr_expect(!driver_used(&d, RX, &head, &written) && !w->net.held.length);
    deliver(&d, &w->net, frame, 100);
    cr_expect(driver_wait(&d, RX) == HEADER + 100);
    cr_expect(!driver_broken(&d));
    machine_free(d.m);
}

/* ---- the control queue ---- */

/* The answer to a command of so many bytes; 0xaa: none was written. */
static u8 command(Driver *d, const void *bytes, u32 size)
{
    u64 at = BOARD_RAM + AT_CONTROL;
    u8 *ack = ram(d, at + 0x8000);

    memcpy(ram(d, at), bytes, size);
    *ack = 0xaa;
    driver_add(d, CONTROL, (Buffer[]){{at, size, false}, {at + 0x8000, 1, true}}, 2);
    driver_kick(d, CONTROL);
    driver_wait(d, CONTROL);
    return *ack;
}

/* Does the guest get a frame with this beginning? */
static bool gets(Driver *d, Wire *w, const char *address, u32 vlan)
{
    u8 frame[60] = {0};
    u32 head, written;

    memcpy(frame, address, 6);
    if (vlan) {
        frame[12] = 0x81;
        frame[14] = (u8)(vlan >> 8);
        frame[15] = (u8)vlan;
    }
    offer(d, BOARD_RAM + AT_RX, 2048);
    deliver(d, &w->net, frame, sizeof frame);
    if (driver_used(d, RX, &head, &written))
        return true;
    deliver(d, &w->net, (const u8 *)MAC "12345678", 14); /* uses the buffer up */
    driver_wait(d, RX);
    return false;
}

Test(net, filters_by_address)
{
    static const u8 table[] = {1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2,
                               2, 1, 0, 0, 0, 3, 3, 3, 3, 3, 3};
    u8 large[2 + 4 + 4 + 100 * 6] = {VIRTIO_NET_CTRL_MAC};
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES & ~F(CTRL_VLAN));

    cr_expect(gets(&d, w, "\2\2\2\2\2\2", 0), "all, at first");
    cr_expect(command(&d, "\0\0\0", 3) == VIRTIO_NET_OK);
    cr_expect(!gets(&d, w, "\2\2\2\2\2\2", 0) && !gets(&d, w, "\3\3\3\3\3\3", 0));
    cr_expect(gets(&d, w, "\xff\xff\xff\xff\xff\xff", 0));
    cr_expect(command(&d, table, sizeof table) == VIRTIO_NET_OK);
    cr_expect(gets(&d, w, "\2\2\2\2\2\2", 0) && gets(&d, w, "\3\3\3\3\3\3", 0));
    cr_expect(!gets(&d, w, "\2\2\2\2\2\4", 0) && !gets(&d, w, "\3\3\3\3\3\4", 0));
    cr_expect(command(&d, "\0\1\1", 3) == VIRTIO_NET_OK, "all of many");
    cr_expect(gets(&d, w, "\3\3\3\3\3\4", 0));
    large[6] = 100;
    cr_expect(command(&d, large, sizeof large) == VIRTIO_NET_OK);
    cr_expect(!gets(&d, w, "\2\2\2\2\2\2", 0), "none of one");
    cr_expect(command(&d, "\0\1\0", 3) == VIRTIO_NET_OK);
    cr_expect(gets(&d, w, "\3\3\3\3\3\4", 0), "too many for the table: all");
    cr_expect(command(&d, "\0\5\1", 3) == VIRTIO_NET_OK);
    cr_expect(!gets(&d, w, "\xff\xff\xff\xff\xff\xff", 0));
    machine_free(d.m);
}

Test(net, filters_by_vlan)
{
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    cr_expect(command(&d, "\0\0\0", 3) == VIRTIO_NET_OK);
    cr_expect(!gets(&d, w, MAC, 0x123));
    cr_expect(command(&d, "\2\0\x23\1", 4) == VIRTIO_NET_OK);
    cr_expect(gets(&d, w, MAC, 0x123) && !gets(&d, w, MAC, 0x124));
    cr_expect(command(&d, "\2\1\x23\1", 4) == VIRTIO_NET_OK);
    cr_expect(!gets(&d, w, MAC, 0x123));
    cr_expect(command(&d, "\2\0\0\x10", 4) == VIRTIO_NET_ERR, "there are 4096");
    machine_free(d.m);
}

Test(net, takes_another_address)
{
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    cr_expect(command(&d, "\0\0\0", 3) == VIRTIO_NET_OK);
    cr_expect(command(&d, "\1\1\2\4\4\4\4\4", 8) == VIRTIO_NET_OK);
    cr_expect(reg(&d, VIRTIO_MMIO_CONFIG) == 0x04040402);
    set(&d, VIRTIO_MMIO_STATUS, 0);
    cr_expect(reg(&d, VIRTIO_MMIO_CONFIG) == 0x12005452, "as it was, after a reset");
    machine_free(d.m);
}

Test(net, refuses_bad_commands)
{
    static const struct {
        const char *bytes;
        u32 size;
    } bad[] = {
        {"\0\0", 2},         {"\0\6\1", 3},       {"\0\0\0\0", 4},
        {"\1\0", 2},         {"\1\0\1\0\0\0", 6}, {"\1\0\0\0\0\0\xff\xff\xff\xff", 10},
        {"\1\0\0\0\0\0", 6}, {"\1\1\1\2\3", 5},   {"\1\2\0\0\0\0\0\0\0\0", 10},
        {"\2\2\0\0", 4},     {"\2\0\0", 3},       {"\3\0", 2},
        {"\7\7\7", 3},
    };
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 i = 0; i < G_N_ELEMENTS(bad); i++)
        cr_expect(command(&d, bad[i].bytes, bad[i].size) == VIRTIO_NET_ERR, "%u", i);
    cr_expect(!driver_broken(&d) && gets(&d, w, "\2\2\2\2\2\2", 0));
    driver_add(&d, CONTROL, (Buffer[]){{BOARD_RAM, 1, false}, {BOARD_RAM, 1, true}}, 2);
    driver_kick(&d, CONTROL);
    cr_expect(driver_broken(&d), "half a head");
    machine_free(d.m);
}

/* ---- anything ---- */

Test(net, survives_random_headers_and_commands)
{
    GRand *r = g_rand_new_with_seed(1);
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES);

    for (u32 i = 0; i < 3000; i++) {
        struct virtio_net_hdr_v1 h;
        u8 bytes[64];

        for (u32 k = 0; k < sizeof h; k++)
            ((u8 *)&h)[k] = (u8)g_rand_int_range(r, 0, g_rand_boolean(r) ? 3 : 256);
        for (u32 k = 0; k < sizeof bytes; k++)
            bytes[k] = (u8)g_rand_int_range(r, 0, g_rand_boolean(r) ? 4 : 256);
        send_frame(&d, &h, bytes, g_rand_int_range(r, 1, sizeof bytes));
        command(&d, bytes, g_rand_int_range(r, 2, sizeof bytes));
    }
    cr_expect(!driver_broken(&d));
    g_rand_free(r);
    machine_free(d.m);
}

Test(net, is_saved_and_loaded)
{
    Wire *w;
    Driver d = begin(&w, ALL_FEATURES & ~F(CTRL_VLAN));
    Device *device = device_find(d.m, virtio_mmio.name, NULL);
    GByteArray *saved;

    for (u32 i = 0; i < d.m->devices->len; i++) {
        Device *is = d.m->devices->pdata[i];

        device = is->base == d.slot ? is : device;
    }
    cr_expect(command(&d, "\0\0\0", 3) == VIRTIO_NET_OK);
    saved = board_save(d.m, device);
    cr_expect(command(&d, "\0\0\1", 3) == VIRTIO_NET_OK);
    cr_assert(board_load(d.m, device, saved));
    d.used[CONTROL]--; /* as the rings were, which are RAM's */
    d.avail[CONTROL]--;
    used(&d, CONTROL)->idx--;
    avail(&d, CONTROL)->idx--;
    cr_expect(!gets(&d, w, "\2\2\2\2\2\2", 0), "its filter is as it was");
    for (u32 i = 0; i < saved->len; i++) {
        saved->data[i] ^= 0x81;
        board_load(d.m, device, saved);
        saved->data[i] ^= 0x81;
    }
    g_byte_array_free(saved, TRUE);
    machine_free(d.m);
}

/* ---- what the command line says ---- */

Test(net, reads_forwards)
{
    static const char *const bad[] = {"",
                                      "tcp",
                                      "tcp:",
                                      "tcp::",
                                      "tcp::80",
                                      "tcp::80-",
                                      "tcp::80-:",
                                      "tcp::80-:0",
                                      "tcp::80-:65536",
                                      "tcp::65536-:80",
                                      "tcp:x:80-:80",
                                      "tcp::80-x:80",
                                      "sctp::80-:80",
                                      "tcp::8o-:80",
                                      "tcp::-1-:80",
                                      "tcp::80-10.0.2.15",
                                      "tcp-:80:80"};
    char *error = NULL;
    Forward f;

    cr_assert(net_user_rule("udp:127.0.0.1:0-10.0.2.9:53", &f, &error));
    cr_expect(f.udp && f.host.s_addr == htonl(0x7f000001) && f.host_port == 0 &&
              f.guest.s_addr == htonl(0x0a000209) && f.guest_port == 53);
    cr_assert(net_user_rule("::8022-:22", &f, &error));
    cr_expect(!f.udp && !f.host.s_addr && f.host_port == 8022 && f.guest_port == 22);
    for (u32 i = 0; i < G_N_ELEMENTS(bad); i++) {
        cr_expect(!net_user_rule(bad[i], &f, &error), "\"%s\"", bad[i]);
        cr_expect(error && !strchr(error, '\n'));
        g_clear_pointer(&error, g_free);
    }
}

Test(net, refuses_bad_options)
{
    static const char *const bad[] = {"user",
                                      "tap,id=n",
                                      "user,id=n,net=10.0.2.0/31",
                                      "user,id=n,net=1.2.3",
                                      "user,id=n,net=10.0.2.0/24,host=10.0.3.2",
                                      "user,id=n,dns=10.0.2.2",
                                      "user,id=n,dhcpstart=x",
                                      "user,id=n,restrict=perhaps",
                                      "user,id=n,frobnicate=on",
                                      "user,id=n,hostfwd=tcp:80",
                                      "user,id=n,ipv6-prefix=::zz",
                                      "user,id=w"};
    static const char *const bad_nics[] = {"tap", "user,model=e1000", "user,mac=1:2:3"};
    Machine *m = driver_machine();
    char *error = NULL;

    machine_lock(m);
    wire_add(m);
    for (u32 i = 0; i < G_N_ELEMENTS(bad); i++) {
        cr_expect(!net_add(m, bad[i], &error), "%s", bad[i]);
        cr_expect(error && !strchr(error, '\n'), "%s: %s", bad[i], error);
        g_clear_pointer(&error, g_free);
    }
    for (u32 i = 0; i < G_N_ELEMENTS(bad_nics); i++) {
        cr_expect(!net_add_nic(m, bad_nics[i], &error), "%s", bad_nics[i]);
        cr_expect(error && !strchr(error, '\n'), "%s: %s", bad_nics[i], error);
        g_clear_pointer(&error, g_free);
    }
    cr_expect(net_add_nic(m, "none", &error));
    cr_expect(!devices_add(m, "virtio-net-device,netdev=nobody", &error));
    g_clear_pointer(&error, g_free);
    cr_expect(!devices_add(m, "virtio-net-device,netdev=w,mac=x", &error));
    g_clear_pointer(&error, g_free);
    cr_expect(devices_add(m, "virtio-net-device,netdev=w", &error));
    cr_expect(!devices_add(m, "virtio-net-device,netdev=w", &error), "taken");
    g_clear_pointer(&error, g_free);
    machine_unlock(m);
    machine_free(m);
}

/* ---- user networking ---- */

/* An Ethernet frame of IPv4 and UDP from 10.0.2.15. */
static u32 udp_frame(u8 *f, u32 to, u16 from_port, u16 to_port, const char *text)
{
    u32 n = strlen(text), source = htonl(0x0a00020f), sum;
    u16 lengths[2] = {htons(28 + n), htons(8 + n)};
    u16 ports[2] = {htons(from_port), htons(to_port)};

    memset(f, 0, 42 + n);
    memcpy(f, "\x52\x55\x0a\0\2\2" MAC "\x08\0\x45", 15);
    memcpy(f + 16, &lengths[0], 2);
    f[22] = 64;
    f[23] = 17;
    memcpy(f + 26, &source, 4);
    to = htonl(to);
    memcpy(f + 30, &to, 4);
    sum = (u16)~sum_of(f + 14, 20, 0);
    f[24] = (u8)(sum >> 8);
    f[25] = (u8)sum;
    memcpy(f + 34, ports, 4);
    memcpy(f + 38, &lengths[1], 2);
    memcpy(f + 42, text, n);
    return 42 + n;
}

static const char arp_request[] =
    "\xff\xff\xff\xff\xff\xff" MAC "\x08\x06\0\1\x08\0\6\4\0\1" MAC
    "\x0a\0\2\x0f\0\0\0\0\0\0\x0a\0\2\2";

/* A socket of ours on a port of the host's that nobody has. */
static int udp_socket(u16 *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&a, n) &&
              !getsockname(fd, (struct sockaddr *)&a, &n));
    *port = ntohs(a.sin_port);
    return fd;
}

/* The next frame that the guest gets which has the text at that offset. */
static const u8 *receive_text(Driver *d, u32 at, const char *text)
{
    for (u32 i = 0; i < 20; i++) {
        const u8 *frame = ram(d, BOARD_RAM + AT_RX + HEADER);

        offer(d, BOARD_RAM + AT_RX, 2048);
        driver_wait(d, RX);
        if (!memcmp(frame + at, text, strlen(text)))
            return frame;
    }
    cr_assert_fail("\"%s\" does not come", text);
    return NULL;
}

Test(net, speaks_udp_with_the_host)
{
    const struct virtio_net_hdr_v1 plain = {0};
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    char text[16] = {0}, *spec, *error = NULL;
    u16 port, forward;
    int fd = udp_socket(&port), other = udp_socket(&forward);
    Machine *m = driver_machine();
    u8 frame[100];
    Driver d;

    close(other); /* libslirp takes its port */
    spec = g_strdup_printf("user,id=n,hostfwd=udp:127.0.0.1:%u-:7", forward);
    machine_lock(m);
    cr_assert(net_add(m, spec, &error), "%s", error);
    machine_unlock(m);
    g_free(spec);
    cr_expect(signal(SIGPIPE, SIG_DFL) == SIG_IGN,
              "peers may go while we write to them");
    d = driver_new(m, driver_plug(m, &virtio_net, "virtio-net-device,netdev=n"),
                   ALL_FEATURES, QUEUES);
    send_frame(&d, &plain, arp_request, 42);
    receive_text(&d, 28, "\x0a\0\2\2"); /* who has it answers */
    send_frame(&d, &plain, frame,
               udp_frame(frame, 0x0a000202, 99, port, "to the host"));
    while (recvfrom(fd, text, sizeof text - 1, MSG_DONTWAIT, (struct sockaddr *)&from,
                    &length) < 0)
        board_settle(m);
    cr_expect_str_eq(text, "to the host");
    sendto(fd, "and back", 8, 0, (struct sockaddr *)&from, length);
    cr_expect(receive_text(&d, 42, "and back")[37] == 99, "at our port");
    from.sin_port = htons(forward);
    sendto(fd, "forwarded", 9, 0, (struct sockaddr *)&from, sizeof from);
    cr_expect(receive_text(&d, 42, "forwarded")[37] == 7, "at the rule's port");
    close(fd);
    machine_free(m);
}
