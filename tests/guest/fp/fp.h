/* SPDX-License-Identifier: MIT */
/*
 * The floating-point sweep, a guest program that tests/fp runs: each instruction of
 * translate/riscv64/insn.def with floating-point operands, in each rounding mode, on
 * special and on random operands.  It makes the code as it goes, so that the registers
 * vary.  What it prints does not depend on the machine, unless that computes wrongly.
 */
#ifndef GUEST_FP_H
#define GUEST_FP_H

#include <stdbool.h>
#include <stddef.h>
#include "../check.h"

/* ---- insns.c: the instructions ---- */

typedef enum Format { FMT_H, FMT_S, FMT_D, FMT_INT } Format;

typedef struct Insn {
    char name[16]; /* as in insn.def */
    u32 match;
    Format in;
    u8 n_in;            /* operands that vary */
    bool has_mode;      /* names its rounding mode */
    bool to_x, from_x;  /* its result, its operands are integers */
    bool immediate;     /* the rs1 field is a constant (fli) */
    const char *family; /* "fd", "zfh", "zfa" */
} Insn;

extern Insn insns[];
extern u32 n_insns;
void insns_init(void);

enum { MODES = 5, RM_DYN = 7 };
extern const char *const mode_names[MODES];

/* Numbers of registers. */
typedef struct Regs {
    u8 d, a, b, c;
} Regs;

u32 insn_encode(const Insn *i, Regs r, u32 rm);

/* ---- values.c: operands ---- */

typedef struct Random {
    u64 state;
} Random;

Random random_seed(u64 seed);
u64 random_bits(Random *r);
u32 random_below(Random *r, u32 n);

/* Special values of a format; index modulo how many there are. */
u32 special_count(Format f, u32 n_in);
u64 special_value(Format f, u32 n_in, u32 index);
/* Three operands that go together: near ties, cancelling, near the ends of range. */
void random_operands(Random *r, Format f, u64 v[3]);

/* ---- code.c: code made at run time ---- */

typedef struct Code {
    u32 *start, *at;
} Code;

enum { X_ZERO = 0, X_RA = 1, X_T0 = 5, X_A0 = 10, X_A1 = 11, X_A2 = 12 };

void code_page(Code *c); /* fresh pages, never written before */
void code_done(void);    /* before it runs */
u8 random_x(Random *r);  /* one that code may use */
void code_word(Code *c, u32 word);
void code_fld(Code *c, u8 f, u8 base, i32 offset);
void code_fsd(Code *c, u8 f, u8 base, i32 offset);
void code_ld(Code *c, u8 x, u8 base, i32 offset);
void code_sd(Code *c, u8 x, u8 base, i32 offset);
void code_addi(Code *c, u8 d, u8 s, i32 v);
void code_bne(Code *c, u8 a, u8 b, const u32 *to);
void code_csrrw(Code *c, u8 d, u32 csr, u8 s);
void code_return(Code *c);
/* Calls it with these in a0, a1, a2. */
void code_run(const u32 *start, const void *a0, void *a1, const void *a2);

static inline void set_frm(u64 mode) { __asm__ volatile("fsrm %0" : : "r"(mode)); }

/* ---- single.c, sequence.c: the sets ---- */

enum { CHUNK = 4096 };

typedef struct Options {
    const char *insn, *mode; /* NULL: all */
    const char *family;      /* a list */
    i64 chunk;               /* only this one; -1: all */
    i64 index;               /* of the case to show; -1: all */
    u32 count;               /* random chunks an instruction and mode */
    u32 every;               /* one chunk in so many */
    u32 length;              /* sequences: at most so many instructions */
    bool show;               /* cases, not hashes */
} Options;

void single_special(const Options *o);
void single_random(const Options *o);
void sequence_all(const Options *o);

/* Faster than hash_add(), and as good here. */
static inline u64 hash_mix(u64 hash, u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

static inline bool option_allows(const char *only, const char *name)
{
    return !only || !strcmp(only, name);
}

static inline bool option_lists(const char *list, const char *name)
{
    return strstr(list, name) != NULL;
}

#endif
