/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run threads
 *
 * Threads: create and join, mutexes, conditions, thread-local storage, signals to one
 * of them, many of them translating new code at once, ends in every way.
 * (qemu-riscv64 cannot execve without binfmt: one check fails there.) */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { THREADS = 6, RET = 0x00008067 };

static __thread u64 local = 1000;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static u64 total, turn;

static void run(void *(*fn)(void *), int n)
{
    pthread_t t[THREADS];
    void *result;

    for (i64 i = 0; i < n; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, fn, (void *)i), 0);
    for (i64 i = 0; i < n; i++) {
        CHECK_EQ(pthread_join(t[i], &result), 0);
        CHECK_EQ((i64)result, i * 3);
    }
}

static sem_t end;

static void *wait_for_end(void *arg)
{
    while (sem_wait(&end) && errno == EINTR)
        ;
    return arg;
}

static void *change_ids(void *arg)
{
    CHECK_EQ(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1), 0);
    return arg;
}

/* libc has every thread make such a call, by a signal of its own: the first thread of a
 * process in the way of the others, and the other way round. */
static void check_ids(void)
{
    pthread_t waits, changes;

    sem_init(&end, 0, 0);
    CHECK_EQ(pthread_create(&waits, NULL, wait_for_end, NULL), 0);
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        CHECK_EQ(setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1), 0);
    }
    CHECK_EQ(pthread_create(&changes, NULL, change_ids, NULL), 0);
    pthread_join(changes, NULL);
    sem_post(&end);
    pthread_join(waits, NULL);
}

static void check_ids_in_child(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        run(change_ids, 1);
        check_ids();
        fflush(stdout);
        _exit(check_failed != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

static void *add_up(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        total++;
        pthread_mutex_unlock(&mutex);
        local++;
    }
    CHECK_EQ(local, 3000);
    return (void *)((i64)arg * 3);
}

/* Each waits for its turn, round and round. */
static void *take_turns(void *arg)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != (u64)arg)
            pthread_cond_wait(&changed, &mutex);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)((i64)arg * 3);
}

/* Writes functions of its own and runs each: a1 += k, many times; then return. */
static void *translate_much(void *arg)
{
    size_t len = 1 << 16;
    u32 *code = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u32 k = (u32)(i64)arg + 1;
    u64 sum = 0;

    for (u32 i = 0; i < len / 4; i += 32) {
        for (u32 j = 0; j < 31; j++)
            code[i + j] = k << 20 | 10 << 15 | 10 << 7 | 0x13;
        code[i + 31] = RET;
    }
    __asm__ volatile("fence.i" ::: "memory");
    for (u32 round = 0; round < 3; round++)
        for (u32 i = 0; i < len / 4; i += 32)
            sum += ((u64(*)(u64))(code + i))(round);
    CHECK_EQ(sum, len / 128 * (31ul * k * 3 + 3));
    munmap(code, len);
    return (void *)((i64)arg * 3);
}

static void *do_nothing(void *arg) { return (void *)((i64)arg * 3); }

static void check_many(void)
{
    for (int i = 0; i < 50; i++)
        run(do_nothing, THREADS);
}

static sem_t ready, done;
static volatile pid_t hit;

static void on_usr1(int sig)
{
    (void)sig;
    hit = (pid_t)syscall(SYS_gettid);
}

static void *wait_signal(void *tid)
{
    *(volatile pid_t *)tid = (pid_t)syscall(SYS_gettid);
    sem_post(&ready);
    while (sem_wait(&done))
        CHECK_EQ(errno, EINTR);
    return NULL;
}

static void check_signal_to_one(void)
{
    volatile pid_t tid = 0;
    pthread_t t;

    signal(SIGUSR1, on_usr1);
    sem_init(&ready, 0, 0);
    sem_init(&done, 0, 0);
    CHECK_EQ(pthread_create(&t, NULL, wait_signal, (void *)&tid), 0);
    sem_wait(&ready);
    CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
    for (int i = 0; i < 1000 && !hit; i++)
        usleep(1000);
    CHECK_EQ(hit, tid);
    CHECK(tid != getpid());
    sem_post(&done);
    pthread_join(t, NULL);
}

static void *spin(void *arg)
{
    for (;;)
        if (arg)
            pthread_testcancel();
    return NULL;
}

static void check_cancel(void)
{
    pthread_t t;
    void *result;

    CHECK_EQ(pthread_create(&t, NULL, spin, (void *)1), 0);
    CHECK_EQ(pthread_cancel(t), 0);
    CHECK_EQ(pthread_join(t, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
}

static void *end_all(void *arg)
{
    (void)arg;
    usleep(5000);
    _exit(42);
}

static int child_status(void (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (!pid) {
        fn();
        _exit(99);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* The other threads are in a loop, in a system call and starting. */
static void exit_group(void)
{
    pthread_t t;

    pthread_create(&t, NULL, spin, NULL);
    pthread_create(&t, NULL, end_all, NULL);
    for (;;)
        pause();
}

static void die_in_thread(void)
{
    pthread_t t;

    pthread_create(&t, NULL, (void *(*)(void *))abort, NULL);
    spin(NULL);
}

static void *last_one(void *arg)
{
    (void)arg;
    usleep(10000);
    exit(17);
}

static void main_leaves_first(void)
{
    pthread_t t;

    pthread_create(&t, NULL, last_one, NULL);
    pthread_exit(NULL);
}

static void exec_from_thread(void)
{
    pthread_t t;

    pthread_create(&t, NULL, spin, NULL);
    execl("/proc/self/exe", "threads", "exit9", NULL);
}

static void check_ends(void)
{
    int status = child_status(exit_group);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    status = child_status(die_in_thread);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = child_status(main_leaves_first);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
    status = child_status(exec_from_thread);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static void *fork_in_thread(void *arg)
{
    for (int i = 0; i < 5; i++) {
        int status = 0;
        pid_t pid = fork();

        if (!pid)
            _exit(i);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(WEXITSTATUS(status), i);
    }
    return (void *)((i64)arg * 3);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "exit9"))
        return 9;
    check_ids_in_child();
    check_ids();
    run(add_up, THREADS);
    CHECK_EQ(total, THREADS * 2000);
    CHECK_EQ(local, 1000);
    run(take_turns, THREADS);
    CHECK_EQ(turn, THREADS * 200);
    run(translate_much, THREADS);
    check_many();
    check_signal_to_one();
    check_cancel();
    run(fork_in_thread, 3);
    check_ends();
    return check_done("threads");
}
