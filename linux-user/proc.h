/* SPDX-License-Identifier: MIT */
/* What the files of /proc share: proc_path.c (which file, whose), proc_maps.c (memory),
 * sys_proc_files.c (opening them). */
#ifndef TESSERA_PROC_H
#define TESSERA_PROC_H

#include <limits.h>
#include "user.h"

/* ---- proc_path.c ---- */

typedef struct ProcFile {
    char path[PATH_MAX]; /* .../PID/[task/TID/]NAME, or another below a proc */
    const char *name;    /* into path */
    size_t dir_len;      /* of path up to NAME's slash */
    size_t process_len;  /* up to the slash after PID */
    i32 pid;             /* 0: not of a process */
} ProcFile;

/* Where a process keeps its guest's memory. */
typedef struct ProcView {
    Memory *mem; /* the own process's; NULL: another's */
    u64 base, size;
    u64 phdr; /* another's AT_PHDR */
} ProcView;

/* Is path (empty: dir itself) in a proc file system?  Links at its end are not
 * followed. */
bool proc_find(i64 dir, const char *path, ProcFile *f);
/* The path of another file of the same process. */
char *proc_beside(const ProcFile *f, const char *name, char out[PATH_MAX]);
/* False: not a guest's process, or not one that we may look at. */
bool proc_view(const Task *t, const ProcFile *f, ProcView *v);

/* ---- proc_maps.c ---- */

/* What the guest has mapped with the same rights, from the same file. */
typedef struct ProcMap {
    u64 start, end, offset;
    char rights[5]; /* as in maps */
    bool is_file;
    bool no_dump;     /* MADV_DONTDUMP; proc_each_map only */
    const char *name; /* of the file, or [stack]...; not NULL */
} ProcMap;

typedef void ProcVisit(const ProcMap *m, void *ctx);

/* The own process's mem->lock is held meanwhile. */
void proc_each_map(const ProcView *v, const ProcFile *f, ProcVisit *visit, void *ctx);
/* The host's file f as it must look for the guest. */
void proc_put_maps(const ProcView *v, const ProcFile *f, FILE *out);
void proc_put_smaps(const ProcView *v, const ProcFile *f, FILE *out);
void proc_put_rollup(const ProcView *v, const ProcFile *f, FILE *out);
void proc_put_numa_maps(const ProcView *v, const ProcFile *f, FILE *out);
/* Bytes that the guest has mapped. */
u64 proc_mapped(const ProcView *v, const ProcFile *f);
/* Of those, what is private and writable: VmData. */
u64 proc_data(const ProcView *v, const ProcFile *f);

#endif
