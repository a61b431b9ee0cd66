/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run forks
 *
 * Parents and children go on with code that both had before the fork: each runs new
 * code, links and heats old code, and changes code that the other still runs. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { RET = 0x00008067, CHILDREN = 40, DEPTH = 6, HEAT = 20000 };

typedef u64 Function(u64);

static u64 (*volatile step)(u64);
static volatile int stop;

static u64 step_a(u64 x) { return x * 3 + 1; }
static u64 step_b(u64 x) { return x ^ x >> 7; }
static u64 step_c(u64 x) { return x - (x << 3); }

static __attribute__((noinline)) u64 heat(u64 x, u32 times)
{
    for (u32 i = 0; i < times; i++)
        x = step(x) + (i & 5 ? 1 : x & 3);
    return x;
}

static u32 load_constant(int n) /* addi a0, zero, n */
{
    return (u32)n << 20 | 10 << 7 | 0x13;
}

static void write_code(u32 *code, int n)
{
    code[0] = load_constant(n);
    code[1] = RET;
    __asm__ volatile("fence.i" ::: "memory");
}

static u64 run_code(const u32 *code) { return ((Function *)code)(0); }

static void *new_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Every child goes where its parent has not been, most where another has. */
static void many_children(void)
{
    static Function *const steps[] = {step_a, step_b, step_c};
    u64 want[3];

    for (int i = 0; i < 3; i++) {
        step = steps[i];
        want[i] = heat(12345, 50);
    }
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            step = steps[i % 3];
            _exit(heat(12345, 50) == want[i % 3] ? i : 255);
        }
        CHECK_EQ(status_of(pid), i);
    }
}

/* Old code becomes hot in the child, then in the parent: both get the same. */
static void hot_on_both_sides(void)
{
    int pipes[2];
    u64 here, there = 0;
    pid_t pid;

    CHECK_EQ(pipe(pipes), 0);
    step = step_b;
    heat(1, 10);
    pid = fork();
    here = heat(99, HEAT);
    if (pid == 0)
        _exit(write(pipes[1], &here, sizeof here) == sizeof here ? 0 : 1);
    CHECK_EQ(read(pipes[0], &there, sizeof there), sizeof there);
    CHECK_EQ(here, there);
    CHECK_EQ(status_of(pid), 0);
    close(pipes[0]);
    close(pipes[1]);
}

/* One side writes to the code while the other goes on with what was there. */
static void change_on_one_side(int parent_writes)
{
    u32 *code = new_code();
    int pipes[2];
    pid_t pid;
    char byte = 0;

    CHECK_EQ(pipe(pipes), 0);
    write_code(code, 5);
    CHECK_EQ(run_code(code), 5);
    pid = fork();
    if (pid == 0) {
        if (parent_writes && read(pipes[0], &byte, 1) != 1)
            _exit(254);
        if (!parent_writes)
            write_code(code, 7);
        _exit((int)run_code(code));
    }
    if (parent_writes) {
        write_code(code, 9);
        CHECK_EQ(run_code(code), 9);
        CHECK_EQ(write(pipes[1], &byte, 1), 1);
    }
    CHECK_EQ(status_of(pid), parent_writes ? 5 : 7);
    CHECK_EQ(run_code(code), parent_writes ? 9 : 5);
    munmap(code, 4096);
    close(pipes[0]);
    close(pipes[1]);
}

/* A child of a child of a child..., each with code of its own. */
static int descend(u32 *const *code, int depth)
{
    pid_t pid = fork();
    int below;

    if (pid != 0)
        return status_of(pid);
    write_code(code[depth], depth);
    below = depth + 1 < DEPTH ? descend(code, depth + 1) : 0;
    for (int i = 0; i <= depth; i++)
        if (run_code(code[i]) != (u64)i)
            _exit(255);
    _exit(below + 1);
}

static void deep(void)
{
    u32 *code[DEPTH];

    for (int i = 0; i < DEPTH; i++)
        code[i] = new_code();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(descend(code, 0), DEPTH);
}

static void *busy(void *arg)
{
    u64 want = heat(7, 100);

    while (!stop)
        CHECK_EQ(heat(7, 100), want);
    return arg;
}

/* The buffer is copied under a thread that runs it. */
static void beside_a_thread(void)
{
    pthread_t t;

    step = step_c;
    CHECK_EQ(pthread_create(&t, NULL, busy, NULL), 0);
    for (int i = 0; i < 20; i++)
        change_on_one_side(i & 1);
    stop = 1;
    pthread_join(t, NULL);
}

int main(void)
{
    many_children();
    hot_on_both_sides();
    change_on_one_side(0);
    change_on_one_side(1);
    deep();
    beside_a_thread();
    return check_done("forks");
}
