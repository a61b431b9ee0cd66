/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run fork_allocates.  Children of forks read /proc/self/maps, which
 * is made in memory, while other threads of their parent do: no lock of an allocator
 * may stay locked in a child.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { THREADS = 3, FORKS = 100, LOOKS = 10 };

static int stop;

static int look(void)
{
    char text[4096];
    int size = 0, n, fd = open("/proc/self/maps", O_RDONLY);

    while ((n = (int)read(fd, text, sizeof text)) > 0)
        size += n;
    close(fd);
    return size;
}

static void *worker(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        look();
    return arg;
}

int main(void)
{
    pthread_t thread[THREADS];
    int status;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, worker, NULL);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            for (int k = 0; k < LOOKS; k++)
                if (look() < 100)
                    _exit(1);
            _exit(7);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 7 << 8);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return check_done("fork_allocates");
}
