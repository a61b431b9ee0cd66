/* SPDX-License-Identifier: MIT */
/*
 * From objects compiled from stencils.c to variants: each function cut to a
 * stencil, its holes found, its jumps rewritten.  Part of the build tool, and of the
 * test that compares what the emitter puts down with what the compiler made.  A
 * function that breaks a rule ends the program with a line that names its op.
 */
#ifndef TESSERA_STENCIL_READ_H
#define TESSERA_STENCIL_READ_H

#include "stencil.h"

enum {
#define OP(name, sig, flags) STENCIL_OP_##name,
#include "ops.def"
#undef OP
    STENCIL_OPS
};

extern const char *const stencil_op_names[STENCIL_OPS];
extern const char *const stencil_form_names[FORM_COUNT];
extern const char *const stencil_form_operands[FORM_COUNT];

/* One function of the object, cut to a stencil. */
typedef struct Variant {
    const char *name;
    u8 code[STENCIL_MAX];
    u32 hot, len; /* len: hot and cold */
    StencilHole holes[STENCIL_HOLES];
    u32 n_holes;
    u16 vector; /* bit 0: 1; then the register number of each operand, four bits */
    u8 alias;   /* which pairs of operands are one register */
    u32 rhythm; /* a hash of its instructions' lengths; stencilgen's */
    u16 shape;  /* stencilgen's */
    bool present;
    bool half; /* the first of two samples, the second not seen yet */
} Variant;

/* All variants of all ops; each an array of variant_count, or NULL. */
typedef struct Families {
    Variant *all[STENCIL_OPS][FORM_COUNT];
} Families;

/* ---- stencil_read.c ---- */

u32 variant_count(Form form);
/* Host register indices of variant number `index`; returns how many. */
u32 variant_regs(Form form, u32 index, u8 *regs);

/* Adds every function of the object. */
void families_read(Families *f, const char *path);
/* "add, form rr, rbx r8: message"; ends the program.  name: a function's, or any. */
_Noreturn void stencil_refuse(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- stencil_cut.c ---- */

typedef struct CodeReloc {
    u32 at, type; /* R_X86_64_* */
    const char *name;
    i64 addend;
} CodeReloc;

/* Makes a stencil of the function whose name, code and len are in v. */
void variant_make(Variant *v, const CodeReloc *relocs, u32 n);
void variant_add_hole(Variant *v, HoleKind kind, u32 at, i64 addend);
/* Takes n bytes out at `at`, and moves the holes behind them. */
void variant_cut(Variant *v, u32 at, u32 n);

#endif
