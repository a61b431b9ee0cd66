/* SPDX-License-Identifier: MIT */
/* -strace: numbers, addresses, strings, buffers, and flags with a second part. */
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include "strace.h"

/* ---- numbers ---- */

void show_int(Show *s, u64 v) { show(s, "%d", (i32)v); }

void show_uint(Show *s, u64 v) { show(s, "%u", (u32)v); }

void show_long(Show *s, u64 v) { show(s, "%lld", (long long)v); }

void show_size(Show *s, u64 v) { show(s, "%llu", (unsigned long long)v); }

void show_hex(Show *s, u64 v) { show(s, v ? "0x%llx" : "%llu", (unsigned long long)v); }

void show_octal(Show *s, u64 v) { show(s, "%#o", (u32)v); }

void show_ptr(Show *s, u64 v)
{
    if (v)
        show(s, "0x%llx", (unsigned long long)v);
    else
        show(s, "NULL");
}

void show_dirfd(Show *s, u64 v)
{
    if ((i32)v == AT_FDCWD)
        show(s, "AT_FDCWD");
    else
        show_int(s, v);
}

/* Only meaningful with flags that make a file. */
void show_open_mode(Show *s, u64 v)
{
    u64 flags = s->arg[s->i - 1];

    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
        show_octal(s, v);
    else
        show(s, "0");
}

void show_fcntl_arg(Show *s, u64 v)
{
    switch ((i32)s->arg[s->i - 1]) {
    case F_SETFL: show_bits(s, names_open, v); break;
    case F_SETFD: show(s, v & FD_CLOEXEC ? "FD_CLOEXEC" : "0"); break;
    default: show_hex(s, v); break;
    }
}

/* The low byte is the signal at the child's end. */
void show_clone_flags(Show *s, u64 v)
{
    if (v & ~(u64)CSIGNAL || !v)
        show_bits(s, names_clone, v & ~(u64)CSIGNAL);
    if (v & CSIGNAL) {
        show(s, v & ~(u64)CSIGNAL ? "|" : "");
        show_signal(s, v & CSIGNAL);
    }
}

/* Names are those of SOL_SOCKET. */
void show_sock_option(Show *s, u64 v)
{
    if ((i32)s->arg[s->i - 1] == SOL_SOCKET)
        show_bits(s, names_sock_option, v);
    else
        show_int(s, v);
}

/* ---- strings and buffers ---- */

/* A copy is shown: other threads may change the string, or unmap it. */
void show_str(Show *s, u64 addr)
{
    char text[PATH_MAX];
    size_t n = 0, more;
    bool whole = false;

    for (; !whole && n < sizeof text; n += more) {
        more = MIN(PAGE_SIZE - ((addr + n) & ~PAGE_MASK), sizeof text - n);
        if (!guest_read(s->t, text + n, addr + n, more))
            break;
        whole = memchr(text + n, 0, more);
    }
    if (whole)
        show(s, "\"%s\"", text);
    else
        show_ptr(s, addr);
}

/* An array of strings, in full as far as it is short. */
void show_strings(Show *s, u64 addr)
{
    u64 p = 0;
    int n = 0;

    show(s, "[");
    for (; n < SHOW_ITEMS && GET(s->t, addr, &p) && p; n++, addr += sizeof p) {
        show(s, n ? ", " : "");
        show_str(s, p);
    }
    show(s, n == SHOW_ITEMS ? ", ...]" : "]");
}

void show_envp(Show *s, u64 addr)
{
    u64 p, at = addr;
    int n = 0;

    while (GET(s->t, at, &p) && p && n < 1 << 16) {
        at += sizeof p;
        n++;
    }
    show_ptr(s, addr);
    show(s, " /* %d variables */", n);
}

void show_buf(Show *s, u64 addr)
{
    if (addr)
        show_bytes(s, addr, s->arg[s->i + 1]);
    else
        show(s, "NULL");
}

/* As much as the call has filled in. */
void show_out_buf(Show *s, u64 addr)
{
    if (addr)
        show_bytes(s, addr, MIN((u64)s->result, s->arg[s->i + 1]));
    else
        show(s, "NULL");
}

void show_dirents(Show *s, u64 addr)
{
    u64 end = addr + (u64)s->result, n = 0;
    u16 len;

    for (u64 at = addr; at < end && GET(s->t, at + 16, &len) && len; at += len)
        n++;
    show_ptr(s, addr);
    show(s, " /* %llu entries */", (unsigned long long)n);
}

/* ---- small arrays ---- */

static void int_array(Show *s, u64 addr, u64 n)
{
    i32 v;

    show(s, "[");
    for (u64 i = 0; i < MIN(n, (u64)SHOW_ITEMS) && GET(s->t, addr + 4 * i, &v); i++)
        show(s, i ? ", %d" : "%d", v);
    show(s, n > SHOW_ITEMS ? ", ...]" : "]");
}

void show_ints(Show *s, u64 addr) { int_array(s, addr, (u32)s->arg[s->i - 1]); }

void show_out_ints(Show *s, u64 addr) { int_array(s, addr, (u64)s->result); }

void show_int_at(Show *s, u64 addr)
{
    if (addr)
        int_array(s, addr, 1);
    else
        show(s, "NULL");
}

void show_int2_at(Show *s, u64 addr)
{
    if (addr)
        int_array(s, addr, 2);
    else
        show(s, "NULL");
}

void show_long_at(Show *s, u64 addr)
{
    i64 v;

    if (addr && GET(s->t, addr, &v))
        show(s, "[%lld]", (long long)v);
    else
        show_ptr(s, addr);
}

/* ---- vectors ---- */

static void iov_list(Show *s, u64 addr, u64 n, u64 filled)
{
    struct iovec v;

    show(s, "[");
    for (u64 i = 0; i < MIN(n, (u64)SHOW_ITEMS); i++) {
        if (!GET(s->t, addr + i * sizeof v, &v))
            break;
        show(s, i ? ", {" : "{");
        show_bytes(s, (u64)v.iov_base, MIN(v.iov_len, filled));
        show(s, ", %zu}", v.iov_len);
        filled -= MIN(v.iov_len, filled);
    }
    show(s, n > SHOW_ITEMS ? ", ...]" : "]");
}

void show_iov(Show *s, u64 addr) { iov_list(s, addr, s->arg[s->i + 1], ~0ull); }

void show_out_iov(Show *s, u64 addr)
{
    iov_list(s, addr, s->arg[s->i + 1], (u64)s->result);
}

static void message(Show *s, u64 addr, u64 filled)
{
    struct msghdr m;

    if (!GET(s->t, addr, &m)) {
        show_ptr(s, addr);
        return;
    }
    show(s, "{name=");
    show_ptr(s, (u64)m.msg_name);
    show(s, ", namelen=%u, iov=", m.msg_namelen);
    iov_list(s, (u64)m.msg_iov, m.msg_iovlen, filled);
    show(s, ", controllen=%zu, flags=", m.msg_controllen);
    show_bits(s, names_msg, (u32)m.msg_flags);
    show(s, "}");
}

void show_msghdr(Show *s, u64 addr) { message(s, addr, ~0ull); }

void show_out_msghdr(Show *s, u64 addr) { message(s, addr, (u64)s->result); }
