/* SPDX-License-Identifier: MIT */
/* What the files of -strace share: the line being made, and the tables of names. */
#ifndef TESSERA_STRACE_H
#define TESSERA_STRACE_H

#include "sys.h"

enum { SHOW_LINE = 8192, SHOW_BYTES = 32, SHOW_ITEMS = 16 };

/* A system call being written as text. */
typedef struct Show {
    Task *t;
    const SysDesc *desc;
    const u64 *arg;
    int i; /* the argument at hand */
    i64 result;
    size_t len;
    char text[SHOW_LINE];
} Show;

/* A name for the bits of mask when they have this value. */
typedef struct Name {
    u64 mask, value;
    const char *name;
} Name;

/* ---- strace.c ---- */

void show(Show *s, const char *format, ...) PRINTF(2, 3);
/* The names of v, joined by |; what has none in hex. */
void show_bits(Show *s, const Name *names, u64 v);
/* len bytes of guest memory as a quoted string, cut after a few. */
void show_bytes(Show *s, u64 addr, u64 len);

/* ---- strace_names.c: every table ends with a NULL name ---- */

extern const Name names_access[], names_at[], names_clock[], names_clone[],
    names_domain[], names_epoll_event[], names_epoll_op[], names_eventfd[],
    names_fcntl[], names_flock[], names_futex[], names_ioctl[], names_itimer[],
    names_madvise[], names_map[], names_mremap[], names_msg[], names_open[],
    names_poll[], names_prctl[], names_prot[], names_rlimit[], names_sa[],
    names_sched[], names_shut[], names_sig_how[], names_sock_level[],
    names_sock_option[], names_sock_type[], names_stack[], names_stat_mode[],
    names_ptrace[], names_userfault[], names_wait[], names_wait_which[], names_whence[];

/* ---- strace_show.c, strace_struct.c: one function a form ---- */

typedef void ShowFn(Show *s, u64 value);

#define ARG(word, how, size, show_fn, names) ShowFn show_fn;
#include "sysargs.def"
#undef ARG

#endif
