/* SPDX-License-Identifier: MIT */
/* Run: tests/gdb forks.  fork, posix_spawn (a vfork) and exec. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int in_child(int n) { return n + 1; }

static int in_parent(int n) { return n + 2; }

static int by_fork(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(in_child(6));
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
        r = by_fork();
    else if (!strcmp(what, "spawn"))
        r = by_spawn(argv[0]);
    else if (!strcmp(what, "exec"))
        execl(argv[0], argv[0], "spawned", NULL);
    printf("forks: %d\n", r);
    return r;
}
