/* SPDX-License-Identifier: MIT */
/* A hart for monitors: control registers, TLB, and page tables as the guest wrote them
 * (privileged 4.3): they may loop, so what is followed is counted. */
#include <inttypes.h>
#include "../translate/riscv64/priv.h"
#include "riscv64_info.h"

enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_LEAF = PTE_R | PTE_W | PTE_X };
enum { SV39 = 8, SV57 = 10, ENTRIES = 512, INDEX_BITS = 9, NAPOT_PAGES = 16 };
enum { TABLES_MAX = 20000, LINES_MAX = 10000 };

#define PTE_NAPOT (1ull << 63)

/* ---- tables ---- */

static u64 pte_phys(u64 pte) { return (pte >> 10 & ((1ull << 44) - 1)) << PAGE_BITS; }

/* Levels of the tables that satp names; 0: none, addresses are physical. */
static u32 levels(const Hart *h)
{
    u32 mode = (u32)(h->satp >> 60);

    return mode >= SV39 && mode <= SV57 ? mode - SV39 + 3 : 0;
}

static u64 root(const Hart *h) { return h->satp << PAGE_BITS & ((1ull << 56) - 1); }

/* The address of the page in the leaf that stands for virt. */
static u64 leaf_phys(u64 pte, u32 level, u64 virt)
{
    u64 size = PAGE_SIZE << level * INDEX_BITS;

    if (!level && pte & PTE_NAPOT)
        size *= NAPOT_PAGES;
    return (pte_phys(pte) & -size) | (virt & (size - 1));
}

bool riscv_translate(const Cpu *cpu, u64 virt, u64 *phys)
{
    const Hart *h = hart_of(cpu->env);
    u32 n = h->priv == PRIV_M ? 0 : levels(h), bits = PAGE_BITS + n * INDEX_BITS;
    u64 table = root(h), pte;

    *phys = virt;
    if (!n)
        return true;
    if ((u64)((i64)(virt << (64 - bits)) >> (64 - bits)) != virt)
        return false;
    for (u32 level = n; level--;) {
        u64 index = virt >> (PAGE_BITS + level * INDEX_BITS) & (ENTRIES - 1);

        if (!dma_read(cpu->machine, table + index * 8, &pte, sizeof pte) ||
            !(pte & PTE_V))
            return false;
        if (pte & PTE_LEAF) {
            *phys = leaf_phys(pte, level, virt);
            return true;
        }
        table = pte_phys(pte);
    }
    return false;
}

/* ---- info mem ---- */

typedef struct Listing {
    Machine *m;
    GString *out;
    u32 levels, tables, lines;
    u64 virt, phys, size; /* the range at hand; size 0: none */
    u8 attributes;        /* PTE's lowest byte */
} Listing;

static void put_range(Listing *l)
{
    static const char letters[] = "vrwxugad";
    char attributes[8] = "-------";

    if (!l->size || l->lines >= LINES_MAX)
        return;
    for (u32 i = 1; i < 8; i++)
        if (l->attributes >> i & 1)
            attributes[i - 1] = letters[i];
    g_string_append_printf(l->out, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %s\n",
                           l->virt, l->phys, l->size, attributes);
    l->lines++;
}

static void add_leaf(Listing *l, u64 virt, u64 pte, u32 level)
{
    u64 size = PAGE_SIZE << level * INDEX_BITS, phys = leaf_phys(pte, level, virt);

    if (l->size && virt == l->virt + l->size && phys == l->phys + l->size &&
        (u8)pte == l->attributes) {
        l->size += size;
        return;
    }
    put_range(l);
    l->virt = virt;
    l->phys = phys;
    l->size = size;
    l->attributes = (u8)pte;
}

static u64 sign_extend(const Listing *l, u64 virt)
{
    u32 spare = 64 - (PAGE_BITS + l->levels * INDEX_BITS);

    return (u64)((i64)(virt << spare) >> spare);
}

static void list_table(Listing *l, u64 table, u64 virt, u32 level)
{
    u64 pte[ENTRIES];

    if (++l->tables > TABLES_MAX || !dma_read(l->m, table, pte, sizeof pte))
        return;
    for (u32 i = 0; i < ENTRIES; i++) {
        u64 at = sign_extend(l, virt | (u64)i << (PAGE_BITS + level * INDEX_BITS));

        if (!(pte[i] & PTE_V) || l->lines >= LINES_MAX)
            continue;
        if (pte[i] & PTE_LEAF)
            add_leaf(l, at, pte[i], level);
        else if (level)
            list_table(l, pte_phys(pte[i]), at, level - 1);
    }
}

void riscv_info_mem(const Cpu *cpu, GString *out)
{
    const Hart *h = hart_of(cpu->env);
    Listing l = {.m = cpu->machine, .out = out, .levels = levels(h)};

    if (!l.levels) {
        g_string_append(out, "No translation or protection\n");
        return;
    }
    g_string_append(out,
                    "vaddr            paddr            size             attr\n"
                    "---------------- ---------------- ---------------- -------\n");
    list_table(&l, root(h), 0, l.levels - 1);
    put_range(&l);
    if (l.tables > TABLES_MAX || l.lines >= LINES_MAX)
        g_string_append(out, "and more\n");
}

/* ---- info tlb ---- */

static void put_entry(const TlbEntry *e, GString *out)
{
    u64 virt = e->read != TLB_NONE ? e->read : e->write;

    g_string_append_printf(out, "  %016" PRIx64 " -> %016" PRIx64 " %c%c\n",
                           (u64)(virt & PAGE_MASK), (u64)(e->phys & PAGE_MASK),
                           e->read != TLB_NONE ? 'r' : '-',
                           e->write != TLB_NONE ? 'w' : '-');
}

void riscv_info_tlb(const Cpu *cpu, GString *out)
{
    static const char *const names[MMU_MODES] = {
        [MMU_U] = "U", [MMU_S] = "S", [MMU_M] = "M", [MMU_S_SUM] = "S with SUM"};
    const Mmu *m = cpu->env->mmu;

    for (u32 mode = 0; mode < MMU_MODES; mode++) {
        const Tlb *t = &m->now->tlb[mode];

        g_string_append_printf(out, "%s: %u of %u entries%s\n", names[mode], t->filled,
                               1u << t->bits, mode == m->mode ? ", in use" : "");
        for (u32 i = 0; i < 1u << t->bits; i++)
            if (t->entry[i].read != TLB_NONE || t->entry[i].write != TLB_NONE)
                put_entry(&t->entry[i], out);
    }
}

/* ---- info registers ---- */

typedef struct Csr {
    const char *name;
    u64 value;
} Csr;

void riscv_info_cpu(const Cpu *cpu, GString *out)
{
    static const char *const privs[] = {"user", "supervisor", "", "machine"};
    const Hart *h = hart_of(cpu->env);
    const Csr csrs[] = {
        {"mstatus", h->mstatus},   {"mip", hart_mip(h)},      {"mie", h->mie},
        {"mideleg", h->mideleg},   {"medeleg", h->medeleg},   {"mtvec", h->mtvec},
        {"mepc", h->mepc},         {"mcause", h->mcause},     {"mtval", h->mtval},
        {"mscratch", h->mscratch}, {"stvec", h->stvec},       {"sepc", h->sepc},
        {"scause", h->scause},     {"stval", h->stval},       {"sscratch", h->sscratch},
        {"satp", h->satp},         {"stimecmp", h->stimecmp}, {"menvcfg", h->menvcfg},
        {"senvcfg", h->senvcfg},
    };

    g_string_append_printf(out, " mode     %s%s\n", privs[h->priv & 3],
                           cpu->halted    ? " (not started)"
                           : cpu->waiting ? " (waiting for an interrupt)"
                                          : "");
    for (u32 i = 0; i < ARRAY_SIZE(csrs); i++)
        g_string_append_printf(out, " %-8s %016" PRIx64 "%s", csrs[i].name,
                               csrs[i].value,
                               i % 4 == 3 || i + 1 == ARRAY_SIZE(csrs) ? "\n" : "");
}
