/* SPDX-License-Identifier: MIT */
/* Between random_make.c (single items) and random_flow.c (whole sequences). */
#ifndef TESTS_RANDOM_MAKE_H
#define TESTS_RANDOM_MAKE_H

#include "random_insn.h"

enum { PALETTE = 8, FUNCTIONS = 3 };

/* Items called by others; ends with a jump to its link register. */
typedef struct Function {
    u16 first, ret;
    u8 link;
} Function;

typedef struct Maker {
    u64 state;
    Seq *s;
    const RandomOptions *options;
    bool narrow;  /* registers from the palette only */
    bool wide;    /* lr.d and sc.d, not lr.w and sc.w */
    bool lonely;  /* no LR and SC */
    bool faulty;  /* accesses that may fault, illegal instructions, breakpoints */
    bool changes; /* its own code */
    u8 palette[PALETTE];
    u32 kept; /* registers that must not be written */
    u8 slots; /* loop counters in use */
    u16 end;  /* jumps forward go this far at most */
    u16 main; /* items that are no function's */
    u8 n_functions;
    Function function[FUNCTIONS];
} Maker;

static inline u32 below(Maker *m, u32 n)
{
    return (u32)(random_next(&m->state) >> 33) % n;
}
static inline bool chance(Maker *m, u32 percent) { return below(m, 100) < percent; }

/* ---- random_make.c ---- */

u8 pick_register(Maker *m);
/* A destination: anything that must not stay as it is. */
u8 pick_out(Maker *m);
static inline void add(Item *item, u32 insn) { item->insn[item->n++] = insn; }
/* auipc and addi: the address of item to, less what follows adds. */
void add_pcrel(Item *item, u8 rd, u16 to, i16 offset);
/* Is it an instruction not to be made? */
bool left_out(Maker *m, const InsnDesc *desc);
void make_item(Maker *m, Item *item, u32 index);
void make_idiom(Maker *m, Item *item);
/* An instruction that always or sometimes faults, whatever registers hold. */
void make_trap(Maker *m, Item *item);

#endif
