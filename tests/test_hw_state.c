/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_state
 *
 * Saving a machine: a disk's overlay of any size, devices that cannot be saved, files
 * whose sections are more than a machine has. */
#include <stdlib.h>
#include <unistd.h>
#include "../hw/disk.h"
#include "../hw/zfile.h"
#include "hw_board.h"

enum { MIB = 1 << 20, OVERLAY_MIB = 80 };

static char folder[64], path[80], disk_path[80];

static void begin(void)
{
    g_strlcpy(folder, "/tmp/test_hw_state.XXXXXX", sizeof folder);
    cr_assert(mkdtemp(folder));
    g_snprintf(path, sizeof path, "%s/state", folder);
    g_snprintf(disk_path, sizeof disk_path, "%s/disk", folder);
}

static void end(void)
{
    unlink(path);
    unlink(disk_path);
    cr_expect_eq(rmdir(folder), 0, "something is left in %s", folder);
}

TestSuite(state, .init = begin, .fini = end);

static bool save(Machine *m, char **error)
{
    bool ok;

    machine_lock(m);
    ok = machine_save(m, path, error);
    machine_unlock(m);
    return ok;
}

static bool load(Machine *m, char **error)
{
    bool ok;

    machine_lock(m);
    ok = machine_load(m, path, error);
    machine_unlock(m);
    return ok;
}

/* ---- overlays ---- */

static Disk *overlay_new(Machine *m)
{
    g_autofree char *spec =
        g_strdup_printf("file=%s,if=none,format=raw,id=d0,snapshot=on", disk_path);
    char *error = NULL;
    Disk *d;

    cr_assert(g_file_set_contents(disk_path, "", 0, NULL));
    cr_assert_eq(truncate(disk_path, (OVERLAY_MIB + 1ll) * MIB), 0);
    cr_assert(disk_add(m, spec, &error), "%s", error);
    d = disk_take(m, "d0", &error);
    cr_assert(d, "%s", error);
    return d;
}

/* Each MiB is filled with its number and salt. */
static void fill(Disk *d, u32 salt)
{
    u32 *words = g_new(u32, MIB / 4);

    for (u32 i = 0; i < OVERLAY_MIB; i++) {
        struct iovec v = {words, MIB};

        for (u32 w = 0; w < MIB / 4; w++)
            words[w] = i + salt;
        cr_assert_eq(disk_write(d, (u64)i * MIB, &v, 1), 0);
    }
    g_free(words);
}

static bool is_filled(Disk *d, u32 salt)
{
    u32 *words = g_new(u32, MIB / 4);
    bool good = true;

    for (u32 i = 0; i <= OVERLAY_MIB; i++) {
        struct iovec v = {words, MIB};

        cr_assert_eq(disk_read(d, (u64)i * MIB, &v, 1), 0);
        for (u32 w = 0; w < MIB / 4; w++)
            good &= words[w] == (i < OVERLAY_MIB ? i + salt : 0);
    }
    g_free(words);
    return good;
}

Test(state, large_overlay)
{
    Machine *m = board_new();
    Disk *d = overlay_new(m);
    char *error = NULL;

    fill(d, 7);
    cr_assert(save(m, &error), "%s", error);
    fill(d, 8);
    cr_assert(load(m, &error), "%s", error);
    cr_expect(is_filled(d, 7));
}

/* ---- devices that cannot be saved ---- */

static void refuse_state(Device *d, State *s)
{
    if (!s->loading)
        state_refuse(s, "nobody can save this");
}

static void endless_state(Device *d, State *s)
{
    static u8 bytes[16 * MIB];

    for (u32 i = 0; i < 1024 && !s->error; i++)
        state_bytes(s, bytes, sizeof bytes);
}

static void expect_unsaved(void (*f)(Device *d, State *s), const char *why)
{
    const DeviceType type = {.name = "bad", .state = f};
    Machine *m = board_new();
    Device d = {0};
    char *error = NULL;

    cr_assert(device_add(m, &d, &type, 0, 0));
    cr_expect(!save(m, &error));
    cr_expect(error && strstr(error, why), "%s", error);
    g_free(error);
}

Test(state, refused) { expect_unsaved(refuse_state, "nobody can save this"); }

Test(state, endless) { expect_unsaved(endless_state, "too large"); }

/* ---- hostile files ---- */

/* A file of n sections of zeroes, each of so many MiB. */
static void sections_write(u32 n, u32 mib)
{
    char *error = NULL;
    ZFile *z = zfile_create(path, &error);
    u8 kind = 1, length = 4, *zeroes = g_malloc0(MIB);
    u32 size = mib * MIB;

    cr_assert(z, "%s", error);
    zfile_write(z, "tessera state 1\n", 16);
    for (u32 i = 0; i < n; i++) {
        zfile_write(z, &kind, 1);
        zfile_write(z, &length, 1);
        zfile_write(z, &i, sizeof i);
        zfile_write(z, &size, sizeof size);
        for (u32 k = 0; k < mib; k++)
            zfile_write(z, zeroes, MIB);
    }
    kind = 0;
    zfile_write(z, &kind, 1);
    cr_assert(zfile_close(z, &error), "%s", error);
    g_free(zeroes);
}

Test(state, sections_without_end)
{
    Machine *m = board_new();
    char *error = NULL;

    sections_write(40, 60);
    cr_expect(!load(m, &error));
    cr_expect(error && strstr(error, "of another machine"), "%s", error);
    g_free(error);
}
