/* SPDX-License-Identifier: MIT */
/*
 * -g: the debugger's connection, and the thread that serves it.  The thread is the
 * host's alone: the guest does not see it, and it runs no guest code.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "gdb.h"
#include "sig.h"

enum { FD_LOWEST = 512, THREAD_STACK = 256 * 1024 };

int gdb_high(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_LOWEST);

    if (high < 0)
        return fd;
    close(fd);
    return high;
}

void gdb_new_wake(Gdb *g)
{
    g->wake = gdb_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* ---- sending ---- */

void gdb_wake(Gdb *g)
{
    u64 one = 1;

    if (write(g->wake, &one, sizeof one) < 0)
        return; /* it is full: awake already */
}

static void send_bytes(GdbStub *s, const char *bytes, size_t n)
{
    Gdb *g = gdb_of(s);

    for (size_t done = 0; done < n;) {
        ssize_t r = send(g->client, bytes + done, n - done, MSG_NOSIGNAL);

        if (r < 0 && errno != EINTR)
            return; /* reading will tell that it is gone */
        done += r > 0 ? (size_t)r : 0;
    }
}

/* ---- the client comes and goes ---- */

static void attach(Gdb *g)
{
    int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC), one = 1;

    if (fd < 0)
        return;
    g->client = gdb_high(fd);
    setsockopt(g->client, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    gdb_client_comes(&g->stub);
    signal_intercept(g->process, true);
    gdb_stop_all(g);
}

void gdb_detach(Gdb *g)
{
    if (g->stub.owner)
        gdb_pass_on(g);
    gdb_leave_peers(g);
    gdb_remove_all(&g->stub);
    gdb_close_files(g);
    signal_intercept(g->process, false);
    close(g->client);
    g->client = -1;
    g->stub.attached = g->stub.owner = g->stub.detached = g->stub.waiting = false;
    for (GdbTask *gt = gdb_first(g); gt; gt = gdb_next(gt)) {
        gt->thread.action = GDB_RUN;
        gdb_make_call_again(gt);
    }
    g->stub.stopped = 0;
    pthread_cond_broadcast(&g->go);
}

static void take_bytes(Gdb *g)
{
    u8 bytes[4096];
    ssize_t n = recv(g->client, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        g->stub.detached = true;
    else if (n > 0)
        gdb_client_says(&g->stub, bytes, (size_t)n);
}

/* ---- the thread ---- */

/* A stop is complete: tells the client, if it waits for one. */
static void tell_stop(Gdb *g)
{
    GdbStub *s = &g->stub;

    if (!s->owner || !s->waiting || !s->stopped || !s->chosen || !gdb_all_held(g))
        return;
    if (s->chosen->stop.kind == STOP_FORK || s->chosen->stop.kind == STOP_VFORK)
        gdb_peer_told(g, (i64)s->chosen->stop.value);
    gdb_tell_stop(s);
}

static void leave(Gdb *g)
{
    if (!g->stub.stopped)
        gdb_stop_all(g);
    if (gdb_all_held(g))
        gdb_detach(g);
}

static void serve(Gdb *g, bool comes, bool sends)
{
    if (comes && !g->stub.attached)
        attach(g);
    if (sends && g->stub.owner)
        take_bytes(g);
    if (g->stub.detached)
        leave(g);
    tell_stop(g);
}

enum { WAKE, LISTENER, CLIENT, LINKS, MAX_LINKS = 32 };

/* Waits, without the lock, for something to come; returns how many fds there are. */
static u32 wait_for_some(Gdb *g, struct pollfd *fds)
{
    /* What is asked of threads must wait until they stand still. */
    bool listen = g->stub.owner && (!g->stub.stopped || gdb_all_held(g));
    u32 n = LINKS;
    u64 count;

    fds[WAKE] = (struct pollfd){g->wake, POLLIN, 0};
    fds[LISTENER] = (struct pollfd){g->stub.attached ? -1 : g->listener, POLLIN, 0};
    fds[CLIENT] = (struct pollfd){listen ? g->client : -1, POLLIN, 0};
    for (u32 i = 0; i < g->peers->len && n < LINKS + MAX_LINKS; i++)
        fds[n++] = (struct pollfd){g_array_index(g->peers, GdbPeer, i).link, POLLIN, 0};
    pthread_mutex_unlock(&g->lock);
    poll(fds, n, -1);
    if (fds[WAKE].revents && read(g->wake, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&g->lock);
    return n;
}

static void hear_peers(Gdb *g, const struct pollfd *fds, u32 n)
{
    for (u32 i = 0; i < g->peers->len; i++)
        for (u32 k = LINKS; k < n; k++)
            if (fds[k].revents &&
                g_array_index(g->peers, GdbPeer, i).link == fds[k].fd) {
                gdb_peer_says(g, i);
                return; /* the others are heard next time: the list may be another */
            }
}

static void *gdb_main(void *arg)
{
    struct pollfd fds[LINKS + MAX_LINKS];
    Gdb *g = arg;

    pthread_mutex_lock(&g->lock);
    while (!g->stub.ended && (g->stub.attached || g->listener >= 0)) {
        u32 n = wait_for_some(g, fds);

        if (g->stub.ended)
            break;
        hear_peers(g, fds, n);
        serve(g, fds[LISTENER].revents, fds[CLIENT].revents);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

void gdb_serve(Gdb *g)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t set;

    sigfillset(&set);
    for (int sig = 1; sig <= SIGNALS; sig++)
        if (signal_bit(sig) & FAULT_SIGNALS)
            sigdelset(&set, sig);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setsigmask_np(&attr, &set);
    if (pthread_create(&thread, &attr, gdb_main, g))
        fatal(1, "-g: no thread for it");
    pthread_attr_destroy(&attr);
}

/* ---- what the stub asks for ---- */

static void stop(GdbStub *s) { gdb_stop_all(gdb_of(s)); }
static void resume(GdbStub *s) { gdb_resume_all(gdb_of(s)); }
static void change(GdbThread *t)
{
    gdb_kick(gdb_task(t)->task->process->gdb, gdb_task(t));
}

static void resume_thread(GdbThread *t, int sig)
{
    GdbTask *gt = gdb_task(t);

    gt->stepped = false;
    if (t->action != GDB_HOLD)
        gdb_make_call_again(gt);
    if (gt->asking) {
        gt->signal = sig;
    } else if (sig) {
        gt->inject = sig;
        host_syscall(SYS_tgkill, getpid(), gt->task->tid, sig);
    }
}

static void kill_some(GdbStub *s, bool all)
{
    Gdb *g = gdb_of(s);

    if (all)
        gdb_kill_peers(g);
    else
        gdb_pass_on(g);
    if (g->socket_path)
        unlink(g->socket_path);
    kill(all ? getpid() : s->chosen->pid, SIGKILL);
}

static const GdbSide side = {
    .send = send_bytes,
    .stop = stop,
    .resume = resume,
    .resume_thread = resume_thread,
    .change = change,
    .kill = kill_some,
    .name = gdb_thread_name,
    .read = gdb_read,
    .write = gdb_write,
    .mapped = gdb_mapped,
    .redirect = gdb_for_peer,
    .file = gdb_file,
    .features = gdb_features,
    .reason = gdb_reason,
    .more_threads = gdb_put_peers,
    .queries = gdb_queries,
    .objects = gdb_objects,
};

/* ---- opening ---- */

static void listen_at(Gdb *g, const char *where, const struct sockaddr *at, size_t size)
{
    int one = 1;

    g->listener = gdb_high(socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    setsockopt(g->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (g->listener < 0 || bind(g->listener, at, (socklen_t)size) ||
        listen(g->listener, 1))
        fatal(1, "-g %s: %s", where, strerror(errno));
}

static void listen_unix(Gdb *g, const char *where, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *mark = strstr(path, "%d");

    g->socket_path = mark ? g_strdup_printf("%.*s%d%s", (int)(mark - path), path,
                                            (int)getpid(), mark + 2)
                          : g_strdup(path);
    if (strlen(g->socket_path) >= sizeof at.sun_path)
        fatal(1, "-g %s: the path is too long", where);
    strcpy(at.sun_path, g->socket_path);
    unlink(at.sun_path);
    listen_at(g, where, (struct sockaddr *)&at, sizeof at);
}

/* PORT or ADDRESS:PORT; false: neither. */
static bool listen_tcp(Gdb *g, const char *where, const char *text)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char *address, *end;
    unsigned long port;
    bool good;

    port = strtoul(colon ? colon + 1 : text, &end, 10);
    if (*end || end == (colon ? colon + 1 : text) || port > 65535)
        return false;
    address = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup("0.0.0.0");
    good = inet_pton(AF_INET, address, &at.sin_addr) == 1;
    g_free(address);
    if (!good)
        return false;
    at.sin_port = htons((u16)port);
    listen_at(g, where, (struct sockaddr *)&at, sizeof at);
    return true;
}

/* unix:PATH, PATH, PORT or ADDRESS:PORT, then maybe ",suspend=y|n". */
static void open_listener(Gdb *g, const char *where)
{
    size_t n = strcspn(where, ",");
    char *name = g_strndup(where, n);

    g->stub.waited = true;
    if (!strcmp(where + n, ",suspend=n"))
        g->stub.waited = false;
    else if (where[n] && strcmp(where + n, ",suspend=y"))
        fatal(1, "-g %s: suspend=y or suspend=n is wanted", where);
    if (!strncmp(name, "unix:", 5) && name[5])
        listen_unix(g, where, name + 5);
    else if (!listen_tcp(g, where, name)) {
        if (!strchr(name, '/'))
            fatal(1, "-g %s: PORT or unix:PATH is wanted", where);
        listen_unix(g, where, name);
    }
    g_free(name);
}

Gdb *gdb_new(Process *p)
{
    Gdb *g = g_new0(Gdb, 1);

    gdb_stub_init(&g->stub, &side, p->guest, p->cache);
    g->process = p;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->go, NULL);
    g->listener = g->client = -1;
    gdb_new_wake(g);
    g->pair[0] = g->pair[1] = -1;
    g->peers = g_array_new(FALSE, FALSE, sizeof(GdbPeer));
    g->files = g_array_new(FALSE, FALSE, sizeof(int));
    p->gdb = g;
    return g;
}

void gdb_start(Task *t)
{
    Process *p = t->process;
    Gdb *g;

    if (!p->options.gdb || !*p->options.gdb)
        return;
    g = gdb_new(p);
    gdb_task_new(g, t);
    if (!strncmp(p->options.gdb, "fd:", 3)) {
        gdb_after_exec(g, p->options.gdb);
    } else {
        open_listener(g, p->options.gdb);
        g->stub.stopped = g->stub.waited;
    }
    gdb_serve(g);
}
