/* SPDX-License-Identifier: MIT */
/* A sorted list of mapped address ranges; guests keep few, since neighbours merge. */
#include <stdlib.h>
#include <string.h>
#include "user.h"

/* Index of the first extent that ends after addr. */
static size_t find(const Extents *e, u64 addr)
{
    size_t low = 0, high = e->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (e->at[mid].end > addr)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Puts n extents in the place of those at [from, to). */
static bool replace(Extents *e, size_t from, size_t to, const Extent *with, size_t n)
{
    size_t count = e->n - (to - from) + n;

    if (count > e->max) {
        size_t max = e->max ? e->max * 2 : 64;
        Extent *at = realloc(e->at, max * sizeof *at);

        if (!at)
            return false;
        e->at = at;
        e->max = max;
    }
    if (e->n > to)
        memmove(e->at + from + n, e->at + to, (e->n - to) * sizeof *e->at);
    if (n)
        memcpy(e->at + from, with, n * sizeof *with);
    e->n = count;
    return true;
}

bool extents_add(Extents *e, u64 start, u64 end)
{
    size_t from = find(e, start), to;
    Extent all = {start, end};

    if (from > 0 && e->at[from - 1].end == start)
        from--;
    for (to = from; to < e->n && e->at[to].start <= end; to++) {
        all.start = MIN(all.start, e->at[to].start);
        all.end = MAX(all.end, e->at[to].end);
    }
    return replace(e, from, to, &all, 1);
}

bool extents_remove(Extents *e, u64 start, u64 end)
{
    size_t from = find(e, start), to, n = 0;
    Extent rest[2];

    for (to = from; to < e->n && e->at[to].start < end; to++) {
        if (e->at[to].start < start)
            rest[n++] = (Extent){e->at[to].start, start};
        if (e->at[to].end > end)
            rest[n++] = (Extent){end, e->at[to].end};
    }
    return replace(e, from, to, rest, n);
}

bool extents_cover(const Extents *e, u64 start, u64 end)
{
    size_t i = find(e, start);

    return start >= end || (i < e->n && e->at[i].start <= start && e->at[i].end >= end);
}

bool extents_touch(const Extents *e, u64 start, u64 end)
{
    size_t i = find(e, start);

    return i < e->n && e->at[i].start < end;
}

u64 extents_gap(const Extents *e, u64 len, u64 low, u64 high)
{
    size_t i = find(e, high);
    u64 end = high;

    if (i < e->n && e->at[i].start < high)
        end = e->at[i].start;
    while (i > 0 && e->at[i - 1].end + len > end) {
        i--;
        end = MIN(end, e->at[i].start);
    }
    return end >= len && end - len >= low ? end - len : (u64)-1;
}

bool extents_next(const Extents *e, u64 start, u64 end, Extent *out)
{
    size_t i = find(e, start);

    if (start >= end || i >= e->n || e->at[i].start >= end)
        return false;
    *out = (Extent){MAX(start, e->at[i].start), MIN(end, e->at[i].end)};
    return true;
}
