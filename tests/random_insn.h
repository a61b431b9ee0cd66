/* SPDX-License-Identifier: MIT */
/*
 * Random instruction sequences: made from translate/riscv64/insn.def, laid out, and
 * put into a file for the guest program that runs them (random_case.h).
 */
#ifndef TESTS_RANDOM_INSN_H
#define TESTS_RANDOM_INSN_H

#include "../translate/riscv64/riscv64.h"
#include "random_case.h"

/* ---- random_value.c ---- */

u64 random_next(u64 *state); /* xorshift; state not 0 */
/* A value worth trying: for x registers, for f registers. */
u64 random_int(u64 *state);
u64 random_float(u64 *state);

/* ---- random_make.c, random_flow.c: sequences ---- */

enum { ITEM_WORDS = 10, SEQ_ITEMS = 400, NOT_EACH = -1, GP = X_GP, TP = X_TP };

/* One random instruction with what sets its operands up; dropped as a whole. */
typedef struct Item {
    bool dropped, fixed;  /* fixed: must not be */
    bool aimed;           /* the last word is a direct jump to item `to` */
    bool patches;         /* changes the code of item `to` */
    bool island;          /* uses the data beside the code */
    u8 pcrel;             /* 1 + index of an auipc and addi that yield the address of
                             item `to`, or of the island; 0: none */
    u8 n;                 /* instructions */
    u32 insn[ITEM_WORDS]; /* the last one is what the item is about */
    u16 to;
    i16 offset; /* what the instruction after auipc and addi adds */
    u64 at;     /* guest address, once laid out */
} Item;

typedef struct Seq {
    u64 seed, flags; /* SEQ_* */
    i32 each;
    State start;
    u64 island; /* guest address of 8 bytes */
    u32 n;
    bool dropped;             /* left away when a failure is shrunk */
    Item item[SEQ_ITEMS + 1]; /* [n]: where it ends */
} Seq;

/* What generation depends on besides the seed. */
typedef struct RandomOptions {
    u32 length; /* items a sequence */
    u32 rounds;
    bool beyond; /* also what qemu-riscv64 7.2 does otherwise */
    i32 each;    /* put an instruction that faults before this item; NOT_EACH */
} RandomOptions;

void seq_make(Seq *s, u64 seed, const RandomOptions *options);

/* ---- random_layout.c ---- */

/* Gives every item its address; returns the first byte after the last. */
u64 seq_lay_out(Seq *s, u64 at);
/* Writes the code, as laid out, to out + (item address - base). */
void seq_encode(const Seq *s, u8 *out, u64 base);
void seq_print(FILE *f, const Seq *s);

/* ---- random_case.c: the file ---- */

/* Freed with free(). */
u8 *random_case(Seq *seqs, u32 n, u32 rounds, size_t *size);

/* ---- encoders ---- */

static inline u32 enc_r(u32 base, u32 rd, u32 rs1, u32 rs2)
{
    return base | rd << 7 | rs1 << 15 | rs2 << 20;
}
static inline u32 enc_i(u32 base, u32 rd, u32 rs1, i32 imm)
{
    return base | rd << 7 | rs1 << 15 | (u32)imm << 20;
}
static inline u32 enc_s(u32 base, u32 rs1, u32 rs2, i32 imm)
{
    u32 v = (u32)imm;

    return base | rs1 << 15 | rs2 << 20 | (v >> 5 & 127) << 25 | (v & 31) << 7;
}
static inline u32 enc_u(u32 base, u32 rd, u32 upper)
{
    return base | rd << 7 | upper << 12;
}

/* opcodes with their function bits */
enum {
    E_ADDI = 0x13,
    E_ANDI = 0x7013,
    E_ORI = 0x6013,
    E_SLLI = 0x1013,
    E_SRLI = 0x5013,
    E_SRAI = 0x40005013,
    E_SLLIW = 0x101b,
    E_SRLIW = 0x501b,
    E_SRAIW = 0x4000501b,
    E_ADDIW = 0x1b,
    E_ADD = 0x33,
    E_OR = 0x6033,
    E_XOR = 0x4033,
    E_SLT = 0x2033,
    E_SLTU = 0x3033,
    E_ADDW = 0x3b,
    E_SUBW = 0x4000003b,
    E_LUI = 0x37,
    E_AUIPC = 0x17,
    E_LW = 0x2003,
    E_LD = 0x3003,
    E_SW = 0x2023,
    E_SD = 0x3023,
    E_FLD = 0x3007,
    E_BLT = 0x4063,
    E_BNE = 0x1063,
    E_BEQ = 0x63,
    E_JAL = 0x6f,
    E_JALR = 0x67,
    E_ECALL = 0x73,
    E_FENCE_I = 0x100f,
    E_CSRRWI_FRM = 0x215073,
};

#endif
