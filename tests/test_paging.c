/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_paging        (SEED=n, SECONDS=t, MODE=name in the environment)
 *
 * Random programs on a hart behind page tables that miss pages, rights, A and D, and
 * change under way: as code, as traces, interpreted and one instruction at a time, all
 * must see the same traps in the same states, and leave the same memory and tables. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "paging.h"

enum { BATCH = 8, LENGTH = 150, ROUNDS = 24, SECONDS = 20, SECONDS_A_RUN = 100 };

static const PagingMode modes[] = {
    {"steps", {0}, .steps = true},           {"one", {.max_insns = 1}},
    {"blocks", {.hot = HOT_NEVER}},          {"hot", {.hot = 2}},
    {"small", {.code_size = 1, .hot = 20}},  {"interp", {.interp = true}},
    {"baseline", {.no_v3 = true, .hot = 2}}, {"storm", {.hot = 2}, .storm = true},
    {"check", {.check = true, .hot = 20}},
};

static u64 from_env(const char *name, u64 otherwise)
{
    const char *v = getenv(name);

    return v ? strtoull(v, NULL, 0) : otherwise;
}

static Outcome *outcome_new(void)
{
    Outcome *o = mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert_neq(o, MAP_FAILED);
    return o;
}

/* How the process ended. */
static int run(const PagingMode *mode, const CaseHead *file, Outcome *out)
{
    int status = 0;
    pid_t pid;

    out->n = out->faults = 0;
    fflush(NULL);
    pid = fork();
    if (!pid) {
        alarm(SECONDS_A_RUN);
        paging_run(mode, file, out);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void print_state(const State *a, const State *b)
{
    for (u32 i = 0; i < 32; i++)
        if (a->x[i] != b->x[i])
            printf("  x%u %016llx, by steps %016llx\n", i, (long long)a->x[i],
                   (long long)b->x[i]);
    for (u32 i = 0; i < 32; i++)
        if (a->f[i] != b->f[i])
            printf("  f%u %016llx, by steps %016llx\n", i, (long long)a->f[i],
                   (long long)b->f[i]);
    if (a->fcsr != b->fcsr)
        printf("  fcsr %llx, by steps %llx\n", (long long)a->fcsr, (long long)b->fcsr);
}

static void print_event(const char *who, const Event *e)
{
    printf("  %-8s trap %u code %u pc %llx address %llx\n", who, e->kind, e->code,
           (long long)e->pc, (long long)e->addr);
}

/* The first event that is not the same, or where one of them ended. */
static u64 first_difference(const Outcome *a, const Outcome *b)
{
    u64 i = 0;

    while (i < a->n && i < b->n && a->event[i].hash == b->event[i].hash)
        i++;
    return i;
}

static void tell(const PagingMode *mode, const CaseHead *file, Outcome *want,
                 Outcome *got, u64 seed)
{
    u64 i = first_difference(want, got);

    printf("DIFFERS: mode %s, event %llu of %llu and %llu\n", mode->name, (long long)i,
           (long long)got->n, (long long)want->n);
    printf("  again: SEED=%llu MODE=%s SECONDS=1 build/tests/test_paging\n",
           (long long)seed, mode->name);
    if (i)
        print_event("before", &want->event[i - 1]);
    print_event(mode->name, &got->event[i]);
    print_event("steps", &want->event[i]);
    want->wanted = got->wanted = i;
    run(&modes[0], file, want);
    run(mode, file, got);
    print_state(&got->state, &want->state);
}

static void must_agree(const CaseHead *file, Outcome *want, Outcome *got, u64 seed)
{
    const char *only = getenv("MODE");
    int status = run(&modes[0], file, want);

    cr_assert_eq(status, 0, "seed %llu, steps: wait status %#x", (long long)seed,
                 status);
    for (u32 m = 1; m < ARRAY_SIZE(modes); m++) {
        if (only && strcmp(only, modes[m].name))
            continue;
        status = run(&modes[m], file, got);
        if (!status && want->n == got->n && first_difference(want, got) == want->n)
            continue;
        tell(&modes[m], file, want, got, seed);
        cr_assert(false, "mode %s, seed %llu, wait status %#x", modes[m].name,
                  (long long)seed, status);
    }
}

static CaseHead *make_file(u64 seed)
{
    const RandomOptions options = {
        .length = LENGTH, .rounds = ROUNDS, .beyond = true, .each = NOT_EACH};
    Seq *seqs = calloc(BATCH, sizeof *seqs);
    CaseHead *file;
    size_t size;

    for (u32 i = 0; i < BATCH; i++)
        seq_make(&seqs[i], seed + i, &options);
    file = (CaseHead *)random_case(seqs, BATCH, ROUNDS, &size);
    free(seqs);
    return file;
}

Test(paging, modes_agree, .timeout = 3600)
{
    u64 first = from_env("SEED", 1), seed = first, faults = 0;
    time_t end = time(NULL) + (time_t)from_env("SECONDS", SECONDS);
    Outcome *want = outcome_new(), *got = outcome_new();

    want->wanted = got->wanted = ~0ull;
    do {
        CaseHead *file = make_file(seed);

        must_agree(file, want, got, seed);
        cr_assert_lt(want->n, MAX_EVENTS);
        faults += want->faults;
        free(file);
        seed += BATCH;
    } while (time(NULL) < end);
    cr_assert_gt(faults, 1000);
    printf("seeds %llu to %llu: %llu traps, no difference\n", (long long)first,
           (long long)seed - 1, (long long)faults);
}
