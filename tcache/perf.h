/* SPDX-License-Identifier: MIT */
/* Inside tcache: what perf is told of generated code. */
#ifndef TESSERA_PERF_H
#define TESSERA_PERF_H

#include <sys/types.h>
#include "tb.h"

/* A file that we append to.  The guest may close our descriptor and reuse its
 * number: it is looked at before each write, and opened again. */
typedef struct PerfFile {
    char *path;
    int fd;
    dev_t dev;
    ino_t ino;
} PerfFile;

/* ---- perf.c ---- */

/* A piece of generated code; its instructions are for jitdump only. */
typedef struct PerfCode {
    u32 at, end; /* offsets into the code buffer */
    const char *name;
    const Ir *ir;       /* NULL: no guest instructions */
    const u32 *insn_at; /* where each begins */
} PerfCode;

/* Takes the path (glib's).  keep: goes on behind what is there.  False: errno. */
bool perf_file_create(PerfFile *f, char *path, bool keep);
void perf_file_write(PerfFile *f, const void *data, size_t size);

/* ---- jitdump.c ---- */

typedef struct JitDump JitDump;

/* NULL: no place to write to; it has been said, and options.jitdump is off. */
JitDump *jitdump_new(Cache *c);
void jitdump_code(JitDump *d, const PerfCode *code);
void jitdump_close(JitDump *d); /* frees it */

#endif
