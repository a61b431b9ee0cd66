/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run stress
 *
 * Everything at once for a second: threads that write, patch and run code of their
 * own, one code page that all share, signals sent to all of them, forks in between.
 * Meant for small caches, where blocks are dropped while others run. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { WORKERS = 4, CODE = 1 << 17, RET = 0x00008067, MILLISECONDS = 900 };

static volatile int stop;
static u64 signals_seen;
static u32 *shared;

static u32 addi(u32 rd, u32 rs, int imm)
{
    return (u32)imm << 20 | rs << 15 | rd << 7 | 0x13;
}

static void on_signal(int sig)
{
    volatile double d = 1.5;

    (void)sig;
    for (int i = 0; i < 10; i++)
        d = d * 1.1 + i;
    __atomic_add_fetch(&signals_seen, 1, __ATOMIC_RELAXED);
}

/* f(x) = x + n * k, as n instructions. */
static u64 write_and_run(u32 *at, u32 n, int k, u64 x)
{
    for (u32 i = 0; i < n; i++)
        at[i] = addi(10, 10, k);
    at[n] = RET;
    __asm__ volatile("fence.i" ::: "memory");
    return ((u64(*)(u64))at)(x);
}

static void work_once(u32 *code, u64 *state)
{
    u64 r = random_next(state);
    u32 at = (u32)(r >> 8) % (CODE / 4 - 64), n = 1 + (u32)r % 60;
    int k = (int)(r >> 40 & 1023);

    CHECK_EQ(write_and_run(code + at, n, k, r), r + n * (u64)k);
}

/* All threads run it while one of them changes it: it returns one or the other. */
static void run_shared(void)
{
    u64 r = ((u64(*)(u64))shared)(0);

    CHECK(r == 5 || r == 6);
}

static void *work(void *arg)
{
    u64 state = (u64)arg * 7919 + 1;
    u32 *code = mmap(NULL, CODE, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double want = 0, got = 0;

    while (!stop) {
        for (int i = 0; i < 20; i++)
            work_once(code, &state);
        run_shared();
        if ((u64)arg == 1) {
            __atomic_store_n(shared, addi(10, 0, 5 + (int)(state & 1)),
                             __ATOMIC_SEQ_CST);
            __asm__ volatile("fence.i" ::: "memory");
        }
        want += 0.5, got += 0.25, got += 0.25;
    }
    CHECK(want == got);
    munmap(code, CODE);
    return NULL;
}

static void fork_and_wait(int i)
{
    int status = -1;
    pid_t pid = fork();

    if (!pid) {
        run_shared();
        _exit(check_failed ? 255 : i & 127);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, (i & 127) << 8);
}

static u64 milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

int main(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    u64 end = milliseconds() + MILLISECONDS;
    pthread_t t[WORKERS];

    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared[0] = addi(10, 0, 5);
    shared[1] = RET;
    sigaction(SIGUSR1, &act, NULL);
    for (u64 i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, work, (void *)i), 0);
    for (int i = 0; milliseconds() < end; i++) {
        pthread_kill(t[i % WORKERS], SIGUSR1);
        if (i % 50 == 0)
            fork_and_wait(i);
        usleep(300);
    }
    stop = 1;
    for (int i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    CHECK(signals_seen > 0);
    return check_done("stress");
}
