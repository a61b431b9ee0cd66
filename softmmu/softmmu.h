/* SPDX-License-Identifier: MIT */
/*
 * Guest memory.  User mode: one window of host addresses, guest address a at
 * space->base + a, and a byte of flags for each guest page.  System mode: the
 * window holds physical addresses, and virtual ones go through a TLB.
 */
#ifndef TESSERA_SOFTMMU_H
#define TESSERA_SOFTMMU_H

#include "../microops/env.h"

/* ---- pages.c: the window and its pages ---- */

enum PageFlags {
    PAGE_READ = 1,
    PAGE_WRITE = 2, /* what the guest was granted, even while CODE takes it away */
    PAGE_EXEC = 4,
    PAGE_MAPPED = 8,
    PAGE_CODE = 16,   /* holds translated code: the host page is write-protected */
    PAGE_HOT = 32,    /* written too often for that: its blocks check themselves */
    PAGE_SHARED = 64, /* MAP_SHARED: may change through another mapping */
};

typedef struct Space {
    u8 *base;         /* host address of guest address 0 */
    u64 size;         /* bytes; guest addresses are below */
    _Atomic u8 *page; /* PageFlags, one byte a page */
    bool system;      /* addresses of code are virtual, and may be mapped elsewhere */
    bool paged;       /* neighbours in it are no neighbours: one page at a time */
    const u64 *stops; /* guest pcs that are not to be run: a debugger's, sorted */
    u32 n_stops;
} Space;

/* Is pc one of the stops? */
bool space_stops(const Space *s, u64 pc);

/* Reserves a window of up to size bytes (less where the host refuses; at least
 * 4 GiB).  False: errno. */
bool space_init(Space *s, u64 size);
/* The same with guest address 0 at a given host address; 0: anywhere. */
bool space_init_at(Space *s, u64 size, u64 base);

static inline bool space_contains(const Space *s, u64 addr, u64 len)
{
    return addr <= s->size && len <= s->size - addr;
}

static inline u8 *space_host(const Space *s, u64 addr)
{
    return (u8 *)((uintptr_t)s->base + addr);
}

static inline u8 space_flags(const Space *s, u64 addr)
{
    return addr < s->size ? s->page[addr >> PAGE_BITS] : 0;
}

/* Replaces all flags of the pages of [addr, addr+len). */
void space_set(Space *s, u64 addr, u64 len, u8 flags);
void space_set_bits(Space *s, u64 addr, u64 len, u8 bits);
void space_clear_bits(Space *s, u64 addr, u64 len, u8 bits);
/* Has every page of [addr, addr+len) all of these flags?  len 0: true. */
bool space_check(const Space *s, u64 addr, u64 len, u8 need);
/* Has any page of the range one of these flags? */
bool space_any(const Space *s, u64 addr, u64 len, u8 bits);
/* Host protection that the page's flags ask for (PROT_*; no write for CODE pages). */
int space_prot(u8 flags);

/* ---- bus.c: the physical addresses of a board ---- */

enum { BUS_REGIONS = 64 };

/* Registers of a device.  offset: from base, a multiple of width (1, 2, 4, 8). */
typedef struct BusRegion {
    u64 base, size;
    u8 widths; /* that it takes, or-ed */
    void *ctx;
    u64 (*read)(void *ctx, u64 offset, u32 width);
    void (*write)(void *ctx, u64 offset, u64 value, u32 width);
} BusRegion;

typedef struct Bus {
    Space *space; /* RAM: its pages that have PAGE_MAPPED and PAGE_WRITE */
    u32 n;
    BusRegion region[BUS_REGIONS]; /* by address */
} Bus;

bool bus_add(Bus *b, const BusRegion *region); /* false: overlaps, or too many */
const BusRegion *bus_find(const Bus *b, u64 phys);
/* Host address of RAM; NULL: not all of it is. */
u8 *bus_ram(const Bus *b, u64 phys, u64 len);
/* May code be run from this page: RAM, or what a device shows there? */
bool bus_code(const Bus *b, u64 phys);
/* RAM or registers; false: nobody there takes such an access. */
bool bus_read(const Bus *b, u64 phys, u32 width, u64 *value);
bool bus_write(const Bus *b, u64 phys, u32 width, u64 value);

/* ---- tlb.c: the virtual addresses of a hart ---- */

enum { MMU_MODES = 4, MMU_SPACES = 8, MMU_CODE_PAGES = 256, MMU_NO_DEVICE = -1 };
enum { MMU_TAG_PAGES = 2048 };

typedef enum MmuAccess { MMU_READ, MMU_WRITE, MMU_FETCH } MmuAccess;

/* What the guest's tables say of one address. */
typedef struct MmuPage {
    u64 phys;    /* of the address itself */
    u64 size;    /* bytes that one entry of the tables maps */
    u8 rights;   /* PAGE_READ, PAGE_WRITE, PAGE_EXEC: without asking the tables again */
    bool global; /* the same in all address spaces */
} MmuPage;

/* The guest's: false: refused, env->trap says why. */
typedef bool MmuWalk(Env *env, u64 addr, MmuAccess access, MmuPage *page);

typedef struct Tlb {
    TlbEntry *entry;
    u32 bits, filled;
    u32 pushed_out; /* entries, by others, since it has this size */
} Tlb;

/* What pcs are marked with in the jump cache while they mean the same. */
typedef struct MmuTag {
    u64 tag; /* 0: none yet */
    /* Pages that code was looked up in since: between these, and a set that may have
     * too many, by hash. */
    u64 low, high, code[MMU_TAG_PAGES / 64];
} MmuTag;

/* One of the guest's address spaces, kept while others are in use. */
typedef struct MmuSpace {
    u64 id;             /* the guest's name of it; 0: untranslated, or a mode's own */
    u64 used;           /* when last; 0: never */
    MmuTag tag;         /* of its own code */
    Tlb tlb[MMU_MODES]; /* of the guest's modes, which differ in rights or tables */
} MmuSpace;

/* Where a page of code is: tag and page of its pcs, as the jump cache has them. */
typedef struct MmuCode {
    u64 pc, phys;
} MmuCode;

typedef struct Mmu {
    Bus *bus;
    MmuWalk *walk;
    /* Ends the instruction at hand with env->trap; set by who runs the code. */
    void (*fault)(Env *env) __attribute__((noreturn));
    /* The guest's tables were marked (A, D) at this host address; NULL: nobody asks. */
    void (*marked)(Env *env, u64 *at, u64 before);
    MmuSpace space[MMU_SPACES], *now;
    MmuTag global;              /* of code that is the same in all spaces */
    bool all_global[MMU_MODES]; /* this mode has run no other since the last flush */
    MmuCode code[MMU_CODE_PAGES];
    u32 mode;
    u64 last_tag, key_factor; /* secrets: see new_tag */
    u64 uses;
    /* Where entries larger than a page were met, in each half of the addresses. */
    struct {
        u64 start, end;
    } large[2];
    bool atomic; /* it is for a load and a store in one, which no device takes */
    u64 site;    /* offset of the code that missed; 0: none is being served */
    u64 walks, code_walks, flushes;
} Mmu;

bool mmu_init(Mmu *m, Env *env, Bus *bus, MmuWalk *walk); /* false: no memory */
void mmu_free(Mmu *m);
/* The hart is in this mode and this address space now; key_flags are up to date. */
void mmu_enter(Env *env, u64 id, u32 mode);
/* Forgets all; or spaces whose id has these bits, of all addresses or one (and of all
 * that its entry maps). */
void mmu_flush(Env *env);
void mmu_flush_spaces(Env *env, u64 bits, u64 mask);
void mmu_flush_page(Env *env, u64 addr, u64 bits, u64 mask);
/* The physical address of code at pc; false: refused, env->trap. */
bool mmu_code(Env *env, u64 pc, u64 *phys);
/* Host address that stands for the access; a write to a device has been made then.
 * trap.code MMU_NO_DEVICE: nothing there.  Does not return when it is refused. */
u64 mmu_reach(Env *env, u64 addr, u64 value, u32 size, MmuAccess access);
/* mmu_reach as helpers, for the ops tlb_r1 to tlb_w8. */
u64 mmu_miss_r1(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_r2(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_r4(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_r8(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_w1(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_w2(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_w4(Env *env, u64 a, u64 b, u64 c);
u64 mmu_miss_w8(Env *env, u64 a, u64 b, u64 c);

#endif
