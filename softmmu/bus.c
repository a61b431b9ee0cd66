/* SPDX-License-Identifier: MIT */
/*
 * Physical addresses of a board: RAM is the Space's pages that are mapped and can be
 * written, all else is devices' registers (code may be run from mapped pages of those).
 * Who holds which lock around devices is the board's matter.
 */
#include <string.h>
#include "softmmu.h"

bool bus_add(Bus *b, const BusRegion *region)
{
    u32 i = b->n;

    if (b->n == BUS_REGIONS || !region->size ||
        region->base + region->size < region->base)
        return false;
    for (u32 k = 0; k < b->n; k++)
        if (region->base < b->region[k].base + b->region[k].size &&
            b->region[k].base < region->base + region->size)
            return false;
    for (; i && b->region[i - 1].base > region->base; i--)
        b->region[i] = b->region[i - 1];
    b->region[i] = *region;
    b->n++;
    return true;
}

const BusRegion *bus_find(const Bus *b, u64 phys)
{
    u32 low = 0, high = b->n;

    while (low < high) {
        u32 mid = (low + high) / 2;
        const BusRegion *r = &b->region[mid];

        if (phys < r->base)
            high = mid;
        else if (phys - r->base >= r->size)
            low = mid + 1;
        else
            return r;
    }
    return NULL;
}

u8 *bus_ram(const Bus *b, u64 phys, u64 len)
{
    return space_check(b->space, phys, len, PAGE_MAPPED | PAGE_WRITE)
               ? space_host(b->space, phys)
               : NULL;
}

bool bus_code(const Bus *b, u64 phys)
{
    return space_check(b->space, phys & PAGE_MASK, PAGE_SIZE, PAGE_MAPPED | PAGE_EXEC);
}

/* The register's region, if it takes accesses of this width there. */
static const BusRegion *reachable(const Bus *b, u64 phys, u32 width)
{
    const BusRegion *r = bus_find(b, phys);

    if (!r || !(r->widths & width) || phys % width || phys - r->base > r->size - width)
        return NULL;
    return r;
}

bool bus_read(const Bus *b, u64 phys, u32 width, u64 *value)
{
    const u8 *ram = bus_ram(b, phys, width);
    const BusRegion *r;

    *value = 0;
    if (ram) {
        memcpy(value, ram, width);
        return true;
    }
    r = reachable(b, phys, width);
    if (r)
        *value = r->read(r->ctx, phys - r->base, width);
    return r;
}

bool bus_write(const Bus *b, u64 phys, u32 width, u64 value)
{
    u8 *ram = bus_ram(b, phys, width);
    const BusRegion *r;

    if (ram) {
        memcpy(ram, &value, width);
        return true;
    }
    r = reachable(b, phys, width);
    if (r)
        r->write(r->ctx, phys - r->base, value, width);
    return r;
}
