/* SPDX-License-Identifier: MIT */
/* Guest memory as devices see it: physical addresses, RAM only. */
#include <string.h>
#include "inside.h"

u8 *dma_ram(Machine *m, u64 phys, u64 len, bool write)
{
    u8 *host = bus_ram(&m->bus, phys, len);

    if (!host || !write)
        return host;
    if (!space_check(&m->space, phys, len, PAGE_WRITE))
        return NULL;
    cache_host_write(m->cache, phys, len);
    return host;
}

bool dma_read(Machine *m, u64 phys, void *to, u64 len)
{
    const u8 *host = dma_ram(m, phys, len, false);

    if (!host)
        return false;
    memcpy(to, host, len);
    return true;
}

/* A CPU may begin to watch the page meanwhile: the fault is seen to like a device's. */
bool dma_write(Machine *m, u64 phys, const void *from, u64 len)
{
    u8 *host = dma_ram(m, phys, len, true);

    if (!host)
        return false;
    cpu_in_device++;
    memcpy(host, from, len);
    cpu_in_device--;
    return true;
}

bool dma_fill(Machine *m, u64 phys, u8 byte, u64 len)
{
    u8 *host = dma_ram(m, phys, len, true);

    if (!host)
        return false;
    cpu_in_device++;
    memset(host, byte, len);
    cpu_in_device--;
    return true;
}
