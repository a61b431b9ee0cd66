/* SPDX-License-Identifier: MIT */
/* Vectors of buffers: readv, writev, their relatives, and the iovecs of messages. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "sys.h"

/* Moves one element into the window.  A buffer accessible only in its beginning is
 * cut there, and what follows is dropped: the kernel would get that far. */
static bool iov_entry(Task *t, struct iovec *v, GuestAccess access)
{
    u64 addr = (u64)v->iov_base, len = v->iov_len;

    v->iov_base = guest_ptr(t, addr, len, access);
    if (v->iov_base || len == 0)
        return true;
    v->iov_len = guest_reach(t, addr, len, access);
    v->iov_base = v->iov_len ? guest_ptr(t, addr, v->iov_len, access) : NULL;
    return false;
}

i64 iov_read(Task *t, Iov *iov, u64 addr, u64 n, GuestAccess access)
{
    iov->v = iov->small;
    iov->n = 0;
    if (n > IOV_MAX)
        return -EINVAL;
    if (n > IOV_SMALL)
        iov->v = malloc(n * sizeof *iov->v);
    if (!iov->v)
        return -ENOMEM;
    if (!guest_read(t, iov->v, addr, n * sizeof *iov->v))
        return -EFAULT;
    for (bool whole = true; whole && iov->n < n; iov->n++) {
        if ((i64)iov->v[iov->n].iov_len < 0)
            return -EINVAL;
        whole = iov_entry(t, &iov->v[iov->n], access);
    }
    if (iov->n && !iov->v[iov->n - 1].iov_base && --iov->n == 0)
        return -EFAULT;
    return 0;
}

void iov_free(Iov *iov)
{
    if (iov->v != iov->small)
        free(iov->v);
}

/* One of the host's vector calls. */
static i64 iov_call(Task *t, long nr, u64 fd, u64 addr, u64 n, GuestAccess access,
                    const u64 rest[3])
{
    Iov iov;
    i64 r = iov_read(t, &iov, addr, (u32)n, access);

    if (r == 0)
        r = safe_syscall(nr, fd, iov.v, iov.n, rest[0], rest[1], rest[2]);
    iov_free(&iov);
    return r;
}

i64 sys_readv(Task *t, u64 fd, u64 addr, u64 n)
{
    return iov_call(t, SYS_readv, fd, addr, n, GUEST_WRITE, (u64[3]){0});
}

i64 sys_writev(Task *t, u64 fd, u64 addr, u64 n)
{
    return iov_call(t, SYS_writev, fd, addr, n, GUEST_READ, (u64[3]){0});
}

/* The kernel takes the offset in two halves; on 64-bit hosts the low one is all. */
i64 sys_preadv(Task *t, u64 fd, u64 addr, u64 n, u64 offset)
{
    return iov_call(t, SYS_preadv, fd, addr, n, GUEST_WRITE, (u64[3]){offset});
}

i64 sys_pwritev(Task *t, u64 fd, u64 addr, u64 n, u64 offset)
{
    return iov_call(t, SYS_pwritev, fd, addr, n, GUEST_READ, (u64[3]){offset});
}

i64 sys_preadv2(Task *t, u64 fd, u64 addr, u64 n, u64 low, u64 high, u64 flags)
{
    return iov_call(t, SYS_preadv2, fd, addr, n, GUEST_WRITE,
                    (u64[3]){low, high, flags});
}

i64 sys_pwritev2(Task *t, u64 fd, u64 addr, u64 n, u64 low, u64 high, u64 flags)
{
    return iov_call(t, SYS_pwritev2, fd, addr, n, GUEST_READ,
                    (u64[3]){low, high, flags});
}

i64 sys_vmsplice(Task *t, u64 fd, u64 addr, u64 n, u64 flags)
{
    return iov_call(t, SYS_vmsplice, fd, addr, n, GUEST_READ, (u64[3]){flags});
}

/* Another process's window may lie elsewhere, so only our own can be reached. */
static i64 vm_transfer(Task *t, long nr, const u64 *a)
{
    bool write = nr == SYS_process_vm_writev;
    Iov local, remote = {.v = remote.small};
    i64 r = iov_read(t, &local, a[1], a[2], write ? GUEST_READ : GUEST_WRITE);

    if (r == 0 && (i32)a[0] != getpid()) {
        r = ptrace_transfer(t, nr, a, &local);
    } else if (r == 0) {
        r = iov_read(t, &remote, a[3], a[4], write ? GUEST_WRITE : GUEST_READ);
        if (r == 0)
            r = host_syscall(nr, a[0], local.v, local.n, remote.v, remote.n, a[5]);
    }
    iov_free(&local);
    iov_free(&remote);
    return r;
}

i64 sys_process_vm_readv(Task *t, u64 pid, u64 local, u64 n, u64 remote, u64 n_remote,
                         u64 flags)
{
    return vm_transfer(t, SYS_process_vm_readv,
                       (u64[6]){pid, local, n, remote, n_remote, flags});
}

i64 sys_process_vm_writev(Task *t, u64 pid, u64 local, u64 n, u64 remote, u64 n_remote,
                          u64 flags)
{
    return vm_transfer(t, SYS_process_vm_writev,
                       (u64[6]){pid, local, n, remote, n_remote, flags});
}

/* Does the descriptor mean this process? */
static bool pidfd_is_own(int fd)
{
    char path[48], line[64];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    f = fopen(path, "re");
    while (f && !pid && fgets(line, sizeof line, f))
        sscanf(line, "Pid: %d", &pid);
    if (f)
        fclose(f);
    return pid == getpid();
}

i64 sys_process_madvise(Task *t, u64 pidfd, u64 addr, u64 n, u64 advice, u64 flags)
{
    Iov iov;
    i64 r = iov_read(t, &iov, addr, n, GUEST_READ);

    if (r == 0)
        r = host_syscall(SYS_process_madvise, pidfd, iov.v, 0, advice, flags);
    if (r >= 0 && !pidfd_is_own((int)pidfd))
        r = -EPERM;
    if (r >= 0)
        r = host_syscall(SYS_process_madvise, pidfd, iov.v, iov.n, advice, flags);
    iov_free(&iov);
    return r;
}
