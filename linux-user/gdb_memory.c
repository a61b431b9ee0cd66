/* SPDX-License-Identifier: MIT */
/* What the debugger does to memory: reading and writing, breakpoints, watchpoints. */
#include <string.h>
#include <sys/mman.h>
#include "gdb.h"
#include "mem.h"

/* ---- reading and writing ---- */

/* Copies within a page whose host protection allows it. */
static bool copy(const Space *s, u64 addr, void *bytes, u64 len, bool write)
{
    void *p = space_host(s, addr);

    return write ? fault_copy(p, bytes, len) : fault_copy(bytes, p, len);
}

/* The same whatever the page allows: as the kernel does it for ptrace. */
static bool force(const Space *s, u64 addr, void *bytes, u64 len, bool write)
{
    void *page = space_host(s, addr & PAGE_MASK);
    int prot = PROT_READ | (write ? PROT_WRITE : 0);
    bool done;

    if (mprotect(page, PAGE_SIZE, prot | space_prot(space_flags(s, addr))))
        return false;
    done = copy(s, addr, bytes, len, write);
    mprotect(page, PAGE_SIZE, space_prot(space_flags(s, addr)));
    return done;
}

static bool access_page(Gdb *g, u64 addr, void *bytes, u64 len, bool write)
{
    const Memory *m = g->process->mem;
    int need = write ? PROT_WRITE : PROT_READ;

    if (!mem_mapped(m, addr, len))
        return false;
    if (write && (space_flags(&m->space, addr) & (PAGE_EXEC | PAGE_CODE)))
        cache_drop(g->process->cache, addr, len);
    if (space_prot(space_flags(&m->space, addr)) & need)
        return copy(&m->space, addr, bytes, len, write);
    return force(&m->space, addr, bytes, len, write);
}

static bool access_memory(Gdb *g, u64 addr, u8 *bytes, u64 len, bool write)
{
    Memory *m = g->process->mem;
    bool good = space_contains(&m->space, addr, len);

    pthread_mutex_lock(&m->lock);
    for (u64 done = 0, n; good && done < len; done += n) {
        n = MIN(len - done, PAGE_SIZE - ((addr + done) & ~PAGE_MASK));
        good = access_page(g, addr + done, bytes + done, n, write);
    }
    pthread_mutex_unlock(&m->lock);
    return good;
}

bool gdb_read(Gdb *g, u64 addr, void *to, u64 len)
{
    return access_memory(g, addr, to, len, false);
}

bool gdb_write(Gdb *g, u64 addr, const void *from, u64 len)
{
    return access_memory(g, addr, (u8 *)from, len, true);
}

static bool is_mapped(Gdb *g, u64 addr)
{
    Memory *m = g->process->mem;
    bool mapped;

    pthread_mutex_lock(&m->lock);
    mapped = mem_mapped(m, addr, 1);
    pthread_mutex_unlock(&m->lock);
    return mapped;
}

/* ---- breakpoints and watchpoints ---- */

static bool any_break(const Gdb *g, u64 pc)
{
    for (guint i = 0; i < g->breaks->len; i++)
        if (g_array_index(g->breaks, GdbBreak, i).pc == pc)
            return true;
    return false;
}

static int find_break(const Gdb *g, char type, u64 pc)
{
    for (guint i = 0; i < g->breaks->len; i++) {
        const GdbBreak *b = &g_array_index(g->breaks, GdbBreak, i);

        if (b->pc == pc && b->type == type)
            return (int)i;
    }
    return -1;
}

static int find_watch(const Gdb *g, char type, u64 addr, u64 len)
{
    for (guint i = 0; i < g->watches->len; i++) {
        const GdbWatch *w = &g_array_index(g->watches, GdbWatch, i);

        if (w->addr == addr && w->len == len && w->type == type)
            return (int)i;
    }
    return -1;
}

enum { BREAKS = 10000, WATCHES = 64, WATCH_BYTES = 4096 };

int gdb_insert(Gdb *g, char type, u64 addr, u64 len)
{
    GdbBreak b = {addr, type};
    GdbWatch w = {addr, len, type};

    if (!is_mapped(g, addr))
        return EFAULT;
    if (type >= '2') {
        if (len == 0 || len > WATCH_BYTES || g->watches->len == WATCHES)
            return ENOSPC;
        if (find_watch(g, type, addr, len) < 0)
            g_array_append_val(g->watches, w);
        return 0;
    }
    if (find_break(g, type, addr) >= 0)
        return 0;
    if (g->breaks->len == BREAKS || !cache_stop_at(g->process->cache, addr, true))
        return ENOSPC;
    g_array_append_val(g->breaks, b);
    return 0;
}

int gdb_remove(Gdb *g, char type, u64 addr, u64 len)
{
    int i = type >= '2' ? find_watch(g, type, addr, len) : find_break(g, type, addr);

    if (i < 0)
        return ENOENT;
    if (type >= '2') {
        g_array_remove_index_fast(g->watches, (guint)i);
        return 0;
    }
    g_array_remove_index_fast(g->breaks, (guint)i);
    if (!any_break(g, addr))
        cache_stop_at(g->process->cache, addr, false);
    return 0;
}

void gdb_remove_all(Gdb *g)
{
    while (g->breaks->len) {
        GdbBreak b = g_array_index(g->breaks, GdbBreak, 0);

        gdb_remove(g, b.type, b.pc, 0);
    }
    g_array_set_size(g->watches, 0);
}

/* ---- hits ---- */

static bool wants(const GdbWatch *w, const Access *a)
{
    return (a->store && w->type != '3') || (a->load && w->type != '2');
}

bool gdb_watch_hit(Gdb *g, const Access *a, Stop *stop)
{
    for (guint i = 0; a->size && i < g->watches->len; i++) {
        const GdbWatch *w = &g_array_index(g->watches, GdbWatch, i);

        if (!wants(w, a) || a->addr >= w->addr + w->len || w->addr >= a->addr + a->size)
            continue;
        *stop = (Stop){.kind = STOP_WATCH,
                       .sig = SIGTRAP,
                       .type = w->type,
                       .value = MAX(w->addr, a->addr)};
        return true;
    }
    return false;
}

void gdb_watch_note(Gdb *g, GByteArray *now)
{
    u8 bytes[WATCH_BYTES];

    g_byte_array_set_size(now, 0);
    for (guint i = 0; i < g->watches->len; i++) {
        const GdbWatch *w = &g_array_index(g->watches, GdbWatch, i);

        if (w->type == '3' || !gdb_read(g, w->addr, bytes, w->len))
            memset(bytes, 0, w->len);
        g_byte_array_append(now, bytes, (guint)w->len);
    }
}

bool gdb_watch_changed(Gdb *g, const GByteArray *before, Stop *stop)
{
    GByteArray *now = g_byte_array_new();
    bool changed = false;
    guint at = 0;

    gdb_watch_note(g, now);
    for (guint i = 0; before->len == now->len && i < g->watches->len && !changed; i++) {
        const GdbWatch *w = &g_array_index(g->watches, GdbWatch, i);

        changed = memcmp(before->data + at, now->data + at, w->len) != 0;
        *stop = (Stop){
            .kind = STOP_WATCH, .sig = SIGTRAP, .type = w->type, .value = w->addr};
        at += (guint)w->len;
    }
    g_byte_array_free(now, TRUE);
    return changed;
}
