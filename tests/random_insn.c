/* SPDX-License-Identifier: MIT */
/*
 * Makes one random sequence.  Every item is an entry of insn.def with random operands;
 * what needs a valid address, destination or mode gets instructions before it that
 * give it one.  gp points at scratch memory, tp at the dump; nothing writes these two.
 *
 * Left out because qemu-riscv64 7.2 differs or has no fixed answer:
 *   czero.*, cbo.*    not implemented there
 *   ctzw              looks above bit 31 there when the low half is 0 (made non-zero)
 *   lr.d then sc.w    (or the other way round) may succeed or fail: a sequence has
 *                     only one of the two widths
 *   cycle, time, instret; ecall, ebreak
 */
#include <stdlib.h>
#include <string.h>
#include "random_insn.h"

enum { GP = X_GP, TP = X_TP, PALETTE = 8 };

typedef struct Maker {
    u64 state;
    Seq *s;
    const RandomOptions *options;
    bool narrow; /* registers from the palette only */
    bool wide;   /* lr.d and sc.d, not lr.w and sc.w */
    u8 palette[PALETTE];
    u8 slots; /* loop counters in use */
} Maker;

u64 random_next(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

static u32 below(Maker *m, u32 n) { return (u32)(random_next(&m->state) >> 33) % n; }
static bool chance(Maker *m, u32 percent) { return below(m, 100) < percent; }

u64 random_int(u64 *state)
{
    static const u64 edges[] = {
        0,
        1,
        2,
        31,
        32,
        63,
        64,
        127,
        128,
        255,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffffffff00000000,
        0xffffffff7fffffff,
        0xffffffff80000000,
        0xffffffffffffff80,
        0xfffffffffffffffe,
        0xffffffffffffffff,
        0x5555555555555555,
        0x0123456789abcdef,
    };
    u64 v = random_next(state), how = random_next(state) >> 32;

    switch (how % 6) {
    case 0:
    case 1: return edges[v % ARRAY_SIZE(edges)];
    case 2: return (u64)(i64)(i32)v;
    case 3: return v >> (how >> 8 & 63);
    case 4: return 1ull << (v & 63);
    default: return v;
    }
}

static u64 random_double(u64 v, u64 how)
{
    static const u64 edges[] = {
        0,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x3fe0000000000000,
        0x3ff0000000000000,
        0x3ff0000000000001,
        0x4004000000000000,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x41f0000000000000,
        0x43e0000000000000,
        0x43f0000000000000,
        0x36a0000000000000,
        0x47efffffe0000000,
        0x7fefffffffffffff,
        0x7ff0000000000000,
        0x7ff8000000000000,
        0x7ff0000000000001,
        0x7fe0000000000000,
    };

    if (how & 1)
        return edges[v % ARRAY_SIZE(edges)] | (v & 1ull << 63);
    if (how & 2) /* near 1, so that sums and products stay in range */
        return (v & 0x800fffffffffffff) | (0x3f8ull + (how >> 8 & 15)) << 52;
    return v;
}

static u64 random_single(u64 v, u64 how)
{
    static const u32 edges[] = {
        0,          1,          0x007fffff, 0x00800000, 0x3f000000, 0x3f800000,
        0x3f800001, 0x40200000, 0x4effffff, 0x4f000000, 0x4f800000, 0x5f000000,
        0x5f800000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7f800001, 0x7f000000,
    };
    u32 s = (u32)v;

    if (how & 1)
        s = edges[v % ARRAY_SIZE(edges)] | ((u32)v & 1u << 31);
    else if (how & 2)
        s = (s & 0x807fffff) | (0x78u + (how >> 8 & 15)) << 23;
    return 0xffffffff00000000 | s;
}

u64 random_float(u64 *state)
{
    u64 v = random_next(state), how = random_next(state) >> 32;

    return how % 7 < 3 ? random_single(v, how >> 4) : random_double(v, how >> 4);
}

/* ---- one item ---- */

static u8 pick_register(Maker *m)
{
    return m->narrow ? m->palette[below(m, PALETTE)] : (u8)below(m, 32);
}

/* A destination: anything that must not stay as it is. */
static u8 pick_out(Maker *m)
{
    u8 r;

    do
        r = pick_register(m);
    while (r == GP || r == TP);
    return r;
}

static void add(Item *item, u32 insn) { item->insn[item->n++] = insn; }

static bool is(const InsnDesc *desc, const char *prefix)
{
    return !strncmp(desc->name, prefix, strlen(prefix));
}

static bool left_out(Maker *m, const InsnDesc *desc)
{
    return is(desc, "ecall") || is(desc, "ebreak") || is(desc, "c_ebreak") ||
           is(desc, "c_unimp") || !desc->operands ||
           is(desc, m->wide ? "lr_w" : "lr_d") || is(desc, m->wide ? "sc_w" : "sc_d") ||
           (!m->options->beyond && (is(desc, "czero") || is(desc, "cbo")));
}

/* What the first places of memory of code are made of. */
static bool is_common(const InsnDesc *desc)
{
    return desc->len == 2 || desc->format == FORMAT_I || desc->format == FORMAT_S ||
           desc->format == FORMAT_B || desc->format == FORMAT_SH5 ||
           desc->format == FORMAT_SH6;
}

static InsnId pick_insn(Maker *m)
{
    bool common = chance(m, 40);
    InsnId id;

    do
        id = 1 + below(m, INSN_COUNT - 1);
    while (left_out(m, &insn_desc[id]) || (common && !is_common(&insn_desc[id])));
    return id;
}

static u32 with_register(Maker *m, u32 bits, u32 mask, int shift)
{
    if (mask & 31u << shift)
        return bits;
    return (bits & ~(31u << shift)) | (u32)pick_register(m) << shift;
}

/* The modes there are: five and "dynamic". */
static u32 with_mode(Maker *m, const InsnDesc *desc, u32 bits)
{
    static const u8 modes[] = {0, 1, 2, 3, 4, 7, 7, 7, 7, 7};

    if (!strstr(desc->operands, "rm"))
        return bits;
    return (bits & ~0x7000u) | (u32)modes[below(m, ARRAY_SIZE(modes))] << 12;
}

static u32 random_bits(Maker *m, const InsnDesc *desc)
{
    u32 bits = (u32)random_next(&m->state);

    if (desc->len == 4 && desc->format != FORMAT_J && desc->format != FORMAT_U) {
        bits = with_register(m, bits, desc->mask, 15);
        if (desc->format != FORMAT_I && desc->format != FORMAT_CSR)
            bits = with_register(m, bits, desc->mask, 20);
    }
    if (desc->len == 4)
        bits = with_register(m, bits, desc->mask, 7);
    bits = with_mode(m, desc, bits);
    bits = (bits & ~desc->mask) | desc->match;
    return desc->len == 2 ? bits & 0xffff : bits;
}

static bool writes_fixed(const InsnDesc *desc, const Arg *a)
{
    return desc->operands[0] != 'f' && (a->rd == GP || a->rd == TP);
}

/* Reads or writes memory at a register plus something. */
static bool touches_memory(const InsnDesc *desc)
{
    return strchr(desc->operands, '(') && !is(desc, "jalr") && !is(desc, "prefetch");
}

static bool is_indirect(const InsnDesc *desc)
{
    return is(desc, "jalr") || is(desc, "c_jr") || is(desc, "c_jalr");
}

static bool is_jump(const InsnDesc *desc)
{
    return strstr(desc->operands, "dest") != NULL;
}

static bool usable(Maker *m, InsnId id, u32 bits, const Arg *a)
{
    const InsnDesc *desc = &insn_desc[id];

    if (insn_lookup(bits) != id || a->reserved || writes_fixed(desc, a))
        return false;
    if (touches_memory(desc) || is_indirect(desc))
        return a->rs1 != 0 && a->rs1 != TP && (a->rs1 != GP || !is_indirect(desc));
    if (is(desc, "ctzw"))
        return a->rs1 != 0 && a->rs1 != GP && a->rs1 != TP;
    return true;
}

static void add_address(Maker *m, Item *item, const InsnDesc *desc, u8 base)
{
    bool aligned = desc->format == FORMAT_A || is(desc, "cbo") || chance(m, 70);

    if (base == GP)
        return;
    add(item, enc_i(E_ANDI, base, base, aligned ? 0x7f8 : 0x7ff));
    add(item, enc_r(E_ADD, base, base, GP));
}

/* CSRs: the floating-point ones, never with an invalid mode. */
static void add_csr(Maker *m, Item *item, u32 bits)
{
    u32 number = 1 + below(m, 3), fn = bits >> 12 & 7, rs1 = bits >> 15 & 31;
    bool immediate = fn & 4;

    if (number != CSR_FFLAGS && (fn & 3) != 1)
        rs1 = 0; /* read only */
    else if (number == CSR_FRM && immediate)
        rs1 = below(m, 5);
    else if (number != CSR_FFLAGS && !immediate && (rs1 == GP || rs1 == TP))
        rs1 = 0;
    else if (number != CSR_FFLAGS && !immediate && rs1)
        add(item, enc_i(E_ANDI, rs1, rs1, number == CSR_FRM ? 3 : 0x7f));
    add(item, (bits & ~(0xfffu << 20 | 31u << 15)) | number << 20 | rs1 << 15);
}

static u16 pick_destination(Maker *m, u32 index)
{
    u32 to = index + 1 + below(m, 8);

    return (u16)MIN(to, m->s->n);
}

static void make_item(Maker *m, Item *item, u32 index)
{
    InsnId id = pick_insn(m);
    const InsnDesc *desc = &insn_desc[id];
    u32 bits, tries = 0;
    Arg a;

    do {
        bits = random_bits(m, desc);
        a = insn_arg(id, bits);
    } while (!usable(m, id, bits, &a) && ++tries < 1000);
    if (tries == 1000)
        bits = enc_i(E_ADDI, 0, 0, 0);
    else if (desc->format == FORMAT_CSR)
        return add_csr(m, item, bits);
    else if (touches_memory(desc))
        add_address(m, item, desc, a.rs1);
    else if (is(desc, "ctzw"))
        add(item, enc_i(E_ORI, a.rs1, a.rs1, 1 << below(m, 11)));
    else if (is_indirect(desc) || is_jump(desc)) {
        item->kind = is_jump(desc) ? ITEM_FORWARD : ITEM_INDIRECT;
        item->to = pick_destination(m, index);
    }
    if (item->kind == ITEM_INDIRECT) {
        item->offset = desc->len == 4 ? (i16)(below(m, 1024) - 512) : 0;
        add(item, enc_u(E_AUIPC, a.rs1, 0));
        add(item, enc_i(E_ADDI, a.rs1, a.rs1, 0));
        if (desc->len == 4)
            bits = (bits & 0xfffff) | (u32)item->offset << 20;
    }
    add(item, bits);
}

/* What the passes look for, spelt as compilers spell it. */
static void make_idiom(Maker *m, Item *item)
{
    u8 a = pick_register(m), t = pick_out(m), u = pick_out(m), d = pick_out(m);
    u32 n = below(m, 31) + 1;

    switch (below(m, 8)) {
    case 0: /* zero or sign extension */
        n = (u32[]){32, 48, 56}[below(m, 3)];
        add(item, enc_i(E_SLLI, t, a, (i32)n));
        add(item, enc_i(chance(m, 50) ? E_SRLI : E_SRAI, d, t, (i32)n));
        break;
    case 1: /* field */
        add(item, enc_i(E_SLLI, t, a, 32));
        add(item, enc_i(chance(m, 50) ? E_SRLI : E_SRAI, d, t, (i32)(32 + n)));
        break;
    case 2: /* 32-bit rotate */
        add(item, enc_i(E_SRLIW, t, a, (i32)n));
        add(item, enc_i(E_SLLIW, u, a, 32 - (i32)n));
        add(item, enc_r(chance(m, 60) ? E_OR : E_XOR, d, t, u));
        break;
    case 3: /* 64-bit rotate */
        n += below(m, 2) * 31;
        add(item, enc_i(E_SRLI, t, a, (i32)n));
        add(item, enc_i(E_SLLI, u, a, 64 - (i32)n));
        add(item, enc_r(chance(m, 60) ? E_OR : E_ADD, d, u, t));
        break;
    case 4: /* extensions of what is extended */
        add(item, enc_r(chance(m, 50) ? E_ADDW : E_SUBW, t, a, u));
        add(item, enc_i(E_ADDIW, d, t, chance(m, 70) ? 0 : (i32)n));
        add(item, enc_i(E_ADDIW, t, d, 0));
        break;
    case 5: /* constants */
        add(item, enc_u(E_LUI, t, (u32)random_next(&m->state) & 0xfffff));
        add(item, enc_i(E_ADDIW, t, t, (i32)below(m, 4096) - 2048));
        add(item, enc_r(E_ADD, d, t, a));
        break;
    case 6: /* copies */
        add(item, enc_i(E_ADDI, t, a, 0));
        add(item, enc_r(E_ADD, d, t, t));
        add(item, enc_r(E_XOR, u, t, a));
        break;
    default: /* registers anew */
        add(item, enc_i(E_LD, t, TP, POOL_OFFSET + 8 * (i32)below(m, POOL_SIZE)));
        add(item, enc_i(E_FLD, u, TP, POOL_OFFSET + 8 * (i32)below(m, POOL_SIZE)));
        break;
    }
}

/* A compare whose result is branched on. */
static void make_compare(Maker *m, Item *item, u32 index)
{
    u8 t = pick_out(m);

    add(item,
        enc_r(chance(m, 50) ? E_SLT : E_SLTU, t, pick_register(m), pick_register(m)));
    add(item, enc_r(chance(m, 50) ? E_BNE : E_BEQ, 0, t, 0));
    item->kind = ITEM_FORWARD;
    item->to = pick_destination(m, index);
}

/* Back to an earlier item, a number of times that memory counts. */
static void make_loop(Maker *m, Item *item, u32 index)
{
    u8 t = pick_out(m);
    u32 items = 1 + below(m, 20);

    item->kind = ITEM_LOOP;
    item->to = (u16)(index - MIN(index, items));
    item->slot = m->slots++;
    t = t ? t : 1;
    add(item, enc_i(E_LD, t, TP, LOOP_OFFSET + 8 * item->slot));
    add(item, enc_i(E_ADDI, t, t, -1));
    add(item, enc_s(E_SD, TP, t, LOOP_OFFSET + 8 * item->slot));
    add(item, enc_r(E_BLT, 0, 0, t)); /* once used up, for good */
}

static void make_state(Maker *m)
{
    Seq *s = m->s;

    for (int i = 0; i < 32; i++) {
        s->x[i] = random_int(&m->state);
        s->f[i] = random_float(&m->state);
    }
    s->fcsr = (u64)below(m, 5) << 5 | below(m, 32);
    m->narrow = chance(m, 60);
    m->wide = chance(m, 50);
    for (int i = 0; i < PALETTE; i++)
        m->palette[i] = (u8)(chance(m, 50) ? 8 + below(m, 8) : below(m, 32));
    m->palette[0] = 15;
}

void seq_make(Seq *s, u64 seed, const RandomOptions *options)
{
    Maker m = {.state = seed * 0x9e3779b97f4a7c15 | 1, .s = s, .options = options};

    memset(s, 0, sizeof(*s));
    s->n = MIN(options->length, (u32)SEQ_ITEMS);
    for (int i = 0; i < 8; i++)
        random_next(&m.state);
    make_state(&m);
    for (u32 i = 0; i < s->n; i++) {
        u32 what = below(&m, 100);

        if (what < 12)
            make_idiom(&m, &s->item[i]);
        else if (what < 14)
            make_compare(&m, &s->item[i], i);
        else if (what < 16 && m.slots < LOOP_SLOTS)
            make_loop(&m, &s->item[i], i);
        else
            make_item(&m, &s->item[i], i);
    }
}

/* ---- layout and encoding ---- */

u32 imm_b(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 12 & 1) << 31 | (v >> 5 & 63) << 25 | (v >> 1 & 15) << 8 |
           (v >> 11 & 1) << 7;
}

u32 imm_j(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 20 & 1) << 31 | (v >> 1 & 0x3ff) << 21 | (v >> 11 & 1) << 20 |
           (v >> 12 & 0xff) << 12;
}

u32 imm_cb(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 8 & 1) << 12 | (v >> 3 & 3) << 10 | (v >> 6 & 3) << 5 |
           (v >> 1 & 3) << 3 | (v >> 5 & 1) << 2;
}

u32 imm_cj(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 11 & 1) << 12 | (v >> 4 & 1) << 11 | (v >> 8 & 3) << 9 |
           (v >> 10 & 1) << 8 | (v >> 6 & 1) << 7 | (v >> 7 & 1) << 6 |
           (v >> 1 & 7) << 3 | (v >> 5 & 1) << 2;
}

static u32 item_len(const Item *item)
{
    u32 len = 0;

    for (int i = 0; i < item->n && !item->dropped; i++)
        len += insn_len(item->insn[i]);
    return len;
}

u64 seq_lay_out(Seq *s, u64 at)
{
    for (u32 i = 0; i <= s->n; i++) {
        s->item[i].at = at;
        at += item_len(&s->item[i]);
    }
    return at;
}

/* The direct jump in bits, going disp bytes from itself. */
static u32 aim(u32 bits, i64 disp)
{
    if ((bits & 3) != 3) {
        if ((bits >> 13 & 7) == 5)
            return (bits & 0xe003) | imm_cj(disp);
        return (bits & 0xe383) | imm_cb(disp);
    }
    if ((bits & 0x7f) == 0x6f)
        return (bits & 0xfff) | imm_j(disp);
    return (bits & 0x1fff07f) | imm_b(disp);
}

/* The item's instructions with destinations filled in. */
static void item_resolve(const Seq *s, const Item *item, u32 *insn)
{
    u64 to = s->item[item->to].at, last = item->at + item_len(item);

    memcpy(insn, item->insn, sizeof(item->insn));
    if (item->kind == ITEM_PLAIN)
        return;
    last -= insn_len(insn[item->n - 1]);
    if (item->kind == ITEM_INDIRECT)
        insn[item->n - 2] |= (u32)(to - item->at - (u64)item->offset) << 20;
    else
        insn[item->n - 1] = aim(insn[item->n - 1], (i64)(to - last));
}

void seq_encode(const Seq *s, u8 *out, u64 base)
{
    for (u32 i = 0; i < s->n; i++) {
        const Item *item = &s->item[i];
        u8 *p = out + (item->at - base);
        u32 insn[ITEM_WORDS];

        if (item->dropped)
            continue;
        item_resolve(s, item, insn);
        for (int k = 0; k < item->n; p += insn_len(insn[k]), k++)
            memcpy(p, &insn[k], insn_len(insn[k]));
    }
}

static u64 print_insn(FILE *f, u64 at, u32 bits)
{
    char text[80];

    if (!riscv64_disas(text, sizeof(text), at, (u8 *)&bits, 4))
        snprintf(text, sizeof(text), "?");
    fprintf(f, "  %6llx: %0*x%*s %s\n", (unsigned long long)at, insn_len(bits) * 2,
            bits, insn_len(bits) == 2 ? 4 : 0, "", text);
    return at + insn_len(bits);
}

void seq_print(FILE *f, const Seq *s)
{
    for (u32 i = 0; i < s->n; i++) {
        u64 at = s->item[i].at;
        u32 insn[ITEM_WORDS];

        if (s->item[i].dropped)
            continue;
        item_resolve(s, &s->item[i], insn);
        for (int k = 0; k < s->item[i].n; k++)
            at = print_insn(f, at, insn[k]);
    }
}
