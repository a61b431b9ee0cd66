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
 * Of 32 bits: opcode, bits 14-12, 31-25; of 16 bits: opcode, 15-13, 12-10, 6-2.
 * A line takes one range of slots for each value v of the third part that fits it;
 * NOWHERE takes those that do not.
 */
enum { SLOTS32 = 1 << 15, SLOTS16 = 1 << 13, NOWHERE = SLOTS32 + SLOTS16 };

static inline u32 slot32(u32 w)
{
    return (w << 8 & 31 << 10) | (w >> 5 & 7 << 7) | w >> 25;
}

static inline u32 slot16(u32 w)
{
    return SLOTS32 | (w & 3) << 11 | (w >> 5 & 63 << 5) | (w >> 2 & 31);
}

#define FITS(v, ones, maybes) (((v) & (ones)) == (ones) && ((v) & ~(maybes)) == 0)

#define MIDDLE32(B, p)   ROW3(B, p, 20, 0)
#define FITS32(p, v)     FITS(v, MIDDLE32(ONE, p), MIDDLE32(MAYBE, p))
#define EDGE32(B, p, v)  (ROW5(B, p, 30, 10) | (v) << 7 | ROW7(B, p, 0, 0))
#define SLOT32(B, p, v)  (FITS32(p, v) ? EDGE32(B, p, v) : NOWHERE)
#define RANGE32(n, p, v) [SLOT32(ONE, p, v)... SLOT32(MAYBE, p, v)] = (u16)INSN_##n,

#define MIDDLE16(B, p) ROW3(B, p, 4, 0)
#define FITS16(p, v)   FITS(v, MIDDLE16(ONE, p), MIDDLE16(MAYBE, p))
#define EDGE16(B, p, v) \
    (SLOTS32 | ROW2(B, p, 17, 11) | ROW3(B, p, 0, 8) | (v) << 5 | ROW5(B, p, 11, 0))
#define SLOT16(B, p, v)  (FITS16(p, v) ? EDGE16(B, p, v) : NOWHERE)
#define RANGE16(n, p, v) [SLOT16(ONE, p, v)... SLOT16(MAYBE, p, v)] = (u16)INSN_##n,

#define EACH_VALUE(RANGE, n, p) \
    RANGE(n, p, 0)              \
    RANGE(n, p, 1)              \
    RANGE(n, p, 2)              \
    RANGE(n, p, 3) RANGE(n, p, 4) RANGE(n, p, 5) RANGE(n, p, 6) RANGE(n, p, 7)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the last line wins: meant */

static const u16 slots[NOWHERE + 1] = {
#define INSN(n, f, p, o)        LIKE(n, n, f, p, o)
#define LIKE(n, other, f, p, o) EACH_VALUE(RANGE32, n, p)
#define COMP(n, other, f, p, o) EACH_VALUE(RANGE16, n, p)
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
};

#pragma GCC diagnostic pop

static inline bool insn_is(InsnId id, u32 bits)
{
    return (bits & insn_desc[id].mask) == insn_desc[id].match;
}

static __attribute__((noinline)) InsnId find_before(u32 id, u32 bits)
{
    for (u32 end = id > LONGEST_GROUP ? id - LONGEST_GROUP : 0; id > end; id--)
        if (insn_is(id, bits))
            return id;
    return INSN_NONE;
}

/* Lengths come as they like: selected, not branched on. */
InsnId insn_lookup(u32 bits)
{
    u32 is_long = (bits & 3) == 3, slot = slot16(bits);
    u32 id = slots[slot ^ ((slot ^ slot32(bits)) & -is_long)];

    return LIKELY(insn_is(id, bits)) ? id : find_before(id, bits);
}

/* ---- operands: field by field, for structures are copied through memory ---- */

static u32 field(u32 w, int high, int low)
{
    return w >> low & ((2u << (high - low)) - 1);
}

static i32 sext(u32 v, int bits) { return (i32)(v << (32 - bits)) >> (32 - bits); }

static u8 rd(u32 w) { return (u8)field(w, 11, 7); }
static u8 rs1(u32 w) { return (u8)field(w, 19, 15); }
static u8 rs2(u32 w) { return (u8)field(w, 24, 20); }
static u8 c_rs2(u32 w) { return (u8)field(w, 6, 2); }
static u8 c_high(u32 w) { return (u8)(8 + field(w, 9, 7)); } /* x8..x15 */
static u8 c_low(u32 w) { return (u8)(8 + field(w, 4, 2)); }

static inline void put(Arg *a, u8 rd, u8 rs1, u8 rs2, i32 imm)
{
    a->rd = rd;
    a->rs1 = rs1;
    a->rs2 = rs2;
    a->rs3 = a->rm = a->reserved = 0;
    a->imm = imm;
}

static void arg_R(Arg *a, u32 w)
{
    put(a, rd(w), rs1(w), rs2(w), 0);
    a->rm = (u8)field(w, 14, 12);
}

static void arg_R4(Arg *a, u32 w)
{
    arg_R(a, w);
    a->rs3 = (u8)(w >> 27);
}

static void arg_A(Arg *a, u32 w) { put(a, rd(w), rs1(w), rs2(w), 0); }
static void arg_I(Arg *a, u32 w) { put(a, rd(w), rs1(w), 0, (i32)w >> 20); }
static void arg_CSR(Arg *a, u32 w) { put(a, rd(w), rs1(w), 0, (i32)(w >> 20)); }
static void arg_SH6(Arg *a, u32 w) { put(a, rd(w), rs1(w), 0, (i32)field(w, 25, 20)); }
static void arg_SH5(Arg *a, u32 w) { put(a, rd(w), rs1(w), 0, rs2(w)); }
static void arg_U(Arg *a, u32 w) { put(a, rd(w), 0, 0, (i32)(w & 0xfffff000)); }
static void arg_S(Arg *a, u32 w)
{
    put(a, 0, rs1(w), rs2(w), ((i32)w >> 25) * 32 + rd(w));
}

static void arg_B(Arg *a, u32 w)
{
    u32 imm = field(w, 31, 31) << 12 | field(w, 7, 7) << 11 | field(w, 30, 25) << 5 |
              field(w, 11, 8) << 1;

    put(a, 0, rs1(w), rs2(w), sext(imm, 13));
}

static void arg_J(Arg *a, u32 w)
{
    u32 imm = field(w, 31, 31) << 20 | field(w, 19, 12) << 12 | field(w, 20, 20) << 11 |
              field(w, 30, 21) << 1;

    put(a, rd(w), 0, 0, sext(imm, 21));
}

/* ---- operands of 16-bit instructions ---- */

static i32 c_uimm6(u32 w) { return (i32)(field(w, 12, 12) << 5 | field(w, 6, 2)); }
static i32 c_imm6(u32 w) { return sext((u32)c_uimm6(w), 6); }

static void arg_CNONE(Arg *a, u32 w) { put(a, 0, 0, 0, 0); }

static void arg_CIW(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 11) << 4 | field(w, 10, 7) << 6 | field(w, 6, 6) << 2 |
              field(w, 5, 5) << 3;

    put(a, c_low(w), X_SP, 0, (i32)imm);
    a->reserved = imm == 0;
}

static void arg_CL_W(Arg *a, u32 w) /* the register is a load's rd and a store's rs2 */
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 6, 6) << 2 | field(w, 5, 5) << 6;

    put(a, c_low(w), c_high(w), c_low(w), (i32)imm);
}

static void arg_CL_D(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 6, 5) << 6;

    put(a, c_low(w), c_high(w), c_low(w), (i32)imm);
}

static void arg_CI(Arg *a, u32 w) { put(a, rd(w), rd(w), 0, c_imm6(w)); }
static void arg_CI_NZ(Arg *a, u32 w)
{
    arg_CI(a, w);
    a->reserved = a->rd == 0;
}
static void arg_CI_LI(Arg *a, u32 w) { put(a, rd(w), 0, 0, c_imm6(w)); }
static void arg_CI_SH(Arg *a, u32 w) { put(a, rd(w), rd(w), 0, c_uimm6(w)); }
static void arg_CI_LUI(Arg *a, u32 w)
{
    put(a, rd(w), 0, 0, c_imm6(w) * 4096);
    a->reserved = a->imm == 0;
}

static void arg_CI_SP(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 12) << 9 | field(w, 6, 6) << 4 | field(w, 5, 5) << 6 |
              field(w, 4, 3) << 7 | field(w, 2, 2) << 5;

    put(a, X_SP, X_SP, 0, sext(imm, 10));
    a->reserved = imm == 0;
}

static void arg_CI_D(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 12) << 5 | field(w, 6, 5) << 3 | field(w, 4, 2) << 6;

    put(a, rd(w), X_SP, 0, (i32)imm);
}

static void arg_CI_DNZ(Arg *a, u32 w)
{
    arg_CI_D(a, w);
    a->reserved = a->rd == 0;
}

static void arg_CI_WNZ(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 12) << 5 | field(w, 6, 4) << 2 | field(w, 3, 2) << 6;

    put(a, rd(w), X_SP, 0, (i32)imm);
    a->reserved = a->rd == 0;
}

static void arg_CSS_W(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 9) << 2 | field(w, 8, 7) << 6;

    put(a, 0, X_SP, c_rs2(w), (i32)imm);
}

static void arg_CSS_D(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 10) << 3 | field(w, 9, 7) << 6;

    put(a, 0, X_SP, c_rs2(w), (i32)imm);
}

static void arg_CB(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 12) << 8 | field(w, 11, 10) << 3 | field(w, 6, 5) << 6 |
              field(w, 4, 3) << 1 | field(w, 2, 2) << 5;

    put(a, 0, c_high(w), 0, sext(imm, 9));
}

static void arg_CB_SH(Arg *a, u32 w) { put(a, c_high(w), c_high(w), 0, c_uimm6(w)); }
static void arg_CB_IMM(Arg *a, u32 w) { put(a, c_high(w), c_high(w), 0, c_imm6(w)); }
static void arg_CA(Arg *a, u32 w) { put(a, c_high(w), c_high(w), c_low(w), 0); }
static void arg_CR(Arg *a, u32 w) { put(a, rd(w), rd(w), c_rs2(w), 0); }
static void arg_CR_MV(Arg *a, u32 w) { put(a, rd(w), 0, c_rs2(w), 0); }
static void arg_CR_JALR(Arg *a, u32 w) { put(a, X_RA, rd(w), 0, 0); }
static void arg_CR_JR(Arg *a, u32 w)
{
    put(a, 0, rd(w), 0, 0);
    a->reserved = a->rs1 == 0;
}

static void arg_CJ(Arg *a, u32 w)
{
    u32 imm = field(w, 12, 12) << 11 | field(w, 11, 11) << 4 | field(w, 10, 9) << 8 |
              field(w, 8, 8) << 10 | field(w, 7, 7) << 6 | field(w, 6, 6) << 7 |
              field(w, 5, 3) << 1 | field(w, 2, 2) << 5;

    put(a, 0, 0, 0, sext(imm, 12));
}

/* ---- all of it, line by line ---- */

#define INSN(n, f, p, o)        EACH(n, n, f)
#define LIKE(n, other, f, p, o) EACH(n, other, f)
#define COMP(n, other, f, p, o) EACH(n, other, f)

Arg insn_arg(InsnId id, u32 w)
{
    Arg a = {.reserved = true};

    switch (id) {
#define EACH(n, other, f) \
    case INSN_##n:        \
        arg_##f(&a, w);   \
        break;
#include "insn.def"
#undef EACH
    default: break;
    }
    return a;
}

bool insn_translate(Dis *d, InsnId id, u32 w)
{
    Arg a;

    switch (id) {
#define EACH(n, other, f) \
    case INSN_##n:        \
        arg_##f(&a, w);   \
        return !a.reserved && trans_##other(d, &a);
#include "insn.def"
#undef EACH
    default: return false;
    }
}
