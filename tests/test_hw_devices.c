/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_devices
 *
 * The small devices of fixed places: test finisher, clock, firmware configuration and
 * flash, through their registers, with hostile values, saved and loaded in mid-use. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "hw_board.h"

static char *error;

#define must(call) cr_assert((call), "%s", error)

/* Every prefix of a state, and states with changed bytes, are refused or loaded, and
 * the device lives on. */
static void abuse_state(Machine *m, Device *d, u32 step)
{
    GByteArray *good = board_save(m, d), *bad;
    GRand *r = g_rand_new_with_seed(5);

    for (u32 n = 0; n < good->len; n += step) {
        bad = g_byte_array_append(g_byte_array_new(), good->data, n);
        cr_expect_not(board_load(m, d, bad), "%u bytes", n);
        g_byte_array_unref(bad);
    }
    for (u32 i = 0; i < 200; i++) {
        bad = g_byte_array_append(g_byte_array_new(), good->data, good->len);
        for (u32 k = 0; k < 3; k++)
            bad->data[g_rand_int(r) % MIN(good->len, 64)] = g_rand_int(r);
        board_load(m, d, bad);
        board_fuzz(m, MAX(d->type->size % 4096, 8), 20, i);
        g_byte_array_unref(bad);
    }
    cr_expect(board_load(m, d, good));
    g_byte_array_unref(good);
    g_rand_free(r);
}

/* ---- the test finisher ---- */

static int finish(u64 value, u32 width, u64 offset)
{
    Machine *m = board_new();
    int status;

    must(sifive_test_new(m, BOARD_DEVICE, &error));
    board_write(m, offset, width, value);
    status = m->quit ? m->status : m->reset_wanted ? 1000 : -1;
    machine_free(m);
    return status;
}

Test(devices, finisher)
{
    cr_expect_eq(finish(0x5555, 4, 0), 0);
    cr_expect_eq(finish(0x5555, 2, 0), 0);
    cr_expect_eq(finish(0x7777, 4, 0), 1000);
    cr_expect_eq(finish(0x3333 | 42 << 16, 4, 0), 42);
    cr_expect_eq(finish(0x3333, 4, 0), 1, "a failure is none without a code");
    cr_expect_eq(finish(0x3333 | 256 << 16, 4, 0), 1, "nor with one of no low byte");
    cr_expect_eq(finish(0x1234, 4, 0), -1);
    cr_expect_eq(finish(0x5555, 4, 4), -1);
}

Test(devices, finisher_widths)
{
    Machine *m = board_new();
    u64 v;

    must(sifive_test_new(m, BOARD_DEVICE, &error));
    cr_expect_eq(board_read(m, 0, 4), 0);
    cr_expect_not(bus_write(&m->bus, BOARD_DEVICE, 1, 0x55));
    cr_expect_not(bus_write(&m->bus, BOARD_DEVICE, 8, 0x5555));
    cr_expect_not(bus_read(&m->bus, BOARD_DEVICE + 2, 4, &v));
    cr_expect_not(bus_read(&m->bus, BOARD_DEVICE + 0x1000, 4, &v));
    cr_expect_not(m->quit);
    machine_free(m);
}

/* ---- the clock ---- */

enum { LINE = 11 };

static u64 rtc_time(Machine *m)
{
    u64 low = board_read(m, 0, 4);

    return board_read(m, 4, 4) << 32 | low;
}

static u64 host_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void rtc_alarm(Machine *m, u64 when)
{
    board_write(m, 0xc, 4, when >> 32);
    board_write(m, 8, 4, (u32)when);
}

static bool raised(void *ctx) { return board_lines >> LINE & 1; }

static Device *rtc_new(Machine *m)
{
    must(goldfish_rtc_new(m, BOARD_DEVICE, LINE, &error));
    return device_find(m, "goldfish_rtc", NULL);
}

Test(devices, rtc_time)
{
    Machine *m = board_new();
    u64 before, now, v;

    rtc_new(m);
    before = host_time();
    now = rtc_time(m);
    cr_expect(before <= now && now <= host_time(), "it is the host's");
    board_write(m, 4, 4, 0x1234);
    board_write(m, 0, 4, 0x80000000);
    now = rtc_time(m);
    cr_expect_eq(now >> 32, 0x1234);
    cr_expect_geq(now & 0xffffffff, 0x80000000, "it goes on from there");
    cr_expect_not(bus_read(&m->bus, BOARD_DEVICE, 8, &v));
    cr_expect_not(bus_read(&m->bus, BOARD_DEVICE + 0x24, 4, &v));
    machine_free(m);
}

Test(devices, rtc_alarm)
{
    Machine *m = board_new();

    rtc_new(m);
    rtc_alarm(m, rtc_time(m) + 20000000);
    cr_expect_eq(board_read(m, 0x18, 4), 1);
    board_write(m, 0x10, 4, 1);
    cr_expect_not(raised(NULL));
    cr_expect(board_wait(m, raised, NULL));
    cr_expect_eq(board_read(m, 0x18, 4), 0);
    board_write(m, 0x10, 4, 0);
    cr_expect_not(raised(NULL));
    board_write(m, 0x10, 4, 1);
    cr_expect(raised(NULL), "it is still pending");
    board_write(m, 0x1c, 4, 0);
    cr_expect_not(raised(NULL));
    rtc_alarm(m, 5); /* the past */
    cr_expect(raised(NULL));
    board_write(m, 0x1c, 4, 0);
    rtc_alarm(m, ~0ull >> 1);
    board_write(m, 0x14, 4, 0);
    cr_expect_eq(board_read(m, 0x18, 4), 0, "called off");
    board_settle(m);
    cr_expect_not(raised(NULL));
    machine_free(m);
}

/* Time that is set past the alarm, and time that passes while the machine stands still.
 */
Test(devices, rtc_leaps)
{
    Machine *m = board_new();
    u64 now;

    rtc_new(m);
    now = rtc_time(m);
    board_write(m, 0x10, 4, 1);
    rtc_alarm(m, now + (10ull << 32));
    board_write(m, 4, 4, (now >> 32) + 11);
    cr_expect(raised(NULL));
    board_write(m, 0x1c, 4, 0);
    rtc_alarm(m, rtc_time(m) + 30000000);
    machine_lock(m);
    machine_stop(m, RUN_PAUSED);
    machine_unlock(m);
    g_usleep(50000);
    board_settle(m);
    cr_expect_not(raised(NULL), "not while it is stopped");
    machine_lock(m);
    machine_cont(m);
    machine_unlock(m);
    cr_expect(raised(NULL));
    machine_free(m);
}

Test(devices, rtc_state)
{
    Machine *m = board_new();
    Device *d = rtc_new(m);
    GByteArray *saved;

    board_write(m, 4, 4, 0x77);
    board_write(m, 0x10, 4, 1);
    rtc_alarm(m, rtc_time(m) + 10000000);
    saved = board_save(m, d);
    d->type->reset(d);
    board_write(m, 4, 4, 0x1);
    cr_assert(board_load(m, d, saved));
    cr_expect_eq(rtc_time(m) >> 32, 0x77);
    cr_expect(board_wait(m, raised, NULL));
    abuse_state(m, d, 1);
    board_fuzz(m, 0x28, 20000, 3);
    machine_free(m);
}

/* ---- the firmware configuration ---- */

static MachineOptions with;

/* A machine whose options are with's. */
static Machine *machine_with(void)
{
    Machine *m = board_new();

    with.board = m->options->board;
    with.ram_size = m->options->ram_size;
    with.n_cpus = 2;
    m->options = &with;
    return m;
}

static void want(GPtrArray **list, const char *text)
{
    if (!*list)
        *list = g_ptr_array_new();
    g_ptr_array_add(*list, (void *)text);
}

static void fw_select(Machine *m, u16 key) { board_write(m, 8, 2, GUINT16_TO_BE(key)); }

static void expect_item(Machine *m, u16 key, const char *text)
{
    fw_select(m, key);
    for (const char *p = text; *p; p++)
        cr_expect_eq(board_read(m, 0, 1), (u8)*p, "item %#x", key);
    cr_expect_eq(board_read(m, 0, 8), 0, "it ends there");
}

/* One request at the start of RAM; what is left in its control word. */
static u32 fw_dma(Machine *m, u32 control, u32 length, u64 address)
{
    struct {
        u32 control, length;
        u64 address;
    } q = {GUINT32_TO_BE(control), GUINT32_TO_BE(length), GUINT64_TO_BE(address)};
    u32 left;

    cr_assert(dma_write(m, BOARD_RAM, &q, sizeof q));
    board_write(m, 16, 4, GUINT32_TO_BE((u32)(BOARD_RAM >> 32)));
    board_write(m, 20, 4, GUINT32_TO_BE((u32)BOARD_RAM));
    cr_assert(dma_read(m, BOARD_RAM, &left, sizeof left));
    return GUINT32_FROM_BE(left);
}

Test(devices, fw_cfg_files)
{
    Machine *m = machine_with();
    char *path = g_strdup_printf("/tmp/test_devices.%d", getpid());
    char *option = g_strdup_printf("name=opt/from/file,file=%s", path);
    u8 directory[4 + 3 * 64];

    g_file_set_contents(path, "bytes", 5, NULL);
    want(&with.fw_cfgs, "opt/z,string=last");
    want(&with.fw_cfgs, option);
    want(&with.fw_cfgs, "name=opt/a,string=commas,, too");
    must(fw_cfg_new(m, BOARD_DEVICE, &error));
    expect_item(m, 0, "QEMU");
    expect_item(m, 1, "\3");
    expect_item(m, 5, "\2");
    fw_select(m, 0x19);
    for (u32 i = 0; i < sizeof directory; i++)
        directory[i] = board_read(m, 0, 1);
    cr_expect_arr_eq(directory, "\0\0\0\3\0\0\0\13\0\x20\0\0opt/a", 18, "by name");
    cr_expect_str_eq((char *)directory + 4 + 64 + 8, "opt/from/file");
    expect_item(m, 0x20, "commas, too");
    expect_item(m, 0x21, "bytes");
    expect_item(m, 0x22, "last");
    expect_item(m, 0x23, "");
    expect_item(m, 0xffff, "");
    machine_free(m);
    unlink(path);
}

Test(devices, fw_cfg_dma)
{
    Machine *m = machine_with();
    u8 got[32];

    want(&with.fw_cfgs, "opt/x,string=0123456789");
    must(fw_cfg_new(m, BOARD_DEVICE, &error));
    cr_expect_eq(board_read(m, 16, 8), GUINT64_TO_BE(0x51454d5520434647));
    cr_assert(dma_fill(m, BOARD_RAM + 0x100, 0xee, 64));
    cr_expect_eq(fw_dma(m, 0x20 << 16 | 8 | 2, 4, BOARD_RAM + 0x100), 0);
    cr_expect_eq(fw_dma(m, 4, 2, 0), 0, "skips");
    cr_expect_eq(fw_dma(m, 2, 10, BOARD_RAM + 0x110), 0);
    dma_read(m, BOARD_RAM + 0x100, got, 32);
    cr_expect_arr_eq(got, "0123\xee", 5);
    cr_expect_arr_eq(got + 16, "6789\0\0\0\0\0\0\xee", 11, "zeroes after its end");
    cr_expect_eq(fw_dma(m, 0x20 << 16 | 8 | 16, 4, BOARD_RAM), 1, "not to be written");
    cr_expect_eq(fw_dma(m, 0x20 << 16 | 8 | 2, 4, 0), 1, "no RAM");
    cr_expect_eq(fw_dma(m, 2, 0xffffffff, BOARD_RAM), 1, "beyond RAM");
    cr_expect_eq(fw_dma(m, 2, 16, ~0ull - 3), 1, "around the end");
    cr_expect_eq(fw_dma(m, 2, 16, BOARD_DEVICE), 1, "itself");
    cr_expect_eq(fw_dma(m, 4, 0xffffffff, 0), 0);
    cr_expect_eq(fw_dma(m, 2, 0xffffffff, BOARD_RAM + BOARD_RAM_SIZE - 1), 1);
    cr_expect_eq(fw_dma(m, 0x20 << 16 | 8 | 2, 16, BOARD_RAM), 0,
                 "onto itself: the answer comes last");
    for (u32 i = 0; i < 32; i++) /* descriptors that are nowhere, or partly */
        board_write(m, 16, 8, GUINT64_TO_BE(BOARD_RAM + BOARD_RAM_SIZE - i));
    board_write(m, 16, 8, GUINT64_TO_BE(~0ull - 7));
    machine_free(m);
}

Test(devices, fw_cfg_state)
{
    Machine *m = machine_with();
    Device *d;
    GByteArray *saved;

    want(&with.fw_cfgs, "opt/x,string=0123456789");
    must(fw_cfg_new(m, BOARD_DEVICE, &error));
    d = device_find(m, "fw_cfg", NULL);
    fw_select(m, 0x20);
    board_read(m, 0, 4);
    saved = board_save(m, d);
    fw_select(m, 0);
    cr_assert(board_load(m, d, saved));
    cr_expect_eq(board_read(m, 0, 1), '4');
    abuse_state(m, d, 1);
    board_fuzz(m, 24, 50000, 4);
    machine_free(m);
}

Test(devices, fw_cfg_refusals)
{
    static const char *const bad[] = {
        "",
        "opt/x",
        "opt/x,string=a,file=/etc/hostname",
        "opt/x,file=/nonexistent",
        "opt/x,string=a,surprise=1",
        "name=,string=a",
        "opt/0123456789012345678901234567890123456789012345678901234567890,string=a",
    };

    for (u32 i = 0; i <= ARRAY_SIZE(bad); i++) {
        Machine *m = machine_with();

        with.fw_cfgs = NULL;
        want(&with.fw_cfgs, "opt/twice,string=a");
        want(&with.fw_cfgs, i < ARRAY_SIZE(bad) ? bad[i] : "opt/twice,string=a");
        error = NULL;
        cr_expect_not(fw_cfg_new(m, BOARD_DEVICE, &error), "%s", bad[i]);
        cr_expect(error && !strchr(error, '\n'));
        machine_free(m);
    }
}

/* ---- flash ---- */

enum { BANK = 32 << 20 };

static Device *flash_new(Machine *m)
{
    must(pflash_new(m, BOARD_DEVICE, BANK, 0, &error));
    return device_find(m, "pflash", NULL);
}

/* A word, as a driver writes it. */
static u8 flash_program(Machine *m, u64 offset, u32 word)
{
    u8 status;

    board_write(m, offset, 4, 0x40);
    board_write(m, offset, 4, word);
    status = board_read(m, offset, 1);
    board_write(m, offset, 4, 0x50);
    board_write(m, offset, 4, 0xff);
    return status;
}

static u8 flash_erase(Machine *m, u64 offset)
{
    u8 status;

    board_write(m, offset, 4, 0x20);
    board_write(m, offset, 4, 0xd0);
    status = board_read(m, offset, 1);
    board_write(m, offset, 4, 0x50);
    board_write(m, offset, 4, 0xff);
    return status;
}

static char *bank_file(char first, off_t size)
{
    static u32 count;
    char *path = g_strdup_printf("/tmp/test_flash.%d.%u", getpid(), count++);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    cr_assert(ftruncate(fd, size) == 0 && pwrite(fd, &first, 1, 0) == 1);
    close(fd);
    return path;
}

static void drive(const char *path, const char *more)
{
    with.drives = NULL;
    want(&with.drives, g_strdup_printf("if=pflash,file=%s,format=raw%s", path, more));
}

Test(devices, flash_commands)
{
    Machine *m = machine_with();

    flash_new(m);
    cr_expect_eq(flash_erase(m, 0x40004), 0x80);
    cr_expect_eq(board_read(m, 0x40000, 8), ~0ull);
    cr_expect_eq(board_read(m, 0x7fff8, 8), ~0ull);
    cr_expect_eq(board_read(m, 0x80000, 4), 0, "the next sector");
    cr_expect_eq(flash_program(m, 0x40010, 0x12345678), 0x80);
    cr_expect_eq(board_read(m, 0x40010, 4), 0x12345678);
    cr_expect_eq(board_read(m, 0x40012, 2), 0x1234);
    machine_free(m);
}

/* What is written is in the file; a read-only one and a snapshot are left alone. */
Test(devices, flash_file)
{
    static const char *const ways[] = {"", ",readonly=on", ",snapshot=on"};

    for (u32 i = 0; i < 3; i++) {
        char *path = bank_file('T', BANK), *bytes;
        Machine *m = machine_with();
        gsize size;

        drive(path, ways[i]);
        flash_new(m);
        cr_expect_eq(board_read(m, 0, 1), 'T');
        cr_expect_eq(flash_program(m, 4, 0x2e2e2e2e), i == 1 ? 0x90 : 0x80);
        cr_expect_eq(flash_erase(m, BANK - 4), i == 1 ? 0xa0 : 0x80);
        cr_expect_eq(board_read(m, 4, 1), i == 1 ? 0 : '.');
        machine_free(m);
        cr_assert(g_file_get_contents(path, &bytes, &size, NULL));
        cr_expect_eq(bytes[4], i ? 0 : '.');
        cr_expect_eq(bytes[BANK - 1], i ? 0 : (char)0xff);
        g_free(bytes);
        unlink(path);
    }
}

Test(devices, flash_refusals)
{
    static const char *const ways[] = {"", ",readonly=maybe", ",format=qcow2",
                                       ",surprise=1"};
    char *small = bank_file('T', BANK - 1), *right = bank_file('T', BANK);

    for (u32 i = 0; i < 6; i++) {
        Machine *m = machine_with();

        drive(i == 0   ? small
              : i == 4 ? "/nonexistent"
              : i == 5 ? "/tmp"
                       : right,
              i < 4 ? ways[i] : "");
        error = NULL;
        cr_expect_not(pflash_new(m, BOARD_DEVICE, BANK, 0, &error), "%u", i);
        cr_expect(error && !strchr(error, '\n'));
        machine_free(m);
    }
    unlink(small);
    unlink(right);
}

/* Units that are given, and counted up. */
Test(devices, flash_units)
{
    Machine *m = machine_with();
    Props *p;

    with.drives = NULL;
    want(&with.drives, "file=disk,if=none,id=d");
    want(&with.drives, "if=pflash,file=a");
    want(&with.drives, "file=b,if=pflash");
    p = pflash_drive(m, 0);
    cr_expect_str_eq(props_get(p, "file"), "a");
    p = pflash_drive(m, 1);
    cr_expect_str_eq(props_get(p, "file"), "b");
    cr_expect_null(pflash_drive(m, 2));
    want(&with.drives, "file=c,if=pflash,unit=7");
    p = pflash_drive(m, 7);
    cr_expect_str_eq(props_get(p, "file"), "c");
    machine_free(m);
}

/* In the middle of a write buffer. */
Test(devices, flash_state)
{
    Machine *m = machine_with();
    Device *d = flash_new(m);
    GByteArray *saved;

    flash_program(m, 0x100000, 0xabcdef);
    board_write(m, 0x1000, 4, 0xe8);
    board_write(m, 0x1000, 4, 1);
    board_write(m, 0x1000, 4, 0x11111111);
    saved = board_save(m, d);
    cr_expect_lt(saved->len, 1 << 20, "what there is of it");
    d->type->reset(d);
    flash_erase(m, 0x100000);
    flash_program(m, 0x200000, 0x55);
    cr_assert(board_load(m, d, saved));
    board_write(m, 0x1004, 4, 0x22222222);
    board_write(m, 0x1000, 4, 0xd0);
    cr_expect_eq(board_read(m, 0x1000, 1), 0x80);
    board_write(m, 0, 4, 0xff);
    cr_expect_eq(board_read(m, 0x1000, 8), 0x2222222211111111);
    cr_expect_eq(board_read(m, 0x100000, 4), 0xabcdef);
    cr_expect_eq(board_read(m, 0x200000, 4), 0);
    abuse_state(m, d, 50000);
    machine_free(m);
}

Test(devices, flash_fuzz)
{
    Machine *m = machine_with();

    flash_new(m);
    board_fuzz(m, 0x2000, 50000, 5);
    board_fuzz(m, BANK, 2000, 6);
    machine_free(m);
}
