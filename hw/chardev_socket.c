/* SPDX-License-Identifier: MIT */
/* Unix and TCP sockets, server or client.  One peer at a time: another waits in the
 * backlog until the first has gone.  A client asks again every reconnect= seconds. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "chardev.h"

typedef struct Socket {
    union {
        struct sockaddr any;
        struct sockaddr_un unix_;
        struct sockaddr_storage storage;
    } address;
    socklen_t size;
    int listener, dialing; /* -1: none; dialing: on its way to the server */
    guint watch;           /* of one of the two */
    u64 reconnect;         /* seconds; 0: never */
    GSource *again;        /* the next attempt; NULL: none */
    bool bound, server, wait, nodelay;
} Socket;

static bool is_unix(const Socket *s) { return s->address.any.sa_family == AF_UNIX; }

static int socket_new(const Socket *s)
{
    return socket(s->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  0);
}

static void connected(Chardev *c, int fd)
{
    Socket *s = c->own;
    int one = 1;

    if (!is_unix(s) && s->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->in = c->out = fd;
    chardev_opened(c);
}

/* ---- server ---- */

/* Takes a peer if there is one. */
static bool take_peer(Chardev *c)
{
    Socket *s = c->own;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0)
        connected(c, fd);
    return fd >= 0;
}

static bool on_peer(void *ctx, int fd, GIOCondition condition)
{
    Chardev *c = ctx;
    Socket *s = c->own;

    if (!take_peer(c))
        return true;
    s->watch = 0;
    return false;
}

static void listen_on(Chardev *c)
{
    Socket *s = c->own;

    s->watch = io_watch(c->machine, s->listener, G_IO_IN, on_peer, c);
}

/* What a server before us has left there. */
static void remove_old(const Socket *s)
{
    struct stat st;

    if (is_unix(s) && lstat(s->address.unix_.sun_path, &st) == 0 &&
        S_ISSOCK(st.st_mode))
        unlink(s->address.unix_.sun_path);
}

static bool serve(Chardev *c, char **error)
{
    Socket *s = c->own;
    int one = 1;

    s->listener = socket_new(s);
    if (s->listener >= 0 && !is_unix(s))
        setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    remove_old(s);
    if (s->listener < 0 || bind(s->listener, &s->address.any, s->size))
        return chardev_refuse(c, error, c->address, errno);
    s->bound = true;
    if (listen(s->listener, 1))
        return chardev_refuse(c, error, c->address, errno);
    if (!s->wait) {
        listen_on(c);
        return true;
    }
    report("waiting for connection on: %s", c->address);
    fcntl(s->listener, F_SETFL, 0);
    while (!take_peer(c))
        if (errno != EINTR && errno != ECONNABORTED)
            return chardev_refuse(c, error, c->address, errno);
    fcntl(s->listener, F_SETFL, O_NONBLOCK);
    return true;
}

/* ---- client ---- */

static void dial_later(Chardev *c);

static void dial_end(Chardev *c, int err)
{
    Socket *s = c->own;
    int fd = s->dialing;

    s->dialing = -1;
    s->watch = 0;
    if (!err) {
        connected(c, fd);
        return;
    }
    close(fd);
    dial_later(c);
}

static bool on_dialed(void *ctx, int fd, GIOCondition condition)
{
    int err = 0;
    socklen_t size = sizeof err;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    dial_end(ctx, err);
    return false;
}

static void dial(Chardev *c)
{
    Socket *s = c->own;

    s->dialing = socket_new(s);
    if (s->dialing < 0) {
        dial_later(c);
        return;
    }
    if (connect(s->dialing, &s->address.any, s->size) == 0)
        dial_end(c, 0);
    else if (errno == EINPROGRESS)
        s->watch = io_watch(c->machine, s->dialing, G_IO_OUT, on_dialed, c);
    else
        dial_end(c, errno);
}

static gboolean on_again(gpointer data)
{
    Chardev *c = data;
    Socket *s = c->own;

    machine_lock(c->machine);
    g_source_unref(s->again);
    s->again = NULL;
    dial(c);
    machine_unlock(c->machine);
    return G_SOURCE_REMOVE;
}

static void dial_later(Chardev *c)
{
    Socket *s = c->own;

    if (!s->reconnect)
        return;
    s->again = g_timeout_source_new(s->reconnect * 1000);
    g_source_set_callback(s->again, on_again, c, NULL);
    g_source_attach(s->again, c->machine->io);
}

/* At the start, where a server that is not there is an error if we never ask again. */
static bool dial_first(Chardev *c, char **error)
{
    Socket *s = c->own;
    int fd;

    if (s->reconnect) {
        dial(c);
        return true;
    }
    fd = socket_new(s);
    if (fd >= 0)
        fcntl(fd, F_SETFL, 0);
    if (fd < 0 || connect(fd, &s->address.any, s->size)) {
        chardev_refuse(c, error, c->address, errno);
        if (fd >= 0)
            close(fd);
        return false;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    connected(c, fd);
    return true;
}

/* ---- addresses ---- */

static bool address_unix(Chardev *c, const char *path, char **error)
{
    Socket *s = c->own;
    struct sockaddr_un *un = &s->address.unix_;

    if (strlen(path) >= sizeof un->sun_path)
        return chardev_refuse(c, error, path, ENAMETOOLONG);
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    s->size = sizeof *un;
    return true;
}

static bool address_tcp(Chardev *c, const char *host, const char *port, char **error)
{
    Socket *s = c->own;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = s->server ? AI_PASSIVE : 0};
    struct addrinfo *found = NULL;
    int err = getaddrinfo(host && *host ? host : NULL, port, &hints, &found);

    if (err) {
        chardev_refuse(c, error, gai_strerror(err), 0);
        return false;
    }
    memcpy(&s->address.storage, found->ai_addr, found->ai_addrlen);
    s->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool address_find(Chardev *c, Props *p, char **error)
{
    const char *path = props_get(p, "path"), *host = props_get(p, "host"),
               *port = props_get(p, "port");
    const Socket *s = c->own;
    const char *server = s->server ? ",server=on" : "";

    g_free(c->address);
    c->address = path ? g_strdup_printf("unix:%s%s", path, server)
                      : g_strdup_printf("tcp:%s:%s%s", host ? host : "",
                                        port ? port : "", server);
    if (path && *path)
        return address_unix(c, path, error);
    if (port && *port)
        return address_tcp(c, host, port, error);
    return chardev_refuse(c, error, "a socket needs a path, or a host and port", 0);
}

/* ---- the back end ---- */

/* wait=off was once spelt nowait. */
static bool options(const Machine *m, Socket *s, Props *p, char **error)
{
    bool nowait = false;

    if (!props_bool(p, "server", &s->server, error) ||
        !props_bool(p, "nodelay", &s->nodelay, error) ||
        !props_bool(p, "nowait", &nowait, error) ||
        !props_u64(p, "reconnect", &s->reconnect, error))
        return false;
    s->wait = s->server && !nowait;
    if (!props_bool(p, "wait", &s->wait, error))
        return false;
    if (s->reconnect > 3600 || (s->server && s->reconnect) || (!s->server && s->wait)) {
        *error = g_strdup("a socket's wait= is a server's, reconnect= a client's, up "
                          "to 3600");
        return false;
    }
    if (s->reconnect && m->options->sandbox) {
        *error = g_strdup("-sandbox on lets no socket connect again: no reconnect=");
        return false;
    }
    return true;
}

static bool socket_open(Chardev *c, Props *p, char **error)
{
    Socket *s = c->own = g_new0(Socket, 1);

    c->is_socket = true;
    s->listener = s->dialing = -1;
    if (!options(c->machine, s, p, error) || !address_find(c, p, error))
        return false;
    return s->server ? serve(c, error) : dial_first(c, error);
}

static void socket_gone(Chardev *c)
{
    Socket *s = c->own;

    close(c->in);
    c->in = c->out = -1;
    if (s->server)
        listen_on(c);
    else
        dial_later(c);
}

static void socket_close(Chardev *c)
{
    Socket *s = c->own;

    if (!s)
        return;
    io_remove(c->machine, s->watch);
    if (s->again) {
        g_source_destroy(s->again);
        g_source_unref(s->again);
    }
    if (c->in >= 0)
        close(c->in);
    if (s->dialing >= 0)
        close(s->dialing);
    if (s->listener >= 0)
        close(s->listener);
    if (s->bound)
        remove_old(s);
    g_free(s);
}

const CharBackend chardev_socket = {
    .name = "socket", .open = socket_open, .gone = socket_gone, .close = socket_close};
