/* SPDX-License-Identifier: MIT */
/*
 * Code that changes.  Pages with translated code are write-protected; a write drops
 * their blocks.  A page that is written again and again becomes hot: it stays
 * writable, and its blocks compare their source bytes on entry.
 */
#include <string.h>
#include <sys/mman.h>
#include "accel_interp.h"
#include "saved.h"

static void drop_page(Cache *c, u64 page)
{
    gpointer key = GSIZE_TO_POINTER(page >> PAGE_BITS);
    u32 i = GPOINTER_TO_UINT(g_hash_table_lookup(c->pages, key));

    if (!i)
        return;
    for (; i; i = c->refs[i].next)
        tb_drop(c, &c->tbs[c->refs[i].tb]);
    g_hash_table_remove(c->pages, key);
    c->last_page = ~0ull;
}

static void set_protection(Cache *c, u64 page, u8 flags)
{
    mprotect(space_host(c->space, page), PAGE_SIZE, space_prot(flags));
}

bool smc_protect(Cache *c, u64 page)
{
    u8 flags;

    lock_take(&c->pages_lock);
    flags = space_flags(c->space, page);
    if (!(flags & PAGE_HOT)) {
        space_set_bits(c->space, page, PAGE_SIZE, PAGE_CODE);
        set_protection(c, page, flags | PAGE_CODE);
    }
    lock_leave(&c->pages_lock);
    return !(flags & PAGE_HOT);
}

/* Was it protected? */
static bool unprotect(Cache *c, u64 page)
{
    u8 flags;

    lock_take(&c->pages_lock);
    flags = space_flags(c->space, page);
    if (flags & PAGE_CODE) {
        space_clear_bits(c->space, page, PAGE_SIZE, PAGE_CODE);
        if (flags & PAGE_WRITE)
            set_protection(c, page, flags & ~PAGE_CODE);
    }
    lock_leave(&c->pages_lock);
    return flags & PAGE_CODE;
}

bool smc_write(Cache *c, u64 addr, const Tb *running)
{
    u64 page = addr & PAGE_MASK;
    gpointer key = GSIZE_TO_POINTER(page >> PAGE_BITS);
    u32 heat = GPOINTER_TO_UINT(g_hash_table_lookup(c->heat, key)) + 1;
    bool was_alive = running->state == TB_ALIVE;

    c->stats.smc_faults++;
    if (log_on(LOG_SMC))
        log_printf("smc: write to 0x%llx\n", (unsigned long long)addr);
    g_hash_table_insert(c->heat, key, GUINT_TO_POINTER(heat));
    if (heat == HOT_PAGE_FAULTS) {
        c->stats.hot_pages++;
        space_set_bits(c->space, page, PAGE_SIZE, PAGE_HOT);
    }
    drop_page(c, page);
    unprotect(c, page);
    return !was_alive || running->state != TB_ALIVE;
}

/* ---- asked for from outside generated code ---- */

static void drop_range(Cache *c, u64 addr, u64 len, bool changed)
{
    u64 first = addr & PAGE_MASK, end = addr + len;

    for (u64 page = first; page < end; page += PAGE_SIZE) {
        u8 flags = space_flags(c->space, page);

        drop_page(c, page);
        if (changed) {
            space_clear_bits(c->space, page, PAGE_SIZE, PAGE_CODE | PAGE_HOT);
            g_hash_table_remove(c->heat, GSIZE_TO_POINTER(page >> PAGE_BITS));
        } else if (flags & PAGE_CODE) {
            unprotect(c, page);
        }
    }
}

/* Pages of a large range that have blocks at all. */
static void drop_known(Cache *c, u64 addr, u64 len)
{
    GHashTableIter iter;
    gpointer key;
    GArray *pages = g_array_new(FALSE, FALSE, sizeof(u64));

    g_hash_table_iter_init(&iter, c->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        u64 page = (u64)GPOINTER_TO_SIZE(key) << PAGE_BITS;

        if (page >= (addr & PAGE_MASK) && page < addr + len)
            g_array_append_val(pages, page);
    }
    for (u32 i = 0; i < pages->len; i++)
        drop_page(c, g_array_index(pages, u64, i));
    g_array_free(pages, TRUE);
}

/* Blocks of a saved file jump to each other, and cannot be dropped one by one. */
static void forget_saved(Cache *c, u64 addr, u64 len)
{
    if (UNLIKELY(c->saved != NULL) && saved_forget(c, addr, len))
        exec_flush(c, NULL);
}

void cache_invalidate(Cache *c, u64 addr, u64 len)
{
    if (c->interp) {
        interp_cache_map(c->interp);
        return;
    }
    lock_take(&c->lock);
    forget_saved(c, addr, len);
    if (len >> PAGE_BITS > g_hash_table_size(c->pages)) {
        drop_known(c, addr, len);
        space_clear_bits(c->space, addr, len, PAGE_CODE | PAGE_HOT);
    } else {
        drop_range(c, addr, len, true);
    }
    lock_leave(&c->lock);
}

/* ---- a system's devices ---- */

/* The page's blocks are to be dropped: not now, since whoever writes may hold locks
 * that a CPU inside generated code waits for.  A guest knows no difference before its
 * fence.i. */
static void put_off(Cache *c, u64 page)
{
    lock_take(&c->pages_lock);
    if (c->n_written < ARRAY_SIZE(c->written))
        c->written[c->n_written] = page;
    c->n_written++;
    lock_leave(&c->pages_lock);
}

void smc_catch_up(Cache *c)
{
    u64 page[ARRAY_SIZE(c->written)];
    u32 n;

    if (!atomic_load(&c->n_written))
        return;
    lock_take(&c->pages_lock);
    n = c->n_written;
    c->n_written = 0;
    memcpy(page, c->written, sizeof page);
    lock_leave(&c->pages_lock);
    if (n > ARRAY_SIZE(page)) {
        drop_known(c, 0, c->space->size);
        return;
    }
    for (u32 i = 0; i < n; i++)
        drop_page(c, page[i]);
}

/* Pages that guests cannot write are not watched: flash may hold code at any time. */
static void device_write(Cache *c, u64 addr, u64 len)
{
    for (u64 page = addr & PAGE_MASK; page < addr + len; page += PAGE_SIZE)
        if (unprotect(c, page) || !(space_flags(c->space, page) & PAGE_WRITE))
            put_off(c, page);
}

bool cache_device_fault(Cache *c, const void *host)
{
    u64 addr = (u64)(uintptr_t)host - (u64)(uintptr_t)c->space->base;

    if (!c->options.system || !(space_flags(c->space, addr) & PAGE_WRITE))
        return false;
    device_write(c, addr, 1);
    return true;
}

void cache_host_write(Cache *c, u64 addr, u64 len)
{
    bool watched = space_flags(c->space, addr) & PAGE_WRITE;

    if (!len || (watched && !space_any(c->space, addr, len, PAGE_CODE)))
        return;
    if (c->options.system) {
        device_write(c, addr, len);
        return;
    }
    if (c->interp)
        return;
    lock_take(&c->lock);
    forget_saved(c, addr, len);
    drop_range(c, addr, len, false);
    lock_leave(&c->lock);
}

void cache_drop(Cache *c, u64 addr, u64 len)
{
    if (c->interp) {
        interp_cache_flush(c->interp);
        return;
    }
    lock_take(&c->lock);
    forget_saved(c, addr, len);
    drop_known(c, addr, len);
    lock_leave(&c->lock);
}

/* Shared mappings may be written through another address or by another process. */
void cache_fence_i(Cache *c)
{
    GHashTableIter iter;
    gpointer key;
    GArray *pages;

    if (c->interp) {
        interp_cache_map(c->interp);
        return;
    }
    lock_take(&c->lock);
    if (c->options.system) { /* writes are seen, but for these */
        smc_catch_up(c);
        lock_leave(&c->lock);
        return;
    }
    pages = g_array_new(FALSE, FALSE, sizeof(u64));
    g_hash_table_iter_init(&iter, c->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        u64 page = (u64)GPOINTER_TO_SIZE(key) << PAGE_BITS;

        if (space_flags(c->space, page) & PAGE_SHARED)
            g_array_append_val(pages, page);
    }
    for (u32 i = 0; i < pages->len; i++)
        drop_page(c, g_array_index(pages, u64, i));
    g_array_free(pages, TRUE);
    lock_leave(&c->lock);
}
