/* SPDX-License-Identifier: MIT */
/*
 * Page tables Sv39, Sv48 and Sv57 (privileged 4.3 to 4.5), with Svnapot, Svpbmt and
 * both ways of keeping A and D; and physical memory protection (3.7).
 */
#include <inttypes.h>
#include "priv.h"

#define PTE_V    (1ull << 0)
#define PTE_R    (1ull << 1)
#define PTE_W    (1ull << 2)
#define PTE_X    (1ull << 3)
#define PTE_U    (1ull << 4)
#define PTE_G    (1ull << 5)
#define PTE_A    (1ull << 6)
#define PTE_D    (1ull << 7)
#define PTE_PPN  (((1ull << 44) - 1) << 10)
#define PTE_PBMT (3ull << 61)
#define PTE_N    (1ull << 63)
#define PTE_RSVD (127ull << 54)

enum { PPN_SHIFT = 10, LEVEL_BITS = 9, NAPOT_BITS = 4 };
enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV57 = 10 };
enum { PMP_R = 1, PMP_W = 2, PMP_X = 4, PMP_L = 128 };
enum { PMP_OFF, PMP_TOR, PMP_NA4, PMP_NAPOT };

/* ---- physical memory protection ---- */

/* The addresses of entry i; false: none. */
static bool pmp_range(const Hart *h, u32 i, u64 *start, u64 *end)
{
    u64 addr = h->pmpaddr[i], ones;

    switch (h->pmpcfg[i] >> 3 & 3) {
    case PMP_TOR:
        *start = i ? h->pmpaddr[i - 1] << 2 : 0;
        *end = addr << 2;
        return *start < *end;
    case PMP_NA4:
        *start = addr << 2;
        *end = *start + 4;
        return true;
    case PMP_NAPOT:
        ones = addr ^ (addr + 1); /* 2^(n+1) - 1 for n trailing ones */
        *start = (addr & ~ones) << 2;
        *end = *start + ((ones + 1) << 2);
        return true;
    default: return false;
    }
}

void pmp_update(Hart *h)
{
    h->n_pmp = 0;
    h->pmp_on = false;
    for (u32 i = 0; i < PMP_ENTRIES; i++) {
        u64 start, end;

        h->pmp_on |= h->pmpcfg[i] & 0x18;
        if (!pmp_range(h, i, &start, &end))
            continue;
        h->pmp[h->n_pmp].start = start;
        h->pmp[h->n_pmp].end = end;
        h->pmp[h->n_pmp++].entry = i;
    }
}

/* Rights of [phys, end) in this mode as PMP_R...; split: an entry ends inside. */
static u8 pmp_find(const Hart *h, u64 phys, u64 end, u8 priv, bool *split)
{
    *split = false;
    for (u32 i = 0; i < h->n_pmp; i++) {
        u64 from = h->pmp[i].start, to = h->pmp[i].end;
        u8 cfg = h->pmpcfg[h->pmp[i].entry];

        if (to <= phys || from >= end)
            continue;
        if (from > phys || to < end) {
            *split = true;
            return 0;
        }
        if (priv == PRIV_M && !(cfg & PMP_L))
            return PMP_R | PMP_W | PMP_X;
        return cfg & (PMP_R | PMP_W | PMP_X);
    }
    return priv == PRIV_M || !h->pmp_on ? PMP_R | PMP_W | PMP_X : 0;
}

static u8 pmp_need(MmuAccess access)
{
    return access == MMU_READ ? PMP_R : access == MMU_WRITE ? PMP_W : PMP_X;
}

bool pmp_allows(const Hart *h, u64 phys, u32 size, u8 priv, MmuAccess access)
{
    bool split;

    return pmp_find(h, phys, phys + size, priv, &split) & pmp_need(access);
}

u8 pmp_rights(const Hart *h, u64 page, u8 priv)
{
    bool split;
    u8 allowed = pmp_find(h, page, page + PAGE_SIZE, priv, &split);

    return (u8)((allowed & PMP_R ? PAGE_READ : 0) | (allowed & PMP_W ? PAGE_WRITE : 0) |
                (allowed & PMP_X ? PAGE_EXEC : 0));
}

/* ---- refusing ---- */

static bool refuse(Env *env, u64 addr, u32 cause)
{
    env->trap = (Trap){.kind = TRAP_MEMORY, .code = (int)cause, .addr = addr};
    return false;
}

static bool page_fault(Env *env, u64 addr, MmuAccess access)
{
    return refuse(env, addr,
                  access == MMU_READ    ? CAUSE_LOAD_PAGE
                  : access == MMU_WRITE ? CAUSE_STORE_PAGE
                                        : CAUSE_FETCH_PAGE);
}

static bool access_fault(Env *env, u64 addr, MmuAccess access)
{
    return refuse(env, addr,
                  access == MMU_READ    ? CAUSE_LOAD_ACCESS
                  : access == MMU_WRITE ? CAUSE_STORE_ACCESS
                                        : CAUSE_FETCH_ACCESS);
}

/* ---- page tables ---- */

/* One walk: what is asked, and by whom. */
typedef struct Walk {
    Hart *h;
    Env *env;
    u64 addr;
    MmuAccess access;
    u8 priv; /* effective: MPRV counts */
    bool sum;
} Walk;

static u8 rights_of(const Walk *w, u64 pte)
{
    u8 rights = 0;

    if (w->priv == PRIV_U && !(pte & PTE_U))
        return 0;
    if (w->priv == PRIV_S && (pte & PTE_U) && (!w->sum || w->access == MMU_FETCH))
        return 0;
    if (pte & PTE_R || (w->h->mstatus & MSTATUS_MXR && pte & PTE_X))
        rights |= PAGE_READ;
    if (pte & PTE_W)
        rights |= PAGE_WRITE;
    if (pte & PTE_X && !(w->priv == PRIV_S && pte & PTE_U))
        rights |= PAGE_EXEC;
    return rights;
}

static u8 need_of(MmuAccess access)
{
    return access == MMU_READ    ? PAGE_READ
           : access == MMU_WRITE ? PAGE_WRITE
                                 : PAGE_EXEC;
}

/* Sets A, and D for a write; false: software has to (Svade), or *pte has changed. */
static bool mark(const Walk *w, _Atomic u64 *at, u64 *pte, bool *again)
{
    u64 want = *pte | PTE_A | (w->access == MMU_WRITE ? PTE_D : 0), old = *pte;

    *again = false;
    if (want == *pte)
        return true;
    if (!(w->h->menvcfg & ENVCFG_ADUE))
        return false;
    *again = !atomic_compare_exchange_strong(at, &old, want);
    if (UNLIKELY(w->h->mmu.marked != NULL) && !*again)
        w->h->mmu.marked(w->env, (u64 *)at, old);
    *pte = want;
    return !*again;
}

/* Bits that must be zero, given what is enabled. */
static bool reserved(const Walk *w, u64 pte, bool leaf)
{
    u64 bad = PTE_RSVD;

    if (!(w->h->menvcfg & ENVCFG_PBMTE) || !leaf)
        bad |= PTE_PBMT;
    if (!leaf)
        bad |= PTE_N | PTE_U | PTE_A | PTE_D;
    return pte & bad || (pte & PTE_PBMT) == PTE_PBMT;
}

/* The leaf's physical address for addr; false: the leaf is malformed. */
static bool leaf_address(u64 addr, u64 pte, u32 level, u64 *phys)
{
    u64 ppn = (pte & PTE_PPN) >> PPN_SHIFT, low = (1ull << level * LEVEL_BITS) - 1;

    if (pte & PTE_N) {
        if (level || (ppn & 15) != 8)
            return false;
        low = (1 << NAPOT_BITS) - 1;
        ppn &= ~low;
    } else if (ppn & low) {
        return false;
    }
    *phys = (ppn | (addr >> PAGE_BITS & low)) << PAGE_BITS | (addr & ~PAGE_MASK);
    return true;
}

static bool leaf(Walk *w, _Atomic u64 *at, u64 pte, u32 level, MmuPage *page,
                 bool *again)
{
    if (reserved(w, pte, true) || !(rights_of(w, pte) & need_of(w->access)) ||
        !leaf_address(w->addr, pte, level, &page->phys) || !mark(w, at, &pte, again))
        return *again || page_fault(w->env, w->addr, w->access);
    page->size = PAGE_SIZE << (pte & PTE_N ? NAPOT_BITS : level * LEVEL_BITS);
    page->rights = rights_of(w, pte);
    page->global |= (pte & PTE_G) != 0;
    if (!(pte & PTE_D))
        page->rights &= (u8)~PAGE_WRITE; /* the first write is to be seen */
    return true;
}

/* Levels below the root; 0: bare. */
static u32 levels_of(u64 satp)
{
    u32 mode = (u32)(satp >> 60);

    return mode >= SATP_SV39 && mode <= SATP_SV57 ? mode - SATP_SV39 + 3 : 0;
}

static bool walk_tables(Walk *w, u32 levels, MmuPage *page)
{
    u32 unused = 64 - (levels * LEVEL_BITS + PAGE_BITS);
    u64 table = (w->h->satp & ((1ull << 44) - 1)) << PAGE_BITS;

    if ((u64)((i64)(w->addr << unused) >> unused) != w->addr)
        return page_fault(w->env, w->addr, w->access);
    page->global = false;
    for (u32 level = levels; level-- > 0;) {
        u64 index = w->addr >> (PAGE_BITS + level * LEVEL_BITS) & 511;
        u64 where = table + index * 8, pte;
        _Atomic u64 *at = (_Atomic u64 *)bus_ram(w->h->mmu.bus, where, 8);
        bool again = false;

        if (!at || !pmp_allows(w->h, where, 8, PRIV_S, MMU_READ))
            return access_fault(w->env, w->addr, w->access);
        pte = atomic_load(at);
        if (!(pte & PTE_V) || (!(pte & PTE_R) && pte & PTE_W))
            break;
        if (pte & (PTE_R | PTE_X)) {
            bool done = leaf(w, at, pte, level, page, &again);

            if (!again)
                return done;
            level++; /* somebody has changed it: read it again */
            continue;
        }
        if (reserved(w, pte, false))
            break;
        page->global |= (pte & PTE_G) != 0; /* of all below (4.3.1) */
        table = (pte & PTE_PPN) >> PPN_SHIFT << PAGE_BITS;
    }
    return page_fault(w->env, w->addr, w->access);
}

/* The mode that an access counts as being made in. */
static u8 effective_priv(const Hart *h, MmuAccess access)
{
    if (h->priv == PRIV_M && h->mstatus & MSTATUS_MPRV && access != MMU_FETCH)
        return h->mstatus >> 11 & 3;
    return h->priv;
}

static bool look_up(Env *env, u64 addr, MmuAccess access, MmuPage *page)
{
    Hart *h = hart_of(env);
    Walk w = {
        h, env, addr, access, effective_priv(h, access), h->mstatus & MSTATUS_SUM};
    u32 levels = w.priv == PRIV_M ? 0 : levels_of(h->satp);

    if (levels) {
        if (!walk_tables(&w, levels, page))
            return false;
    } else {
        *page = (MmuPage){addr, PAGE_SIZE, PAGE_READ | PAGE_WRITE | PAGE_EXEC,
                          w.priv == PRIV_M};
    }
    if (!pmp_allows(h, page->phys, 1, w.priv, access))
        return access_fault(env, addr, access);
    page->rights &= pmp_rights(h, page->phys & PAGE_MASK, w.priv);
    return true;
}

static void log_walk(const Env *env, u64 addr, MmuAccess access, const MmuPage *page,
                     bool found)
{
    static const char *const names[] = {"read", "write", "fetch"};

    if (found)
        log_printf(
            "hart %u: %s %016" PRIx64 " at %" PRIx64 ", %c%c%c, page of %" PRIu64 "\n",
            hart_of(env)->id, names[access], addr, page->phys,
            page->rights & PAGE_READ ? 'r' : '-', page->rights & PAGE_WRITE ? 'w' : '-',
            page->rights & PAGE_EXEC ? 'x' : '-', page->size);
    else
        log_printf("hart %u: %s %016" PRIx64 " refused, cause %d\n", hart_of(env)->id,
                   names[access], addr, env->trap.code);
}

bool hart_walk(Env *env, u64 addr, MmuAccess access, MmuPage *page)
{
    bool found = look_up(env, addr, access, page);

    if (log_on(LOG_MMU))
        log_walk(env, addr, access, page, found);
    return found;
}
