/* SPDX-License-Identifier: MIT */
/*
 * The benchmark driver's door. A Kernel (one line of kernels.def) is run by several
 * Runners in turn: the host itself, one or more tessera binaries, qemu-riscv64. Every
 * figure is in nanoseconds per unit, and medians over rounds are compared.
 */
#ifndef BENCH_H
#define BENCH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    INTEGER,
    CALLS,
    INDIRECT,
    FLOAT,
    MEMORY,
    PROCESS,
    TRANSLATION,
    GROUPS
} Group;

/* How a kernel is measured and what its unit is. */
typedef enum {
    WHOLE,     /* the kernel's own time for all its rounds                */
    OPERATION, /* the kernel's own time, per round                        */
    START,     /* from spawn to exit of one process, median of several    */
    COLD,      /* (all of it - all but the cold code) per instruction     */
} Way;

typedef struct {
    const char *name;
    Group group;
    Way way;
    const char *what;
} Kernel;

typedef enum { NATIVE, TESSERA, QEMU } RunnerKind;

typedef struct {
    RunnerKind kind;
    char *label;
    char *path; /* of the emulator; NULL for the host itself */
    char *version;
} Runner;

typedef struct {
    GArray *times; /* double, ns per unit, one per round */
    uint64_t sum;  /* the checksum of the last round     */
    char *trouble; /* why there is no figure, or NULL    */
} Result;

typedef struct {
    GPtrArray *runners; /* Runner; the host is the first   */
    GPtrArray *chosen;  /* const Kernel                    */
    Result *results;    /* [kernel of chosen][runner]      */
    char *programs;     /* folder of native/ and riscv64/  */
    char *root;         /* of fetched guest programs       */
    int rounds;
    int percent; /* size of each kernel             */
    int starts;  /* processes started for one START */
} Bench;

/* driver.c */
extern const char *const group_names[GROUPS];
Result *result_of(const Bench *b, size_t kernel, size_t runner);

/* measure.c: one figure; on trouble returns false and says why in *trouble. */
bool measure(const Bench *b, const Kernel *k, const Runner *r, double *ns,
             uint64_t *sum, char **trouble);
char *find_version(const char *path);
char *command_line(const Bench *b, const Kernel *k, const Runner *r);

/* report.c: figures of one or several kernels. NAN where there is none. */
double result_median(const Result *result);
double ratio(const Bench *b, size_t kernel, size_t runner, size_t base);
double group_ratio(const Bench *b, int group, size_t runner, size_t base); /* -1: all */
char *format_time(const Kernel *k, double ns);
void print_header(const Bench *b);
void print_kernel(const Bench *b, size_t kernel);
void print_summary(const Bench *b);
char *json_of(const Bench *b);

/* chart.c */
char *chart_of(const Bench *b);

#endif
