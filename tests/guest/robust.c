/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run robust
 *
 * Robust mutexes, private and shared with other processes: whichever way their owner
 * ends, the next one gets them and is told. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { MUTEXES = 3 };

static pthread_mutex_t *mutex; /* shared */
static int held[2];            /* a pipe: the locks are taken */

static void make(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < MUTEXES; i++)
        CHECK_EQ(pthread_mutex_init(&mutex[i], &attr), 0);
}

static void lock_all(void)
{
    for (int i = 0; i < MUTEXES; i++)
        CHECK_EQ(pthread_mutex_lock(&mutex[i]), 0);
    CHECK_EQ(write(held[1], "x", 1), 1);
}

/* They were left behind, and are as good as new afterwards. */
static void take_over(const char *how)
{
    for (int i = 0; i < MUTEXES; i++) {
        int r = pthread_mutex_lock(&mutex[i]);

        if (r != EOWNERDEAD)
            printf("%s: mutex %d gives %d\n", how, i, r);
        CHECK_EQ(r, EOWNERDEAD);
        CHECK_EQ(pthread_mutex_consistent(&mutex[i]), 0);
        CHECK_EQ(pthread_mutex_unlock(&mutex[i]), 0);
        CHECK_EQ(pthread_mutex_lock(&mutex[i]), 0);
        CHECK_EQ(pthread_mutex_unlock(&mutex[i]), 0);
    }
}

static void *lock_and_end(void *arg)
{
    lock_all();
    return arg;
}

static volatile int locked;

static void *lock_and_wait(void *arg)
{
    lock_all();
    locked = 1;
    for (;;)
        pause();
    return arg;
}

static void by_exit(void)
{
    lock_all();
    _exit(0);
}

static void by_signal(void)
{
    lock_all();
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    close(2);
    __builtin_trap();
}

/* Another thread holds them when this one ends the process. */
static void by_other(void)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, lock_and_wait, NULL), 0);
    while (!locked)
        usleep(1000);
    _exit(0);
}

/* A waiter sleeps when it happens. */
static void check_process(const char *how, void (*fn)(void), int early)
{
    char c;
    pid_t pid;

    make();
    pid = fork();
    if (pid == 0) {
        fn();
        _exit(1);
    }
    CHECK_EQ(read(held[0], &c, 1), 1);
    if (!early)
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
    take_over(how);
    if (early)
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void check_thread(void)
{
    pthread_t thread;
    char c;

    make();
    CHECK_EQ(pthread_create(&thread, NULL, lock_and_end, NULL), 0);
    CHECK_EQ(read(held[0], &c, 1), 1);
    take_over("end of a thread");
    pthread_join(thread, NULL);
}

/* A list that leads where nothing is, or beyond the end of a file: the end is the end.
 */
static void check_bad_list(void)
{
    struct {
        void *next;
        long offset;
        void *pending;
    } head, *bad[3];
    char name[] = "/tmp/robustXXXXXX";
    int fd = mkstemp(name), status;

    unlink(name);
    bad[0] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bad[1] = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bad[2] = (void *)-4096;
    for (size_t i = 0; i < 2 * COUNT(bad); i++) {
        pid_t pid = fork();

        if (pid == 0) {
            memset(&head, 0, sizeof head);
            head.next = i % 2 ? (void *)&head : bad[i / 2];
            head.pending = i % 2 ? bad[i / 2] : NULL;
            syscall(SYS_set_robust_list, &head, sizeof head);
            _exit(7);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 7 << 8);
    }
    close(fd);
}

int main(void)
{
    mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(mutex != MAP_FAILED);
    CHECK_EQ(pipe(held), 0);
    check_thread();
    check_bad_list();
    for (int early = 0; early < 2; early++) {
        check_process("exit", by_exit, early);
        check_process("a signal", by_signal, early);
        check_process("another thread's exit", by_other, early);
    }
    return check_done("robust");
}
