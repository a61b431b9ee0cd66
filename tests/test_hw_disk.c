/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_disk
 *
 * Disks and the block device: what -drive takes and refuses, images and overlays
 * against a model, locks, a host that has no room, and requests as drivers make them
 * and as none may. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../hw/disk.h"
#include "hw_driver.h"

/* ---- files ---- */

static char *dir; /* of the test's own */

static void dir_make(void)
{
    dir = g_dir_make_tmp("tessera-disk-XXXXXX", NULL);
    cr_assert(dir);
}

static void dir_remove(void)
{
    char *command = g_strdup_printf("rm -rf '%s'", dir);

    cr_assert_eq(system(command), 0);
    g_free(command);
}

TestSuite(drive, .init = dir_make, .fini = dir_remove);
TestSuite(disk, .init = dir_make, .fini = dir_remove);
TestSuite(blk, .init = dir_make, .fini = dir_remove);

static const char *path_of(const char *name)
{
    static char path[8][256];
    static u32 n;
    char *p = path[n++ % G_N_ELEMENTS(path)];

    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* Bytes that tell where they are. */
static u8 byte_at(u64 i) { return (u8)(i * 7 ^ i >> 9 ^ i >> 17); }

static const char *file_make(const char *name, u64 size)
{
    const char *path = path_of(name);
    u8 *bytes = g_malloc(size + 1);

    for (u64 i = 0; i < size; i++)
        bytes[i] = byte_at(i);
    cr_assert(g_file_set_contents(path, (char *)bytes, size, NULL));
    g_free(bytes);
    return path;
}

static u8 *file_bytes(const char *path, u64 *size)
{
    char *bytes;
    gsize length;

    cr_assert(g_file_get_contents(path, &bytes, &length, NULL));
    *size = length;
    return (u8 *)bytes;
}

/* ---- -drive ---- */

static Disk *disk_new(Machine *m, const char *id, const char *format, ...)
{
    char *error = NULL, *list;
    va_list args;
    Disk *d;

    va_start(args, format);
    list = g_strdup_vprintf(format, args);
    va_end(args);
    machine_lock(m);
    cr_assert(disk_add(m, list, &error), "%s", error);
    d = disk_take(m, id, &error);
    machine_unlock(m);
    cr_assert(d, "%s", error);
    g_free(list);
    return d;
}

static void check_refused(Machine *m, const char *list, const char *why)
{
    char *error = NULL;

    machine_lock(m);
    cr_assert(!disk_add(m, list, &error), "%s is taken", list);
    machine_unlock(m);
    cr_assert(strstr(error, why), "%s: %s", list, error);
    cr_assert(!strchr(error, '\n'), "%s", error);
    g_free(error);
}

Test(drive, refused)
{
    Machine *m = driver_machine();

    cr_assert_eq(chdir(dir), 0);
    file_make("a", 1024);
    cr_assert(g_file_set_contents("b.qcow2", "QFI\xfb and so on", -1, NULL));
    mkfifo("fifo", 0600);
    mkdir("folder", 0700);
    check_refused(m, "", "file=PATH is missing");
    check_refused(m, "if=virtio", "file=PATH is missing");
    check_refused(m, "file=none", "No such file");
    check_refused(m, "file=folder", "is a directory");
    check_refused(m, "file=folder,readonly=on", "is a directory");
    check_refused(m, "file=fifo", "neither a file nor a block device");
    check_refused(m, "file=/dev/zero", "neither a file nor a block device");
    check_refused(m, "file=b.qcow2", "not a raw image");
    check_refused(m, "file=a,format=qcow2", "format=qcow2: wanted raw");
    check_refused(m, "file=a,if=ide", "if=ide");
    check_refused(m, "file=a,cache=much", "cache=much");
    check_refused(m, "file=a,werror=panic", "werror=panic");
    check_refused(m, "file=a,rerror=enospc", "rerror=enospc");
    check_refused(m, "file=a,discard=maybe", "discard=maybe");
    check_refused(m, "file=a,readonly=maybe", "readonly");
    check_refused(m, "file=a,index=x", "index");
    check_refused(m, "file=a,colour=red", "colour");
    check_refused(m, "a,if=virtio,colour=red", "colour");
    machine_free(m);
}

Test(drive, taken)
{
    Machine *m = driver_machine();
    const char *a = file_make("a", 1000), *b = file_make("b", 0);
    Disk *d =
        disk_new(m, "x", "file=%s,id=x,format=raw,aio=native,index=1,cache=none", a);
    char *error = NULL;

    cr_assert_eq(d->size, 1024);
    disk_close(d);
    d = disk_new(m, "none0", "%s,media=cdrom", b);
    cr_assert_eq(d->size, 0);
    cr_assert(d->read_only);
    cr_assert_eq(disk_flush(d), 0);
    machine_lock(m);
    cr_assert(!disk_take(m, "none0", &error) && strstr(error, "in use"));
    cr_assert(!disk_take(m, "y", &error) && strstr(error, "id=y"));
    machine_unlock(m);
    check_refused(m, "file=/dev/null,id=x", "id=x");
}

/* Two that read are no trouble, one that writes is alone. */
Test(drive, locks)
{
    Machine *m = driver_machine();
    const char *a = file_make("a", 512);
    char *again = g_strdup_printf("file=%s", a);
    char *reader = g_strdup_printf("file=%s,readonly=on", a);
    Disk *d = disk_new(m, "w", "file=%s,id=w", a);

    check_refused(m, again, "in use by another process");
    check_refused(m, reader, "written by another process");
    disk_new(m, "u", "file=%s,id=u,file.locking=off", a);
    close(d->fd);
    disk_new(m, "r1", "file=%s,id=r1,readonly=on", a);
    disk_new(m, "r2", "file=%s,id=r2,snapshot=on", a);
    check_refused(m, again, "in use by another process");
    g_free(again);
    g_free(reader);
}

/* ---- disks against a model ---- */

enum { SIZE = 300 * 1024 + 512, SEGMENTS = 5 };

typedef struct Model {
    Disk *disk;
    u8 *bytes;
    GRand *rand;
} Model;

/* Random segments of a buffer, in order, that are so many bytes together. */
static u32 segments(GRand *rand, u8 *bytes, u64 size, struct iovec *iov)
{
    u32 n = 0;

    while (size) {
        u64 k = n == SEGMENTS - 1 ? size : g_rand_int(rand) % size + 1;

        iov[n++] = (struct iovec){bytes, k};
        bytes += k;
        size -= k;
    }
    return n;
}

static void model_step(Model *m)
{
    static u8 bytes[SIZE];
    struct iovec iov[SEGMENTS];
    u64 offset = g_rand_int(m->rand) % SIZE, size, kind = g_rand_int(m->rand) % 8;
    u32 n;

    size = 1u << g_rand_int(m->rand) % 19;
    size = g_rand_int(m->rand) % MIN(SIZE - offset, size) + 1;
    n = segments(m->rand, bytes, size, iov);
    if (kind < 3) {
        memset(bytes, 0xee, size);
        cr_assert_eq(disk_read(m->disk, offset, iov, n), 0);
        cr_assert(!memcmp(bytes, m->bytes + offset, size));
    } else if (kind < 6) {
        for (u64 i = 0; i < size; i++)
            bytes[i] = g_rand_int(m->rand);
        cr_assert_eq(disk_write(m->disk, offset, iov, n), 0);
        memcpy(m->bytes + offset, bytes, size);
    } else {
        cr_assert_eq(disk_zero(m->disk, offset, size, kind == 6), 0);
        memset(m->bytes + offset, 0, size);
    }
}

/* The file's last sector is half there. */
static void check_model(const char *options, bool changes)
{
    Machine *m = driver_machine();
    const char *a = file_make("a", SIZE - 100);
    Model model = {disk_new(m, "d", "file=%s,id=d%s", a, options), g_malloc0(SIZE),
                   g_rand_new_with_seed(3)};
    u64 size;
    u8 *bytes;

    for (u64 i = 0; i < SIZE - 100; i++)
        model.bytes[i] = byte_at(i);
    cr_assert_eq(model.disk->size, SIZE);
    for (u32 i = 0; i < 3000; i++)
        model_step(&model);
    cr_assert_eq(disk_flush(model.disk), 0);
    bytes = file_bytes(a, &size);
    if (changes) {
        cr_assert(!memcmp(bytes, model.bytes, size));
    } else {
        cr_assert_eq(size, SIZE - 100);
        for (u64 i = 0; i < size; i++)
            cr_assert_eq(bytes[i], byte_at(i), "byte %llu", (unsigned long long)i);
    }
    disk_close(model.disk);
}

Test(disk, raw) { check_model("", true); }
Test(disk, unmap) { check_model(",discard=unmap", true); }
Test(disk, writethrough) { check_model(",cache=writethrough", true); }
Test(disk, snapshot) { check_model(",snapshot=on", false); }

Test(disk, limits)
{
    Machine *m = driver_machine();
    Disk *d = disk_new(m, "d", "file=%s,id=d", file_make("a", 4096));
    Disk *r = disk_new(m, "r", "file=%s,id=r,readonly=on", file_make("b", 4096));
    u8 bytes[512] = {0};
    const struct iovec iov = {bytes, sizeof bytes};

    cr_assert_eq(disk_write(d, 3584, &iov, 1), 0);
    cr_assert_eq(disk_write(d, 3585, &iov, 1), -EINVAL);
    cr_assert_eq(disk_read(d, 4096, &iov, 1), -EINVAL);
    cr_assert_eq(disk_read(d, ~0ull - 100, &iov, 1), -EINVAL);
    cr_assert_eq(disk_zero(d, 4096, 1, false), -EINVAL);
    cr_assert_eq(disk_discard(d, 0, ~0ull), -EINVAL);
    cr_assert_eq(disk_write(r, 0, &iov, 1), -EROFS);
    cr_assert_eq(disk_zero(r, 0, 512, true), -EROFS);
    cr_assert_eq(disk_discard(r, 0, 512), -EROFS);
    cr_assert_eq(disk_read(r, 0, &iov, 1), 0);
    cr_assert_eq(bytes[5], byte_at(5));
}

/* A hole costs nothing, and is one only where it was asked for. */
Test(disk, discards)
{
    Machine *m = driver_machine();
    const char *a = file_make("a", 1 << 20), *b = file_make("b", 1 << 20);
    Disk *on = disk_new(m, "on", "file=%s,id=on,discard=unmap", a);
    Disk *off = disk_new(m, "off", "file=%s,id=off", b);
    struct stat before, after;

    fstat(on->fd, &before);
    cr_assert_eq(disk_discard(on, 0, 1 << 19), 0);
    cr_assert_eq(disk_discard(off, 0, 1 << 19), 0);
    cr_assert_eq(fsync(on->fd), 0);
    fstat(on->fd, &after);
    cr_assert_eq(after.st_size, before.st_size);
    cr_assert_leq(after.st_blocks, before.st_blocks - (1 << 9));
    cr_assert_eq(file_bytes(b, &(u64){0})[5], byte_at(5));
}

/* A limit of the file's size stands for a host without room. */
static void limit_size(u64 bytes)
{
    const struct rlimit l = {bytes, RLIM_INFINITY};

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

Test(disk, no_room)
{
    Machine *m = driver_machine();
    const char *a = path_of("a");
    u8 bytes[8192] = {1};
    const struct iovec iov = {bytes, sizeof bytes};
    Disk *d;

    cr_assert_eq(close(open(a, O_CREAT | O_RDWR, 0600)), 0);
    cr_assert_eq(truncate(a, 1 << 20), 0);
    d = disk_new(m, "d", "file=%s,id=d", a);
    limit_size(1 << 16);
    cr_assert_eq(disk_write(d, 1 << 15, &iov, 1), 0);
    cr_assert_eq(disk_write(d, 1 << 17, &iov, 1), -EFBIG);
    cr_assert_lt(disk_write(d, (1 << 16) - 4096, &iov, 1), 0, "half of it fits");
    cr_assert_eq(disk_read(d, 1 << 15, &iov, 1), 0);
    cr_assert_eq(bytes[0], 1);
}

Test(disk, overlay_saved)
{
    Machine *m = driver_machine();
    Disk *d = disk_new(m, "d", "file=%s,id=d,snapshot=on", file_make("a", 100000));
    u8 bytes[6000], other[6000];
    const struct iovec iov = {bytes, sizeof bytes}, back = {other, sizeof other};
    GByteArray *saved;

    memset(bytes, 0x5a, sizeof bytes);
    cr_assert_eq(disk_write(d, 50000, &iov, 1), 0);
    saved = board_save(m, &d->device);
    memset(other, 0, sizeof other);
    cr_assert_eq(disk_write(d, 51000, &back, 1), 0);
    cr_assert_eq(disk_write(d, 1000, &back, 1), 0);
    cr_assert(board_load(m, &d->device, saved));
    cr_assert_eq(disk_read(d, 50000, &back, 1), 0);
    cr_assert(!memcmp(bytes, other, sizeof bytes));
    cr_assert_eq(disk_read(d, 1000, &back, 1), 0);
    cr_assert_eq(other[77], byte_at(1077));
    for (u32 i = 0; i < 200; i++) {
        saved->data[i] ^= 0x80;
        board_load(m, &d->device, saved);
        saved->data[i] ^= 0x80;
    }
    g_byte_array_set_size(saved, saved->len - 9);
    cr_assert(!board_load(m, &d->device, saved));
}

/* ---- the block device ---- */

enum { DATA = 0x10000, HEADER = 0x1000, STATUS = 0x2000, DISK_SIZE = 1 << 20 };

static const u64 features = 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD |
                            1ull << VIRTIO_BLK_F_WRITE_ZEROES |
                            1ull << VIRTIO_BLK_F_CONFIG_WCE;

static Driver blk_plug(Machine *m, const char *drive, const char *device)
{
    char *list = g_strdup_printf("file=%s,id=d%s", path_of("a"), drive);
    char *blk = g_strdup_printf("virtio-blk-device,drive=d%s", device);
    char *error = NULL;
    u64 slot;

    file_make("a", DISK_SIZE);
    machine_lock(m);
    cr_assert(disk_add(m, list, &error), "%s", error);
    machine_unlock(m);
    slot = driver_plug(m, &virtio_blk, blk);
    g_free(blk);
    g_free(list);
    return driver_new(m, slot, features, 1);
}

static Driver blk_new(const char *drive, const char *device)
{
    return blk_plug(driver_machine(), drive, device);
}

static void ask(Driver *d, u32 type, u64 sector, u32 size)
{
    bool out = type != VIRTIO_BLK_T_IN && type != VIRTIO_BLK_T_GET_ID;
    const struct virtio_blk_outhdr header = {.type = type, .sector = sector};
    const Buffer b[] = {{BOARD_RAM + HEADER, sizeof header},
                        {BOARD_RAM + DATA, size, !out},
                        {BOARD_RAM + STATUS, 1, true}};
    const Buffer short_[] = {b[0], b[2]};

    memcpy(ram(d, BOARD_RAM + HEADER), &header, sizeof header);
    *(u8 *)ram(d, BOARD_RAM + STATUS) = 0xaa;
    driver_add(d, 0, size ? b : short_, size ? 3 : 2);
    driver_kick(d, 0);
}

static u8 status_of(const Driver *d) { return *(u8 *)ram(d, BOARD_RAM + STATUS); }

static u8 request(Driver *d, u32 type, u64 sector, u32 size)
{
    ask(d, type, sector, size);
    driver_wait(d, 0);
    return status_of(d);
}

static void check_data(const Driver *d, u64 offset, u32 size)
{
    const u8 *bytes = ram(d, BOARD_RAM + DATA);

    for (u32 i = 0; i < size; i++)
        cr_assert_eq(bytes[i], byte_at(offset + i), "byte %u", i);
}

Test(blk, configuration)
{
    Driver d = blk_new("", ",queue-size=64,num-queues=3,logical_block_size=1024,"
                           "physical_block_size=4096,serial=abc,bootindex=0");
    struct virtio_blk_config c;

    for (u32 i = 0; i < sizeof c; i += 4)
        ((u32 *)&c)[i / 4] = reg(&d, VIRTIO_MMIO_CONFIG + i);
    cr_assert_eq(c.capacity, DISK_SIZE / 512);
    cr_assert_eq(c.blk_size, 1024);
    cr_assert_eq(c.physical_block_exp, 2);
    cr_assert_eq(c.seg_max, 62);
    cr_assert_eq(c.num_queues, 3);
    cr_assert_eq(c.wce, 1);
    set(&d, VIRTIO_MMIO_QUEUE_SEL, 2);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
    bus_write(&d.m->bus, d.slot + VIRTIO_MMIO_CONFIG + 32, 1, 0);
    cr_assert_eq(reg(&d, VIRTIO_MMIO_CONFIG + 32) & 0xff, 0, "write cache is on still");
    cr_assert_eq(driver_features(&d) >> VIRTIO_BLK_F_RO & 1, 0);
    memset(ram(&d, BOARD_RAM + DATA), 0xee, 21);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    cr_assert(!memcmp(ram(&d, BOARD_RAM + DATA),
                      "abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xee", 21));
    machine_free(d.m);
}

Test(blk, reads_and_writes)
{
    Driver d = blk_new("", "");
    u64 size;
    u8 *bytes;

    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 7, 8192), VIRTIO_BLK_S_OK);
    check_data(&d, 7 * 512, 8192);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 100, 8192), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    memset(ram(&d, BOARD_RAM + DATA), 0, 8192);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 100, 8192), VIRTIO_BLK_S_OK);
    check_data(&d, 7 * 512, 8192);
    bytes = file_bytes(path_of("a"), &size);
    cr_assert_eq(size, DISK_SIZE);
    for (u32 i = 0; i < 8192; i++)
        cr_assert_eq(bytes[51200 + i], byte_at(7 * 512 + i));
    cr_assert_eq(bytes[51199], byte_at(51199));
    cr_assert_eq(bytes[51200 + 8192], byte_at(51200 + 8192));
    machine_free(d.m);
}

/* Header, data and status lie in one buffer, or in buffers of a few bytes each. */
Test(blk, any_layout)
{
    Driver d = blk_new("", "");
    struct virtio_blk_outhdr *header = ram(&d, BOARD_RAM + HEADER);
    const u64 at = BOARD_RAM + HEADER, to = BOARD_RAM + DATA;

    *header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 3};
    driver_add(
        &d, 0,
        (Buffer[]){{at, 3}, {at + 3, 13}, {to, 500, true}, {to + 500, 12 + 1, true}},
        4);
    driver_kick(&d, 0);
    cr_assert_eq(driver_wait(&d, 0), 513);
    check_data(&d, 3 * 512, 512);
    cr_assert_eq(((u8 *)ram(&d, to))[512], VIRTIO_BLK_S_OK);
    *header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_OUT, .sector = 9};
    memset(header + 1, 0x77, 512);
    driver_add(&d, 0, (Buffer[]){{at, 16 + 512}, {BOARD_RAM + STATUS, 1, true}}, 2);
    driver_kick(&d, 0);
    driver_wait(&d, 0);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 9, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(((u8 *)ram(&d, to))[511], 0x77);
    machine_free(d.m);
}

static u8 discard(Driver *d, u32 type, u64 sector, u32 sectors, u32 flags, u32 size)
{
    const struct virtio_blk_discard_write_zeroes s = {sector, sectors, flags};

    memcpy(ram(d, BOARD_RAM + DATA), &s, sizeof s);
    return request(d, type, 0, size);
}

Test(blk, zeroes_and_discards)
{
    Driver d = blk_new(",discard=unmap", "");
    const u32 zero = VIRTIO_BLK_T_WRITE_ZEROES, drop = VIRTIO_BLK_T_DISCARD;

    cr_assert_eq(discard(&d, zero, 8, 8, 0, 16), VIRTIO_BLK_S_OK);
    cr_assert_eq(discard(&d, zero, 24, 8, 1, 16), VIRTIO_BLK_S_OK);
    cr_assert_eq(discard(&d, drop, 40, 8, 0, 16), VIRTIO_BLK_S_OK);
    for (u32 sector = 0; sector < 48; sector += 8) {
        cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, sector, 4096), VIRTIO_BLK_S_OK);
        cr_assert_eq(*(u8 *)ram(&d, BOARD_RAM + DATA + 5),
                     sector & 8 ? 0 : byte_at(sector * 512 + 5), "sector %u", sector);
    }
    cr_assert_eq(discard(&d, zero, 2048, 1, 0, 16), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(discard(&d, zero, 2047, ~0u, 0, 16), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(discard(&d, drop, ~0ull, 1, 0, 16), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(discard(&d, drop, 0, 8, 1, 16), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(discard(&d, zero, 0, 8, 2, 16), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(discard(&d, zero, 0, 8, 0, 15), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(discard(&d, zero, 0, 8, 0, 32), VIRTIO_BLK_S_UNSUPP);
    machine_free(d.m);
}

Test(blk, errors)
{
    Driver d = blk_new("", "");

    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 2047, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 2048, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 2047, 1024), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, ~0ull, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 1ull << 55, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 0, 511), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 0, 1), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, 77, 0, 512), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_GET_ID, 0, 3), VIRTIO_BLK_S_OK);
    cr_assert(!driver_broken(&d));
    driver_add(&d, 0, (Buffer[]){{BOARD_RAM + HEADER, 15}, {BOARD_RAM, 1, true}}, 2);
    driver_kick(&d, 0);
    for (u32 i = 0; i < 20000 && !driver_broken(&d); i++)
        g_usleep(1000);
    cr_assert(driver_broken(&d), "no header");
    d = driver_new(d.m, d.slot, features, 1);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
    machine_free(d.m);
}

Test(blk, read_only)
{
    Driver d = blk_new(",readonly=on", "");

    cr_assert_eq(driver_features(&d) >> VIRTIO_BLK_F_RO & 1, 1);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    machine_free(d.m);
}

Test(blk, properties_refused)
{
    static const char *const lists[] = {
        "x",
        "x,drive=z",
        "x,drive=d,num-queues=0",
        "x,drive=d,num-queues=65",
        "x,drive=d,queue-size=100",
        "x,drive=d,queue-size=2048",
        "x,drive=d,logical_block_size=700",
        "x,drive=d,logical_block_size=256",
        "x,drive=d,logical_block_size=4096,physical_block_size=512",
    };
    Machine *m = driver_machine();
    char *list = g_strdup_printf("file=%s,id=d", file_make("a", 512)), *error = NULL;

    machine_lock(m);
    cr_assert(disk_add(m, list, &error));
    for (u32 i = 0; i < G_N_ELEMENTS(lists); i++) {
        Props *p = props_parse(lists[i], "driver");

        error = NULL;
        cr_assert(!virtio_blk.create(m, p, &error) && error, "%s", lists[i]);
        g_free(error);
        props_free(p);
    }
    machine_unlock(m);
    g_free(list);
}

/* A page that holds code may not be written by the host's kernel: it is let go first.
 */
Test(blk, reads_over_code)
{
    Driver d = blk_new("", "");

    for (u32 i = 0; i < 3; i++) {
        space_set_bits(&d.m->space, BOARD_RAM + DATA + 4096, 4096, PAGE_CODE);
        ask(&d, VIRTIO_BLK_T_IN, 0, 12288);
        cr_assert_eq(mprotect(ram(&d, BOARD_RAM + DATA + 4096), 4096, PROT_READ), 0);
        space_set_bits(&d.m->space, BOARD_RAM + DATA + 4096, 4096, PAGE_CODE);
        driver_wait(&d, 0);
        cr_assert_eq(status_of(&d), VIRTIO_BLK_S_OK);
        check_data(&d, 0, 12288);
        cr_assert_eq(mprotect(ram(&d, BOARD_RAM), 1 << 20, PROT_READ | PROT_WRITE), 0);
    }
    machine_free(d.m);
}

/* After a reset nothing of what was under way is written to memory, or to the rings. */
Test(blk, reset_in_flight)
{
    Driver d = blk_new("", "");

    for (u32 round = 0; round < 200; round++) {
        u8 *bytes = ram(&d, BOARD_RAM + DATA);

        for (u32 i = 0; i < 2; i++)
            ask(&d, VIRTIO_BLK_T_IN, 8, 1 << 18);
        if (round % 3)
            g_usleep(round % 17 * 10);
        set(&d, VIRTIO_MMIO_STATUS, 0);
        cr_assert_eq(driver_status(&d), 0);
        memset(bytes, 0x11, 1 << 18);
        *(u8 *)ram(&d, BOARD_RAM + STATUS) = 0x11;
        g_usleep(100);
        for (u32 i = 0; i < 1 << 18; i += 64)
            cr_assert_eq(bytes[i], 0x11);
        cr_assert_eq(status_of(&d), 0x11);
        d = driver_new(d.m, d.slot, features, 1);
        cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
        check_data(&d, 512, 512);
    }
    machine_free(d.m);
}

static RunState run_state(Machine *m)
{
    RunState run;

    machine_lock(m);
    run = m->run;
    machine_unlock(m);
    return run;
}

Test(blk, no_room_reported)
{
    Driver d = blk_new("", "");

    limit_size(1 << 16);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 1000, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_OUT, 10, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(run_state(d.m), RUN_RUNNING);
    machine_free(d.m);
}

/* werror=stop: the request is done when there is room and the machine goes on, after a
 * state was saved and loaded meanwhile too. */
Test(blk, no_room_stops)
{
    Driver d = blk_new(",werror=stop", "");
    Device *device = NULL;
    u32 head, written;
    GByteArray *bytes;

    memset(ram(&d, BOARD_RAM + DATA), 0x44, 512);
    limit_size(1 << 16);
    ask(&d, VIRTIO_BLK_T_OUT, 1000, 512);
    for (u32 i = 0; i < 20000 && run_state(d.m) == RUN_RUNNING; i++)
        g_usleep(1000);
    cr_assert_eq(run_state(d.m), RUN_IO_ERROR);
    cr_assert(!driver_used(&d, 0, &head, &written));
    limit_size(RLIM_INFINITY);
    for (u32 i = 0; i < d.m->devices->len; i++)
        if (((Device *)d.m->devices->pdata[i])->base == d.slot)
            device = d.m->devices->pdata[i];
    bytes = board_save(d.m, device);
    set(&d, VIRTIO_MMIO_STATUS, 0);
    cr_assert(board_load(d.m, device, bytes));
    machine_lock(d.m);
    machine_cont(d.m);
    machine_unlock(d.m);
    driver_wait(&d, 0);
    cr_assert_eq(status_of(&d), VIRTIO_BLK_S_OK);
    cr_assert_eq(file_bytes(path_of("a"), &(u64){0})[512000], 0x44);
    machine_free(d.m);
}

/* -icount: all is done before the driver's next instruction. */
Test(blk, counted)
{
    Machine *m = driver_machine();
    MachineOptions options = *m->options;
    u32 head, written;
    Driver d;

    options.icount = 0;
    m->options = &options;
    d = blk_plug(m, "", "");
    for (u32 i = 0; i < 1000; i++) {
        ask(&d, VIRTIO_BLK_T_IN, i, 512);
        cr_assert(driver_used(&d, 0, &head, &written));
        cr_assert_eq(status_of(&d), VIRTIO_BLK_S_OK);
        check_data(&d, i * 512, 512);
    }
    machine_free(m);
}

/* Random requests out of random buffers, and resets: nothing but this disk changes. */
Test(blk, fuzz)
{
    Driver d = blk_new(",discard=unmap", "");
    GRand *rand = g_rand_new_with_seed(11);
    u64 size;

    for (u32 i = 0; i < 3000; i++) {
        struct virtio_blk_outhdr *header = ram(&d, BOARD_RAM + HEADER);
        Buffer b[4];
        u32 n = g_rand_int_range(rand, 1, 5);

        *header = (struct virtio_blk_outhdr){.type = g_rand_int(rand) % 16,
                                             .sector = g_rand_int(rand) % 4096};
        for (u32 k = 0; k < n; k++)
            b[k] = (Buffer){BOARD_RAM + g_rand_int(rand) % 0x100000,
                            g_rand_int(rand) % 3 ? 1 << g_rand_int(rand) % 18 : 512,
                            g_rand_boolean(rand) || k + 1 == n};
        if (g_rand_int(rand) % 4)
            b[0] = (Buffer){BOARD_RAM + HEADER, 16};
        driver_add(&d, 0, b, n);
        driver_kick(&d, 0);
        if (i % 4 == 3)
            g_usleep(20);
        if (driver_broken(&d) || i % 50 == 0)
            d = driver_new(d.m, d.slot, features, 1);
    }
    g_rand_free(rand);
    d = driver_new(d.m, d.slot, features, 1);
    cr_assert_eq(request(&d, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
    g_free(file_bytes(path_of("a"), &size));
    cr_assert_eq(size, DISK_SIZE);
    machine_free(d.m);
}

/* ---- entropy ---- */

Test(rng, gives_and_limits)
{
    Machine *m = driver_machine();
    Driver d = driver_new(
        m, driver_plug(m, &virtio_rng, "x,max-bytes=100,period=50,rng=rng0"), 0, 1);
    u32 head, written, zero = 0;
    const u8 *bytes = ram(&d, BOARD_RAM + DATA);

    driver_add(&d, 0, &(Buffer){BOARD_RAM + DATA, 64, true}, 1);
    driver_kick(&d, 0);
    cr_assert_eq(driver_wait(&d, 0), 64);
    for (u32 i = 0; i < 64; i++)
        zero += !bytes[i];
    cr_assert_lt(zero, 10);
    driver_add(&d, 0, &(Buffer){BOARD_RAM + DATA, 64, true}, 1);
    driver_kick(&d, 0);
    cr_assert_eq(driver_wait(&d, 0), 36);
    driver_add(&d, 0, &(Buffer){BOARD_RAM + DATA, 64, true}, 1);
    driver_kick(&d, 0);
    cr_assert(!driver_used(&d, 0, &head, &written), "over the limit");
    cr_assert_eq(driver_wait(&d, 0), 64, "of the next period");
    driver_add(&d, 0, &(Buffer){BOARD_RAM + DATA, 64}, 1); /* nothing to write to */
    driver_kick(&d, 0);
    cr_assert_eq(driver_wait(&d, 0), 0);
    machine_free(m);
}
