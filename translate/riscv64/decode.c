/* SPDX-License-Identifier: MIT */
/*
 * From instruction bits to a line of insn.def and its operands.  The patterns are
 * turned into masks and into tables of slots by the compiler: the bits that tell most
 * instructions apart pick a slot, which names the last line that fits there; where
 * several do, they stand one after the other in insn.def.
 */
#include "riscv64.h"

enum { LONGEST_GROUP = 6 }; /* lines that may share a slot */

/* ---- patterns: bit k of the result is about the character at i ---- */

#define ONE(p, i, k)   ((u32)((p)[i] == '1') << (k))
#define FIXED(p, i, k) ((u32)((p)[i] != '-') << (k))
#define MAYBE(p, i, k) ((u32)((p)[i] != '0') << (k))

#define ROW2(B, p, i, k) (B(p, i, (k) + 1) | B(p, (i) + 1, k))
#define ROW3(B, p, i, k) (B(p, i, (k) + 2) | ROW2(B, p, (i) + 1, k))
#define ROW5(B, p, i, k) (ROW3(B, p, i, (k) + 2) | ROW2(B, p, (i) + 3, k))
#define ROW6(B, p, i, k) (ROW3(B, p, i, (k) + 3) | ROW3(B, p, (i) + 3, k))
#define ROW7(B, p, i, k) (ROW5(B, p, i, (k) + 2) | ROW2(B, p, (i) + 5, k))

/* "0000000 00000 00000 000 00000 0000000" and "000 000000 00000 00" */
#define BITS32(B, p)                                                                   \
    (ROW7(B, p, 0, 25) | ROW5(B, p, 8, 20) | ROW5(B, p, 14, 15) | ROW3(B, p, 20, 12) | \
     ROW5(B, p, 24, 7) | ROW7(B, p, 30, 0))
#define BITS16(B, p) \
    (ROW3(B, p, 0, 13) | ROW6(B, p, 4, 7) | ROW5(B, p, 11, 2) | ROW2(B, p, 17, 0))

const InsnDesc insn_desc[INSN_COUNT] = {
    [INSN_NONE] = {.name = "none", .match = 1}, /* matches nothing */
#define INSN(n, f, p, o) LIKE(n, n, f, p, o)
#define LIKE(n, other, f, p, o) \
    [INSN_##n] = {#n, BITS32(FIXED, p), BITS32(ONE, p), 4, FORMAT_##f, o},
#define COMP(n, other, f, p, o) \
    [INSN_##n] = {#n, BITS16(FIXED, p), BITS16(ONE, p), 2, FORMAT_##f, o},
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
};

/*
 * ---- slots ----
 * Of 32 bits: opcode, bits 14-12, 31-25; of 16 bits: opcode, 15-13, 12, 11-10, 6-5.
 * A line takes one range of slots for each value v of the middle part that fits it.
 */
enum { SLOTS32 = 1 << 15, SLOTS16 = 1 << 10 };

static u32 slot32(u32 w)
{
    return (w >> 2 & 31) << 10 | (w >> 12 & 7) << 7 | w >> 25;
}

static u32 slot16(u32 w)
{
    return (w & 3) << 8 | (w >> 10 & 63) << 2 | (w >> 5 & 3);
}

#define FITS(v, ones, maybes) (((v) & (ones)) == (ones) && ((v) & ~(maybes)) == 0)

#define MIDDLE32(B, p)   ROW3(B, p, 20, 0)
#define FITS32(p, v)     FITS(v, MIDDLE32(ONE, p), MIDDLE32(MAYBE, p))
#define EDGE32(B, p, v)  (ROW5(B, p, 30, 10) | (v) << 7 | ROW7(B, p, 0, 0))
#define SLOT32(B, p, v)  (FITS32(p, v) ? EDGE32(B, p, v) : SLOTS32)
#define RANGE32(n, p, v) [SLOT32(ONE, p, v)... SLOT32(MAYBE, p, v)] = (u16)INSN_##n,

#define MIDDLE16(B, p) B(p, 4, 0)
#define FITS16(p, v)   FITS(v, MIDDLE16(ONE, p), MIDDLE16(MAYBE, p))
#define EDGE16(B, p, v)                                                   \
    (ROW2(B, p, 17, 8) | ROW3(B, p, 0, 5) | (v) << 4 | ROW2(B, p, 5, 2) | \
     ROW2(B, p, 11, 0))
#define SLOT16(B, p, v)  (FITS16(p, v) ? EDGE16(B, p, v) : SLOTS16)
#define RANGE16(n, p, v) [SLOT16(ONE, p, v)... SLOT16(MAYBE, p, v)] = (u16)INSN_##n,

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the last line wins: meant */

static const u16 table32[SLOTS32 + 1] = {
#define INSN(n, f, p, o) LIKE(n, n, f, p, o)
#define LIKE(n, other, f, p, o) \
    RANGE32(n, p, 0)            \
    RANGE32(n, p, 1)            \
    RANGE32(n, p, 2)            \
    RANGE32(n, p, 3) RANGE32(n, p, 4) RANGE32(n, p, 5) RANGE32(n, p, 6) RANGE32(n, p, 7)
#define COMP(n, other, f, p, o)
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
};

static const u16 table16[SLOTS16 + 1] = {
#define INSN(n, f, p, o)
#define LIKE(n, other, f, p, o)
#define COMP(n, other, f, p, o) RANGE16(n, p, 0) RANGE16(n, p, 1)
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
};

#pragma GCC diagnostic pop

static bool insn_is(InsnId id, u32 bits)
{
    return (bits & insn_desc[id].mask) == insn_desc[id].match;
}

static inline InsnId find(u32 bits)
{
    u32 id = insn_len(bits) == 4 ? table32[slot32(bits)] : table16[slot16(bits)];

    for (u32 end = id > LONGEST_GROUP ? id - LONGEST_GROUP : 0; id > end; id--)
        if (LIKELY(insn_is(id, bits)))
            return id;
    return INSN_NONE;
}

InsnId insn_find(u32 bits)
{
    if (insn_len(bits) == 2)
        bits &= 0xffff;
    return find(bits);
}

/* ---- operands ---- */

static u32 field(u32 w, int high, int low)
{
    return w >> low & ((2u << (high - low)) - 1);
}

static i32 sext(u32 v, int bits)
{
    return (i32)(v << (32 - bits)) >> (32 - bits);
}

static u8 rd(u32 w)
{
    return (u8)field(w, 11, 7);
}
static u8 rs1(u32 w)
{
    return (u8)field(w, 19, 15);
}
static u8 rs2(u32 w)
{
    return (u8)field(w, 24, 20);
}
static u8 c_rs2(u32 w)
{
    return (u8)field(w, 6, 2);
}
static u8 c_high(u32 w)
{
    return (u8)(8 + field(w, 9, 7));
} /* x8..x15 */
static u8 c_low(u32 w)
{
    return (u8)(8 + field(w, 4, 2));
}

static Arg arg_R(u32 w)
{
    return (Arg){rd(w), rs1(w), rs2(w), .rm = (u8)field(w, 14, 12)};
}
static Arg arg_A(u32 w)
{
    return (Arg){rd(w), rs1(w), rs2(w)};
}
static Arg arg_R4(u32 w)
{
    return (Arg){rd(w), rs1(w), rs2(w), (u8)(w >> 27), (u8)field(w, 14, 12)};
}
static Arg arg_I(u32 w)
{
    return (Arg){rd(w), rs1(w), .imm = (i32)w >> 20};
}
static Arg arg_CSR(u32 w)
{
    return (Arg){rd(w), rs1(w), .imm = (i32)(w >> 20)};
}
static Arg arg_SH6(u32 w)
{
    return (Arg){rd(w), rs1(w), .imm = (i32)field(w, 25, 20)};
}
static Arg arg_SH5(u32 w)
{
    return (Arg){rd(w), rs1(w), .imm = rs2(w)};
}
static Arg arg_U(u32 w)
{
    return (Arg){rd(w), .imm = (i32)(w & 0xfffff000)};
}

static Arg arg_S(u32 w)
{
    i32 imm = ((i32)w >> 25) * 32 + rd(w);

    return (Arg){.rs1 = rs1(w), .rs2 = rs2(w), .imm = imm};
}

static Arg arg_B(u32 w)
{
    u32 imm = field(w, 31, 31) << 12 | field(w, 7, 7) << 11 | field(w, 30, 25) << 5 |
              field(w, 11, 8) << 1;

    return (Arg){.rs1 = rs1(w), .rs2 = rs2(w), .imm = sext(imm, 13)};
}

static Arg arg_J(u32 w)
{
    u32 imm = field(w, 31, 31) << 20 | field(w, 19, 12) << 12 | field(w, 20, 20) << 11 |
              field(w, 30, 21) << 1;

    return (Arg){.rd = rd(w), .imm = sext(imm, 21)};
}

/* ---- operands of 16-bit instructions ---- */

static u32 c_imm6(u32 w)
{
    return field(w, 12, 12) << 5 | field(w, 6, 2);
}

static Arg arg_CNONE(u32 w)
{
    return (Arg){0};
}

static Arg arg_CIW(u32 w)
{
    u32 imm = field(w, 12, 11) << 4 | field(w, 10, 7) << 6 | field(w, 6, 6) << 2 |
              field(w, 5, 5) << 3;

    return (Arg){c_low(w), X_SP, .imm = (i32)imm, .reserved = imm == 0};
}

static Arg arg_CL_W(u32 w) /* the register is a load's rd and a store's rs2 */
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 6, 6) << 2 | field(w, 5, 5) << 6;

    return (Arg){c_low(w), c_high(w), c_low(w), .imm = (i32)imm};
}

static Arg arg_CL_D(u32 w)
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 6, 5) << 6;

    return (Arg){c_low(w), c_high(w), c_low(w), .imm = (i32)imm};
}

static Arg arg_CI(u32 w)
{
    return (Arg){rd(w), rd(w), .imm = sext(c_imm6(w), 6)};
}
static Arg arg_CI_NZ(u32 w)
{
    return (Arg){rd(w), rd(w), .imm = sext(c_imm6(w), 6), .reserved = rd(w) == 0};
}
static Arg arg_CI_LI(u32 w)
{
    return (Arg){rd(w), .imm = sext(c_imm6(w), 6)};
}
static Arg arg_CI_SH(u32 w)
{
    return (Arg){rd(w), rd(w), .imm = (i32)c_imm6(w)};
}

static Arg arg_CI_LUI(u32 w)
{
    i32 imm = sext(c_imm6(w), 6) * 4096;

    return (Arg){rd(w), .imm = imm, .reserved = imm == 0};
}

static Arg arg_CI_SP(u32 w)
{
    u32 imm = field(w, 12, 12) << 9 | field(w, 6, 6) << 4 | field(w, 5, 5) << 6 |
              field(w, 4, 3) << 7 | field(w, 2, 2) << 5;

    return (Arg){X_SP, X_SP, .imm = sext(imm, 10), .reserved = imm == 0};
}

static Arg arg_CI_D(u32 w)
{
    u32 imm = field(w, 12, 12) << 5 | field(w, 6, 5) << 3 | field(w, 4, 2) << 6;

    return (Arg){rd(w), X_SP, .imm = (i32)imm};
}

static Arg arg_CI_DNZ(u32 w)
{
    Arg a = arg_CI_D(w);

    a.reserved = a.rd == 0;
    return a;
}

static Arg arg_CI_WNZ(u32 w)
{
    u32 imm = field(w, 12, 12) << 5 | field(w, 6, 4) << 2 | field(w, 3, 2) << 6;

    return (Arg){rd(w), X_SP, .imm = (i32)imm, .reserved = rd(w) == 0};
}

static Arg arg_CSS_W(u32 w)
{
    u32 imm = field(w, 12, 9) << 2 | field(w, 8, 7) << 6;

    return (Arg){.rs1 = X_SP, .rs2 = c_rs2(w), .imm = (i32)imm};
}

static Arg arg_CSS_D(u32 w)
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 9, 7) << 6;

    return (Arg){.rs1 = X_SP, .rs2 = c_rs2(w), .imm = (i32)imm};
}

static Arg arg_CB(u32 w)
{
    u32 imm = field(w, 12, 12) << 8 | field(w, 11, 10) << 3 | field(w, 6, 5) << 6 |
              field(w, 4, 3) << 1 | field(w, 2, 2) << 5;

    return (Arg){.rs1 = c_high(w), .imm = sext(imm, 9)};
}

static Arg arg_CB_SH(u32 w)
{
    return (Arg){c_high(w), c_high(w), .imm = (i32)c_imm6(w)};
}
static Arg arg_CB_IMM(u32 w)
{
    return (Arg){c_high(w), c_high(w), .imm = sext(c_imm6(w), 6)};
}
static Arg arg_CA(u32 w)
{
    return (Arg){c_high(w), c_high(w), c_low(w)};
}
static Arg arg_CR(u32 w)
{
    return (Arg){rd(w), rd(w), c_rs2(w)};
}
static Arg arg_CR_MV(u32 w)
{
    return (Arg){rd(w), 0, c_rs2(w)};
}
static Arg arg_CR_JR(u32 w)
{
    return (Arg){0, rd(w), .reserved = rd(w) == 0};
}
static Arg arg_CR_JALR(u32 w)
{
    return (Arg){X_RA, rd(w)};
}

static Arg arg_CJ(u32 w)
{
    u32 imm = field(w, 12, 12) << 11 | field(w, 11, 11) << 4 | field(w, 10, 9) << 8 |
              field(w, 8, 8) << 10 | field(w, 7, 7) << 6 | field(w, 6, 6) << 7 |
              field(w, 5, 3) << 1 | field(w, 2, 2) << 5;

    return (Arg){.imm = sext(imm, 12)};
}

/* ---- all of it, line by line ---- */

#define INSN(n, f, p, o)        EACH(n, n, f)
#define LIKE(n, other, f, p, o) EACH(n, other, f)
#define COMP(n, other, f, p, o) EACH(n, other, f)

Arg insn_arg(InsnId id, u32 w)
{
    switch (id) {
#define EACH(n, other, f) \
    case INSN_##n:        \
        return arg_##f(w);
#include "insn.def"
#undef EACH
    default: return (Arg){.reserved = true};
    }
}

bool insn_translate(Dis *d, u32 w)
{
    Arg a;

    switch (find(w)) {
#define EACH(n, other, f) \
    case INSN_##n:        \
        a = arg_##f(w);   \
        return !a.reserved && trans_##other(d, &a);
#include "insn.def"
#undef EACH
    default: return false;
    }
}
