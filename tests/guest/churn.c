/* SPDX-License-Identifier: MIT */
/* Run: tests/long
 *
 * Rounds of random work on several threads: processes made in every way, programs
 * executed, threads, signals, timers, maps, protections, new code, libraries, pipes.
 * After each round nothing is left of it; a line is printed then, and the next round
 * begins when a line is read.  Arguments: a seed and how much a thread does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { WORKERS = 6, PAGE = 4096, PAGES = 32, STACK = 1 << 16 };

extern char **environ;

/* A thread's room. */
typedef struct Room {
    pthread_t thread;
    u64 state;
    u8 *maps[4]; /* PAGES each, page i filled with i; NULL: none */
    u32 *code;
    int level; /* threads and processes in one another */
} Room;

static Room rooms[WORKERS];
static u32 turns;
static _Atomic u32 signals_sent, signals_seen;
static const char *program;
static int forked;
static const char *volatile doing[WORKERS];

static u32 below(Room *r, u32 n) { return (u32)(random_next(&r->state) >> 33) % n; }

static void status_is(pid_t pid, int want)
{
    int status = -1;
    pid_t got;

    do
        got = waitpid(pid, &status, __WALL);
    while (got < 0 && errno == EINTR);
    CHECK(pid > 0);
    CHECK_EQ(got, pid);
    CHECK_EQ(status, want);
}

/* ---- memory ---- */

static void map_new(Room *r)
{
    u32 i = below(r, COUNT(r->maps));
    u8 *p = r->maps[i];

    if (p) {
        for (u32 k = 0; k < PAGES; k++)
            CHECK_EQ(p[k * PAGE], k);
        CHECK_EQ(munmap(p, PAGES * PAGE), 0);
        r->maps[i] = NULL;
        return;
    }
    p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
             (below(r, 2) ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (u32 k = 0; k < PAGES; k++)
        p[k * PAGE] = (u8)k;
    r->maps[i] = p;
}

static void map_change(Room *r)
{
    u32 i = below(r, COUNT(r->maps)), at = below(r, PAGES - 1), n = 1 + below(r, 3);
    u8 *p = r->maps[i];

    if (!p)
        return;
    n = n > PAGES - at ? PAGES - at : n;
    CHECK_EQ(mprotect(p + at * PAGE, n * PAGE, below(r, 2) ? PROT_NONE : PROT_READ), 0);
    CHECK_EQ(mprotect(p + at * PAGE, n * PAGE, PROT_READ | PROT_WRITE), 0);
    CHECK_EQ(p[at * PAGE], at);
    if (below(r, 2)) { /* without a hole: another thread's map might fill it */
        CHECK_EQ((u64)mmap(p + at * PAGE, PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                 (u64)(p + at * PAGE));
        p[at * PAGE] = (u8)at;
    }
}

static void map_move(Room *r)
{
    u32 pages = 3 + below(r, 30);
    u8 *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);

    CHECK(p != MAP_FAILED);
    p[PAGE] = 77;
    p = mremap(p, 2 * PAGE, pages * PAGE, MREMAP_MAYMOVE);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[PAGE], 77);
    CHECK_EQ(munmap(p, pages * PAGE), 0);
}

static void heap(Room *r)
{
    u8 *p[16];

    for (int i = 0; i < 16; i++)
        if ((p[i] = malloc(1 + below(r, 200000))))
            p[i][0] = (u8)i;
    for (int i = 0; i < 16; i++) {
        CHECK(p[i] && p[i][0] == i);
        free(p[i]);
    }
}

/* ---- code ---- */

static void change_code(Room *r)
{
    u32 n = 1 + below(r, 200), at = below(r, 800), k = below(r, 1000);

    if (!r->code) {
        r->code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(r->code != MAP_FAILED);
    }
    for (u32 i = 0; i < n; i++)
        r->code[at + i] = k << 20 | 0x50513; /* addi a0, a0, k */
    r->code[at + n] = 0x8067;
    __builtin___clear_cache((char *)r->code, (char *)r->code + PAGE);
    CHECK_EQ(((u64(*)(u64))(r->code + at))(5), 5 + (u64)n * k);
    if (below(r, 8) == 0) {
        munmap(r->code, PAGE);
        r->code = NULL;
    }
}

static void library(Room *r)
{
    static const char *const names[] = {"libresolv.so.2", "libutil.so.1",
                                        "libBrokenLocale.so.1", "libm.so.6",
                                        "libnss_hesiod.so.2"};
    u32 i = below(r, COUNT(names));
    void *lib;

    if (forked) /* another thread may have been at it */
        return;
    lib = dlopen(names[i], below(r, 2) ? RTLD_NOW : RTLD_LAZY);
    CHECK(lib != NULL || i == 4);
    if (lib && i == 3) {
        double (*root)(double) = (double (*)(double))dlsym(lib, "sqrt");

        CHECK(root && root(9) == 3);
    }
    if (lib)
        CHECK_EQ(dlclose(lib), 0);
}

static int compare(const void *a, const void *b)
{
    return *(const u32 *)a < *(const u32 *)b ? -1 : *(const u32 *)a > *(const u32 *)b;
}

static void compute(Room *r)
{
    u32 v[500];

    for (u32 i = 0; i < COUNT(v); i++)
        v[i] = below(r, 1000000);
    qsort(v, COUNT(v), sizeof *v, compare);
    for (u32 i = 1; i < COUNT(v); i++)
        CHECK(v[i - 1] <= v[i]);
}

/* ---- processes ---- */

static void work(Room *r, u32 n);

static void make_fork(Room *r)
{
    u32 n = below(r, 6), code = below(r, 100);
    pid_t pid = fork();

    if (pid == 0) {
        r->level++;
        forked = 1;
        work(r, n);
        _exit(check_failed ? 101 : (int)code);
    }
    status_is(pid, (int)code << 8);
}

static void make_vfork(Room *r)
{
    char code[16];
    char *args[] = {(char *)program, "exit", code, NULL};
    pid_t pid;

    snprintf(code, sizeof code, "%u", below(r, 100));
    pid = vfork();
    if (pid == 0) {
        execv(program, args);
        _exit(102);
    }
    status_is(pid, atoi(code) << 8);
}

static void make_spawn(Room *r)
{
    char code[16];
    char *args[] = {(char *)program, "exit", code, NULL};
    pid_t pid = 0;

    snprintf(code, sizeof code, "%u", below(r, 100));
    CHECK_EQ(posix_spawn(&pid, program, NULL, NULL, args, environ), 0);
    status_is(pid, atoi(code) << 8);
}

static void *exec_it(void *args)
{
    execv(program, args);
    _exit(103);
}

/* A process with several threads; one of them that is not the first calls execve. */
static void make_exec_of_thread(Room *r)
{
    char *args[] = {(char *)program, "exit", "33", NULL};
    pthread_t thread;
    pid_t pid = fork();

    if (pid == 0) {
        if (pthread_create(&thread, NULL, exec_it, args))
            _exit(104);
        for (;;)
            below(r, 2);
    }
    status_is(pid, 33 << 8);
}

static int shared_child(void *arg)
{
    volatile u64 *word = arg;

    for (int i = 0; i < 1000; i++)
        *word += 1;
    return 9;
}

static void make_shared(Room *r)
{
    u8 *stack = malloc(STACK);
    u64 word = below(r, 1000), before = word;
    pid_t pid = clone(shared_child, stack + STACK, CLONE_VM | SIGCHLD, &word);

    status_is(pid, 9 << 8);
    CHECK_EQ(word, before + 1000);
    free(stack);
}

static void kill_one(Room *r)
{
    u32 us = below(r, 3000);
    pid_t self = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* its parent may be killed so itself */
        if (getppid() != self)
            _exit(105);
        r->level++;
        forked = 1;
        for (;;)
            work(r, 1);
    }
    usleep(us);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    status_is(pid, SIGKILL);
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    Room *from = arg, r = {.state = random_next(&from->state), .level = 9};

    work(&r, 3);
    if (r.code)
        munmap(r.code, PAGE);
    for (size_t i = 0; i < COUNT(r.maps); i++)
        if (r.maps[i])
            munmap(r.maps[i], PAGES * PAGE);
    return (void *)11;
}

static void make_thread(Room *r)
{
    void *result = NULL;
    pthread_t thread;

    if (r->level > 2)
        return;
    CHECK_EQ(pthread_create(&thread, NULL, thread_main, r), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((u64)result, 11);
}

static void *wait_for_ever(void *never)
{
    sem_wait(never);
    return NULL;
}

static void cancel_thread(Room *r)
{
    sem_t never;
    pthread_t thread;
    void *result = NULL;

    (void)r;
    sem_init(&never, 0, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, &never), 0);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
    sem_destroy(&never);
}

/* ---- signals ---- */

static void on_signal(int sig)
{
    (void)sig;
    signals_seen++;
}

static void send_signal(Room *r)
{
    if (r->level == 0 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
        signals_sent++;
    else
        pthread_kill(pthread_self(), SIGUSR1);
}

static void use_timer(Room *r)
{
    struct itimerspec every = {{0, 200000}, {0, 1 + below(r, 100000)}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t id;

    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &every, NULL), 0);
    compute(r);
    CHECK_EQ(timer_delete(id), 0);
}

static void nap(Room *r)
{
    struct timespec t = {0, below(r, 500000)};

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* ---- descriptors ---- */

static void use_pipe(Room *r)
{
    char text[100], back[100];
    int fd[2], pair = (int)below(r, 2);

    CHECK_EQ(pair ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd) : pipe(fd), 0);
    memset(text, (int)below(r, 256), sizeof text);
    CHECK_EQ(write(fd[1], text, sizeof text), sizeof text);
    CHECK_EQ(poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, -1) != 0, 1);
    CHECK_EQ(read(fd[0], back, sizeof back), sizeof back);
    CHECK(!memcmp(text, back, sizeof text));
    close(fd[0]);
    close(fd[1]);
}

static void use_file(Room *r)
{
    int fd = memfd_create("churn", 0);
    u8 *p;

    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, 2 * PAGE), 0);
    p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[PAGE] = (u8)below(r, 256);
    CHECK_EQ(pread(fd, p, 1, PAGE), 1);
    CHECK_EQ(p[0], p[PAGE]);
    CHECK_EQ(munmap(p, 2 * PAGE), 0);
    close(fd);
}

/* ---- rounds ---- */

#define ACT(fn, weight, makes) \
    {                          \
#fn, fn, weight, makes \
    }

static const struct {
    const char *name;
    void (*fn)(Room *);
    u32 weight;
    int makes; /* processes or threads: not for ever in one another */
} acts[] = {
    ACT(map_new, 10, 0),
    ACT(map_change, 10, 0),
    ACT(map_move, 5, 0),
    ACT(heap, 5, 0),
    ACT(change_code, 10, 0),
    ACT(library, 3, 0),
    ACT(compute, 10, 0),
    ACT(make_fork, 4, 1),
    ACT(make_vfork, 2, 1),
    ACT(make_spawn, 2, 1),
    ACT(make_exec_of_thread, 2, 1),
    ACT(make_shared, 3, 1),
    ACT(kill_one, 2, 1),
    ACT(make_thread, 5, 1),
    ACT(cancel_thread, 2, 1),
    ACT(send_signal, 10, 0),
    ACT(use_timer, 5, 0),
    ACT(nap, 5, 0),
    ACT(use_pipe, 10, 0),
    ACT(use_file, 5, 0),
};

enum { WEIGHTS = 110 };

static void act(Room *r)
{
    u32 at = below(r, WEIGHTS), i = 0;

    while (at >= acts[i].weight)
        at -= acts[i++].weight;
    if (r >= rooms && r < rooms + WORKERS)
        doing[r - rooms] = acts[i].name;
    if (r->level < 2 || !acts[i].makes)
        acts[i].fn(r);
}

static void work(Room *r, u32 n)
{
    while (n--)
        act(r);
}

static void *worker(void *arg)
{
    Room *r = arg;

    work(r, turns);
    doing[r - rooms] = "nothing";
    return NULL;
}

static void catch (int sig)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    CHECK_EQ(sigaction(sig, &action, NULL), 0);
}

static void one_round(void)
{
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&rooms[i].thread, NULL, worker, &rooms[i]), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_join(rooms[i].thread, NULL), 0);
    CHECK_ERR(waitpid(-1, NULL, __WALL | WNOHANG), ECHILD);
}

int main(int argc, char **argv)
{
    char line[16];
    u64 seed;

    if (argc > 2 && !strcmp(argv[1], "exit"))
        return atoi(argv[2]);
    program = "/proc/self/exe";
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    turns = argc > 2 ? (u32)atoi(argv[2]) : 100;
    catch (SIGRTMIN);
    catch (SIGUSR1);
    for (u64 i = 0; i < WORKERS; i++)
        rooms[i].state = seed * 1000003 + i + 1;
    for (u32 n = 1; fgets(line, sizeof line, stdin); n++) {
        one_round();
        printf("round %u: %u checks, %u failed\n", n, check_count, check_failed);
        fflush(stdout);
    }
    return check_done("churn");
}
