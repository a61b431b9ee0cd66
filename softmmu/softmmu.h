/* SPDX-License-Identifier: MIT */
/*
 * Guest memory.  User mode: one window of host addresses, guest address a at
 * space->base + a, and a byte of flags for each guest page.  (System mode's
 * software TLB will live here too.)
 */
#ifndef TESSERA_SOFTMMU_H
#define TESSERA_SOFTMMU_H

#include "../microops/base.h"

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

#endif
