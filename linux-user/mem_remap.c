/* SPDX-License-Identifier: MIT */
/* mremap: mappings that grow, shrink and move, with their pages' flags. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "mem.h"

typedef struct Move {
    u64 from, old_len, to, new_len;
    int flags; /* MREMAP_* */
} Move;

/* Permissions of the mapping's last page: those of what is added to it. */
static u8 flags_at_end(const Memory *m, u64 addr, u64 len)
{
    return space_flags(&m->space, addr + (len ? len - 1 : 0)) &
           (u8) ~(PAGE_CODE | PAGE_HOT);
}

/* The hole that a host mremap leaves; nobody but us maps in the window. */
static void fill_hole(Memory *m, u64 addr, u64 len)
{
    if (len > 0)
        mem_reserve(m, addr, len);
}

static i64 grow_in_place(Memory *m, u64 addr, u64 old_len, u64 new_len)
{
    u64 end = addr + old_len, more = new_len - old_len;
    u8 flags = flags_at_end(m, addr, old_len);

    munmap(mem_host(m, end), more);
    if (mremap(mem_host(m, addr), old_len, new_len, 0) == MAP_FAILED) {
        fill_hole(m, end, more);
        return -ENOMEM;
    }
    return mem_grant(m, end, more, flags) ? (i64)addr : -ENOMEM;
}

/* The destination's flags are the source's, page by page, then its last page's. */
static bool grant_moved(Memory *m, const Move *v, const u8 *kept, u8 last)
{
    u64 pages = MIN(v->old_len, v->new_len) >> PAGE_BITS;

    if (!mem_grant(m, v->to, v->new_len, last))
        return false;
    for (u64 i = 0; i < pages; i++)
        m->space.page[(v->to >> PAGE_BITS) + i] =
            kept[i] & (u8) ~(PAGE_CODE | PAGE_HOT);
    return true;
}

static i64 move(Process *p, const Move *v)
{
    Memory *m = p->mem;
    u8 last = flags_at_end(m, v->from, v->old_len);
    u64 pages = MIN(v->old_len, v->new_len) >> PAGE_BITS;
    u8 *kept = malloc(pages + 1);
    const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (v->flags & MREMAP_DONTUNMAP);
    void *r;
    bool ok;

    if (!kept)
        return -ENOMEM;
    memcpy(kept, (u8 *)m->space.page + (v->from >> PAGE_BITS), pages);
    cache_host_write(p->cache, v->from, v->old_len); /* no page is write-protected */
    r = mremap(mem_host(m, v->from), v->old_len, v->new_len, flags, mem_host(m, v->to));
    if (r == MAP_FAILED) {
        int error = errno;

        free(kept);
        return -error;
    }
    m->code_maps++;
    mem_forget(p, v->to, v->new_len);
    ok = grant_moved(m, v, kept, last);
    free(kept);
    if (v->flags & MREMAP_DONTUNMAP) {
        cache_invalidate(p->cache, v->from, v->old_len);
    } else if (v->old_len > 0) {
        mem_forget(p, v->from, v->old_len);
        fill_hole(m, v->from, v->old_len);
    }
    return ok ? (i64)v->to : -ENOMEM;
}

/* Where a mapping that may move goes; the address or -errno. */
static i64 destination(const Memory *m, const Move *v)
{
    if (!(v->flags & MREMAP_FIXED))
        return mem_place(m, v->flags & MREMAP_DONTUNMAP ? v->to : 0, v->new_len, 0);
    if (v->to < v->from + v->old_len && v->from < v->to + v->new_len)
        return -EINVAL;
    return mem_place(m, v->to, v->new_len, MAP_FIXED);
}

static i64 remap(Process *p, Move *v)
{
    Memory *m = p->mem;
    bool must_move = v->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
    u64 end = v->from + v->old_len, new_end = v->from + v->new_len;
    i64 r;

    if (!extents_cover(&m->map, v->from, v->old_len ? end : v->from + PAGE_SIZE))
        return -EFAULT;
    if (mem_sealed(m, v->from, v->old_len ? v->old_len : PAGE_SIZE))
        return -EPERM;
    if (!must_move && v->old_len > 0 && v->new_len <= v->old_len) {
        r = v->new_len < v->old_len ? mem_unmap(p, new_end, v->old_len - v->new_len)
                                    : 0;
        return r < 0 ? r : (i64)v->from;
    }
    if (!must_move && v->old_len > 0 && new_end <= m->space.size &&
        !extents_touch(&m->map, end, new_end)) {
        r = grow_in_place(m, v->from, v->old_len, v->new_len);
        if (r >= 0)
            return r;
    }
    if (!(v->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    r = destination(m, v);
    if (r < 0)
        return r;
    v->to = (u64)r;
    return move(p, v);
}

i64 mem_mremap(Task *t, u64 addr, u64 old_len, u64 new_len, int flags, u64 new_addr)
{
    const int known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    Memory *m = t->process->mem;
    Move v = {addr, 0, new_addr, 0, flags};
    i64 r;

    if ((flags & ~known) || (addr & ~PAGE_MASK) || new_len == 0 ||
        (flags && !(flags & MREMAP_MAYMOVE)))
        return -EINVAL;
    if (!space_contains(&m->space, addr, old_len))
        return -EFAULT;
    if (new_len > m->space.size)
        return -ENOMEM;
    v.old_len = align_up(old_len, PAGE_SIZE);
    v.new_len = align_up(new_len, PAGE_SIZE);
    if ((flags & MREMAP_DONTUNMAP) && v.old_len != v.new_len)
        return -EINVAL;
    lock_take(&m->lock);
    r = remap(t->process, &v);
    lock_leave(&m->lock);
    if (r >= 0 && log_on(LOG_PAGE))
        log_printf("mremap 0x%llx+0x%llx -> 0x%llx+0x%llx\n", (long long)v.from,
                   (long long)v.old_len, (long long)r, (long long)v.new_len);
    return r;
}
