/* SPDX-License-Identifier: MIT */
/* QMP's queries: each answer has the shape that QEMU's schema gives it. */
#include "disk.h"
#include "monitor.h"
#include "qmp.h"
#include "virtio.h"

enum { COMPATIBLE_MAJOR = 7, COMPATIBLE_MINOR = 2 }; /* QEMU's, whose options we take */

/* ---- we ---- */

json_t *qmp_version(void)
{
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro", 0, "minor",
                     COMPATIBLE_MINOR, "major", COMPATIBLE_MAJOR, "package",
                     "Tessera " TESSERA_VERSION);
}

json_t *qmp_query_version(QmpCall *c) { return qmp_version(); }

json_t *qmp_query_name(QmpCall *c) { return json_object(); }

json_t *qmp_query_uuid(QmpCall *c)
{
    return json_pack("{s:s}", "UUID", "00000000-0000-0000-0000-000000000000");
}

json_t *qmp_query_kvm(QmpCall *c)
{
    return json_pack("{s:b, s:b}", "enabled", false, "present", false);
}

json_t *qmp_query_iothreads(QmpCall *c) { return json_array(); }

/* ---- the machine ---- */

json_t *qmp_query_status(QmpCall *c)
{
    const char *name;
    bool running = monitor_status_name(c->m, &name);

    return json_pack("{s:s, s:b, s:b}", "status", name, "singlestep", false, "running",
                     running);
}

json_t *qmp_query_target(QmpCall *c)
{
    return json_pack("{s:s}", "arch", c->m->board->guest->regs.name);
}

json_t *qmp_query_machines(QmpCall *c)
{
    return json_pack("[{s:s, s:i, s:b, s:b, s:b}]", "name", c->m->board->name,
                     "cpu-max", MAX_CPUS, "hotpluggable-cpus", false,
                     "numa-mem-supported", false, "deprecated", false);
}

json_t *qmp_query_current_machine(QmpCall *c)
{
    return json_pack("{s:b}", "wakeup-suspend-support", false);
}

json_t *qmp_query_cpus_fast(QmpCall *c)
{
    json_t *all = json_array();

    for (u32 i = 0; i < c->m->n_cpus; i++) {
        char path[64];

        g_snprintf(path, sizeof path, "/machine/soc0/harts[%u]", i);
        json_array_append_new(all,
                              json_pack("{s:i, s:{s:i}, s:s, s:i, s:s}", "thread-id",
                                        c->m->cpu[i].tid, "props", "core-id", (int)i,
                                        "qom-path", path, "cpu-index", (int)i, "target",
                                        c->m->board->guest->regs.name));
    }
    return all;
}

json_t *qmp_query_memory_size_summary(QmpCall *c)
{
    return json_pack("{s:I}", "base-memory", (json_int_t)c->m->ram_size);
}

/* ---- back ends ---- */

static json_t *disk_image(const DiskInfo *d)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:b}", "filename", d->file, "format", "raw",
                     "virtual-size", (json_int_t)d->size, "actual-size",
                     (json_int_t)d->allocated, "dirty-flag", false);
}

static json_t *disk_inserted(const DiskInfo *d)
{
    json_t *o = json_pack(
        "{s:s, s:b, s:s, s:b, s:s, s:i, s:i, s:o}", "file", d->file, "ro", d->read_only,
        "drv", "raw", "encrypted", false, "detect_zeroes", "off", "backing_file_depth",
        d->snapshot ? 1 : 0, "write_threshold", 0, "image", disk_image(d));
    static const char *const limits[] = {"bps",  "bps_rd",  "bps_wr",
                                         "iops", "iops_rd", "iops_wr"};

    for (u32 i = 0; i < ARRAY_SIZE(limits); i++)
        json_object_set_new(o, limits[i], json_integer(0));
    json_object_set_new(o, "cache",
                        json_pack("{s:b, s:b, s:b}", "no-flush", false, "direct", false,
                                  "writeback", true));
    return o;
}

json_t *qmp_query_block(QmpCall *c)
{
    json_t *all = json_array();
    DiskInfo d;

    for (u32 i = 0; disk_nth(c->m, i, &d); i++)
        json_array_append_new(all, json_pack("{s:s, s:b, s:b, s:s, s:s, s:o}", "device",
                                             d.id, "locked", false, "removable", false,
                                             "type", "unknown", "io-status", "ok",
                                             "inserted", disk_inserted(&d)));
    return all;
}

json_t *qmp_query_chardev(QmpCall *c)
{
    json_t *all = json_array();
    ChardevInfo d;

    for (u32 i = 0; chardev_nth(c->m, i, &d); i++)
        json_array_append_new(all, json_pack("{s:b, s:s, s:s}", "frontend-open", d.open,
                                             "filename", d.filename, "label", d.label));
    return all;
}

json_t *qmp_query_balloon(QmpCall *c)
{
    u64 bytes;

    if (balloon_get(c->m, &bytes, &c->error))
        return json_pack("{s:I}", "actual", (json_int_t)bytes);
    c->error_class = "DeviceNotActive";
    return NULL;
}

/* ---- the monitor's words ---- */

static json_t *readable(QmpCall *c, const char *line)
{
    char *text = monitor_command(c->m, line);
    json_t *o = json_pack("{s:s}", "human-readable-text", text);

    g_free(text);
    return o;
}

json_t *qmp_query_jit(QmpCall *c) { return readable(c, "info jit"); }

json_t *qmp_query_irq(QmpCall *c) { return readable(c, "info irq"); }
