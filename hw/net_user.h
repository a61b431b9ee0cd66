/* SPDX-License-Identifier: MIT */
/* Inside net_user: what -netdev user,... says, for libslirp. */
#ifndef TESSERA_NET_USER_H
#define TESSERA_NET_USER_H

#include <libslirp.h>
#include "net.h"

typedef struct NetUserConfig {
    SlirpConfig slirp;
    GPtrArray *kept;   /* of char *: the strings that it points to */
    GPtrArray *search; /* of char *, a NULL at the end: dnssearch */
} NetUserConfig;

/* One hostfwd; guest 0.0.0.0: who asks DHCP first. */
typedef struct Forward {
    bool udp;
    struct in_addr host, guest;
    u16 host_port, guest_port;
} Forward;

/* False: *error. */
bool net_user_config(Props *p, NetUserConfig *c, char **error);
void net_user_config_free(NetUserConfig *c);
bool net_user_rule(const char *rule, Forward *f, char **error);

#endif
