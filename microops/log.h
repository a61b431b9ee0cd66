/* SPDX-License-Identifier: MIT */
/* What -d can show: one table, one mask, one stream.  Output is line-atomic. */
#ifndef TESSERA_LOG_H
#define TESSERA_LOG_H

#include <stdio.h>
#include "base.h"

/*        bit  name       help */
#define LOG_ITEMS(X)                                                              \
    X(0, IN_ASM, "in_asm", "guest instructions of each block translated")         \
    X(1, OP, "op", "micro-ops as the guest's frontend made them")                 \
    X(2, OP_OPT, "op_opt", "micro-ops after the passes")                          \
    X(3, OUT_ASM, "out_asm", "host code of each block, one paragraph a micro-op") \
    X(4, EXEC, "exec", "each block entered")                                      \
    X(5, CPU, "cpu", "guest registers at each block entered (with exec)")         \
    X(6, CHAIN, "chain", "exits linked and unlinked")                             \
    X(7, NOCHAIN, "nochain", "do not link blocks: exec then shows every one")     \
    X(8, FAULT, "fault", "host faults taken in generated code")                   \
    X(9, SMC, "smc", "writes to translated code")                                 \
    X(10, PAGE, "page", "guest memory map when it changes")                       \
    X(11, SIGNAL, "signal", "signals delivered to the guest")                     \
    X(12, STRACE, "strace", "system calls")                                       \
    X(13, UNIMP, "unimp", "what the guest asked for and we do not have")          \
    X(14, GUEST_ERRORS, "guest_errors", "what no driver should ask of a device")  \
    X(15, INT, "int", "exceptions and interrupts that a system takes")            \
    X(16, MMU, "mmu",                                                             \
      "translations of a system's addresses, each time they are looked up")

enum {
#define X(bit, NAME, name, help) LOG_##NAME = 1u << bit,
    LOG_ITEMS(X)
#undef X
};

extern u32 log_mask; /* read-only after start-up */

static inline bool log_on(u32 items) { return UNLIKELY(log_mask & items); }

/* Parses "in_asm,op"; "help" prints the table and exits 0.  False: unknown item,
 * its name in *bad (points into spec; ends at a comma or NUL). */
bool log_set_items(const char *spec, const char **bad);
/* Sends the log to a file ("%d": our pid) instead of stderr.  False: errno. */
bool log_set_file(const char *path);
/* "-dfilter": START..END, START+LEN, START-LEN and names of code, comma-separated.
 * False: bad syntax. */
bool log_set_filter(const char *spec);
/* The names in it, a NULL after the last; NULL: none. */
char **log_filter_names(void);
/* Who says whether a pc is in code that one of the names means. */
void log_set_namer(bool (*in_names)(void *ctx, u64 pc), void *ctx);
/* Is this guest pc wanted?  True without a filter. */
bool log_wants(u64 pc);

void log_printf(const char *format, ...) PRINTF(1, 2);
/* Holds back what this thread logs until log_end, which writes it in one piece.
 * Returns a stream to print to; pairs may nest. */
FILE *log_begin(void);
void log_end(void);

/* One line "tessera: ..." to stderr; for the user, not for -d. */
void report(const char *format, ...) PRINTF(1, 2);

#endif
