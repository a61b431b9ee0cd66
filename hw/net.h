/* SPDX-License-Identifier: MIT */
/* Network back ends: user networking by libslirp.  Frames are Ethernet's, without FCS;
 * main thread or any that holds the lock. */
#ifndef TESSERA_NET_H
#define TESSERA_NET_H

#include "hw.h"

typedef struct Net Net;

typedef struct NetClient {
    void *ctx;
    bool (*room)(void *ctx);
    void (*receive)(void *ctx, const u8 *frame, size_t size);
} NetClient;

/* From -netdev's "user,id=ID,hostfwd=...,..." */
bool net_add(Machine *m, const char *spec, char **error);
Net *net_find(Machine *m, const char *id); /* not taken yet; takes it */
void net_attach(Net *n, const NetClient *client);
void net_send(Net *n, const struct iovec *iov, u32 count); /* one frame */
void net_accept(Net *n); /* the client has room again */

#endif
