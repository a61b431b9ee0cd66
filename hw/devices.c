/* SPDX-License-Identifier: MIT */
/* Makes what the command line names: host back ends first, then what uses them. */
#include <stdio.h>
#include "disk.h"
#include "fs.h"
#include "net.h"
#include "virtio.h"

const VirtioType *const virtio_types[] = {
    &virtio_blk, &virtio_net, &virtio_console, &virtio_rng, &virtio_balloon,
    &virtio_9p,  NULL,
};

static const VirtioType *type_find(const char *name)
{
    const VirtioType *const *t = virtio_types;

    while (*t && strcmp((*t)->name, name) != 0)
        t++;
    return *t;
}

void devices_help(void)
{
    for (const VirtioType *const *t = virtio_types; *t; t++)
        printf("name \"%s\", bus virtio-bus\n", (*t)->name);
    printf("name \"virtconsole\", bus virtio-serial-bus\n"
           "name \"virtserialport\", bus virtio-serial-bus\n");
}

/* Says so when p has a key that nobody asked for. */
static bool all_used(const Props *p, char **error)
{
    const char *key = props_unused(p);

    if (key)
        *error = g_strdup_printf("no such property: %s", key);
    return !key;
}

static bool virtio_add(Machine *m, const VirtioType *type, Props *p, char **error)
{
    const char *id = props_get(p, "id");
    VirtioDevice *v;

    if (id && device_find(m, virtio_mmio.name, id)) {
        *error = g_strdup_printf("id=%s is taken", id);
        return false;
    }
    v = type->create(m, p, error);
    if (!v)
        return false;
    v->device.id = g_strdup(id);
    return virtio_plug(v, error);
}

static bool add(Machine *m, const char *name, Props *p, char **error)
{
    const VirtioType *type = type_find(name);

    if (type)
        return virtio_add(m, type, p, error);
    if (!strcmp(name, "virtconsole") || !strcmp(name, "virtserialport"))
        return virtio_port_add(m, !strcmp(name, "virtconsole"), p, error);
    *error = g_strdup_printf("no such device (-device help lists them)");
    return false;
}

bool devices_add(Machine *m, const char *spec, char **error)
{
    Props *p = props_parse(spec, "driver");
    const char *name = props_get(p, "driver");
    char *why = NULL;
    bool ok = add(m, name ? name : "", p, &why) && all_used(p, &why);

    if (!ok)
        *error = g_strdup_printf("-device %s: %s", spec, why);
    g_free(why);
    props_free(p);
    return ok;
}

static char *commas_doubled(const char *text)
{
    char **part = g_strsplit(text, ",", -1), *out = g_strjoinv(",,", part);

    g_strfreev(part);
    return out;
}

/* The key=value list of p without what is the device's, for -fsdev. */
static char *fsdev_spec(const Props *p, const char *id)
{
    GString *s = g_string_new(NULL);

    for (u32 i = 0; i < p->keys->len; i++) {
        const char *key = p->keys->pdata[i];
        char *value = commas_doubled(p->values->pdata[i]);

        if (strcmp(key, "mount_tag") != 0 && strcmp(key, "id") != 0)
            g_string_append_printf(s, "%s=%s,", key, value);
        g_free(value);
    }
    g_string_append_printf(s, "id=%s", id);
    return g_string_free(s, false);
}

/* -virtfs local,path=P,mount_tag=T,...: a -fsdev and the device that shows it. */
static bool virtfs_add(Machine *m, const char *spec, char **error)
{
    Props *p = props_parse(spec, "fsdriver");
    const char *tag = props_get(p, "mount_tag"), *id = props_get(p, "id");
    char *name = commas_doubled(id ? id : tag ? tag : "");
    char *tag_doubled = commas_doubled(tag ? tag : "");
    char *fs = fsdev_spec(p, name);
    char *device =
        g_strdup_printf("virtio-9p-device,fsdev=%s,mount_tag=%s", name, tag_doubled);
    bool ok;

    if (!tag)
        *error = g_strdup_printf("-virtfs %s: mount_tag=TAG is missing", spec);
    ok = tag && fs_add(m, fs, error) && devices_add(m, device, error);
    g_free(device);
    g_free(fs);
    g_free(tag_doubled);
    g_free(name);
    props_free(p);
    return ok;
}

bool devices_create(Machine *m, char **error)
{
    const MachineOptions *o = m->options;
    const struct {
        GPtrArray *specs; /* NULL: none */
        bool (*add)(Machine *m, const char *spec, char **error);
    } kind[] = {
        {o->chardevs, chardev_add}, {o->netdevs, net_add},  {o->fsdevs, fs_add},
        {o->drives, disk_add},      {o->nics, net_add_nic}, {o->virtfs, virtfs_add},
        {o->devices, devices_add},
    };

    for (u32 k = 0; k < G_N_ELEMENTS(kind); k++)
        for (u32 i = 0; kind[k].specs && i < kind[k].specs->len; i++)
            if (!kind[k].add(m, kind[k].specs->pdata[i], error))
                return false;
    return true;
}
