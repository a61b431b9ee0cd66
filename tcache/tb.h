/* SPDX-License-Identifier: MIT */
/* Inside tcache: blocks, exits, the cache and its threads. */
#ifndef TESSERA_TB_H
#define TESSERA_TB_H

#include <glib.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include "lock.h"
#include "tcache.h"

/* A block (or trace) of translated code.  Blocks are made in order of their code. */
typedef struct Tb {
    u64 pc;
    u64 flags;     /* TbKey.flags, KEY_* */
    i32 count;     /* entries left before it is hot; generated code counts down */
    u32 code, end; /* offsets into the code buffer */
    u32 first_exit;
    u16 n_exits, n_insns;
    u32 map;           /* offset of its pc map */
    u32 hash_next;     /* block number, 0: none */
    u32 in_first;      /* exits linked to this block; exit number + 1 */
    u16 plan;          /* index into Cache.plans */
    u8 state;          /* TB_* */
    bool trace, loops; /* loops: its own successor */
    bool ahead;        /* its accesses are looked up by who enters it: strides_enter */
    struct Strides *strides; /* NULL: nothing in it is looked up ahead */
    u32 saved;               /* its number in a saved file; 0: made here */
} Tb;

enum { TB_ALIVE = 1, TB_DEAD = 2 };

/* A block that is run once and found by nobody: TbKey.flags has this. */
#define KEY_STEP (1ull << 63)
/* A whole system's block: the physical page it lies in. */
#define KEY_PHYS (((1ull << 56) - 1) & PAGE_MASK)

typedef struct TbExit {
    u64 pc;   /* guest pc it leads to */
    u32 jump; /* offset of the patchable displacement; 0: none */
    u32 stub; /* where it points when not linked */
    u32 tb;   /* whose exit it is */
    u32 to;   /* block it is linked to; 0: none */
    u32 next; /* in that block's list; exit number + 1 */
    u8 kind, trap;
    bool request;
    bool slot;      /* jump: of a host address that the code goes on at, or 0 */
    bool hot;       /* it is there for when the block is hot, and has been dropped */
    bool next_page; /* TRAP_FETCH: it is the page after pc's that cannot be read */
} TbExit;

/* One block on one guest page. */
typedef struct PageRef {
    u32 tb, next;
} PageRef;

enum {
    CODE_DEFAULT = 64 << 20,
    CODE_LEAST = 256 << 10,
    CODE_MARGIN = 64 << 10, /* no block is begun closer to the end */
    LESSON = 1023,          /* blocks that children can tell of between two forks */
    SPARED = 32,            /* look-ups: the copy of a page costs as much as fifteen */
    OWN_LITTLE = 16 << 10,  /* a child's new code is not faulted in ahead before that */
    WISHES_LEAST = 200,     /* writes put off before frozen code is copied... */
    WISHES_BYTES = 256,     /* and one more for each so many bytes of it */
    PROMOTE_URGENCY = 8,    /* wishes that a hot block there counts for... */
    PROMOTE_AGAIN = 64,     /* after so many entries each */
    HASH_BITS = 20,
    MAX_PLANS = 4096,
    PLAN_BITS = 13, /* of the table to find them in */
    HOT_DEFAULT =
        2000, /* about what making a trace costs, in entries it makes cheaper */
    HOT_PAGE_FAULTS = 8, /* writes to its code before a page is hot */
    HOT_MAX_INSNS = 16,  /* longest block on such a page */
    HOT_MAX_BYTES = HOT_MAX_INSNS * 16,
};

typedef struct Thread Thread;
struct Thread {
    Env *env;
    Thread *next, **prev;
    _Atomic u32 inside; /* runs or looks at generated code: nothing may be dropped */
    struct InterpThread *interp;
    struct CheckRun *check;
    struct Stepper *stepper;       /* exec_step's; NULL: not needed yet */
    struct ExplainThread *explain; /* NULL: no -explain */
    u64 *tallies; /* with it: two a Tb (runs, rounds of its loop), one a TbExit */
    u32 looks;    /* block whose loop is to be looked up ahead; 0: none */
    u32 sparing;  /* look-ups of a new child that are not worth the copy of a page */
    u64 step_pc;  /* run one instruction from here, off the record; -1: no */
    _Atomic i32 tid;
    sigjmp_buf *awaits;  /* it waits outside for a page of code; NULL: it does not */
    const void *awaited; /* a byte there */
    u64 entries, lookups, misses, inside_ns, born;
};

/* Where the code of a block is read from. */
typedef struct Source {
    const Space *space;    /* the window, or view */
    Space view;            /* system: in which it is at its virtual address */
    u64 page, shift, next; /* of view: how far physical pages are from virtual */
    /* It is one instruction, in two pages: its bytes, and from where. */
    bool joined;
    u8 joint[8];
    const u8 *halves[2];
} Source;

struct Cache {
    CacheOptions options;
    const Guest *guest;
    Space *space;
    const struct StencilSet *stencils;
    struct InterpCache *interp;
    struct Checker *check;
    struct Perf *perf;       /* NULL: nobody wants to know of code */
    struct Explain *explain; /* NULL: no -explain */
    struct Saved *saved;     /* NULL: no translations are kept in files */
    struct SavedForm *form;  /* what is made is to be saved; NULL: it is to be run */
    struct Cache *saving;    /* where that is made just now; NULL: nowhere */
    u8 *exec, *write;        /* the code buffer, mapped twice */
    size_t size;
    u32 at, at_start; /* next free byte; first after the thunks */
    size_t ready;     /* bytes of it that are in memory in both views */
    u32 frozen;       /* bytes of it shared with other processes since a fork */
    bool borrowed;    /* the rest is the parent's: not even to be added to */
    u32 own;          /* where a child's own memory began */
    u32 wishes;       /* writes to frozen code that were put off */
    struct Lesson *learn, *teach; /* what our children need; what we tell our parent */
    size_t tbs_ready, exits_ready, maps_ready; /* and of the tables */
    EmitThunks thunks;
    const void **helpers; /* the guest's, then the ops' meanings */

    Tb *tbs; /* from 1; directly after exec, so code can reach them */
    u32 n_tbs, max_tbs;
    u32 low_tb;     /* from there on: of saved files */
    u64 tables_end; /* offset of what follows them */
    TbExit *exits;
    u32 n_exits, max_exits;
    u8 *maps;
    u32 n_maps, max_maps;
    PageRef *refs;
    u32 n_refs, max_refs;
    _Atomic u32 *hash;
    Plan *plans; /* 0: the guest's default */
    u32 n_plans;
    GHashTable *pages; /* guest page number -> first PageRef */
    u64 last_page;     /* the one added to last, and its first PageRef */
    u32 last_ref;
    GHashTable *heat; /* guest page number -> writes to its code */

    Lock lock;       /* making, linking, dropping blocks; the thread list */
    Lock pages_lock; /* a leaf: CODE flags and their pages' protection */
    /* Pages that devices wrote, whose blocks are still to be dropped; more: all. */
    u64 written[64];
    _Atomic u32 n_written;
    _Atomic u32 stopping; /* somebody waits for all to be outside */
    u64 epoch;            /* full flushes so far */
    Thread *threads;
    _Atomic u64 last_id;
    Ir *ir;
    EmitTask *task;
    /* All before this is in one page, which each fork copies. */
    u16 plan_hash[1 << PLAN_BITS]; /* 0: none */
    Thread *reader;                /* reads guest code; a fault of it goes to ... */
    sigjmp_buf unreadable;         /* ... here */
    _Atomic i32 reader_tid;
    void (*_Atomic kick)(i32 tid); /* of cache_pages_awaited; NULL: nobody waits */
    u64 pages_read[2 * IR_INSNS];  /* of the block at hand */
    Source source;                 /* the block at hand's ... */
    /* ... or a copy of it, when its page may be written meanwhile. */
    Space still;
    u8 still_bytes[HOT_MAX_BYTES + sizeof(u64)]; /* dis_fetch looks ahead */
    bool moving;             /* it was written meanwhile: for one run only */
    struct Strides *strides; /* all there are */
    GHashTable *hopeless;    /* loops that gain nothing by them; NULL: none yet */
    GHashTable *joints;      /* blocks in two pages, alive or not; NULL: none yet */
    CacheStats stats;
    bool timed;
};

/* ---- code.c ---- */
bool code_map(Cache *c, size_t size, size_t data);
void code_make_ready(Cache *c); /* the next bytes, before they are touched */
/* Puts new memory at [from, to) of the buffer, with its first bytes to keep.  Threads
 * may run what is kept: each page is replaced at once.  False: errno. */
bool code_renew(Cache *c, size_t keep, size_t from, size_t to);

/* Where perf looks names up in a map, it must see this process map the buffer. */
void code_show(Cache *c);
/* Memory for counts, most of it never touched; NULL: none. */
void *code_sparse(size_t size);

/* ---- tb.c ---- */
Tb *tb_find(Cache *c, u64 pc, u64 flags); /* no lock needed; NULL: none */
Tb *tb_at(Cache *c, u32 offset);          /* whose code; NULL: nobody's */
/* The guest pc that offset belongs to, and what is due there; how many instructions the
 * block has begun by then, 0: it is being entered. */
u32 tb_pc_at(Cache *c, const Tb *tb, u32 offset, u64 *pc, Canon *due);
void tb_insert(Cache *c, Tb *tb);
void tb_drop(Cache *c, Tb *tb); /* lock held */
void tb_page_add(Cache *c, u32 tb, u64 page);
/* The code buffer and the tables, with more bytes after them.  False: errno. */
bool tb_make_tables(Cache *c, size_t size, size_t more);
void cache_reset(Cache *c); /* all threads outside, lock held */
/* The pcs of its instructions; maps: the table that it has its map in. */
void tb_map_pcs(const Tb *tb, const u8 *maps, u64 *pcs);
void tb_map_add(Cache *c, Tb *tb, const EmitTask *t, const Ir *ir);
static inline u32 tb_number(const Cache *c, const Tb *tb) { return (u32)(tb - c->tbs); }

/* The plan's index in Cache.plans; room is the caller's to have checked. */
u16 tb_plan(Cache *c, const Plan *plan);

/* ---- gen.c ---- */
typedef enum GenKind {
    GEN_BLOCK,
    GEN_TRACE,   /* it is hot */
    GEN_STRIDES, /* a trace that is entered by strides_enter alone */
} GenKind;
/* Translates the block; the lock is held.  NULL: the cache is full (flush it), or there
 * is no loop for GEN_STRIDES. */
Tb *tb_gen(Cache *c, Env *env, TbKey key, GenKind kind);
/* What a trace goes through before it is emitted, in order. */
typedef struct GenPass {
    const char *name;
    void (*run)(Ir *ir);
} GenPass;
extern const GenPass gen_passes[];
extern const u32 gen_n_passes;
void gen_pass(const Cache *c, u32 i, Ir *ir); /* runs one of them */
/* Emits ir as the code of tb, which begins at c->at; c->task has the results.  check:
 * bytes of source to compare on entry.  False: no room. */
bool gen_emit(Cache *c, Tb *tb, const Ir *ir, u32 check);

/* The function (or file) that a pc is in, and how far; NULL: no name known. */
const char *cache_symbol(const Cache *c, u64 pc, u64 *offset);

/* ---- chain.c ---- */
void chain_link(Cache *c, u32 exit, Tb *to);
void chain_unlink_into(Cache *c, Tb *tb); /* all exits that lead to it */
void chain_unlink_from(Cache *c, Tb *tb); /* its own exits, off other blocks' lists */

/* ---- system.c ---- */
/* What code env->pc stands for; *second: where the second half is of an instruction
 * that lies in two pages, else 0.  False: env->trap. */
bool system_key(const Cache *c, Env *env, TbKey *key, u64 *second);
Tb *system_find_joint(Cache *c, TbKey key, u64 second); /* lock held; NULL: none */
/* The source of the code at key.  False: env->trap. */
bool system_source(const Cache *c, Env *env, TbKey key, Source *s);
/* InterpRun.miss and StepRun.miss; NULL: no system. */
HelperFn *const *system_misses(const Env *env);
void system_join(Source *s);              /* reads the two halves, again */
void system_keep_joint(Cache *c, Tb *tb); /* instead of tb_insert */

/* ---- thread.c ---- */
u64 now_ns(void);
/* How often a loop is run before it is looked up ahead. */
u64 exec_rounds_first(const Cache *c);
u32 exec_n_tallies(const Cache *c);       /* 0: no -explain */
i32 exec_tally_at(const Cache *c, u32 i); /* for generated code: from ENV_BIAS */
void exec_add_stats(const Thread *t, CacheStats *s); /* what the thread did so far */
void exec_list_add(Cache *c, Thread *t);             /* lock held */
void exec_more_jumps(Env *env, const Tb *tb);        /* remembers it in Env.jump_more */

/* ---- exec.c ---- */
void exec_lock(Cache *c, Thread *self); /* leaves generated code's side first */
void exec_unlock(Cache *c, Thread *self);
void exec_stop_others(Cache *c, Thread *self); /* lock held, self outside or inside */
void exec_resume_others(Cache *c);
void exec_flush(Cache *c, Thread *self); /* drops all blocks; lock held */
/* tb_gen, where the code read may go away or lie beyond its file's end.  NULL: the
 * cache is full, or (*faulted, env->trap) the code could not be read. */
Tb *exec_gen(Cache *c, Env *env, TbKey key, GenKind kind, bool *faulted);
/* Runs code until it is left; returns the exit's number. */
u32 exec_enter(Cache *c, Env *env, const Tb *tb);
/* A block is about to be entered. */
void exec_log(Env *env, bool trace);

/* ---- fault.c ---- */
/* Was this a write that the guest may make, to a page that is watched for its code? */
bool exec_watches(const Cache *c, u64 addr, const siginfo_t *info);
/* The thread goes on at its instruction, which has not been done, by exec_run's way.
 * False: the context is in no block. */
bool exec_leave(Cache *c, Env *env, ucontext_t *context);

/* ---- awaited.c ---- */
/* Makes the thread, which is inside, leave an access that waits for its page. */
void exec_kick(const Cache *c, const Thread *t);
/* Does not return: back to where it was begun. */
_Noreturn void exec_stop_awaiting(const Thread *t, const ucontext_t *context);

/* ---- host_operand.c ---- */
enum { HOST_OPERANDS = 2 };
/* The addresses of the instruction that the context is at; how many. */
u32 host_operands(const ucontext_t *context, u64 addr[HOST_OPERANDS]);

/* ---- debug.c ---- */
void stepper_free(struct Stepper *s);
/* Does not return in exec_step, whose instruction ends with env->trap; for Mmu.fault.
 */
void step_fault(Env *env);
/* As exec_host_fault; false: the thread is not in exec_step. */
bool step_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context);
bool step_is_inside(const Thread *t); /* exec_step reads, or runs the instruction */
/* Then: it ends with TRAP_REQUEST. */
void step_leave_access(Env *env, ucontext_t *context);

/* ---- fork.c ---- */
void fork_own_tail(Cache *c);          /* before code is added */
void fork_own_all(Cache *c, u32 keep); /* nothing is frozen any more */
/* May the code at an offset be written?  If not now, then after enough wishes. */
bool fork_may_write(Cache *c, u32 at, u32 urgency);
void fork_teach(Cache *c, TbKey key); /* a block was made: tells the parent */

/* ---- perf.c: -perfmap, -jitdump ---- */
void perf_begin(Cache *c);
void perf_block(Cache *c, const Tb *tb, const Ir *ir, const EmitTask *t);
void perf_fork_child(Cache *c);

/* ---- smc.c ---- */
/* Write-protects the page if the guest could write it; false: it is hot. */
bool smc_protect(Cache *c, u64 page);
/* Drops the blocks that devices have overwritten; the lock is held. */
void smc_catch_up(Cache *c);
/* A write fault on translated code at addr.  Returns whether the block dropped may
 * include `running`. */
bool smc_write(Cache *c, u64 addr, const Tb *running);

#endif
