/* SPDX-License-Identifier: MIT */
/* Run: tests/core          (this program dies in one of several ways)
 *
 * Three threads: one counts, one waits in read, the main one dies as its argument says.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct Node {
    int value;
    const char *name;
    struct Node *next;
};

struct Node nodes[2] = {{11, "first", &nodes[1]}, {22, "second", NULL}};
volatile unsigned long counter, waits, stop_here;
double ratio = 0.625;
static char *shared, *hidden; /* with other processes; MADV_DONTDUMP */
static int ends[2];

static void *count(void *arg)
{
    unsigned long lap = 40, twice = 80;

    for (;;) { /* twice is about double wherever it is stopped */
        __asm__ volatile("addi %0, %0, 1\n\tslli %1, %0, 1" : "+r"(lap), "=r"(twice));
        counter = lap;
    }
    return arg;
}

static void *wait_for_input(void *arg)
{
    char c;

    waits = 1;
    if (read(ends[0], &c, 1) < 0)
        abort();
    return arg;
}

static void limit(rlim_t bytes)
{
    struct rlimit r;

    getrlimit(RLIMIT_CORE, &r);
    r.rlim_cur = bytes;
    setrlimit(RLIMIT_CORE, &r);
}

static char *pages_new(int flags, char c)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    p[5000] = c;
    return p;
}

static void crash(const struct Node *node, int depth)
{
    char *heap = malloc(100);
    int local = node->value * 2 + depth;

    strcpy(heap, "on the heap");
    if (depth > 0) {
        crash(node->next, depth - 1);
    } else if (local) {
        stop_here = 1;
        *(volatile int *)0x18 = local;
    }
    free(heap);
}

/* Several threads die at once, and there is much to write. */
static pthread_barrier_t barrier;

static void *fall(void *arg)
{
    pthread_barrier_wait(&barrier);
    *(volatile int *)0x18 = 1;
    return arg;
}

static void crash_together(void)
{
    enum { FALL = 4, MUCH = 64 << 20 };
    pthread_t t;

    memset(malloc(MUCH), 7, MUCH);
    pthread_barrier_init(&barrier, NULL, FALL);
    for (int i = 1; i < FALL; i++)
        pthread_create(&t, NULL, fall, NULL);
    fall(NULL);
}

extern char **environ;

/* Where the program's arguments and auxiliary vector are there is nothing any more. */
static void *tear(void *arg)
{
    char **end = environ;
    unsigned long page;

    while (*end)
        end++;
    page = (unsigned long)end & ~4095ul;
    access(end[-1], F_OK); /* one of its last calls */
    mmap((void *)page, 8192, PROT_READ, MAP_SHARED | MAP_FIXED,
         memfd_create("empty", 0), 0);
    *(volatile int *)0x18 = 1;
    return arg;
}

static void tear_and_crash(void)
{
    pthread_t t;

    pthread_create(&t, NULL, tear, NULL);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "crash";
    char *lazy = mmap(NULL, 1ul << 32, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_t a, b;

    lazy[1ul << 31] = 'z';
    shared = pages_new(MAP_SHARED, 's');
    hidden = pages_new(MAP_PRIVATE, 'h');
    madvise(hidden, 8192, MADV_DONTDUMP);
    if (pipe(ends) || pthread_create(&a, NULL, count, NULL) ||
        pthread_create(&b, NULL, wait_for_input, NULL))
        return 1;
    while (counter < 1000 || !waits)
        ;
    if (!strcmp(way, "secret"))
        prctl(PR_SET_DUMPABLE, 0);
    else if (!strcmp(way, "limit"))
        limit(1 << 20);
    else if (!strcmp(way, "none"))
        limit(0);
    else if (!strcmp(way, "wait") && write(1, "ready\n", 6) == 6)
        pause();
    if (!strcmp(way, "none") || !strcmp(way, "limit"))
        abort();
    if (!strcmp(way, "torn"))
        tear_and_crash();
    if (!strcmp(way, "together"))
        crash_together();
    crash(nodes, 1);
    return 0;
}
