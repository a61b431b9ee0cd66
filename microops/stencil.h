/* SPDX-License-Identifier: MIT */
/*
 * Stencils as tables: what stencilgen writes at build time and emit copies at run
 * time.  A family is one op in one form (which operands are registers, immediates,
 * Env slots); its variants, one for each choice of host registers, fall into a few
 * shapes.  Within a shape a variant's bytes are the shape's bytes with register
 * numbers XOR-ed into bit fields.
 */
#ifndef TESSERA_STENCIL_H
#define TESSERA_STENCIL_H

#include "base.h"

/*
 * Host registers by index.  Integer: rbx r12-r15 r8-r11 rsi rdi (a plan's), rax rcx
 * (the emitter's); rdx is the compiler's.  Floating point: xmm4-xmm15 (a plan's),
 * xmm0-xmm2 (the emitter's); xmm3 is the compiler's.
 */
enum {
    HOST_R = 13,
    HOST_F = 15,
    HOST_RAX = 11,
    HOST_RCX = 12,
    HOST_X0 = 12,
    HOST_X1 = 13,
    HOST_X2 = 14
};

/*  form, register operands ('R', 'F'), what it is (D result, A B operands) */
#define STENCIL_FORMS(X)                                                 \
    X(rrr, "RRR") /* D = A op B                           */             \
    X(rr, "RR")   /* D = D op B                           */             \
    X(ru, "RR")   /* D = op A                             */             \
    X(rri, "RR")  /* D = A op imm; D = memory[A + imm]    */             \
    X(ri, "R")    /* D = D op imm                         */             \
    X(rk, "R")    /* D = D op imm, 8 bits                 */             \
    X(rm, "R")    /* D = D op Env slot                    */             \
    X(rc, "R")    /* D = D op rcx                         */             \
    X(ci, "R")    /* D = imm, 32 bits                     */             \
    X(cz, "R")    /* D = 0                                */             \
    X(ck, "R")    /* D = imm, 64 bits                     */             \
    X(lm, "R")    /* D = Env slot                         */             \
    X(sm, "R")    /* Env slot = A                         */             \
    X(sri, "RR")  /* memory[A + imm] = B                  */             \
    X(szi, "R")   /* memory[A + imm] = 0                  */             \
    X(brr, "RR")  /* leave if A op B                      */             \
    X(bri, "R")   /* leave if A op imm                    */             \
    X(brz, "R")   /* leave if A op 0                      */             \
    X(bzr, "R")   /* leave if 0 op B                      */             \
    X(ff, "FF")   /* D = D op B                           */             \
    X(fu, "FF")   /* D = op A                             */             \
    X(f1, "F")    /* D = op D                             */             \
    X(fri, "FR")  /* D = memory[A + imm]                  */             \
    X(sfi, "RF")  /* memory[A + imm] = B                  */             \
    X(rff, "FF")  /* rax = A op B                         */             \
    X(rf, "RF")   /* D = op A                             */             \
    X(fr, "FR")   /* D = op A                             */             \
    X(xff, "FF")  /* xmm0 = op(xmm0, A, B), NaNs not canonical */        \
    X(xn, "")     /* leave if xmm0 is a NaN               */             \
    X(xnn, "FF")  /* leave if A or B is a NaN             */             \
    X(flm, "F")   /* D = Env slot                         */             \
    X(fsm, "F")   /* Env slot = A                         */             \
    X(fx, "")     /* rax or xmm0 = op(rax or xmm0, rcx or xmm1, xmm2) */ \
    X(fxc, "")    /* rcx = op(rax, rcx)                   */             \
    X(x, "")      /* no operands; jump: to rax            */

typedef enum Form {
#define X(name, operands) FORM_##name,
    STENCIL_FORMS(X)
#undef X
        FORM_COUNT
} Form;

/* A family's op: one of ops.def. */
enum { STENCIL_MAX = 192, STENCIL_HOLES = 4 };

typedef enum HoleKind {
    HOLE_NONE,
    HOLE_IMM32, /* sign-extended immediate or displacement */
    HOLE_IMM8,
    HOLE_IMM64,
    HOLE_ENV32, /* Env offset */
    HOLE_ENV8,
    HOLE_EXIT, /* jump displacement: out of the block */
    HOLE_COLD, /* jump displacement: to the stencil's cold part */
    HOLE_BACK, /* in the cold part: jump displacement to the end of the hot part */
} HoleKind;

typedef struct StencilHole {
    u8 kind;
    u8 at; /* byte offset in hot + cold */
    i16 addend;
} StencilHole;

/* Operand k's number is XOR-ed in at this bit: its low three bits, or its fourth. */
typedef struct StencilField {
    u16 bit : 12;
    u16 high : 1;
    u16 operand : 2;
} StencilField;

typedef struct Stencil {
    u32 bytes; /* offset into the set's bytes: hot part, then cold part */
    u8 hot, cold;
    u8 n_fields, n_holes;
    u16 fields, holes; /* offsets into the set's fields, holes */
    u16 brief;         /* the same with a byte-sized immediate; 0: none */
    u8 exit_at;        /* where its HOLE_EXIT is; 0: none */
} Stencil;

/*
 * The common stencil again, in one piece: at most 16 bytes and no cold part, at most
 * eight fields and one value hole.  A field is its bit, and above it which part of
 * which number goes there: operand * 2 + high; 7: none.
 */
typedef struct QuickStencil {
    u8 bytes[16];
    u16 field[8];
    u32 hole_mask;
    u8 hole_at;
    u8 len; /* 0: not one of these */
    u8 n_fields;
    u8 exit_at;
} QuickStencil;

typedef struct StencilFamily {
    u16 first; /* its first shape; 0: no such family */
    u16 n_shapes;
    u32 shape_of; /* offset into the set's shape_of: variant -> shape */
} StencilFamily;

struct StencilSet {
    const char *name;
    const StencilFamily (*family)[FORM_COUNT]; /* [op][form] */
    const Stencil *stencils;
    const QuickStencil *quick; /* by the same index */
    const u8 *bytes;
    const StencilField *fields;
    const StencilHole *holes;
    const u8 *shape_of;
    u32 size; /* of all tables, bytes */
};
typedef struct StencilSet StencilSet;

extern const StencilSet stencils_base, stencils_v3;

/* x86 register numbers of host indices. */
extern const u8 host_r_number[HOST_R], host_f_number[HOST_F];

/* Constants that stand for 8-, 32- and 64-bit immediates in sample pairs. */
#define SAMPLE_8A  5
#define SAMPLE_8B  10
#define SAMPLE_32A 0x12345678
#define SAMPLE_32B 0x2bcdef01
#define SAMPLE_64A 0x123456789abcdef0
#define SAMPLE_64B 0x2bcdef0145678923

#endif
