/* SPDX-License-Identifier: MIT */
/* Breakpoints and watchpoints: which there are, and what hits them. */
#include <errno.h>
#include "gdb.h"

/* ---- which there are ---- */

static bool any_break(const GdbStub *s, u64 pc)
{
    for (guint i = 0; i < s->breaks->len; i++)
        if (g_array_index(s->breaks, GdbBreak, i).pc == pc)
            return true;
    return false;
}

static int find_break(const GdbStub *s, char type, u64 pc)
{
    for (guint i = 0; i < s->breaks->len; i++) {
        const GdbBreak *b = &g_array_index(s->breaks, GdbBreak, i);

        if (b->pc == pc && b->type == type)
            return (int)i;
    }
    return -1;
}

static int find_watch(const GdbStub *s, char type, u64 addr, u64 len)
{
    for (guint i = 0; i < s->watches->len; i++) {
        const GdbWatch *w = &g_array_index(s->watches, GdbWatch, i);

        if (w->addr == addr && w->len == len && w->type == type)
            return (int)i;
    }
    return -1;
}

enum { BREAKS = 10000, WATCHES = 64 };

int gdb_insert(GdbStub *s, char type, u64 addr, u64 len)
{
    GdbBreak b = {addr, type};
    GdbWatch w = {addr, len, type};

    if (s->side->mapped && !s->side->mapped(s, addr))
        return EFAULT;
    if (type >= '2') {
        if (len == 0 || len > GDB_WATCH_BYTES || s->watches->len == WATCHES)
            return ENOSPC;
        if (find_watch(s, type, addr, len) < 0)
            g_array_append_val(s->watches, w);
        return 0;
    }
    if (find_break(s, type, addr) >= 0)
        return 0;
    if (s->breaks->len == BREAKS || !cache_stop_at(s->cache, addr, true))
        return ENOSPC;
    g_array_append_val(s->breaks, b);
    return 0;
}

int gdb_remove(GdbStub *s, char type, u64 addr, u64 len)
{
    int i = type >= '2' ? find_watch(s, type, addr, len) : find_break(s, type, addr);

    if (i < 0)
        return ENOENT;
    if (type >= '2') {
        g_array_remove_index_fast(s->watches, (guint)i);
        return 0;
    }
    g_array_remove_index_fast(s->breaks, (guint)i);
    if (!any_break(s, addr))
        cache_stop_at(s->cache, addr, false);
    return 0;
}

void gdb_remove_all(GdbStub *s)
{
    while (s->breaks->len) {
        GdbBreak b = g_array_index(s->breaks, GdbBreak, 0);

        gdb_remove(s, b.type, b.pc, 0);
    }
    g_array_set_size(s->watches, 0);
}

/* ---- hits ---- */

static bool wants(const GdbWatch *w, const Access *a)
{
    return (a->store && w->type != '3') || (a->load && w->type != '2');
}

bool gdb_watch_hit(const GdbStub *s, const Access *a, Stop *stop)
{
    for (guint i = 0; a->size && i < s->watches->len; i++) {
        const GdbWatch *w = &g_array_index(s->watches, GdbWatch, i);

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
