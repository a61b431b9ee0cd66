/* SPDX-License-Identifier: MIT */
/* Runs a random program in a mode, and compares what came of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "random_run.h"

enum { SECONDS_A_RUN = 60, MAX_OUT = 1 << 30, BYTES_SHOWN = 16 };

/* ---- running ---- */

static int create(const char *name)
{
    return open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void child(const Tester *t, const char *runner, const Mode *mode)
{
    const char *argv[10];
    int n = 0;

    if (dup2(create(t->out), 1) < 0 || dup2(create(t->err), 2) < 0)
        _exit(125);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){MAX_OUT, MAX_OUT});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(SECONDS_A_RUN);
    argv[n++] = runner;
    for (int i = 0; i < 3 && mode->args[i]; i++)
        argv[n++] = mode->args[i];
    argv[n++] = t->runner;
    argv[n++] = t->file;
    if (mode->storm)
        argv[n++] = "storm";
    argv[n] = NULL;
    execvp(runner, (char *const *)argv);
    _exit(NO_RUNNER);
}

static void read_results(Run *r, const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st))
        return;
    r->out = malloc((size_t)st.st_size + 1);
    n = read(fd, r->out, (size_t)st.st_size);
    r->n = n > 0 ? (u32)((size_t)n / sizeof(CaseResult)) : 0;
    close(fd);
}

static void read_blocks(Run *r, const char *path)
{
    static const char name[] = "  blocks run";
    FILE *f = fopen(path, "r");
    char line[200];

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, sizeof name - 1))
            r->blocks = strtoull(line + sizeof name - 1, NULL, 10);
    if (f)
        fclose(f);
}

static Run run(const Tester *t, const char *runner, const Mode *mode)
{
    struct rusage used;
    Run r = {0};
    pid_t pid = fork();

    if (!pid)
        child(t, runner, mode);
    while (wait4(pid, &r.status, 0, &used) < 0 && errno == EINTR)
        ;
    r.seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    read_results(&r, t->out);
    read_blocks(&r, t->err);
    return r;
}

Run run_mode(const Tester *t, const Mode *mode) { return run(t, t->tessera, mode); }

Run run_reference(const Tester *t)
{
    static const Mode qemu = {
        "qemu", {"-cpu", "rv64,zba=true,zbb=true,zbs=true,Zfh=true"}, 0};
    static const Mode interp = {"interp", {"-accel", "interp"}, 0};

    return t->options.beyond ? run(t, t->tessera, &interp) : run(t, t->qemu, &qemu);
}

void prog_write(const Tester *t, const Prog *p)
{
    size_t size;
    u8 *file = random_case(p->seq, p->n, p->rounds, &size);
    int fd = create(t->file);

    if (fd < 0 || write(fd, file, size) != (ssize_t)size) {
        perror(t->file);
        exit(1);
    }
    close(fd);
    free(file);
}

/* ---- comparing ---- */

bool runs_differ(const Prog *p, const Mode *mode, const Run *ours, const Run *theirs,
                 u32 *at)
{
    u32 k = 0; /* results come without the dropped ones */

    for (u32 i = 0; i < p->n; i++) {
        *at = i;
        if (p->seq[i].dropped)
            continue;
        if (k >= ours->n || k >= theirs->n)
            return ours->n != theirs->n || ours->status != theirs->status;
        if (!(mode->storm && p->seq[i].flags & SEQ_RESERVES) &&
            memcmp(&ours->out[k], &theirs->out[k], sizeof(CaseResult)))
            return true;
        k++;
    }
    return ours->status != theirs->status;
}

static void print_value(const char *name, int i, u64 a, u64 b)
{
    if (a != b)
        printf("    %s%d: %016llx, expected %016llx\n", name, i, (unsigned long long)a,
               (unsigned long long)b);
}

static void print_states(const State *a, const State *b)
{
    for (int i = 0; i < 32; i++)
        print_value("x", i, a->x[i], b->x[i]);
    for (int i = 0; i < 32; i++)
        print_value("f", i, a->f[i], b->f[i]);
    print_value("fcsr", 0, a->fcsr, b->fcsr);
}

static void print_fault(const FaultRecord *a, const FaultRecord *b)
{
    if (!memcmp(a, b, sizeof *a))
        return;
    if (!b->sig || !a->sig) {
        printf("  %s fault %llu: signal %llu code %llu address %llx pc %llx\n",
               a->sig ? "unexpected" : "missing",
               (unsigned long long)(a->number | b->number),
               (unsigned long long)(a->sig | b->sig),
               (unsigned long long)(a->code | b->code),
               (unsigned long long)(a->addr | b->addr),
               (unsigned long long)(a->pc | b->pc));
        return;
    }
    printf("  at fault %llu, signal %llu code %llu address %llx pc %llx, expected %llu "
           "%llu %llx %llx\n",
           (unsigned long long)a->number, (unsigned long long)a->sig,
           (unsigned long long)a->code, (unsigned long long)a->addr,
           (unsigned long long)a->pc, (unsigned long long)b->sig,
           (unsigned long long)b->code, (unsigned long long)b->addr,
           (unsigned long long)b->pc);
    print_states(&a->state, &b->state);
}

static void print_begin(const State *s)
{
    printf("  the last round begins with: fcsr %02llx\n", (unsigned long long)s->fcsr);
    for (int i = 0; i < 32; i++)
        printf("    x%-2d %016llx  f%-2d %016llx\n", i, (unsigned long long)s->x[i], i,
               (unsigned long long)s->f[i]);
}

static u32 result_index(const Prog *p, u32 at)
{
    u32 k = 0;

    for (u32 i = 0; i < at; i++)
        k += !p->seq[i].dropped;
    return k;
}

void print_difference(const Prog *p, const Run *ours, const Run *theirs, u32 at)
{
    u32 k = result_index(p, at), shown = 0;
    const CaseResult *a, *b;

    printf("  wait status %#x, expected %#x\n", ours->status, theirs->status);
    if (k >= ours->n || k >= theirs->n)
        return;
    a = &ours->out[k];
    b = &theirs->out[k];
    print_begin(&b->begin);
    if (a->faults != b->faults)
        printf("  faults: %llu, expected %llu\n", (unsigned long long)a->faults,
               (unsigned long long)b->faults);
    for (int i = 0; i < RECORDS; i++)
        print_fault(&a->fault[i], &b->fault[i]);
    printf("  at the end:\n");
    print_states(&a->end, &b->end);
    for (int i = 0; i < SCRATCH_BYTES && shown < BYTES_SHOWN; i++)
        if (a->scratch[i] != b->scratch[i]) {
            printf("    memory at gp%+d: %02x, expected %02x\n", i - SCRATCH_BEFORE,
                   a->scratch[i], b->scratch[i]);
            shown++;
        }
}
