/* SPDX-License-Identifier: MIT */
/* SiFive's test finisher: one register to end the machine with, or to reset it. */
#include "board.h"

enum { FAIL = 0x3333, PASS = 0x5555, RESET = 0x7777 };

static u64 test_read(Device *d, u64 offset, u32 width) { return 0; }

/* The word: what to do, and above it a failure's code, of which a process's status has
 * room for the lower half; a failure never looks like success. */
static void test_write(Device *d, u64 offset, u64 value, u32 width)
{
    u8 code = value >> 16;

    if (offset)
        return;
    switch (value & 0xffff) {
    case FAIL: machine_shutdown(d->machine, code ? code : 1); break;
    case PASS: machine_shutdown(d->machine, 0); break;
    case RESET: machine_reset(d->machine); break;
    }
}

static void test_free(Device *d) { g_free(d); }

static const DeviceType sifive_test = {
    .name = "sifive_test",
    .size = 0x1000,
    .widths = 2 | 4,
    .read = test_read,
    .write = test_write,
    .free = test_free,
};

bool sifive_test_new(Machine *m, u64 base, char **error)
{
    Device *d = g_new0(Device, 1);

    if (device_add(m, d, &sifive_test, base, 0))
        return true;
    *error = g_strdup("the test finisher has no place of its own");
    test_free(d);
    return false;
}
