/* SPDX-License-Identifier: MIT */
/*
 * virt: QEMU's board of that name.  Its memory map, the devices that are always there,
 * and what starts: firmware in machine mode, or a kernel with our SBI under it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "inside.h"
#include "riscv64_board.h"
#include "riscv64_info.h"
#include "virtio.h"

#define MiB (1ull << 20)

const VirtPlace virt_map[VIRT_PLACES] = {
    [VIRT_ROM] = {NULL, 0x1000, 0xf000},
    [VIRT_TEST] = {"test", 0x100000, 0x1000, 0, "sifive,test1\0sifive,test0\0syscon\0"},
    [VIRT_RTC] = {"rtc", 0x101000, 0x1000, 11, "google,goldfish-rtc\0"},
    [VIRT_CLINT] = {"clint", 0x2000000, 0x10000, 0, "sifive,clint0\0riscv,clint0\0"},
    [VIRT_PLIC] = {"plic", 0xc000000, 0x600000, 0, "sifive,plic-1.0.0\0riscv,plic0\0"},
    [VIRT_UART] = {"serial", 0x10000000, 0x100, 10, "ns16550a\0"},
    [VIRT_VIRTIO] = {"virtio_mmio", 0x10001000, 0x1000, 1, "virtio,mmio\0"},
    [VIRT_FW_CFG] = {"fw-cfg", 0x10100000, 0x18, 0, "qemu,fw-cfg-mmio\0"},
    [VIRT_FLASH] = {"flash", 0x20000000, 64 * MiB, 0, "cfi-flash\0"},
    [VIRT_RAM] = {"memory", 0x80000000, 0},
};

/* ---- what is booted ---- */

/* -bios's file: as named, or where firmware is installed. */
static char *firmware_path(const char *name)
{
    static const char *const folders[] = {"/usr/share/qemu",
                                          "/usr/lib/riscv64-linux-gnu/opensbi/generic"};

    if (!strchr(name, '/') && !g_file_test(name, G_FILE_TEST_EXISTS))
        for (u32 i = 0; i < ARRAY_SIZE(folders); i++) {
            char *path = g_build_filename(folders[i], name, NULL);

            if (g_file_test(path, G_FILE_TEST_EXISTS))
                return path;
            g_free(path);
        }
    return g_strdup(name);
}

static bool read_firmware(Machine *m, RiscvBoot *b, char **error)
{
    const char *bios = m->options->bios;
    char *path;

    if (!bios || !strcmp(bios, "default") || !strcmp(bios, "none"))
        return true;
    path = firmware_path(bios);
    b->firmware =
        image_read(path, IMAGE_RAW | IMAGE_ELF, virt_map[VIRT_RAM].base, error);
    g_free(path);
    return b->firmware;
}

/* Above the firmware; an Image has to be 2 MiB above the start of memory. */
static bool read_kernel(Machine *m, RiscvBoot *b, char **error)
{
    const char *bios = m->options->bios;
    bool none = bios && !strcmp(bios, "none");
    u64 ram = virt_map[VIRT_RAM].base;
    u64 at = b->firmware ? MAX(b->firmware->end, ram + 1) : ram + 1;

    if (!m->options->kernel)
        return true;
    b->kernel = image_read(m->options->kernel, IMAGE_RAW | IMAGE_ELF | IMAGE_LINUX,
                           align_up(at, 2 * MiB), error);
    if (!b->kernel)
        return false;
    b->sbi = !b->firmware && (!none || b->kernel->is_linux);
    if (none && !b->sbi) { /* in machine mode, and where that starts */
        image_free(b->kernel);
        b->kernel = image_read(m->options->kernel, IMAGE_RAW | IMAGE_ELF, ram, error);
    }
    return b->kernel;
}

static bool read_initrd(Machine *m, RiscvBoot *b, char **error)
{
    u64 at;

    if (!m->options->initrd)
        return true;
    at = b->kernel->entry + MIN(m->ram_size / 2, 512 * MiB);
    b->initrd = image_read(m->options->initrd, IMAGE_RAW,
                           MAX(at, align_up(b->kernel->end, PAGE_SIZE)), error);
    return b->initrd;
}

/* The tree goes below 3 GiB, as high as it can. */
static bool place_fdt(Machine *m, RiscvBoot *b, char **error)
{
    u64 end = MIN(virt_map[VIRT_RAM].base + m->ram_size, 3072 * MiB);
    u64 used = MAX(b->initrd ? b->initrd->end : 0, b->kernel ? b->kernel->end : 0);
    u64 size;

    m->fdt = virt_fdt(m, m->options->dtb, error);
    b->fdt = m->fdt ? virt_fdt_chosen(m, m->fdt, b->initrd, error) : NULL;
    if (!b->fdt)
        return false;
    g_bytes_unref(m->fdt);
    m->fdt = g_bytes_ref(b->fdt);
    size = g_bytes_get_size(b->fdt);
    b->fdt_at = (end - size) & ~(2 * MiB - 1);
    if (size > m->ram_size || b->fdt_at < MAX(used, virt_map[VIRT_RAM].base)) {
        *error = g_strdup("-m: too little memory for what is to be booted");
        return false;
    }
    return true;
}

static bool is_first_flash(const char *drive)
{
    Props *p = props_parse(drive, "file");
    const char *kind = props_get(p, "if"), *unit = props_get(p, "unit");
    bool is = kind && !strcmp(kind, "pflash") && (!unit || !strcmp(unit, "0"));

    props_free(p);
    return is;
}

static bool has_flash(const Machine *m)
{
    for (u32 i = 0; i < m->options->drives->len; i++)
        if (is_first_flash(m->options->drives->pdata[i]))
            return true;
    return false;
}

/* Something must be there to start, and what goes with a kernel wants one. */
static const char *nothing_to_boot(const Machine *m)
{
    const MachineOptions *o = m->options;

    if (o->kernel)
        return NULL;
    if (o->initrd)
        return "-initrd: there is no -kernel for it";
    if (o->append)
        return "-append: there is no -kernel for it";
    if (o->bios || o->dump_dtb || has_flash(m))
        return NULL;
    return "there is nothing to boot: name a -kernel or -bios";
}

static bool boot_prepare(Machine *m, RiscvBoot *b, char **error)
{
    const char *why = nothing_to_boot(m);

    if (why) {
        *error = g_strdup(why);
        return false;
    }
    if (!read_firmware(m, b, error) || !read_kernel(m, b, error) ||
        !read_initrd(m, b, error) || !place_fdt(m, b, error))
        return false;
    b->entry = b->firmware    ? b->firmware->entry
               : b->kernel    ? b->kernel->entry
               : has_flash(m) ? virt_map[VIRT_FLASH].base
                              : virt_map[VIRT_RAM].base;
    return true;
}

static bool image_into(Machine *m, const Image *i, char **error)
{
    return !i || image_load(m, i, error);
}

/* Memory as it is before the first instruction. */
static bool boot_load(Machine *m, const RiscvBoot *b, char **error)
{
    gsize n;
    const void *fdt = g_bytes_get_data(b->fdt, &n);

    if (!image_into(m, b->firmware, error) || !image_into(m, b->kernel, error) ||
        !image_into(m, b->initrd, error))
        return false;
    if (!dma_write(m, b->fdt_at, fdt, n)) {
        *error = g_strdup("no memory for the device tree");
        return false;
    }
    return true;
}

/* ---- the reset vector ---- */

/* OpenSBI's struct fw_dynamic_info, version 2. */
typedef struct FirmwareInfo {
    u64 magic, version, next_addr, next_mode, options, boot_hart;
} FirmwareInfo;

typedef struct Rom {
    u32 code[6];
    u64 entry, fdt;
    FirmwareInfo info;
} Rom;

static_assert(offsetof(Rom, entry) == 24 && offsetof(Rom, info) == 40,
              "the code has these offsets");

static void rom_write(Machine *m, const RiscvBoot *b)
{
    const Rom rom = {
        .code =
            {
                0x00000297, /* auipc t0, 0 */
                0x02828613, /* addi a2, t0, 40: info */
                0xf1402573, /* csrr a0, mhartid */
                0x0202b583, /* ld a1, 32(t0): fdt */
                0x0182b283, /* ld t0, 24(t0): entry */
                0x00028067, /* jr t0 */
            },
        .entry = b->entry,
        .fdt = b->fdt_at,
        .info = {.magic = 0x4942534f,
                 .version = 2,
                 .next_addr = b->kernel ? b->kernel->entry : 0,
                 .next_mode = PRIV_S},
    };

    dma_write(m, virt_map[VIRT_ROM].base, &rom, sizeof rom);
}

/* Pages like RAM's; what a guest writes there lasts until the reset. */
static bool rom_new(Machine *m, char **error)
{
    const VirtPlace *p = &virt_map[VIRT_ROM];

    if (mmap(space_host(&m->space, p->base), p->size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        *error = g_strdup_printf("no memory: %s", strerror(errno));
        return false;
    }
    space_set(&m->space, p->base, p->size,
              PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    return true;
}

/* ---- the board ---- */

static Chardev *first_serial(Machine *m, char **error)
{
    GPtrArray *serials = m->options->serials;

    return serials->len ? chardev_new(m, "serial0", serials->pdata[0], error) : NULL;
}

/* The serial line may lead to a -chardev, flash be a -drive. */
static bool devices_new(Machine *m, char **error)
{
    const VirtPlace *uart = &virt_map[VIRT_UART], *rtc = &virt_map[VIRT_RTC],
                    *slots = &virt_map[VIRT_VIRTIO], *flash = &virt_map[VIRT_FLASH];
    u64 bank = flash->size / 2;
    Chardev *serial;

    virtio_slots(m, slots->base, slots->size, slots->irq);
    if (!devices_create(m, error))
        return false;
    serial = first_serial(m, error);
    if (!serial && m->options->serials->len)
        return false;
    return uart16550_new(m, uart->base, uart->irq, serial, error) &&
           sifive_test_new(m, virt_map[VIRT_TEST].base, error) &&
           goldfish_rtc_new(m, rtc->base, rtc->irq, error) &&
           fw_cfg_new(m, virt_map[VIRT_FW_CFG].base, error) &&
           pflash_new(m, flash->base, bank, 0, error) &&
           pflash_new(m, flash->base + bank, bank, 1, error);
}

static bool virt_create(Machine *m, char **error)
{
    Virt *v = g_new0(Virt, 1);

    m->board_data = v;
    v->plic = plic_new(m, virt_map[VIRT_PLIC].base, error);
    v->clint = v->plic ? clint_new(m, virt_map[VIRT_CLINT].base, error) : NULL;
    if (!v->clint || !rom_new(m, error))
        return false;
    for (u32 i = 0; i < m->n_cpus; i++)
        if (!riscv_cpu_new(&m->cpu[i], v->clint, error))
            return false;
    if (!devices_new(m, error) || !boot_prepare(m, &v->boot, error) ||
        !boot_load(m, &v->boot, error))
        return false;
    if (v->boot.sbi)
        v->sbi = sbi_new(m, virt_map[VIRT_UART].base);
    return true;
}

static void virt_reset(Machine *m)
{
    Virt *v = virt_of(m);
    char *error = NULL;

    if (!boot_load(m, &v->boot, &error)) {
        report("%s", error);
        g_free(error);
        machine_quit(m, 1);
    }
    rom_write(m, &v->boot);
    if (v->sbi) {
        sbi_reset(v->sbi, v->boot.entry, v->boot.fdt_at);
        return;
    }
    for (u32 i = 0; i < m->n_cpus; i++)
        hart_reset(m->cpu[i].env, virt_map[VIRT_ROM].base);
}

static void virt_free(Machine *m)
{
    Virt *v = virt_of(m);

    if (!v)
        return;
    for (u32 i = 0; i < m->n_cpus; i++)
        riscv_cpu_free(&m->cpu[i]);
    if (m->fdt)
        g_bytes_unref(m->fdt);
    m->fdt = NULL;
    image_free(v->boot.firmware);
    image_free(v->boot.kernel);
    image_free(v->boot.initrd);
    if (v->boot.fdt)
        g_bytes_unref(v->boot.fdt);
    sbi_free(v->sbi);
    g_free(v);
    m->board_data = NULL;
}

static void virt_irq(Machine *m, u32 irq, bool level)
{
    plic_line(virt_of(m)->plic, irq, level);
}

static void virt_info_irq(const Machine *m, GString *out)
{
    for (u32 i = 0; i < m->n_cpus; i++) {
        const Hart *h = &riscv_cpu(&m->cpu[i])->hart;

        g_string_append_printf(out, "hart %u: mip %03x mie %03x mideleg %03x\n", i,
                               (u32)hart_mip(h), (u32)h->mie, (u32)h->mideleg);
    }
    plic_info(virt_of(m)->plic, out);
}

const BoardType board_virt = {
    .name = "virt",
    .help = "QEMU's RISC-V VirtIO board",
    .guest = &guest_riscv64,
    .ram_base = 0x80000000,
    .create = virt_create,
    .reset = virt_reset,
    .free = virt_free,
    .irq = virt_irq,
    .trap = riscv_cpu_trap,
    .interrupt = riscv_cpu_interrupt,
    .wakes = riscv_cpu_wakes,
    .cpu_state = riscv_cpu_state,
    .info_irq = virt_info_irq,
    .info_cpu = riscv_info_cpu,
    .info_tlb = riscv_info_tlb,
    .info_mem = riscv_info_mem,
    .translate = riscv_translate,
};
