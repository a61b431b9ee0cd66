/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_fdt
 *
 * The device tree of virt against QEMU's, node by node and property by property: what
 * QEMU's says, ours says, but for what we have not (PCI, the platform bus, a PMU) and
 * what the processors can do.  Skipped where qemu-system-riscv64 is missing. */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "hw_board.h"

/* Paths that begin so need not be in ours. */
static const char *const absent[] = {"/pmu", "/platform-bus@", "/soc/pci@"};
/* Properties whose values differ. */
static const char *const differ[] = {"riscv,isa", "mmu-type", "rng-seed"};

static bool is_among(const char *name, const char *const *list, u32 n, bool prefix)
{
    for (u32 i = 0; i < n; i++)
        if (prefix ? g_str_has_prefix(name, list[i]) : !strcmp(name, list[i]))
            return true;
    return false;
}

static char *theirs(const char *options)
{
    char *path = NULL, *command, *text = NULL;
    int fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);

    close(fd);
    command = g_strdup_printf("qemu-system-riscv64 -M virt,dumpdtb=%s -display none %s "
                              ">/dev/null 2>&1",
                              path, options);
    if (system(command) || !g_file_get_contents(path, &text, NULL, NULL))
        cr_skip_test("no qemu-system-riscv64");
    unlink(path);
    return text;
}

static void compare_node(const void *a, int node_a, const char *path, const void *b)
{
    int node_b = fdt_path_offset(b, path), property;

    cr_expect_geq(node_b, 0, "%s is missing", path);
    if (node_b < 0)
        return;
    fdt_for_each_property_offset(property, a, node_a)
    {
        const char *name;
        int n, m;
        const void *value = fdt_getprop_by_offset(a, property, &name, &n);
        const void *ours = fdt_getprop(b, node_b, name, &m);

        cr_expect(ours, "%s: %s is missing", path, name);
        if (ours && !is_among(name, differ, ARRAY_SIZE(differ), false))
            cr_expect(n == m && !memcmp(value, ours, (size_t)n), "%s: %s differs", path,
                      name);
    }
}

/* All nodes of a are in b. */
static u32 compare(const void *a, const void *b)
{
    u32 nodes = 0;

    for (int node = 0, depth = 0; node >= 0 && depth >= 0;
         node = fdt_next_node(a, node, &depth)) {
        char path[256];

        cr_assert_eq(fdt_get_path(a, node, path, sizeof path), 0);
        if (is_among(path, absent, ARRAY_SIZE(absent), true))
            continue;
        compare_node(a, node, path, b);
        nodes++;
    }
    return nodes;
}

static Machine *ours(const char *options)
{
    static MachineOptions o;
    char *line = g_strdup_printf("t -display none -bios none %s", options);
    char *error = NULL, **words = g_strsplit(line, " ", 0);
    Machine *m = NULL;

    if (options_parse(&o, (int)g_strv_length(words), words, &error))
        m = machine_new(&o, &error);
    cr_assert(m, "%s", error);
    return m;
}

static void check(const char *options)
{
    char *qemu = theirs(options);
    Machine *m = ours(options);
    u32 n = compare(qemu, g_bytes_get_data(m->fdt, NULL));

    cr_assert_gt(n, 25);
    machine_free(m);
}

Test(fdt, one) { check("-m 512"); }
Test(fdt, two) { check("-smp 2 -m 1G"); }
Test(fdt, eight) { check("-smp 8 -m 3G"); }
