/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run process
 *
 * fork, vfork, execve and its errors, wait in its forms, pipes between processes,
 * process groups, exit statuses.  (qemu-riscv64 cannot execve without binfmt.) */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char self[4096];
extern char **environ;

static int wait_for(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static int run_self(char *const args[], char *const env[])
{
    pid_t pid = fork();

    if (!pid) {
        execve(self, args, env);
        _exit(127);
    }
    return wait_for(pid);
}

static void check_statuses(void)
{
    static const int codes[] = {0, 1, 77, 255};
    static const int signals[] = {SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGSEGV, SIGABRT};
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < COUNT(codes); i++) {
        pid_t pid = fork();

        if (!pid)
            _exit(codes[i]);
        CHECK_EQ(wait_for(pid), codes[i] << 8);
    }
    for (size_t i = 0; i < COUNT(signals); i++) {
        pid_t pid = fork();

        if (!pid) {
            raise(signals[i]);
            _exit(1);
        }
        CHECK_EQ(WTERMSIG(wait_for(pid)), signals[i]);
    }
}

static void check_private_memory(void)
{
    volatile int value = 1;
    int *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();

    if (!pid) {
        value = 2;
        *shared = 3;
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(*shared, 3);
    pid = vfork();
    if (!pid)
        _exit(5);
    CHECK_EQ(wait_for(pid), 5 << 8);
}

static __attribute__((noinline)) double sum(double a, double b) { return a + b; }

/* A vfork child in another rounding mode: what it ran is not what its parent runs. */
static void check_vfork_rounding(void)
{
    double (*volatile add)(double, double) = sum;
    volatile double half = 0x1p-53, in_child = 0;
    pid_t pid = vfork();

    if (!pid) {
        __asm__ volatile("fsrmi 4");
        for (int i = 0; i < 3; i++)
            in_child = add(1, half);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
    CHECK(in_child == 1 + 0x1p-52);
    for (int i = 0; i < 3; i++)
        CHECK(add(1, half) == 1);
}

static void check_pipe_chain(void)
{
    int ends[2], last = open("/dev/null", O_RDONLY);
    char c;

    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pipe(ends), 0);
        if (!fork()) {
            int n = 'a';

            if (i && read(last, &c, 1) == 1)
                n = c + 1;
            c = (char)n;
            _exit(write(ends[1], &c, 1) != 1);
        }
        close(last);
        close(ends[1]);
        last = ends[0];
    }
    CHECK_EQ(read(last, &c, 1), 1);
    CHECK_EQ(c, 'e');
    CHECK_EQ(read(last, &c, 1), 0);
    close(last);
    while (wait(NULL) > 0)
        ;
    CHECK_EQ(errno, ECHILD);
}

static void check_exec(void)
{
    char *args[] = {"odd name", "show", "a b", "", "*", NULL};
    char *env[] = {"ONE=1", "TWO=two words", NULL};
    char *quit[] = {"x", "exit", "33", NULL};

    CHECK_EQ(run_self(args, env), 0);
    CHECK_EQ(run_self(quit, environ), 33 << 8);
}

/* In the child of check_exec. */
static int show(int argc, char **argv)
{
    CHECK_EQ(argc, 5);
    CHECK(!strcmp(argv[0], "odd name"));
    CHECK(!strcmp(argv[2], "a b") && !*argv[3] && !strcmp(argv[4], "*"));
    CHECK(!strcmp(getenv("TWO"), "two words"));
    CHECK(environ[0] && environ[1] && !environ[2]);
    fflush(stdout);
    return check_failed != 0;
}

static int exec_error(const char *path)
{
    char *args[] = {"x", NULL};

    errno = 0;
    execve(path, args, environ);
    return errno;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    chmod(path, mode);
}

static void check_exec_errors(void)
{
    CHECK_EQ(exec_error("/nonexistent"), ENOENT);
    CHECK_EQ(exec_error("/"), EACCES);
    CHECK_EQ(exec_error("/etc/passwd/x"), ENOTDIR);
    CHECK_EQ(exec_error(""), ENOENT);
    write_file("plain", "not a program\n", 0644);
    CHECK_EQ(exec_error("./plain"), EACCES);
    chmod("plain", 0755);
    CHECK_EQ(exec_error("./plain"), ENOEXEC);
    write_file("script", "#!/nonexistent/sh\n", 0755);
    CHECK_EQ(exec_error("./script"), ENOENT);
    CHECK_EQ(exec_error((char *)8), EFAULT);
    unlink("plain");
    unlink("script");
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 900; fd++) /* from there on: of -explain */
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static long exec_fd(int fd, char *const args[])
{
    return syscall(SYS_execveat, fd, "", args, environ, AT_EMPTY_PATH);
}

/* A program that is open only until then: neither a failure nor the program itself
 * has a descriptor more. */
static void check_exec_fd(int how)
{
    char count[16], *args[] = {"x", "count", count, NULL};
    int fd = open(self, how | O_CLOEXEC), plain;
    pid_t pid;

    write_file("plain", "#!/bin/sh\n", 0644);
    plain = open("plain", how | O_CLOEXEC);
    snprintf(count, sizeof count, "%d", descriptors());
    for (int i = 0; i < 3; i++)
        CHECK_ERR(exec_fd(plain, args), EACCES);
    chmod("plain", 0755);
    CHECK_ERR(exec_fd(plain, args), ENOENT); /* the shell could not open it */
    CHECK_EQ(descriptors(), atoi(count));
    close(plain);
    unlink("plain");
    snprintf(count, sizeof count, "%d", descriptors() - 1);
    pid = fork();
    if (!pid) {
        exec_fd(fd, args);
        _exit(127);
    }
    CHECK_EQ(wait_for(pid), 12 << 8);
    close(fd);
}

/* #! with one argument, run by this program itself. */
static void check_script(void)
{
    char line[4200], *args[] = {"ignored", "more", NULL};
    pid_t pid;

    snprintf(line, sizeof(line), "#!%s script words\nrest\n", self);
    write_file("run-me", line, 0755);
    pid = fork();
    if (!pid) {
        execve("./run-me", args, environ);
        _exit(127);
    }
    CHECK_EQ(wait_for(pid), 11 << 8);
    unlink("run-me");
}

static int script_child(int argc, char **argv)
{
    return argc == 4 && !strcmp(argv[2], "./run-me") && !strcmp(argv[3], "more") ? 11
                                                                                 : 1;
}

static void check_descriptors(void)
{
    char *args[] = {"x", "fds", NULL};
    int kept = open("/dev/null", O_RDONLY), closed = fcntl(kept, F_DUPFD_CLOEXEC, 0);

    CHECK_EQ(dup2(kept, 50), 50);
    CHECK_EQ(dup3(closed, 51, O_CLOEXEC), 51);
    CHECK_EQ(run_self(args, environ), 0);
    close(50);
    close(51);
}

static int fds_child(void)
{
    return !(fcntl(50, F_GETFD) == 0 && fcntl(51, F_GETFD) == -1 && errno == EBADF);
}

static void check_wait_forms(void)
{
    siginfo_t info;
    int status;
    pid_t pid = fork();

    if (!pid)
        for (;;)
            pause();
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    kill(pid, SIGTERM);
    CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGTERM);
    CHECK_EQ(WTERMSIG(wait_for(pid)), SIGTERM);
    CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
}

static void check_groups(void)
{
    pid_t pid = fork();

    if (!pid)
        _exit(
            !(setsid() == getpid() && getpgid(0) == getpid() && getsid(0) == getpid()));
    CHECK_EQ(wait_for(pid), 0);
    pid = fork();
    if (!pid) {
        setpgid(0, 0);
        kill(0, SIGTERM);
        _exit(1);
    }
    CHECK_EQ(WTERMSIG(wait_for(pid)), SIGTERM);
}

static void check_spawn(void)
{
    char *args[] = {"x", "exit", "21", NULL};
    pid_t pid;

    CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, args, environ), 0);
    CHECK_EQ(wait_for(pid), 21 << 8);
    CHECK_EQ(posix_spawn(&pid, "/nonexistent", NULL, NULL, args, environ), ENOENT);
}

static char clone_stack[65536] __attribute__((aligned(16)));

static int clone_child(void *arg)
{
    *(volatile int *)arg = getppid();
    return 6;
}

static void check_clone_vm(void)
{
    volatile int parent = 0;
    pid_t pid = clone(clone_child, clone_stack + sizeof(clone_stack),
                      CLONE_VFORK | CLONE_VM | SIGCHLD, (void *)&parent);

    CHECK(pid > 0);
    CHECK_EQ(wait_for(pid), 6 << 8);
}

static void check_many_forks(void)
{
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();

        if (!pid)
            _exit(i);
        CHECK_EQ(wait_for(pid), i << 8);
    }
}

static int as_child(int argc, char **argv)
{
    if (!strcmp(argv[1], "exit"))
        return atoi(argv[2]);
    if (!strcmp(argv[1], "show"))
        return show(argc, argv);
    if (!strcmp(argv[1], "fds"))
        return fds_child();
    if (!strcmp(argv[1], "count"))
        return descriptors() == atoi(argv[2]) ? 12 : 13;
    if (!strcmp(argv[1], "script words"))
        return script_child(argc, argv);
    return 98;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return as_child(argc, argv);
    CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    check_statuses();
    check_private_memory();
    check_vfork_rounding();
    check_pipe_chain();
    check_exec();
    check_exec_errors();
    check_exec_fd(O_RDONLY);
    check_exec_fd(O_PATH);
    check_script();
    check_descriptors();
    check_wait_forms();
    check_groups();
    check_spawn();
    check_clone_vm();
    check_many_forks();
    return check_done("process");
}
