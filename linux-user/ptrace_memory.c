/* SPDX-License-Identifier: MIT */
/*
 * Other processes' memory as files and by process_vm_readv: their guest addresses, and
 * their translated code, which what we write makes stale.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include "ptrace.h"
#include "sys.h"

/* ---- /proc/PID/mem ---- */

void ptrace_note_open(Task *t, const char *path)
{
    size_t n = strlen(path);

    if (n >= 3 && !strcmp(path + n - 3, "mem"))
        t->process->tracer->mem_files = true;
}

/* The thread whose memory the descriptor is; 0: none's. */
static i32 owner_of(i32 fd)
{
    char link[32], path[64], *end;
    ssize_t n;
    long tid;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[MAX(n, 0)] = 0;
    end = strstr(path, "/task/");
    if (strncmp(path, "/proc/", 6) || n < 4 || strcmp(path + n - 4, "/mem"))
        return 0;
    tid = strtol(end ? end + 6 : path + 6, &end, 10);
    return strcmp(end, "/mem") ? 0 : (i32)tid;
}

static i64 locate(Task *t, i32 tid, Tracee *out)
{
    Tracer *r = t->process->tracer;
    const Tracee *known;

    lock_take(&r->lock);
    known = tracee_find(r, tid);
    *out = known ? *known : (Tracee){0};
    lock_leave(&r->lock);
    return out->slot ? 0 : board_find(tid, out);
}

/* The file's offset is a guest address. */
static i64 transfer(Task *t, long nr, i32 fd, Tracee *e, void *p, u64 len, u64 addr)
{
    u64 n = tracee_mapped(e, addr, len);
    i64 r;

    if (n == 0)
        return len ? -EIO : 0;
    r = host_syscall(nr, fd, p, n, e->base + addr);
    if (nr != SYS_pwrite64 || r <= 0)
        return r;
    if (e->pid == getpid())
        cache_drop(t->process->cache, addr, (u64)r);
    else
        tracee_wrote(e, addr, (u64)r);
    return r;
}

static i64 at_offset(Task *t, long nr, const u64 a[4], GuestAccess access)
{
    u64 len = a[2];
    void *p = guest_ptr(t, a[1], len, access);
    Tracee e;
    i32 owner;

    if (!p && len) { /* as far as it goes */
        len = guest_reach(t, a[1], len, access);
        p = len ? guest_ptr(t, a[1], len, access) : NULL;
        if (!p)
            return -EFAULT;
    }
    if (UNLIKELY(t->process->tracer->mem_files) && (owner = owner_of((i32)a[0])) &&
        locate(t, owner, &e) == 0)
        return transfer(t, nr, (i32)a[0], &e, p, len, a[3]);
    return safe_syscall(nr, a[0], p, len, a[3]);
}

i64 sys_pread64(Task *t, u64 fd, u64 addr, u64 len, u64 offset)
{
    return at_offset(t, SYS_pread64, (u64[4]){fd, addr, len, offset}, GUEST_WRITE);
}

i64 sys_pwrite64(Task *t, u64 fd, u64 addr, u64 len, u64 offset)
{
    return at_offset(t, SYS_pwrite64, (u64[4]){fd, addr, len, offset}, GUEST_READ);
}

/* ---- process_vm_readv, process_vm_writev ---- */

enum { IOV_LIMIT = 1024 };

/* The guest's vector of addresses in another process, as the host's. */
static i64 read_remote(Task *t, const Tracee *e, struct iovec *v, u64 addr, u64 n)
{
    if (n > IOV_LIMIT)
        return -EINVAL;
    if (!guest_read(t, v, addr, n * sizeof *v))
        return -EFAULT;
    for (u64 i = 0; i < n; i++) {
        u64 at = (u64)v[i].iov_base;
        bool inside = at <= e->size && v[i].iov_len <= e->size - at;

        v[i].iov_base = (void *)(inside ? e->base + at : ~0ull << PAGE_BITS);
    }
    return 0;
}

i64 ptrace_transfer(Task *t, long nr, const u64 *a, const Iov *local)
{
    struct iovec remote[IOV_LIMIT];
    u64 left;
    Tracee e;
    i64 r = locate(t, (i32)a[0], &e);

    if (r < 0)
        return r == -EAGAIN || r == -ENOENT ? -EPERM : r;
    r = read_remote(t, &e, remote, a[3], a[4]);
    if (r < 0)
        return r;
    r = host_syscall(nr, a[0], local->v, local->n, remote, a[4], a[5]);
    left = nr == SYS_process_vm_writev && r > 0 ? (u64)r : 0;
    for (u64 i = 0; left; i++) {
        u64 n = MIN(left, remote[i].iov_len);

        tracee_wrote(&e, (u64)remote[i].iov_base - e.base, n);
        left -= n;
    }
    return r;
}
