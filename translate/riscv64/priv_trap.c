/* SPDX-License-Identifier: MIT */
/*
 * Traps, interrupts and returns from them (privileged 3.1.6, 3.1.9, 3.3.2); which
 * translations and which TLB belong to the mode the hart is in.
 */
#include <immintrin.h>
#include <inttypes.h>
#include "priv.h"

/* ---- what follows from the mode ---- */

static u32 mmu_mode(const Hart *h)
{
    u8 priv = h->priv;

    if (priv == PRIV_M && h->mstatus & MSTATUS_MPRV)
        priv = h->mstatus >> 11 & 3;
    if (priv == PRIV_S && h->mstatus & MSTATUS_SUM)
        return MMU_S_SUM;
    return priv == PRIV_U ? MMU_U : priv == PRIV_S ? MMU_S : MMU_M;
}

static u64 key_of(const Env *env, const Hart *h)
{
    return (env->key_flags & FRM_MASK) | KEY_SYSTEM | (u64)h->priv << KEY_PRIV_SHIFT |
           (h->mstatus & MSTATUS_FS ? 0 : KEY_FS_OFF);
}

static void follow_mode(Env *env)
{
    Hart *h = hart_of(env);
    const Mmu *m = &h->mmu;
    u32 mode = mmu_mode(h);
    u64 key = key_of(env, h), space = mode == MMU_M ? 0 : h->satp;

    if (env->key_flags == key && m->mode == mode && m->now->id == space && m->now->used)
        return;
    env->key_flags = key;
    mmu_enter(env, space, mode);
}

/* ---- a hart's state as words ---- */

enum { STATE_FROM = offsetof(Hart, mstatus), STATE_BYTES = sizeof(Hart) - STATE_FROM };

static_assert(STATE_BYTES % 8 == 0 && 1 + STATE_BYTES / 8 == HART_WORDS,
              "all from mstatus on, and priv");

void riscv64_save(const Env *env, u64 *words)
{
    const Hart *h = hart_of(env);

    words[0] = h->priv;
    memcpy(words + 1, (const char *)h + STATE_FROM, STATE_BYTES);
}

void riscv64_load(Env *env, const u64 *words)
{
    Hart *h = hart_of(env);

    if (h->priv == words[0] &&
        !memcmp(words + 1, (const char *)h + STATE_FROM, STATE_BYTES))
        return;
    h->priv = (u8)words[0];
    memcpy((char *)h + STATE_FROM, words + 1, STATE_BYTES);
    pmp_update(h);
    mmu_flush(env);
    follow_mode(env);
}

/* ---- starting ---- */

bool hart_init(Hart *h, Env *env, u32 id, Bus *bus, const HartBoard *board)
{
    *h = (Hart){.id = id, .board = *board};
    env->guest_state[STATE_HART] = (u64)(uintptr_t)h;
    if (!mmu_init(&h->mmu, env, bus, hart_walk))
        return false;
    hart_reset(env, 0);
    return true;
}

void hart_reset(Env *env, u64 pc)
{
    Hart *h = hart_of(env);
    const HartBoard board = h->board;
    const Mmu mmu = h->mmu;
    u32 id = h->id;
    u64 lines = atomic_load(&h->lines);

    *h = (Hart){.id = id, .board = board, .mmu = mmu, .priv = PRIV_M, .lines = lines};
    h->mstatus = MSTATUS_UXL | MSTATUS_SXL;
    h->menvcfg = ENVCFG_ADUE;
    h->stimecmp = ~0ull;
    for (u32 i = 0; i < ENV_GLOBALS; i++)
        env->g[i] = 0;
    env->res_addr = ~0ull;
    env->pc = pc;
    riscv64_set_fcsr(env, 0);
    mmu_flush(env);
    hart_changed(env);
}

/* ---- interrupts ---- */

static u64 mip(const Hart *h, bool due)
{
    u64 bits = h->mip | atomic_load(&h->lines) | atomic_load(&h->posted);

    if (h->menvcfg & ENVCFG_STCE)
        bits = (bits & ~(1ull << IRQ_STI)) | (u64)due << IRQ_STI;
    return bits;
}

static bool is_due(const Hart *h) { return h->board.time(h->board.ctx) >= h->stimecmp; }

u64 hart_mip(const Hart *h) { return mip(h, h->menvcfg & ENVCFG_STCE && is_due(h)); }

void hart_set_stimecmp(Env *env, u64 value)
{
    Hart *h = hart_of(env);

    h->stimecmp = value;
    h->due = h->board.timer(h->board.ctx, h->id, value);
    hart_changed(env);
}

void hart_line(Env *env, u32 irq, bool level)
{
    Hart *h = hart_of(env);
    u64 bit = 1ull << irq;

    if (!level)
        atomic_fetch_and(&h->lines, ~bit);
    else if (!(atomic_fetch_or(&h->lines, bit) & bit))
        h->board.request(env);
}

void hart_post(Env *env, u32 irq)
{
    Hart *h = hart_of(env);

    atomic_fetch_or(&h->posted, 1ull << irq);
    h->board.request(env);
}

bool hart_wakes(const Env *env)
{
    const Hart *h = hart_of(env);

    return h->mie && hart_mip(h) & h->mie;
}

/* The interrupts that would be taken now, of one mode; without asking the clock. */
static u64 enabled(const Hart *h)
{
    u64 pending = h->mie ? mip(h, h->due) & h->mie : 0;
    u64 to_m = pending & ~h->mideleg, to_s = pending & h->mideleg;

    if (to_m && (h->priv < PRIV_M || h->mstatus & MSTATUS_MIE))
        return to_m;
    if (to_s && (h->priv < PRIV_S || (h->priv == PRIV_S && h->mstatus & MSTATUS_SIE)))
        return to_s;
    return 0;
}

void hart_changed(Env *env)
{
    follow_mode(env);
    if (enabled(hart_of(env)))
        hart_of(env)->board.request(env);
}

/* ---- entering a handler ---- */

static void enter_s(Hart *h, Env *env, u64 cause, u64 tval)
{
    u64 sie = h->mstatus & MSTATUS_SIE;

    h->scause = cause;
    h->stval = tval;
    h->sepc = env->pc;
    h->mstatus &= ~(MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_SIE);
    h->mstatus |= (sie ? MSTATUS_SPIE : 0) | (h->priv ? MSTATUS_SPP : 0);
    h->priv = PRIV_S;
}

static void enter_m(Hart *h, Env *env, u64 cause, u64 tval)
{
    u64 mie = h->mstatus & MSTATUS_MIE;

    h->mcause = cause;
    h->mtval = tval;
    h->mepc = env->pc;
    h->mstatus &= ~(MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MIE);
    h->mstatus |= (mie ? MSTATUS_MPIE : 0) | (u64)h->priv << 11;
    h->priv = PRIV_M;
}

/* What a cause is called; the numbers are the manual's (table 3.6). */
static const char *cause_name(u64 cause)
{
    static const char *const exceptions[] = {
        "fetch misaligned", "fetch access fault", "illegal instruction",
        "breakpoint",       "load misaligned",    "load access fault",
        "store misaligned", "store access fault", "ecall from U",
        "ecall from S",     "reserved",           "ecall from M",
        "fetch page fault", "load page fault",    "reserved",
        "store page fault",
    };
    static const char *const interrupts[] = {
        [IRQ_SSI] = "S software interrupt", [IRQ_MSI] = "M software interrupt",
        [IRQ_STI] = "S timer interrupt",    [IRQ_MTI] = "M timer interrupt",
        [IRQ_SEI] = "S external interrupt", [IRQ_MEI] = "M external interrupt",
    };

    return cause >> 63 ? interrupts[cause & 63] : exceptions[cause];
}

static void enter(Env *env, u64 cause, u64 tval)
{
    Hart *h = hart_of(env);
    bool interrupt = cause >> 63;
    u64 deleg = interrupt ? h->mideleg : h->medeleg, code = cause & 63, vec;

    if (log_on(LOG_INT) && log_wants(env->pc))
        log_printf("hart %u: %s, pc %016" PRIx64 " tval %016" PRIx64 " mode %c\n",
                   h->id, cause_name(cause), env->pc, tval, "US?M"[h->priv]);
    env->res_addr = ~0ull;
    if (h->priv != PRIV_M && deleg >> code & 1) {
        enter_s(h, env, cause, tval);
        vec = h->stvec;
    } else {
        enter_m(h, env, cause, tval);
        vec = h->mtvec;
    }
    env->pc = (vec & ~3ull) + (interrupt && vec & 1 ? 4 * code : 0);
    hart_changed(env);
}

bool hart_interrupt(Env *env)
{
    /* by priority (3.1.9) */
    static const u8 order[] = {IRQ_MEI, IRQ_MSI, IRQ_MTI, IRQ_SEI, IRQ_SSI, IRQ_STI};
    Hart *h = hart_of(env);
    u64 now;

    h->due = is_due(h);
    now = enabled(h);
    for (u32 i = 0; now && i < ARRAY_SIZE(order); i++)
        if (now >> order[i] & 1) {
            enter(env, 1ull << 63 | order[i], 0);
            return true;
        }
    return false;
}

/* The bits of the instruction at pc, for tval; 0: they cannot be read. */
static u64 bits_at(Env *env, u64 pc)
{
    const Trap trap = env->trap;
    u64 bits = 0;

    for (u32 i = 0; i < 2; i++) {
        MmuPage page;
        u64 half;

        if ((i && (bits & 3) != 3) || !hart_walk(env, pc + 2 * i, MMU_FETCH, &page) ||
            !bus_read(hart_of(env)->mmu.bus, page.phys, 2, &half))
            break;
        bits |= half << 16 * i;
    }
    env->trap = trap;
    return bits;
}

static u32 memory_cause(const Trap *trap)
{
    if (trap->code != MMU_NO_DEVICE)
        return (u32)trap->code;
    return trap->write ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS;
}

void hart_trap(Env *env)
{
    const Trap trap = env->trap;
    u64 pc = env->pc;

    switch (trap.kind) {
    case TRAP_SYSCALL: enter(env, CAUSE_ECALL_U + hart_of(env)->priv, 0); break;
    case TRAP_BREAK: enter(env, CAUSE_BREAKPOINT, pc); break;
    case TRAP_ILLEGAL: enter(env, CAUSE_ILLEGAL, bits_at(env, pc)); break;
    case TRAP_FETCH:
    case TRAP_MEMORY: enter(env, memory_cause(&trap), trap.addr); break;
    case TRAP_MISALIGNED: {
        u32 bits = (u32)bits_at(env, pc);
        bool lr = insn_lookup(bits) == INSN_lr_w || insn_lookup(bits) == INSN_lr_d;

        enter(env, lr ? CAUSE_LOAD_MISALIGNED : CAUSE_STORE_MISALIGNED,
              riscv64_accessed(env, bits));
        break;
    }
    case TRAP_FENCE_I: hart_of(env)->board.fence_i(env); break;
    default: break;
    }
}

/* ---- helpers: they run with the guest's MXCSR in the register ---- */

_Noreturn void hart_raise(Env *env, u32 cause, u64 tval)
{
    env->trap = (Trap){.kind = TRAP_MEMORY, .code = (int)cause, .addr = tval};
    env->mmu->fault(env);
    __builtin_unreachable();
}

static _Noreturn void illegal(Env *env)
{
    env->trap = (Trap){.kind = TRAP_ILLEGAL};
    env->mmu->fault(env);
    __builtin_unreachable();
}

u64 help_ecall(Env *env, u64 pc, u64 b, u64 c)
{
    env->pc = pc;
    enter(env, CAUSE_ECALL_U, 0);
    return env->pc;
}

/* What frm asks of the host may differ in the mode returned to. */
u64 help_sret(Env *env, u64 a, u64 b, u64 c)
{
    Hart *h = hart_of(env);
    u64 spie = h->mstatus & MSTATUS_SPIE;

    if (h->priv < PRIV_S || (h->priv == PRIV_S && h->mstatus & MSTATUS_TSR))
        illegal(env);
    h->priv = h->mstatus & MSTATUS_SPP ? PRIV_S : PRIV_U;
    h->mstatus &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    h->mstatus |= MSTATUS_SPIE | (spie ? MSTATUS_SIE : 0);
    hart_changed(env);
    return h->sepc;
}

u64 help_mret(Env *env, u64 a, u64 b, u64 c)
{
    Hart *h = hart_of(env);
    u64 mpie = h->mstatus & MSTATUS_MPIE;

    if (h->priv != PRIV_M)
        illegal(env);
    h->priv = h->mstatus >> 11 & 3;
    h->mstatus &= ~(MSTATUS_MIE | MSTATUS_MPP);
    h->mstatus |= MSTATUS_MPIE | (mpie ? MSTATUS_MIE : 0);
    if (h->priv != PRIV_M)
        h->mstatus &= ~MSTATUS_MPRV;
    hart_changed(env);
    return h->mepc;
}

/* Is wfi allowed here? */
u64 help_wfi(Env *env, u64 a, u64 b, u64 c)
{
    Hart *h = hart_of(env);

    if (h->priv == PRIV_U || (h->priv == PRIV_S && h->mstatus & MSTATUS_TW))
        illegal(env);
    return 0;
}

/* sfence.vma and sinval.vma; has: bit 0 an address is given, bit 1 an address space.
 * A space's global pages may stay, and are forgotten all the same. */
u64 help_sfence(Env *env, u64 addr, u64 has, u64 asid)
{
    Hart *h = hart_of(env);
    u64 mask = has & 2 ? SATP_ASID : 0, bits = asid << SATP_ASID_SHIFT & mask;

    if (h->priv == PRIV_U || (h->priv == PRIV_S && h->mstatus & MSTATUS_TVM))
        illegal(env);
    if (has & 1)
        mmu_flush_page(env, addr, bits, mask);
    else
        mmu_flush_spaces(env, bits, mask);
    return 0;
}
