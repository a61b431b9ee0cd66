/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run wait_tracee
 *
 * wait4 and waitid beside tracees in ways that debuggers do not use (passes on any
 * Linux: gcc -O tests/guest/wait_tracee.c -o w && ./w).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static const int stopped = SIGSTOP << 8 | 0x7f;

static pid_t child_that_stops(int traced, int stays)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (traced)
            ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        while (stays)
            pause();
        _exit(5);
    }
    return pid;
}

/* That a child goes on is not its end: it remains our tracee. */
static void check_continued(void)
{
    pid_t pid = child_that_stops(0, 0);
    int status = 0;

    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(status, stopped);
    CHECK_EQ(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
    do
        CHECK_EQ(waitpid(pid, &status, __WALL | WCONTINUED), pid);
    while (WIFCONTINUED(status));
    CHECK_EQ(status, stopped);
    CHECK_EQ(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    if (status == stopped) { /* the kernel has kept the first one */
        CHECK_EQ(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
        CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    }
    CHECK_EQ(status, 5 << 8);
    CHECK_ERR(waitpid(-1, &status, __WALL), ECHILD);
}

/* The same for waitid. */
static void check_continued_id(void)
{
    pid_t pid = child_that_stops(0, 1);
    siginfo_t info = {0};

    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
    do
        CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WEXITED), 0);
    while (info.si_code == CLD_CONTINUED);
    CHECK_EQ(info.si_code, CLD_TRAPPED);
    CHECK_EQ(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED), 0);
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
}

/* By a descriptor: stops as well, and an end once only. */
static void check_pidfd(void)
{
    pid_t pid = child_that_stops(1, 0);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0), other = dup(1);
    siginfo_t info = {0};

    CHECK(fd >= 0);
    CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &info, WSTOPPED | WEXITED), 0);
    CHECK_EQ(info.si_code, CLD_TRAPPED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGSTOP);
    CHECK_ERR(waitid(P_PIDFD, (id_t)other, &info, WEXITED), EBADF);
    CHECK_EQ(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &info, WSTOPPED | WEXITED), 0);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 5);
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED | __WALL), ECHILD);
    close(fd);
    close(other);
}

int main(void)
{
    check_continued();
    check_continued_id();
    check_pidfd();
    return check_done("wait_tracee");
}
