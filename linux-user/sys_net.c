/* SPDX-License-Identifier: MIT */
/*
 * Sockets.  Addresses, options and control messages have the host's layout; what
 * needs work are lengths behind pointers and the pointers inside a msghdr.
 */
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "sys.h"

/* ---- addresses: a buffer and, behind a pointer, its length ---- */

typedef struct NetAddr {
    struct sockaddr_storage data;
    i32 room; /* the guest's */
    i32 len;  /* in: ours; out: the kernel's */
} NetAddr;

static i64 addr_begin(Task *t, NetAddr *a, u64 addr, u64 len_addr)
{
    a->room = 0;
    if (addr && !GET(t, len_addr, &a->room))
        return -EFAULT;
    a->len = sizeof a->data;
    return a->room < 0 ? -EINVAL : 0;
}

static bool addr_end(Task *t, const NetAddr *a, u64 addr, u64 len_addr)
{
    return !addr || (guest_write(t, addr, &a->data, MIN(a->room, a->len)) &&
                     PUT(t, len_addr, &a->len));
}

static i64 accept_on(Task *t, u64 fd, u64 addr, u64 len, u64 flags)
{
    NetAddr a;
    i64 r = addr_begin(t, &a, addr, len);

    if (r == 0)
        r = safe_syscall(SYS_accept4, fd, &a.data, &a.len, flags);
    if (r >= 0 && !addr_end(t, &a, addr, len)) {
        host_syscall(SYS_close, r);
        r = -EFAULT;
    }
    return r;
}

i64 sys_accept(Task *t, u64 fd, u64 addr, u64 len)
{
    return accept_on(t, fd, addr, len, 0);
}

i64 sys_accept4(Task *t, u64 fd, u64 addr, u64 len, u64 flags)
{
    return accept_on(t, fd, addr, len, flags);
}

static i64 name_of(Task *t, long nr, u64 fd, u64 addr, u64 len)
{
    NetAddr a;
    i64 r = addr_begin(t, &a, addr, len);

    if (r == 0)
        r = addr ? host_syscall(nr, fd, &a.data, &a.len) : -EFAULT;
    return r < 0 || addr_end(t, &a, addr, len) ? r : -EFAULT;
}

i64 sys_getsockname(Task *t, u64 fd, u64 addr, u64 len)
{
    return name_of(t, SYS_getsockname, fd, addr, len);
}

i64 sys_getpeername(Task *t, u64 fd, u64 addr, u64 len)
{
    return name_of(t, SYS_getpeername, fd, addr, len);
}

i64 sys_recvfrom(Task *t, u64 fd, u64 buf, u64 size, u64 flags, u64 addr, u64 len)
{
    NetAddr a;
    u64 n = guest_reach(t, buf, MIN(size, 0x7ffff000ull), GUEST_WRITE);
    void *p = guest_ptr(t, buf, n, GUEST_WRITE);
    i64 r = addr_begin(t, &a, addr, len);

    if (r < 0)
        return r;
    if (!p || (size && !n))
        return -EFAULT;
    r = safe_syscall(SYS_recvfrom, fd, p, n, flags, addr ? &a.data : NULL,
                     addr ? &a.len : NULL);
    return r < 0 || addr_end(t, &a, addr, len) ? r : -EFAULT;
}

/* ---- options ---- */

/* A socket filter's program is behind a pointer in the option. */
static i64 set_filter(Task *t, u64 fd, u64 option, u64 addr, u64 size)
{
    struct sock_fprog prog;

    if (size != sizeof prog)
        return -EINVAL;
    if (!GET(t, addr, &prog))
        return -EFAULT;
    prog.filter = guest_ptr(t, (u64)prog.filter, prog.len * sizeof(struct sock_filter),
                            GUEST_READ);
    return prog.filter ? host_syscall(SYS_setsockopt, fd, SOL_SOCKET, option, &prog,
                                      sizeof prog)
                       : -EFAULT;
}

i64 sys_setsockopt(Task *t, u64 fd, u64 level, u64 option, u64 addr, u64 size)
{
    void *p;

    if ((i32)level == SOL_SOCKET &&
        ((i32)option == SO_ATTACH_FILTER || (i32)option == SO_ATTACH_REUSEPORT_CBPF))
        return set_filter(t, fd, option, addr, size);
    if ((i32)size < 0)
        return -EINVAL;
    if (!guest_opt(t, addr, (u32)size, GUEST_READ, &p))
        return -EFAULT;
    return host_syscall(SYS_setsockopt, fd, level, option, p, size);
}

i64 sys_getsockopt(Task *t, u64 fd, u64 level, u64 option, u64 addr, u64 len_addr)
{
    i32 len;
    void *p;
    i64 r;

    if (!GET(t, len_addr, &len))
        return -EFAULT;
    if (len < 0)
        return -EINVAL;
    if (!guest_opt(t, addr, (u32)len, GUEST_WRITE, &p))
        return -EFAULT;
    r = host_syscall(SYS_getsockopt, fd, level, option, p, &len);
    return r < 0 || PUT(t, len_addr, &len) ? r : -EFAULT;
}

/* ---- messages ---- */

typedef struct Message {
    struct msghdr guest, host;
    Iov iov;
    struct sockaddr_storage name;
} Message;

/* Control messages are used in place; a name goes through our copy. */
static i64 message_begin(Task *t, Message *m, u64 addr, GuestAccess access)
{
    struct msghdr *g = &m->guest, *h = &m->host;
    i64 r;

    m->iov.v = m->iov.small;
    if (!GET(t, addr, g))
        return -EFAULT;
    *h = *g;
    if ((i32)g->msg_namelen < 0)
        return -EINVAL;
    h->msg_namelen = g->msg_name ? MIN(g->msg_namelen, sizeof m->name) : 0;
    h->msg_name = g->msg_name ? &m->name : NULL;
    if (access == GUEST_READ && g->msg_name &&
        !guest_read(t, &m->name, (u64)g->msg_name, h->msg_namelen))
        return -EFAULT;
    if (!g->msg_controllen)
        h->msg_control = NULL;
    if (!guest_opt(t, (u64)h->msg_control, g->msg_controllen, access, &h->msg_control))
        return -EFAULT;
    if (g->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    r = iov_read(t, &m->iov, (u64)g->msg_iov, g->msg_iovlen, access);
    h->msg_iov = m->iov.v;
    h->msg_iovlen = m->iov.n;
    return r;
}

static i64 send_message(Task *t, u64 fd, u64 addr, u64 flags)
{
    Message m;
    i64 r = message_begin(t, &m, addr, GUEST_READ);

    if (r == 0)
        r = safe_syscall(SYS_sendmsg, fd, &m.host, flags);
    iov_free(&m.iov);
    return r;
}

/* What the kernel reports in the header goes back to the guest's. */
static bool message_put(Task *t, Message *m, u64 addr)
{
    struct msghdr *g = &m->guest;
    u32 room = g->msg_namelen;

    g->msg_namelen = m->host.msg_namelen;
    g->msg_controllen = m->host.msg_controllen;
    g->msg_flags = m->host.msg_flags;
    return (!g->msg_name ||
            guest_write(t, (u64)g->msg_name, &m->name,
                        MIN(MIN(room, g->msg_namelen), sizeof m->name))) &&
           PUT(t, addr, g);
}

static i64 receive_message(Task *t, u64 fd, u64 addr, u64 flags)
{
    Message m;
    i64 r = message_begin(t, &m, addr, GUEST_WRITE);

    if (r == 0)
        r = safe_syscall(SYS_recvmsg, fd, &m.host, flags);
    iov_free(&m.iov);
    return r < 0 || message_put(t, &m, addr) ? r : -EFAULT;
}

i64 sys_sendmsg(Task *t, u64 fd, u64 addr, u64 flags)
{
    return send_message(t, fd, addr, flags);
}

i64 sys_recvmsg(Task *t, u64 fd, u64 addr, u64 flags)
{
    return receive_message(t, fd, addr, flags);
}

/* ---- several messages in one call: struct mmsghdr is a msghdr and a length ---- */

typedef i64 MessageFn(Task *t, u64 fd, u64 addr, u64 flags);

static i64 one_of_many(Task *t, MessageFn *fn, u64 fd, u64 addr, u64 flags)
{
    i64 r = fn(t, fd, addr, flags);
    u32 len = r;

    if (r < 0)
        return r;
    return PUT(t, addr + offsetof(struct mmsghdr, msg_len), &len) ? r : -EFAULT;
}

i64 sys_sendmmsg(Task *t, u64 fd, u64 addr, u64 n, u64 flags)
{
    u32 done = 0, max = MIN((u32)n, IOV_MAX);
    i64 r = 0;

    for (; done < max && r >= 0; done += r >= 0)
        r = one_of_many(t, send_message, fd, addr + done * sizeof(struct mmsghdr),
                        flags);
    return done ? done : r;
}

/* The time limit is looked at between messages only, as the kernel does. */
i64 sys_recvmmsg(Task *t, u64 fd, u64 addr, u64 n, u64 flags, u64 timeout)
{
    struct timespec limit, now, start;
    u32 done = 0;
    i64 r = 0;

    if (timeout && !GET(t, timeout, &limit))
        return -EFAULT;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (done < (u32)n) {
        r = one_of_many(t, receive_message, fd, addr + done * sizeof(struct mmsghdr),
                        flags & ~(u64)MSG_WAITFORONE);
        if (r < 0)
            break;
        done++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (timeout && (now.tv_sec - start.tv_sec > limit.tv_sec ||
                        (now.tv_sec - start.tv_sec == limit.tv_sec &&
                         now.tv_nsec - start.tv_nsec >= limit.tv_nsec)))
            break;
    }
    return done ? done : r;
}
