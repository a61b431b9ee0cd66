/* SPDX-License-Identifier: MIT */
/*
 * virtio-net (virtio 1.2, 5.1): one pair of queues and a control queue.  What the guest
 * sends is taken off the queue by the main thread, as the network's sockets are its.
 * Checksums left to us are computed here; large TCP frames go to back ends that take
 * them as they are.
 */
#include <linux/virtio_net.h>
#include <string.h>
#include "net.h"
#include "virtio.h"
#include "virtio_net.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_CONTROL, QUEUES };
enum { HEADER = sizeof(struct virtio_net_hdr_v1), FRAME_MOST = 0xffff + 14 };
enum { COMMAND_MOST = 1 << 16, BURST = 256 };

typedef struct VirtioNet {
    VirtioDevice v;
    Net *net;        /* NULL: the cable leads nowhere */
    u8 given_mac[6]; /* what a reset gives */
    NetFilter filter;
    bool sending; /* send_all is to be called */
    u8 *frame;    /* FRAME_MOST bytes, being sent */
} VirtioNet;

/* ---- to the network ---- */

/* The ones' complement sum of RFC 1071, not complemented. */
static u16 sum_fold(const u8 *bytes, size_t size)
{
    u64 sum = 0;
    u32 word;

    for (; size >= 4; bytes += 4, size -= 4) {
        memcpy(&word, bytes, 4);
        sum += word;
    }
    word = 0;
    memcpy(&word, bytes, size);
    sum += word;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

/* Completes a checksum: what is at start+offset already sums what is not sent. */
static bool frame_checksum(u8 *frame, size_t size, u32 start, u32 offset)
{
    u16 sum;

    if (start + offset + 2 > size)
        return false;
    sum = ~sum_fold(frame + start, size - start);
    if (!sum) /* that would be UDP's "none" */
        sum = 0xffff;
    memcpy(frame + start + offset, &sum, 2);
    return true;
}

/* False: a frame that nobody could send. */
static bool frame_finish(const VirtioNet *n, const struct virtio_net_hdr_v1 *h,
                         size_t size)
{
    u8 gso = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

    if (gso != VIRTIO_NET_HDR_GSO_NONE && (gso != VIRTIO_NET_HDR_GSO_TCPV4 ||
                                           !virtio_has(&n->v, VIRTIO_NET_F_HOST_TSO4) ||
                                           !(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)))
        return false;
    if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
        !virtio_has(&n->v, VIRTIO_NET_F_CSUM))
        return true;
    return frame_checksum(n->frame, size, h->csum_start, h->csum_offset);
}

static void send_one(VirtioNet *n, const VirtioElement *e)
{
    struct virtio_net_hdr_v1 h;
    size_t size = e->out_size - HEADER;

    if (e->out_size < HEADER) {
        virtio_broken(&n->v, "a frame without its header");
        return;
    }
    if (!n->net || size > FRAME_MOST)
        return;
    virtio_get(e, 0, &h, HEADER);
    virtio_get(e, HEADER, n->frame, size);
    if (frame_finish(n, &h, size))
        net_send(n->net, n->frame, size);
}

/* Main thread.  A machine that stands still keeps what is in its queues. */
static void send_all(void *ctx)
{
    VirtioNet *n = ctx;
    bool runs = n->v.device.machine->run == RUN_RUNNING;
    VirtioElement *e;
    u32 sent = 0;

    while (runs && sent < BURST && (e = virtio_pop(&n->v, QUEUE_TX))) {
        send_one(n, e);
        virtio_push(&n->v, QUEUE_TX, e, 0);
        sent++;
    }
    if (sent)
        virtio_notify(&n->v, QUEUE_TX);
    n->sending = sent == BURST;
    if (n->sending) /* others' events first */
        io_call(n->v.device.machine, send_all, n);
}

static void send_soon(VirtioNet *n)
{
    if (!n->sending)
        io_call(n->v.device.machine, send_all, n);
    n->sending = true;
}

/* ---- from the network ---- */

typedef struct Buffers {
    VirtioElement *e[VIRTIO_QUEUE_MOST];
    u32 n;
    u64 size; /* bytes in all */
} Buffers;

static void buffers_unpop(VirtioNet *n, Buffers *b)
{
    while (b->n)
        virtio_unpop(&n->v, QUEUE_RX, b->e[--b->n]);
}

/* Takes buffers for size bytes, one if they are not to be merged. */
static bool buffers_pop(VirtioNet *n, Buffers *b, size_t size)
{
    u32 most = virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF) ? G_N_ELEMENTS(b->e) : 1;

    b->n = 0;
    b->size = 0;
    while (b->size < size && b->n < most) {
        VirtioElement *e = virtio_pop(&n->v, QUEUE_RX);

        if (!e)
            break;
        b->e[b->n++] = e;
        b->size += e->in_size;
        if (!e->in_size) {
            virtio_broken(&n->v, "a buffer to receive into that has no room");
            break;
        }
    }
    return b->size >= size;
}

/* Copies bytes to offset on of all buffers, as if they were one. */
static void buffers_put(const Buffers *b, size_t offset, const u8 *bytes, size_t size)
{
    for (u32 i = 0; i < b->n && size; i++) {
        size_t room = b->e[i]->in_size, n;

        if (offset >= room) {
            offset -= room;
            continue;
        }
        n = virtio_put(b->e[i], offset, bytes, size);
        bytes += n;
        size -= n;
        offset = 0;
    }
}

static void buffers_push(VirtioNet *n, Buffers *b, size_t size)
{
    for (u32 i = 0; i < b->n; i++) {
        size_t part = MIN(size, b->e[i]->in_size);

        virtio_push(&n->v, QUEUE_RX, b->e[i], part);
        size -= part;
    }
    virtio_notify(&n->v, QUEUE_RX);
}

static bool receive(void *ctx, const u8 *frame, size_t size)
{
    VirtioNet *n = ctx;
    /* The back end's frames come from the host: nothing has damaged them. */
    bool valid = virtio_has(&n->v, VIRTIO_NET_F_GUEST_CSUM);
    struct virtio_net_hdr_v1 h = {.flags = valid ? VIRTIO_NET_HDR_F_DATA_VALID : 0};
    Buffers b;
    bool fits, first_too_small;

    if (n->v.device.machine->run != RUN_RUNNING)
        return false;
    if (!virtio_running(&n->v) || !filter_takes(&n->filter, frame, size))
        return true;
    fits = buffers_pop(n, &b, HEADER + size);
    first_too_small = b.n && !virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF);
    if (!fits) {
        buffers_unpop(n, &b);
        return first_too_small; /* what never fits is lost */
    }
    h.num_buffers = b.n;
    buffers_put(&b, 0, (u8 *)&h, HEADER);
    buffers_put(&b, HEADER, frame, size);
    buffers_push(n, &b, HEADER + size);
    return true;
}

static void accept_held(void *ctx)
{
    VirtioNet *n = ctx;

    net_accept(n->net);
}

static void accept_soon(VirtioNet *n)
{
    if (n->net && n->net->held.length)
        io_call(n->v.device.machine, accept_held, n);
}

/* ---- the control queue ---- */

static bool command(VirtioNet *n, const VirtioElement *e)
{
    size_t size = MIN(e->out_size, COMMAND_MOST);
    u8 *bytes = g_malloc(size);
    bool ok;

    virtio_get(e, 0, bytes, size);
    ok = e->out_size <= COMMAND_MOST && filter_command(&n->filter, bytes, size);
    g_free(bytes);
    return ok;
}

static void control(VirtioNet *n)
{
    VirtioElement *e;

    while ((e = virtio_pop(&n->v, QUEUE_CONTROL))) {
        u8 ack = VIRTIO_NET_ERR;

        if (e->out_size < 2 || e->in_size < 1)
            virtio_broken(&n->v, "a command without head or room for its answer");
        else if (command(n, e))
            ack = VIRTIO_NET_OK;
        virtio_put(e, 0, &ack, 1);
        virtio_push(&n->v, QUEUE_CONTROL, e, 1);
    }
    virtio_notify(&n->v, QUEUE_CONTROL);
}

/* ---- the device ---- */

static void net_notify(VirtioDevice *v, u32 queue)
{
    VirtioNet *n = (VirtioNet *)v;

    switch (queue) {
    case QUEUE_RX: accept_soon(n); break;
    case QUEUE_TX: send_soon(n); break;
    case QUEUE_CONTROL: control(n); break;
    }
}

static void net_config(VirtioDevice *v, u8 *config)
{
    struct virtio_net_config c = {.status = VIRTIO_NET_S_LINK_UP};

    memcpy(c.mac, ((VirtioNet *)v)->filter.mac, 6);
    memcpy(config, &c, v->type->config_size);
}

static void net_reset(VirtioDevice *v)
{
    VirtioNet *n = (VirtioNet *)v;

    filter_reset(&n->filter, n->given_mac);
    if (n->net)
        net_forget(n->net);
}

static void net_ready(VirtioDevice *v)
{
    VirtioNet *n = (VirtioNet *)v;

    n->filter.vlans = virtio_has(v, VIRTIO_NET_F_CTRL_VLAN);
    accept_soon(n);
}

static void net_state(VirtioDevice *v, State *s)
{
    VirtioNet *n = (VirtioNet *)v;

    filter_state(&n->filter, s);
}

static void net_info(const VirtioDevice *v, GString *out)
{
    const VirtioNet *n = (const VirtioNet *)v;
    const u8 *m = n->filter.mac;

    g_string_append_printf(
        out, "mac=%02x:%02x:%02x:%02x:%02x:%02x netdev=%s promisc=%s\n", m[0], m[1],
        m[2], m[3], m[4], m[5], n->net ? n->net->device.id : "none",
        n->filter.on[VIRTIO_NET_CTRL_RX_PROMISC] ? "on" : "off");
}

static void net_end(VirtioDevice *v)
{
    VirtioNet *n = (VirtioNet *)v;

    if (n->net)
        net_attach(n->net, &(NetClient){0});
    g_free(n->frame);
}

/* ---- its options ---- */

/* What can be switched off; QEMU's names.  mask 0: never offered, as its back ends'. */
static const struct {
    const char *name;
    u64 mask;
} option[] = {
#define F(f)        (1ull << VIRTIO_NET_F_##f)
#define CTRL_RX_ALL (F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR))
    {"csum", F(CSUM) | F(HOST_TSO4) | F(HOST_ECN)},
    {"gso", F(HOST_TSO4) | F(HOST_ECN)},
    {"host_tso4", F(HOST_TSO4) | F(HOST_ECN)},
    {"host_ecn", F(HOST_ECN)},
    {"guest_csum", F(GUEST_CSUM)},
    {"mrg_rxbuf", F(MRG_RXBUF)},
    {"status", F(STATUS)},
    {"ctrl_vq", F(CTRL_VQ) | CTRL_RX_ALL},
    {"ctrl_rx", F(CTRL_RX)},
    {"ctrl_rx_extra", F(CTRL_RX_EXTRA)},
    {"ctrl_vlan", F(CTRL_VLAN)},
    {"ctrl_mac_addr", F(CTRL_MAC_ADDR)},
    {"host_tso6", 0},
    {"host_ufo", 0},
    {"guest_tso4", 0},
    {"guest_tso6", 0},
    {"guest_ufo", 0},
    {"guest_ecn", 0},
    {"guest_announce", 0},
    {"ctrl_guest_offloads", 0},
};

static bool offered(Props *p, u64 *features, char **error)
{
    for (u32 i = 0; i < G_N_ELEMENTS(option); i++) {
        bool on = true;

        if (!props_bool(p, option[i].name, &on, error))
            return false;
        *features |= option[i].mask;
    }
    for (u32 i = 0; i < G_N_ELEMENTS(option); i++) {
        bool on = true;

        if (props_bool(p, option[i].name, &on, error) && !on)
            *features &= ~option[i].mask;
    }
    return true;
}

/* The first one's is QEMU's, those after it count up. */
static void mac_default(const Machine *m, u8 *mac)
{
    const u8 first[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

    memcpy(mac, first, 6);
    for (u32 i = 0; i < m->devices->len; i++) {
        const Device *d = m->devices->pdata[i];

        if (d->type->free == net_free && ((const Net *)d)->taken)
            mac[5]++;
    }
}

static bool mac_parse(const char *text, u8 *mac)
{
    char **part = g_strsplit_set(text, ":-", -1);
    bool ok = g_strv_length(part) == 6;

    for (u32 i = 0; ok && i < 6; i++) {
        const char *t = part[i];

        ok = strlen(t) == 2 && g_ascii_isxdigit(t[0]) && g_ascii_isxdigit(t[1]);
        if (ok)
            mac[i] = (u8)(g_ascii_xdigit_value(t[0]) << 4 | g_ascii_xdigit_value(t[1]));
    }
    g_strfreev(part);
    return ok;
}

static bool net_configure(VirtioNet *n, Machine *m, Props *p, char **error)
{
    const char *netdev = props_get(p, "netdev"), *mac = props_get(p, "mac");

    mac_default(m, n->given_mac);
    if (mac && !mac_parse(mac, n->given_mac)) {
        *error = g_strdup_printf("mac=%s: not like 52:54:00:12:34:56", mac);
        return false;
    }
    if (!offered(p, &n->v.more_features, error))
        return false;
    if (netdev && !(n->net = net_find(m, netdev))) {
        *error = g_strdup_printf("netdev=%s: no such -netdev, or in use", netdev);
        return false;
    }
    if (n->net && !n->net->takes_large)
        n->v.more_features &= ~(F(HOST_TSO4) | F(HOST_ECN));
    return true;
}

static VirtioDevice *net_create(Machine *m, Props *p, char **error)
{
    VirtioNet *n = virtio_new(m, &virtio_net, sizeof(*n));

    if (!net_configure(n, m, p, error)) {
        g_free(n);
        return NULL;
    }
    n->frame = g_malloc(FRAME_MOST);
    filter_reset(&n->filter, n->given_mac);
    if (n->net)
        net_attach(n->net, &(NetClient){.ctx = n, .receive = receive});
    return &n->v;
}

const VirtioType virtio_net = {
    .name = "virtio-net-device",
    .id = VIRTIO_ID_NET,
    .features = F(MAC),
    .n_queues = QUEUES,
    .create = net_create,
    .config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs),
    .config_read = net_config,
    .notify = net_notify,
    .ready = net_ready,
    .reset = net_reset,
    .state = net_state,
    .info = net_info,
    .free = net_end,
};
