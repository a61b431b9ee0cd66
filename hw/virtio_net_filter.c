/* SPDX-License-Identifier: MIT */
/* Which frames the guest of a virtio-net wants to see (virtio 1.2, 5.1.6.5): by address
 * and VLAN.  Until the driver says otherwise it sees all. */
#include <linux/virtio_net.h>
#include <string.h>
#include "virtio_net.h"

void filter_reset(NetFilter *f, const u8 *mac)
{
    *f = (NetFilter){.on[VIRTIO_NET_CTRL_RX_PROMISC] = true};
    memcpy(f->mac, mac, 6);
}

/* ---- frames ---- */

static bool table_has(const MacTable *t, const u8 *mac)
{
    for (u32 i = 0; i < t->n; i++)
        if (!memcmp(t->mac[i], mac, 6))
            return true;
    return t->overflow;
}

static bool vlan_takes(const NetFilter *f, const u8 *frame, size_t size)
{
    u32 id;

    if (!f->vlans || size < 16 || frame[12] != 0x81 || frame[13] != 0)
        return true;
    id = (frame[14] << 8 | frame[15]) % FILTER_VLANS;
    return f->vlan[id / 8] >> id % 8 & 1;
}

bool filter_takes(const NetFilter *f, const u8 *frame, size_t size)
{
    static const u8 broadcast[6] = {255, 255, 255, 255, 255, 255};

    if (size < 14)
        return false;
    if (f->on[VIRTIO_NET_CTRL_RX_PROMISC])
        return true;
    if (!vlan_takes(f, frame, size))
        return false;
    if (!memcmp(frame, broadcast, 6))
        return !f->on[VIRTIO_NET_CTRL_RX_NOBCAST];
    if (frame[0] & 1)
        return !f->on[VIRTIO_NET_CTRL_RX_NOMULTI] &&
               (f->on[VIRTIO_NET_CTRL_RX_ALLMULTI] || table_has(&f->multicast, frame));
    return !f->on[VIRTIO_NET_CTRL_RX_NOUNI] &&
           (f->on[VIRTIO_NET_CTRL_RX_ALLUNI] || !memcmp(f->mac, frame, 6) ||
            table_has(&f->unicast, frame));
}

/* ---- commands ---- */

/* What is left to read. */
typedef struct Rest {
    const u8 *bytes;
    size_t size;
} Rest;

static void rest_skip(Rest *r, size_t n)
{
    r->bytes += n;
    r->size -= n;
}

static bool table_read(MacTable *t, Rest *r)
{
    u32 n;

    if (r->size < 4)
        return false;
    memcpy(&n, r->bytes, 4);
    rest_skip(r, 4);
    if (n > r->size / 6)
        return false;
    *t = (MacTable){.overflow = n > FILTER_MACS};
    if (!t->overflow) {
        t->n = n;
        memcpy(t->mac, r->bytes, n * 6);
    }
    rest_skip(r, n * 6);
    return true;
}

static bool command_mac(NetFilter *f, u8 command, Rest r)
{
    MacTable unicast, multicast;

    if (command == VIRTIO_NET_CTRL_MAC_ADDR_SET && r.size == 6) {
        memcpy(f->mac, r.bytes, 6);
        return true;
    }
    if (command != VIRTIO_NET_CTRL_MAC_TABLE_SET || !table_read(&unicast, &r) ||
        !table_read(&multicast, &r) || r.size)
        return false;
    f->unicast = unicast;
    f->multicast = multicast;
    return true;
}

static bool command_vlan(NetFilter *f, u8 command, const Rest *r)
{
    u16 id;

    if (r->size != 2 || command > VIRTIO_NET_CTRL_VLAN_DEL)
        return false;
    memcpy(&id, r->bytes, 2);
    if (id >= FILTER_VLANS)
        return false;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        f->vlan[id / 8] |= 1 << id % 8;
    else
        f->vlan[id / 8] &= ~(1 << id % 8);
    return true;
}

bool filter_command(NetFilter *f, const u8 *bytes, size_t size)
{
    Rest r = {bytes + 2, size - 2};

    switch (bytes[0]) {
    case VIRTIO_NET_CTRL_RX:
        if (r.size != 1 || bytes[1] >= FILTER_MODES)
            return false;
        f->on[bytes[1]] = *r.bytes != 0;
        return true;
    case VIRTIO_NET_CTRL_MAC: return command_mac(f, bytes[1], r);
    case VIRTIO_NET_CTRL_VLAN: return command_vlan(f, bytes[1], &r);
    default: return false;
    }
}

/* ---- saving ---- */

static void table_state(MacTable *t, State *s)
{
    state_u32(s, &t->n);
    state_bool(s, &t->overflow);
    state_bytes(s, t->mac, sizeof(t->mac));
    if (t->n > FILTER_MACS) {
        t->n = 0;
        state_refuse(s, "too many addresses");
    }
}

void filter_state(NetFilter *f, State *s)
{
    state_bytes(s, f->mac, sizeof(f->mac));
    for (u32 i = 0; i < FILTER_MODES; i++)
        state_bool(s, &f->on[i]);
    table_state(&f->unicast, s);
    table_state(&f->multicast, s);
    state_bool(s, &f->vlans);
    state_bytes(s, f->vlan, sizeof(f->vlan));
}
