/* SPDX-License-Identifier: MIT */
/* io_uring: the entries of the submission queue, from the guest's to the host's. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "uring.h"

typedef enum Place {
    REFUSED,
    NUMBER,
    MEMORY,
    INPUT,
    OUTPUT,
    FROM,
    INTO,
    NAME,
    EVENT,
} Place;

static const struct {
    u8 addr, addr2, addr3;
} ops[IORING_OP_LAST] = {
#define URING(op, addr, addr2, addr3) [IORING_OP_##op] = {addr, addr2, addr3},
#include "uring.def"
#undef URING
};

/* A buffer; the completion tells of a bad one. */
static u64 buffer(Task *t, u64 addr, u64 len, GuestAccess access)
{
    void *p = addr ? guest_ptr(t, addr, len, access) : NULL;

    return p ? (u64)p : host_addr(t, addr);
}

static u64 vector(Task *t, struct io_uring_sqe *e, GPtrArray *temps, GuestAccess access)
{
    Iov iov = {.v = iov.small};
    void *copy = NULL;

    if (iov_read(t, &iov, e->addr, e->len, access) == 0) {
        copy = g_memdup2(iov.v, iov.n * sizeof *iov.v);
        g_ptr_array_add(temps, copy);
        e->len = (u32)iov.n;
    }
    iov_free(&iov);
    return copy ? (u64)copy : host_addr(t, e->addr);
}

static u64 name(Task *t, u64 addr, GPtrArray *temps)
{
    const char *path;
    char *buf;

    if (!t->process->options.prefix)
        return host_addr(t, addr);
    buf = g_malloc(PATH_MAX);
    g_ptr_array_add(temps, buf);
    return guest_path(t, addr, buf, &path) < 0 ? host_addr(t, addr) : (u64)path;
}

static u64 event(Task *t, u64 addr, GPtrArray *temps)
{
    GuestEpollEvent g;
    struct epoll_event *e;

    if (!addr || !GET(t, addr, &g))
        return host_addr(t, addr);
    e = g_new0(struct epoll_event, 1);
    e->events = g.events;
    e->data.u64 = g.data;
    g_ptr_array_add(temps, e);
    return (u64)e;
}

static u64 place(Task *t, struct io_uring_sqe *e, u64 addr, Place what,
                 GPtrArray *temps)
{
    switch (what) {
    case MEMORY: return host_addr(t, addr);
    case INPUT: return buffer(t, addr, e->len, GUEST_READ);
    case OUTPUT: return buffer(t, addr, e->len, GUEST_WRITE);
    case FROM: return vector(t, e, temps, GUEST_READ);
    case INTO: return vector(t, e, temps, GUEST_WRITE);
    case NAME: return name(t, addr, temps);
    case EVENT: return event(t, addr, temps);
    case REFUSED:
    case NUMBER: break;
    }
    return addr;
}

static bool is_refused(const Task *t, const struct io_uring_sqe *e)
{
    bool ours = e->opcode == IORING_OP_CLOSE && t->process->exe_fd >= 0 &&
                e->fd == t->process->exe_fd;

    return e->opcode >= IORING_OP_LAST || ops[e->opcode].addr == REFUSED || ours;
}

void uring_entry(Task *t, struct io_uring_sqe *e, GPtrArray *temps)
{
    if (is_refused(t, e)) {
        u64 user_data = e->user_data;

        memset(e, 0, sizeof *e);
        e->opcode = UINT8_MAX; /* the host's completion says EINVAL */
        e->user_data = user_data;
        return;
    }
    e->addr = place(t, e, e->addr, ops[e->opcode].addr, temps);
    e->addr2 = place(t, e, e->addr2, ops[e->opcode].addr2, temps);
    e->addr3 = place(t, e, e->addr3, ops[e->opcode].addr3, temps);
}

void uring_probe(struct io_uring_probe *p, u32 room)
{
    for (u32 i = 0; i < MIN(room, p->ops_len); i++)
        if (p->ops[i].op >= IORING_OP_LAST || ops[p->ops[i].op].addr == REFUSED)
            p->ops[i].flags &= (u16)~IO_URING_OP_SUPPORTED;
}
