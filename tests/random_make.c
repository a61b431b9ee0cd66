/* SPDX-License-Identifier: MIT */
/*
 * Makes one random item: an entry of insn.def with random operands; what needs a valid
 * address, destination or mode gets instructions before it that give it one.
 *
 * Left out because qemu-riscv64 7.2 differs or has no fixed answer:
 *   czero.*, cbo.*, Zfa  not implemented there (made with --beyond)
 *   ctzw              looks above bit 31 there when the low half is 0 (made non-zero)
 *   lr.d then sc.w    (or the other way round) may succeed or fail: a sequence has
 *                     only one of the two widths
 *   sc to a bad address  may succeed, fail or fault when there is no reservation
 *   cycle, time, instret
 */
#include <string.h>
#include "random_make.h"

u8 pick_register(Maker *m)
{
    return m->narrow ? m->palette[below(m, PALETTE)] : (u8)below(m, 32);
}

u8 pick_out(Maker *m)
{
    u8 r = pick_register(m);

    while (m->kept >> r & 1)
        r = (u8)below(m, 32);
    return r;
}

void add_pcrel(Item *item, u8 rd, u16 to, i16 offset)
{
    item->pcrel = item->n + 1;
    item->to = to;
    item->offset = offset;
    add(item, enc_u(E_AUIPC, rd, 0));
    add(item, enc_i(E_ADDI, rd, rd, 0));
}

static bool is(const InsnDesc *desc, const char *prefix)
{
    return !strncmp(desc->name, prefix, strlen(prefix));
}

bool left_out(Maker *m, const InsnDesc *desc)
{
    static const char *const beyond[] = {"czero",  "cbo",  "fli_",  "fminm_", "fmaxm_",
                                         "fround", "fleq", "fltq_", "fcvtmod"};

    if (!desc->operands || is(desc, "ecall") || is(desc, "ebreak") ||
        is(desc, "c_ebreak") || is(desc, "c_unimp"))
        return true;
    if (is(desc, m->wide ? "lr_w" : "lr_d") || is(desc, m->wide ? "sc_w" : "sc_d"))
        return true;
    if (m->lonely && (is(desc, "lr_") || is(desc, "sc_")))
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(beyond); i++)
        if (!m->options->beyond && is(desc, beyond[i]))
            return true;
    return false;
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

static bool writes_kept(Maker *m, const InsnDesc *desc, const Arg *a)
{
    return desc->operands[0] != 'f' && (m->kept >> a->rd & 1);
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
    bool free = a->rs1 != 0 && !(m->kept >> a->rs1 & 1);

    if (insn_lookup(bits) != id || a->reserved || writes_kept(m, desc, a))
        return false;
    if (touches_memory(desc))
        return free || a->rs1 == GP;
    return free || (!is_indirect(desc) && !is(desc, "ctzw"));
}

/* A base that is good, or what one of the addresses in the room is. */
static void add_address(Maker *m, Item *item, const InsnDesc *desc, const Arg *a)
{
    bool aligned = desc->format == FORMAT_A || is(desc, "cbo") || chance(m, 70);
    u8 base = a->rs1;

    if (base == GP)
        return;
    if (chance(m, m->faulty ? 30 : 8) && a->imm > -2048 && !is(desc, "sc_")) {
        add(item, enc_i(E_LD, base, TP, ADDR_OFFSET + 8 * (i32)below(m, ADDR_SLOTS)));
        if (a->imm)
            add(item, enc_i(E_ADDI, base, base, -a->imm));
        return;
    }
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
    else if (number != CSR_FFLAGS && !immediate && (m->kept >> rs1 & 1))
        rs1 = 0;
    else if (number != CSR_FFLAGS && !immediate && rs1)
        add(item, enc_i(E_ANDI, rs1, rs1, number == CSR_FRM ? 3 : 0x7f));
    add(item, (bits & ~(0xfffu << 20 | 31u << 15)) | number << 20 | rs1 << 15);
}

static u16 pick_destination(Maker *m, u32 index)
{
    u32 to = index + 1 + below(m, 8);

    return (u16)MIN(to, m->end);
}

static void add_indirect(Maker *m, Item *item, const InsnDesc *desc, u8 rs1, u32 bits,
                         u32 index)
{
    i16 offset = desc->len == 4 ? (i16)(below(m, 1024) - 512) : 0;

    add_pcrel(item, rs1, pick_destination(m, index), offset);
    if (desc->len == 4)
        bits = (bits & 0xfffff) | (u32)offset << 20;
    add(item, bits);
}

void make_item(Maker *m, Item *item, u32 index)
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
    else if (is_indirect(desc))
        return add_indirect(m, item, desc, a.rs1, bits, index);
    else if (touches_memory(desc))
        add_address(m, item, desc, &a);
    else if (is(desc, "ctzw"))
        add(item, enc_i(E_ORI, a.rs1, a.rs1, 1 << below(m, 11)));
    else if (is_jump(desc)) {
        item->aimed = true;
        item->to = pick_destination(m, index);
    }
    add(item, bits);
}

/* An extension of what a shift has cut to about as many bits. */
static void make_border(Maker *m, Item *item, u8 a, u8 t, u8 d)
{
    static const u32 words[][2] = {{0x60401013, 8},  /* sext.b */
                                   {0x60501013, 16}, /* sext.h */
                                   {0x0800403b, 16}, /* zext.h */
                                   {E_ADDIW, 32}};
    u32 k = below(m, 6), bits = k < 4 ? words[k][1] : k == 4 ? 1 + below(m, 11) : 32;
    i32 left = (i32)(bits + below(m, 3)) - 1;
    bool sign = chance(m, 40);

    if (left > 0 && left < 32 && chance(m, 50))
        add(item, enc_i(sign ? E_SRAIW : E_SRLIW, t, a, 32 - left));
    else
        add(item, enc_i(sign ? E_SRAI : E_SRLI, t, a, left ? 64 - left : 63));
    if (k < 4) {
        add(item, enc_i(words[k][0], d, t, 0));
    } else if (k == 4) {
        add(item, enc_i(E_ANDI, d, t, (1 << bits) - 1));
    } else {
        add(item, enc_i(E_SLLI, d, t, 32));
        add(item, enc_i(chance(m, 50) ? E_SRLI : E_SRAI, d, d, 32));
    }
}

/* lb lh lw ld lbu lhu lwu flw fld, sb sh sw sd fsw fsd */
static const u32 loads[] = {0x0003, 0x1003, 0x2003, 0x3003, 0x4003,
                            0x5003, 0x6003, 0x2007, 0x3007};
static const u32 stores[] = {0x0023, 0x1023, 0x2023, 0x3023, 0x2027, 0x3027};

/* Loads or stores by one register, in one page or two, as functions begin and end. */
static void make_run(Maker *m, Item *item)
{
    u8 base = chance(m, 50) ? GP : pick_out(m);
    bool store = chance(m, 50);
    i32 low = m->faulty ? -40 : 0, at = m->faulty ? 0 : 64;

    base = base ? base : 6;
    if (base != GP)
        add(item, enc_i(E_ADDI, base, GP, at + (i32)below(m, 1900)));
    if (base != GP && chance(m, 50))
        add(item, enc_i(E_ADDI, base, base, 2032));
    for (u32 n = 2 + below(m, 5); n; n--) {
        i32 offset = low + 8 * (i32)below(m, 10);
        u8 rd = pick_out(m);

        offset += chance(m, 10) ? (i32)below(m, 8) : 0;
        if (store)
            add(item, enc_s(stores[below(m, ARRAY_SIZE(stores))], base,
                            pick_register(m), offset));
        else
            add(item, enc_i(loads[below(m, ARRAY_SIZE(loads))],
                            rd == base && n > 1 ? 0 : rd, base, offset));
    }
}

/* What the passes look for, spelt as compilers spell it. */
void make_idiom(Maker *m, Item *item)
{
    u8 a = pick_register(m), t = pick_out(m), u = pick_out(m), d = pick_out(m);
    u32 n = below(m, 31) + 1;

    switch (below(m, 12)) {
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
    case 7:
    case 8: make_border(m, item, a, t, d); break;
    case 9:
    case 10: make_run(m, item); break;
    default: /* registers anew */
        add(item, enc_i(E_LD, t, TP, POOL_OFFSET + 8 * (i32)below(m, POOL_SIZE)));
        add(item, enc_i(E_FLD, u, TP, POOL_OFFSET + 8 * (i32)below(m, POOL_SIZE)));
        break;
    }
}

/* ---- what faults ---- */

static const u32 illegal[] = {
    0,                      /* of two bytes */
    0x2001,                 /* c.addiw x0 */
    0x4002,                 /* c.lwsp x0 */
    0x8002,                 /* c.jr x0 */
    0xffffffff, 0x0000000b, /* nobody's */
    0x30200073,             /* mret */
    0x10200073,             /* sret */
    0xc0001073,             /* csrrw x0, cycle, x0 */
    0x30001073,             /* csrrw x0, mstatus, x0 */
    0x0200101b,             /* slliw by 32 */
    0x0000102f,             /* amoadd.h */
    0x1015302f,             /* lr.d with rs2 */
    0x02005053,             /* fadd.d with mode 5 */
    0x00006043,             /* fmadd.s with mode 6 */
    0x00100073,             /* ebreak */
    0x9002,                 /* c.ebreak */
};

/* amoadd.w, amoswap.d, amomaxu.d */
static const u32 atomics[] = {0x0000202f, 0x0800302f, 0xe000302f};

void make_trap(Maker *m, Item *item)
{
    i32 at = -8 * (1 + (i32)below(m, 250)) + (chance(m, 20) ? (i32)below(m, 8) : 0);
    u8 t = pick_out(m);

    switch (below(m, 8)) {
    case 0: add(item, illegal[below(m, ARRAY_SIZE(illegal))]); break;
    case 1:
    case 2:
    case 3:
        add(item, enc_i(loads[below(m, ARRAY_SIZE(loads))], pick_out(m), GP, at));
        break;
    case 4:
    case 5:
    case 6:
        add(item,
            enc_s(stores[below(m, ARRAY_SIZE(stores))], GP, pick_register(m), at));
        break;
    default:
        t = t ? t : 6;
        add(item, enc_i(E_ADDI, t, GP, at & ~7));
        add(item, enc_r(atomics[below(m, ARRAY_SIZE(atomics))], pick_out(m), t,
                        pick_register(m)));
        break;
    }
}
