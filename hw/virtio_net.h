/* SPDX-License-Identifier: MIT */
/* Inside virtio-net: which frames the guest wants to see. */
#ifndef TESSERA_VIRTIO_NET_H
#define TESSERA_VIRTIO_NET_H

#include "hw.h"

enum { FILTER_MACS = 64, FILTER_MODES = 6, FILTER_VLANS = 4096 };

/* Addresses of one kind beside the device's own. */
typedef struct MacTable {
    u32 n;
    bool overflow; /* there were more: all of the kind are taken */
    u8 mac[FILTER_MACS][6];
} MacTable;

typedef struct NetFilter {
    u8 mac[6];
    bool on[FILTER_MODES]; /* VIRTIO_NET_CTRL_RX_*: promisc, allmulti, ... */
    MacTable unicast, multicast;
    bool vlans; /* the driver filters by them */
    u8 vlan[FILTER_VLANS / 8];
} NetFilter;

void filter_reset(NetFilter *f, const u8 *mac);
bool filter_takes(const NetFilter *f, const u8 *frame, size_t size);
/* A command of the control queue, of two bytes or more.  False: refused, and nothing
 * has changed. */
bool filter_command(NetFilter *f, const u8 *bytes, size_t size);
void filter_state(NetFilter *f, State *s);

#endif
