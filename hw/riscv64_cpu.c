/* SPDX-License-Identifier: MIT */
/* A RISC-V hart as one of a machine's CPUs: its time, traps, interrupts and state. */
#include "inside.h"
#include "riscv64_board.h"

/* ---- what a hart asks of the board ---- */

static u64 board_time(void *ctx) { return clint_time(((RiscvCpu *)ctx)->clint); }

/* Where runs are to be the same, so is what they count. */
static u64 board_cycles(void *ctx)
{
    return machine_clock(((RiscvCpu *)ctx)->cpu->machine);
}

/* stimecmp is behind mip.STIP, which is computed: only the moment has to be noticed. */
static bool board_timer(void *ctx, u32 hart, u64 stimecmp)
{
    RiscvCpu *r = ctx;
    u64 when = clint_when(r->clint, stimecmp);

    machine_lock(r->cpu->machine);
    timer_set(r->timer, when ? when : TIMER_OFF);
    machine_unlock(r->cpu->machine);
    return !when;
}

static void timer_fire(void *ctx) { cpu_kick(((RiscvCpu *)ctx)->cpu); }

static void board_request(Env *env) { cpu_kick(env->task); }
static void board_fence_i(Env *env) { cache_fence_i(env->cache); }

/* ---- made and unmade ---- */

bool riscv_cpu_new(Cpu *cpu, Clint *clint, char **error)
{
    RiscvCpu *r = g_new0(RiscvCpu, 1);
    const HartBoard board = {.ctx = r,
                             .time = board_time,
                             .timer = board_timer,
                             .request = board_request,
                             .fence_i = board_fence_i,
                             .cycles = cpu->machine->options->icount >= 0 ? board_cycles
                                                                          : NULL};

    *r = (RiscvCpu){.cpu = cpu, .clint = clint};
    cpu->guest = r;
    if (!hart_init(&r->hart, cpu->env, cpu->id, &cpu->machine->bus, &board)) {
        *error = g_strdup("no memory for a hart");
        return false;
    }
    cache_serve(cpu->env);
    r->timer = timer_new(cpu->machine, timer_fire, r);
    return true;
}

void riscv_cpu_free(Cpu *cpu)
{
    RiscvCpu *r = riscv_cpu(cpu);

    if (!r)
        return;
    timer_free(r->timer);
    mmu_free(&r->hart.mmu);
    g_free(r);
    cpu->guest = NULL;
}

/* ---- running ---- */

void riscv_cpu_trap(Cpu *cpu)
{
    const Virt *v = virt_of(cpu->machine);

    if (v->sbi && cpu->env->trap.kind == TRAP_SYSCALL &&
        riscv_cpu(cpu)->hart.priv == PRIV_S)
        sbi_call(cpu);
    else
        hart_trap(cpu->env);
}

bool riscv_cpu_interrupt(Cpu *cpu) { return hart_interrupt(cpu->env); }
bool riscv_cpu_wakes(const Cpu *cpu) { return hart_wakes(cpu->env); }

/* ---- saved and loaded ---- */

/* The mode a hart is in, or returns to from machine mode, as words have them. */
static bool modes_exist(const u64 *words)
{
    return words[0] <= PRIV_M && words[0] != 2 &&
           (words[1] & MSTATUS_MPP) != 2ull << 11;
}

static void state_hart(Env *env, State *s)
{
    u64 words[HART_WORDS];

    riscv64_save(env, words);
    for (u32 i = 0; i < HART_WORDS; i++)
        state_u64(s, &words[i]);
    if (!s->loading)
        return;
    if (modes_exist(words))
        riscv64_load(env, words);
    else
        state_refuse(s, "a hart in a mode that does not exist");
}

/* What follows from the state that was loaded. */
static void loaded(Cpu *cpu, u32 fcsr)
{
    RiscvCpu *r = riscv_cpu(cpu);
    Env *env = cpu->env;

    env->res_addr = ~0ull;
    riscv64_set_fcsr(env, fcsr & 255);
    mmu_flush(env);
    timer_set(r->timer, clint_when(r->clint, r->hart.stimecmp));
    hart_changed(env);
}

void riscv_cpu_state(Cpu *cpu, State *s)
{
    RiscvCpu *r = riscv_cpu(cpu);
    u32 fcsr = riscv64_fcsr(cpu->env);
    u64 lines = atomic_load(&r->hart.lines);
    bool ours = virt_of(cpu->machine)->sbi, sbi = ours;

    state_bool(s, &sbi);
    if (sbi != ours)
        state_refuse(s, "it was saved with other firmware");
    r->hart.mip |= atomic_exchange(&r->hart.posted, 0);
    state_hart(cpu->env, s);
    state_u32(s, &fcsr);
    state_u64(s, &lines);
    atomic_store(&r->hart.lines, lines);
    if (s->loading && !s->error)
        loaded(cpu, fcsr);
}
