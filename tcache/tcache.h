/* SPDX-License-Identifier: MIT */
/*
 * The code cache: blocks (Tb), their code, the links between them, and the loop
 * that runs them.  One Cache a process, one Env a guest thread.  Looking a block
 * up takes no lock; making, linking and dropping one takes the cache's.
 */
#ifndef TESSERA_TCACHE_H
#define TESSERA_TCACHE_H

#include <signal.h>
#include <sys/stat.h>
#include <ucontext.h>
#include "../translate/translate.h"

typedef struct Cache Cache;

typedef struct CacheOptions {
    size_t code_size;     /* bytes of code buffer; 0: the default */
    u32 max_insns;        /* longest block; 1: -one-insn-per-tb; 0: the default */
    u32 hot;              /* entries before a block is translated again, as a trace;
                             0: the default; HOT_NEVER */
    bool counted;         /* keep all statistics */
    bool no_v3;           /* baseline stencils even where the host has x86-64-v3 */
    bool interp;          /* run the micro-ops' meanings, generate no code */
    bool budget;          /* count instructions: exec_run ends with TRAP_REQUEST when
                             Env.budget, then 0, does not last for the next block;
                             no traces */
    bool system;          /* virtual memory: Env.mmu */
    bool check;           /* do both, block by block, and compare */
    bool in_turn;         /* at most one thread at a time is in exec_run */
    OpCode plant[2];      /* check: emit [1] where [0] is meant, to see that told */
    const char *plant_in; /* ... or have this pass make the mistake */
    bool perfmap;         /* /tmp/perf-PID.map names blocks for perf report */
    bool jitdump;         /* so does a file for perf inject -j */
    int explain;          /* count and keep all that cache_explain tells; this signal is
                             ours.  0: no */
    /* Where translations are kept in files, for later processes; NULL: nowhere. */
    const char *saved;
    u64 saved_limit; /* bytes of them */
    /* The function (or file) that guest code is in, and how far; NULL: no name known.
     * Only asked for by logs and the like. */
    const char *(*symbol)(void *ctx, u64 pc, u64 *offset);
    void *symbol_ctx;
} CacheOptions;

enum { HOT_NEVER = 0x7fffffff };

typedef struct CacheStats {
    u64 blocks, traces, guest_insns, trace_insns, host_bytes, meta_bytes, translate_ns;
    u64 links, jump_misses, lookups, flushes, invalidated, smc_faults, hot_pages;
    u64 entries; /* times generated code was entered from C */
    /* Only counted when statistics were asked for: */
    u64 entered, jumps;      /* blocks run, indirect jumps run */
    u64 inside_ns, total_ns; /* in generated code; of all threads */
    /* Translations kept in files: used, of them instructions, blocks taken singly;
     * bytes written */
    u64 saved_files, saved_insns, saved_taken, saved_written;
    /* -accel check: */
    u64 compared, passed_by; /* blocks run both ways, and run without */
} CacheStats;

/* ---- accel.c: -accel's words ---- */

/* "jit,v3=off", "interp", ... into options.  Returns what is wrong, one line, for
 * free(); NULL: nothing. */
char *cache_accel(CacheOptions *options, const char *text);

/* ---- tb.c, code.c: the cache ---- */

/* NULL: errno. */
Cache *cache_new(const CacheOptions *options, const Guest *guest, Space *space);
void cache_stats(Cache *c, CacheStats *out);
/* " <function+0x12>" of a guest pc, for logs; nothing when it has no name. */
enum { SYMBOL_TEXT = 128 };
const char *cache_symbol_text(const Cache *c, u64 pc, char out[SYMBOL_TEXT]);

/* ---- saved.c, save.c: translations that outlast the process ---- */

/* Equal: the same file, unchanged.  Times in ns. */
typedef struct CacheFileId {
    u64 dev, ino, size, mtime, ctime;
} CacheFileId;

CacheFileId cache_file_id(const struct stat *st);

/* The guest's [addr, addr+len) is private, not writable, executable, and what the file
 * has at offset; until cache_invalidate.  path: the host's, to open it again. */
typedef struct CacheFile {
    u64 addr, len, offset;
    CacheFileId id;
    const char *path;
} CacheFile;

bool cache_keeps(const Cache *c); /* are translations kept at all? */
void cache_file_mapped(Cache *c, const CacheFile *file);
/* The process is about to end: keeps what it has made, if that is worth it. */
void cache_save(Cache *c, Env *env);

/* An Env of this cache for a new guest thread, registers zero; NULL: no memory.
 * The calling thread registers it with exec_thread_begin before running it. */
Env *env_new(Cache *c);
void env_free(Env *env); /* after exec_thread_end */

/* The process is about to end or to execve: completes what perf reads. */
void cache_end(Cache *c);

/* ---- thread.c, exec.c, fault.c, awaited.c: running ---- */

/* On the thread that will run env: sets gs.  Thereafter the thread is outside. */
void exec_thread_begin(Env *env);
void exec_thread_end(Env *env);
/* The calling thread runs env from now on; in a child of fork or vfork. */
void exec_thread_is(Env *env);
/* A process that ran on env in our memory, with the calling thread's TLS, is gone; if
 * it was killed inside, or with a lock held, nobody waits for it any more. */
void exec_thread_lost(Env *env);
/* On the calling thread, before such a process is made. */
void exec_lend_thread(void);
/* For every thread's; no thread comes or goes meanwhile. */
void cache_each_env(Cache *c, void (*visit)(Env *env, void *ctx), void *ctx);

/* Stops all other threads outside, so that their envs are precise, and visits every
 * thread's; until exec_release. */
typedef void ExecVisit(Env *env, void *ctx);
void exec_hold(Env *env, ExecVisit *visit, void *ctx);
void exec_release(Env *env);

/* Runs from env->pc until a trap; env is precise then, env->trap says why. */
TrapKind exec_run(Env *env);

/* Env.key_flags was changed from outside: the jump cache knows the old key's blocks.
 * On env's own thread, as all of these. */
void exec_forget_jumps(Env *env);
/* A whole system's CPU: env->mmu is there; its faults are to end exec_run. */
void cache_serve(Env *env);

/* Makes exec_run return TRAP_REQUEST soon.  Async-signal-safe, from any thread. */
void exec_request(Env *env);

/*
 * From the host's SIGSEGV/SIGBUS/SIGFPE/SIGILL handler, on the faulting thread.
 * True: it was generated code's, the context has been changed so that returning
 * from the handler goes on (a write to translated code) or ends exec_run with
 * TRAP_MEMORY.  False: not ours.
 */
bool exec_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context);
/* Is this host pc in generated code? */
bool exec_in_code(const Cache *c, u64 host_pc);

/*
 * From now on an access of guest memory may wait until another thread has provided the
 * page (userfaultfd), and that thread may need what a waiting one holds.  kick sends a
 * thread a signal that is never blocked there and whose handler calls exec_interrupt.
 */
void cache_pages_awaited(Cache *c, void (*kick)(i32 tid));
/* From the handler of any signal that is no fault: an access that may be waiting is
 * left and made again later, so that requests are looked at first.  True: there is a
 * request, but the thread may yet come to such an access before it looks; to be called
 * again. */
bool exec_interrupt(Env *env, ucontext_t *context);
/* exec_request, from another thread; one that waits in an access leaves it. */
void exec_urge(Env *env);

/* From the host's handler of CacheOptions.explain.  True: it was ours, and is done. */
bool exec_tick(Env *env, int sig, const siginfo_t *info, const ucontext_t *context);

/* ---- debug.c: for a debugger ---- */

/* What an instruction did to guest memory; size 0: nothing. */
typedef struct Access {
    u64 addr, size;
    bool load, store;
} Access;

/* Runs the instruction at env->pc, whatever the accelerator, by interpretation; stops
 * and requests are not looked at.  TRAP_NONE: it is done; TRAP_REQUEST: it is not, and
 * would wait for its page (exec_interrupt).  access may be NULL. */
TrapKind exec_step(Env *env, Access *access);
/* exec_run ends with TRAP_STOP before the instruction at pc, or no longer.  No thread
 * is in exec_run or exec_step.  False: no memory. */
bool cache_stop_at(Cache *c, u64 pc, bool stop);

/* ---- explain*.c: a run as a page ---- */

/* What the page says that the cache does not know. */
typedef struct ExplainFacts {
    const char *program, *ending; /* "exit status 0" */
    char *const *argv;
    char *const *notes; /* name, value, ...; NULL */
} ExplainFacts;

/* Writes the page of the run so far. */
void cache_explain(Cache *c, FILE *f, const ExplainFacts *facts);
/* In a forked child, after exec_fork_child: counts from nothing, or no more. */
void cache_explain_fork(Cache *c, Env *env, bool goes_on);

/* ---- fork.c ---- */

/* Around fork(2), on the thread of env.  Fault signals are not blocked yet. */
void exec_fork_prepare(Cache *c, Env *env);
void exec_fork_parent(Cache *c);
void exec_fork_child(Cache *c, Env *env); /* env: the one thread that is left */

/* ---- smc.c: code that changes ---- */

/* The guest's map of [addr, addr+len) changes or was changed: drop its blocks.
 * The pages' CODE flag is cleared; host protection is the caller's. */
void cache_invalidate(Cache *c, u64 addr, u64 len);
/* The host is about to write [addr, addr+len) (a system call's result, a device's DMA):
 * drop its blocks and make pages that the guest may write writable.  System: takes no
 * lock that is held while others wait. */
void cache_host_write(Cache *c, u64 addr, u64 len);
/* From the host's SIGSEGV handler, while a system's device writes RAM.  True: as above,
 * the write can go on. */
bool cache_device_fault(Cache *c, const void *host);
/* Drops the blocks of these pages and nothing else. */
void cache_drop(Cache *c, u64 addr, u64 len);
/* fence.i, riscv_flush_icache: drops blocks whose pages may change unseen. */
void cache_fence_i(Cache *c);
/* Drops every block.  Safe from any thread that is outside generated code. */
void cache_flush(Cache *c);

#endif
