/* SPDX-License-Identifier: MIT */
/* Run: tests/gdb busy.  Threads that come, fork and go while others meet breakpoints.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 6, THREADS = 4, HITS = 5 };

static int met;

static void hit(int n) { __atomic_fetch_add(&met, n == 2, __ATOMIC_RELAXED); }

static void *worker(void *arg)
{
    int status;

    for (int i = 0; i < HITS; i++)
        hit(i);
    if ((long)arg % 2 == 0) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(3);
        waitpid(pid, &status, 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread[THREADS];

    for (int round = 0; round < ROUNDS; round++) {
        for (long i = 0; i < THREADS; i++)
            pthread_create(&thread[i], NULL, worker, (void *)i);
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
    }
    printf("met %d\n", met);
    return 0;
}
