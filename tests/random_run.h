/* SPDX-License-Identifier: MIT */
/* Random programs run in modes, compared with a reference, and shrunk. */
#ifndef TESTS_RANDOM_RUN_H
#define TESTS_RANDOM_RUN_H

#include "random_insn.h"

typedef struct Mode {
    const char *name, *args[3];
    bool storm; /* with a timer's signals */
} Mode;

enum { NO_RUNNER = 127 };

/* How one program ended. */
typedef struct Run {
    CaseResult *out;
    u32 n; /* whole results */
    int status;
    double seconds; /* of processor time */
    u64 blocks;     /* that it ran, where -stats was asked for */
} Run;

typedef struct Tester {
    const char *tessera, *qemu, *runner; /* runner: the guest program */
    char file[64], out[64], err[64];     /* of sequences, of results, of messages */
    RandomOptions options;
} Tester;

/* A program: some sequences, of which those not dropped are run. */
typedef struct Prog {
    Seq *seq;
    u32 n, rounds;
} Prog;

/* ---- random_run.c ---- */

void prog_write(const Tester *t, const Prog *p);
/* Runs the program last written; r->out is freed with free(). */
Run run_mode(const Tester *t, const Mode *mode);
Run run_reference(const Tester *t); /* qemu; with --beyond our interpreter */
/* Do they differ in a sequence?  *at is its index in p->seq. */
bool runs_differ(const Prog *p, const Mode *mode, const Run *ours, const Run *theirs,
                 u32 *at);
void print_difference(const Prog *p, const Run *ours, const Run *theirs, u32 at);

/* ---- random_shrink.c ---- */

/* Leaves away what the difference does not need.  False: it does not come again. */
bool prog_shrink(const Tester *t, const Mode *mode, Prog *p, u32 at);

#endif
