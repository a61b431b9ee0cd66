/* SPDX-License-Identifier: MIT */
/*
 * Random sequences on a bare hart behind Sv39, and the kernel under them, which is C
 * here: it takes the traps, brings missing pages, takes pages away and moves them.
 */
#ifndef TESTS_PAGING_H
#define TESTS_PAGING_H

#include "../tcache/tcache.h"
#include "../translate/riscv64/priv.h"
#include "random_insn.h"

enum { MAX_EVENTS = 1 << 18, MAX_PAGES = 256 };

typedef struct PagingMode {
    const char *name;
    CacheOptions options;
    bool steps, storm; /* exec_step alone; with requests */
} PagingMode;

/* A trap, or the end of a round: a hash of all that there was so far. */
typedef struct Event {
    u64 hash, pc, addr;
    u32 kind, code;
} Event;

/* What a run comes to; shared with who started it. */
typedef struct Outcome {
    u64 n, faults, compared, passed_by;
    u64 wanted;  /* number of the event at which ... */
    State state; /* ... this was so */
    Event event[MAX_EVENTS];
} Outcome;

/* Runs all sequences of the file; in a process of its own. */
void paging_run(const PagingMode *mode, const CaseHead *file, Outcome *out);

#endif
