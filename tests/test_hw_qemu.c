/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_qemu
 *
 * Devices against QEMU's: the same random accesses to both, by way of QEMU's -qtest,
 * and every byte read compared.  Skipped where qemu-system-riscv64 is missing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hw_board.h"

enum { BATCH = 256 };

#define UART       0x10000000ull
#define RTC        0x101000ull
#define FW_CFG     0x10100000ull
#define FLASH      0x20000000ull
#define FLASH_SIZE (32ull << 20)

typedef struct Probe {
    u64 addr, value;
    u8 width;
    bool write;
} Probe;

typedef struct Pair {
    Machine *m;
    FILE *to, *from; /* QEMU's */
    pid_t pid;
    Probe done[BATCH];
    u32 n, all;
} Pair;

static Machine *machine_like_qemu(void)
{
    static MachineOptions options;
    Machine *m = board_new();
    char *error = NULL;

    options = *m->options;
    options.n_cpus = 1;
    m->options = &options;
    machine_lock(m);
    cr_assert(uart16550_new(m, UART, 10, NULL, &error) &&
                  goldfish_rtc_new(m, RTC, 11, &error) &&
                  fw_cfg_new(m, FW_CFG, &error) &&
                  pflash_new(m, FLASH, FLASH_SIZE, 0, &error) &&
                  pflash_new(m, FLASH + FLASH_SIZE, FLASH_SIZE, 1, &error),
              "%s", error);
    machine_stop(m, RUN_PAUSED); /* as -S leaves it: no timer fires */
    machine_unlock(m);
    return m;
}

static Pair pair_new(void)
{
    Pair p = {.m = machine_like_qemu()};
    int in[2], out[2];

    if (system("qemu-system-riscv64 -version >/dev/null 2>&1") != 0)
        cr_skip_test("there is no qemu-system-riscv64");
    cr_assert(pipe(in) == 0 && pipe(out) == 0);
    p.pid = fork();
    if (!p.pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execlp("sh", "sh", "-c",
               "exec qemu-system-riscv64 -M virt -m 16 -bios none -S -display none"
               " -serial null -monitor none -nodefaults -qtest stdio 2>/dev/null",
               NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p.to = fdopen(in[1], "w");
    p.from = fdopen(out[0], "r");
    return p;
}

static void pair_free(Pair *p)
{
    fclose(p->to);
    fclose(p->from);
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    machine_free(p->m);
}

static char suffix(u32 width)
{
    return width == 1 ? 'b' : width == 2 ? 'w' : width == 4 ? 'l' : 'q';
}

/* QEMU makes the accesses that we have made; were its answers ours? */
static void compare(Pair *p)
{
    char line[200];
    unsigned long long value;

    fflush(p->to);
    for (u32 i = 0; i < p->n; i++) {
        const Probe *a = &p->done[i];

        cr_assert(fgets(line, sizeof line, p->from), "QEMU has gone");
        cr_assert(g_str_has_prefix(line, "OK"), "QEMU says %s", line);
        if (a->write)
            continue;
        value = strtoull(line + 2, NULL, 16);
        cr_assert_eq(value, a->value,
                     "access %u, width %u at %#llx: %#llx, QEMU's %#llx", p->all + i,
                     a->width, (unsigned long long)a->addr,
                     (unsigned long long)a->value, value);
    }
    p->all += p->n;
    p->n = 0;
}

/* One access; what nobody takes here is not asked of QEMU. */
static u64 access_both(Pair *p, bool write, u64 addr, u32 width, u64 value)
{
    bool taken = write ? bus_write(&p->m->bus, addr, width, value)
                       : bus_read(&p->m->bus, addr, width, &value);

    if (!taken)
        return 0;
    p->done[p->n++] = (Probe){addr, value, width, write};
    if (write)
        fprintf(p->to, "write%c %#llx %#llx\n", suffix(width), (unsigned long long)addr,
                (unsigned long long)value);
    else
        fprintf(p->to, "read%c %#llx\n", suffix(width), (unsigned long long)addr);
    if (p->n == BATCH)
        compare(p);
    return value;
}

static u32 random_width(GRand *r) { return 1u << g_rand_int_range(r, 0, 4); }

static u64 masked(u64 value, u32 width) { return value & (~0ull >> (64 - 8 * width)); }

Test(qemu, uart)
{
    Pair p = pair_new();
    GRand *r = g_rand_new_with_seed(1);

    for (u32 i = 0; i < 20000; i++) {
        u32 width = 1u << g_rand_int_range(r, 0, 3);
        u64 reg = align_down(g_rand_int_range(r, 0, 8), width);
        u64 value = g_rand_int(r) & 0xff;

        if (reg == 4) /* in the loop half of the time */
            value = g_rand_boolean(r) ? value | 0x10 : value & ~0x10ull;
        access_both(&p, g_rand_boolean(r), UART + reg, width, value);
    }
    compare(&p);
    g_rand_free(r);
    pair_free(&p);
}

/* All but the time itself. */
Test(qemu, rtc)
{
    static const u8 regs[] = {0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20};
    Pair p = pair_new();
    GRand *r = g_rand_new_with_seed(2);

    for (u32 i = 0; i < 4000; i++)
        access_both(&p, g_rand_boolean(r), RTC + regs[g_rand_int_range(r, 0, 7)], 4,
                    g_rand_boolean(r) ? g_rand_int(r) >> 1 : g_rand_int(r) & 3);
    compare(&p);
    g_rand_free(r);
    pair_free(&p);
}

/* The items that both have, through the data register and by DMA. */
Test(qemu, fw_cfg)
{
    static const u16 keys[] = {0,    1,      2,      4,      5,     0x0e,
                               0x40, 0x3fff, 0xffff, 0x8000, 0x4001};
    Pair p = pair_new();
    GRand *r = g_rand_new_with_seed(3);

    for (u32 i = 0; i < 3000; i++) {
        u32 width = random_width(r);
        u16 key = keys[g_rand_int_range(r, 0, ARRAY_SIZE(keys))];
        u64 request = BOARD_RAM + 16 * g_rand_int_range(r, 0, 16);
        u32 control = g_rand_int(r) & 0x1f;

        if (i % 4 == 0)
            access_both(&p, true, FW_CFG + 8, 2, GUINT16_TO_BE(key));
        else if (i % 4 == 1)
            access_both(&p, false, FW_CFG + 16 + 4 * g_rand_int_range(r, 0, 2), 4, 0);
        if (i % 8 == 7) {
            access_both(&p, true, request, 4, GUINT32_TO_BE(control | (u32)key << 16));
            access_both(&p, true, request + 4, 4,
                        GUINT32_TO_BE((u32)g_rand_int_range(r, 0, 40)));
            access_both(&p, true, request + 8, 8,
                        GUINT64_TO_BE(BOARD_RAM + 0x1000 + g_rand_int_range(r, 0, 64)));
            access_both(&p, true, FW_CFG + 16, 8, GUINT64_TO_BE(request));
            access_both(&p, false, request, 4, 0);
            for (u32 k = 0; k < 16; k++)
                access_both(&p, false, BOARD_RAM + 0x1000 + 8 * k, 8, 0);
        }
        access_both(&p, false, FW_CFG + align_down(g_rand_int_range(r, 0, 8), width),
                    width, 0);
    }
    compare(&p);
    g_rand_free(r);
    pair_free(&p);
}

/* A write buffer's words, in one block or not; QEMU takes the block from the count's
 * address and has none for one word. */
static void buffer_both(Pair *p, GRand *r)
{
    u64 block = FLASH + align_down(g_rand_int(r) % FLASH_SIZE, 0x1000);
    u32 n = 2 + g_rand_int(r) % 6;

    access_both(p, true, block, 4, 0xff);
    access_both(p, true, block, 4, 0x50);
    access_both(p, true, block, 4, 0xe8);
    access_both(p, false, block, 4, 0);
    access_both(p, true, block, 4, n - 1);
    for (u32 i = 0; i < n; i++)
        access_both(p, true, block + (i && g_rand_int(r) % 20 == 0 ? 0x1000 : 4 * i), 4,
                    g_rand_int(r));
    access_both(p, true, block, 4, g_rand_int(r) % 4 ? 0xd0 : 0xff);
    access_both(p, false, block, 4, 0);
    access_both(p, true, block, 4, 0xff);
    for (u32 i = 0; i < n; i++)
        access_both(p, false, block + 4 * i, 4, 0);
}

Test(qemu, flash)
{
    static const u8 commands[] = {0x00, 0x10, 0x20, 0x28, 0x40, 0x50, 0x60, 0x70,
                                  0x90, 0x98, 0xd0, 0xd0, 0xf0, 0xff, 0x01};
    Pair p = pair_new();
    GRand *r = g_rand_new_with_seed(4);

    for (u32 i = 0; i < 0x60; i++) { /* the whole of what it says of itself */
        access_both(&p, true, FLASH, 4, 0x98);
        access_both(&p, false, FLASH + 4 * i, 4, 0);
        access_both(&p, true, FLASH, 4, 0xff);
    }
    for (u32 i = 0; i < 60000; i++) {
        u32 width = random_width(r);
        u64 offset = g_rand_boolean(r) ? g_rand_int(r) % 512
                                       : (g_rand_int(r) % 16) * 0x400000 + 0x3ffe0;
        u64 value = g_rand_int(r) % 3 ? commands[g_rand_int(r) % sizeof commands]
                                      : (g_rand_int(r) | (u64)g_rand_int(r) << 32) &
                                            ~0x800000008ull; /* no write buffer's */

        if (g_rand_int(r) % 64 == 0)
            buffer_both(&p, r);
        access_both(&p, g_rand_int(r) % 3, FLASH + align_down(offset, width), width,
                    masked(value, width));
    }
    compare(&p);
    g_rand_free(r);
    pair_free(&p);
}
