/* SPDX-License-Identifier: MIT */
/*
 * Translation: guest bytes -> micro-ops.  The loop here is the same for every
 * guest; a Guest is a handful of callbacks.  Frontends say where control goes
 * with dis_branch, dis_jump, dis_jump_to and dis_trap, and nothing else, so that
 * the loop may follow a branch instead of ending the block (traces).
 */
#ifndef TESSERA_TRANSLATE_H
#define TESSERA_TRANSLATE_H

#include <string.h>
#include "../microops/microops.h"
#include "../softmmu/softmmu.h"

/* How a debugger sees a guest's registers: numbered from 0, in the description's
 * order.  Values are of the guest's byte order. */
typedef struct GuestDebug {
    u32 n_regs, n_general; /* all; those that are read together, the first */
    u32 pc, sp, fp;
    /* Bytes of the register in out (at most 64); 0: no such. */
    u32 (*get)(const Env *env, u32 reg, u8 *out);
    /* False: no such, or it cannot be written. */
    bool (*set)(Env *env, u32 reg, const u8 *value);
    /* gdb's target.xml, of a guest's CPU as env has it. */
    void (*describe)(FILE *f, const Env *env);
} GuestDebug;

/* What a block is a translation of. */
typedef struct TbKey {
    u64 pc;
    u64 flags; /* Env.key_flags: guest state that code depends on */
} TbKey;

typedef struct Dis Dis;

enum { SYSTEM_WORDS = 64 };

typedef struct Guest {
    GuestRegs regs; /* first: Ir.guest points at it */
    /* Sets Env up: key_flags, constants; registers zero. */
    void (*reset)(Env *env);
    /* Translates the instruction at d->pc: ends with ir_insn's length in d->len.
     * Calls dis_fetch for its bytes, then ir_insn, then gen_*, then dis_*. */
    void (*insn)(Dis *d);
    /* Text of the instruction at bytes; returns its length, 0: not one. */
    size_t (*disas)(char *out, size_t size, u64 pc, const u8 *bytes, size_t len);
    void (*dump)(FILE *f, const Env *env); /* -d cpu */
    const GuestDebug *debug;
    /* What a whole system's CPU has beyond Env, devices' lines apart: as words, at most
     * SYSTEM_WORDS.  load leaves all as if nothing else had been. */
    u32 n_words;
    void (*save)(const Env *env, u64 *words);
    void (*load)(Env *env, const u64 *words);
} Guest;

/* Which way a trace goes; NULL in Dis: a plain block. */
typedef struct Follow Follow;

struct Dis {
    Ir *ir;
    const Guest *guest;
    const Space *space;
    TbKey key;
    u64 pc;     /* of the instruction at hand */
    u8 len;     /* its length */
    bool end;   /* the block is complete */
    bool moved; /* a trace goes on at next, not at pc + len */
    u64 next;
    u32 max_insns; /* end after so many */
    u64 low, high; /* lowest and one past the highest guest byte read */
    const Follow *follow;
    u64 page, room; /* last page fetched from; offsets in it where 4 bytes are left */
    const u8 *code; /* its host address */
    u64 scratch[4]; /* the frontend's, zero at block start */
};

struct Follow {
    void *ctx;
    /* Next pc of the two, or neither (-1): end the trace with both as exits. */
    u64 (*branch)(void *ctx, u64 taken, u64 next);
    /* May the trace go on at pc (a direct jump)? */
    bool (*jump)(void *ctx, u64 pc);
};

/* Fills d->ir with the block at key. */
void translate_block(Dis *d, Ir *ir, const Guest *guest, const Space *space, TbKey key,
                     u32 max_insns, const Follow *follow);

/* Reads n (2 or 4) bytes of code at pc.  False: not executable; the block has been
 * ended there (with TRAP_FETCH when it is the block's first instruction).  Above n
 * bytes, *bits is what follows when dis_ahead says so, else unspecified. */
static inline bool dis_fetch(Dis *d, u64 pc, u32 n, u32 *bits);
bool dis_fetch_slow(Dis *d, u64 pc, u32 n, u32 *bits); /* another page than last time */

/* Conditional branch on op (OP_beq..OP_bgeu): to taken, else to the next instruction.
 */
void dis_branch(Dis *d, OpCode op, Val a, Val b, u64 taken);
/* Unconditional direct jump; link: it is a call. */
void dis_jump(Dis *d, u64 to);
/* Indirect jump to the pc in v (a global or temp). */
void dis_jump_to(Dis *d, Val v);
/* Leave with a trap; Trap.addr is 0.  pc: what Env.pc shall be. */
void dis_trap(Dis *d, TrapKind kind, u64 pc);
/* End the block after this instruction: what follows depends on new state.  Goes on
 * through the jump cache, which is empty when Env.key_flags has just changed. */
void dis_end(Dis *d);

/* Is pc in the page last fetched from, with at least 4 bytes left in it? */
static inline bool dis_ahead(const Dis *d, u64 pc)
{
    return LIKELY(pc - d->page < d->room);
}

static inline bool dis_fetch(Dis *d, u64 pc, u32 n, u32 *bits)
{
    if (!dis_ahead(d, pc))
        return dis_fetch_slow(d, pc, n, bits);
    memcpy(bits, d->code + (pc - d->page), sizeof(*bits));
    return true;
}

/* Every guest we know, by name ("riscv64"); NULL: none. */
const Guest *guest_find(const char *name);

extern const Guest guest_riscv64;

#endif
