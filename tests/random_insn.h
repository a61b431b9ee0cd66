/* SPDX-License-Identifier: MIT */
/*
 * Random instruction sequences: made from translate/riscv64/insn.def, laid out, and
 * put into a guest program that runs them from random states and writes the states
 * they end in.
 */
#ifndef TESTS_RANDOM_INSN_H
#define TESTS_RANDOM_INSN_H

#include "../translate/riscv64/riscv64.h"

/* ---- random_insn.c: sequences ---- */

enum { ITEM_WORDS = 6, SEQ_ITEMS = 400 };

typedef enum ItemKind { ITEM_PLAIN, ITEM_FORWARD, ITEM_INDIRECT, ITEM_LOOP } ItemKind;

/* One random instruction with what sets its operands up; dropped as a whole. */
typedef struct Item {
    ItemKind kind;
    bool dropped;
    u8 n;                 /* instructions */
    u32 insn[ITEM_WORDS]; /* the last one is what the item is about */
    u16 to;               /* jumps: index of the item to go to */
    i16 offset;           /* indirect jumps: their displacement */
    u8 slot;              /* loops: which counter */
    u64 at;               /* guest address, once laid out */
} Item;

typedef struct Seq {
    u64 x[32], f[32], fcsr; /* the state it starts in */
    u32 n;
    Item item[SEQ_ITEMS + 1]; /* [n]: where it ends */
} Seq;

/* What generation depends on besides the seed. */
typedef struct RandomOptions {
    u32 length;  /* items a sequence */
    bool beyond; /* also what qemu-riscv64 7.2 does otherwise */
} RandomOptions;

u64 random_next(u64 *state); /* xorshift; state not 0 */
void seq_make(Seq *s, u64 seed, const RandomOptions *options);
/* Gives every item its address; returns the first byte after the last. */
u64 seq_lay_out(Seq *s, u64 at);
/* Writes the code, as laid out, to out + (item address - base). */
void seq_encode(const Seq *s, u8 *out, u64 base);
void seq_print(FILE *f, const Seq *s);

/* A value worth trying: for x registers, for f registers. */
u64 random_int(u64 *state);
u64 random_float(u64 *state);

/* ---- random_elf.c: the guest program ---- */

enum {
    SCRATCH_SIZE = 6272,
    SCRATCH_MIDDLE = 2048, /* gp points here: displacements reach both ways */
    POOL_SIZE = 64,        /* values that sequences can load, from tp + POOL_OFFSET */
    LOOP_SLOTS = 16,
};

/* What the guest writes after each sequence. */
typedef struct Dump {
    u64 x[32], f[32], fcsr, spare[7];
    u8 scratch[SCRATCH_SIZE];
} Dump;

enum {
    LOOP_OFFSET = -1024, /* from tp, which points at the Dump */
    POOL_OFFSET = -512,
};

/* The program that runs these sequences, as an ELF file; freed with free(). */
u8 *random_elf(Seq *seqs, u32 n, size_t *size);

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

    return base | rs1 << 15 | rs2 << 20 | (v >> 5) << 25 | (v & 31) << 7;
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
    E_LD = 0x3003,
    E_SD = 0x3023,
    E_FLD = 0x3007,
    E_FSD = 0x3027,
    E_BLT = 0x4063,
    E_BNE = 0x1063,
    E_BEQ = 0x63,
    E_ECALL = 0x73,
    E_CSRRW = 0x1073,
    E_CSRRS = 0x2073,
    E_SC_W = 0x1800202f,
};

/* A branch's or jump's displacement, scattered into its bits. */
u32 imm_b(i64 disp);
u32 imm_j(i64 disp);
u32 imm_cb(i64 disp);
u32 imm_cj(i64 disp);

#endif
