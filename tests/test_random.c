/* SPDX-License-Identifier: MIT */
/* Run: tests/test_random [--seed S] [--count N] [--seconds T] [--mode M] [--one]
 *      (by hand: cd build && TESSERA=./tessera-riscv64 tests/test_random --count 0)
 *
 * Random instruction sequences under $TESSERA, in several modes, and under
 * qemu-riscv64: the states they end in must be the same.  A difference is shrunk to
 * the few instructions that make it, and printed with the command that shows it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "random_insn.h"

enum {
    BATCH = 50,
    SKIPPED = 77,
    NO_RUNNER = 127,
    SECONDS_A_RUN = 20,
    MAX_OUT = 1 << 30
};

static const struct Mode {
    const char *name, *args[3];
} modes[] = {
    {"default", {NULL}},
    {"small", {"-tb-size", "1048576"}},
    {"step", {"-one-insn-per-tb"}},
    {"hot", {"-accel", "jit,hot=2"}},
    {"interp", {"-accel", "interp"}},
    {"baseline", {"-accel", "jit,v3=off"}},
};

typedef struct Run {
    u8 *out;
    size_t size; /* bytes written */
    int status;
} Run;

typedef struct Tester {
    const char *tessera, *qemu;
    char file[64], out[64]; /* of the guest program, of what it writes */
    const struct Mode *mode;
    RandomOptions options;
} Tester;

/* ---- running one program ---- */

static void child(const char *runner, const char *const *args, const char *file,
                  const char *out)
{
    const char *argv[8];
    int n = 0, fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || dup2(fd, 1) < 0 || dup2(open("/dev/null", O_WRONLY), 2) < 0)
        _exit(125);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){MAX_OUT, MAX_OUT});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(SECONDS_A_RUN);
    argv[n++] = runner;
    for (int i = 0; i < 3 && args[i]; i++)
        argv[n++] = args[i];
    argv[n++] = file;
    argv[n] = NULL;
    execvp(runner, (char *const *)argv);
    _exit(NO_RUNNER);
}

static void read_all(Run *r, const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st))
        return;
    r->out = malloc((size_t)st.st_size + 1);
    n = read(fd, r->out, (size_t)st.st_size);
    r->size = n > 0 ? (size_t)n : 0;
    close(fd);
}

static Run run(const Tester *t, const char *runner, const char *const *args)
{
    Run r = {0};
    pid_t pid = fork();

    if (!pid)
        child(runner, args, t->file, t->out);
    while (waitpid(pid, &r.status, 0) < 0 && errno == EINTR)
        ;
    read_all(&r, t->out);
    return r;
}

static Run run_qemu(const Tester *t)
{
    static const char *const args[3] = {"-cpu", "rv64,zba=true,zbb=true,zbs=true"};

    return run(t, t->qemu, args);
}

static void write_program(const Tester *t, Seq *seqs, u32 n)
{
    size_t size;
    u8 *elf = random_elf(seqs, n, &size);
    int fd = open(t->file, O_WRONLY | O_CREAT | O_TRUNC, 0700);

    if (fd < 0 || write(fd, elf, size) != (ssize_t)size) {
        perror(t->file);
        exit(1);
    }
    close(fd);
    free(elf);
}

/* ---- comparing ---- */

/* The first sequence whose dumps differ; n: none. */
static u32 first_difference(const Run *a, const Run *b, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        size_t from = i * sizeof(Dump), to = from + sizeof(Dump);

        if (to > a->size || to > b->size)
            return i;
        if (memcmp(a->out + from, b->out + from, sizeof(Dump)))
            return i;
    }
    return a->status == b->status ? n : 0;
}

static void print_values(const char *kind, const u64 *a, const u64 *b)
{
    for (int i = 0; i < 32; i++)
        if (a[i] != b[i])
            printf("  %s%d: %016llx, qemu %016llx\n", kind, i, (unsigned long long)a[i],
                   (unsigned long long)b[i]);
}

static void print_difference(const Run *ours, const Run *theirs)
{
    const Dump *a = (const Dump *)ours->out, *b = (const Dump *)theirs->out;

    printf("  wait status %#x, qemu %#x\n", ours->status, theirs->status);
    if (ours->size < sizeof(Dump) || theirs->size < sizeof(Dump))
        return;
    print_values("x", a->x, b->x);
    print_values("f", a->f, b->f);
    if (a->fcsr != b->fcsr)
        printf("  fcsr: %02llx, qemu %02llx\n", (unsigned long long)a->fcsr,
               (unsigned long long)b->fcsr);
    for (int i = 0; i < SCRATCH_SIZE; i++)
        if (a->scratch[i] != b->scratch[i])
            printf("  scratch gp%+d: %02x, qemu %02x\n", i - SCRATCH_MIDDLE,
                   a->scratch[i], b->scratch[i]);
}

static bool differs(const Tester *t, Seq *s, bool print)
{
    Run ours, theirs;
    bool yes;

    write_program(t, s, 1);
    ours = run(t, t->tessera, t->mode->args);
    theirs = run_qemu(t);
    yes = first_difference(&ours, &theirs, 1) == 0;
    if (yes && print)
        print_difference(&ours, &theirs);
    free(ours.out);
    free(theirs.out);
    return yes;
}

/* ---- shrinking ---- */

static void drop(Seq *s, u32 from, u32 n, bool dropped)
{
    for (u32 i = from; i < from + n && i < s->n; i++)
        s->item[i].dropped = dropped;
}

/* Leaves away, in ever smaller pieces, what the difference does not need. */
static void shrink(const Tester *t, Seq *s)
{
    for (u32 piece = s->n / 2; piece; piece /= 2) {
        for (u32 i = 0; i < s->n; i += piece) {
            bool had = false;

            for (u32 k = i; k < i + piece && k < s->n; k++)
                had |= !s->item[k].dropped;
            if (!had)
                continue;
            drop(s, i, piece, true);
            if (!differs(t, s, false))
                drop(s, i, piece, false);
        }
    }
}

static void print_start(const Seq *s)
{
    printf("  start: fcsr %02llx\n", (unsigned long long)s->fcsr);
    for (int i = 0; i < 32; i++)
        printf("  x%-2d %016llx  f%-2d %016llx\n", i, (unsigned long long)s->x[i], i,
               (unsigned long long)s->f[i]);
}

static void report_failure(const Tester *t, u64 seed)
{
    Seq *s = malloc(sizeof(*s));

    printf("DIFFERS: mode %s, seed %llu\n", t->mode->name, (unsigned long long)seed);
    printf("  again: test_random --seed %llu --one --mode %s%s\n",
           (unsigned long long)seed, t->mode->name,
           t->options.beyond ? " --beyond" : "");
    seq_make(s, seed, &t->options);
    if (differs(t, s, false)) {
        shrink(t, s);
        print_start(s);
        seq_print(stdout, s);
        differs(t, s, true);
        printf("  the program is left in %s\n", t->file);
    } else {
        printf("  only together with the sequences before it (without --one)\n");
    }
    free(s);
}

/* ---- batches ---- */

/* True: all the same. */
static bool check_mode(Tester *t, const Run *theirs, u64 seed, u32 n)
{
    Run ours = run(t, t->tessera, t->mode->args);
    u32 at = first_difference(&ours, theirs, n);

    free(ours.out);
    if (at == n)
        return true;
    printf("wait status %#x after %zu of %u sequences\n", ours.status,
           ours.size / sizeof(Dump), n);
    report_failure(t, seed + at);
    return false;
}

/* Sequences of seeds seed .. seed + n - 1 in the modes [first, last]. */
static bool check_batch(Tester *t, u64 seed, u32 n, u32 first, u32 last)
{
    Seq *seqs = malloc(n * sizeof(Seq));
    bool good = true;
    Run theirs;

    for (u32 i = 0; i < n; i++)
        seq_make(&seqs[i], seed + i, &t->options);
    write_program(t, seqs, n);
    theirs = run_qemu(t);
    if (WIFEXITED(theirs.status) && WEXITSTATUS(theirs.status) == NO_RUNNER) {
        printf("skipped: no %s\n", t->qemu);
        exit(SKIPPED);
    }
    if (theirs.size != n * sizeof(Dump))
        printf("note: qemu stopped after %zu of %u (seed %llu), status %#x\n",
               theirs.size / sizeof(Dump), n, (unsigned long long)seed, theirs.status);
    for (u32 m = first; m <= last && good; m++) {
        t->mode = &modes[m];
        good = check_mode(t, &theirs, seed, n);
    }
    free(theirs.out);
    free(seqs);
    return good;
}

static u32 mode_find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
        if (!strcmp(modes[i].name, name))
            return i;
    fprintf(stderr, "test_random: no mode %s\n", name);
    exit(2);
}

typedef struct Work {
    u64 seed, count; /* count 0: no end */
    u32 seconds, mode;
    bool one, all_modes;
} Work;

static Work parse(int argc, char **argv, Tester *t)
{
    static const struct option options[] = {
        {"seed", 1, 0, 's'},    {"count", 1, 0, 'c'},
        {"seconds", 1, 0, 't'}, {"mode", 1, 0, 'm'},
        {"one", 0, 0, '1'},     {"length", 1, 0, 'l'},
        {"beyond", 0, 0, 'b'},  {0},
    };
    Work w = {.seed = 1, .count = 2000, .seconds = 0, .all_modes = true};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's': w.seed = strtoull(optarg, NULL, 0); break;
        case 'c': w.count = strtoull(optarg, NULL, 0); break;
        case 't': w.seconds = (u32)atoi(optarg); break;
        case 'm':
            w.mode = mode_find(optarg);
            w.all_modes = false;
            break;
        case '1': w.one = true; break;
        case 'l': t->options.length = (u32)atoi(optarg); break;
        case 'b': t->options.beyond = true; break;
        default: exit(2);
        }
    }
    return w;
}

static bool work(Tester *t, const Work *w)
{
    u32 last = w->all_modes ? ARRAY_SIZE(modes) - 1 : w->mode;
    u64 end = w->one ? w->seed + 1 : w->seed + w->count, done = 0;
    time_t start = time(NULL);

    for (u64 seed = w->seed; w->one || !w->count || seed < end; seed += BATCH) {
        u32 n = w->one ? 1 : BATCH;

        if (!check_batch(t, seed, n, w->mode, last))
            return false;
        done += n;
        if (w->one || (w->seconds && time(NULL) - start >= w->seconds))
            break;
    }
    printf("%llu sequences of %u items, from seed %llu: no difference\n",
           (unsigned long long)done, t->options.length, (unsigned long long)w->seed);
    return true;
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
                .options.length = 200};
    Work w = parse(argc, argv, &t);
    bool good;

    snprintf(t.file, sizeof(t.file), "/tmp/random-%d", getpid());
    snprintf(t.out, sizeof(t.out), "/tmp/random-%d.out", getpid());
    setvbuf(stdout, NULL, _IOLBF, 0);
    good = work(&t, &w);
    unlink(t.out);
    if (good)
        unlink(t.file);
    return !good;
}
