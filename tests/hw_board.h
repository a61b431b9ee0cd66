/* SPDX-License-Identifier: MIT */
/* A machine without CPUs for the tests of hw: some RAM, the devices that a test adds,
 * and the levels of their interrupt lines. */
#ifndef TESSERA_TESTS_HW_BOARD_H
#define TESSERA_TESTS_HW_BOARD_H

#include <criterion/criterion.h>
#include <string.h>
#include "../hw/board.h"
#include "../hw/inside.h"

#define BOARD_RAM      0x80000000ull
#define BOARD_RAM_SIZE (4ull << 20)
#define BOARD_DEVICE   0x10000000ull /* where a test puts what it tests */

__attribute__((unused)) static u64 board_lines; /* interrupt line n: bit n */

static bool board_create(Machine *m, char **error) { return true; }
static void board_reset(Machine *m) {}

static void board_irq(Machine *m, u32 irq, bool level)
{
    board_lines = (board_lines & ~(1ull << irq)) | (u64)level << irq;
}

/* Running, its clock, too. */
__attribute__((unused)) static Machine *board_new(void)
{
    static const BoardType type = {.name = "test",
                                   .guest = &guest_riscv64,
                                   .ram_base = BOARD_RAM,
                                   .create = board_create,
                                   .reset = board_reset,
                                   .irq = board_irq};
    static const MachineOptions options = {
        .board = &type, .ram_size = BOARD_RAM_SIZE, .icount = -1};
    char *error = NULL;
    Machine *m = machine_new(&options, &error);

    cr_assert(m, "%s", error);
    machine_lock(m);
    machine_cont(m);
    machine_unlock(m);
    return m;
}

__attribute__((unused)) static u64 board_read(Machine *m, u64 offset, u32 width)
{
    u64 value = 0;

    cr_assert(bus_read(&m->bus, BOARD_DEVICE + offset, width, &value),
              "nobody is read at %#llx", (unsigned long long)offset);
    return value;
}

__attribute__((unused)) static void board_write(Machine *m, u64 offset, u32 width,
                                                u64 value)
{
    cr_assert(bus_write(&m->bus, BOARD_DEVICE + offset, width, value),
              "nobody is written at %#llx", (unsigned long long)offset);
}

/* Lets the event loop go round until done(ctx), ten seconds at most; was it? */
__attribute__((unused)) static bool board_wait(Machine *m, bool (*done)(void *ctx),
                                               void *ctx)
{
    i64 until = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (!done(ctx)) {
        if (g_get_monotonic_time() > until)
            return false;
        if (!g_main_context_iteration(m->io, FALSE))
            g_usleep(500);
    }
    return true;
}

__attribute__((unused)) static void board_settle(Machine *m)
{
    for (u32 i = 0; i < 4; i++) {
        while (g_main_context_iteration(m->io, FALSE))
            ;
        g_usleep(1000);
    }
}

/* A device's state, as bytes of the caller's. */
__attribute__((unused)) static GByteArray *board_save(Machine *m, Device *d)
{
    State s = {.bytes = g_byte_array_new()};

    machine_lock(m);
    d->type->state(d, &s);
    machine_unlock(m);
    return s.bytes;
}

/* Are the bytes what a device of this type takes, all of them? */
__attribute__((unused)) static bool board_load(Machine *m, Device *d,
                                               const GByteArray *bytes)
{
    State s = {.bytes = (GByteArray *)bytes, .loading = true};
    bool good;

    machine_lock(m);
    d->type->state(d, &s);
    good = !s.error && s.at == bytes->len;
    if (!good && d->type->reset) /* as a load that fails does */
        d->type->reset(d);
    machine_unlock(m);
    g_free(s.error);
    return good;
}

/* n random accesses, of all widths, to all registers; the device's lock is not held. */
__attribute__((unused)) static void board_fuzz(Machine *m, u64 size, u32 n, u32 seed)
{
    GRand *r = g_rand_new_with_seed(seed);

    for (u32 i = 0; i < n; i++) {
        u32 width = 1u << g_rand_int_range(r, 0, 4);
        u64 at = BOARD_DEVICE + align_down(g_rand_int(r) % size, width), value;

        if (g_rand_boolean(r)) {
            bus_read(&m->bus, at, width, &value);
        } else {
            value = g_rand_boolean(r) ? g_rand_int(r) & 0xff
                                      : g_rand_int(r) | (u64)g_rand_int(r) << 32;
            bus_write(&m->bus, at, width,
                      width == 8 ? value : value & ((1ull << 8 * width) - 1));
        }
    }
    g_rand_free(r);
}

#endif
