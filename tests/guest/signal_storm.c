/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run signal_storm      (GUEST_ARGS=N: so many signals, in thousands)
 *
 * Another process sends queued signals as fast as it can to eight threads and to the
 * process, while these compute, make system calls, map and unmap, change code, fork,
 * and end; each thread has a timer of its own, too.  What was sent arrives: each one
 * once, and those for one thread in their order. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { WORKERS = 8, THOUSANDS = 40, PATIENCE_S = 20 };

typedef struct Shared {
    _Atomic pid_t tid[WORKERS];
    _Atomic u32 sent[WORKERS], sent_all, sent_sum;
    _Atomic int done;
} Shared;

static Shared *shared;
static __thread int self;
static u32 got[WORKERS], out_of_order, ticks[WORKERS];
static _Atomic u32 got_all, got_sum;
static _Atomic int over;

#define SIG_ONE   (SIGRTMIN + 3)
#define SIG_ALL   (SIGRTMIN + 4)
#define SIG_TIMER (SIGRTMIN + 5)

/* ---- handlers ---- */

static void on_one(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    if ((u32)info->si_value.sival_int != got[self] || info->si_code != SI_QUEUE)
        out_of_order++;
    got[self]++;
}

static void on_all(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    got_all++;
    got_sum += (u32)info->si_value.sival_int;
}

static void on_timer(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    ticks[self] += 1 + (u32)info->si_overrun;
}

static void catch (int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction act = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_RESTART};

    CHECK_EQ(sigaction(sig, &act, NULL), 0);
}

/* ---- the other process ---- */

static int send_to(pid_t process, int worker)
{
    siginfo_t info = {.si_code = SI_QUEUE};

    info.si_value.sival_int = (int)shared->sent[worker];
    return (int)syscall(SYS_rt_tgsigqueueinfo, process, shared->tid[worker], SIG_ONE,
                        &info);
}

static void send_all(pid_t process, u32 n)
{
    for (u32 i = 0; i < n;) {
        int worker = (int)(i % (WORKERS + 1));
        int failed = worker < WORKERS
                         ? send_to(process, worker)
                         : sigqueue(process, SIG_ALL, (union sigval){(int)i});

        if (failed && errno == EAGAIN) { /* RLIMIT_SIGPENDING */
            usleep(500);
            continue;
        }
        CHECK_EQ(failed, 0);
        if (failed)
            break;
        if (worker < WORKERS) {
            shared->sent[worker]++;
        } else {
            shared->sent_all++;
            shared->sent_sum += i;
        }
        i++;
    }
    shared->done = 1;
}

/* ---- what the threads do ---- */

static void compute(u64 *state)
{
    u64 h = HASH_START, s = 88172645463325252;

    (void)state;
    for (int i = 0; i < 300; i++)
        h = hash_add(h, random_next(&s));
    CHECK_EQ(h, 0xe0e26d35e9840316);
}

static void call(u64 *state)
{
    char c = (char)random_next(state), back = 0;
    int ends[2];

    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], &c, 1), 1);
    CHECK_EQ(read(ends[0], &back, 1), 1);
    CHECK_EQ(back, c);
    close(ends[0]);
    close(ends[1]);
}

static void map(u64 *state)
{
    size_t pages = 1 + random_next(state) % 16;
    u8 *p = mmap(NULL, pages << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);

    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < pages; i++)
        p[i << 12] = (u8)i;
    CHECK_EQ(mprotect(p, 4096, PROT_READ), 0);
    CHECK_EQ(p[(pages - 1) << 12], (u8)(pages - 1));
    CHECK_EQ(munmap(p, pages << 12), 0);
}

static __thread u32 *code;

/* A function "return VALUE", written anew each time. */
static void change_code(u64 *state)
{
    u32 value = (u32)random_next(state) & 0x7ff;

    if (!code) {
        code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(code != MAP_FAILED);
    }
#ifdef __riscv
    code[0] = value << 20 | 10 << 7 | 0x13; /* li a0, value */
    code[1] = 0x8067;                       /* ret */
#else
    memcpy(code, "\xb8", 1); /* mov eax, value; ret: to try the test itself */
    memcpy((u8 *)code + 1, &value, 4);
    memcpy((u8 *)code + 5, "\xc3", 1);
#endif
    __builtin___clear_cache((char *)code, (char *)(code + 2));
    CHECK_EQ(((u32(*)(void))code)(), value);
}

static void make_process(u64 *state)
{
    int status = -1, vforked = random_next(state) & 1;
    pid_t pid = vforked ? vfork() : fork();

    if (pid == 0)
        _exit(7);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_EQ(WEXITSTATUS(status), 7);
}

static void *brief(void *arg) { return arg; }

/* Its thread may have taken a signal of the process's, and ends. */
static void make_thread(u64 *state)
{
    pthread_t thread;

    (void)state;
    CHECK_EQ(pthread_create(&thread, NULL, brief, NULL), 0);
    pthread_join(thread, NULL);
}

static void (*const works[])(u64 *) = {compute, call,        map,          compute,
                                       compute, change_code, make_process, make_thread};

static void *work(void *arg)
{
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIG_TIMER};
    timer_t id;
    int failed;
    u64 state;

    self = (int)(i64)arg;
    state = (u64)self + 1;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    while ((failed = timer_create(CLOCK_MONOTONIC, &event, &id)) && errno == EAGAIN)
        usleep(1000); /* of the same limit */
    CHECK_EQ(failed, 0);
    CHECK_EQ(timer_settime(id, 0, &every, NULL), 0);
    shared->tid[self] = (pid_t)syscall(SYS_gettid);
    while (!over)
        works[(random_next(&state) >> 32) % COUNT(works)](&state);
    CHECK_EQ(timer_delete(id), 0);
    CHECK(ticks[self] > 0);
    return NULL;
}

static int complete(void)
{
    int all = shared->done && got_all == shared->sent_all;

    for (int i = 0; i < WORKERS; i++)
        all &= __atomic_load_n(&got[i], __ATOMIC_RELAXED) == shared->sent[i];
    return all;
}

static pid_t start_sender(u32 n)
{
    pid_t to = getpid(), pid = fork();

    if (pid == 0) {
        for (int i = 0; i < WORKERS; i++)
            while (!shared->tid[i])
                usleep(1000);
        send_all(to, n);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    return pid;
}

int main(int argc, char **argv)
{
    const struct rlimit few = {4000, 4000};
    u32 n = (argc > 1 ? (u32)atoi(argv[1]) : THOUSANDS) * 1000;
    pthread_t threads[WORKERS];
    time_t end;
    pid_t sender;
    int status;

    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &few), 0); /* it is of all our user has */
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    catch (SIG_ONE, on_one);
    catch (SIG_ALL, on_all);
    catch (SIG_TIMER, on_timer);
    sender = start_sender(n);
    for (i64 i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    CHECK_EQ(waitpid(sender, &status, 0), sender);
    CHECK_EQ(status, 0);
    end = time(NULL) + PATIENCE_S;
    while (!complete() && time(NULL) < end)
        usleep(1000);
    over = 1;
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(got[i], shared->sent[i]);
    CHECK_EQ(got_all, shared->sent_all);
    CHECK_EQ(got_sum, shared->sent_sum);
    CHECK_EQ(out_of_order, 0);
    return check_done("signal_storm");
}
