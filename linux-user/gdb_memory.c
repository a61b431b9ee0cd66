/* SPDX-License-Identifier: MIT */
/* What the debugger does to memory: reading and writing, and what system calls do. */
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

    if (!mem_covers(m, addr, len))
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

    lock_take(&m->lock);
    for (u64 done = 0, n; good && done < len; done += n) {
        n = MIN(len - done, PAGE_SIZE - ((addr + done) & ~PAGE_MASK));
        good = access_page(g, addr + done, bytes + done, n, write);
    }
    lock_leave(&m->lock);
    return good;
}

bool gdb_read(GdbStub *s, u64 addr, void *to, u64 len)
{
    return access_memory(gdb_of(s), addr, to, len, false);
}

bool gdb_write(GdbStub *s, u64 addr, const void *from, u64 len)
{
    return access_memory(gdb_of(s), addr, (u8 *)from, len, true);
}

bool gdb_mapped(GdbStub *s, u64 addr)
{
    return mem_mapped(gdb_of(s)->process->mem, addr, 1);
}

/* ---- watchpoints and system calls ---- */

void gdb_watch_note(Gdb *g, GByteArray *now)
{
    u8 bytes[GDB_WATCH_BYTES];

    g_byte_array_set_size(now, 0);
    for (guint i = 0; i < g->stub.watches->len; i++) {
        const GdbWatch *w = &g_array_index(g->stub.watches, GdbWatch, i);

        if (w->type == '3' || !gdb_read(&g->stub, w->addr, bytes, w->len))
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
    for (guint i = 0; before->len == now->len && i < g->stub.watches->len && !changed;
         i++) {
        const GdbWatch *w = &g_array_index(g->stub.watches, GdbWatch, i);

        changed = memcmp(before->data + at, now->data + at, w->len) != 0;
        *stop = (Stop){
            .kind = STOP_WATCH, .sig = SIGTRAP, .type = w->type, .value = w->addr};
        at += (guint)w->len;
    }
    g_byte_array_free(now, TRUE);
    return changed;
}
