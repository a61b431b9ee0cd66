/* SPDX-License-Identifier: MIT */
/*
 * The window of host addresses that is guest memory, and one byte of flags for
 * each of its pages.  Maps nothing into the window: that is linux-user's.
 */
#include <string.h>
#include <sys/mman.h>
#include "softmmu.h"

#define SIZE_MIN    (1ull << 32)
#define SIZE_MODEST (1ull << 38)
#define GUARD       (1ull << 32) /* on both sides, for displacements and negative errors */
#define MANY        (1ull << 16) /* pages */
#define HUGE        (1ull << 21) /* a host's huge page */

static void *reserve(u64 at, u64 size, int prot)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p =
        mmap((void *)at, size, prot, at ? flags | MAP_FIXED_NOREPLACE : flags, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static bool flags_reserve(Space *s, u64 size)
{
    s->page = reserve(0, size >> PAGE_BITS, PROT_READ | PROT_WRITE);
    if (!s->page)
        return false;
    madvise((void *)s->page, size >> PAGE_BITS, MADV_NOHUGEPAGE); /* it is sparse */
    return true;
}

/* base 0: anywhere, at a huge page's boundary so that the guest can have them. */
static bool window_reserve(Space *s, u64 size, u64 base)
{
    u64 guard = MIN(GUARD, size / 16);
    u64 below = base ? MIN(base - 1, guard) & PAGE_MASK : guard + HUGE;
    u64 total = below + size + guard;
    u8 *window = reserve(base ? base - below : 0, total, PROT_NONE);

    if (!window)
        return false;
    if (!flags_reserve(s, size)) {
        munmap(window, total);
        return false;
    }
    s->base = base ? (u8 *)base : (u8 *)align_down((u64)window + below, HUGE);
    s->size = size;
    return true;
}

/* Guest addresses as host addresses: a segment without a base costs no cycle. */
static bool window_reserve_low(Space *s, u64 size)
{
    static const u64 lowest[] = {PAGE_SIZE, 16 * PAGE_SIZE}; /* vm.mmap_min_addr */

    for (u32 i = 0; i < ARRAY_SIZE(lowest); i++) {
        u64 len = size - lowest[i];

        if (!reserve(lowest[i], len, PROT_NONE))
            continue;
        if (flags_reserve(s, size)) {
            s->base = NULL;
            s->size = size;
            return true;
        }
        munmap((void *)lowest[i], len);
    }
    return false;
}

bool space_init(Space *s, u64 size)
{
    return window_reserve_low(s, align_up(MAX(size, SIZE_MIN), PAGE_SIZE)) ||
           space_init_at(s, size, 0);
}

bool space_init_at(Space *s, u64 size, u64 base)
{
    /* A host that counts every byte it promises is not asked for many flags. */
    for (size = align_up(MAX(size, SIZE_MIN), PAGE_SIZE); size >= SIZE_MIN;
         size = align_up(MIN(size / 2, SIZE_MODEST), PAGE_SIZE))
        if (window_reserve(s, size, base & PAGE_MASK))
            return true;
    return false;
}

bool space_stops(const Space *s, u64 pc)
{
    u32 low = 0, high = s->n_stops;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (s->stops[mid] == pc)
            return true;
        if (s->stops[mid] < pc)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* The pages of a range, clipped to the window: [first, end). */
typedef struct Pages {
    u64 first, end;
} Pages;

static Pages pages_of(const Space *s, u64 addr, u64 len)
{
    u64 start = MIN(addr, s->size), room = s->size - start;

    if (len == 0)
        return (Pages){0, 0};
    return (Pages){start >> PAGE_BITS,
                   align_up(start + MIN(len, room), PAGE_SIZE) >> PAGE_BITS};
}

void space_set(Space *s, u64 addr, u64 len, u8 flags)
{
    Pages p = pages_of(s, addr, len);

    /* Clearing most of a big range is cheaper by giving its memory back. */
    if (flags == 0 && p.end - p.first >= MANY) {
        u64 first = align_up(p.first, PAGE_SIZE), end = align_down(p.end, PAGE_SIZE);

        madvise((u8 *)s->page + first, end - first, MADV_DONTNEED);
        memset((u8 *)s->page + p.first, 0, first - p.first);
        p.first = end;
    }
    memset((u8 *)s->page + p.first, flags, p.end - p.first);
}

void space_set_bits(Space *s, u64 addr, u64 len, u8 bits)
{
    Pages p = pages_of(s, addr, len);

    for (u64 i = p.first; i < p.end; i++)
        s->page[i] |= bits;
}

void space_clear_bits(Space *s, u64 addr, u64 len, u8 bits)
{
    Pages p = pages_of(s, addr, len);

    for (u64 i = p.first; i < p.end; i++)
        if (s->page[i] & bits)
            s->page[i] &= (u8)~bits;
}

bool space_check(const Space *s, u64 addr, u64 len, u8 need)
{
    Pages p = pages_of(s, addr, len);

    if (len != 0 && !space_contains(s, addr, len))
        return false;
    for (u64 i = p.first; i < p.end; i++)
        if ((s->page[i] & need) != need)
            return false;
    return true;
}

bool space_any(const Space *s, u64 addr, u64 len, u8 bits)
{
    Pages p = pages_of(s, addr, len);

    for (u64 i = p.first; i < p.end; i++)
        if (s->page[i] & bits)
            return true;
    return false;
}

int space_prot(u8 flags)
{
    bool read = flags & (PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    bool write = (flags & PAGE_WRITE) && !(flags & PAGE_CODE);

    return (read ? PROT_READ : PROT_NONE) | (write ? PROT_WRITE : 0);
}
