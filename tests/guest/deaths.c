/* SPDX-License-Identifier: MIT */
/* Run: tests/deaths         (this program without arguments lists the ways)
 *
 * Ways to die, one an argument: tests/deaths checks signal and message. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "check.h"

static void jump(u64 to) { ((void (*)(void))to)(); }

static void *page(int prot)
{
    return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void jump_null(void) { jump(0); }
static void jump_unmapped(void) { jump(0x123456788); }
static void jump_far(void) { jump(0x7fffffffffff0000); }
static void jump_odd(void) { jump(0x33333331); }
static void jump_data(void) { jump((u64)page(PROT_READ | PROT_WRITE)); }
static void jump_zeros(void) { jump((u64)page(PROT_READ | PROT_EXEC)); }
static volatile u64 eight = 8;

static void read_null(void) { *(volatile int *)eight; }
static void write_text(void) { *(volatile u32 *)write_text = 0; }
static void write_negative(void) { *(volatile int *)-8l = 1; }
static void illegal(void) { __asm__ volatile(".4byte 0xffffffff"); }
static void breakpoint(void) { __asm__ volatile("ebreak"); }

static void misaligned(void)
{
    static u64 words[2];

    __asm__ volatile("amoadd.d zero, zero, (%0)" : : "r"((char *)words + 1) : "memory");
}

static volatile int never;

static int recurse(int n)
{
    volatile char frame[1000];

    frame[0] = (char)n;
    return never ? 0 : recurse(n + 1) + frame[0];
}

static void overflow(void) { recurse(0); }
static void aborted(void) { abort(); }
static void killed(void) { kill(getpid(), SIGKILL); }
static void terminated(void) { raise(SIGTERM); }

static void bad_stack(void)
{
    __asm__ volatile("li sp, 16\n\tsd zero, 0(sp)\n\tli a7, 93\n\tecall");
}

/* The handler cannot be entered: no stack for its frame. */
static void no_handler_stack(void)
{
    signal(SIGSEGV, exit);
    bad_stack();
}

static void blocked(void)
{
    sigset_t set;

    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    read_null();
}

static void ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    read_null();
}

static void *in_thread_body(void *arg)
{
    read_null();
    return arg;
}

static void in_thread(void)
{
    pthread_t t;

    pthread_create(&t, NULL, in_thread_body, NULL);
    pthread_join(t, NULL);
}

static void broken_pipe(void)
{
    int ends[2];

    if (!pipe(ends) && !close(ends[0]))
        (void)!write(ends[1], "x", 1);
}

#define WAY(name)   \
    {               \
#name, name \
    }
static const struct Way {
    const char *name;
    void (*fn)(void);
} ways[] = {
    WAY(jump_null), WAY(jump_unmapped),    WAY(jump_far),   WAY(jump_odd),
    WAY(jump_data), WAY(jump_zeros),       WAY(read_null),  WAY(write_text),
    WAY(illegal),   WAY(write_negative),   WAY(breakpoint), WAY(misaligned),
    WAY(overflow),  WAY(aborted),          WAY(killed),     WAY(terminated),
    WAY(bad_stack), WAY(no_handler_stack), WAY(blocked),    WAY(ignored),
    WAY(in_thread), WAY(broken_pipe),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (argc < 2)
            puts(ways[i].name);
        else if (!strcmp(argv[1], ways[i].name))
            ways[i].fn();
    }
    return argc < 2 ? check_done("deaths") : 99;
}
