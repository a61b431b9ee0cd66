/* SPDX-License-Identifier: MIT */
/*
 * Inside tcache: "-accel check".  Every block is interpreted first, from the ops as
 * the frontend made them; what that did is noted and undone; then its code runs.
 * Both must have done the same to registers, memory and pc.
 */
#ifndef TESSERA_CHECK_H
#define TESSERA_CHECK_H

#include "tb.h"

/* All that a block may change, but memory. */
typedef struct CheckState {
    u64 g[ENV_GLOBALS], guest_state[ARRAY_SIZE((Env){0}.guest_state)];
    u64 key_flags, res_addr, res_value, mxcsr;
    u64 system[SYSTEM_WORDS]; /* Guest.save's */
} CheckState;

typedef enum CheckEnd { END_WENT_ON, END_TRAPPED, END_FAULTED } CheckEnd;

/* What a run came to. */
typedef struct CheckOutcome {
    CheckEnd end;
    u64 pc;   /* where it goes on, trapped or faulted */
    u32 kind; /* trapped: TrapKind; faulted: CHECK_FAULT */
    u64 addr; /* faulted: guest address */
    CheckState state;
} CheckOutcome;

/* Which fault: a host signal; a system's: the trap and its code. */
#define CHECK_FAULT(trap) \
    ((trap)->sig ? (u32)(trap)->sig : (u32)(trap)->kind << 16 | (u16)(trap)->code)

/* A store of the interpreter's: what was there, what it left at the end. */
typedef struct CheckStore {
    u8 *host;
    u64 addr, before, after; /* addr: the guest's; of its tables: their host address */
    u32 op;                  /* index */
    u8 size;
    bool marks; /* made by the softmmu: in the guest's tables */
} CheckStore;

/* The ops of a block as the frontend made them. */
typedef struct CheckBlock {
    InterpCode code;
    const IrExit *exits;
    u32 n_ops, n_consts, n_insns, n_exits;
} CheckBlock;

enum { CHECK_STATUS = 70 }; /* the program's exit status after a mismatch */

/* A thread's. */
typedef struct CheckRun CheckRun;
struct CheckRun {
    InterpRun run;
    Env *env;
    const Space *space;
    ClockTape tape;
    GArray *stores; /* CheckStore */
    sigjmp_buf escape;
    volatile bool fragile; /* a host fault now goes to escape */
    volatile bool shared;  /* gave up: memory that others see, a device */
    volatile bool refused; /* the softmmu's fault: env->trap */
    volatile bool marked;  /* the softmmu marked the guest's tables */
    siginfo_t fault;
    bool fault_writes;
    CheckState start;
    i64 budget; /* as it began */
    CheckOutcome meant, got;
    u64 compared, passed_by; /* blocks run */
};

struct Checker {
    CheckBlock *blocks; /* by block number */
    u32 n_blocks;
    bool said; /* that threads are not compared */
};

/* ---- accel_check.c ---- */

/* NULL: no memory. */
struct Checker *check_new(u32 max_tbs);
void check_reset(struct Checker *k); /* all blocks are gone */
CheckRun *check_run_new(Env *env, const Space *space);
void check_run_free(CheckRun *r);
/* Keeps the ops of block number tb, before any pass. */
void check_keep(Cache *c, u32 tb, const Ir *ir);
/* What is to be emitted for ir: ir, unless CacheOptions.plant asks for a bug. */
const Ir *check_plant(const Cache *c, const Ir *ir);
/* The same for what a pass leaves. */
void check_plant_in(const Cache *c, const char *pass, Ir *ir);
/* Runs a block both ways; returns as running its code alone does. */
u32 check_enter(Cache *c, Env *env, const Tb *tb);
/* As exec_host_fault, for what check_enter does outside of generated code. */
bool check_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context);
void check_add_stats(const Thread *t, CacheStats *s);

/* Interprets code from r->start: fills *o.  Memory is left as the code made it, the
 * stores are in r->stores.  run.op says where it ended. */
void check_interpret(CheckRun *r, const InterpCode *code, const IrExit *exits,
                     CheckOutcome *o);
/* Undoes r->stores, last first. */
void check_undo(CheckRun *r);
void check_load(Env *env, const CheckState *s);
void check_save(CheckState *s, const Env *env);
/* Where differences are told, and who made what is not as it was meant. */
typedef struct CheckTell {
    FILE *f;
    const char *who;
} CheckTell;

/* Do they agree?  If not, says in one or more lines how not (tell may be NULL). */
bool check_same(const Cache *c, const CheckOutcome *meant, const CheckOutcome *got,
                const CheckTell *tell);
/* Is memory as the interpreter left it? */
bool check_same_memory(const CheckRun *r, const CheckTell *tell);

/* Ends what is interpreted; r->shared or r->refused says why. */
_Noreturn void check_escape(CheckRun *r);
void check_note(CheckRun *r, u64 addr, u8 *host, u8 size);

/* ---- check_system.c ---- */

/* Between these, r sees what the softmmu does for env. */
void check_system_begin(CheckRun *r);
void check_system_end(CheckRun *r);
/* Does not return if env's thread interprets; for Mmu.fault. */
void check_fault(Env *env);

/* ---- check_report.c ---- */

/* Finds the pass or the op to blame, prints all about it, ends the program. */
_Noreturn void check_report(Cache *c, Env *env, const Tb *tb);

#endif
