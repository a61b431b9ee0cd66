/* SPDX-License-Identifier: MIT */
/* What -netdev user,... says: QEMU's keys and its defaults. */
#include <arpa/inet.h>
#include "net_user.h"

/* ---- hostfwd=[tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT ---- */

static bool port_parse(const char *text, u32 least, u16 *port)
{
    char *end;
    u64 n = g_ascii_isdigit(*text) ? g_ascii_strtoull(text, &end, 10) : 0;

    if (!g_ascii_isdigit(*text) || *end || n < least || n > 0xffff)
        return false;
    *port = (u16)n;
    return true;
}

/* "ADDRESS:PORT" or ":PORT". */
static bool end_parse(const char *text, u32 least, struct in_addr *address, u16 *port)
{
    char **part = g_strsplit(text, ":", 2);
    bool ok = part[0] && part[1] && port_parse(part[1], least, port) &&
              (!*part[0] || inet_pton(AF_INET, part[0], address) == 1);

    g_strfreev(part);
    return ok;
}

bool net_user_rule(const char *rule, Forward *f, char **error)
{
    const char *dash = strchr(rule, '-'), *colon = strchr(rule, ':');
    bool udp = g_str_has_prefix(rule, "udp:"), tcp = g_str_has_prefix(rule, "tcp:");
    char *host;
    bool ok;

    *f = (Forward){.udp = udp};
    if (!dash || !colon || dash < colon || !(udp || tcp || colon == rule)) {
        *error =
            g_strdup_printf("hostfwd=%s: not tcp|udp:ADDRESS:PORT-ADDRESS:PORT", rule);
        return false;
    }
    host = g_strndup(colon + 1, dash - colon - 1);
    ok = end_parse(host, 0, &f->host, &f->host_port) &&
         end_parse(dash + 1, 1, &f->guest, &f->guest_port);
    if (!ok)
        *error = g_strdup_printf("hostfwd=%s: bad address or port", rule);
    g_free(host);
    return ok;
}

/* ---- the rest ---- */

static bool bad(const char *key, const char *value, char **error)
{
    *error = g_strdup_printf("%s=%s: bad value", key, value);
    return false;
}

static bool get_address(Props *p, const char *key, struct in_addr *a, char **error)
{
    const char *text = props_get(p, key);

    return !text || inet_pton(AF_INET, text, a) == 1 || bad(key, text, error);
}

static bool get_address6(Props *p, const char *key, struct in6_addr *a, char **error)
{
    const char *text = props_get(p, key);

    return !text || inet_pton(AF_INET6, text, a) == 1 || bad(key, text, error);
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0" or "10.0.2.0": with its class's mask. */
static bool net_parse(const char *text, struct in_addr *net, struct in_addr *mask)
{
    char **part = g_strsplit(text, "/", 2);
    bool ok = part[0] && inet_pton(AF_INET, part[0], net) == 1;
    u32 host = ntohl(net->s_addr), bits = !(host >> 31)       ? 8
                                          : !(host >> 30 & 1) ? 16
                                                              : 24;
    u16 given;

    if (ok && part[1] && strchr(part[1], '.')) {
        ok = inet_pton(AF_INET, part[1], mask) == 1;
    } else if (ok) {
        if (part[1] && (ok = port_parse(part[1], 4, &given) && given <= 30))
            bits = given;
        mask->s_addr = htonl(~0u << (32 - bits));
    }
    net->s_addr &= mask->s_addr;
    g_strfreev(part);
    return ok;
}

/* The address of number n in the guest's network. */
static struct in_addr nth(const SlirpConfig *s, u32 n)
{
    return (struct in_addr){s->vnetwork.s_addr | (htonl(n) & ~s->vnetmask.s_addr)};
}

static bool inside(const SlirpConfig *s, struct in_addr a)
{
    return (a.s_addr & s->vnetmask.s_addr) == s->vnetwork.s_addr;
}

static bool config_ipv4(Props *p, SlirpConfig *s, char **error)
{
    const char *net = props_get(p, "net");

    if (!net_parse(net ? net : "10.0.2.0/24", &s->vnetwork, &s->vnetmask))
        return bad("net", net, error);
    s->vhost = nth(s, 2);
    s->vnameserver = nth(s, 3);
    s->vdhcp_start = nth(s, 15);
    if (!get_address(p, "host", &s->vhost, error) ||
        !get_address(p, "dns", &s->vnameserver, error) ||
        !get_address(p, "dhcpstart", &s->vdhcp_start, error))
        return false;
    if (!inside(s, s->vhost) || !inside(s, s->vnameserver) ||
        !inside(s, s->vdhcp_start) || s->vhost.s_addr == s->vnameserver.s_addr ||
        s->vdhcp_start.s_addr == s->vhost.s_addr ||
        s->vdhcp_start.s_addr == s->vnameserver.s_addr) {
        *error = g_strdup_printf("host=, dns=, dhcpstart= must be different addresses "
                                 "inside net=");
        return false;
    }
    return true;
}

static bool config_ipv6(Props *p, SlirpConfig *s, char **error)
{
    u64 bits = 64;

    inet_pton(AF_INET6, "fec0::", &s->vprefix_addr6);
    if (!get_address6(p, "ipv6-prefix", &s->vprefix_addr6, error) ||
        !props_u64(p, "ipv6-prefixlen", &bits, error))
        return false;
    if (bits > 126 || bits == 0)
        return bad("ipv6-prefixlen", props_get(p, "ipv6-prefixlen"), error);
    s->vprefix_len = bits;
    s->vhost6 = s->vnameserver6 = s->vprefix_addr6;
    s->vhost6.s6_addr[15] |= 2;
    s->vnameserver6.s6_addr[15] |= 3;
    return get_address6(p, "ipv6-host", &s->vhost6, error) &&
           get_address6(p, "ipv6-dns", &s->vnameserver6, error);
}

/* A string that libslirp keeps pointing to. */
static const char *kept(NetUserConfig *c, const char *text)
{
    char *copy = g_strdup(text);

    if (copy)
        g_ptr_array_add(c->kept, copy);
    return copy;
}

static void config_names(Props *p, NetUserConfig *c)
{
    SlirpConfig *s = &c->slirp;

    s->vhostname = kept(c, props_get(p, "hostname"));
    s->vdomainname = kept(c, props_get(p, "domainname"));
    s->tftp_path = kept(c, props_get(p, "tftp"));
    s->tftp_server_name = kept(c, props_get(p, "tftp-server-name"));
    s->bootfile = kept(c, props_get(p, "bootfile"));
    props_get(p, "dnssearch");
    props_get(p, "hostfwd");
    for (u32 i = 0; i < p->keys->len; i++)
        if (!strcmp(p->keys->pdata[i], "dnssearch"))
            g_ptr_array_add(c->search, (char *)kept(c, p->values->pdata[i]));
    g_ptr_array_add(c->search, NULL);
    s->vdnssearch = c->search->len > 1 ? (const char **)c->search->pdata : NULL;
}

bool net_user_config(Props *p, NetUserConfig *c, char **error)
{
    bool restricted = false, ipv4 = true, ipv6 = true, ok;

    *c = (NetUserConfig){.slirp.version = SLIRP_CONFIG_VERSION_MAX};
    c->kept = g_ptr_array_new_with_free_func(g_free);
    c->search = g_ptr_array_new();
    config_names(p, c);
    ok = props_bool(p, "restrict", &restricted, error) &&
         props_bool(p, "ipv4", &ipv4, error) && props_bool(p, "ipv6", &ipv6, error) &&
         config_ipv4(p, &c->slirp, error) && config_ipv6(p, &c->slirp, error);
    c->slirp.restricted = restricted;
    c->slirp.in_enabled = ipv4;
    c->slirp.in6_enabled = ipv6;
    if (!ok)
        net_user_config_free(c);
    return ok;
}

void net_user_config_free(NetUserConfig *c)
{
    g_ptr_array_free(c->kept, true);
    g_ptr_array_free(c->search, true);
}
