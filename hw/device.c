/* SPDX-License-Identifier: MIT */
/* Devices as such: their registers on the bus, each access under the machine's lock. */
#include <string.h>
#include "inside.h"

static u64 region_read(void *ctx, u64 offset, u32 width)
{
    Device *d = ctx;
    u64 value;

    machine_lock(d->machine);
    value = d->type->read(d, offset, width);
    machine_unlock(d->machine);
    return value;
}

static void region_write(void *ctx, u64 offset, u64 value, u32 width)
{
    Device *d = ctx;

    machine_lock(d->machine);
    d->type->write(d, offset, value, width);
    machine_unlock(d->machine);
}

bool device_add(Machine *m, Device *d, const DeviceType *type, u64 base, u32 irq)
{
    const BusRegion region = {base, type->size,  type->widths,
                              d,    region_read, region_write};

    d->type = type;
    d->machine = m;
    d->base = base;
    d->irq = irq;
    if (type->size && !bus_add(&m->bus, &region))
        return false;
    g_ptr_array_add(m->devices, d);
    return true;
}

Device *device_find(const Machine *m, const char *type, const char *id)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if ((!type || !strcmp(type, d->type->name)) &&
            (!id || (d->id && !strcmp(id, d->id))))
            return d;
    }
    return NULL;
}

void device_irq(Device *d, bool level)
{
    if (d->irq)
        d->machine->board->irq(d->machine, d->irq, level);
}

void devices_reset(Machine *m)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type->reset)
            d->type->reset(d);
    }
}

bool devices_drained(Machine *m)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (d->type->drained && !d->type->drained(d))
            return false;
    }
    return true;
}

static void free_those(Machine *m, bool back_ends)
{
    for (u32 i = m->devices->len; i--;) {
        Device *d = m->devices->pdata[i];

        if ((d->type->size == 0) != back_ends)
            continue;
        g_ptr_array_remove_index(m->devices, i);
        if (d->type->free)
            d->type->free(d);
    }
}

/* Back ends, which have no registers, after the devices that use them. */
void devices_free(Machine *m)
{
    free_those(m, false);
    free_those(m, true);
}
