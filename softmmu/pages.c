/* SPDX-License-Identifier: MIT */
/*
 * The window of host addresses that is guest memory, and one byte of flags for
 * each of its pages.  Maps nothing into the window: that is linux-user's.
 */
#include <string.h>
#include <sys/mman.h>
#include "softmmu.h"

#define SIZE_MIN (1ull << 32)
#define GUARD    (1ull << 32) /* on both sides, for displacements and negative errors */

static void *reserve(u64 size, int prot)
{
    void *p =
        mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static bool window_reserve(Space *s, u64 size)
{
    u8 *window = reserve(size + 2 * GUARD, PROT_NONE);

    if (!window)
        return false;
    s->page = reserve(size >> PAGE_BITS, PROT_READ | PROT_WRITE);
    if (!s->page) {
        munmap(window, size + 2 * GUARD);
        return false;
    }
    s->base = window + GUARD;
    s->size = size;
    return true;
}

bool space_init(Space *s, u64 size)
{
    for (size = align_up(MAX(size, SIZE_MIN), PAGE_SIZE); size >= SIZE_MIN;
         size = align_up(size / 2, PAGE_SIZE))
        if (window_reserve(s, size))
            return true;
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
