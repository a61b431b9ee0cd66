/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run share
 *
 * Processes that share their parent's memory and run beside it (CLONE_VM alone): they
 * work together, have signal actions and descriptors of their own or not, fork, execute
 * programs, and are killed wherever they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { STACK = 1 << 16, CHILDREN = 4, TURNS = 500 };

static u8 stacks[CHILDREN][STACK] __attribute__((aligned(16)));
static _Atomic u32 turn, ready, stop, ended;
static volatile int caught, child_pid, child_parent;

static pid_t start(int i, int (*fn)(void *), int flags, void *arg)
{
    return clone(fn, stacks[i] + STACK, CLONE_VM | flags, arg);
}

static int wait_for(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    return status;
}

/* ---- side by side ---- */

static int take_turns(void *arg)
{
    u32 me = (u32)(u64)arg;

    for (u32 i = 0; i < TURNS; i++) {
        while (turn % (CHILDREN + 1) != me)
            syscall(SYS_sched_yield);
        turn++;
    }
    return (int)me;
}

static void check_turns(void)
{
    pid_t pid[CHILDREN];

    turn = 0;
    for (int i = 0; i < CHILDREN; i++) {
        pid[i] = start(i, take_turns, SIGCHLD, (void *)(u64)(i + 1));
        CHECK(pid[i] > 0);
    }
    take_turns(NULL);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(wait_for(pid[i]), (i + 1) << 8);
    CHECK_EQ(turn, TURNS * (CHILDREN + 1));
}

/* ---- what is shared, what not ---- */

static void on_signal(int sig)
{
    (void)sig;
    caught = (int)syscall(SYS_getpid);
}

static int change_much(void *arg)
{
    struct sigaction act = {.sa_handler = on_signal};

    child_pid = (int)syscall(SYS_getpid);
    child_parent = (int)syscall(SYS_getppid);
    sigaction(SIGUSR1, &act, NULL);
    syscall(SYS_kill, child_pid, SIGUSR1);
    syscall(SYS_close, (int)(u64)arg);
    return caught == child_pid ? 5 : 6;
}

static void check_flags(int flags)
{
    struct sigaction act;
    int fd = open("/dev/null", O_RDONLY);
    pid_t pid;

    caught = 0;
    signal(SIGUSR1, SIG_IGN);
    pid = start(0, change_much, SIGCHLD | flags, (void *)(u64)fd);
    CHECK_EQ(wait_for(pid), 5 << 8);
    CHECK_EQ(child_pid, pid);
    CHECK_EQ(child_parent, getpid());
    sigaction(SIGUSR1, NULL, &act);
    CHECK_EQ(act.sa_handler == on_signal, (flags & CLONE_SIGHAND) != 0);
    CHECK_EQ(close(fd), flags & CLONE_FILES ? -1 : 0);
    signal(SIGUSR1, SIG_DFL);
}

static int set_ids(void *arg)
{
    while (*(volatile pid_t *)arg != syscall(SYS_getpid))
        ;
    return 9;
}

static void check_ids(void)
{
    volatile pid_t parent_id = 0, child_id = 0;
    pid_t pid = clone(set_ids, stacks[0] + STACK,
                      CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                          CLONE_CHILD_CLEARTID | SIGCHLD,
                      (void *)&parent_id, &parent_id, NULL, &child_id);

    CHECK(pid > 0);
    CHECK_EQ(parent_id, pid);
    CHECK_EQ(wait_for(pid), 9 << 8);
    CHECK_EQ(child_id, 0);
}

/* Another exit signal, or none. */
static int nothing(void *arg) { return (int)(u64)arg; }

static void check_exit_signal(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    pid_t pid;

    caught = 0;
    sigaction(SIGUSR2, &act, NULL);
    pid = start(0, nothing, SIGUSR2, (void *)3);
    CHECK_EQ(wait_for(pid), 3 << 8);
    CHECK_EQ(caught, getpid());
    CHECK_EQ(wait_for(start(0, nothing, 0, (void *)4)), 4 << 8);
}

/* ---- fork and exec in one ---- */

static int fork_there(void *arg)
{
    int status = 0;
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    (void)arg;
    if (pid == 0)
        syscall(SYS_exit_group, 8);
    syscall(SYS_wait4, pid, &status, 0, NULL);
    return status >> 8;
}

static int exec_there(void *arg)
{
    char *args[] = {"share", "status", NULL};

    execve(arg, args, NULL);
    return 1;
}

static void check_fork_and_exec(void)
{
    CHECK_EQ(wait_for(start(0, fork_there, SIGCHLD, NULL)), 8 << 8);
    CHECK_EQ(wait_for(start(0, exec_there, SIGCHLD, "/proc/self/exe")), 21 << 8);
    CHECK_EQ(wait_for(start(0, exec_there, SIGCHLD, "/nonexistent")), 1 << 8);
}

/* ---- killed ---- */

static __attribute__((noreturn)) int run_for_ever(void *arg)
{
    volatile u64 x = 0;

    ready = 1;
    for (;;)
        x += (u64)arg;
}

static __attribute__((noreturn)) int sleep_for_ever(void *arg)
{
    (void)arg;
    ready = 1;
    for (;;)
        pause();
}

/* New code each time, so that the cache must be emptied in a small one. */
static void make_code(void)
{
    for (int i = 0; i < 300; i++) {
        u32 *code = mmap(NULL, 1 << 14, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CHECK(code != MAP_FAILED);
#ifdef __riscv
        for (int k = 0; k < (1 << 12) - 1; k++)
            code[k] = 0x00150513; /* addi a0, a0, 1 */
        code[(1 << 12) - 1] = 0x8067;
        CHECK_EQ(((u64(*)(u64))code)(1), 1 << 12);
#endif
        munmap(code, 1 << 14);
    }
}

static void check_killed(int (*fn)(void *))
{
    pid_t pid;

    ready = 0;
    pid = start(0, fn, SIGCHLD, NULL);
    while (!ready)
        usleep(100);
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
    make_code();
}

static __attribute__((noreturn)) int tell_and_run(void *arg)
{
    child_pid = (int)syscall(SYS_getpid);
    run_for_ever(arg);
}

static void *vfork_one(void *arg)
{
    pid_t pid =
        clone(tell_and_run, stacks[1] + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);

    CHECK_EQ(wait_for(pid), SIGKILL);
    ended = 1;
    while (!stop)
        usleep(1000);
    return NULL;
}

/* The same for the child of a vfork, whose parent waits in the kernel meanwhile. */
static void check_killed_vfork(void)
{
    pthread_t thread;

    ready = ended = stop = 0;
    CHECK_EQ(pthread_create(&thread, NULL, vfork_one, NULL), 0);
    while (!ready)
        usleep(100);
    make_code();
    kill(child_pid, SIGKILL);
    while (!ended)
        usleep(100);
    make_code();
    stop = 1;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 21;
    check_turns();
    check_flags(0);
    check_flags(CLONE_SIGHAND);
    check_flags(CLONE_FILES | CLONE_FS);
    check_ids();
    check_exit_signal();
    check_fork_and_exec();
    for (int i = 0; i < 10; i++) {
        check_killed(run_for_ever);
        check_killed(sleep_for_ever);
    }
    check_killed_vfork();
    return check_done("share");
}
