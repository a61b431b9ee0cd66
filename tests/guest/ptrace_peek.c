/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run ptrace_peek
 *
 * What ptrace shows of a tracee's queued signals and of its seccomp filters.  Passes on
 * any Linux (gcc -O tests/guest/ptrace_peek.c -o p && ./p).
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { MANY = 100, SET_DISPATCH = 0x4210, GET_DISPATCH = 0x4211 };

typedef struct ptrace_peeksiginfo_args PeekArgs;

static long trace(long request, pid_t pid, const void *addr, const void *data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

/* A child that is stopped in body by its SIGSTOP. */
static pid_t traced_child(void (*body)(void))
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        check_failed = 0;
        trace(PTRACE_TRACEME, 0, NULL, NULL);
        body();
        _exit(check_failed != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGSTOP << 8 | 0x7f);
    return pid;
}

static void finish(pid_t pid)
{
    int status = 0;

    CHECK_EQ(trace(PTRACE_CONT, pid, NULL, NULL), 0);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        trace(PTRACE_CONT, pid, NULL, (void *)(long)WSTOPSIG(status));
    CHECK_EQ(status, 0);
}

/* ---- queued signals ---- */

static int taken[2 * MANY], n_taken;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    taken[n_taken++] = info->si_value.sival_int;
}

static void queue_to_thread(int sig, int value)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_value.sival_int = value;
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, &info), 0);
}

/* Ten that are the thread's, MANY that are the process's. */
static void child_queues(void)
{
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGRTMIN + 2);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGRTMIN + 1, &a, NULL);
    sigaction(SIGRTMIN + 2, &a, NULL);
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}), 0);
    for (int i = 0; i < 10; i++)
        queue_to_thread(SIGRTMIN + 1, 1000 + i);
    raise(SIGSTOP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(n_taken, MANY + 10);
    for (int i = 0; i < n_taken && i < MANY + 10; i++)
        CHECK_EQ(taken[i], i < MANY ? i : 1000 + i - MANY);
}

static void all_of_them(pid_t pid)
{
    siginfo_t info[2 * MANY] = {{0}};
    PeekArgs p = {.nr = 2 * MANY};

    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), 10);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(info[i].si_signo, SIGRTMIN + 1);
        CHECK_EQ(info[i].si_code, SI_QUEUE);
        CHECK_EQ(info[i].si_pid, pid);
        CHECK_EQ(info[i].si_value.sival_int, 1000 + i);
    }
    p.flags = PTRACE_PEEKSIGINFO_SHARED;
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(info[i].si_signo, SIGRTMIN + 2);
        CHECK_EQ(info[i].si_value.sival_int, i);
    }
}

static void some_of_them(pid_t pid)
{
    siginfo_t info[3] = {{0}};
    PeekArgs p = {.nr = 3, .off = 8};

    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), 2);
    CHECK_EQ(info[0].si_value.sival_int, 1008);
    CHECK_EQ(info[2].si_signo, 0);
    p.off = 10;
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), 0);
    p.off = ~0ull;
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), 0);
    p = (PeekArgs){.flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 2, .off = 70};
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, info), 2);
    CHECK_EQ(info[0].si_value.sival_int, 70);
    CHECK_EQ(info[1].si_value.sival_int, 71);
    p.nr = 0;
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, &p, NULL), 0);
    p.nr = 2;
    CHECK_ERR(trace(PTRACE_PEEKSIGINFO, pid, &p, (void *)8), EFAULT);
    CHECK_ERR(trace(PTRACE_PEEKSIGINFO, pid, (void *)8, info), EFAULT);
    p.nr = -1;
    CHECK_ERR(trace(PTRACE_PEEKSIGINFO, pid, &p, info), EINVAL);
    p = (PeekArgs){.flags = 2, .nr = 1};
    CHECK_ERR(trace(PTRACE_PEEKSIGINFO, pid, &p, info), EINVAL);
}

static void signals(void)
{
    pid_t pid = traced_child(child_queues);

    all_of_them(pid);
    some_of_them(pid);
    all_of_them(pid);
    finish(pid);
}

/* ---- filters ---- */

static struct sock_filter first[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

static void install(struct sock_filter *program, size_t n, unsigned flags)
{
    struct sock_fprog p = {(unsigned short)n, program};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p), 0);
}

static void child_filters(void)
{
    install(first, COUNT(first), SECCOMP_FILTER_FLAG_TSYNC);
    install(second, COUNT(second), SECCOMP_FILTER_FLAG_LOG);
    raise(SIGSTOP);
}

static void filters(void)
{
    pid_t pid = traced_child(child_filters);
    struct seccomp_metadata m = {.filter_off = 1};
    struct sock_filter got[4] = {{0}};
    void *const nth[] = {(void *)0, (void *)1, (void *)2};

    CHECK_EQ(trace(PTRACE_SECCOMP_GET_FILTER, pid, nth[0], NULL), 2);
    CHECK_EQ(trace(PTRACE_SECCOMP_GET_FILTER, pid, nth[0], got), 2);
    CHECK(!memcmp(got, first, sizeof first));
    CHECK_EQ(trace(PTRACE_SECCOMP_GET_FILTER, pid, nth[1], got), 1);
    CHECK(!memcmp(got, second, sizeof second));
    CHECK_ERR(trace(PTRACE_SECCOMP_GET_FILTER, pid, nth[2], got), ENOENT);
    CHECK_ERR(trace(PTRACE_SECCOMP_GET_FILTER, pid, nth[0], (void *)8), EFAULT);
    CHECK_EQ(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)sizeof m, &m), sizeof m);
    CHECK_EQ(m.flags, SECCOMP_FILTER_FLAG_LOG);
    m = (struct seccomp_metadata){.flags = 99};
    CHECK_EQ(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)100, &m), sizeof m);
    CHECK_EQ(m.flags, 0);
    m.flags = 99;
    CHECK_EQ(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)8, &m), 8);
    CHECK_EQ(m.flags, 99);
    CHECK_ERR(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)7, &m), EINVAL);
    CHECK_ERR(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)16, (void *)8), EFAULT);
    m.filter_off = 2;
    CHECK_ERR(trace(PTRACE_SECCOMP_GET_METADATA, pid, (void *)16, &m), ENOENT);
    finish(pid);
}

static void child_stops(void) { raise(SIGSTOP); }

/* Only for who may, and has no filters. */
static void refusals(void)
{
    pid_t pid = traced_child(child_stops);
    int admin = geteuid() == 0, status = -1;

    CHECK_ERR(trace(PTRACE_SECCOMP_GET_FILTER, pid, NULL, NULL),
              admin ? EINVAL : EACCES);
    finish(pid);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        install(second, COUNT(second), 0);
        pid = traced_child(child_stops);
        CHECK_ERR(trace(PTRACE_SECCOMP_GET_FILTER, pid, NULL, NULL), EACCES);
        finish(pid);
        _exit(check_failed != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

/* ---- what else is known of a thread ---- */

/* The tracer is about to have children in another pid namespace. */
static void elsewhere(void)
{
    siginfo_t info;
    PeekArgs p = {.nr = 1};
    pid_t pid = traced_child(child_stops), child;
    int status = -1;

    if (unshare(CLONE_NEWPID) == 0) {
        trace(PTRACE_PEEKSIGINFO, pid, &p, &info);
        child = fork();
        if (child == 0)
            _exit(getpid() != 1);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    finish(pid);
}

static void configurations(void)
{
    pid_t pid = traced_child(child_stops);
    struct ptrace_rseq_configuration r = {.pad = 9};
    u64 d[4] = {9, 9, 9, 9};

    CHECK_EQ(trace(PTRACE_GET_RSEQ_CONFIGURATION, pid, (void *)sizeof r, &r), sizeof r);
    CHECK_EQ(r.flags, 0);
    CHECK_EQ(r.pad, 0);
    CHECK_EQ(trace(PTRACE_GET_RSEQ_CONFIGURATION, pid, NULL, NULL), sizeof r);
    CHECK_ERR(trace(PTRACE_GET_RSEQ_CONFIGURATION, pid, (void *)8, (void *)8), EFAULT);
    CHECK_EQ(trace(GET_DISPATCH, pid, (void *)sizeof d, d), 0);
    CHECK_EQ(d[0] | d[1] | d[2] | d[3], 0);
    CHECK_EQ(trace(SET_DISPATCH, pid, (void *)sizeof d, d), 0);
    d[0] = 7;
    CHECK_ERR(trace(SET_DISPATCH, pid, (void *)sizeof d, d), EINVAL);
    CHECK_ERR(trace(SET_DISPATCH, pid, (void *)8, d), EINVAL);
    CHECK_ERR(trace(GET_DISPATCH, pid, (void *)8, d), EINVAL);
    CHECK_ERR(trace(GET_DISPATCH, pid, (void *)sizeof d, (void *)8), EFAULT);
    finish(pid);
}

int main(void)
{
    signals();
    if (geteuid() == 0)
        filters();
    refusals();
    configurations();
    elsewhere();
    return check_done("ptrace_peek");
}
