/* SPDX-License-Identifier: MIT */
/* Between emit.c (which stencils an op takes) and host_x86_64.c (how one is put). */
#ifndef TESSERA_EMIT_H
#define TESSERA_EMIT_H

#include <string.h>
#include "microops.h"
#include "stencil.h"

enum {
    COLD_SIZE = 1 << 15,
    STAGING_SIZE = 1 << 17,
    EMIT_FIXES = 2048,
    EMIT_SLACK = 256
};

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

enum { RUN_MOST = 16 };

/* Loads or stores one after the other by the same register, looked up as one: rax is
 * the host's address of the lowest. */
typedef struct Run {
    u32 left;         /* accesses to come; 0: no run */
    u32 n, first;     /* how many, and the first one's op */
    i32 low, span;    /* from the register; bytes */
    u32 fix;          /* of the jump to its cold part */
    u32 begin;        /* of its accesses, in the hot part */
    u32 at[RUN_MOST]; /* each one's place there */
} Run;

typedef struct Emit {
    EmitTask *t;
    const Ir *ir;
    const Plan *plan;
    const StencilSet *set;
    EmitBuf hot, cold, *o;
    u32 n_fixes;
    u32 op;        /* index of the op at hand */
    u32 miss_call; /* 1 + where the cold part calls a TLB's helpers; 0: nowhere yet */
    Run run;
    u8 stride_reg[STRIDES_MOST]; /* where Env.stride_delta is; HOST_NONE: there only */
    u32 steady; /* registers whose pages are looked up in their near slots */
    Val in_rax; /* temp that the last op left in rax, or VAL_NONE */
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

extern const u8 form_operand_count[FORM_COUNT];

/* A variant not put down lately; hole_exit (if any) goes to the Ir's exit `exit`. */
void put_new(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit, u32 key);
void emit_fix(Emit *e, u32 at, FixKind kind, u32 to);
void put_nops(EmitBuf *o, u32 n);

/* Keeps a displacement `ahead` bytes on within one cache line, for host_patch. */
static inline void keep_in_line(Emit *e, u32 ahead)
{
    u32 at = (e->o->at + ahead) & 63;

    if (UNLIKELY(at > 60) && !e->o->cold)
        put_nops(e->o, 64 - at);
}

static inline __attribute__((always_inline)) void put_memo(Emit *e, const Memo *m,
                                                           u32 op, i64 imm, u32 exit)
{
    EmitBuf *o = e->o;
    u8 *code;
    u32 word;

    if (m->exit_at) {
        keep_in_line(e, m->exit_at);
        if (op == OP_jump || op == OP_jump_tag)
            emit_fix(e, o->at + m->exit_at, FIX_THUNK, e->t->thunks->jump_miss);
        else
            emit_fix(e, o->at + m->exit_at, FIX_EXIT, exit);
    }
    code = o->bytes + o->at;
    memcpy(code, m->bytes, sizeof m->bytes);
    memcpy(&word, m->bytes + m->hole_at, 4);
    word |= (u32)imm & m->hole_mask;
    memcpy(code + m->hole_at, &word, 4);
    o->at += m->len;
}

/* Copies one variant; regs: its registers, four bits each. */
static inline __attribute__((always_inline)) void
put_key(Emit *e, u32 op, Form form, const u8 *regs, u32 packed, i64 imm, u32 exit)
{
    u32 key = op << 6 | (u32)form | packed << 16 | (u32)fits_i8(imm) << 30 | 1u << 31;
    const Memo *m = &e->memo[key * 0x9e3779b1u >> (32 - MEMO_BITS)];

    if (LIKELY(m->key == key && e->o->at + STENCIL_MAX <= e->o->limit))
        put_memo(e, m, op, imm, exit);
    else
        put_new(e, op, form, regs, imm, exit, key);
}

static inline bool has(const Emit *e, u32 op, Form form)
{
    return e->set->family[op][form].first;
}

static inline void put0(Emit *e, u32 op, Form form, u32 exit)
{
    put_key(e, op, form, NULL, 0, 0, exit);
}
static inline void put1x(Emit *e, u32 op, Form form, u8 a, i64 imm, u32 exit)
{
    put_key(e, op, form, &a, a, imm, exit);
}
static inline void put1(Emit *e, u32 op, Form form, u8 a, i64 imm)
{
    put1x(e, op, form, a, imm, 0);
}
static inline void put2x(Emit *e, u32 op, Form form, u8 a, u8 b, i64 imm, u32 exit)
{
    put_key(e, op, form, (u8[]){a, b}, (u32)(a | b << 4), imm, exit);
}
static inline void put2(Emit *e, u32 op, Form form, u8 a, u8 b, i64 imm)
{
    put2x(e, op, form, a, b, imm, 0);
}
static inline void put3(Emit *e, u32 op, Form form, u8 a, u8 b, u8 c)
{
    put_key(e, op, form, (u8[]){a, b, c}, (u32)(a | b << 4 | c << 8), 0, 0);
}
static inline void put(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit)
{
    u32 packed = 0;

    for (u32 k = 0; k < form_operand_count[form]; k++)
        packed |= (u32)regs[k] << (4 * k);
    put_key(e, op, form, regs, packed, imm, exit);
}

void put_jump_exit(Emit *e, u32 exit); /* patchable, to the Ir's exit */
void put_jump_fix(Emit *e, FixKind kind, u32 to);
void put_call_helper(Emit *e, u32 helper); /* by the call thunk */
/* The parts of such a call in the cold part that serves all of a block: helper eax. */
void put_call_cold(Emit *e, u32 to);
void put_call_thunk(Emit *e);
void put_frame(Emit *e, bool enter); /* rsp aligned for the thunk, and back */
void put_count(Emit *e, i32 field);  /* one more in a field of Env */
void put_counter(Emit *e, i64 counter, u32 cold);
void put_budget(Emit *e, i32 field, u32 amount, u32 cold);
void put_rounds(Emit *e, i32 field, u32 cold);
void put_exit_stub(Emit *e, u32 number);
void put_hot_again(Emit *e, i64 counter); /* one entry more until the counter is 0 */
void put_slot(Emit *e, u32 slot);         /* goes on there, if it is not empty */
void put_align(Emit *e, u32 to);
void emit_write_rel(u8 *buffer, u32 at, u32 to);

/* For out_asm: the op at hand begins here. */
static inline void note_op(Emit *e)
{
    if (e->t->notes)
        e->t->op_at[e->op] = e->hot.at;
}

/* ---- emit_ops.c ---- */

void put_const(Emit *e, u8 d, i64 v);
/* Brings integer v into register d. */
void load_r(Emit *e, u8 d, Val v);
/* A register that holds v: its own, or `scratch`, filled. */
u8 use_r(Emit *e, Val v, u8 scratch);
void emit_helper(Emit *e, const Op *op);
/* Makes canonical what the passes left to the exits. */
void make_all_canonical(Emit *e, Canon due);
/* Env slot of a value without a register. */
i32 slot_of(Val v);
/* Into argument k of a helper call; class: CLS_R, CLS_F. */
void store_arg(Emit *e, Val v, u8 class, u32 k);
/* The registers of a plan that call thunks do not know. */
void spill_plan(Emit *e, bool load);
/* Temps in registers, which a call would lose. */
void spill_temps(Emit *e, bool load);
/* A load or store at register a + imm; keep: rax outlives it. */
void emit_access(Emit *e, const Op *op, u8 a, i32 imm, bool keep);
/* An op that computes a value or touches memory. */
void emit_value(Emit *e, const Op *op);

/* ---- emit_mmu.c ---- */

/* rax and the number returned give the host address that op's access goes to; rcx and
 * rdx are lost. */
i32 emit_host_address(Emit *e, const Op *op);
/* What a loop that was looked up ahead keeps in registers. */
void emit_strides(Emit *e);
void put_strides(Emit *e);
/* At the loop's head: has the last round been that is known?  If so, and if no more is
 * known then, goes on with what comes next in the cold part. */
void emit_stride_check(Emit *e);
/* An access of a run has been put down. */
void emit_run_on(Emit *e);
/* The integer globals that stay in a page for long, as a set. */
u32 emit_steady(const Ir *ir);

#endif
