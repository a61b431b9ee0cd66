/* SPDX-License-Identifier: MIT */
/* Run: tests/gdb forks.  fork, posix_spawn (a vfork) and exec. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int in_child(int n) { return n + 1; }

static int in_parent(int n) { return n + 2; }

/* Memory that takes the kernel a while to free. */
static void become_heavy(void)
{
    size_t size = 192u << 20;
    char *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return;
    madvise(p, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
}

static int by_fork(int heavy)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (heavy)
            become_heavy();
        _exit(in_child(6));
    }
    in_parent(0);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) != 7;
}

static int by_spawn(const char *self)
{
    char *argv[] = {(char *)self, "spawned", NULL};
    int status = 0;
    pid_t pid;

    if (posix_spawn(&pid, self, NULL, NULL, argv, environ))
        return 1;
    in_parent(1);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) != 8;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "fork";
    int r = 0;

    if (!strcmp(what, "spawned"))
        return in_child(7);
    if (!strcmp(what, "fork"))
        r = by_fork(0);
    else if (!strcmp(what, "heavy"))
        r = by_fork(1);
    else if (!strcmp(what, "spawn"))
        r = by_spawn(argv[0]);
    else if (!strcmp(what, "exec"))
        execl(argv[0], argv[0], "spawned", NULL);
    printf("forks: %d\n", r);
    return r;
}
