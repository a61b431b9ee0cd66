/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run -m explain explained; tests/explain looks at its page.
 *
 * Work whose page is known: a loop of so many rounds in main and in a thread, code
 * that is written anew, a function with a name that is no name.  And what shows when
 * something else in the process has a timer: interrupted sleeps, a signal too many.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { ROUNDS = 3000017, SLEEPS = 200, VERSIONS = 5 };

/* Its one division runs ROUNDS times, twice. */
__attribute__((noipa)) static unsigned long spin(unsigned long x, unsigned long by)
{
    for (long i = 0; i < ROUNDS; i++)
        x = x / by + 0x123456789abcdefful;
    return x;
}

static void *spin_too(void *arg) { return (void *)spin((unsigned long)arg, 3); }

/* long evil(long): 1000 rounds, so that the page knows it. */
__asm__(".text\n.globl evil\n.globl \"</script><img src=x onerror=bad()>&'\"\n"
        ".type \"</script><img src=x onerror=bad()>&'\", @function\n"
        "evil:\n\"</script><img src=x onerror=bad()>&'\":\n"
        "  li a1, 1000\n"
        "1: addi a0, a0, 3\n  addi a1, a1, -1\n  bnez a1, 1b\n  ret\n"
        ".size \"</script><img src=x onerror=bad()>&'\", . - evil\n");
extern long evil(long x);

/* li a0, n; ret: written over itself. */
static void rewrite(void)
{
    unsigned *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(code != MAP_FAILED);
    for (unsigned n = 1; n <= VERSIONS; n++) {
        code[0] = 0x513 | n << 20;
        code[1] = 0x8067;
        __builtin___clear_cache((char *)code, (char *)(code + 2));
        for (int i = 0; i < 10; i++)
            CHECK(((unsigned (*)(void))code)() == n);
    }
}

/* Short work and short sleeps in turn: none of them is cut short. */
static void sleeps(void)
{
    struct timespec nap = {0, 300000};
    volatile unsigned long work = 1;

    for (int i = 0; i < SLEEPS; i++) {
        for (int k = 0; k < 5000; k++)
            work = work * 3 + 1;
        CHECK(nanosleep(&nap, NULL) == 0);
        CHECK(poll(NULL, 0, 0) == 0);
    }
}

/* All signals blocked: still none comes that nobody sent. */
static void waits(void)
{
    struct timespec short_while = {0, 2000000};
    volatile unsigned long work = 1;
    struct signalfd_siginfo info;
    sigset_t all, pending;
    int fd;

    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    fd = signalfd(-1, &all, SFD_NONBLOCK);
    CHECK(fd >= 0);
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 5000; k++)
            work = work * 3 + 1;
        CHECK(sigpending(&pending) == 0);
        for (int sig = 1; sig <= 64; sig++)
            CHECK(sigismember(&pending, sig) != 1);
        CHECK(read(fd, &info, sizeof info) < 0 && errno == EAGAIN);
        CHECK(sigtimedwait(&all, NULL, &short_while) < 0 && errno == EAGAIN);
    }
}

int main(void)
{
    pthread_t thread;
    void *result;

    CHECK(pthread_create(&thread, NULL, spin_too, (void *)1) == 0);
    CHECK(spin(1, 3) != 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result != NULL);
    for (int i = 0; i < 20; i++)
        CHECK(evil(1) == 3001);
    rewrite();
    sleeps();
    waits();
    return check_done("explained");
}
