/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd: the host's.  Its ranges and messages have addresses of the guest, which
 * are the host's where the window begins at 0; elsewhere it is refused.  Threads that
 * wait for their pages are awaited.c's business.
 */
#include <fcntl.h>
#include <unistd.h>
#include "ioctls.h"
#include "mem.h"
#include "ptrace.h"
#include "sys.h"

/*
 * For these the kernel holds the caller of fork, mremap or munmap until its event has
 * been read.  Ours has locks then, which the reader may need on its way.
 */
#define FEATURES_NOT_OURS \
    (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP)

typedef struct Request {
    u32 request;
    u8 len, from; /* which word has the length, and a source; 0: none */
    bool moves;   /* the source is of the same kind as the first word, and emptied */
    bool fills;   /* what is in the range changes */
} Request;

static const Request requests[] = {
    {UFFDIO_REGISTER, 1, 0, false, false}, {UFFDIO_UNREGISTER, 1, 0, false, false},
    {UFFDIO_WAKE, 1, 0, false, false},     {UFFDIO_COPY, 2, 1, false, true},
    {UFFDIO_ZEROPAGE, 1, 0, false, true},  {UFFDIO_WRITEPROTECT, 1, 0, false, false},
    {UFFDIO_CONTINUE, 1, 0, false, true},  {UFFDIO_POISON, 1, 0, false, true},
    {UFFDIO_MOVE, 2, 1, true, true},
};

/* Of a process of ours, which need not be this one. */
static void kick(i32 tid)
{
    const i32 pids[] = {getpid(), tid, getppid()};

    for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
        if (ptrace_kick(pids[i], tid, TRACEE_LEAVE, 0) != -ESRCH)
            return;
}

static i64 make(Task *t, long nr, u64 a, u64 b, u64 flags)
{
    i64 fd;

    if (t->process->mem->space.base) {
        sys_unimp("userfaultfd where guest addresses are not the host's");
        return -ENOSYS;
    }
    fd = nr == SYS_ioctl ? host_syscall(nr, a, b, flags) : host_syscall(nr, flags);
    if (fd >= 0)
        cache_pages_awaited(t->process->cache, kick);
    return fd;
}

i64 sys_userfaultfd(Task *t, u64 flags)
{
    return make(t, SYS_userfaultfd, 0, 0, flags);
}

/* As a kernel that does not know those features. */
static i64 handshake(Task *t, u64 fd, u64 addr)
{
    struct uffdio_api a;
    i64 r = -EINVAL;

    if (!GET(t, addr, &a))
        return -EFAULT;
    if (a.features & FEATURES_NOT_OURS)
        a = (struct uffdio_api){0};
    else
        r = host_syscall(SYS_ioctl, fd, UFFDIO_API, &a);
    a.features &= ~(u64)FEATURES_NOT_OURS;
    return PUT(t, addr, &a) ? r : -EFAULT;
}

/* The kernel splits and looks for mappings; it must not find them as our protection of
 * translated code has split them. */
static void contents_change(Process *p, u64 addr, u64 len)
{
    lock_take(&p->mem->lock);
    mem_contents_change(p, addr, len);
    lock_leave(&p->mem->lock);
}

static i64 check(Task *t, const Request *q, u64 addr)
{
    const Memory *m = t->process->mem;
    u64 word[3], len;

    if (!guest_read(t, word, addr, (q->len + 1) * sizeof *word))
        return -EFAULT;
    len = word[q->len];
    if (!space_contains(&m->space, word[0], len))
        return -EINVAL;
    if (q->from && !space_contains(&m->space, word[q->from], len))
        return q->moves ? -EINVAL : -EFAULT;
    /* Where the guest has nothing the kernel sees our reservation. */
    if (q->request == UFFDIO_REGISTER &&
        !extents_touch(&m->map, word[0], word[0] + len))
        return -EINVAL;
    if (q->fills)
        contents_change(t->process, word[0], len);
    if (q->moves)
        contents_change(t->process, word[q->from], len);
    return 0;
}

i64 userfault_ioctl(Task *t, u64 fd, u32 request, u64 size, u64 arg)
{
    GuestAccess access = _IOC_DIR(request) & _IOC_WRITE ? GUEST_WRITE : GUEST_READ;
    i64 r = 0;
    void *p;

    if (request == USERFAULTFD_IOC_NEW)
        return make(t, SYS_ioctl, fd, request, arg);
    if (host_syscall(SYS_fcntl, fd, F_GETFD) < 0)
        return -EBADF;
    if (t->process->mem->space.base)
        return -ENOTTY;
    if (request == UFFDIO_API)
        return handshake(t, fd, arg);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(requests); i++)
        if (requests[i].request == request)
            r = check(t, &requests[i], arg);
    if (r < 0)
        return r;
    p = guest_ptr(t, arg, size, access);
    return p ? safe_syscall(SYS_ioctl, fd, request, p) : -EFAULT;
}
