/* SPDX-License-Identifier: MIT */
/*
 * The human monitor: lines in, text out.  All of it runs on the main thread with the
 * machine's lock held; what looks at a CPU's registers parks the CPUs meanwhile.
 */
#ifndef TESSERA_MONITOR_H
#define TESSERA_MONITOR_H

#include "hw.h"

/* Who asks, for one command. */
typedef struct Monitor {
    Machine *m;
    u32 cpu;            /* that registers and addresses mean */
    GString *out;       /* lines end in '\n' */
    const char *format; /* "10i" of x/10i; "": none */
    char **arg;         /* the command's words, NULL at the end */
    u32 n_args;
} Monitor;

#define MONITOR_PROMPT "(tessera) "

/* ---- monitor_edit.c: a line that somebody types ---- */

enum { EDIT_LINE_MAX = 4095, EDIT_HISTORY = 100 };

typedef struct LineEdit {
    GString *line;
    size_t cursor;
    GPtrArray *history; /* of char *, the newest last */
    u32 shown;          /* the history's line that is being edited; its length: none */
    char *own;          /* what was typed before going there */
    u8 escape;          /* state of an escape sequence */
    u8 digit;           /* of ESC [ digit ~ */
    bool after_return;
    /* Names that a word begins; NULL: nothing is completed. */
    void (*complete)(const char *line, GPtrArray *names);
} LineEdit;

void line_edit_init(LineEdit *e);
void line_edit_free(LineEdit *e);
/* Takes a byte; what the terminal shall show is added to out.  True: line is complete,
 * and is to be taken by line_edit_take. */
bool line_edit_put(LineEdit *e, u8 byte, GString *out);
char *line_edit_take(LineEdit *e); /* begins the next */

/* ---- monitor_command.c: what there is to say ---- */

/* One line, by m->cpu's and m->out's Monitor. */
void monitor_run(Monitor *mon, const char *line);
/* Words that may stand at the line's end. */
void monitor_complete(const char *line, GPtrArray *names);
/* Says "why", and where to find help. */
void monitor_refuse(Monitor *mon, const char *format, ...) PRINTF(2, 3);
Cpu *monitor_cpu(const Monitor *mon);
bool monitor_status_name(const Machine *m, const char **name); /* true: it is running */

/* ---- monitor_info.c: "info ITEM" ---- */

void monitor_info(Monitor *mon);
void monitor_info_help(GString *out, const char *prefix);
void monitor_info_names(const char *prefix, GPtrArray *names);

/* ---- monitor_expr.c: numbers, as in "x $sp + 8*(2+1)" ---- */

/* False: *why. */
bool monitor_eval(const Monitor *mon, const char *text, u64 *value, const char **why);

/* ---- monitor_memory.c ---- */

void monitor_x(Monitor *mon);     /* x/FMT: virtual addresses */
void monitor_xp(Monitor *mon);    /* xp/FMT: physical ones */
void monitor_print(Monitor *mon); /* print/FMT */
/* Reads RAM at a virtual address of the CPU; bytes read, up to the first that has none.
 */
size_t monitor_read_virtual(const Cpu *cpu, u64 addr, void *to, size_t n);
size_t monitor_read_physical(Machine *m, u64 addr, void *to, size_t n);

#endif
