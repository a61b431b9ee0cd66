/* SPDX-License-Identifier: MIT */
/*
 * Inside tcache: what -explain keeps.  explain.c has a record of each block ever made
 * (its guest code, micro-ops, host code) and takes in the counts of its code;
 * explain_time.c has the clocks and samples; explain_page.c and explain_block.c write.
 */
#ifndef TESSERA_EXPLAIN_H
#define TESSERA_EXPLAIN_H

#include "tb.h"

/* A way out of a block. */
typedef struct ExplainWay {
    u64 pc, count;
    u32 op;       /* the op that leaves here */
    u32 from, to; /* its code out of line, from the block's first byte */
    u32 samples;
    u8 kind, trap;
    bool request, linked; /* linked: was, at some time */
} ExplainWay;

/* What was made of some guest code.  The same code made again (after a flush) is the
 * same record. */
typedef struct ExplainBlock ExplainBlock;
struct ExplainBlock {
    ExplainBlock *next; /* the last one made of code at this pc */
    TbKey key;
    u32 tb;            /* the Tb whose counts it takes in now; 0: none */
    u32 made, dropped; /* dropped: what it was made of changed or went away */
    u32 n_insns, n_ops, n_before, n_ways, n_consts, n_exits, n_bytes;
    IrInsn *insns;
    u8 *bytes; /* the guest's, instruction by instruction */
    Op *ops, *before;
    i64 *consts;
    IrExit *exits;
    ExplainWay *ways;
    u32 *op_at; /* where each op begins, from the block's first byte; n_ops + 1 */
    u8 *code;
    u32 at, body, end; /* at: offset in the code buffer */
    Plan plan;
    bool trace, loops, checks; /* checks: compares its source bytes on entry */
    bool promoted;             /* to a trace */
    u64 entries, rounds;       /* rounds: only of one that loops */
    u64 samples, *op_samples, entry_samples;
    u64 insns_run; /* guest instructions; once all counts are in */
};

/* A thread's clock. */
typedef struct ExplainThread {
    struct Explain *explain;
    int timer; /* kernel's id; -1: none */
    i32 tid;
    u64 runs, inside_ns;     /* of exec_run, so far */
    u64 entered_ns, seen_ns; /* its CPU time at the last entry (0: outside), tick */
} ExplainThread;

typedef struct Explain {
    int sig;           /* ours: tells of a tick */
    GHashTable *by_pc; /* pc -> ExplainBlock, the last one made */
    GPtrArray *blocks; /* all */
    GPtrArray *of_tb;  /* by Tb number */
    u64 *ended;        /* what threads that have ended counted */
    /* of the block at hand */
    Op before[IR_OPS];
    u32 n_before, n_bytes;
    u8 bytes[IR_INSNS * 8];
    /* clocks */
    _Atomic u32 *heat; /* samples for each byte of the code buffer; NULL: none */
    _Atomic u8 *warm;  /* any in these WARM bytes? */
    _Atomic u64 samples, helper_samples, shared_samples;
    _Atomic u64 linking_samples; /* in exec_run, but not in generated code */
    bool translating;            /* ticks are not counted: that time is known */
    u64 threads, runs;           /* runs: of exec_run */
    u64 began_ns, ended_ns;      /* CPU time of the process when the page is begun */
    u64 inside_ns, translate_ns, records_ns; /* records: within translate */
} Explain;

enum { WARM = 1024, TICK_NS = 199000, EXPLAIN_CODE_MOST = 256 << 20 };

/* ---- explain.c ---- */
struct Explain *explain_new(Cache *c, int sig); /* NULL: no memory */
/* The block's guest bytes and ops have been read: keeps them, as they are now. */
void explain_read(Cache *c, const Ir *ir);
void explain_made(Cache *c, const Tb *tb, const EmitTask *t, const Ir *ir);
/* A thread ends: keeps what it has counted. */
void explain_keep_tallies(Cache *c, Thread *t);
/* Takes in all counts; at a flush, blocks are no more. */
void explain_collect(Cache *c, bool flush);
static inline ExplainBlock *explain_of(const Cache *c, const Tb *tb)
{
    return g_ptr_array_index(c->explain->of_tb, tb_number(c, tb));
}

/* It was dropped only to be made again as a trace. */
static inline void explain_promoted(const Cache *c, const Tb *tb)
{
    explain_of(c, tb)->promoted = true;
    explain_of(c, tb)->dropped--;
}
static inline void explain_linked(const Cache *c, u32 exit)
{
    const Tb *tb = &c->tbs[c->exits[exit].tb];

    explain_of(c, tb)->ways[exit - tb->first_exit].linked = true;
}

/* ---- explain_time.c ---- */
u64 explain_cpu_ns(void);     /* of this thread */
u64 explain_process_ns(void); /* of all */
u64 explain_inside_ns(const Cache *c);
/* About what reading clocks has cost, inside and outside of explain_inside_ns. */
void explain_clocks_ns(const Cache *c, u64 *inside, u64 *outside);
void explain_thread_begin(Cache *c, Thread *t);
void explain_thread_end(Cache *c, Thread *t);
/* Around exec_run, and within it around translation. */
void explain_enter(ExplainThread *x);
void explain_leave(ExplainThread *x);
u64 explain_gen_begin(Cache *c); /* for the end */
void explain_gen_end(Cache *c, u64 began);

/* ---- explain_block.c ---- */
/* JSON: strings with what HTML would read escaped as well. */
void page_string(FILE *f, const char *text);
/* ,"s":name,"o":offset of a function; nothing where there is none. */
void page_symbol(FILE *f, const Cache *c, u64 pc);
/* Host register -> guest register. */
void page_plan(FILE *f, const Cache *c, const Plan *plan);
/* One block as a JSON object. */
void explain_block(FILE *f, Cache *c, const ExplainBlock *b);
u64 explain_runs(const ExplainBlock *b);
/* Guest instructions it ran. */
u64 explain_insns_run(const ExplainBlock *b);

#endif
