/* SPDX-License-Identifier: MIT */
/*
 * Blocks: the tables they are kept in, finding one by guest pc or host address, and
 * the map from host offsets back to guest pcs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "accel_interp.h"
#include "check.h"
#include "explain.h"
#include "saved.h"
#include "stride.h"

/* ---- making the cache ---- */

static const void **all_helpers(const GuestRegs *guest)
{
    /* as the ops tlb_* are ordered */
    static HelperFn *const misses[] = {mmu_miss_r1, mmu_miss_r2, mmu_miss_r4,
                                       mmu_miss_r8, mmu_miss_w1, mmu_miss_w2,
                                       mmu_miss_w4, mmu_miss_w8};
    const void **all = calloc(guest->n_helpers + OP_COUNT, sizeof *all);

    for (u32 i = 0; all && i < guest->n_helpers; i++)
        all[i] = (const void *)guest->helpers[i].fn;
    for (u32 i = 0; all && i < OP_COUNT; i++)
        all[guest->n_helpers + i] = (const void *)interp_fn[i];
    for (u32 i = 0; all && i < ARRAY_SIZE(misses); i++)
        all[guest->n_helpers + OP_tlb_r1 + i] = (const void *)misses[i];
    if (all)
        all[guest->n_helpers + HELPER_AHEAD] = (const void *)strides_on;
    return all;
}

/* Takes n bytes, rounded to pages, from the block of memory at *p. */
static void *carve(u8 **p, size_t n)
{
    u8 *at = *p;

    *p += align_up(n, PAGE_SIZE);
    return at;
}

bool tb_make_tables(Cache *c, size_t size, size_t more)
{
    size_t data;
    u8 *p;

    c->max_tbs = (u32)(size / 40);
    c->max_exits = (u32)(size / 16);
    c->max_refs = c->max_tbs * 2;
    c->max_maps = (u32)size / 2;
    data = c->max_tbs * sizeof(Tb) + c->max_exits * sizeof(TbExit) + c->max_maps +
           c->max_refs * sizeof(PageRef) + (sizeof(u32) << HASH_BITS) + 6 * PAGE_SIZE;
    if (!code_map(c, size, data + more))
        return false;
    p = c->exec + size;
    c->tbs = carve(&p, c->max_tbs * sizeof(Tb));
    c->exits = carve(&p, c->max_exits * sizeof(TbExit));
    c->refs = carve(&p, c->max_refs * sizeof(PageRef));
    c->hash = carve(&p, sizeof(u32) << HASH_BITS);
    c->maps = carve(&p, c->max_maps);
    c->tables_end = (u64)(p - c->exec);
    return true;
}

static bool make_translator(Cache *c, const CacheOptions *options, const Guest *guest)
{
    size_t size = options->code_size ? options->code_size : CODE_DEFAULT;

    size = MIN(MAX(align_up(size, 1 << 16), CODE_LEAST), (size_t)1 << 30);
    if (options->explain)
        size = MIN(size, (size_t)EXPLAIN_CODE_MOST);
    c->stencils = stencils_pick(options->no_v3);
    c->plans = calloc(MAX_PLANS, sizeof *c->plans);
    c->ir = ir_new();
    c->task = calloc(1, sizeof *c->task);
    if (options->saved && !tb_make_tables(c, size, SAVED_AREA))
        c->options.saved = NULL; /* there may be room for the rest */
    if (!c->plans || !c->ir || !c->task ||
        (!c->options.saved && !tb_make_tables(c, size, 0)))
        return false;
    plan_default(&c->plans[0], &guest->regs);
    emit_thunks(&c->thunks, c->stencils, &c->plans[0], c->write,
                (const struct Guest *)guest, 0, !options->system);
    c->at_start = c->thunks.end;
    perf_begin(c);
    if (c->options.saved)
        saved_begin(c);
    c->pages = g_hash_table_new(g_direct_hash, g_direct_equal);
    c->heat = g_hash_table_new(g_direct_hash, g_direct_equal);
    if (options->check && !(c->check = check_new(c->max_tbs)))
        return false;
    cache_reset(c);
    if (options->explain && !(c->explain = explain_new(c, options->explain)))
        return false;
    return true;
}

_Static_assert(offsetof(Cache, plan_hash) <= PAGE_SIZE, "in one page");

Cache *cache_new(const CacheOptions *options, const Guest *guest, Space *space)
{
    Cache *c = aligned_alloc(PAGE_SIZE, align_up(sizeof *c, PAGE_SIZE));
    bool ok;

    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    c->options = *options;
    if (!c->options.hot)
        c->options.hot = HOT_DEFAULT;
    if (c->options.max_insns == 1 || options->budget)
        c->options.hot = HOT_NEVER; /* a trace would be longer, and is left half way */
    c->guest = guest;
    c->space = space;
    c->timed = options->counted;
    c->helpers = all_helpers(&guest->regs);
    if (options->interp)
        ok = (c->interp = interp_cache_new(options, guest, space));
    else
        ok = make_translator(c, options, guest);
    if (!ok || !c->helpers) {
        free(c);
        return NULL;
    }
    return c;
}

void cache_reset(Cache *c)
{
    if (c->explain)
        explain_collect(c, true);
    fork_own_all(c, c->at_start);
    c->at = c->at_start;
    c->n_tbs = 1;
    c->n_exits = c->n_maps = c->n_refs = 1;
    if (c->n_plans > 1)
        memset(c->plan_hash, 0, sizeof c->plan_hash);
    c->n_plans = 1;
    c->low_tb = c->max_tbs;
    saved_reset(c);
    strides_reset(c);
    if (c->check)
        check_reset(c->check);
    if (c->joints)
        g_hash_table_remove_all(c->joints);
    madvise((void *)c->hash, sizeof(u32) << HASH_BITS, MADV_DONTNEED);
    g_hash_table_remove_all(c->pages);
    c->last_page = ~0ull;
    c->epoch++;
}

/* ---- finding ---- */

/* Neighbours share slots: a small program is to touch few pages of the table. */
static u32 hash_of(u64 pc, u64 flags)
{
    u64 mix = pc >> 4 ^ pc >> (HASH_BITS + 4) ^ (flags & KEY_PHYS) >> PAGE_BITS;

    return (u32)mix & ((1u << HASH_BITS) - 1);
}

Tb *tb_find(Cache *c, u64 pc, u64 flags)
{
    u32 i = atomic_load_explicit(&c->hash[hash_of(pc, flags)], memory_order_acquire);

    for (; i; i = c->tbs[i].hash_next) {
        Tb *tb = &c->tbs[i];

        if (tb->pc == pc && tb->flags == flags && tb->state == TB_ALIVE)
            return tb;
    }
    return NULL;
}

void tb_insert(Cache *c, Tb *tb)
{
    _Atomic u32 *slot = &c->hash[hash_of(tb->pc, tb->flags)];

    tb->hash_next = *slot;
    tb->state = TB_ALIVE;
    atomic_store_explicit(slot, tb_number(c, tb), memory_order_release);
}

static void hash_remove(Cache *c, Tb *tb)
{
    u32 n = tb_number(c, tb), i = c->hash[hash_of(tb->pc, tb->flags)];

    if (i == n) {
        c->hash[hash_of(tb->pc, tb->flags)] = tb->hash_next;
        return;
    }
    for (; i; i = c->tbs[i].hash_next)
        if (c->tbs[i].hash_next == n) {
            c->tbs[i].hash_next = tb->hash_next;
            return;
        }
}

/* Its code stays until the next flush: threads may still be in it. */
void tb_drop(Cache *c, Tb *tb)
{
    if (tb->state != TB_ALIVE)
        return;
    __atomic_store_n(&tb->state, TB_DEAD, __ATOMIC_SEQ_CST);
    hash_remove(c, tb);
    chain_unlink_into(c, tb);
    chain_unlink_from(c, tb);
    for (Thread *t = c->threads; t; t = t->next) {
        JumpSlot *slot = &t->env->jump_cache[jump_slot(tb->pc)];
        JumpSlot *more = &t->env->jump_more[jump_more_slot(tb->pc)];

        if (more->host ==
            c->exec + tb->code) /* first: a thunk copies it to the other */
            __atomic_store_n(&more->pc, JUMP_MORE_EMPTY, __ATOMIC_SEQ_CST);
        if (slot->host == c->exec + tb->code)
            __atomic_store_n(&slot->pc, JUMP_EMPTY, __ATOMIC_SEQ_CST);
    }
    c->stats.invalidated++;
    if (c->explain)
        explain_of(c, tb)->dropped++;
}

Tb *tb_at(Cache *c, u32 offset)
{
    u32 low = 1, high = c->n_tbs;

    if (offset < c->at_start || offset >= c->at)
        return NULL;
    while (low < high) {
        u32 mid = (low + high) / 2;

        if (c->tbs[mid].code <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 1 && offset < c->tbs[low - 1].end ? &c->tbs[low - 1] : NULL;
}

void tb_page_add(Cache *c, u32 tb, u64 page)
{
    gpointer key = GSIZE_TO_POINTER(page >> PAGE_BITS);
    u32 first = page == c->last_page
                    ? c->last_ref
                    : GPOINTER_TO_UINT(g_hash_table_lookup(c->pages, key));

    if (first && c->refs[first].tb == tb)
        return;
    if (first) { /* second in the list: the table keeps its entry */
        c->refs[c->n_refs] = (PageRef){tb, c->refs[first].next};
        c->refs[first].next = c->n_refs;
    } else {
        first = c->n_refs;
        c->refs[first] = (PageRef){tb, 0};
        g_hash_table_insert(c->pages, key, GUINT_TO_POINTER(first));
    }
    c->n_refs++;
    c->last_page = page;
    c->last_ref = first;
}

u16 tb_plan(Cache *c, const Plan *plan)
{
    u32 mask = (1 << PLAN_BITS) - 1, h = 0;

    for (u32 i = 0; i < ENV_GLOBALS; i++)
        h = (h ^ plan->host[i]) * 0x01000193;
    for (h = h >> (32 - PLAN_BITS);; h = (h + 1) & mask) {
        u16 found = c->plan_hash[h];

        if (found && !memcmp(&c->plans[found], plan, sizeof *plan))
            return found;
        if (!found)
            break;
    }
    c->plans[c->n_plans] = *plan;
    return c->plan_hash[h] = (u16)c->n_plans++;
}

/* ---- host offset -> guest pc ---- */

enum { NOT_APART = UINT32_MAX };

static void map_put(Cache *c, u64 v)
{
    for (; v >= 128; v >>= 7)
        c->maps[c->n_maps++] = (u8)(v | 128);
    c->maps[c->n_maps++] = (u8)v;
}

static u64 map_get(const u8 **p)
{
    u64 v = 0;

    for (u32 shift = 0;; shift += 7) {
        u8 b = *(*p)++;

        v |= (u64)(b & 127) << shift;
        if (!(b & 128))
            return v;
    }
}

/* For each instruction: how far its host code is from the last one's, and its pc. */
void tb_map_add(Cache *c, Tb *tb, const EmitTask *t, const Ir *ir)
{
    u32 at = tb->code;
    u64 pc = tb->pc;

    tb->map = c->n_maps;
    map_put(c, t->n_apart);
    for (u32 i = 0; i < t->n_apart; i++) {
        map_put(c, t->apart[i].at - at);
        map_put(c, t->apart[i].insn);
        at = t->apart[i].at;
    }
    at = tb->code;
    for (u32 i = 0; i < ir->n_insns; i++) {
        i64 step = (i64)(ir->insns[i].pc - pc);
        Canon due = ir->insns[i].canon;
        bool any = due.d | due.s;

        map_put(c, t->insn_at[i] - at);
        map_put(c, ((u64)step << 1 ^ (u64)(step >> 63)) << 1 | any);
        if (any) {
            map_put(c, due.d);
            map_put(c, due.s);
        }
        at = t->insn_at[i];
        pc = ir->insns[i].pc;
    }
}

/* Reads the list of what stands apart.  Which instruction an offset in there belongs
 * to; NOT_APART: it is not there. */
static u32 find_apart(const Tb *tb, u32 offset, const u8 **p)
{
    u32 n = (u32)map_get(p), at = tb->code, found = NOT_APART;

    while (n--) {
        u32 insn;

        at += (u32)map_get(p);
        insn = (u32)map_get(p);
        if (at <= offset)
            found = insn;
    }
    return found;
}

void tb_map_pcs(const Tb *tb, const u8 *maps, u64 *pcs)
{
    const u8 *p = maps + tb->map;
    u64 pc = tb->pc;

    find_apart(tb, 0, &p);
    for (u32 i = 0; i < tb->n_insns; i++) {
        u64 step;

        map_get(&p);
        step = map_get(&p);
        if (step & 1) {
            map_get(&p);
            map_get(&p);
        }
        pc += (step >> 2) ^ -(step >> 1 & 1);
        pcs[i] = pc;
    }
}

u32 tb_pc_at(Cache *c, const Tb *tb, u32 offset, u64 *pc, Canon *due)
{
    const u8 *p = c->maps + tb->map;
    u32 at = tb->code, begun = 0;
    u32 apart = find_apart(tb, offset, &p);
    u64 here = tb->pc;

    *pc = tb->pc;
    *due = (Canon){0, 0};
    for (u32 i = 0; i < tb->n_insns; i++) {
        Canon now = {0, 0};
        u64 step;

        at += (u32)map_get(&p);
        step = map_get(&p);
        if (step & 1) {
            now.d = map_get(&p);
            now.s = map_get(&p);
        }
        here += (step >> 2) ^ -(step >> 1 & 1);
        if (apart == NOT_APART ? at > offset : i > apart)
            break;
        *pc = here;
        *due = now;
        begun++;
    }
    return begun;
}

/* ---- figures ---- */

void cache_stats(Cache *c, CacheStats *out)
{
    lock_take(&c->lock);
    *out = c->stats;
    if (c->interp)
        interp_cache_stats(c->interp, out);
    for (Thread *t = c->threads; t; t = t->next)
        exec_add_stats(t, out);
    lock_leave(&c->lock);
}
