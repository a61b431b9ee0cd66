/* SPDX-License-Identifier: MIT */
/* Between emit.c (which stencils an op takes) and host_x86_64.c (how one is put). */
#ifndef TESSERA_EMIT_H
#define TESSERA_EMIT_H

#include "microops.h"
#include "stencil.h"

enum { COLD_SIZE = 1 << 15, STAGING_SIZE = 1 << 17, EMIT_FIXES = 2048, EMIT_SLACK = 256 };

/* Code goes to the block proper or to its cold end, which is placed last. */
typedef struct EmitBuf {
    u8 *bytes;
    u32 at, limit;
    bool cold;
} EmitBuf;

typedef enum FixKind { FIX_EXIT, FIX_COLD, FIX_HOT, FIX_THUNK } FixKind;

/* In EmitFix.to: the exit is taken because of a request. */
enum { EXIT_REQUEST = 1 << 30 };

/* A 4-byte displacement to fill in when all places are known. */
typedef struct EmitFix {
    u32 at;
    u32 to; /* exit index in the Ir, offset in the cold part, buffer offset */
    u8 kind;
    bool cold; /* at is in the cold part */
} EmitFix;

/* A stencil as it was last put down for these registers, immediate still open. */
typedef struct Memo {
    u32 key; /* op, form, registers, size of the immediate; never 0 */
    u32 hole_mask;
    u8 hole_at, len, exit_at;
    u8 bytes[16];
} Memo;

enum { MEMO_BITS = 11 };

typedef struct Emit {
    EmitTask *t;
    const Ir *ir;
    const Plan *plan;
    const StencilSet *set;
    EmitBuf hot, cold, *o;
    u32 n_fixes;
    u32 op;              /* index of the op at hand */
    Val in_rax;          /* temp that the last op left in rax, or VAL_NONE */
    bool full;
    /* kept from block to block */
    const Plan *spares_of;
    u8 spare_r[HOST_GPRS], spare_f[HOST_FPRS]; /* not the plan's: for temps */
    u32 n_spare_r, n_spare_f;
    const StencilSet *memo_of;
    Memo memo[1 << MEMO_BITS];
    EmitFix fixes[EMIT_FIXES];
    u8 cold_bytes[COLD_SIZE + EMIT_SLACK];
    u8 staging[STAGING_SIZE + EMIT_SLACK]; /* the block, until it is complete */
} Emit;

/* ---- host_x86_64.c ---- */

/* Copies one variant; hole_exit (if any) goes to the Ir's exit `exit`. */
void put(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit);
static inline bool has(const Emit *e, u32 op, Form form)
{
    return e->set->family[op][form].first;
}

static inline void put0(Emit *e, u32 op, Form form, u32 exit)
{
    put(e, op, form, NULL, 0, exit);
}
static inline void put1(Emit *e, u32 op, Form form, u8 a, i64 imm)
{
    put(e, op, form, &a, imm, 0);
}
static inline void put2(Emit *e, u32 op, Form form, u8 a, u8 b, i64 imm)
{
    put(e, op, form, (u8[]){a, b}, imm, 0);
}
static inline void put3(Emit *e, u32 op, Form form, u8 a, u8 b, u8 c)
{
    put(e, op, form, (u8[]){a, b, c}, 0, 0);
}

void put_jump_exit(Emit *e, u32 exit);        /* patchable, to the Ir's exit */
void put_jump_fix(Emit *e, FixKind kind, u32 to);
void put_call_helper(Emit *e, u32 helper);    /* by the call thunk */
void put_counter(Emit *e, i64 counter, u32 cold);
void put_exit_stub(Emit *e, u32 number);
void put_align(Emit *e, u32 to);
void emit_fix(Emit *e, u32 at, FixKind kind, u32 to);
void emit_write_rel(u8 *buffer, u32 at, u32 to);

#endif
