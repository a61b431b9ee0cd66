/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run ptrace_share
 *
 * As leak checkers do it: a process that shares memory with the one that made it stops
 * all of that one's threads, looks at their registers and lets them go.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { THREADS = 3, STACK = 256 * 1024 };

static _Atomic int tids[THREADS + 1];
static _Atomic u64 turns;
static _Atomic int stop;
static char stack[STACK] __attribute__((aligned(16)));
static u64 sp_of[THREADS + 1], turned_while_stopped;
static int failed;

static long trace(long request, pid_t pid, unsigned long addr, void *data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

static void *turn(void *arg)
{
    tids[(long)arg] = (int)syscall(SYS_gettid);
    while (!stop)
        turns++;
    return NULL;
}

static void need(int ok)
{
    if (!ok)
        failed++;
}

static int stop_and_look(void *arg)
{
    const struct timespec little = {.tv_nsec = 20 * 1000000};
    u64 regs[32], before;
    int status;

    for (int i = 0; i <= THREADS; i++) {
        struct iovec iov = {regs, sizeof regs};

        need(trace(PTRACE_ATTACH, tids[i], 0, NULL) == 0);
        need(waitpid(tids[i], &status, __WALL) == tids[i]);
        need(status == (SIGSTOP << 8 | 0x7f));
        need(trace(PTRACE_GETREGSET, tids[i], NT_PRSTATUS, &iov) == 0);
        sp_of[i] = regs[2];
    }
    before = turns;
    nanosleep(&little, NULL);
    turned_while_stopped = turns - before;
    for (int i = 0; i <= THREADS; i++)
        need(trace(PTRACE_DETACH, tids[i], 0, NULL) == 0);
    return arg != NULL;
}

static void look(void)
{
    pid_t pid;
    int status;

    failed = 0;
    pid =
        clone(stop_and_look, stack + STACK, CLONE_VM | CLONE_UNTRACED | SIGCHLD, NULL);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(failed, 0);
    CHECK_EQ(turned_while_stopped, 0);
    CHECK((u64)&pid - sp_of[0] < 65536); /* the caller's stack */
}

int main(void)
{
    pthread_t t[THREADS];
    u64 before;

    tids[0] = getpid();
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, turn, (void *)(i + 1));
    for (int i = 1; i <= THREADS; i++)
        while (!tids[i])
            sched_yield();
    for (int i = 0; i < 3; i++)
        look();
    before = turns;
    while (turns == before)
        sched_yield();
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    return check_done("ptrace_share");
}
