/* SPDX-License-Identifier: MIT */
/*
 * One trial of the emitter: a random block, a random start, and all that emit_block
 * may be asked for.  Everything about a trial follows from its seed.
 */
#ifndef TESSERA_EMIT_CASE_H
#define TESSERA_EMIT_CASE_H

#include "../microops/emit.h"

enum {
    INTS = 20,   /* globals 0.. */
    FLOATS = 20, /* globals INTS.. */
    GLOBALS = INTS + FLOATS,
    MEMORY = 1 << 13, /* guest addresses 0.. */
    GUARD = 1 << 16,  /* accessible on both sides of it; beyond: nothing */
    TEMPS_AN_INSN = 12,
    FIRST_EXIT = 700,  /* number of a block's first exit */
    LARGE_BLOCK = 300, /* ops; larger ones need not fit */
};

/* Choices come from the data while there is some, then from the state. */
typedef struct Random {
    u64 state;
    const u8 *data;
    size_t left;
} Random;

static inline u64 random_take(Random *r, size_t n)
{
    u64 v = 0;

    n = n < r->left ? n : r->left;
    memcpy(&v, r->data, n);
    r->data += n;
    r->left -= n;
    return v;
}

static inline u64 random64(Random *r) /* splitmix */
{
    u64 z;

    if (r->left)
        return random_take(r, 8);
    z = r->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline u32 below(Random *r, u32 n)
{
    if (r->left)
        return (u32)random_take(r, n <= 256 ? 1 : 2) % n;
    return (u32)(random64(r) >> 32) % n;
}
static inline bool chance(Random *r, u32 percent) { return below(r, 100) < percent; }

/* What a block works on. */
typedef struct State {
    u64 g[GLOBALS];
    u64 res_addr, res_value;
    u32 mxcsr;
    u8 memory[MEMORY];
} State;

/* How a run ended. */
typedef enum Way {
    WAY_EXIT,   /* by the exit `exit` of the Ir, or one to the same pc for a request */
    WAY_JUMP,   /* to pc, not in the jump cache */
    WAY_LANDED, /* by a linked exit, or to a pc in the jump cache */
    WAY_HOT,
    WAY_STALE,
    WAY_ENDLESS, /* interpreted: a loop without an end */
    WAY_FAULT,   /* a memory op, of instruction `exit`, at address pc (0: no such) */
    WAY_SIGNAL,  /* another host signal, number in exit */
    WAY_FULL,    /* did not fit */
} Way;

typedef struct Result {
    Way way;
    u32 exit;
    u32 op, rounds; /* interpreted: the last op run; times it went to its head */
    u64 pc;
    State state;
} Result;

typedef struct Case {
    u64 seed;
    Ir *ir;
    const StencilSet *set;
    const Plan *entry, *plan;
    State start;
    bool fold, dead, join, nan; /* passes */
    bool request, counted, counted_out, stale, loops, small, cached, statistics;
    bool memo_kept; /* the emitter's, from the block before */
    u32 check_len, skew;
    u64 head_pc;
} Case;

extern const GuestRegs emit_guest;

/* ---- emit_block.c: making one ---- */

void case_make(Case *c, u64 seed);
/* The same by the bytes of a fuzzer. */
void case_make_from(Case *c, const u8 *data, size_t size);
/* Prints what is special about it. */
void case_print(const Case *c);

/* ---- emit_run.c: running it ---- */

void run_init(void); /* once */
/* Compares code with the interpreter.  True: they agree; else *why says how not. */
bool case_agrees(const Case *c, const char **why);

/* ---- emit_cover.c: what has been run ---- */

#define COVER_LIST(X)                                         \
    X(exit)                                                   \
    X(exit_shuffled) /* to the entry's plan */                \
    X(exit_canon)    /* NaNs made canonical on the way */     \
    X(trap)                                                   \
    X(request)                                                \
    X(linked)                                                 \
    X(loop) /* to the block's own head */                     \
    X(jump_miss)                                              \
    X(jump_cached)                                            \
    X(jump_folded) /* its target was known after all */       \
    X(hot)                                                    \
    X(stale)                                                  \
    X(full)                                                   \
    X(fault_load)                                             \
    X(fault_store)                                            \
    X(fault_call) /* in an op that is called as a function */ \
    X(fault_call_spilled)                                     \
    X(fault_not_canonical)                                    \
    X(fault_canon)                                            \
    X(fault_passed)                                           \
    X(no_passes)                                              \
    X(all_passes)                                             \
    X(some_passes)                                            \
    X(fold_alone)                                             \
    X(dead_alone)                                             \
    X(join_alone)                                             \
    X(nan_alone)

typedef enum CoverEvent {
#define X(name) COVER_##name,
    COVER_LIST(X)
#undef X
        COVER_EVENTS
} CoverEvent;

void cover_event(CoverEvent event);
void cover_begin(void); /* a block is about to be emitted */
/* The case agreed: code of ir, as t made it, ran and ended so. */
void cover_note(const Case *c, const Ir *ir, const EmitTask *t, const Result *want,
                const Result *got);
u64 cover_ops(void); /* compared so far */
/* Prints how much was reached and, line by line, what was not; v3: of both sets.
 * False: something was not. */
bool cover_report(bool v3);

#endif
