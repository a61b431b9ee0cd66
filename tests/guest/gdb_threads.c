/* SPDX-License-Identifier: MIT */
/* Run: tests/gdb threads.  Threads that count until they are told to stop. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { N = 3 };

static volatile int go_on = 1;
static volatile unsigned long counts[N];

static void count(int i) { counts[i]++; /* counting */ }

static void *worker(void *arg)
{
    int i = (int)(long)arg;
    char name[16];

    snprintf(name, sizeof name, "worker %d", i);
    pthread_setname_np(pthread_self(), name);
    while (go_on)
        count(i);
    return NULL;
}

static void born(void) {}

int main(void)
{
    pthread_t thread[N];

    for (int i = 0; i < N; i++)
        pthread_create(&thread[i], NULL, worker, (void *)(long)i);
    while (!counts[0] || !counts[1] || !counts[2])
        usleep(1000);
    born(); /* all run */
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    printf("joined\n");
    return 0;
}
