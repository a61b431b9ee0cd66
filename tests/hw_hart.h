/* SPDX-License-Identifier: MIT */
/* A machine for tests of devices and monitors: RAM, RISC-V harts in machine mode, lines
 * that are remembered.  No thread runs; the lock is held. */
#ifndef TESSERA_TESTS_HW_HART_H
#define TESSERA_TESTS_HW_HART_H

#include <criterion/criterion.h>
#include "../hw/inside.h"
#include "../hw/riscv64_info.h"
#include "../translate/riscv64/priv.h"

#define HW_RAM 0x80000000ull

typedef struct HartMachine {
    Hart hart[MAX_CPUS];
    bool line[128]; /* as devices hold them */
} HartMachine;

static u64 hart_board_time(void *ctx) { return 0; }
static bool hart_board_timer(void *ctx, u32 hart, u64 when) { return false; }
static void hart_board_request(Env *env) { cpu_kick(env->task); }
static void hart_board_fence_i(Env *env) { cache_fence_i(env->cache); }

static bool hart_board_create(Machine *m, char **error)
{
    static const HartBoard board = {.time = hart_board_time,
                                    .timer = hart_board_timer,
                                    .request = hart_board_request,
                                    .fence_i = hart_board_fence_i};
    HartMachine *b = m->board_data = g_new0(HartMachine, 1);

    for (u32 i = 0; i < m->n_cpus; i++) {
        cr_assert(hart_init(&b->hart[i], m->cpu[i].env, i, &m->bus, &board));
        cache_serve(m->cpu[i].env);
    }
    return true;
}

static void hart_board_reset(Machine *m)
{
    for (u32 i = 0; i < m->n_cpus; i++)
        hart_reset(m->cpu[i].env, HW_RAM);
}

static void hart_board_free(Machine *m)
{
    HartMachine *b = m->board_data;

    for (u32 i = 0; i < m->n_cpus; i++)
        mmu_free(&b->hart[i].mmu);
    g_free(b);
}

static void hart_board_irq(Machine *m, u32 irq, bool level)
{
    ((HartMachine *)m->board_data)->line[irq] = level;
}

static void hart_board_cpu_state(Cpu *cpu, State *s)
{
    state_u8(s, &hart_of(cpu->env)->priv);
}

static const BoardType hart_board_type = {.name = "test",
                                          .help = "a board of tests",
                                          .guest = &guest_riscv64,
                                          .ram_base = HW_RAM,
                                          .create = hart_board_create,
                                          .reset = hart_board_reset,
                                          .free = hart_board_free,
                                          .irq = hart_board_irq,
                                          .cpu_state = hart_board_cpu_state,
                                          .info_cpu = riscv_info_cpu,
                                          .info_tlb = riscv_info_tlb,
                                          .info_mem = riscv_info_mem,
                                          .translate = riscv_translate};

/* Ended by hw_machine_free. */
static inline Machine *hw_machine(u64 ram_size, u32 n_cpus)
{
    static MachineOptions options;
    char *error = NULL;
    Machine *m;

    options = (MachineOptions){.board = &hart_board_type,
                               .ram_size = ram_size,
                               .n_cpus = n_cpus,
                               .icount = -1,
                               .cache = {.code_size = 1 << 20}};
    m = machine_new(&options, &error);
    cr_assert(m, "%s", error);
    machine_lock(m);
    return m;
}

static inline void hw_machine_free(Machine *m)
{
    machine_unlock(m);
    machine_free(m);
}

static inline bool hw_line(const Machine *m, u32 irq)
{
    return ((HartMachine *)m->board_data)->line[irq];
}

/* The event loop goes round until it has nothing to do. */
static inline void hw_pump(Machine *m)
{
    machine_unlock(m);
    while (g_main_context_iteration(m->io, FALSE))
        ;
    machine_lock(m);
}

#endif
