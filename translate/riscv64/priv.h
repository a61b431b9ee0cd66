/* SPDX-License-Identifier: MIT */
/*
 * The privileged architecture, for whole systems: a hart's CSRs, its modes, its page
 * tables, traps and interrupts.  (RISC-V Privileged Architecture, version 1.12, with
 * Sstc, Svinval, Svnapot, Svpbmt, Svade/Svadu.)
 */
#ifndef TESSERA_RISCV64_PRIV_H
#define TESSERA_RISCV64_PRIV_H

#include <stdatomic.h>
#include "riscv64.h"

enum { PRIV_U = 0, PRIV_S = 1, PRIV_M = 3 };

/* Mmu modes: tables and rights that accesses have. */
enum { MMU_U, MMU_S, MMU_M, MMU_S_SUM };

/* Causes of exceptions and interrupts (3.1.15). */
enum {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8, /* S: 9, M: 11 */
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};
enum { IRQ_SSI = 1, IRQ_MSI = 3, IRQ_STI = 5, IRQ_MTI = 7, IRQ_SEI = 9, IRQ_MEI = 11 };

/* Bits of mstatus. */
#define MSTATUS_SIE  (1ull << 1)
#define MSTATUS_MIE  (1ull << 3)
#define MSTATUS_SPIE (1ull << 5)
#define MSTATUS_MPIE (1ull << 7)
#define MSTATUS_SPP  (1ull << 8)
#define MSTATUS_MPP  (3ull << 11)
#define MSTATUS_FS   (3ull << 13)
#define MSTATUS_MPRV (1ull << 17)
#define MSTATUS_SUM  (1ull << 18)
#define MSTATUS_MXR  (1ull << 19)
#define MSTATUS_TVM  (1ull << 20)
#define MSTATUS_TW   (1ull << 21)
#define MSTATUS_TSR  (1ull << 22)
#define MSTATUS_UXL  (2ull << 32)
#define MSTATUS_SXL  (2ull << 34)
#define MSTATUS_SD   (1ull << 63)

/* Bits of menvcfg and senvcfg. */
#define ENVCFG_FIOM  (1ull << 0)
#define ENVCFG_CBIE  (3ull << 4)
#define ENVCFG_CBCFE (1ull << 6)
#define ENVCFG_CBZE  (1ull << 7)
#define ENVCFG_ADUE  (1ull << 61)
#define ENVCFG_PBMTE (1ull << 62)
#define ENVCFG_STCE  (1ull << 63)

#define SATP_ASID_SHIFT 44
#define SATP_ASID       (0xffffull << SATP_ASID_SHIFT)

enum { PMP_ENTRIES = 16 };

/* What the board does for a hart. */
typedef struct HartBoard {
    void *ctx;
    u64 (*time)(void *ctx); /* mtime */
    /* stimecmp was written.  True: it has passed, else request is called when it does.
     */
    bool (*timer)(void *ctx, u32 hart, u64 stimecmp);
    void (*request)(Env *env); /* look for interrupts soon: exec_request */
    void (*fence_i)(Env *env);
    u64 (*cycles)(void *ctx); /* what mcycle and minstret count; NULL: the host's */
} HartBoard;

typedef struct Hart {
    Mmu mmu;
    HartBoard board;
    u32 id;
    u8 priv;
    _Atomic u64 lines; /* mip's bits that devices hold */
    _Atomic u64
        posted; /* ... that other threads have set: mip's when it is next read */
    /* What the entries that are on say: addresses, and the entry's number. */
    struct {
        u64 start, end;
        u32 entry;
    } pmp[PMP_ENTRIES];
    u32 n_pmp;
    bool pmp_on; /* any entry is, even one of no addresses */
    bool due;    /* stimecmp has passed, as far as the hart has noticed */
    u64 mstatus, medeleg, mideleg, mie, mip, mtvec, mcounteren, mscratch, mepc, mcause,
        mtval, menvcfg, mcountinhibit;
    u64 stvec, scounteren, sscratch, sepc, scause, stval, satp, senvcfg, stimecmp;
    u64 cycle_offset, instret_offset;
    u8 pmpcfg[PMP_ENTRIES];
    u64 pmpaddr[PMP_ENTRIES];
} Hart;

/* priv, and all from mstatus on. */
enum { HART_WORDS = 1 + 24 + PMP_ENTRIES / 8 + PMP_ENTRIES };

static inline Hart *hart_of(const Env *env)
{
    return (Hart *)(uintptr_t)env->guest_state[STATE_HART];
}

/* ---- priv_trap.c ---- */

/* Makes env a hart in machine mode at pc 0; false: no memory. */
bool hart_init(Hart *h, Env *env, u32 id, Bus *bus, const HartBoard *board);
void hart_reset(Env *env, u64 pc);
/* Delivers env->trap (not TRAP_REQUEST) to the guest. */
void hart_trap(Env *env);
/* Takes an interrupt that is pending and enabled; false: none is.  To be called when
 * request was. */
bool hart_interrupt(Env *env);
/* Pending and enabled anywhere: does WFI end? */
bool hart_wakes(const Env *env);
/* A device's line to mip's bit: IRQ_*.  From any thread. */
void hart_line(Env *env, u32 irq, bool level);
/* Sets mip's bit once, for the guest to clear: IRQ_*.  From any thread. */
void hart_post(Env *env, u32 irq);
u64 hart_mip(const Hart *h); /* by the clock: what the guest reads */
void hart_set_stimecmp(Env *env, u64 value);
/* The instruction at hand raises the exception; from a helper. */
_Noreturn void hart_raise(Env *env, u32 cause, u64 tval);
/* Mode, tables, FS or interrupts may have changed: key_flags, TLB, interrupts follow.
 */
void hart_changed(Env *env);

/* ---- priv_csr.c: for debuggers; the hart stands still ---- */

/* As machine mode does it; 0: there is no such CSR. */
u64 hart_csr_get(Env *env, u32 number);
bool hart_csr_set(Env *env, u32 number, u64 value); /* false: it cannot be written */
bool hart_set_priv(Env *env, u64 priv);             /* false: no such mode */

/* ---- priv_mmu.c ---- */

MmuWalk hart_walk;
/* May the hart, in mode priv, do this to physical memory?  All of the page: *whole. */
bool pmp_allows(const Hart *h, u64 phys, u32 size, u8 priv, MmuAccess access);
/* pmpcfg or pmpaddr have changed. */
void pmp_update(Hart *h);
/* Rights that hold for the whole page. */
u8 pmp_rights(const Hart *h, u64 page, u8 priv);

#endif
