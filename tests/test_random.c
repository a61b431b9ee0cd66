/* SPDX-License-Identifier: MIT */
/* Run: tests/test_random [--seed S] [--count N] [--seconds T] [--mode M] [--one]
 *      (by hand: cd build && TESSERA=./tessera-riscv64 tests/test_random --count 0)
 *
 *   --precise       sequences with an instruction that faults before each item in turn
 *   --each K        only before item K
 *   --beyond        what qemu 7.2 does otherwise, too, compared with the interpreter
 *   --instructions N  until so many have been executed (by each mode)
 *   --length, --rounds, --report
 *
 * Random instruction sequences under $TESSERA, in several modes, and under
 * qemu-riscv64: the states they end in, and those at every fault, must be the same.  A
 * difference is shrunk to the few instructions that make it, and printed with the
 * command that shows it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "random_run.h"

enum { BATCH = 40, SKIPPED = 77 };

static const Mode modes[] = {
    {"step", {"-one-insn-per-tb", "-stats"}, 0}, /* counts instructions */
    {"default", {NULL}, 0},
    {"small", {"-tb-size", "262144"}, 0},
    {"hot", {"-accel", "jit,hot=2"}, 0},
    {"interp", {"-accel", "interp"}, 0},
    {"baseline", {"-accel", "jit,v3=off"}, 0},
    {"storm", {"-accel", "jit,hot=2"}, true},
    {"check", {"-accel", "check"}, 0},
};
/* The last one is slow: it has its turn in one of so many programs. */
enum { SLOW = ARRAY_SIZE(modes) - 1, SLOW_TURN = 8 };

typedef struct Work {
    u64 seed, count, instructions; /* 0: no end */
    u32 seconds;
    i32 mode; /* -1: all */
    bool one, precise, report;
} Work;

/* What was done so far. */
typedef struct Tally {
    u64 sequences, insns, executed, faults;
    double seconds[ARRAY_SIZE(modes)], reference;
    u64 by[ARRAY_SIZE(modes)], program;    /* executed by each, in this program */
    double a_program, a_sequence, a_fault; /* instructions of the runner itself */
    time_t start;
} Tally;

/* ---- counting ---- */

static u64 run_faults(const Run *r)
{
    u64 n = 0;

    for (u32 i = 0; i < r->n; i++)
        n += r->out[i].faults;
    return n;
}

/* Instructions that a program of n times this sequence takes. */
static double measure(const Tester *t, const Seq *s, u32 n, u64 *faults)
{
    Prog p = {calloc(n, sizeof *s), n, t->options.rounds};
    double blocks;
    Run r;

    for (u32 i = 0; i < n; i++)
        p.seq[i] = *s;
    prog_write(t, &p);
    r = run_mode(t, &modes[0]);
    blocks = (double)r.blocks;
    *faults = run_faults(&r);
    free(r.out);
    free(p.seq);
    return blocks;
}

/* Instructions that the runner itself takes, from programs of nothing and one of a
 * breakpoint. */
static void calibrate(const Tester *t, Tally *y)
{
    Seq *s = calloc(1, sizeof *s);
    double one, two, trap;
    u64 faults;

    s->seed = 1;
    one = measure(t, s, 1, &faults);
    two = measure(t, s, 2, &faults);
    s->n = 1;
    s->item[0] = (Item){.n = 1, .insn = {0x00100073}};
    trap = measure(t, s, 1, &faults);
    y->a_program = one - (two - one);
    y->a_sequence = two - one;
    y->a_fault = (trap - one) / (double)MAX(faults, 1ull);
    free(s);
}

static u64 seq_insns(const Seq *s)
{
    u64 n = 0;

    for (u32 i = 0; i < s->n; i++)
        n += s->item[i].n;
    return n;
}

static void count(Tally *y, const Prog *p, const Run *step)
{
    u64 faults = run_faults(step);
    double executed = (double)step->blocks - y->a_program - p->n * y->a_sequence -
                      (double)faults * y->a_fault;

    y->program = executed > 0 ? (u64)executed : 0;
    y->executed += y->program;
    y->faults += faults;
    y->sequences += p->n;
    for (u32 i = 0; i < p->n; i++)
        y->insns += seq_insns(&p->seq[i]);
}

static void print_tally(const Tally *y)
{
    double all = y->reference;

    for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
        all += y->seconds[i];
    printf(
        "  %llu sequences, %llu instructions, executed %.4g times 10^6 by each mode, "
        "%llu faults, %lld s\n",
        (unsigned long long)y->sequences, (unsigned long long)y->insns,
        (double)y->executed / 1e6, (unsigned long long)y->faults,
        (long long)(time(NULL) - y->start));
    for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
        if (y->seconds[i] > 0)
            printf("  %-9s %8.1f s, %7.1f million a second\n", modes[i].name,
                   y->seconds[i], (double)y->by[i] / 1e6 / y->seconds[i]);
    printf("  reference %8.1f s, %7.1f million a second\n", y->reference,
           (double)y->executed / 1e6 / y->reference);
    printf("  all       %8.1f s, %7.1f million a second of processor time\n", all,
           (double)y->executed / 1e6 / all);
}

/* ---- failures ---- */

static void print_again(const Tester *t, const Mode *mode, const Prog *p, u32 at)
{
    const Seq *s = &p->seq[at];
    u32 left = 0;

    for (u32 i = 0; i < p->n; i++)
        left += !p->seq[i].dropped;
    printf("DIFFERS: mode %s, seed %llu\n", mode->name, (unsigned long long)s->seed);
    printf("  again: test_random --mode %s --length %u --rounds %u%s", mode->name,
           t->options.length, t->options.rounds, t->options.beyond ? " --beyond" : "");
    if (left > 1)
        printf(" --seed %llu --count %u%s\n", (unsigned long long)p->seq[0].seed, p->n,
               s->each == NOT_EACH ? "" : " --precise");
    else if (s->each != NOT_EACH)
        printf(" --seed %llu --each %d\n", (unsigned long long)s->seed, s->each);
    else
        printf(" --seed %llu --one\n", (unsigned long long)s->seed);
}

static void report_failure(const Tester *t, const Mode *mode, Prog *p, u32 at)
{
    bool again = prog_shrink(t, mode, p, at);
    Run ours, theirs;

    print_again(t, mode, p, at);
    if (!again)
        printf("  did not happen a second time\n");
    prog_write(t, p);
    ours = run_mode(t, mode);
    theirs = run_reference(t);
    if (runs_differ(p, mode, &ours, &theirs, &at))
        print_difference(p, &ours, &theirs, at);
    for (u32 i = 0; i < p->n && again; i++) {
        if (p->seq[i].dropped)
            continue;
        printf("  sequence %u, %u rounds, flags %llu:\n", i, p->rounds,
               (unsigned long long)p->seq[i].flags);
        seq_print(stdout, &p->seq[i]);
    }
    printf("  left: %s", t->tessera);
    for (int i = 0; i < 3 && mode->args[i]; i++)
        printf(" %s", mode->args[i]);
    printf(" %s %s%s\n", t->runner, t->file, mode->storm ? " storm" : "");
    free(ours.out);
    free(theirs.out);
}

/* ---- batches ---- */

static bool check_mode(Tester *t, Tally *y, u32 mode, Prog *p, const Run *theirs)
{
    Run ours = run_mode(t, &modes[mode]);
    bool good;
    u32 at;

    y->seconds[mode] += ours.seconds;
    good = !runs_differ(p, &modes[mode], &ours, theirs, &at);
    if (good && mode == 0)
        count(y, p, &ours);
    y->by[mode] += y->program;
    if (!good) {
        printf("wait status %#x after %u of %u sequences\n", ours.status, ours.n, p->n);
        report_failure(t, &modes[mode], p, at);
    }
    free(ours.out);
    return good;
}

static bool check_prog(Tester *t, Tally *y, const Work *w, Prog *p)
{
    bool slow = p->seq[0].seed / BATCH % SLOW_TURN == 0, good = true;
    Run theirs;

    prog_write(t, p);
    theirs = run_reference(t);
    y->program = 0;
    y->reference += theirs.seconds;
    if (WIFEXITED(theirs.status) && WEXITSTATUS(theirs.status) == NO_RUNNER) {
        printf("skipped: no %s\n", t->qemu);
        exit(SKIPPED);
    }
    if (theirs.n != p->n)
        printf("note: the reference stopped after %u of %u (seed %llu), status %#x\n",
               theirs.n, p->n, (unsigned long long)p->seq[0].seed, theirs.status);
    for (u32 m = 0; m < ARRAY_SIZE(modes) && good; m++)
        if (w->mode < 0 ? m != SLOW || slow : w->mode == (i32)m)
            good = check_mode(t, y, m, p, &theirs);
    free(theirs.out);
    return good;
}

/* Sequences of seeds seed .. seed + n - 1; or of one seed, with faults before item 0,
 * 1, ... n - 1 */
static bool check_batch(Tester *t, Tally *y, const Work *w, u64 seed, u32 n)
{
    Prog p = {calloc(n, sizeof(Seq)), n, t->options.rounds};
    bool good;

    for (u32 i = 0; i < n; i++) {
        RandomOptions options = t->options;

        if (w->precise)
            options.each = (i32)i;
        seq_make(&p.seq[i], w->precise ? seed : seed + i, &options);
    }
    good = check_prog(t, y, w, &p);
    free(p.seq);
    return good;
}

static bool is_done(const Work *w, const Tally *y, u64 seed)
{
    return (w->count && seed >= w->seed + w->count) ||
           (w->seconds && time(NULL) - y->start >= w->seconds) ||
           (w->instructions && y->executed >= w->instructions);
}

static bool work(Tester *t, const Work *w)
{
    u32 n = w->one ? 1 : w->precise ? t->options.length : BATCH;
    u32 by = w->precise ? 1 : n, reported = 0;
    Tally y = {.start = time(NULL)};
    u64 seed = w->seed;

    calibrate(t, &y);
    do {
        if (!check_batch(t, &y, w, seed, n))
            return false;
        seed += by;
        if (w->report && y.executed / 100000000 > reported) {
            reported = (u32)(y.executed / 100000000);
            printf("seeds %llu to %llu:\n", (unsigned long long)w->seed,
                   (unsigned long long)seed - 1);
            print_tally(&y);
        }
    } while (!w->one && !is_done(w, &y, seed));
    printf("seeds %llu to %llu, %u items, %u rounds: no difference\n",
           (unsigned long long)w->seed, (unsigned long long)seed - 1, t->options.length,
           t->options.rounds);
    print_tally(&y);
    return true;
}

/* ---- options ---- */

static i32 mode_find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
        if (!strcmp(modes[i].name, name))
            return (i32)i;
    fprintf(stderr, "test_random: no mode %s\n", name);
    exit(2);
}

static Work parse(int argc, char **argv, Tester *t)
{
    static const struct option options[] = {
        {"seed", 1, 0, 's'},
        {"count", 1, 0, 'c'},
        {"seconds", 1, 0, 't'},
        {"mode", 1, 0, 'm'},
        {"one", 0, 0, '1'},
        {"length", 1, 0, 'l'},
        {"beyond", 0, 0, 'b'},
        {"rounds", 1, 0, 'r'},
        {"precise", 0, 0, 'p'},
        {"each", 1, 0, 'e'},
        {"report", 0, 0, 'v'},
        {"instructions", 1, 0, 'i'},
        {0},
    };
    Work w = {.seed = 1, .count = 2000, .mode = -1};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's': w.seed = strtoull(optarg, NULL, 0); break;
        case 'c': w.count = strtoull(optarg, NULL, 0); break;
        case 't': w.seconds = (u32)atoi(optarg); break;
        case 'm': w.mode = mode_find(optarg); break;
        case '1': w.one = true; break;
        case 'l': t->options.length = (u32)atoi(optarg); break;
        case 'b': t->options.beyond = true; break;
        case 'r': t->options.rounds = (u32)atoi(optarg); break;
        case 'p': w.precise = true; break;
        case 'v': w.report = true; break;
        case 'i': w.instructions = strtoull(optarg, NULL, 0); break;
        case 'e':
            w.one = true;
            t->options.each = atoi(optarg);
            break;
        default: exit(2);
        }
    }
    return w;
}

/* What was not said. */
static void complete(Tester *t, const Work *w)
{
    RandomOptions *o = &t->options;
    bool precise = w->precise || o->each != NOT_EACH;

    o->length = o->length ? MIN(o->length, (u32)SEQ_ITEMS) : precise ? 40 : 200;
    o->rounds = o->rounds ? MIN(o->rounds, (u32)MAX_ROUNDS) : precise ? 16 : 64;
}

static const char *from_env(const char *name, const char *otherwise)
{
    const char *v = getenv(name);

    return v ? v : otherwise;
}

int main(int argc, char **argv)
{
    Tester t = {.tessera = from_env("TESSERA", "./tessera-riscv64"),
                .qemu = from_env("QEMU", "qemu-riscv64"),
                .options.each = NOT_EACH};
    Work w = parse(argc, argv, &t);
    char runner[300];
    bool good;

    complete(&t, &w);
    snprintf(runner, sizeof runner, "%s/random_runner",
             from_env("GUESTS", "tests/guest"));
    t.runner = runner;
    if (access(runner, R_OK)) {
        printf("skipped: no %s\n", runner);
        return SKIPPED;
    }
    snprintf(t.file, sizeof t.file, "/tmp/random-%d", getpid());
    snprintf(t.out, sizeof t.out, "/tmp/random-%d.out", getpid());
    snprintf(t.err, sizeof t.err, "/tmp/random-%d.err", getpid());
    setvbuf(stdout, NULL, _IOLBF, 0);
    good = work(&t, &w);
    unlink(t.out);
    unlink(t.err);
    if (good)
        unlink(t.file);
    return !good;
}
