/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run perf_work        (and by tests/perf)
 *
 * Work in functions with names of their own: `perf_work N [fork] [exec]` does it N
 * times; fork: a child does half of it; exec: then again, in the same process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long state = 1;

__attribute__((noinline)) static void work_first(unsigned long n)
{
    while (n--)
        state = state * 6364136223846793005ul + 1442695040888963407ul;
}

__attribute__((noinline)) static void work_second(unsigned long n)
{
    while (n--)
        state ^= state << 13 ^ n;
}

static void work(unsigned long n, int in_child)
{
    pid_t pid = in_child ? fork() : -1;

    if (!in_child || pid > 0)
        work_first(n);
    if (!in_child || pid == 0)
        work_second(n);
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return;
    if (waitpid(pid, NULL, 0) != pid)
        exit(1);
    printf("child: %d\n", (int)pid);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000;

    work(n, argc > 2 && !strcmp(argv[2], "fork"));
    if (argc > 2 && !strcmp(argv[argc - 1], "exec")) {
        execl("/proc/self/exe", argv[0], argv[1], (char *)NULL);
        return 2;
    }
    puts("perf_work: ok");
    return 0;
}
