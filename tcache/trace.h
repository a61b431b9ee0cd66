/* SPDX-License-Identifier: MIT */
/* Inside tcache: how a trace is led and which values it keeps in registers. */
#ifndef TESSERA_TRACE_H
#define TESSERA_TRACE_H

#include "tb.h"

enum { TRACE_BLOCKS = 64, TRACE_INSNS = 256 };

/* The way an earlier trace went. */
typedef struct Replay {
    const u64 *pcs; /* of its instructions */
    u32 n;
    bool loops;
} Replay;

typedef struct Tracer {
    Cache *cache;
    TbKey key;
    Follow follow;
    u64 seen[TRACE_BLOCKS];
    u32 n_seen;
    bool loops;           /* it came back to its head */
    const Replay *replay; /* NULL: finds its way itself */
    u32 at;               /* in there */
} Tracer;

void trace_begin(Tracer *t, Cache *c, TbKey key, const Replay *replay);
/* The plan for a trace (index into Cache.plans; 0: the default); room is the caller's
 * to have checked.  lean: no registers for values that it does not use. */
u16 trace_plan(Cache *c, const Ir *ir, bool loops, bool lean);

#endif
