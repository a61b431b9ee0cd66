/* SPDX-License-Identifier: MIT */
/*
 * A debugger and several processes: fork, vfork and execve.  All of them have the
 * client's socket; one owns it.  What the client says to another process is passed to
 * it with the connection, through the socket pair ("link") made when it was forked.
 * A vfork child runs in its parent's memory and is served there until it calls execve.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "gdb.h"

enum { OWN = 'O', GOODBYE = 'G', RELEASE = 'R', KILL = 'K' };

typedef struct Message {
    char kind;
    GdbSession session;
    char threads[256]; /* the sender's */
    u32 size;          /* of the packet that follows: to be answered */
} Message;

static GdbPeer *peer_at(const Gdb *g, u32 i)
{
    return &g_array_index(g->peers, GdbPeer, i);
}

static GdbPeer *find_peer(const Gdb *g, i64 pid)
{
    for (u32 i = 0; i < g->peers->len; i++)
        if (peer_at(g, i)->pid == pid)
            return peer_at(g, i);
    return NULL;
}

static void remove_peer(Gdb *g, GdbPeer *p)
{
    if (p->link >= 0)
        close(p->link);
    g_array_remove_index(g->peers, (guint)(p - peer_at(g, 0)));
}

static void own_threads(const Gdb *g, char *out, size_t size)
{
    GString *text = g_string_new(NULL);

    for (const GdbTask *gt = gdb_first(g); gt; gt = gdb_next(gt)) {
        if (text->len)
            g_string_append_c(text, ',');
        gdb_put_thread(&g->stub, text, &gt->thread);
    }
    g_strlcpy(out, text->len < size ? text->str : "", size);
    g_string_free(text, TRUE);
}

static bool tell(Gdb *g, GdbPeer *p, char kind, const char *packet, size_t size)
{
    Message m = {.kind = kind, .session = g->stub.session, .size = (u32)size};
    struct iovec v[] = {{&m, sizeof m}, {(char *)packet, size}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};

    own_threads(g, m.threads, sizeof m.threads);
    return sendmsg(p->link, &h, MSG_NOSIGNAL) >= 0;
}

static bool pass_to(Gdb *g, GdbPeer *p, char kind, const char *packet, size_t size)
{
    if (p->vfork || !tell(g, p, kind, packet, size))
        return false;
    g->stub.owner = g->stub.waiting = false;
    return true;
}

bool gdb_pass_on(Gdb *g)
{
    for (u32 i = 0; i < g->peers->len; i++)
        if (pass_to(g, peer_at(g, i), GOODBYE, "", 0))
            return true;
    return false;
}

/* D and vKill of a peer. */
static void end_peer(Gdb *g, GdbPeer *p, bool detach)
{
    if (!p->vfork)
        tell(g, p, detach ? RELEASE : KILL, "", 0);
    else if (!detach)
        kill(p->pid, SIGKILL);
    remove_peer(g, p);
}

void gdb_kill_peers(Gdb *g)
{
    while (g->peers->len)
        end_peer(g, peer_at(g, 0), false);
}

void gdb_leave_peers(Gdb *g)
{
    while (g->peers->len)
        remove_peer(g, peer_at(g, 0));
}

void gdb_peer_told(Gdb *g, i64 pid)
{
    GdbPeer *p = find_peer(g, pid);

    if (p)
        p->told = true;
}

void gdb_put_peers(const GdbStub *s, GString *out)
{
    const Gdb *g = (const Gdb *)s;

    for (u32 i = 0; i < g->peers->len; i++)
        if (peer_at(g, i)->told)
            g_string_append_printf(out, ",%s", peer_at(g, i)->threads);
}

/* ---- packets ---- */

/* The process that a packet names; 0: none. */
static i64 process_of(const char *packet, size_t size)
{
    GdbText t = {packet, packet + size};
    GdbId id;
    u64 pid;

    if (gdb_text_skip(&t, "D;") || gdb_text_skip(&t, "vKill;"))
        return gdb_text_number(&t, &pid) ? (i64)(pid & INT32_MAX) : 0;
    if (gdb_text_skip(&t, "vCont;"))
        gdb_text_word(&t, ':');
    else if (!gdb_text_skip(&t, "Hg") && !gdb_text_skip(&t, "Hc") &&
             !gdb_text_skip(&t, "T"))
        return 0;
    return gdb_text_thread(&t, &id) && id.pid > 0 ? id.pid : 0;
}

/* The client goes with the child of a vfork, or no longer: the task is known as one
 * of them, the peer as the other. */
static void swap_vfork(GdbPeer *p)
{
    GdbTask *gt = p->task;
    i32 pid = p->pid, tid = p->tid;

    p->pid = gt->thread.pid;
    p->tid = gt->thread.tid;
    gt->thread.pid = pid;
    gt->thread.tid = tid;
    snprintf(p->threads, sizeof p->threads, "p%x.%x", p->pid, p->tid);
}

bool gdb_for_peer(GdbStub *s, const char *packet, size_t size, GString *reply)
{
    Gdb *g = gdb_of(s);
    GdbPeer *p = find_peer(g, process_of(packet, size));

    if (!p)
        return false;
    if (*packet == 'T') {
        g_string_assign(reply, "OK");
    } else if (*packet == 'D' || !strncmp(packet, "vKill", 5)) {
        end_peer(g, p, *packet == 'D');
        g_string_assign(reply, "OK");
    } else if (p->vfork) {
        swap_vfork(p);
        return false;
    } else if (!pass_to(g, p, OWN, packet, size)) {
        gdb_put_error(reply, ESRCH);
    }
    return true;
}

static void take_over(Gdb *g, GdbPeer *p, const Message *m, const char *packet)
{
    GString *reply = g_string_new(NULL);

    g->stub.owner = true;
    g->stub.session = m->session;
    memcpy(p->threads, m->threads, sizeof p->threads);
    if (m->size && gdb_packet(&g->stub, packet, m->size, reply))
        gdb_send(&g->stub, reply);
    g_string_free(reply, TRUE);
}

void gdb_peer_says(Gdb *g, u32 i)
{
    static u8 bytes[sizeof(Message) + GDB_PACKET_MAX];
    const Message *m = (const Message *)bytes;
    GdbPeer *p = peer_at(g, i);
    ssize_t n = recv(p->link, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < (ssize_t)sizeof *m || m->size > (size_t)n - sizeof *m) { /* it is gone */
        remove_peer(g, p);
        g->stub.detached |= !g->stub.owner && g->peers->len == 0;
    } else if (m->kind == OWN) {
        take_over(g, p, m, (const char *)bytes + sizeof *m);
    } else if (m->kind == GOODBYE) {
        /* Forgotten at once: the link may stay open for as long as it takes to die, and
         * the client, told of the end, must not find its threads again. */
        take_over(g, p, m, "");
        remove_peer(g, p);
    } else if (m->kind == RELEASE) {
        remove_peer(g, p);
        g->stub.detached = true;
    } else {
        kill(getpid(), SIGKILL);
    }
}

/* ---- fork ---- */

static bool wanted(const Gdb *g, bool vfork)
{
    return g->stub.attached &&
           (vfork ? g->stub.session.vfork_events : g->stub.session.fork_events);
}

void gdb_fork_begin(Task *t, bool vfork)
{
    Gdb *g = t->process->gdb;

    pthread_mutex_lock(&g->lock);
    g->pair[0] = g->pair[1] = -1;
    if (wanted(g, vfork) &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, g->pair) == 0)
        for (int i = 0; i < 2; i++)
            g->pair[i] = gdb_high(g->pair[i]);
    if (vfork)
        pthread_mutex_unlock(&g->lock);
}

static void add_peer(Gdb *g, i32 pid, int link, GdbTask *vfork)
{
    GdbPeer p = {
        .pid = pid, .tid = pid, .link = link, .vfork = vfork != NULL, .task = vfork};

    snprintf(p.threads, sizeof p.threads, "p%x.%x", pid, pid);
    g_array_append_val(g->peers, p);
}

void gdb_fork_parent(Task *t, i32 pid)
{
    Gdb *g = t->process->gdb;
    bool told = g->pair[0] >= 0 && pid > 0;

    if (g->pair[1] >= 0)
        close(g->pair[1]);
    if (told)
        add_peer(g, pid, g->pair[0], NULL);
    else if (g->pair[0] >= 0)
        close(g->pair[0]);
    pthread_mutex_unlock(&g->lock);
    if (told)
        gdb_report(t->gdb, &(Stop){STOP_FORK, .sig = SIGTRAP, .value = (u64)pid});
}

/* The child runs on without a debugger. */
static void leave_child(Gdb *g, Task *t)
{
    g->listener = -1;
    close(g->wake);
    gdb_detach(g);
    t->process->gdb = NULL;
    t->gdb = NULL;
}

/* The one thread there is; the lock is held, by the parent's copy of it. */
void gdb_fork_child(Task *t)
{
    Gdb *g = t->process->gdb;
    char parent[256];

    own_threads(g, parent, sizeof parent);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->go, NULL);
    g_array_set_size(g->peers, 0); /* they know nothing of us */
    g->stub.threads = NULL;
    gdb_thread_add(&g->stub, &t->gdb->thread);
    g->stub.chosen = &t->gdb->thread;
    t->gdb->thread.pid = t->gdb->thread.tid = getpid();
    t->gdb->thread.stop = (Stop){.sig = SIGTRAP};
    if (g->listener >= 0)
        close(g->listener);
    g->socket_path = NULL;
    if (g->pair[1] < 0) {
        leave_child(g, t);
        return;
    }
    close(g->pair[0]);
    add_peer(g, getppid(), g->pair[1], NULL);
    peer_at(g, 0)->told = true;
    memcpy(peer_at(g, 0)->threads, parent, sizeof parent);
    gdb_new_wake(g);
    g->listener = -1;
    g->stub.owner = g->stub.waiting = false;
    g->stub.stopped = 1;
    gdb_serve(g);
}

/* ---- vfork ---- */

static GdbPeer *vfork_peer(const Gdb *g, const GdbTask *gt)
{
    for (u32 i = 0; i < g->peers->len; i++)
        if (peer_at(g, i)->vfork && peer_at(g, i)->task == gt)
            return peer_at(g, i);
    return NULL;
}

/* On without a debugger: the task is the parent's, which is in its system call. */
static void leave_vfork(Gdb *g, Task *t)
{
    t->gdb->running = false;
    t->gdb = NULL;
    if (t->process != g->process)
        t->process->gdb = NULL;
}

void gdb_vfork_child(Task *t)
{
    Gdb *g = t->process->gdb;
    GdbTask *gt = t->gdb;

    if (g->pair[0] >= 0) {
        pthread_mutex_lock(&g->lock);
        add_peer(g, getpid(), g->pair[0], gt);
        pthread_mutex_unlock(&g->lock);
        gdb_report(gt, &(Stop){STOP_VFORK, .sig = SIGTRAP, .value = (u64)getpid()});
    }
    pthread_mutex_lock(&g->lock);
    if (gt->thread.pid != getpid())
        leave_vfork(g, t);
    pthread_mutex_unlock(&g->lock);
}

/* A child that the client went with ends; the parent stays behind, held. */
void gdb_vfork_end(Gdb *g, GdbTask *gt)
{
    GdbPeer *p = vfork_peer(g, gt);

    if (p) {
        swap_vfork(p);
        remove_peer(g, p);
    }
    g->stub.stopped = 1;
    g->stub.waiting = false;
    gt->running = false;
}

void gdb_vfork_parent(Task *t)
{
    Gdb *g = t->process->gdb;
    GdbPeer *p;
    bool told;

    pthread_mutex_lock(&g->lock);
    p = vfork_peer(g, t->gdb);
    if (p)
        remove_peer(g, p);
    told = g->pair[0] >= 0 && g->stub.owner && !g->stub.stopped;
    if (g->pair[1] >= 0)
        close(g->pair[1]);
    pthread_mutex_unlock(&g->lock);
    if (told)
        gdb_report(t->gdb, &(Stop){STOP_VFORK_DONE, .sig = SIGTRAP});
}

/* ---- execve ---- */

enum { PEERS = 8 };

/* What the new program's stub must know: in a file that it inherits. */
typedef struct Heritage {
    GdbSession session;
    int client, listener;
    bool waited;
    char socket_path[128];
    u32 n_peers;
    GdbPeer peers[PEERS];
} Heritage;

static void keep_open(const Heritage *h, bool keep)
{
    int flags = keep ? 0 : FD_CLOEXEC;

    fcntl(h->client, F_SETFD, flags);
    if (h->listener >= 0)
        fcntl(h->listener, F_SETFD, flags);
    for (u32 i = 0; i < h->n_peers; i++)
        fcntl(h->peers[i].link, F_SETFD, flags);
}

static void fill_heritage(Gdb *g, Task *t, Heritage *h)
{
    GdbPeer *parent = t->vfork_child ? vfork_peer(g, t->gdb) : NULL;

    *h = (Heritage){.session = g->stub.session,
                    .client = g->client,
                    .listener = parent ? -1 : g->listener,
                    .waited = g->stub.waited};
    if (g->socket_path && !parent)
        g_strlcpy(h->socket_path, g->socket_path, sizeof h->socket_path);
    if (parent) {
        h->peers[h->n_peers] = *parent;
        h->peers[h->n_peers].vfork = false;
        h->peers[h->n_peers++].link = g->pair[1];
        return;
    }
    for (u32 i = 0; i < g->peers->len && h->n_peers < PEERS; i++)
        if (!peer_at(g, i)->vfork)
            h->peers[h->n_peers++] = *peer_at(g, i);
}

int gdb_exec_begin(Task *t)
{
    Gdb *g = t->process->gdb;
    Heritage h;
    GdbPeer *p;
    int file;

    pthread_mutex_lock(&g->lock);
    while (g->stub.stopped)
        pthread_cond_wait(&g->go, &g->lock);
    file = g->stub.attached && g->stub.owner && g->stub.session.exec_events
               ? (int)memfd_create("gdb", 0)
               : -1;
    if (file >= 0) {
        fill_heritage(g, t, &h);
        if (write(file, &h, sizeof h) == sizeof h)
            keep_open(&h, true);
        p = t->vfork_child ? vfork_peer(g, t->gdb) : NULL;
        if (p) { /* the parent goes on holding, the child is not of its memory */
            swap_vfork(p);
            p->vfork = false;
            g->stub.owner = g->stub.waiting = false;
            g->stub.stopped = 1;
            t->gdb->running = false;
            gdb_wake(g);
        }
    }
    if (t->vfork_child)
        pthread_mutex_unlock(&g->lock);
    return file;
}

void gdb_exec_failed(Task *t, int file)
{
    Gdb *g = t->process->gdb;
    Heritage h;

    if (t->vfork_child)
        pthread_mutex_lock(&g->lock);
    if (file >= 0 && pread(file, &h, sizeof h, 0) == sizeof h) {
        keep_open(&h, false);
        if (t->vfork_child && !g->stub.owner) {
            GdbPeer *p = find_peer(g, getpid());

            p->vfork = true;
            swap_vfork(p);
            g->stub.owner = true;
            g->stub.stopped = 0;
        }
    }
    if (file >= 0)
        close(file);
    t->gdb->running = false;
    pthread_mutex_unlock(&g->lock);
}

void gdb_after_exec(Gdb *g, const char *where)
{
    int file = options_fd(where);
    Heritage h;

    if (pread(file, &h, sizeof h, 0) != sizeof h || h.n_peers > PEERS)
        fatal(1, "-g %s: not what another tessera left", where);
    close(file);
    keep_open(&h, false);
    g->stub.session = h.session;
    g->client = h.client;
    g->listener = h.listener;
    g->stub.waited = h.waited;
    if (*h.socket_path)
        g->socket_path = g_strdup(h.socket_path);
    g_array_append_vals(g->peers, h.peers, h.n_peers);
    g->stub.attached = g->stub.owner = g->stub.waiting = true;
    g->stub.stopped = 1;
    g->stub.chosen = g->stub.threads;
    g->stub.chosen->stop = (Stop){STOP_EXEC, .sig = SIGTRAP};
    signal_intercept(g->process, true);
}
