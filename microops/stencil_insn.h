/* SPDX-License-Identifier: MIT */
/* Where host instructions begin and which of them jump: all that the reader of
 * stencils wants to know of machine code. */
#ifndef TESSERA_STENCIL_INSN_H
#define TESSERA_STENCIL_INSN_H

#include "base.h"

typedef enum InsnKind {
    INSN_PLAIN,
    INSN_JCC,      /* conditional */
    INSN_JUMP,     /* direct, unconditional */
    INSN_INDIRECT, /* jump through a register or memory */
    INSN_CALL,
    INSN_RETURN, /* or any other way out */
} InsnKind;

typedef struct Insn {
    u32 at, len;
    InsnKind kind;
    i32 to; /* INSN_JCC, INSN_JUMP: offset of the destination */
} Insn;

/* Reads the instruction at code[at].  False: not one we know, or cut short. */
bool insn_read(const u8 *code, u32 size, u32 at, Insn *insn);

#endif
