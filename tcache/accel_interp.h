/* SPDX-License-Identifier: MIT */
/*
 * "-accel interp": running a guest by interpreting its micro-ops.  Every thread
 * keeps blocks of its own, so there is nothing to lock; a block is compared with
 * its source bytes each time it is entered, so nothing has to be invalidated.
 */
#ifndef TESSERA_ACCEL_INTERP_H
#define TESSERA_ACCEL_INTERP_H

#include "tcache.h"

typedef struct InterpCache InterpCache;   /* one a process */
typedef struct InterpThread InterpThread; /* one an Env */

/* NULL: no memory. */
InterpCache *interp_cache_new(const CacheOptions *options, const Guest *guest,
                              Space *space);
/* Adds what threads do not count themselves. */
void interp_cache_stats(InterpCache *c, CacheStats *s);
/* The guest's map has changed, or any code may have: blocks look at both before they
 * are next entered. */
void interp_cache_map(InterpCache *c);
/* cache_pages_awaited. */
void interp_cache_pages_awaited(InterpCache *c);
/* Threads drop their blocks when they next look. */
void interp_cache_flush(InterpCache *c);

/* NULL: no memory. */
InterpThread *interp_thread_new(InterpCache *c);
void interp_thread_free(InterpThread *t);

/* Ends the instruction at hand with env->trap; for Mmu.fault. */
_Noreturn void interp_fault(InterpThread *t, Env *env);
/* As exec_run and exec_host_fault. */
TrapKind interp_run(InterpThread *t, Env *env);
bool interp_host_fault(InterpThread *t, Env *env, int sig, siginfo_t *info,
                       ucontext_t *context);
/* As exec_leave. */
bool interp_leave_access(InterpThread *t, Env *env, ucontext_t *context);
bool interp_is_inside(const InterpThread *t);

#endif
