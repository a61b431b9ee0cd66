/* SPDX-License-Identifier: MIT */
/*
 * The guest's address space: which pages it has (an Extents list), what it may do
 * with them (the Space's page flags), and the host mappings behind them.  Where the
 * guest has nothing, an inaccessible reservation stays, so that no mapping of the
 * host's own ever lands in the window.
 *
 * Guest pages are never executable for the host.  After a change the flags are
 * brought up to date first, then translated code is dropped.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "mem.h"

#define WINDOW_DEFAULT (1ull << 46)
/* As boards have it (Sv39): sanitizers know no other, or ask for shadows as large as
 * all that is below the stack. */
#define HIGH_DEFAULT (1ull << 38)
#define LOWEST       0x10000ull /* mmap_min_addr's usual value */
#define PERMISSIONS  (PAGE_READ | PAGE_WRITE | PAGE_EXEC)

static const int no_reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

bool mem_init(Memory *m, const Options *o)
{
    u64 size = o->reserve ? o->reserve : WINDOW_DEFAULT;

    if (!(o->guest_base ? space_init_at(&m->space, size, o->guest_base)
                        : space_init(&m->space, size)))
        return false;
    m->lock = (Lock){0};
    m->low = LOWEST;
    m->high = m->top = MIN(m->space.size, HIGH_DEFAULT);
    return true;
}

/* ---- access ---- */

void *guest_ptr(Task *t, u64 addr, u64 len, GuestAccess access)
{
    Memory *m = t->process->mem;

    if (!space_check(&m->space, addr, len, (u8)access))
        return NULL;
    if (access == GUEST_WRITE && space_any(&m->space, addr, len, PAGE_CODE))
        cache_host_write(t->process->cache, addr, len);
    if (!len) /* nothing is read or written there, and NULL would say no */
        return t;
    return space_host(&m->space, addr);
}

bool guest_read(Task *t, void *to, u64 addr, u64 len)
{
    const void *p = guest_ptr(t, addr, len, GUEST_READ);

    return p && fault_copy(to, p, len);
}

bool guest_write(Task *t, u64 addr, const void *from, u64 len)
{
    void *p = guest_ptr(t, addr, len, GUEST_WRITE);

    /* Another thread may translate code of this page just now: once more. */
    return p &&
           (fault_copy(p, from, len) ||
            ((p = guest_ptr(t, addr, len, GUEST_WRITE)) && fault_copy(p, from, len)));
}

i64 guest_string(Task *t, u64 addr, u64 max, const char **out)
{
    const Space *s = &t->process->mem->space;
    u64 len = 0;

    while (len < max) {
        u64 n = MIN(PAGE_SIZE - ((addr + len) & ~PAGE_MASK), max - len);
        const char *p = guest_ptr(t, addr + len, n, GUEST_READ), *nul;

        if (!p)
            return -EFAULT;
        nul = memchr(p, 0, n);
        if (nul) {
            *out = (const char *)space_host(s, addr);
            return (i64)(len + (u64)(nul - p));
        }
        len += n;
    }
    return -ENAMETOOLONG;
}

bool mem_covers(const Memory *m, u64 addr, u64 len)
{
    return space_contains(&m->space, addr, len) &&
           extents_cover(&m->map, align_down(addr, PAGE_SIZE),
                         align_up(addr + len, PAGE_SIZE));
}

bool mem_mapped(Memory *m, u64 addr, u64 len)
{
    bool mapped;

    lock_take(&m->lock);
    mapped = mem_covers(m, addr, len);
    lock_leave(&m->lock);
    return mapped;
}

/* ---- changing the map; the lock is held ---- */

u8 mem_flags(int prot, bool shared)
{
    u8 flags = (prot & PROT_READ ? PAGE_READ : 0) |
               (prot & PROT_WRITE ? PAGE_WRITE : 0) |
               (prot & PROT_EXEC ? PAGE_EXEC : 0);

    return flags | PAGE_MAPPED | (shared ? PAGE_SHARED : 0);
}

/* Puts the reservation back. */
i64 mem_reserve(Memory *m, u64 addr, u64 len)
{
    void *p = mmap(mem_host(m, addr), len, PROT_NONE, no_reserve | MAP_FIXED, -1, 0);

    return p == MAP_FAILED ? -errno : 0;
}

/* Has any page of the range one of these flags?  Reservations may be huge. */
static bool any(const Memory *m, u64 addr, u64 len, u8 bits)
{
    Extent part;

    for (u64 at = addr; extents_next(&m->flagged, at, addr + len, &part); at = part.end)
        if (space_any(&m->space, part.start, part.end - part.start, bits))
            return true;
    return false;
}

void mem_forget(Process *p, u64 addr, u64 len)
{
    Memory *m = p->mem;
    Extent part;

    for (u64 at = addr; extents_next(&m->flagged, at, addr + len, &part);
         at = part.end) {
        u64 n = part.end - part.start;

        space_clear_bits(&m->space, part.start, n, PERMISSIONS);
        cache_invalidate(p->cache, part.start, n);
        space_set(&m->space, part.start, n, 0);
    }
    extents_remove(&m->flagged, addr, addr + len);
    extents_remove(&m->map, addr, addr + len);
    mem_shm_forget(m, addr, addr + len);
}

bool mem_grant(Memory *m, u64 addr, u64 len, u8 flags)
{
    if (!extents_add(&m->map, addr, addr + len))
        return false;
    if (!(flags & PERMISSIONS))
        return true;
    if (!extents_add(&m->flagged, addr, addr + len))
        return false;
    space_set(&m->space, addr, len, flags);
    return true;
}

static i64 map(Process *p, u64 addr, u64 len, int prot, int flags, int fd, u64 offset)
{
    Memory *m = p->mem;
    const int not_ours = MAP_FIXED_NOREPLACE | MAP_GROWSDOWN | MAP_32BIT;
    u8 granted = mem_flags(prot, (flags & MAP_TYPE) != MAP_PRIVATE);
    bool had_code = any(m, addr, len, PAGE_EXEC);
    void *r = mmap(mem_host(m, addr), len, space_prot(granted),
                   (flags & ~not_ours) | MAP_FIXED, fd, (off_t)offset);

    if (r == MAP_FAILED) {
        i64 error = -errno;

        /* A driver may refuse after the kernel has unmapped what was there. */
        r = mmap(mem_host(m, addr), len, PROT_NONE, no_reserve | MAP_FIXED_NOREPLACE,
                 -1, 0);
        if (r == mem_host(m, addr))
            mem_forget(p, addr, len);
        return error;
    }
    mem_forget(p, addr, len);
    if (!mem_grant(m, addr, len, granted)) {
        mem_reserve(m, addr, len);
        mem_forget(p, addr, len);
        return -ENOMEM;
    }
    if (fd >= 0 || (prot & PROT_EXEC))
        m->code_maps++;
    if (had_code && (prot & PROT_WRITE))
        mprotect(mem_host(m, addr), len, space_prot(granted));
    return (i64)addr;
}

i64 mem_unmap(Process *p, u64 addr, u64 len)
{
    Memory *m = p->mem;
    i64 r;

    if (!extents_touch(&m->map, addr, addr + len))
        return 0;
    r = mem_reserve(m, addr, len);
    if (r == 0)
        mem_forget(p, addr, len);
    return r;
}

/* Where mmap shall put len bytes: the address or -errno. */
i64 mem_place(const Memory *m, u64 addr, u64 len, int flags)
{
    u64 found;

    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (addr & ~PAGE_MASK)
            return -EINVAL;
        if (!space_contains(&m->space, addr, len))
            return -ENOMEM;
        if (addr < m->low)
            return -EPERM;
        if ((flags & MAP_FIXED_NOREPLACE) && extents_touch(&m->map, addr, addr + len))
            return -EEXIST;
        return mem_sealed(m, addr, len) ? -EPERM : (i64)addr;
    }
    addr = addr > m->space.size ? 0 : align_up(addr, PAGE_SIZE);
    if (addr >= m->low && space_contains(&m->space, addr, len) &&
        !extents_touch(&m->map, addr, addr + len))
        return (i64)addr;
    found = extents_gap(&m->map, len, m->low, m->top);
    if (found == (u64)-1)
        found = extents_gap(&m->map, len, m->high, m->space.size);
    return found == (u64)-1 ? -ENOMEM : (i64)found;
}

/* ---- the calls ---- */

i64 mem_mmap(Task *t, u64 addr, u64 len, int prot, int flags, int fd, u64 offset)
{
    Memory *m = t->process->mem;
    i64 r;

    if (len == 0 || (offset & ~PAGE_MASK))
        return -EINVAL;
    if (len > m->space.size)
        return -ENOMEM;
    len = align_up(len, PAGE_SIZE);
    lock_take(&m->lock);
    addr = mem_mmap_hint(t->process, addr, len, prot, flags, fd, offset);
    r = mem_place(m, addr, len, flags);
    if (r >= 0)
        r = map(t->process, (u64)r, len, prot, flags, fd, offset);
    if (r >= 0)
        mem_note_file(t->process, (u64)r, len, prot, flags, fd, offset);
    lock_leave(&m->lock);
    if (r >= 0 && log_on(LOG_PAGE))
        log_printf("mmap 0x%llx-0x%llx prot %d flags 0x%x\n", (long long)r,
                   (long long)((u64)r + len), prot, flags);
    return r;
}

/* Rounds a range to pages; 0 or -errno. */
static i64 page_range(const Memory *m, u64 addr, u64 *len, i64 outside)
{
    if (addr & ~PAGE_MASK)
        return -EINVAL;
    if (!space_contains(&m->space, addr, *len))
        return outside;
    *len = align_up(*len, PAGE_SIZE);
    return 0;
}

i64 mem_munmap(Task *t, u64 addr, u64 len)
{
    Memory *m = t->process->mem;
    i64 r = page_range(m, addr, &len, -EINVAL);

    if (r == 0 && len == 0)
        r = -EINVAL;
    if (r < 0)
        return r;
    lock_take(&m->lock);
    r = mem_sealed(m, addr, len) ? -EPERM : mem_unmap(t->process, addr, len);
    lock_leave(&m->lock);
    if (log_on(LOG_PAGE))
        log_printf("munmap 0x%llx-0x%llx\n", (long long)addr, (long long)(addr + len));
    return r;
}

/* CODE and HOT stay: the cache must find its blocks. */
static void set_permissions(Memory *m, u64 addr, u64 len, u8 flags)
{
    Extent part;

    for (u64 at = addr; extents_next(&m->flagged, at, addr + len, &part);
         at = part.end) {
        u64 n = part.end - part.start;

        space_set_bits(&m->space, part.start, n, flags);
        space_clear_bits(&m->space, part.start, n, (u8)(PERMISSIONS & ~flags));
    }
}

static i64 protect(Process *p, u64 addr, u64 len, int prot)
{
    Memory *m = p->mem;
    u8 flags = mem_flags(prot, false);
    bool executable = any(m, addr, len, PAGE_EXEC);

    if ((flags & PERMISSIONS) && !extents_add(&m->flagged, addr, addr + len))
        return -ENOMEM;
    if (mprotect(mem_host(m, addr), len, space_prot(flags)))
        return -errno;
    set_permissions(m, addr, len, flags);
    if (prot & PROT_EXEC)
        m->code_maps++;
    if (!executable)
        return 0;
    /* What other threads translate meanwhile is protected again: go round. */
    do {
        cache_invalidate(p->cache, addr, len);
        mprotect(mem_host(m, addr), len, space_prot(flags));
    } while ((prot & PROT_WRITE) && any(m, addr, len, PAGE_CODE));
    return 0;
}

i64 mem_mprotect(Task *t, u64 addr, u64 len, int prot)
{
    Memory *m = t->process->mem;
    i64 r = page_range(m, addr, &len, -ENOMEM);

    if (r < 0 || len == 0)
        return r;
    lock_take(&m->lock);
    if ((prot & PROT_GROWSDOWN) && addr >= m->stack_start && addr < m->stack_end) {
        len += addr - m->stack_start;
        addr = m->stack_start;
    } else if (prot & (PROT_GROWSDOWN | PROT_GROWSUP)) {
        r = -EINVAL;
    }
    if (r == 0 && !extents_cover(&m->map, addr, addr + len))
        r = -ENOMEM;
    if (r == 0 && mem_sealed(m, addr, len))
        r = -EPERM;
    if (r == 0)
        r = protect(t->process, addr, len, prot);
    lock_leave(&m->lock);
    if (log_on(LOG_PAGE))
        log_printf("mprotect 0x%llx-0x%llx prot %d\n", (long long)addr,
                   (long long)(addr + len), prot);
    return r;
}

i64 mem_brk(Task *t, u64 addr)
{
    Memory *m = t->process->mem;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    u64 old, new;
    i64 r = 0;

    lock_take(&m->lock);
    old = align_up(m->brk, PAGE_SIZE);
    if (addr < m->brk_start || addr > m->space.size)
        addr = m->brk;
    new = align_up(addr, PAGE_SIZE);
    if (new > old && extents_touch(&m->map, old, new))
        r = -ENOMEM;
    else if (new > old)
        r = map(t->process, old, new - old, PROT_READ | PROT_WRITE, flags, -1, 0);
    else if (mem_sealed(m, new, old - new))
        r = -EPERM;
    else if (new < old)
        r = mem_unmap(t->process, new, old - new);
    if (r >= 0)
        m->brk = addr;
    addr = m->brk;
    lock_leave(&m->lock);
    return (i64)addr;
}

void mem_contents_change(Process *p, u64 addr, u64 len)
{
    Memory *m = p->mem;

    if (!any(m, addr, len, PAGE_CODE))
        return;
    cache_host_write(p->cache, addr, len);
    cache_invalidate(p->cache, addr, len);
}

enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, since Linux 6.13 */

/* Is what was there gone afterwards? */
static bool discards(int advice)
{
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_REMOVE:
    case GUARD_INSTALL: return true;
    default: return false;
    }
}

/* Would it, or a fork after it, undo what cannot be written? */
static bool unseals(const Memory *m, u64 addr, u64 len, int advice)
{
    const u8 free = PAGE_WRITE | PAGE_SHARED;

    if (!discards(advice) && advice != MADV_DONTFORK && advice != MADV_WIPEONFORK)
        return false;
    for (Extent part = {0, addr};
         extents_next(&m->sealed, part.end, addr + len, &part);)
        for (u64 at = part.start; at < part.end; at += PAGE_SIZE)
            if (!(space_flags(&m->space, at) & free))
                return true;
    return false;
}

i64 mem_madvise(Task *t, u64 addr, u64 len, int advice)
{
    Memory *m = t->process->mem;
    i64 r = page_range(m, addr, &len, -ENOMEM);

    if (r < 0 || len == 0)
        return r;
    lock_take(&m->lock);
    if (!mem_covers(m, addr, len))
        r = -ENOMEM;
    else if (unseals(m, addr, len, advice))
        r = -EPERM;
    else if (discards(advice))
        mem_contents_change(t->process, addr, len);
    lock_leave(&m->lock); /* the host may wait for who reads a userfaultfd */
    /* A child of fork must find the whole window reserved. */
    if (r < 0 || advice == MADV_DONTFORK || advice == MADV_DOFORK)
        return r;
    return host(madvise(mem_host(m, addr), len, advice));
}

/* The host keeps the protection that it sees, so none of it may be for our sake. */
i64 mem_remap_file(Task *t, u64 addr, u64 len, u64 offset, int flags)
{
    Memory *m = t->process->mem;
    i64 r;

    addr = align_down(addr, PAGE_SIZE);
    len = align_down(len, PAGE_SIZE);
    r = page_range(m, addr, &len, -EINVAL);
    if (r < 0 || len == 0)
        return -EINVAL;
    lock_take(&m->lock);
    if (!mem_covers(m, addr, len))
        r = -EINVAL;
    else if (mem_sealed(m, addr, len))
        r = -EPERM;
    else
        mem_contents_change(t->process, addr, len);
    if (r == 0)
        r = host_syscall(SYS_remap_file_pages, mem_host(m, addr), len, 0, offset,
                         flags);
    lock_leave(&m->lock);
    return r;
}

i64 mem_msync(Task *t, u64 addr, u64 len, int flags)
{
    Memory *m = t->process->mem;
    i64 r = page_range(m, addr, &len, -ENOMEM);

    if (r < 0)
        return r;
    if (!mem_mapped(m, addr, len))
        return -ENOMEM;
    return host(msync(mem_host(m, addr), len, flags));
}

i64 mem_mincore(Task *t, u64 addr, u64 len, u64 vec)
{
    Memory *m = t->process->mem;
    i64 r = page_range(m, addr, &len, -ENOMEM);
    u8 *out;

    if (r < 0)
        return r;
    out = guest_ptr(t, vec, len >> PAGE_BITS, GUEST_WRITE);
    if (!out)
        return -EFAULT;
    if (!mem_mapped(m, addr, len))
        return -ENOMEM;
    return host(mincore(mem_host(m, addr), len, out));
}

i64 mem_seal(Task *t, u64 addr, u64 len, u64 flags)
{
    Memory *m = t->process->mem;
    i64 r;

    if (flags || len > align_up(len, PAGE_SIZE) || addr + len < addr)
        return -EINVAL;
    r = page_range(m, addr, &len, -ENOMEM);
    if (r < 0 || len == 0)
        return r;
    lock_take(&m->lock);
    if (!extents_cover(&m->map, addr, addr + len) ||
        !extents_add(&m->sealed, addr, addr + len))
        r = -ENOMEM;
    lock_leave(&m->lock);
    return r;
}

i64 mem_mlock(Task *t, u64 addr, u64 len, int flags)
{
    Memory *m = t->process->mem;

    if (!mem_mapped(m, addr, len))
        return -ENOMEM;
    return flags ? host(mlock2(mem_host(m, addr), len, (unsigned)flags))
                 : host(mlock(mem_host(m, addr), len));
}

i64 mem_munlock(Task *t, u64 addr, u64 len)
{
    Memory *m = t->process->mem;

    if (!mem_mapped(m, addr, len))
        return -ENOMEM;
    return host(munlock(mem_host(m, addr), len));
}
