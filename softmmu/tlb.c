/* SPDX-License-Identifier: MIT */
/*
 * Virtual addresses of a system guest: a table of pages that generated code looks up
 * itself, one for each of the guest's modes, and all that it leaves to C: filling,
 * devices, accesses across pages.  Flushing is cheap where little was filled.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "softmmu.h"

enum { TLB_LEAST_BITS = 8, TLB_MOST_BITS = 13 };

/* ---- the tables ---- */

static u32 entries_of(const Tlb *t) { return 1u << t->bits; }

static void clear(Tlb *t)
{
    for (u32 i = 0; i < entries_of(t); i++)
        t->entry[i].read = t->entry[i].write = TLB_NONE;
    t->filled = 0;
}

/* The table becomes a fresh one of so many bits; it stays as it is without memory. */
static void resize(Tlb *t, u32 bits)
{
    TlbEntry *entry = malloc(sizeof *entry << bits);

    if (!entry)
        return;
    free(t->entry);
    t->entry = entry;
    t->bits = bits;
    t->pushed_out = 0;
    clear(t);
}

/* A table that was full when it was flushed was too small. */
static void flush(Tlb *t)
{
    u32 used = t->filled, size = entries_of(t);

    if (used > size / 2 && t->bits < TLB_MOST_BITS)
        resize(t, t->bits + 1);
    else if (used && used < size / 16 && t->bits > TLB_LEAST_BITS)
        resize(t, t->bits - 1);
    else if (used)
        clear(t);
}

static void forget_near(Env *env)
{
    for (u64 left = env->near_used; left; left &= left - 1) {
        u32 i = (u32)__builtin_ctzll(left);

        env->near_page[i] = NEAR_NONE;
        env->near_host[i] = 0;
    }
    env->near_used = 0;
}

/* Env's view of the mode's table. */
static void show(Env *env)
{
    const Tlb *t = &env->mmu->now->tlb[env->mmu->mode];

    env->tlb = t->entry;
    env->tlb_mask = (entries_of(t) - 1) * sizeof(TlbEntry);
    forget_near(env);
}

static bool space_new(MmuSpace *s)
{
    for (u32 i = 0; i < MMU_MODES; i++)
        if (!s->tlb[i].entry)
            resize(&s->tlb[i], TLB_LEAST_BITS);
    return s->tlb[MMU_MODES - 1].entry;
}

bool mmu_init(Mmu *m, Env *env, Bus *bus, MmuWalk *walk)
{
    *m = (Mmu){.bus = bus, .walk = walk, .now = m->space};
    if (getrandom(&m->last_tag, 8, 0) != 8 || getrandom(&m->key_factor, 8, 0) != 8)
        return false;
    m->key_factor |= 1;
    for (u32 i = 0; i < MMU_CODE_PAGES; i++)
        m->code[i].pc = JUMP_EMPTY;
    for (u32 i = 0; i < MMU_SPACES; i++)
        if (!space_new(&m->space[i]))
            return false;
    env->mmu = m;
    env->base = 0;
    env->near_used = ~0ull;
    show(env);
    return true;
}

void mmu_free(Mmu *m)
{
    for (u32 i = 0; i < MMU_SPACES; i++)
        for (u32 j = 0; j < MMU_MODES; j++)
            free(m->space[i].tlb[j].entry);
}

/* ---- tags: what pcs mean ---- */

/* Numbers that no two spaces have had, and whose differences no guest knows: a pc that
 * is looked up with one is never taken for another's (but for once in 2^60 tries). */
static u64 new_tag(Mmu *m)
{
    u64 x = m->last_tag += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) | 1;
}

/* A kernel's code is in all spaces: what is known of it outlasts its switching them. */
static MmuTag *tag_now(Mmu *m)
{
    return m->now->id && m->all_global[m->mode] ? &m->global : &m->now->tag;
}

/* The code at hand has a tag, and Env knows it; lowest bit: as in a pc. */
static void retag(Env *env)
{
    MmuTag *t = tag_now(env->mmu);

    if (!t->tag)
        *t = (MmuTag){.tag = new_tag(env->mmu), .low = ~0ull};
    env->jump_tag = (t->tag ^ (env->key_flags + 1) * env->mmu->key_factor) & ~1ull;
}

static u64 code_bit(u64 pc) { return pc >> PAGE_BITS & (MMU_TAG_PAGES - 1); }

static bool knows_code(const MmuTag *t, u64 pc)
{
    return pc >= t->low && pc <= t->high &&
           t->code[code_bit(pc) / 64] >> code_bit(pc) % 64 & 1;
}

static void note_code(MmuTag *t, u64 pc)
{
    t->low = MIN(t->low, pc & PAGE_MASK);
    t->high = MAX(t->high, pc | ~PAGE_MASK);
    t->code[code_bit(pc) / 64] |= 1ull << code_bit(pc) % 64;
}

/* ---- entering ---- */

/* The space of this name, or the one unused for longest made to be it. */
static MmuSpace *find_space(Mmu *m, u64 id)
{
    MmuSpace *oldest = m->space;

    for (u32 i = 0; i < MMU_SPACES; i++) {
        MmuSpace *s = &m->space[i];

        if (s->id == id && s->used)
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    for (u32 i = 0; i < MMU_MODES; i++)
        flush(&oldest->tlb[i]);
    oldest->id = id;
    oldest->tag.tag = 0;
    return oldest;
}

void mmu_enter(Env *env, u64 id, u32 mode)
{
    Mmu *m = env->mmu;

    if (m->now->id != id || !m->now->used)
        m->now = find_space(m, id);
    m->now->used = ++m->uses;
    m->mode = mode;
    retag(env);
    show(env);
}

/* ---- flushing ---- */

static void flush_space(MmuSpace *s)
{
    for (u32 i = 0; i < MMU_MODES; i++)
        flush(&s->tlb[i]);
    s->tag.tag = 0;
}

static void flush_global(Mmu *m)
{
    m->global.tag = 0;
    for (u32 i = 0; i < MMU_MODES; i++)
        m->all_global[i] = true;
}

void mmu_flush_spaces(Env *env, u64 bits, u64 mask)
{
    Mmu *m = env->mmu;

    for (u32 i = 0; i < MMU_SPACES; i++)
        if (m->space[i].used && (m->space[i].id & mask) == bits)
            flush_space(&m->space[i]);
    if (!mask)
        flush_global(m);
    m->flushes++;
    retag(env);
    show(env);
}

void mmu_flush(Env *env)
{
    env->mmu->large[0].end = env->mmu->large[1].end = 0;
    mmu_flush_spaces(env, 0, 0);
}

static TlbEntry *slot(Tlb *t, u64 addr)
{
    return &t->entry[addr >> PAGE_BITS & (entries_of(t) - 1)];
}

static void flush_page(MmuSpace *s, u64 addr)
{
    for (u32 i = 0; i < MMU_MODES; i++) {
        TlbEntry *e = slot(&s->tlb[i], addr);

        e->read = e->write = TLB_NONE;
    }
    if (knows_code(&s->tag, addr))
        s->tag.tag = 0;
}

void mmu_flush_page(Env *env, u64 addr, u64 bits, u64 mask)
{
    Mmu *m = env->mmu;
    u64 start = m->large[addr >> 63].start, end = m->large[addr >> 63].end;

    if (addr >= start && addr <= end && end) {
        mmu_flush_spaces(env, bits, mask);
        return;
    }
    for (u32 i = 0; i < MMU_SPACES; i++)
        if (m->space[i].used && (m->space[i].id & mask) == bits)
            flush_page(&m->space[i], addr);
    if (!mask && knows_code(&m->global, addr))
        m->global.tag = 0;
    forget_near(env);
    retag(env);
}

/* ---- large pages ---- */

/* The range that holds all large entries of this half grows. */
static void note_large(Mmu *m, u64 addr, u64 size)
{
    u64 start = align_down(addr, size), end = start + size - 1; /* it may be the last */
    u32 half = (u32)(addr >> 63);

    if (!m->large[half].end) {
        m->large[half].start = start;
        m->large[half].end = end;
    }
    m->large[half].start = MIN(m->large[half].start, start);
    m->large[half].end = MAX(m->large[half].end, end);
}

/* ---- code ---- */

bool mmu_code(Env *env, u64 pc, u64 *phys)
{
    Mmu *m = env->mmu;
    MmuCode *c = &m->code[pc >> PAGE_BITS & (MMU_CODE_PAGES - 1)];
    MmuPage found;

    if (c->pc != ((pc & PAGE_MASK) ^ env->jump_tag)) {
        m->code_walks++;
        if (!m->walk(env, pc, MMU_FETCH, &found))
            return false;
        if (found.size > PAGE_SIZE)
            note_large(m, pc, found.size);
        if (!found.global && m->all_global[m->mode]) {
            m->all_global[m->mode] = false;
            retag(env);
        }
        *c = (MmuCode){(pc & PAGE_MASK) ^ env->jump_tag, found.phys & PAGE_MASK};
        note_code(tag_now(m), pc);
    }
    *phys = c->phys | (pc & ~PAGE_MASK);
    return true;
}

/* ---- filling ---- */

static bool is_empty(const TlbEntry *e)
{
    return e->read == TLB_NONE && e->write == TLB_NONE;
}

/* Twice the size, with all that is in it. */
static void grow(Env *env, Tlb *t)
{
    TlbEntry *old = t->entry;
    u32 n = entries_of(t);

    t->entry = NULL;
    resize(t, t->bits + 1);
    if (!t->entry) {
        t->entry = old;
        return;
    }
    for (u32 i = 0; i < n; i++) {
        TlbEntry *e = slot(t, old[i].read != TLB_NONE ? old[i].read : old[i].write);

        if (is_empty(&old[i]))
            continue;
        *e = old[i];
        t->filled++;
    }
    free(old);
    show(env);
}

static void fill(Env *env, u64 addr, const MmuPage *page, const u8 *host)
{
    Tlb *t = &env->mmu->now->tlb[env->mmu->mode];
    u64 tag = addr & PAGE_MASK;
    TlbEntry *e;

    if (page->size > PAGE_SIZE)
        note_large(env->mmu, addr, page->size);
    if (t->pushed_out > entries_of(t) && t->bits < TLB_MOST_BITS)
        grow(env, t);
    e = slot(t, addr);
    if (is_empty(e))
        t->filled++;
    else if ((e->read & e->write) != tag) /* one of them may be TLB_NONE */
        t->pushed_out++;
    e->read = page->rights & PAGE_READ ? tag : TLB_NONE;
    e->write = page->rights & PAGE_WRITE ? tag : TLB_NONE;
    e->addend = (u64)(uintptr_t)host - addr;
    e->phys = page->phys & PAGE_MASK;
}

/* ---- what generated code leaves to C ---- */

/* Where an access may go; does not return when it may not. */
static MmuPage walk(Env *env, u64 addr, MmuAccess access)
{
    MmuPage page;

    env->mmu->walks++;
    if (!env->mmu->walk(env, addr, access, &page))
        env->mmu->fault(env);
    return page;
}

static void refuse(Env *env, u64 addr, MmuAccess access)
{
    env->trap = (Trap){.kind = TRAP_MEMORY,
                       .addr = addr,
                       .code = MMU_NO_DEVICE,
                       .write = access == MMU_WRITE};
    env->mmu->fault(env);
}

/* A register of a device, by way of the bounce buffer. */
static u64 reach_device(Env *env, u64 addr, u64 phys, u64 value, u32 size,
                        MmuAccess access)
{
    const Bus *bus = env->mmu->bus;
    bool there = !env->mmu->atomic &&
                 (access == MMU_WRITE ? bus_write(bus, phys, size, value)
                                      : bus_read(bus, phys, size, &env->bounce[0]));

    if (!there)
        refuse(env, addr, access);
    return (u64)(uintptr_t)env->bounce;
}

/* Byte by byte across two pages, both of which are looked at first. */
static u64 reach_across(Env *env, u64 addr, u64 value, u32 size, MmuAccess access)
{
    u64 second = (addr + size - 1) & PAGE_MASK;
    MmuPage a = walk(env, addr, access), b = walk(env, second, access);
    u8 *bytes = (u8 *)env->bounce;

    for (u32 i = 0; i < size; i++) {
        u64 at = addr + i;
        u64 phys = at < second ? a.phys + i : b.phys + (at - second), v;
        bool there = access == MMU_WRITE
                         ? bus_write(env->mmu->bus, phys, 1, value >> 8 * i & 0xff)
                         : bus_read(env->mmu->bus, phys, 1, &v);

        if (!there)
            refuse(env, at, access);
        if (access != MMU_WRITE)
            bytes[i] = (u8)v;
    }
    return (u64)(uintptr_t)env->bounce;
}

u64 mmu_reach(Env *env, u64 addr, u64 value, u32 size, MmuAccess access)
{
    MmuPage page;
    u8 *host;

    if (((addr + size - 1) ^ addr) & PAGE_MASK)
        return reach_across(env, addr, value, size, access);
    page = walk(env, addr, access);
    host = bus_ram(env->mmu->bus, page.phys, size);
    if (!host)
        return reach_device(env, addr, page.phys, value, size, access);
    fill(env, addr, &page, host);
    return (u64)(uintptr_t)host;
}

/* mmu_reach, whose page becomes the near one in a slot. */
static u64 reach_near(Env *env, u64 addr, u64 value, u32 slot, u32 size,
                      MmuAccess access)
{
    const TlbEntry *e = env_tlb(env, addr, size, access == MMU_WRITE);
    u64 host = e ? addr + e->addend : mmu_reach(env, addr, value, size, access);

    if (!e)
        e = env_tlb(env, addr, size, access == MMU_WRITE);
    if (e) {
        env->near_page[slot] = addr & PAGE_MASK;
        env->near_host[slot] = (addr & PAGE_MASK) + e->addend;
        env->near_used |= 1ull << slot;
    }
    return host;
}

/* As a helper is called; c: the site and MISS_*. */
static u64 serve_miss(Env *env, u64 addr, u64 value, u64 c, u32 size, MmuAccess access)
{
    u64 host;

    env->mmu->site = (u32)c;
    env->mmu->atomic = c & MISS_ATOMIC;
    host = c & MISS_NEAR ? reach_near(env, addr, value,
                                      c >> MISS_SLOT & (NEAR_SLOTS - 1), size, access)
                         : mmu_reach(env, addr, value, size, access);
    env->mmu->site = 0;
    env->mmu->atomic = false;
    return host;
}

/* One for each op tlb_*. */
#define MISS(name, size, access)                       \
    u64 mmu_miss_##name(Env *env, u64 a, u64 b, u64 c) \
    {                                                  \
        return serve_miss(env, a, b, c, size, access); \
    }
MISS(r1, 1, MMU_READ)
MISS(r2, 2, MMU_READ)
MISS(r4, 4, MMU_READ)
MISS(r8, 8, MMU_READ)
MISS(w1, 1, MMU_WRITE)
MISS(w2, 2, MMU_WRITE)
MISS(w4, 4, MMU_WRITE)
MISS(w8, 8, MMU_WRITE)
#undef MISS
