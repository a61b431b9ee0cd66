/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_virt
 *
 * The virt board without running its harts: CLINT and PLIC by their registers, also
 * wrong ones and random ones, saved and loaded; the built-in firmware's calls; what is
 * loaded where, and what cannot be. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../hw/riscv64_board.h"
#include "hw_board.h"

#define CLINT 0x2000000ull
#define PLIC  0xc000000ull
#define RAM   0x80000000ull

/* A file with Linux's magic, so that the built-in firmware starts it. */
static char *kernel_file(void)
{
    u8 bytes[4096] = {0};
    char *path = NULL;
    int fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);

    memcpy(bytes + 56, "RSC\x05", 4);
    cr_assert_eq(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    close(fd);
    return path;
}

static Machine *machine_of(const char *line, char **error)
{
    static MachineOptions options; /* lives as long as the machine */
    char **words = g_strsplit(g_strchomp(g_strdup(line)), " ", 0);

    if (!options_parse(&options, (int)g_strv_length(words), words, error))
        return NULL;
    return machine_new(&options, error);
}

static Machine *virt_new(const char *more)
{
    char *path = kernel_file(), *error = NULL;
    char *line = g_strdup_printf("t -m 64 -display none -accel jit,thread=single "
                                 "-kernel %s %s",
                                 path, more);
    Machine *m = machine_of(line, &error);

    cr_assert(m, "%s", error);
    unlink(path);
    machine_lock(m);
    machine_cont(m);
    machine_unlock(m);
    return m;
}

static u64 rd(Machine *m, u64 addr, u32 width)
{
    u64 v = 0;

    cr_assert(bus_read(&m->bus, addr, width, &v), "read %#llx",
              (unsigned long long)addr);
    return v;
}

static void wr(Machine *m, u64 addr, u32 width, u64 v)
{
    cr_assert(bus_write(&m->bus, addr, width, v), "write %#llx",
              (unsigned long long)addr);
}

static Hart *hart(Machine *m, u32 i) { return &riscv_cpu(&m->cpu[i])->hart; }
static bool pends(Machine *m, u32 i, u32 irq)
{
    return hart_mip(hart(m, i)) >> irq & 1;
}

/* ---- CLINT ---- */

Test(clint, software_interrupts)
{
    Machine *m = virt_new("-smp 3");

    wr(m, CLINT + 4, 4, ~0u);
    cr_assert_eq(rd(m, CLINT + 4, 4), 1);
    cr_assert_eq(rd(m, CLINT, 8), 1ull << 32);
    cr_assert(!pends(m, 0, IRQ_MSI) && pends(m, 1, IRQ_MSI) && !pends(m, 2, IRQ_MSI));
    wr(m, CLINT, 8, 1);
    cr_assert(pends(m, 0, IRQ_MSI) && !pends(m, 1, IRQ_MSI));
    wr(m, CLINT + 4 * 3, 4, 1); /* no such hart */
    cr_assert_eq(rd(m, CLINT + 4 * 3, 4), 0);
    machine_free(m);
}

static bool timer_pends(void *ctx) { return pends(ctx, 1, IRQ_MTI); }

Test(clint, timer)
{
    Machine *m = virt_new("-smp 2");
    u64 now = rd(m, CLINT + 0xbff8, 8);

    cr_assert(!pends(m, 1, IRQ_MTI));
    wr(m, CLINT + 0x4008, 8, now + TIMEBASE_HZ / 50);
    cr_assert(board_wait(m, timer_pends, m));
    cr_assert_geq(rd(m, CLINT + 0xbff8, 8), now + TIMEBASE_HZ / 50);
    cr_assert(!pends(m, 0, IRQ_MTI));
    wr(m, CLINT + 0x400c, 4, ~0u);
    cr_assert(!pends(m, 1, IRQ_MTI));
    cr_assert_eq(rd(m, CLINT + 0x4008, 8) >> 32, 0xffffffff);
    wr(m, CLINT + 0x4008, 8, 0);
    cr_assert(pends(m, 1, IRQ_MTI));
    wr(m, CLINT + 0x4008, 8, 1ull << 63);
    wr(m, CLINT + 0xbff8, 8, (1ull << 63) + 5); /* the time itself */
    cr_assert(pends(m, 1, IRQ_MTI) && !pends(m, 0, IRQ_MTI));
    cr_assert_geq(rd(m, CLINT + 0xbff8, 8), (1ull << 63) + 5);
    machine_free(m);
}

/* ---- PLIC ---- */

static void line(Machine *m, u32 irq, bool level)
{
    machine_lock(m);
    m->board->irq(m, irq, level);
    machine_unlock(m);
}

static u64 context(u32 n) { return PLIC + 0x200000 + n * 0x1000ull; }

Test(plic, claim_and_complete)
{
    Machine *m = virt_new("-smp 2");

    wr(m, PLIC + 4 * 40, 4, 3);
    wr(m, PLIC + 4 * 41, 4, 3);
    wr(m, PLIC + 4 * 42, 4, ~0u);
    cr_assert_eq(rd(m, PLIC + 4 * 42, 4), 7);
    wr(m, PLIC + 0x2000 + 3 * 0x80 + 4, 4, ~0u); /* context 3: hart 1, S mode */
    line(m, 41, true);
    line(m, 40, true);
    cr_assert(pends(m, 1, IRQ_SEI) && !pends(m, 1, IRQ_MEI) && !pends(m, 0, IRQ_SEI));
    cr_assert_eq(rd(m, PLIC + 0x1004, 4), 3u << 8);
    wr(m, context(3), 4, 3); /* the threshold hides them, not from claims */
    cr_assert(!pends(m, 1, IRQ_SEI));
    cr_assert_eq(rd(m, context(3) + 4, 4), 40);
    wr(m, context(3), 4, 0);
    cr_assert_eq(rd(m, context(3) + 4, 4), 41);
    cr_assert_eq(rd(m, context(3) + 4, 4), 0);
    cr_assert(!pends(m, 1, IRQ_SEI));
    wr(m, context(1) + 4, 4, 41); /* not wanted there: nothing completes */
    cr_assert(!pends(m, 1, IRQ_SEI));
    wr(m, context(3) + 4, 4, 41); /* the line is still up */
    cr_assert(pends(m, 1, IRQ_SEI));
    line(m, 41, false);
    cr_assert(!pends(m, 1, IRQ_SEI));
    line(m, 42, true);
    wr(m, context(3) + 4, 4, 40);
    cr_assert_eq(rd(m, context(3) + 4, 4), 42); /* the highest priority */
    machine_free(m);
}

Test(plic, what_is_not_there)
{
    Machine *m = virt_new("");
    u64 v;

    wr(m, PLIC, 4, 7); /* source 0 */
    cr_assert_eq(rd(m, PLIC, 4), 0);
    wr(m, PLIC + 0x2000, 4, ~0u);
    cr_assert_eq(rd(m, PLIC + 0x2000, 4), ~1u);
    wr(m, PLIC + 0x2000 + 12, 4, ~0u); /* sources 96 to 127: the first exists */
    cr_assert_eq(rd(m, PLIC + 0x2000 + 12, 4), 1);
    wr(m, context(2), 4, 5); /* hart 1 is missing */
    cr_assert_eq(rd(m, context(2), 4), 0);
    wr(m, context(1) + 4, 4, ~0u);
    line(m, 97, true);
    line(m, ~0u, true);
    cr_assert(!bus_read(&m->bus, PLIC, 1, &v) && !bus_read(&m->bus, PLIC, 8, &v));
    cr_assert(!bus_read(&m->bus, PLIC + 0x600000, 4, &v));
    machine_free(m);
}

/* ---- random accesses; saved and loaded ---- */

/* To CLINT and PLIC, with lines that change, by seed. */
static void scribble(Machine *m, u32 seed, u32 n)
{
    static const u64 bases[] = {
        CLINT,         CLINT + 0x4000, CLINT + 0xbff0,  PLIC,
        PLIC + 0x1000, PLIC + 0x2000,  PLIC + 0x200000, PLIC + 0x201000};
    GRand *r = g_rand_new_with_seed(seed);

    for (u32 i = 0; i < n; i++) {
        u64 addr = bases[g_rand_int(r) % ARRAY_SIZE(bases)] + g_rand_int(r) % 0x400;
        u32 width = 1u << g_rand_int(r) % 4;
        u64 v = (u64)g_rand_int(r) << 32 | g_rand_int(r);

        if (g_rand_int(r) % 2)
            bus_read(&m->bus, addr, width, &v);
        else
            bus_write(&m->bus, addr, width, v);
        line(m, g_rand_int(r) % 100, g_rand_int(r) % 2);
    }
    g_rand_free(r);
}

Test(board, random_accesses)
{
    Machine *m = virt_new("-smp 8");

    scribble(m, 1, 200000);
    machine_free(m);
}

static GByteArray *saved(Machine *m)
{
    State s = {.bytes = g_byte_array_new()};

    machine_lock(m);
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (!strcmp(d->type->name, "clint") || !strcmp(d->type->name, "plic"))
            d->type->state(d, &s);
    }
    for (u32 i = 0; i < m->n_cpus; i++)
        m->board->cpu_state(&m->cpu[i], &s);
    machine_unlock(m);
    return s.bytes;
}

/* False: it does not fit. */
static bool loaded(Machine *m, GByteArray *bytes)
{
    State s = {.bytes = bytes, .loading = true};

    machine_lock(m);
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (!strcmp(d->type->name, "clint") || !strcmp(d->type->name, "plic"))
            d->type->state(d, &s);
    }
    for (u32 i = 0; i < m->n_cpus && !s.error; i++)
        m->board->cpu_state(&m->cpu[i], &s);
    machine_unlock(m);
    return !s.error;
}

/* PMP's first entry: all addresses, no rights. */
static void forbid(Hart *h, u8 config)
{
    h->pmpcfg[0] = config;
    h->pmpaddr[0] = ~0ull >> 10;
    pmp_update(h);
}

Test(board, state)
{
    Machine *m = virt_new("-smp 2");
    GByteArray *first, *second;

    machine_lock(m);
    machine_stop(m, RUN_PAUSED);
    machine_unlock(m);
    scribble(m, 2, 3000);
    hart(m, 1)->mscratch = 99;
    hart(m, 1)->priv = PRIV_U;
    forbid(hart(m, 1), 0x18);
    first = saved(m);
    scribble(m, 3, 3000);
    hart(m, 1)->mscratch = 5;
    hart(m, 1)->priv = PRIV_M;
    forbid(hart(m, 1), 0);
    cr_assert(pmp_allows(hart(m, 1), 0x80000000, 4, PRIV_U, MMU_READ));
    cr_assert(loaded(m, first));
    cr_assert_not(pmp_allows(hart(m, 1), 0x80000000, 4, PRIV_U, MMU_READ));
    second = saved(m);
    cr_assert_eq(hart(m, 1)->mscratch, 99);
    cr_assert_eq(hart(m, 1)->priv, PRIV_U);
    cr_assert_eq(first->len, second->len);
    cr_assert_arr_eq(first->data, second->data, first->len);
    machine_free(m);
}

Test(board, damaged_state)
{
    Machine *m = virt_new("-smp 2");
    GByteArray *good = saved(m);
    GRand *r = g_rand_new_with_seed(5);

    for (u32 i = 0; i < 2000; i++) {
        GByteArray *bad = g_byte_array_new();

        g_byte_array_append(bad, good->data, good->len);
        for (u32 k = 0; k < 8; k++)
            bad->data[g_rand_int(r) % bad->len] = (u8)g_rand_int(r);
        if (i % 5 == 0)
            g_byte_array_set_size(bad, g_rand_int(r) % bad->len);
        if (loaded(m, bad)) /* it is still a hart */
            cr_assert(hart(m, 0)->priv != 2 && hart(m, 0)->priv <= PRIV_M);
        g_byte_array_free(bad, TRUE);
    }
    machine_free(m);
}

/* What S mode's calls mean must not change. */
Test(board, state_of_other_firmware)
{
    Machine *m = virt_new("");
    GByteArray *bytes = saved(m);
    char *path = kernel_file(), *error = NULL, *line;

    machine_free(m);
    line = g_strdup_printf("t -m 64 -display none -bios %s", path);
    m = machine_of(line, &error);
    cr_assert(m, "%s", error);
    cr_assert(!loaded(m, bytes));
    machine_free(m);
    unlink(path);
}

/* ---- the built-in firmware ---- */

typedef struct Result {
    i64 error;
    u64 value;
} Result;

static Result sbi(Machine *m, u64 extension, u64 function, u64 a0, u64 a1, u64 a2,
                  u64 a3)
{
    Env *env = m->cpu[0].env;
    u64 pc = env->pc;

    memcpy(&env->g[X_A0], (u64[]){a0, a1, a2, a3, 0, 0, function, extension}, 64);
    env->trap = (Trap){.kind = TRAP_SYSCALL};
    m->board->trap(&m->cpu[0]);
    cr_assert_eq(env->pc, pc + 4);
    return (Result){(i64)env->g[X_A0], env->g[X_A0 + 1]};
}

enum { BASE = 0x10, TIME = 0x54494d45, IPI = 0x735049, RFNC = 0x52464e43 };
enum { HSM = 0x48534d, SRST = 0x53525354, DBCN = 0x4442434e };

Test(sbi, base)
{
    Machine *m = virt_new("");

    cr_assert_eq(sbi(m, BASE, 0, 0, 0, 0, 0).value, 2 << 24);
    cr_assert_eq(sbi(m, BASE, 3, TIME, 0, 0, 0).value, 1);
    cr_assert_eq(sbi(m, BASE, 3, 0x504d55, 0, 0, 0).value, 0);
    cr_assert_eq(sbi(m, BASE, 99, 0, 0, 0, 0).error, -2);
    cr_assert_eq(sbi(m, 0x12345678, 0, 0, 0, 0, 0).error, -2);
    machine_free(m);
}

Test(sbi, harts)
{
    Machine *m = virt_new("-smp 2");

    cr_assert(!m->cpu[0].halted && m->cpu[1].halted);
    cr_assert_eq(sbi(m, HSM, 2, 1, 0, 0, 0).value, 1);
    cr_assert_eq(sbi(m, HSM, 2, 2, 0, 0, 0).error, -3);
    cr_assert_eq(sbi(m, HSM, 0, 2, RAM, 0, 0).error, -3);
    cr_assert_eq(sbi(m, HSM, 0, 1, 0x40000000, 0, 0).error, -5);
    cr_assert_eq(sbi(m, HSM, 0, 1, RAM + 0x1000, 77, 0).error, 0);
    cr_assert_eq(sbi(m, HSM, 0, 1, RAM + 0x1000, 77, 0).error, -6);
    cr_assert_eq(sbi(m, HSM, 2, 1, 0, 0, 0).value, 0);
    cr_assert(!m->cpu[1].halted);
    cr_assert_eq(m->cpu[1].env->pc, RAM + 0x1000);
    cr_assert_eq(m->cpu[1].env->g[X_A0], 1);
    cr_assert_eq(m->cpu[1].env->g[X_A0 + 1], 77);
    cr_assert_eq(hart(m, 1)->priv, PRIV_S);
    machine_free(m);
}

Test(sbi, interrupts_and_time)
{
    Machine *m = virt_new("-smp 2");

    cr_assert_eq(sbi(m, IPI, 0, 2, 0, 0, 0).error, 0);
    cr_assert(pends(m, 1, IRQ_SSI) && !pends(m, 0, IRQ_SSI));
    cr_assert_eq(sbi(m, IPI, 0, 1, 2, 0, 0).error, -3);
    cr_assert_eq(sbi(m, IPI, 0, 4, 0, 0, 0).error, -3);
    cr_assert_eq(sbi(m, IPI, 0, 0, ~0ull, 0, 0).error, 0); /* all of them */
    cr_assert(pends(m, 0, IRQ_SSI));
    cr_assert_eq(sbi(m, TIME, 0, 0, 0, 0, 0).error, 0);
    cr_assert(pends(m, 0, IRQ_STI));
    cr_assert_eq(sbi(m, TIME, 0, ~0ull, 0, 0, 0).error, 0);
    cr_assert(!pends(m, 0, IRQ_STI));
    cr_assert_eq(sbi(m, RFNC, 1, 3, 0, RAM, 0x3000).error, 0);
    cr_assert_eq(sbi(m, RFNC, 2, 0, ~0ull, 0, ~0ull).error, 0);
    cr_assert_eq(sbi(m, RFNC, 0, 1, 0, 0, 0).error, 0);
    cr_assert_eq(sbi(m, RFNC, 3, 1, 0, 0, 0).error, -2);
    machine_free(m);
}

Test(sbi, console)
{
    Machine *m = virt_new("");

    cr_assert_eq(sbi(m, DBCN, 0, 5, RAM, 0, 0).value, 5);
    cr_assert_eq(sbi(m, DBCN, 0, 5, RAM - 3, 0, 0).error, -3);
    cr_assert_eq(sbi(m, DBCN, 0, ~0ull, ~0ull - 5, 0, 0).error, -3);
    cr_assert_eq(sbi(m, DBCN, 0, 5, RAM, 1, 0).error, -3);
    cr_assert_eq(sbi(m, DBCN, 1, 5, RAM, 0, 0).value, 0);
    cr_assert_eq(sbi(m, 1, 0, 'x', 0, 0, 0).error, 0);
    cr_assert_eq(sbi(m, 2, 0, 0, 0, 0, 0).error, -1);
    machine_free(m);
}

Test(sbi, power)
{
    Machine *m = virt_new("");

    cr_assert_eq(sbi(m, SRST, 0, 5, 0, 0, 0).error, -3);
    memcpy(&m->cpu[0].env->g[X_A0], (u64[]){0, 1, 0, 0, 0, 0, 0, SRST}, 64);
    m->cpu[0].env->trap = (Trap){.kind = TRAP_SYSCALL};
    m->board->trap(&m->cpu[0]);
    cr_assert(m->quit && m->status == 1);
    machine_free(m);
}

Test(sbi, random_calls)
{
    static const u64 ids[] = {BASE, TIME, IPI, RFNC, HSM, DBCN, 0, 1,
                              2,    3,    4,   5,    6,   7,    9, SRST};
    Machine *m = virt_new("-smp 4");
    GRand *r = g_rand_new_with_seed(9);

    for (u32 i = 0; i < 20000; i++) {
        u64 a[8];

        for (u32 k = 0; k < 6; k++)
            a[k] = g_rand_int(r) % 3 ? g_rand_int(r) % 8
                                     : (u64)g_rand_int(r) << 32 | g_rand_int(r);
        if (g_rand_int(r) % 4 == 0)
            a[1] = RAM + g_rand_int(r) % (65 << 20);
        a[6] = g_rand_int(r) % 5;
        a[7] = ids[g_rand_int(r) % ARRAY_SIZE(ids)];
        memcpy(&m->cpu[0].env->g[X_A0], a, sizeof a);
        m->cpu[0].env->trap = (Trap){.kind = TRAP_SYSCALL};
        m->board->trap(&m->cpu[0]);
    }
    machine_free(m);
}

/* ---- what is booted ---- */

static void refused(const char *line, const char *why)
{
    char *error = NULL;

    cr_expect_null(machine_of(line, &error), "%s was taken", line);
    cr_expect(error && strstr(error, why), "%s: %s instead of %s", line, error, why);
}

Test(boot, nothing) { refused("t -display none", "nothing to boot"); }
Test(boot, initrd) { refused("t -initrd x", "no -kernel"); }
Test(boot, append) { refused("t -append x", "no -kernel"); }
Test(boot, missing) { refused("t -display none -bios /nonexistent", "No such file"); }
Test(boot, tree)
{
    refused("t -display none -bios none -dtb /etc/passwd", "not a device tree");
}
Test(boot, little_memory)
{
    char *path = kernel_file();
    char *line = g_strdup_printf("t -display none -m 2 -kernel %s", path);

    refused(line, "memory");
    unlink(path);
}

/* The reset vector's words are QEMU's; what a firmware is told of the kernel. */
Test(boot, reset_vector)
{
    char *path = kernel_file(), *error = NULL;
    char *line =
        g_strdup_printf("t -display none -m 64 -bios %s -kernel %s", path, path);
    Machine *m = machine_of(line, &error);

    cr_assert(m, "%s", error);
    cr_assert_eq(m->cpu[0].env->pc, 0x1000);
    cr_assert_eq(rd(m, 0x1000, 4), 0x297);
    cr_assert_eq(rd(m, 0x1018, 8), RAM);
    cr_assert_eq(rd(m, rd(m, 0x1020, 8), 4), 0xedfe0dd0); /* a device tree's magic */
    cr_assert_eq(rd(m, 0x1028, 8), 0x4942534f);
    cr_assert_eq(rd(m, 0x1038, 8), RAM + (2 << 20));
    machine_free(m);
    unlink(path);
}
