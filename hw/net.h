/* SPDX-License-Identifier: MIT */
/* Network back ends: user networking by libslirp.  Frames are Ethernet's, without FCS.
 * Main thread, lock held. */
#ifndef TESSERA_NET_H
#define TESSERA_NET_H

#include "hw.h"

typedef struct Net Net;

typedef struct NetClient {
    void *ctx;
    /* False: no room, to be offered again at net_accept. */
    bool (*receive)(void *ctx, const u8 *frame, size_t size);
} NetClient;

/* A kind of back end; its own struct begins with a Net. */
struct Net {
    Device device; /* no registers; its id is the -netdev's */
    NetClient client;
    bool taken;
    bool takes_large; /* TCP over IPv4 in frames of up to 64 KiB */
    GQueue held;      /* of GBytes *: what the client had no room for */
    void (*send)(Net *n, const u8 *frame, size_t size);
    void (*free)(Net *n); /* what it owns, and itself */
};

/* ---- net.c ---- */

/* From -netdev's "user,id=ID,hostfwd=...,..." */
bool net_add(Machine *m, const char *spec, char **error);
/* From -nic's "user,model=virtio-net-device,mac=...,..."; "none": nothing. */
bool net_add_nic(Machine *m, const char *spec, char **error);
Net *net_find(Machine *m, const char *id); /* not taken yet; takes it */
void net_attach(Net *n, const NetClient *client);
void net_send(Net *n, const u8 *frame, size_t size); /* to the network; may be lost */
void net_accept(Net *n);                             /* the client has room again */
void net_forget(Net *n); /* the frames that wait for room: the client was reset */
/* For the back ends: a frame to the client. */
void net_deliver(Net *n, const u8 *frame, size_t size);
void net_free(Device *d); /* a DeviceType.free */

/* ---- net_user.c ---- */

Net *net_user_new(Machine *m, Props *p, char **error); /* NULL: *error */
/* "tcp:ADDRESS:PORT-ADDRESS:PORT", of a running machine too.  False: *error. */
bool net_user_forward(Net *n, const char *rule, char **error);

#endif
