/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_options
 *
 * The command line of whole systems: QEMU's words, what is refused and how; comma
 * lists; and the files that are booted, which may hold anything. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "hw_board.h"

/* ---- comma lists ---- */

Test(props, lists)
{
    Props *p = props_parse("user,id=a,,b,key,empty=,key=2", "type");
    u64 v = 7;
    bool b = false;
    char *error = NULL;

    cr_assert_str_eq(props_get(p, "type"), "user");
    cr_assert_str_eq(props_get(p, "id"), "a,b");
    cr_assert_str_eq(props_get(p, "empty"), "");
    cr_assert_str_eq(props_get(p, "key"), "2");
    cr_assert_null(props_get(p, "other"));
    cr_assert_null(props_unused(p));
    cr_assert(props_u64(p, "key", &v, &error) && v == 2);
    cr_assert(props_u64(p, "other", &v, &error) && v == 2);
    cr_assert(!props_u64(p, "id", &v, &error) && error && v == 2);
    g_clear_pointer(&error, g_free);
    cr_assert(!props_bool(p, "key", &b, &error) && error);
    g_clear_pointer(&error, g_free);
    props_free(p);
    p = props_parse("a=on,b=off,c", NULL);
    cr_assert(props_bool(p, "a", &b, &error) && b);
    cr_assert(props_bool(p, "b", &b, &error) && !b);
    cr_assert_str_eq(props_unused(p), "c");
    props_free(p);
    p = props_parse("", "type");
    cr_assert_null(props_get(p, "type"));
    props_free(p);
}

Test(props, numbers)
{
    static const struct {
        const char *text;
        u64 unit, value;
        bool good;
    } cases[] = {
        {"512", 1 << 20, 512 << 20, true},
        {"1G", 1 << 20, 1 << 30, true},
        {"1.5k", 1, 1536, true},
        {"0x10", 1, 16, true},
        {"8", 1, 8, true},
        {"2b", 1024, 2, true},
        {"", 1, 0, false},
        {"-1", 1, 0, false},
        {"1Q", 1, 0, false},
        {"1GG", 1, 0, false},
        {"99999999999999999999", 1, 0, false},
        {"99999999999P", 1, 0, false},
        {"1e30.5G", 1, 0, false},
        {" 1", 1, 0, false},
    };

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        u64 v = 0;
        bool good = number_parse(cases[i].text, cases[i].unit, &v);

        cr_expect_eq(good, cases[i].good, "%s", cases[i].text);
        cr_expect(!good || v == cases[i].value, "%s", cases[i].text);
    }
}

/* ---- the command line ---- */

static bool parse(MachineOptions *o, const char *line, char **error)
{
    char **words = g_strsplit(line, " ", 0); /* options keep pointers to them */

    *error = NULL;
    return options_parse(o, (int)g_strv_length(words), words, error);
}

Test(options, qemu_words)
{
    MachineOptions o;
    char *error;

    cr_assert(parse(&o,
                    "tessera -M virt -cpu rv64 -m 1.5G -smp 4 -nographic -kernel Image "
                    "-initrd i -append quiet -drive file=a,,b,id=x -drive file=c "
                    "-device virtio-blk-device,drive=x -netdev user,id=n --snapshot "
                    "-no-reboot -S -s -gdb unix:g -accel tcg,thread=single,hot=3 "
                    "-sandbox on,spawn=deny -qmp stdio -object rng-random,id=r "
                    "-name test",
                    &error),
              "%s", error);
    cr_assert_str_eq(o.board->name, "virt");
    cr_assert_eq(o.ram_size, 1536ull << 20);
    cr_assert_eq(o.n_cpus, 4);
    cr_assert(o.nographic && o.snapshot && o.no_reboot && o.start_stopped && o.sandbox);
    cr_assert(o.single_thread && o.cache.hot == 3 && !o.cache.interp);
    cr_assert_eq(o.drives->len, 2);
    cr_assert_str_eq(o.drives->pdata[0], "file=a,,b,id=x");
    cr_assert_eq(o.gdbs->len, 2);
    cr_assert_str_eq(o.serials->pdata[0], "mon:stdio");
    cr_assert_str_eq(o.append, "quiet");
    cr_assert_eq(o.icount, -1);
}

Test(options, what_follows)
{
    MachineOptions o;
    char *error;

    cr_assert(parse(&o, "tessera -icount 2", &error) && o.icount == 2);
    cr_assert(o.single_thread);
    cr_assert(parse(&o, "tessera -icount shift=auto,sleep=off", &error));
    cr_assert(parse(&o, "tessera -smp sockets=1,cores=2,threads=2", &error));
    cr_assert_eq(o.n_cpus, 4);
    cr_assert(parse(&o, "tessera -display none", &error));
    cr_assert_str_eq(o.serials->pdata[0], "null");
    cr_assert(parse(&o, "tessera -serial pty -serial null", &error));
    cr_assert_eq(o.serials->len, 2);
    cr_assert(parse(&o, "tessera -monitor stdio -serial null", &error));
    cr_assert_str_eq(o.serials->pdata[0], "null");
    cr_assert(parse(&o, "tessera -rtc base=utc", &error) && !o.rtc_base);
    cr_assert(parse(&o, "tessera -rtc base=2026-01-31,clock=vm", &error));
    cr_assert_eq(o.rtc_base, 1769817600 * 1000000000ull);
    cr_assert(parse(&o, "tessera -rtc base=2026-01-31T00:00:01", &error));
    cr_assert_eq(o.rtc_base, 1769817601 * 1000000000ull);
    cr_assert(parse(&o, "tessera -machine virt,accel=interp", &error));
    cr_assert(o.cache.interp);
    cr_assert(parse(&o, "tessera -m size=64M", &error) && o.ram_size == 64 << 20);
}

Test(options, refused)
{
    static const char *const lines[] = {
        "-nonsense",
        "disk.img",
        "-m",
        "-m 0",
        "-m lots",
        "-m 1G,slots=2",
        "-smp 0",
        "-smp 9",
        "-smp cpus=2,maxcpus=1",
        "-smp dies=2",
        "-M spike",
        "-M virt,nonsense=1",
        "-cpu pentium",
        "-accel kvm",
        "-accel jit,nonsense=1",
        "-accel tcg,tb-size=x",
        "-display gtk",
        "-icount x",
        "-icount 11",
        "-icount shift=0,align=on",
        "-sandbox maybe",
        "-rtc base=localtime",
        "-rtc base=2026-13-01",
        "-rtc base=2026-01-01,clock=host",
        "-rtc base=utc,clock=vm",
        "-object secret,id=x",
        "-d nonsense",
        "-dfilter x..y..z",
        "-tb-size x",
        "-smp cores=4294967296,threads=4294967296",
    };

    for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
        char *line = g_strdup_printf("tessera %s", lines[i]), *error;
        MachineOptions o;

        cr_expect(!parse(&o, line, &error), "%s was taken", lines[i]);
        cr_expect(error && !strchr(error, '\n'), "%s: %s", lines[i], error);
    }
}

/* ---- files that are booted ---- */

static char *file_of(const void *bytes, gsize n)
{
    char *path = NULL;
    int fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    return path;
}

typedef struct SmallElf {
    Elf64_Ehdr h;
    Elf64_Phdr p[2];
    u8 text[64];
} SmallElf;

static SmallElf small_elf(void)
{
    SmallElf e = {
        .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
              .e_type = ET_EXEC,
              .e_machine = EM_RISCV,
              .e_entry = 0xffffffff80000010,
              .e_phoff = offsetof(SmallElf, p),
              .e_phentsize = sizeof(Elf64_Phdr),
              .e_phnum = 2},
        .p = {{.p_type = PT_LOAD,
               .p_offset = offsetof(SmallElf, text),
               .p_vaddr = 0xffffffff80000000,
               .p_paddr = BOARD_RAM,
               .p_filesz = 64,
               .p_memsz = 128},
              {.p_type = PT_NOTE}},
    };

    memset(e.text, 0x13, sizeof e.text);
    return e;
}

Test(images, elf)
{
    SmallElf e = small_elf();
    char *path = file_of(&e, sizeof e), *error = NULL;
    Image *i = image_read(path, IMAGE_ELF, 0, &error);
    Machine *m = board_new();
    u64 v;

    cr_assert(i, "%s", error);
    cr_assert_eq(i->entry, BOARD_RAM + 16);
    cr_assert(i->start == BOARD_RAM && i->end == BOARD_RAM + 128);
    cr_assert(bus_write(&m->bus, BOARD_RAM + 64, 8, 77));
    cr_assert(image_load(m, i, &error));
    cr_assert(bus_read(&m->bus, BOARD_RAM + 56, 8, &v) && v == 0x1313131313131313);
    cr_assert(bus_read(&m->bus, BOARD_RAM + 64, 8, &v) && v == 0);
    cr_assert_eq(truncate(path, sizeof e - 1), 0);
    cr_assert(!image_load(m, i, &error) && strstr(error, "shorter"));
    image_free(i);
    unlink(path);
}

/* Linkers put the headers below the first section, and so below memory. */
Test(images, headers_below_memory)
{
    SmallElf e = small_elf();
    char *path, *error = NULL;
    Machine *m = board_new();
    Image *i;
    u64 v;

    e.p[0].p_paddr -= offsetof(SmallElf, text);
    e.p[0].p_offset = 0;
    e.p[0].p_filesz = sizeof e;
    e.p[0].p_memsz = sizeof e;
    path = file_of(&e, sizeof e);
    i = image_read(path, IMAGE_ELF, 0, &error);
    cr_assert(i && image_load(m, i, &error), "%s", error);
    cr_assert(bus_read(&m->bus, BOARD_RAM, 8, &v) && v == 0x1313131313131313);
    image_free(i);
    e.p[0].p_paddr = BOARD_RAM - sizeof e; /* all of it */
    unlink(path);
    path = file_of(&e, sizeof e);
    i = image_read(path, IMAGE_ELF, 0, &error);
    cr_assert(i && !image_load(m, i, &error));
    unlink(path);
}

/* As QEMU: an Image goes where it is told, its size counts what it will use. */
Test(images, linux_image)
{
    u8 bytes[256] = {0};
    char *path, *error = NULL;
    Image *i;

    memcpy(bytes + 56, "RSC\x05", 4);
    bytes[17] = 0x10; /* image_size */
    path = file_of(bytes, sizeof bytes);
    i = image_read(path, IMAGE_RAW | IMAGE_LINUX, BOARD_RAM, &error);
    cr_assert(i && i->is_linux && i->entry == BOARD_RAM);
    cr_assert_eq(i->end, BOARD_RAM + 0x1000);
    image_free(i);
    i = image_read(path, IMAGE_RAW, BOARD_RAM, &error);
    cr_assert(i && !i->is_linux && i->end == BOARD_RAM + 256);
    image_free(i);
    unlink(path);
}

static void refused(const void *bytes, gsize n, const char *why)
{
    char *path = file_of(bytes, n), *error = NULL;

    cr_expect_null(image_read(path, IMAGE_ELF | IMAGE_LINUX, BOARD_RAM, &error));
    cr_expect(error && strstr(error, why), "%s instead of %s", error, why);
    g_free(error);
    unlink(path);
}

Test(images, refused)
{
    SmallElf e = small_elf();
    char *error = NULL;

    refused("", 0, "empty");
    refused("\x1f\x8b\x08", 3, "gunzip");
    refused("hello", 5, "not an image");
    refused(&e, 63, "not an executable");
    refused(&e, 80, "outside");
    refused(&e, sizeof e - 1, "segment");
    e.h.e_machine = EM_386;
    refused(&e, sizeof e, "not an executable");
    e = small_elf();
    e.p[0].p_paddr = ~0ull - 5;
    refused(&e, sizeof e, "segment");
    e = small_elf();
    e.h.e_phoff = ~0ull - 10;
    refused(&e, sizeof e, "outside");
    cr_expect_null(image_read("/dev/null", IMAGE_RAW, 0, &error));
    cr_expect_null(image_read("/nonexistent", IMAGE_RAW, 0, &error));
}

/* Flipped bytes and cut ends: refused, or loaded into RAM and nowhere else. */
Test(images, damaged)
{
    enum { ROUNDS = 2000 };
    GRand *r = g_rand_new_with_seed(77);
    Machine *m = board_new();
    u32 loaded = 0;

    for (u32 round = 0; round < ROUNDS; round++) {
        SmallElf e = small_elf();
        char *path, *error = NULL;
        Image *i;

        for (u32 k = 0; k < 3; k++)
            ((u8 *)&e)[4 + g_rand_int(r) % (sizeof e - 4)] ^= (u8)g_rand_int(r);
        path = file_of(&e, round % 4 ? sizeof e : g_rand_int(r) % sizeof e);
        i = image_read(path, IMAGE_RAW | IMAGE_ELF, BOARD_RAM, &error);
        loaded += i && image_load(m, i, &error);
        cr_assert(i || error);
        image_free(i);
        g_free(error);
        unlink(path);
        g_free(path);
    }
    cr_assert_gt(loaded, ROUNDS / 50);
}
