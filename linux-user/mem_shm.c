/* SPDX-License-Identifier: MIT */
/* System V shared memory in the guest's window. */
#include <glib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include "mem.h"

static Extent *find(Memory *m, u64 start)
{
    for (size_t i = 0; i < m->shm->len; i++) {
        Extent *e = &g_array_index(m->shm, Extent, i);

        if (e->start == start)
            return e;
    }
    return NULL;
}

void mem_shm_forget(Memory *m, u64 start, u64 end)
{
    for (size_t i = m->shm ? m->shm->len : 0; i-- > 0;) {
        const Extent *e = &g_array_index(m->shm, Extent, i);

        if (e->start >= start && e->end <= end)
            g_array_remove_index_fast(m->shm, (guint)i);
    }
}

static i64 attach(Process *p, int id, u64 addr, u64 len, int flags)
{
    Memory *m = p->mem;
    int prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
               (flags & SHM_EXEC ? PROT_EXEC : 0);
    int how = !addr ? 0 : flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    i64 r = mem_place(m, addr, len, how);
    Extent at;

    if (r < 0)
        return r == -EEXIST ? -EINVAL : r;
    addr = (u64)r;
    if (shmat(id, mem_host(m, addr), (flags & ~SHM_EXEC) | SHM_REMAP) == (void *)-1)
        return -errno;
    mem_forget(p, addr, len);
    if (!mem_grant(m, addr, len, mem_flags(prot, true))) {
        mem_reserve(m, addr, len);
        return -ENOMEM;
    }
    at = (Extent){addr, addr + len};
    g_array_append_val(m->shm, at);
    return (i64)addr;
}

i64 mem_shmat(Task *t, int id, u64 addr, int flags)
{
    Memory *m = t->process->mem;
    struct shmid_ds ds;
    i64 r;

    if (flags & SHM_RND)
        addr = align_down(addr, PAGE_SIZE);
    if (shmctl(id, IPC_STAT, &ds))
        return -errno;
    if (ds.shm_segsz > m->space.size)
        return -ENOMEM;
    lock_take(&m->lock);
    if (!m->shm)
        m->shm = g_array_new(false, false, sizeof(Extent));
    r = attach(t->process, id, addr, align_up(ds.shm_segsz, PAGE_SIZE),
               flags & ~SHM_RND);
    lock_leave(&m->lock);
    return r;
}

i64 mem_shmdt(Task *t, u64 addr)
{
    Memory *m = t->process->mem;
    i64 r = -EINVAL;
    Extent *s;

    lock_take(&m->lock);
    s = m->shm ? find(m, addr) : NULL;
    if (s) /* the reservation over it detaches it */
        r = mem_unmap(t->process, s->start, s->end - s->start);
    lock_leave(&m->lock);
    return r;
}
