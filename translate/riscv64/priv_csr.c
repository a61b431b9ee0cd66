/* SPDX-License-Identifier: MIT */
/*
 * The CSRs of a system hart: one table says where each lives, which bits can be
 * written (WARL), and what else a read or write does; floating point's are in csr.c.
 * (Privileged chapter 2.)
 */
#include <x86intrin.h>
#include "priv.h"

typedef struct Csr {
    u16 number, count;
    u16 at;    /* offset of its u64 in Hart; 0: only by functions */
    bool ends; /* code after a write depends on it */
    u64 mask;  /* writable bits */
    u64 (*read)(Env *env, u32 number);
    void (*write)(Env *env, u32 number, u64 value);
} Csr;

static u64 *word(Hart *h, const Csr *c) { return (u64 *)((char *)h + c->at); }

/* The instruction at hand is illegal unless so. */
static void need(Env *env, bool allowed)
{
    if (!allowed) {
        env->trap = (Trap){.kind = TRAP_ILLEGAL};
        env->mmu->fault(env);
    }
}

/* ---- mstatus and its view sstatus ---- */

#define SSTATUS_BITS \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define MSTATUS_BITS                                                          \
    (SSTATUS_BITS | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | \
     MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)

/* On these neither translations nor the TLB depend; interrupts do when they are set. */
#define STATUS_ALONE \
    (MSTATUS_SIE | MSTATUS_MIE | MSTATUS_SPIE | MSTATUS_MPIE | MSTATUS_SPP)

static u64 with_sd(u64 status)
{
    return (status & MSTATUS_FS) == MSTATUS_FS ? status | MSTATUS_SD : status;
}

static u64 read_mstatus(Env *env, u32 number) { return with_sd(hart_of(env)->mstatus); }

static u64 read_sstatus(Env *env, u32 number)
{
    return with_sd(hart_of(env)->mstatus & (SSTATUS_BITS | MSTATUS_UXL));
}

/* FS is off or, as far as anybody can tell, dirty. */
static void set_status(Env *env, u64 value, u64 bits)
{
    Hart *h = hart_of(env);
    u64 old = h->mstatus;

    value = (old & ~bits) | (value & bits);
    if (value & MSTATUS_FS)
        value |= MSTATUS_FS;
    if ((value & MSTATUS_MPP) == 2ull << 11)
        value = (value & ~MSTATUS_MPP) | (old & MSTATUS_MPP);
    h->mstatus = value;
    if ((old ^ value) & MSTATUS_MXR)
        mmu_flush(env);
    if (value & ~old & (MSTATUS_SIE | MSTATUS_MIE) || (old ^ value) & ~STATUS_ALONE)
        hart_changed(env);
}

static void write_mstatus(Env *env, u32 number, u64 v)
{
    set_status(env, v, MSTATUS_BITS);
}
static void write_sstatus(Env *env, u32 number, u64 v)
{
    set_status(env, v, SSTATUS_BITS);
}

/* ---- interrupts ---- */

#define M_IRQS (1ull << IRQ_MSI | 1ull << IRQ_MTI | 1ull << IRQ_MEI)
#define S_IRQS (1ull << IRQ_SSI | 1ull << IRQ_STI | 1ull << IRQ_SEI)

/* What is posted after this is not lost when the value read is written back. */
static u64 read_mip(Env *env, u32 number)
{
    Hart *h = hart_of(env);

    h->mip |= atomic_exchange(&h->posted, 0);
    return hart_mip(h);
}

static u64 read_sip(Env *env, u32 number)
{
    return read_mip(env, number) & hart_of(env)->mideleg;
}

static void set_bits(Env *env, u64 *word, u64 value, u64 bits)
{
    *word = (*word & ~bits) | (value & bits);
    hart_changed(env);
}

static void write_mip(Env *env, u32 number, u64 v)
{
    u64 bits = S_IRQS;

    if (hart_of(env)->menvcfg & ENVCFG_STCE)
        bits &= ~(1ull << IRQ_STI);
    set_bits(env, &hart_of(env)->mip, v, bits);
}

static void write_sip(Env *env, u32 number, u64 v)
{
    set_bits(env, &hart_of(env)->mip, v, hart_of(env)->mideleg & 1ull << IRQ_SSI);
}

static u64 read_sie(Env *env, u32 number)
{
    return hart_of(env)->mie & hart_of(env)->mideleg;
}

static void write_mie(Env *env, u32 number, u64 v)
{
    set_bits(env, &hart_of(env)->mie, v, M_IRQS | S_IRQS);
}

static void write_sie(Env *env, u32 number, u64 v)
{
    set_bits(env, &hart_of(env)->mie, v, hart_of(env)->mideleg);
}

static void write_mideleg(Env *env, u32 number, u64 v)
{
    set_bits(env, &hart_of(env)->mideleg, v, S_IRQS);
}

/* ---- timers and counters ---- */

/* mcycle and minstret: bits of mcountinhibit that can be set. */
#define COUNTERS (1ull << 0 | 1ull << 2)

static u64 cycles(Env *env)
{
    const HartBoard *b = &hart_of(env)->board;

    return env_clock(env, b->cycles ? b->cycles(b->ctx) : __rdtsc());
}

static u64 *counter_word(Hart *h, u32 number)
{
    return number & 2 ? &h->instret_offset : &h->cycle_offset;
}

/* The word of a counter that stands still is its value, else what is to be added. */
static u64 counter(Env *env, u32 number)
{
    Hart *h = hart_of(env);
    u64 word = *counter_word(h, number);

    return h->mcountinhibit >> (number & 31) & 1 ? word : cycles(env) + word;
}

static void set_counter(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    bool stands = h->mcountinhibit >> (number & 31) & 1;

    *counter_word(h, number) = stands ? value : value - cycles(env);
}

static u64 read_counter(Env *env, u32 number)
{
    const Hart *h = hart_of(env);
    u32 enable = 1u << (number & 31);

    if (number >= CSR_CYCLE && h->priv < PRIV_M &&
        (!(h->mcounteren & enable) || (h->priv == PRIV_U && !(h->scounteren & enable))))
        need(env, false);
    if (number == CSR_TIME)
        return env_clock(env, h->board.time(h->board.ctx));
    if ((number & 31) > 2)
        return 0; /* no event is counted */
    return counter(env, number);
}

static void write_counter(Env *env, u32 number, u64 value)
{
    if ((number & 31) <= 2)
        set_counter(env, number, value);
}

static void write_mcountinhibit(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    u64 cycle = counter(env, CSR_CYCLE), instret = counter(env, CSR_INSTRET);

    h->mcountinhibit = value & COUNTERS;
    set_counter(env, CSR_CYCLE, cycle);
    set_counter(env, CSR_INSTRET, instret);
}

/* Sstc: not there unless M mode lets S mode have it. */
static void need_stimecmp(Env *env)
{
    const Hart *h = hart_of(env);

    if (h->priv < PRIV_M && (!(h->menvcfg & ENVCFG_STCE) || !(h->mcounteren & 2)))
        need(env, false);
}

static u64 read_stimecmp(Env *env, u32 number)
{
    need_stimecmp(env);
    return hart_of(env)->stimecmp;
}

static void write_stimecmp(Env *env, u32 number, u64 value)
{
    need_stimecmp(env);
    hart_set_stimecmp(env, value);
}

static void write_menvcfg(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    u64 bits = ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_ADUE |
               ENVCFG_PBMTE | ENVCFG_STCE;

    h->menvcfg = value & bits;
    mmu_flush(env);
    hart_changed(env);
}

/* ---- address translation and protection ---- */

static void need_satp(Env *env)
{
    const Hart *h = hart_of(env);

    if (h->priv == PRIV_S && h->mstatus & MSTATUS_TVM)
        need(env, false);
}

static u64 read_satp(Env *env, u32 number)
{
    need_satp(env);
    return hart_of(env)->satp;
}

/* A mode that is not there: the write has no effect at all. */
static void write_satp(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    u64 mode = value >> 60;

    need_satp(env);
    if (mode && (mode < 8 || mode > 10))
        return;
    if (h->satp == value)
        return;
    h->satp = value;
    hart_changed(env);
}

static u64 read_pmpcfg(Env *env, u32 number)
{
    u32 first = (number - 0x3a0) * 4;
    u64 v = 0;

    if (number & 1)
        need(env, false);
    for (u32 i = 0; i < 8 && first + i < PMP_ENTRIES; i++)
        v |= (u64)hart_of(env)->pmpcfg[first + i] << 8 * i;
    return v;
}

static void write_pmpcfg(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    u32 first = (number - 0x3a0) * 4;

    if (number & 1)
        need(env, false);
    for (u32 i = 0; i < 8 && first + i < PMP_ENTRIES; i++) {
        u8 v = (u8)(value >> 8 * i) & 0x9f;

        if (!(h->pmpcfg[first + i] & 128) && (v & 3) != 2)
            h->pmpcfg[first + i] = v;
    }
    pmp_update(h);
    mmu_flush(env);
}

static u64 read_pmpaddr(Env *env, u32 number)
{
    u32 i = number - 0x3b0;

    return i < PMP_ENTRIES ? hart_of(env)->pmpaddr[i] : 0;
}

/* Locked, by itself or as the start of a locked TOR entry. */
static bool pmpaddr_locked(const Hart *h, u32 i)
{
    return h->pmpcfg[i] & 128 ||
           (i + 1 < PMP_ENTRIES && (h->pmpcfg[i + 1] & 0x98) == 0x88);
}

static void write_pmpaddr(Env *env, u32 number, u64 value)
{
    Hart *h = hart_of(env);
    u32 i = number - 0x3b0;

    if (i >= PMP_ENTRIES || pmpaddr_locked(h, i))
        return;
    h->pmpaddr[i] = value & ((1ull << 54) - 1);
    pmp_update(h);
    mmu_flush(env);
}

/* ---- the table ---- */

enum { CSR_SIP = 0x144, CSR_MIP = 0x344 };

static u64 read_misa(Env *env, u32 number)
{
    static const char letters[] = "ACDFIMSU";
    u64 v = 2ull << 62;

    for (const char *p = letters; *p; p++)
        v |= 1ull << (*p - 'A');
    return v;
}

static u64 read_hartid(Env *env, u32 number) { return hart_of(env)->id; }
static u64 read_zero(Env *env, u32 number) { return 0; }
static void write_nothing(Env *env, u32 number, u64 value) {}

#define AT(field) (u16) offsetof(Hart, field)
#define ALL       (~0ull)
#define VECTOR    (~2ull)

static const Csr csrs[] = {
    {CSR_SSTATUS, 1, 0, true, 0, read_sstatus, write_sstatus},
    {0x104, 1, 0, true, 0, read_sie, write_sie},
    {0x105, 1, AT(stvec), false, VECTOR},
    {0x106, 1, AT(scounteren), false, 0xffffffff},
    {0x10a, 1, AT(senvcfg), false,
     ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE},
    {0x140, 1, AT(sscratch), false, ALL},
    {0x141, 1, AT(sepc), false, ~1ull},
    {0x142, 1, AT(scause), false, ALL},
    {0x143, 1, AT(stval), false, ALL},
    {0x144, 1, 0, true, 0, read_sip, write_sip},
    {0x14d, 1, 0, true, 0, read_stimecmp, write_stimecmp},
    {0x180, 1, 0, true, 0, read_satp, write_satp},
    {CSR_MSTATUS, 1, 0, true, 0, read_mstatus, write_mstatus},
    {0x301, 1, 0, false, 0, read_misa, write_nothing},
    {0x302, 1, AT(medeleg), false, 0xb3ff},
    {0x303, 1, AT(mideleg), true, 0, NULL, write_mideleg},
    {0x304, 1, AT(mie), true, 0, NULL, write_mie},
    {0x305, 1, AT(mtvec), false, VECTOR},
    {0x306, 1, AT(mcounteren), false, 0xffffffff},
    {0x30a, 1, AT(menvcfg), true, 0, NULL, write_menvcfg},
    {0x320, 1, AT(mcountinhibit), false, 0, NULL, write_mcountinhibit},
    {0x323, 29, 0, false, 0, read_zero, write_nothing}, /* mhpmevent3.. */
    {0x340, 1, AT(mscratch), false, ALL},
    {0x341, 1, AT(mepc), false, ~1ull},
    {0x342, 1, AT(mcause), false, ALL},
    {0x343, 1, AT(mtval), false, ALL},
    {0x344, 1, 0, true, 0, read_mip, write_mip},
    {0x3a0, 16, 0, true, 0, read_pmpcfg, write_pmpcfg},
    {0x3b0, 64, 0, true, 0, read_pmpaddr, write_pmpaddr},
    {0xb00, 1, 0, false, 0, read_counter, write_counter},
    {0xb02, 30, 0, false, 0, read_counter, write_counter},
    {0xc00, 32, 0, false, 0, read_counter},
    {0xf11, 3, 0, false, 0, read_zero},
    {0xf14, 1, 0, false, 0, read_hartid},
    {0xf15, 1, 0, false, 0, read_zero},
};

static const Csr *find(u32 number)
{
    for (u32 i = 0; i < ARRAY_SIZE(csrs); i++)
        if (number - csrs[i].number < csrs[i].count)
            return &csrs[i];
    return NULL;
}

/* CsrUse.what: the number, and above it the entry in the table. */
enum { ENTRY_SHIFT = 12, NUMBER_MASK = (1 << ENTRY_SHIFT) - 1 };

bool csr_find(u32 number, u32 priv, u32 how, CsrUse *use)
{
    const Csr *c = find(number);
    bool writes = how & CSR_WRITES;

    if (!c || (number >> 8 & 3) > priv || (writes && number >> 10 == 3))
        return false;
    *use = (CsrUse){.what = number | (c - csrs) << ENTRY_SHIFT,
                    .is_word = c->at && !c->read && !(writes && c->write),
                    .ends = writes && c->ends};
    return true;
}

/* ---- the helpers ---- */

static void write_csr(Env *env, const Csr *c, u32 number, u64 value)
{
    if (c->write)
        c->write(env, number, value);
    else
        *word(hart_of(env), c) =
            (*word(hart_of(env), c) & ~c->mask) | (value & c->mask);
}

static u64 changed(u64 old, u64 value, u64 how)
{
    return (how & CSR_HOW) == CSR_SWAP  ? value
           : (how & CSR_HOW) == CSR_SET ? old | value
                                        : old & ~value;
}

/* rd = csr, csr = value changed by the instruction's way; how: CSR_SWAP... */
u64 help_csr(Env *env, u64 what, u64 value, u64 how)
{
    const Csr *c = &csrs[what >> ENTRY_SHIFT];
    u32 number = what & NUMBER_MASK;
    bool is_ip = number == CSR_MIP || number == CSR_SIP;
    u64 old = 0;

    if (how & CSR_READS || (how & CSR_HOW) != CSR_SWAP || is_ip)
        old = c->read ? c->read(env, number) : *word(hart_of(env), c);
    if (how & CSR_WRITES) /* what lines hold is not written back (3.1.9) */
        write_csr(env, c, number, changed(is_ip ? hart_of(env)->mip : old, value, how));
    return old;
}

u64 help_csr_word(Env *env, u64 what, u64 value, u64 how)
{
    const Csr *c = &csrs[what >> ENTRY_SHIFT];
    u64 *at = word(hart_of(env), c), old = *at;

    if (how & CSR_WRITES)
        *at = (old & ~c->mask) | (changed(old, value, how) & c->mask);
    return old;
}

/* ---- a debugger's ---- */

u64 hart_csr_get(Env *env, u32 number)
{
    const Csr *c = find(number);
    Hart *h = hart_of(env);
    u8 priv = h->priv;
    u64 value = 0;

    h->priv = PRIV_M;
    if (c)
        value = c->read ? c->read(env, number) : *word(h, c);
    h->priv = priv;
    return value;
}

/* Not the timer, which is the board's too. */
static bool may_set(const Csr *c, u32 number)
{
    return c && number >> 10 != 3 && c->write != write_stimecmp;
}

bool hart_csr_set(Env *env, u32 number, u64 value)
{
    const Csr *c = find(number);
    Hart *h = hart_of(env);
    u8 priv = h->priv;

    if (!may_set(c, number))
        return false;
    h->priv = PRIV_M;
    write_csr(env, c, number, value);
    h->priv = priv;
    hart_changed(env);
    return true;
}

bool hart_set_priv(Env *env, u64 priv)
{
    if (priv > PRIV_M || priv == 2)
        return false;
    hart_of(env)->priv = (u8)priv;
    hart_changed(env);
    return true;
}
