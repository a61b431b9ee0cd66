/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run forged
 *
 * A thread may queue itself signals that look like the kernel's about a fault: they
 * arrive as they were sent, and mean nothing more. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static const int faults[] = {SIGILL, SIGBUS, SIGFPE, SIGSEGV};
static volatile int got, code, there;
static void *volatile addr;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    code = info->si_code;
    addr = info->si_addr;
    there = gettid();
    got = sig;
}

static siginfo_t forged(int sig, void *at)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = 1;
    info.si_addr = at;
    return info;
}

static void check_own(int sig, void *at)
{
    siginfo_t info = forged(sig, at);

    got = 0;
    CHECK_EQ(syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info), 0);
    CHECK_EQ(got, sig);
    CHECK_EQ(code, 1);
    CHECK_EQ(addr, at);
    got = 0;
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, &info), 0);
    CHECK_EQ(got, sig);
    CHECK_EQ(addr, at);
}

static void check_blocked(void)
{
    siginfo_t info = forged(SIGSEGV, NULL);
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    got = 0;
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &info), 0);
    CHECK_EQ(got, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(got, SIGSEGV);
}

static void *thread(void *arg)
{
    siginfo_t info = forged(SIGBUS, (void *)0x123456);

    got = 0;
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info), EPERM);
    CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGBUS, &info), EPERM);
    CHECK_EQ(got, 0);
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info), 0);
    CHECK_EQ(got, SIGBUS);
    CHECK_EQ(there, gettid());
    return arg;
}

static void check_thread(void)
{
    pthread_t t;

    CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
    pthread_join(t, NULL);
}

static void check_death(int sig)
{
    siginfo_t info = forged(sig, (void *)-1);
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        signal(sig, SIG_DFL);
        syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    siginfo_t info = forged(SIGSEGV, NULL);

    for (size_t i = 0; i < COUNT(faults); i++) {
        sigaction(faults[i], &action, NULL);
        check_own(faults[i], &info);
        check_own(faults[i], (void *)0x1234);
        check_own(faults[i], (void *)-4096l);
        check_death(faults[i]);
    }
    check_blocked();
    check_thread();
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGSEGV, 16), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGSEGV, &info), EPERM);
    return check_done("forged");
}
