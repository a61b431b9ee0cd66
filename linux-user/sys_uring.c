/* SPDX-License-Identifier: MIT */
/*
 * io_uring.  Its rings are memory of the guest's that the host is given (NO_MMAP, Linux
 * 6.5), as the host lets nobody choose where it maps rings of its own.  Completions
 * hold no addresses; submission entries do, so the guest fills an array of its own, and
 * io_uring_enter translates the waiting entries into the host's.
 *
 * Refused: a kernel thread that takes entries by itself (SQPOLL), rings of buffers,
 * larger entries.
 */
#include <sys/mman.h>
#include "uring.h"

enum {
    SETUP_NO_MMAP = 1 << 14, /* younger than our headers */
    HEADER = 1024,           /* what is before the queues in a ring, and more */
    ENTRIES_MOST = 32768,
};

typedef struct Ring {
    int fd;
    u32 entries;
    u64 queues, queues_size; /* both, in guest memory */
    u64 guest_entries;       /* behind them */
    struct io_uring_sqe *host_entries;
    struct io_sqring_offsets at;
} Ring;

static u64 entries_size(const Ring *r)
{
    return align_up(r->entries * sizeof *r->host_entries, PAGE_SIZE);
}

/* ---- rings: Process.rings, by descriptor, under mem->lock ---- */

static void ring_free(void *ring)
{
    Ring *r = ring;

    munmap(r->host_entries, entries_size(r));
    g_free(r);
}

static void lock(Task *t) { lock_take(&t->process->mem->lock); }
static void unlock(Task *t) { lock_leave(&t->process->mem->lock); }

/* A copy of it; false: no ring of ours. */
static bool ring_find(Task *t, u64 fd, Ring *out)
{
    Ring *r = NULL;

    lock(t);
    if (t->process->rings)
        r = g_hash_table_lookup(t->process->rings, GINT_TO_POINTER((i32)fd));
    if (r)
        *out = *r;
    unlock(t);
    return r;
}

static void ring_add(Task *t, Ring *r)
{
    lock(t);
    if (!t->process->rings)
        t->process->rings = g_hash_table_new_full(NULL, NULL, NULL, ring_free);
    g_hash_table_replace(t->process->rings, GINT_TO_POINTER(r->fd), r);
    unlock(t);
}

void uring_close(Task *t, u64 first, u64 last)
{
    GHashTableIter all;
    void *fd;

    if (t->vfork_child) /* the descriptors are its own, the mappings its parent's */
        return;
    lock(t);
    g_hash_table_iter_init(&all, t->process->rings);
    while (g_hash_table_iter_next(&all, &fd, NULL))
        if ((u32)GPOINTER_TO_INT(fd) >= first && (u32)GPOINTER_TO_INT(fd) <= last)
            g_hash_table_iter_remove(&all);
    unlock(t);
}

/* The next power of 2; more than the host allows: it will say so. */
static u32 rounded(u32 n)
{
    u32 r = 1;

    while (r < n && r <= 2 * ENTRIES_MOST)
        r *= 2;
    return r;
}

/* Memory for as many entries as the host will make of these. */
static i64 ring_allocate(Task *t, Ring *r, u32 entries, const struct io_uring_params *p)
{
    const int rw = PROT_READ | PROT_WRITE, shared = MAP_SHARED | MAP_ANONYMOUS;
    u32 completions = rounded(MAX(2 * rounded(entries), p->cq_entries));
    i64 at;

    r->entries = rounded(entries);
    r->queues_size = align_up(HEADER + completions * 2 * sizeof(struct io_uring_cqe) +
                                  r->entries * sizeof(u32),
                              PAGE_SIZE);
    r->host_entries = mmap(NULL, entries_size(r), rw, shared, -1, 0);
    if (r->host_entries == MAP_FAILED)
        return -ENOMEM;
    at = mem_mmap(t, 0, r->queues_size + entries_size(r), rw, shared, -1, 0);
    r->queues = (u64)at;
    r->guest_entries = (u64)at + r->queues_size;
    return MIN(at, 0);
}

static i64 ring_setup(Task *t, Ring *r, u64 entries, struct io_uring_params *p)
{
    i64 fd;

    p->flags |= SETUP_NO_MMAP;
    p->cq_off.resv2 = host_addr(t, r->queues); /* user_addr */
    p->sq_off.resv2 = (u64)r->host_entries;
    fd = host_syscall((long)t->sys.nr, entries, p);
    p->flags &= ~(u32)SETUP_NO_MMAP;
    p->cq_off.resv2 = p->sq_off.resv2 = 0;
    r->fd = (int)fd;
    r->at = p->sq_off;
    return fd;
}

/* Does the host know of rings like ours?  0 or -errno. */
static i64 host_is_able(Task *t)
{
    struct io_uring_params p = {.flags = SETUP_NO_MMAP}; /* at NULL */
    i64 r = host_syscall((long)t->sys.nr, 1, &p);

    return r == -EFAULT ? 0 : r == -EINVAL ? -ENOSYS : r;
}

i64 sys_io_uring_setup(Task *t, u64 entries, u64 addr)
{
    const u32 known = IORING_SETUP_IOPOLL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                      IORING_SETUP_ATTACH_WQ | IORING_SETUP_R_DISABLED |
                      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                      IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQE32 |
                      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    struct io_uring_params p;
    Ring *ring;
    i64 r;

    if (!GET(t, addr, &p))
        return -EFAULT;
    if ((r = host_is_able(t)) < 0)
        return r;
    if (p.flags & ~known || (u32)entries == 0)
        return -EINVAL;
    if (p.flags & IORING_SETUP_CLAMP) {
        entries = MIN((u32)entries, (u32)ENTRIES_MOST);
        p.cq_entries = MIN(p.cq_entries, 2u * ENTRIES_MOST);
    }
    ring = g_new0(Ring, 1);
    r = ring_allocate(t, ring, (u32)entries, &p);
    if (r == 0)
        r = ring_setup(t, ring, entries, &p);
    if (r >= 0 && PUT(t, addr, &p)) {
        ring_add(t, ring);
        return r;
    }
    if (r >= 0)
        host_syscall(SYS_close, r);
    if ((i64)ring->queues > 0)
        mem_munmap(t, ring->queues, ring->queues_size + entries_size(ring));
    ring_free(ring);
    return r < 0 ? r : -EFAULT;
}

i64 uring_mmap(Task *t, u64 addr, u64 len, u64 offset, i32 flags, i32 fd)
{
    Ring r;
    i64 is;

    if (!ring_find(t, (u64)fd, &r))
        return -ENODEV;
    is = host_syscall(SYS_io_uring_enter, fd, 0, 0, 0);
    if (is == -EOPNOTSUPP || is == -EBADF) /* dup3 has put something else there */
        return -ENODEV;
    if (addr && flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) /* nor does the host */
        return -EINVAL;
    switch (offset) {
    case IORING_OFF_SQ_RING:
    case IORING_OFF_CQ_RING: return len <= r.queues_size ? (i64)r.queues : -EINVAL;
    case IORING_OFF_SQES:
        return len <= entries_size(&r) ? (i64)r.guest_entries : -EINVAL;
    default: return -EINVAL;
    }
}

/* ---- submitting ---- */

/* A word of the submission ring. */
static bool ring_word(Task *t, const Ring *r, u32 at, u32 *out)
{
    return guest_read(t, out, r->queues + at, sizeof *out);
}

static bool translate(Task *t, const Ring *r, u32 index, GPtrArray *temps)
{
    struct io_uring_sqe e;

    if (index >= r->entries) /* the host drops it */
        return true;
    if (!guest_read(t, &e, r->guest_entries + index * sizeof e, sizeof e))
        return false;
    uring_entry(t, &e, temps);
    r->host_entries[index] = e;
    return true;
}

/* The entries that the host will take, at most n; 0 or -EFAULT. */
static i64 translate_all(Task *t, const Ring *r, u32 n, GPtrArray *temps)
{
    u32 head, tail, index, mask = r->entries - 1;

    if (!ring_word(t, r, r->at.head, &head) || !ring_word(t, r, r->at.tail, &tail))
        return -EFAULT;
    n = MIN(MIN(n, tail - head), r->entries);
    for (u32 i = 0; i < n; i++)
        if (!ring_word(t, r, r->at.array + 4 * ((head + i) & mask), &index) ||
            !translate(t, r, index, temps))
            return -EFAULT;
    return 0;
}

/* The mask and time limit of a wait; arg: the host's, with IORING_ENTER_EXT_ARG. */
static i64 wait_args(Task *t, u64 flags, u64 addr, u64 size,
                     struct io_uring_getevents_arg *arg)
{
    if (!(flags & IORING_ENTER_EXT_ARG))
        return signal_mask_for_call(t, addr, size);
    if (size != sizeof *arg)
        return -EINVAL;
    if (!GET(t, addr, arg))
        return -EFAULT;
    arg->ts = host_addr(t, arg->ts);
    return signal_mask_for_call(t, arg->sigmask, arg->sigmask_sz);
}

i64 sys_io_uring_enter(Task *t, u64 fd, u64 n, u64 least, u64 flags, u64 addr, u64 size)
{
    const u64 known = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP |
                      IORING_ENTER_SQ_WAIT | IORING_ENTER_EXT_ARG;
    bool extended = flags & IORING_ENTER_EXT_ARG;
    struct io_uring_getevents_arg arg = {0};
    GPtrArray *temps;
    Ring ring;
    i64 r;

    if ((u32)flags & ~known)
        return -EINVAL;
    if (!ring_find(t, fd, &ring)) /* the host says what is wrong with it */
        return (u32)n ? -EOPNOTSUPP : host_syscall((long)t->sys.nr, fd, 0, 0, 0);
    r = wait_args(t, flags, addr, size, &arg);
    if (r)
        return r;
    arg.sigmask = arg.sigmask_sz = 0; /* it holds already */
    temps = g_ptr_array_new_with_free_func(g_free);
    r = (u32)n ? translate_all(t, &ring, (u32)n, temps) : 0;
    if (r == 0)
        r = safe_syscall((long)t->sys.nr, fd, n, least, flags, extended ? &arg : NULL,
                         extended ? sizeof arg : 0);
    g_ptr_array_free(temps, true);
    return r;
}

/* ---- registering ---- */

static i64 buffers(Task *t, u64 fd, u64 op, u64 addr, u64 n)
{
    Iov iov = {.v = iov.small};
    i64 r = iov_read(t, &iov, addr, (u32)n, GUEST_WRITE);

    if (r == 0 && iov.n == (u32)n)
        r = host_syscall((long)t->sys.nr, fd, op, iov.v, n);
    else if (r == 0)
        r = -EFAULT;
    iov_free(&iov);
    return r;
}

static i64 files_update(Task *t, u64 fd, u64 op, u64 addr, u64 n)
{
    struct io_uring_files_update u;

    if (!GET(t, addr, &u))
        return -EFAULT;
    u.fds = host_addr(t, u.fds);
    return host_syscall((long)t->sys.nr, fd, op, &u, n);
}

static i64 probe(Task *t, u64 fd, u64 op, u64 addr, u64 n)
{
    size_t size =
        sizeof(struct io_uring_probe) + (n & 0xff) * sizeof(struct io_uring_probe_op);
    struct io_uring_probe *p = n <= 0xff ? guest_ptr(t, addr, size, GUEST_WRITE) : NULL;
    i64 r;

    if (n > 0xff)
        return -EINVAL;
    if (!p)
        return -EFAULT;
    r = host_syscall((long)t->sys.nr, fd, op, p, n);
    if (r >= 0)
        uring_probe(p, (u32)n);
    return r;
}

i64 sys_io_uring_register(Task *t, u64 fd, u64 op, u64 addr, u64 n)
{
    switch ((u32)op) {
    case IORING_REGISTER_BUFFERS: return buffers(t, fd, op, addr, n);
    case IORING_REGISTER_FILES_UPDATE: return files_update(t, fd, op, addr, n);
    case IORING_REGISTER_PROBE: return probe(t, fd, op, addr, n);
    case IORING_UNREGISTER_BUFFERS:
    case IORING_REGISTER_FILES:
    case IORING_UNREGISTER_FILES:
    case IORING_REGISTER_EVENTFD:
    case IORING_UNREGISTER_EVENTFD:
    case IORING_REGISTER_EVENTFD_ASYNC:
    case IORING_REGISTER_PERSONALITY:
    case IORING_UNREGISTER_PERSONALITY:
    case IORING_REGISTER_RESTRICTIONS:
    case IORING_REGISTER_ENABLE_RINGS:
    case IORING_REGISTER_IOWQ_AFF:
    case IORING_UNREGISTER_IOWQ_AFF:
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
    case IORING_REGISTER_SYNC_CANCEL:
    case IORING_REGISTER_FILE_ALLOC_RANGE:
        return host_syscall((long)t->sys.nr, fd, op, host_addr(t, addr), n);
    default: sys_unimp("io_uring_register %u", (u32)op); return -EINVAL;
    }
}
