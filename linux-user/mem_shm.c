/* SPDX-License-Identifier: MIT */
/* System V shared memory in the guest's window. */
#include <sys/mman.h>
#include <sys/shm.h>
#include "mem.h"

static Extent *slot(Memory *m, u64 start, bool unused)
{
    for (size_t i = 0; i < MEM_SHM; i++)
        if (unused ? m->shm[i].end == 0
                   : m->shm[i].end != 0 && m->shm[i].start == start)
            return &m->shm[i];
    return NULL;
}

static i64 attach(Process *p, int id, u64 addr, u64 len, int flags)
{
    Memory *m = p->mem;
    int prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
               (flags & SHM_EXEC ? PROT_EXEC : 0);
    int how = !addr ? 0 : flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    Extent *s = slot(m, 0, true);
    i64 r = s ? mem_place(m, addr, len, how) : -EMFILE;

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
    *s = (Extent){addr, addr + len};
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
    pthread_mutex_lock(&m->lock);
    r = attach(t->process, id, addr, align_up(ds.shm_segsz, PAGE_SIZE),
               flags & ~SHM_RND);
    pthread_mutex_unlock(&m->lock);
    return r;
}

i64 mem_shmdt(Task *t, u64 addr)
{
    Memory *m = t->process->mem;
    i64 r = -EINVAL;
    Extent *s;

    pthread_mutex_lock(&m->lock);
    s = addr ? slot(m, addr, false) : NULL;
    if (s) {
        /* The reservation over it detaches it. */
        r = mem_unmap(t->process, s->start, s->end - s->start);
        s->end = 0;
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}
