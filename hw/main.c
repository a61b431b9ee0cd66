/* SPDX-License-Identifier: MIT */
/* tessera-system-riscv64: from the command line to the machine's end. */
#include <stdio.h>
#include <stdlib.h>
#include "board.h"

_Noreturn static void fail(const char *error)
{
    fflush(stdout);
    fprintf(stderr, "tessera-system-riscv64: %s\n", error);
    exit(1);
}

/* -machine dumpdtb= */
static void dump_fdt(const Machine *m)
{
    GError *failed = NULL;
    gsize n;
    const void *fdt = g_bytes_get_data(m->fdt, &n);

    if (!g_file_set_contents(m->options->dump_dtb, fdt, (gssize)n, &failed))
        fail(failed->message);
    exit(0);
}

/* Each of a list in its chardev. */
static bool consoles_new(Machine *m, GPtrArray *specs, const char *what,
                         bool (*make)(Machine *m, Chardev *c, char **error),
                         char **error)
{
    for (u32 i = 0; i < specs->len; i++) {
        g_autofree char *label = g_strdup_printf("%s%u", what, i);
        Chardev *c;

        if (!strcmp(specs->pdata[i], "none"))
            continue;
        c = chardev_new(m, label, specs->pdata[i], error);
        if (!c || !make(m, c, error))
            return false;
    }
    return true;
}

static bool control_new(Machine *m, char **error)
{
    const MachineOptions *o = m->options;

    if (!consoles_new(m, o->monitors, "monitor", monitor_new, error) ||
        !consoles_new(m, o->qmps, "qmp", qmp_new, error))
        return false;
    for (u32 i = 0; i < o->gdbs->len; i++)
        if (!gdb_new(m, o->gdbs->pdata[i], error))
            return false;
    return (!o->load_state || machine_load(m, o->load_state, error)) &&
           (!o->sandbox || sandbox_enter(m, error));
}

int main(int argc, char **argv)
{
    MachineOptions options;
    char *error = NULL;
    Machine *m;
    int status;

    if (!options_parse(&options, argc, argv, &error))
        fail(error);
    m = machine_new(&options, &error);
    if (!m)
        fail(error);
    if (options.dump_dtb)
        dump_fdt(m);
    if (!control_new(m, &error))
        fail(error);
    status = machine_main(m);
    chardevs_close(m);
    machine_free(m);
    return status;
}
