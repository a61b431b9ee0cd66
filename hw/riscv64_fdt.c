/* SPDX-License-Identifier: MIT */
/*
 * The device tree of virt, node for node QEMU's, as far as the devices are there.  The
 * order in which nodes and properties stand has no meaning; a parent's later children
 * come first.
 */
#include <errno.h>
#include <libfdt.h>
#include <string.h>
#include <sys/random.h>
#include "riscv64_board.h"
#include "virtio.h"

enum { FDT_ROOM = 1 << 16, RNG_SEED = 32, NAME_ROOM = 64 };

/* ---- phandles, as QEMU counts them: the last of n processors first ---- */

static u32 cpu_handle(u32 n, u32 cpu) { return 1 + 2 * (n - 1 - cpu); }
static u32 intc_handle(u32 n, u32 cpu) { return cpu_handle(n, cpu) + 1; }
static u32 plic_handle(u32 n) { return 2 * n + 1; }
static u32 test_handle(u32 n) { return 2 * n + 2; }

/* ---- writing; the tree has room, all this is our own ---- */

static void check(int result) { g_assert(result >= 0); }

static int node_add(void *fdt, int parent, const char *name)
{
    int node = fdt_add_subnode(fdt, parent, name);

    check(node);
    return node;
}

static int node_at(void *fdt, int parent, const char *name, u64 address)
{
    char text[NAME_ROOM];

    g_snprintf(text, sizeof text, "%s@%" G_GINT64_MODIFIER "x", name, address);
    return node_add(fdt, parent, text);
}

static void put_cells(void *fdt, int node, const char *name, const u32 *cells, u32 n)
{
    u32 big[8 * MAX_CPUS];

    for (u32 i = 0; i < n; i++)
        big[i] = GUINT32_TO_BE(cells[i]);
    check(fdt_setprop(fdt, node, name, big, (int)(n * sizeof *big)));
}

#define PUT_CELLS(fdt, node, name, ...)                    \
    put_cells(fdt, node, name, (const u32[]){__VA_ARGS__}, \
              ARRAY_SIZE(((const u32[]){__VA_ARGS__})))

static void put_text(void *fdt, int node, const char *name, const char *text)
{
    check(fdt_setprop_string(fdt, node, name, text));
}

static void put_flag(void *fdt, int node, const char *name)
{
    check(fdt_setprop(fdt, node, name, NULL, 0));
}

/* Strings, each ended by a 0; an empty one at the end. */
static void put_texts(void *fdt, int node, const char *name, const char *texts)
{
    const char *end = texts;

    while (*end)
        end += strlen(end) + 1;
    check(fdt_setprop(fdt, node, name, texts, (int)(end - texts)));
}

static void put_range(void *fdt, int node, u64 start, u64 size)
{
    PUT_CELLS(fdt, node, "reg", (u32)(start >> 32), (u32)start, (u32)(size >> 32),
              (u32)size);
}

/* ---- processors ---- */

/* Extensions beyond the letters, in the manual's order. */
static const char extensions[] =
    "zicbom\0zicbop\0zicboz\0zicntr\0zicond\0zicsr\0zifencei\0zihintpause\0zihpm\0"
    "zfa\0zfh\0zfhmin\0zba\0zbb\0zbs\0sstc\0svadu\0svinval\0svnapot\0svpbmt\0";
static const char letters[] = "imafdc";

/* riscv,isa, the old way to say it. */
static void put_isa(void *fdt, int node)
{
    GString *isa = g_string_new("rv64");
    GString *list = g_string_new(NULL);

    g_string_append(isa, letters);
    for (const char *l = letters; *l; l++)
        g_string_append_len(list, (const char[]){*l, 0}, 2);
    for (const char *e = extensions; *e; e += strlen(e) + 1) {
        g_string_append_printf(isa, "_%s", e);
        g_string_append_len(list, e, (gssize)strlen(e) + 1);
    }
    put_text(fdt, node, "riscv,isa", isa->str);
    put_text(fdt, node, "riscv,isa-base", "rv64i");
    check(fdt_setprop(fdt, node, "riscv,isa-extensions", list->str, (int)list->len));
    PUT_CELLS(fdt, node, "riscv,cbom-block-size", CACHE_BLOCK);
    PUT_CELLS(fdt, node, "riscv,cboz-block-size", CACHE_BLOCK);
    PUT_CELLS(fdt, node, "riscv,cbop-block-size", CACHE_BLOCK);
    g_string_free(isa, TRUE);
    g_string_free(list, TRUE);
}

static void describe_cpu(void *fdt, int cpus, u32 n, u32 id)
{
    int node = node_at(fdt, cpus, "cpu", id), intc;

    PUT_CELLS(fdt, node, "phandle", cpu_handle(n, id));
    put_text(fdt, node, "device_type", "cpu");
    PUT_CELLS(fdt, node, "reg", id);
    put_text(fdt, node, "status", "okay");
    put_text(fdt, node, "compatible", "riscv");
    put_text(fdt, node, "mmu-type", "riscv,sv57");
    put_isa(fdt, node);
    intc = node_add(fdt, node, "interrupt-controller");
    PUT_CELLS(fdt, intc, "#interrupt-cells", 1);
    put_flag(fdt, intc, "interrupt-controller");
    put_text(fdt, intc, "compatible", "riscv,cpu-intc");
    PUT_CELLS(fdt, intc, "phandle", intc_handle(n, id));
}

static void describe_cpus(void *fdt, u32 n)
{
    int cpus = node_add(fdt, 0, "cpus"), cluster;

    PUT_CELLS(fdt, cpus, "#address-cells", 1);
    PUT_CELLS(fdt, cpus, "#size-cells", 0);
    PUT_CELLS(fdt, cpus, "timebase-frequency", TIMEBASE_HZ);
    cluster = node_add(fdt, node_add(fdt, cpus, "cpu-map"), "cluster0");
    for (u32 i = n; i-- > 0;) {
        char name[NAME_ROOM];

        g_snprintf(name, sizeof name, "core%u", i);
        PUT_CELLS(fdt, node_add(fdt, cluster, name), "cpu", cpu_handle(n, i));
    }
    for (u32 i = n; i-- > 0;)
        describe_cpu(fdt, fdt_path_offset(fdt, "/cpus"), n, i);
}

/* ---- devices ---- */

static int describe_place(void *fdt, const char *parent, u32 n, u32 place)
{
    const VirtPlace *p = &virt_map[place];
    int node = node_at(fdt, fdt_path_offset(fdt, parent), p->node, p->base);

    put_range(fdt, node, p->base, p->size);
    put_texts(fdt, node, "compatible", p->compatible);
    if (p->irq) {
        PUT_CELLS(fdt, node, "interrupts", p->irq);
        PUT_CELLS(fdt, node, "interrupt-parent", plic_handle(n));
    }
    return node;
}

/* Which lines of each hart's controller a device drives. */
static void put_hart_lines(void *fdt, int node, u32 n, u32 first, u32 second)
{
    u32 cells[4 * MAX_CPUS];

    for (u32 i = 0; i < n; i++) {
        cells[4 * i] = cells[4 * i + 2] = intc_handle(n, i);
        cells[4 * i + 1] = first;
        cells[4 * i + 3] = second;
    }
    put_cells(fdt, node, "interrupts-extended", cells, 4 * n);
}

static void describe_interrupts(void *fdt, u32 n)
{
    int node = describe_place(fdt, "/soc", n, VIRT_CLINT);

    put_hart_lines(fdt, node, n, IRQ_MSI, IRQ_MTI);
    node = describe_place(fdt, "/soc", n, VIRT_PLIC);
    put_hart_lines(fdt, node, n, IRQ_MEI, IRQ_SEI);
    PUT_CELLS(fdt, node, "phandle", plic_handle(n));
    PUT_CELLS(fdt, node, "riscv,ndev", PLIC_SOURCES);
    put_flag(fdt, node, "interrupt-controller");
    PUT_CELLS(fdt, node, "#address-cells", 0);
    PUT_CELLS(fdt, node, "#interrupt-cells", 1);
}

static void describe_slots(void *fdt, u32 n)
{
    const VirtPlace *p = &virt_map[VIRT_VIRTIO];

    for (u32 i = 0; i < VIRTIO_SLOTS; i++) {
        u64 base = p->base + i * p->size;
        int node = node_at(fdt, fdt_path_offset(fdt, "/soc"), p->node, base);

        put_range(fdt, node, base, p->size);
        put_texts(fdt, node, "compatible", p->compatible);
        PUT_CELLS(fdt, node, "interrupts", p->irq + i);
        PUT_CELLS(fdt, node, "interrupt-parent", plic_handle(n));
    }
}

static void describe_soc(void *fdt, u32 n)
{
    int soc = node_add(fdt, 0, "soc"), node;

    PUT_CELLS(fdt, soc, "#address-cells", 2);
    PUT_CELLS(fdt, soc, "#size-cells", 2);
    put_text(fdt, soc, "compatible", "simple-bus");
    put_flag(fdt, soc, "ranges");
    describe_interrupts(fdt, n);
    describe_slots(fdt, n);
    PUT_CELLS(fdt, describe_place(fdt, "/soc", n, VIRT_TEST), "phandle",
              test_handle(n));
    node = describe_place(fdt, "/soc", n, VIRT_UART);
    PUT_CELLS(fdt, node, "clock-frequency", 3686400);
    describe_place(fdt, "/soc", n, VIRT_RTC);
}

/* poweroff and reboot: what to write to the finisher. */
static void describe_finisher(void *fdt, u32 n, const char *name,
                              const char *compatible, u32 value)
{
    int node = node_add(fdt, 0, name);

    PUT_CELLS(fdt, node, "value", value);
    PUT_CELLS(fdt, node, "offset", 0);
    PUT_CELLS(fdt, node, "regmap", test_handle(n));
    put_text(fdt, node, "compatible", compatible);
}

static void describe_rest(void *fdt, u32 n, u64 ram_base, u64 ram_size)
{
    const VirtPlace *flash = &virt_map[VIRT_FLASH];
    u32 base = (u32)flash->base, half = (u32)flash->size / 2;
    int node = node_at(fdt, 0, "memory", ram_base);

    put_text(fdt, node, "device_type", "memory");
    put_range(fdt, node, ram_base, ram_size);
    describe_finisher(fdt, n, "reboot", "syscon-reboot", 0x7777);
    describe_finisher(fdt, n, "poweroff", "syscon-poweroff", 0x5555);
    node = node_add(fdt, 0, "chosen");
    put_text(fdt, node, "stdout-path", "/soc/serial@10000000");
    node = describe_place(fdt, "/", n, VIRT_FLASH);
    PUT_CELLS(fdt, node, "bank-width", 4);
    PUT_CELLS(fdt, node, "reg", 0, base, 0, half, 0, base + half, 0, half);
    put_flag(fdt, describe_place(fdt, "/", n, VIRT_FW_CFG), "dma-coherent");
}

static GBytes *packed(void *fdt)
{
    check(fdt_pack(fdt));
    return g_bytes_new_take(fdt, fdt_totalsize(fdt));
}

static GBytes *fdt_own(const Machine *m)
{
    void *fdt = g_malloc0(FDT_ROOM);

    check(fdt_create_empty_tree(fdt, FDT_ROOM));
    PUT_CELLS(fdt, 0, "#address-cells", 2);
    PUT_CELLS(fdt, 0, "#size-cells", 2);
    put_text(fdt, 0, "compatible", "riscv-virtio");
    put_text(fdt, 0, "model", "riscv-virtio,qemu");
    describe_soc(fdt, m->n_cpus);
    describe_cpus(fdt, m->n_cpus);
    describe_rest(fdt, m->n_cpus, m->board->ram_base, m->ram_size);
    return packed(fdt);
}

/* ---- a file's ---- */

static GBytes *fdt_file(const char *path, char **error)
{
    GError *failed = NULL;
    gchar *text;
    gsize n;

    if (!g_file_get_contents(path, &text, &n, &failed)) {
        *error = g_strdup(failed->message);
        g_error_free(failed);
        return NULL;
    }
    if (n > 1 << 20 || fdt_check_full(text, n)) {
        *error = g_strdup_printf("%s: not a device tree", path);
        g_free(text);
        return NULL;
    }
    return g_bytes_new_take(text, n);
}

GBytes *virt_fdt(const Machine *m, const char *file, char **error)
{
    return file ? fdt_file(file, error) : fdt_own(m);
}

/* ---- /chosen ---- */

static int chosen(void *fdt)
{
    int node = fdt_path_offset(fdt, "/chosen");

    return node >= 0 ? node : fdt_add_subnode(fdt, 0, "chosen");
}

/* With -icount, all runs are the same. */
static bool seed_get(const MachineOptions *o, u8 seed[RNG_SEED])
{
    memset(seed, 0, RNG_SEED);
    return o->icount >= 0 || getrandom(seed, RNG_SEED, 0) == RNG_SEED;
}

/* The properties there; negative: libfdt's error. */
static int choose(void *fdt, const MachineOptions *o, const Image *initrd)
{
    const char *append = o->append;
    u8 seed[RNG_SEED];
    int node = chosen(fdt), bad = MIN(node, 0);

    if (append && !bad)
        bad = fdt_setprop_string(fdt, node, "bootargs", append);
    if (initrd && !bad)
        bad = fdt_setprop_u64(fdt, node, "linux,initrd-start", initrd->start);
    if (initrd && !bad)
        bad = fdt_setprop_u64(fdt, node, "linux,initrd-end", initrd->end);
    if (!bad && seed_get(o, seed))
        bad = fdt_setprop(fdt, node, "rng-seed", seed, sizeof seed);
    return bad;
}

GBytes *virt_fdt_chosen(const Machine *m, GBytes *given, const Image *initrd,
                        char **error)
{
    const char *append = m->options->append;
    gsize n;
    const void *old = g_bytes_get_data(given, &n);
    int room = (int)(n + (append ? strlen(append) : 0) + 4096), bad;
    void *fdt = g_malloc0((gsize)room);

    bad = fdt_open_into(old, fdt, room);
    if (!bad)
        bad = choose(fdt, m->options, initrd);
    if (!bad)
        return packed(fdt);
    *error = g_strdup_printf("the device tree: %s", fdt_strerror(bad));
    g_free(fdt);
    return NULL;
}
