/* SPDX-License-Identifier: MIT */
/* Run: tests/gdb main.  What tests/gdb looks at in one thread; argv[1] says what. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>

struct pair {
    int first;
    long second;
};

static volatile int total;
static volatile long cells[4];
static volatile char text[16] = "nothing yet";
static double ratio = 1.5;
static const char fixed[] = "read-only";

static int fib(int n)
{
    if (n < 2)
        return n;
    return fib(n - 1) + fib(n - 2);
}

static double divide(double a, double b)
{
    double q = a / b; /* inexact */

    return q;
}

static void store(int i, long v) { cells[i] = v; }

static long load(int i) { return cells[i]; }

static volatile int handled;

static void handler(int sig) { handled = sig; /* in the handler */ }

static void raiser(int sig)
{
    raise(sig);
    handled++; /* after the signal */
}

static int numbers(void)
{
    struct pair p = {1, 2};
    int sum = 0;

    for (int i = 0; i < 10; i++) { /* the loop */
        sum += fib(i);
        total = sum;
    }
    p.first = sum; /* after the loop */
    p.second = sum * 2;
    return p.first + (int)p.second;
}

static int signals(void)
{
    signal(SIGUSR1, handler);
    signal(SIGUSR2, handler);
    raiser(SIGUSR1);
    raiser(SIGUSR2);
    printf("handled %d\n", handled);
    return handled == SIGUSR2 + 1;
}

static int watched(void)
{
    long v;

    store(0, 1);
    store(1, 11); /* watched */
    store(1, 11); /* the same again */
    store(2, 2);
    v = load(0);
    v += load(1); /* read */
    store(1, v);
    lseek(0, 0, SEEK_CUR);
    if (read(0, (char *)text, 7) != 7)
        return 1;
    printf("%s\n", (char *)text);
    return 0;
}

static int broken(void)
{
    volatile int *p = NULL;

    return *p; /* the fault */
}

static void spin(void)
{
    for (volatile unsigned long i = 0;; i++)
        ;
}

/* Milliseconds of a sleep of 4000. */
static long slept(void)
{
    struct timespec from, to, span = {.tv_sec = 4};

    clock_gettime(CLOCK_MONOTONIC, &from);
    nanosleep(&span, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "numbers";
    int r = 0;

    printf("begin %s\n", what);
    fflush(stdout);
    if (!strcmp(what, "numbers"))
        r = numbers() != 264;
    else if (!strcmp(what, "signals"))
        r = !signals();
    else if (!strcmp(what, "watched"))
        r = watched();
    else if (!strcmp(what, "broken"))
        r = broken();
    else if (!strcmp(what, "spin"))
        spin();
    else if (!strcmp(what, "sleep"))
        r = slept() < 4000;
    ratio = divide(1, 3);
    printf("end %d %.3f %s\n", r, ratio, fixed);
    return r;
}
