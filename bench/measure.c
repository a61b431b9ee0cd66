/* SPDX-License-Identifier: MIT */
/* Runs one program under one runner and takes one figure from it. */
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { TIMEOUT_S = 120 };

/* What a process printed and how it ended. */
typedef struct {
    char text[256];
    double ns; /* from spawn to exit */
} Run;

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Reads what the child prints, to its end; false when it takes too long. */
static bool read_output(int fd, Run *run, double deadline)
{
    size_t used = 0;
    char rest[256];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        double left = (deadline - now_ns()) / 1e6;
        size_t space = sizeof(run->text) - 1 - used;
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return false;
        n = space ? read(fd, run->text + used, space) : read(fd, rest, sizeof(rest));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += space ? (size_t)n : 0;
    }
    run->text[used] = 0;
    return true;
}

static char *why_ended(int status)
{
    if (WIFSIGNALED(status))
        return g_strdup_printf("signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status))
        return g_strdup_printf("exit %d", WEXITSTATUS(status));
    return NULL;
}

/* In a process group of its own, so that what it forked can be killed with it. */
static pid_t spawn(char *const *argv, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = -1;

    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

/* Returns what went wrong, or NULL. */
static char *run_program(char *const *argv, Run *run)
{
    int pipes[2], status;
    double start;
    bool in_time;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return g_strdup(g_strerror(errno));
    start = now_ns();
    pid = spawn(argv, pipes[1]);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return g_strdup("cannot start");
    }
    in_time = read_output(pipes[0], run, start + TIMEOUT_S * 1e9);
    close(pipes[0]);
    if (!in_time)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    run->ns = now_ns() - start;
    return in_time ? why_ended(status) : g_strdup("timeout");
}

/* The command line of a program: "exec" and "bash" are not kernels of ours. */
static GPtrArray *command(const Bench *b, const Kernel *k, const Runner *r, int percent)
{
    static const char script[] = "n=0; for i in 1 2 3 4 5 6 7 8 9 10; do n=$((n + i)); "
                                 "done; case $n in 55) echo ok;; esac";
    bool native = r->kind == NATIVE, bash = !strcmp(k->name, "bash");
    const char *file = strcmp(k->name, "exec") ? k->name : "empty";
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    if (!native)
        g_ptr_array_add(argv, g_strdup(r->path));
    if (!native && bash) {
        g_ptr_array_add(argv, g_strdup("-L"));
        g_ptr_array_add(argv, g_strdup(b->root));
    }
    if (bash)
        g_ptr_array_add(argv,
                        g_build_filename(native ? "/" : b->root, "bin/bash", NULL));
    else
        g_ptr_array_add(
            argv,
            g_build_filename(b->programs, native ? "native" : "riscv64", file, NULL));
    g_ptr_array_add(argv, bash ? g_strdup("-c") : g_strdup_printf("%d", percent));
    if (bash)
        g_ptr_array_add(argv, g_strdup(script));
    g_ptr_array_add(argv, NULL);
    return argv;
}

static bool run_kernel(const Bench *b, const Kernel *k, const Runner *r, int percent,
                       Run *run, char **trouble)
{
    GPtrArray *argv = command(b, k, r, percent);
    const char *program = g_ptr_array_index(argv, r->kind == NATIVE ? 0 : 1);

    if (*program == '-')
        program = g_ptr_array_index(argv, 3);
    *trouble = access(program, X_OK) == 0 ? run_program((char **)argv->pdata, run)
                                          : g_strdup("no program");
    g_ptr_array_free(argv, TRUE);
    return !*trouble;
}

char *command_line(const Bench *b, const Kernel *k, const Runner *r)
{
    GPtrArray *argv = command(b, k, r, b->percent);
    GString *line = g_string_new(NULL);

    for (size_t i = 0; i + 1 < argv->len; i++) {
        char *word = g_shell_quote(g_ptr_array_index(argv, i));
        bool plain = !strpbrk(word + 1, " $;\\");

        g_string_append_printf(line, "%s%s", i ? " " : "",
                               plain ? (char *)g_ptr_array_index(argv, i) : word);
        g_free(word);
    }
    g_ptr_array_free(argv, TRUE);
    return g_string_free(line, FALSE);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool measure_start(const Bench *b, const Kernel *k, const Runner *r, double *ns,
                          uint64_t *sum, char **trouble)
{
    double *times = g_new(double, b->starts);
    Run run;
    int done = 0;

    while (done < b->starts && run_kernel(b, k, r, 0, &run, trouble))
        times[done++] = run.ns;
    qsort(times, (size_t)done, sizeof(*times), compare_doubles);
    if (!*trouble) {
        *ns = times[done / 2];
        *sum = g_str_hash(run.text);
    }
    g_free(times);
    return !*trouble;
}

/* Runs a program that prints "checksum ns rounds". */
static bool run_counted(const Bench *b, const Kernel *k, const Runner *r, int percent,
                        double *wall, double *inner, uint64_t *rounds, uint64_t *sum,
                        char **trouble)
{
    unsigned long long printed[3];
    Run run;

    if (!run_kernel(b, k, r, percent, &run, trouble))
        return false;
    if (sscanf(run.text, "%llx %llu %llu", &printed[0], &printed[1], &printed[2]) !=
            3 ||
        printed[2] == 0) {
        *trouble = g_strdup("no result");
        return false;
    }
    *wall = run.ns;
    *sum = printed[0];
    *inner = (double)printed[1];
    *rounds = printed[2];
    return true;
}

static bool measure_cold(const Bench *b, const Kernel *k, const Runner *r, double *ns,
                         uint64_t *sum, char **trouble)
{
    double all, rest, inner;
    uint64_t count, no_sum;

    if (!run_counted(b, k, r, 0, &rest, &inner, &count, &no_sum, trouble) ||
        !run_counted(b, k, r, 100, &all, &inner, &count, sum, trouble))
        return false;
    *ns = (all - rest) / (double)count;
    return true;
}

bool measure(const Bench *b, const Kernel *k, const Runner *r, double *ns,
             uint64_t *sum, char **trouble)
{
    double wall, inner;
    uint64_t rounds;

    *trouble = NULL;
    *sum = 0;
    if (k->way == START)
        return measure_start(b, k, r, ns, sum, trouble);
    if (k->way == COLD)
        return measure_cold(b, k, r, ns, sum, trouble);
    if (!run_counted(b, k, r, b->percent, &wall, &inner, &rounds, sum, trouble))
        return false;
    *ns = k->way == OPERATION ? inner / (double)rounds : inner;
    return true;
}

/* What follows "version " in the output of `PATH --version`; NULL when it has none. */
char *find_version(const char *path)
{
    char *argv[] = {(char *)path, (char *)"--version", NULL};
    Run run;
    char *trouble = run_program(argv, &run), *at;

    if (trouble) {
        g_free(trouble);
        return NULL;
    }
    at = strstr(run.text, "version ");
    if (!at)
        return NULL;
    at += strlen("version ");
    return g_strndup(at, strcspn(at, " \n,"));
}
