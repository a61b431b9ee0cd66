/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous I/O of the kernel (io_setup and its relatives).  The host's kernel does
 * it; each request goes to it as a copy that names host addresses, and an event is
 * given back with the guest's.  The guest's context is a page of zeros of its own: the
 * host's ring, which libaio would read there, names host addresses.
 */
#include <glib.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "sys.h"

enum { EVENTS_MOST = 1 << 20 }; /* at a time; there are fewer requests */

typedef struct Context {
    u64 page; /* the guest's name for it */
    aio_context_t host;
    GHashTable *requests; /* a set of Request */
} Context;

typedef struct Request {
    struct iocb iocb; /* the host's */
    u64 addr, data;   /* the guest's iocb and what it has in aio_data */
} Request;

/* ---- contexts: Process.aio, under mem->lock, which fork takes ---- */

static void context_free(void *context)
{
    Context *c = context;

    g_hash_table_destroy(c->requests);
    free(c);
}

static void lock(Task *t) { lock_take(&t->process->mem->lock); }
static void unlock(Task *t) { lock_leave(&t->process->mem->lock); }

static void context_add(Task *t, Context *c)
{
    lock(t);
    if (!t->process->aio)
        t->process->aio =
            g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, context_free);
    g_hash_table_insert(t->process->aio, &c->page, c);
    unlock(t);
}

static Context *context_find(Task *t, u64 page)
{
    return t->process->aio ? g_hash_table_lookup(t->process->aio, &page) : NULL;
}

/* The host's context, 0: none. */
static aio_context_t context_host(Task *t, u64 page)
{
    aio_context_t host;
    Context *c;

    lock(t);
    c = context_find(t, page);
    host = c ? c->host : 0;
    unlock(t);
    return host;
}

i64 sys_io_setup(Task *t, u64 n, u64 out)
{
    aio_context_t host = 0;
    Context *c;
    u64 old;
    i64 r;

    if (!GET(t, out, &old))
        return -EFAULT;
    if (old || !(u32)n)
        return -EINVAL;
    if ((r = host_syscall(SYS_io_setup, n, &host)) < 0)
        return r;
    r = mem_mmap(t, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r < 0 || !PUT(t, out, &r) || !(c = malloc(sizeof *c))) {
        host_syscall(SYS_io_destroy, host);
        return r < 0 ? r : -EFAULT;
    }
    *c = (Context){.page = (u64)r, .host = host};
    c->requests = g_hash_table_new_full(NULL, NULL, free, NULL);
    context_add(t, c);
    return 0;
}

/* The host waits for what is under way; its events are lost. */
i64 sys_io_destroy(Task *t, u64 context)
{
    aio_context_t host = context_host(t, context);
    i64 r = host ? host_syscall(SYS_io_destroy, host) : -EINVAL;

    if (r < 0)
        return r;
    lock(t);
    g_hash_table_remove(t->process->aio, &context);
    unlock(t);
    mem_munmap(t, context, PAGE_SIZE);
    return 0;
}

/* ---- requests ---- */

/* Among the context's requests from now on, or no more (which frees it, too); false: no
 * such context. */
static bool request_keep(Task *t, u64 context, Request *q, bool kept)
{
    Context *c;

    lock(t);
    c = context_find(t, context);
    if (c && kept)
        g_hash_table_add(c->requests, q);
    else if (c)
        g_hash_table_remove(c->requests, q);
    unlock(t);
    return c;
}

/* The buffers' addresses become the host's; of a bad one the event will tell. */
static i64 request_move(Task *t, struct iocb *b, Iov *iov)
{
    GuestAccess access = GUEST_READ;
    void *p;
    i64 r;

    switch (b->aio_lio_opcode) {
    case IOCB_CMD_PREAD: access = GUEST_WRITE; /* fallthrough */
    case IOCB_CMD_PWRITE:
        p = guest_ptr(t, b->aio_buf, b->aio_nbytes, access);
        b->aio_buf = p ? (u64)p : host_addr(t, b->aio_buf);
        return 0;
    case IOCB_CMD_PREADV: access = GUEST_WRITE; /* fallthrough */
    case IOCB_CMD_PWRITEV:
        r = iov_read(t, iov, b->aio_buf, b->aio_nbytes, access);
        b->aio_buf = (u64)iov->v;
        b->aio_nbytes = iov->n;
        return r;
    default: return 0;
    }
}

/* Once the host has it, another thread may see it end: q is not ours any more. */
static i64 submit(Task *t, u64 context, aio_context_t host, Request *q)
{
    struct iocb *list[] = {&q->iocb};
    Iov iov = {.v = iov.small};
    i64 r = request_move(t, &q->iocb, &iov);

    if (r == 0 && !request_keep(t, context, q, true))
        r = -EINVAL;
    if (r < 0)
        free(q);
    else if ((r = host_syscall(SYS_io_submit, host, 1, list)) != 1)
        request_keep(t, context, q, false);
    iov_free(&iov);
    return r;
}

static i64 submit_addr(Task *t, u64 context, aio_context_t host, u64 addr)
{
    const u32 key = 0;
    Request *q = malloc(sizeof *q);

    if (!q)
        return -EAGAIN;
    if (!GET(t, addr, &q->iocb) ||
        !guest_write(t, addr + offsetof(struct iocb, aio_key), &key, sizeof key)) {
        free(q);
        return -EFAULT;
    }
    q->addr = addr;
    q->data = q->iocb.aio_data;
    q->iocb.aio_data = (u64)q;
    return submit(t, context, host, q);
}

i64 sys_io_submit(Task *t, u64 context, u64 n, u64 list)
{
    aio_context_t host = context_host(t, context);
    i64 done = 0, r = 0;
    u64 addr;

    if (!host || (i64)n < 0)
        return -EINVAL;
    while (done < (i64)n) {
        r = GET(t, list + 8 * (u64)done, &addr) ? submit_addr(t, context, host, addr)
                                                : -EFAULT;
        if (r != 1)
            break;
        done++;
    }
    return done ? done : r;
}

i64 sys_io_cancel(Task *t, u64 context, u64 addr, u64 result)
{
    struct io_event event;
    GHashTableIter all;
    void *q, *found = NULL;
    Context *c;
    i64 r = -EINVAL;

    (void)result; /* the event comes by io_getevents */
    lock(t);
    c = context_find(t, context);
    if (c) {
        g_hash_table_iter_init(&all, c->requests);
        while (!found && g_hash_table_iter_next(&all, &q, NULL))
            found = ((Request *)q)->addr == addr ? q : NULL;
    }
    if (found)
        r = host_syscall(SYS_io_cancel, c->host, &((Request *)found)->iocb, &event);
    unlock(t);
    return r;
}

/* ---- events ---- */

/* The host's events as the guest's.  Another thread may have destroyed the context and
 * its requests since. */
static void give_back(Task *t, u64 context, struct io_event *e, i64 n)
{
    Context *c;

    lock(t);
    c = context_find(t, context);
    for (i64 i = 0; i < n; i++) {
        Request *q = (void *)e[i].data;

        if (!c || !g_hash_table_contains(c->requests, q))
            continue;
        e[i].data = q->data;
        e[i].obj = q->addr;
        g_hash_table_remove(c->requests, q);
    }
    unlock(t);
}

i64 sys_io_getevents(Task *t, u64 context, u64 least, u64 most, u64 out, u64 timeout)
{
    aio_context_t host = context_host(t, context);
    struct io_event *e;
    GuestTimespec limit;
    u64 room;
    i64 r;

    if (!host || (i64)least < 0 || (i64)most < (i64)least)
        return -EINVAL;
    if (timeout && !GET(t, timeout, &limit))
        return -EFAULT;
    room = guest_reach(t, out, MIN(most, EVENTS_MOST) * sizeof *e, GUEST_WRITE);
    if (most && room < sizeof *e)
        return -EFAULT;
    most = MIN(most, room / sizeof *e);
    e = malloc((most + 1) * sizeof *e);
    if (!e)
        return -ENOMEM;
    r = safe_syscall(SYS_io_getevents, host, MIN(least, most), most, e,
                     timeout ? &limit : NULL);
    if (r > 0) {
        give_back(t, context, e, r);
        r = guest_write(t, out, e, (u64)r * sizeof *e) ? r : -EFAULT;
    }
    free(e);
    return r;
}

i64 sys_io_pgetevents(Task *t, u64 context, u64 least, u64 most, u64 out, u64 timeout,
                      u64 mask)
{
    struct {
        u64 set, size;
    } g = {0};
    i64 r;

    if (mask && !GET(t, mask, &g))
        return -EFAULT;
    r = signal_mask_for_call(t, g.set, g.size);
    return r ? r : sys_io_getevents(t, context, least, most, out, timeout);
}
