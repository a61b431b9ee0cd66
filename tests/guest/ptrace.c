/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run ptrace
 *
 * ptrace between processes, as far as it does not depend on registers: a program that
 * any Linux passes (gcc -O tests/guest/ptrace.c -o p -lpthread && ./p).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static const char *self;

static long trace(long request, pid_t pid, unsigned long addr, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

static long trace_at(long request, pid_t pid, const void *addr, void *data)
{
    return trace(request, pid, (unsigned long)addr, (unsigned long)data);
}

/* The status that wait4 gives for the tracee, -1: an error. */
static int wait_for(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static int stopped(int sig, int event) { return sig << 8 | 0x7f | event << 16; }

static unsigned long message(pid_t pid)
{
    unsigned long m = 0;

    CHECK_EQ(trace_at(PTRACE_GETEVENTMSG, pid, 0, &m), 0);
    return m;
}

static void resume(long request, pid_t pid, int sig)
{
    CHECK_EQ(trace(request, pid, 0, (unsigned long)sig), 0);
}

static pid_t child_of(void (*body)(void))
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        body();
        _exit(check_failed != 0);
    }
    return pid;
}

/* A child that asks to be traced and stops. */
static void (*traced_body)(void);

static void traced(void)
{
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    traced_body();
}

static pid_t traced_child(void (*body)(void), unsigned long options)
{
    pid_t pid;

    traced_body = body;
    pid = child_of(traced);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    CHECK_EQ(trace(PTRACE_SETOPTIONS, pid, 0, options), 0);
    return pid;
}

static void nap(int ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000l};

    nanosleep(&time, NULL);
}

/* ---- TRACEME, system calls ---- */

static void three_calls(void)
{
    getppid();
    syscall(SYS_close, -1);
    raise(SIGCONT); /* ignored, and seen all the same */
    _exit(7);
}

static void syscall_stops(void)
{
    pid_t pid = traced_child(three_calls, PTRACE_O_TRACESYSGOOD);
    struct ptrace_syscall_info info;
    long seen[3][2] = {{0}};
    int calls = 0, conts = 0, status;

    for (;;) {
        resume(PTRACE_SYSCALL, pid, 0);
        status = wait_for(pid);
        if (!WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) == SIGCONT)
            conts++;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        CHECK(trace_at(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 24);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY && calls < 2) {
            seen[calls][0] = (long)info.entry.nr;
            CHECK_EQ(message(pid), PTRACE_EVENTMSG_SYSCALL_ENTRY);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && calls < 2) {
            CHECK_EQ(message(pid), PTRACE_EVENTMSG_SYSCALL_EXIT);
            seen[calls++][1] = (long)info.exit.rval;
        }
    }
    CHECK_EQ(status, 7 << 8);
    CHECK_EQ(conts, 1);
    CHECK_EQ(seen[0][0], SYS_getppid);
    CHECK_EQ(seen[0][1], getpid());
    CHECK_EQ(seen[1][0], SYS_close);
    CHECK_EQ(seen[1][1], -EBADF);
}

/* ---- memory ---- */

static volatile u64 words[2] = {0x1122334455667788, 5};

static void read_words(void)
{
    raise(SIGUSR2);
    _exit((int)words[1]);
}

static void memory(void)
{
    pid_t pid = traced_child(read_words, 0);
    u64 word = 0, two[2] = {0};
    struct iovec local = {two, sizeof two}, remote = {(void *)words, sizeof words};
    char path[32];
    int fd;

    CHECK_EQ(trace_at(PTRACE_PEEKDATA, pid, (void *)&words[0], &word), 0);
    CHECK_EQ(word, words[0]);
    CHECK_EQ(process_vm_readv(pid, &local, 1, &remote, 1, 0), sizeof two);
    CHECK_EQ(two[1], 5);
    two[0] = 77;
    CHECK_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), sizeof two);
    CHECK_EQ(trace_at(PTRACE_PEEKTEXT, pid, (void *)&words[0], &word), 0);
    CHECK_EQ(word, 77);
    CHECK_EQ(trace(PTRACE_POKEDATA, pid, (unsigned long)&words[1], 9), 0);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, two, 8, (off_t)(long)&words[1]), 8);
    CHECK_EQ(two[0], 9);
    two[0] = 11;
    CHECK_EQ(pwrite(fd, two, 8, (off_t)(long)&words[1]), 8);
    close(fd);
    CHECK_ERR(trace_at(PTRACE_PEEKDATA, pid, (void *)8, &word), EIO);
    CHECK_ERR(trace(PTRACE_POKEDATA, pid, 8, 0), EIO);
    CHECK_ERR(trace_at(PTRACE_PEEKDATA, pid, (void *)words, (void *)8), EFAULT);
    CHECK_ERR(trace_at(PTRACE_PEEKDATA, pid, (void *)(~0ul - 8), &word), EIO);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR2, 0));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 11 << 8);
}

/* ---- signals ---- */

static volatile int handled, handled_value;

static void on_signal(int sig, siginfo_t *info, void *context __attribute__((unused)))
{
    handled = sig;
    handled_value = info->si_value.sival_int;
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigset_t set;

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1); /* suppressed */
    if (handled)
        _exit(1);
    raise(SIGUSR2); /* becomes SIGUSR1 */
    if (handled != SIGUSR1)
        _exit(2);
    raise(SIGUSR1); /* with another value */
    if (handled_value != 99)
        _exit(3);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    handled = 0;
    raise(SIGUSR1); /* blocked: not seen before it is unblocked */
    kill(getpid(), SIGWINCH);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(handled == SIGUSR1 ? 0 : 4);
}

static void signals(void)
{
    pid_t pid = traced_child(take_signals, 0);
    siginfo_t info;
    u64 mask = 0;

    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    CHECK_EQ(trace_at(PTRACE_GETSIGINFO, pid, 0, &info), 0);
    CHECK_EQ(info.si_signo, SIGUSR1);
    CHECK_EQ(info.si_code, SI_TKILL);
    CHECK_EQ(info.si_pid, pid);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR2, 0));
    resume(PTRACE_CONT, pid, SIGUSR1);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    CHECK_EQ(trace_at(PTRACE_GETSIGINFO, pid, 0, &info), 0);
    info.si_value.sival_int = 99;
    CHECK_EQ(trace_at(PTRACE_SETSIGINFO, pid, 0, &info), 0);
    resume(PTRACE_CONT, pid, SIGUSR1);
    CHECK_EQ(wait_for(pid), stopped(SIGWINCH, 0));
    CHECK_EQ(trace_at(PTRACE_GETSIGMASK, pid, (void *)8, &mask), 0);
    CHECK_EQ(mask, 1ull << (SIGUSR1 - 1));
    CHECK_ERR(trace_at(PTRACE_GETSIGMASK, pid, (void *)4, &mask), EINVAL);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    resume(PTRACE_CONT, pid, SIGUSR1);
    CHECK_EQ(wait_for(pid), 0);
}

static int *volatile nowhere = (int *)8;

static void fall_over(void) { *nowhere = 1; }

static void faults(void)
{
    pid_t pid = traced_child(fall_over, 0);
    siginfo_t info;

    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGSEGV, 0));
    CHECK_EQ(trace_at(PTRACE_GETSIGINFO, pid, 0, &info), 0);
    CHECK_EQ(info.si_code, SEGV_MAPERR);
    CHECK_EQ(info.si_addr, (void *)8);
    resume(PTRACE_CONT, pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
}

/* ---- events ---- */

static void family(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(3);
    waitpid(pid, &status, 0);
    pid = vfork();
    if (pid == 0)
        _exit(4);
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

static void events(void)
{
    const unsigned long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                  PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT;
    pid_t pid = traced_child(family, options), other;
    siginfo_t info;

    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_FORK));
    CHECK_EQ(trace_at(PTRACE_GETSIGINFO, pid, 0, &info), 0);
    CHECK_EQ(info.si_code, SIGTRAP | PTRACE_EVENT_FORK << 8);
    other = (pid_t)message(pid);
    CHECK_EQ(wait_for(other), stopped(SIGSTOP, 0));
    resume(PTRACE_CONT, other, 0);
    CHECK_EQ(wait_for(other), stopped(SIGTRAP, PTRACE_EVENT_EXIT));
    CHECK_EQ(message(other), 3 << 8);
    resume(PTRACE_CONT, other, 0);
    CHECK_EQ(wait_for(other), 3 << 8);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGCHLD, 0));
    resume(PTRACE_CONT, pid, SIGCHLD);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_VFORK));
    other = (pid_t)message(pid);
    CHECK_EQ(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORKDONE), 0);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(other), stopped(SIGSTOP, 0));
    CHECK_EQ(trace(PTRACE_SETOPTIONS, other, 0, 0), 0);
    resume(PTRACE_CONT, other, 0);
    CHECK_EQ(wait_for(other), 4 << 8);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_VFORK_DONE));
    CHECK_EQ(message(pid), (unsigned long)other);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGCHLD, 0));
    resume(PTRACE_CONT, pid, SIGCHLD);
    CHECK_EQ(wait_for(pid), 4 << 8);
}

static void become_other(void)
{
    execl(self, self, "status", "21", NULL);
    _exit(99);
}

static void exec(void)
{
    pid_t pid = traced_child(become_other, PTRACE_O_TRACEEXEC);

    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_EXEC));
    CHECK_EQ(message(pid), (unsigned long)pid);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 21 << 8);

    pid = traced_child(become_other, 0);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, 0)); /* the old way */
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 21 << 8);
}

/* ---- attaching ---- */

static void sleep_long(void)
{
    const struct timespec time = {.tv_sec = 100};

    while (nanosleep(&time, NULL))
        ;
}

static void sleep_in_poll(void)
{
    int fd[2];
    char c;

    if (pipe(fd) == 0)
        _exit(read(fd[0], &c, 1) < 0);
}

static void spin(void)
{
    for (volatile int i = 0;; i++)
        ;
}

static void stop_first(void)
{
    raise(SIGSTOP);
    spin();
}

static void attach_to_stopped(void)
{
    pid_t pid = child_of(stop_first);
    u64 word;
    int status;

    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(status, stopped(SIGSTOP, 0));
    CHECK_EQ(trace(PTRACE_ATTACH, pid, 0, 0), 0);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    CHECK_EQ(trace_at(PTRACE_PEEKDATA, pid, (void *)&words[1], &word), 0);
    CHECK_EQ(word, words[1]);
    resume(PTRACE_DETACH, pid, 0);
    kill(pid, SIGCONT);
    kill(pid, SIGTERM);
    CHECK_EQ(wait_for(pid), SIGTERM);
}

static void attach_to(void (*body)(void))
{
    pid_t pid = child_of(body);
    char path[32], text[4096] = "", want[40];
    int fd;

    nap(20);
    CHECK_EQ(trace(PTRACE_ATTACH, pid, 0, 0), 0);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    CHECK_ERR(trace(PTRACE_ATTACH, pid, 0, 0), EPERM);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    fd = open(path, O_RDONLY);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    snprintf(want, sizeof want, "TracerPid:\t%d\n", getpid());
    CHECK(strstr(text, want));
    CHECK(strstr(text, "State:\tt (tracing stop)"));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(waitpid(pid, &fd, WNOHANG | __WALL), 0);
    CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH); /* it runs */
    kill(pid, SIGUSR1);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    resume(PTRACE_DETACH, pid, 0);
    CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
    nap(5);
    CHECK_EQ(waitpid(pid, &fd, WNOHANG), 0);
    kill(pid, SIGTERM);
    CHECK_EQ(wait_for(pid), SIGTERM);
}

static void seize(void)
{
    pid_t pid = child_of(sleep_long);
    siginfo_t info;

    nap(20);
    CHECK_ERR(trace(PTRACE_SEIZE, pid, 1, 0), EIO);
    CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
    CHECK_EQ(trace(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_STOP));
    resume(PTRACE_CONT, pid, 0);
    kill(pid, SIGSTOP);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    resume(PTRACE_CONT, pid, SIGSTOP);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, PTRACE_EVENT_STOP)); /* the group */
    CHECK_EQ(trace_at(PTRACE_GETSIGINFO, pid, 0, &info), 0);
    CHECK_EQ(info.si_signo, SIGSTOP);
    CHECK_EQ(info.si_code, SIGSTOP | PTRACE_EVENT_STOP << 8);
    CHECK_EQ(trace(PTRACE_LISTEN, pid, 0, 0), 0);
    kill(pid, SIGCONT);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_STOP));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGCONT, 0));
    resume(PTRACE_SYSCALL, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP | 0x80, 0)); /* nanosleep, again */
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
}

static void sleep_shortly(void)
{
    nap(100);
    nap(100);
}

/* Who sleeps wakes up in the end, however often it is looked at. */
static void wakes_up(void)
{
    pid_t pid = child_of(sleep_shortly);
    int status = 0, n = 0;

    CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, 0), 0);
    do {
        nap(5);
        trace(PTRACE_INTERRUPT, pid, 0, 0); /* it may have ended */
        status = wait_for(pid);
    } while (WIFSTOPPED(status) && trace(PTRACE_CONT, pid, 0, 0) == 0 && ++n < 4000);
    CHECK_EQ(status, 0);
    CHECK(n < 4000);
}

/* Not a child: a process that the tracer has nothing else to do with. */
static void stranger(void)
{
    int fd[2], go[2], status;
    pid_t pid;

    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(pipe(go), 0);
    fflush(stdout);
    if (fork() == 0) {
        pid = fork();
        if (pid == 0) {
            read(go[0], &pid, 1); /* until it is traced */
            raise(SIGUSR1);
            _exit(5);
        }
        write(fd[1], &pid, sizeof pid);
        waitpid(pid, &status, 0); /* only when its tracer knows */
        _exit(WEXITSTATUS(status));
    }
    CHECK_EQ(read(fd[0], &pid, sizeof pid), sizeof pid);
    CHECK_EQ(trace(PTRACE_ATTACH, pid, 0, 0), 0);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(write(go[1], "", 1), 1);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 5 << 8);
    CHECK_EQ(wait(&status) > 0, 1);
    CHECK_EQ(status, 5 << 8);
    close(fd[0]);
    close(fd[1]);
}

/* ---- threads ---- */

static void *thread(void *arg)
{
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    return arg;
}

static void start_thread(void)
{
    pthread_t t;

    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    nap(20); /* joined is not ended */
    _exit(6);
}

static void threads(void)
{
    pid_t pid = traced_child(start_thread, PTRACE_O_TRACECLONE), tid;

    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_CLONE));
    tid = (pid_t)message(pid);
    CHECK(tid != pid);
    CHECK_EQ(wait_for(tid), stopped(SIGSTOP, 0));
    resume(PTRACE_CONT, pid, 0);
    resume(PTRACE_CONT, tid, 0);
    CHECK_EQ(wait_for(tid), stopped(SIGUSR1, 0));
    resume(PTRACE_CONT, tid, 0);
    CHECK_EQ(wait_for(tid), 0);
    CHECK_EQ(wait_for(pid), 6 << 8);
}

/* ---- the tracer's end ---- */

static void tracer_dies(unsigned long options, int want)
{
    int fd[2], status;
    pid_t pid, tracer;

    CHECK_EQ(pipe(fd), 0);
    pid = child_of(sleep_long);
    tracer = fork();
    if (tracer == 0) {
        CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, options), 0);
        CHECK_EQ(trace(PTRACE_INTERRUPT, pid, 0, 0), 0);
        CHECK_EQ(wait_for(pid), stopped(SIGTRAP, PTRACE_EVENT_STOP));
        _exit(check_failed != 0);
    }
    CHECK_EQ(wait_for(tracer), 0);
    nap(20);
    status = -1;
    if (want == 0) {
        CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
        kill(pid, SIGKILL);
    }
    CHECK_EQ(wait_for(pid), SIGKILL);
    close(fd[0]);
    close(fd[1]);
}

/* The same where the tracer can do nothing any more, and its tracee runs. */
static void tracer_is_killed(void)
{
    int fd[2];
    pid_t pid, tracer;

    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    tracer = fork();
    if (tracer == 0) {
        pid = traced_child(sleep_long, PTRACE_O_EXITKILL);
        trace(PTRACE_CONT, pid, 0, 0);
        write(fd[1], &pid, sizeof pid);
        sleep_long();
    }
    CHECK_EQ(read(fd[0], &pid, sizeof pid), sizeof pid);
    kill(tracer, SIGKILL);
    CHECK_EQ(wait_for(tracer), SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL); /* we are its parent now */
    close(fd[0]);
    close(fd[1]);
}

/* A tracee may die at any moment. */
static void ask_for_ever(void)
{
    for (;;)
        getppid();
}

static void killed_while_traced(void)
{
    for (int i = 0; i < 30; i++) {
        pid_t pid = traced_child(ask_for_ever, 0), killer = fork();
        int status;

        if (killer == 0) {
            for (volatile int k = 0; k < i * 3000; k++)
                ;
            kill(pid, SIGKILL);
            _exit(0);
        }
        do {
            trace(PTRACE_SYSCALL, pid, 0, 0);
            status = wait_for(pid);
        } while (WIFSTOPPED(status));
        CHECK_EQ(status, SIGKILL);
        CHECK_EQ(wait_for(killer), 0);
    }
}

/* A process of two threads, of which the second ends both: a tracer that is not its
 * parent sees each. */
static void *end_all(void *arg)
{
    nap(20); /* its creator has told of it by then */
    _exit(9);
    return arg;
}

static void end_by_thread(void)
{
    pthread_t t;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pthread_create(&t, NULL, end_all, NULL);
        for (;;)
            pause();
    }
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

static void ends_of_threads(void)
{
    pid_t pid = traced_child(end_by_thread, PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE);
    pid_t got, ended[4] = {0};
    int status, n = 0, clones = 0;

    resume(PTRACE_CONT, pid, 0);
    while ((got = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            CHECK_EQ(status, 9 << 8);
            if (n < 4)
                ended[n++] = got;
            continue;
        }
        clones += status >> 16 != 0;
        trace(PTRACE_CONT, got, 0, 0);
    }
    CHECK_EQ(clones, 2);
    CHECK_EQ(n, 3);
    CHECK_EQ(ended[2], pid);
    CHECK(ended[1] > pid && ended[0] > ended[1]); /* the leader after its thread */
}

/* ---- SIGCHLD, waitid ---- */

static void wait_ids(void)
{
    pid_t pid;
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    traced_body = sleep_long;
    pid = child_of(traced);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_TRAPPED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGSTOP);
    for (int i = 0; i < 2; i++) {
        memset(&info, 0, sizeof info);
        CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT), 0);
        CHECK_EQ(info.si_code, CLD_TRAPPED);
        CHECK_EQ(info.si_status, SIGSTOP);
    }
    CHECK_EQ(waitid(P_ALL, 0, &info, WSTOPPED), 0);
    CHECK_EQ(info.si_pid, pid);
    memset(&info, 0, sizeof info);
    CHECK_EQ(waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG), 0);
    CHECK_EQ(info.si_pid, 0);
    CHECK_EQ(trace(PTRACE_KILL, pid, 0, 0), 0);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGKILL);
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED | WSTOPPED), ECHILD);
    while (sigtimedwait(&set, &info, &(struct timespec){0}) > 0)
        ;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Its signals do not reach us any more. */
static void become_nobody(void)
{
    CHECK_EQ(syscall(SYS_setuid, 65534), 0);
    raise(SIGUSR1);
    _exit(7);
}

static void changes_user(void)
{
    pid_t pid;

    if (geteuid() != 0)
        return;
    pid = traced_child(become_nobody, 0);
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 7 << 8);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        trace(PTRACE_TRACEME, 0, 0, 0);
        become_nobody();
    }
    CHECK_EQ(wait_for(pid), stopped(SIGUSR1, 0));
    resume(PTRACE_CONT, pid, 0);
    CHECK_EQ(wait_for(pid), 7 << 8);
}

static void bad_requests(void)
{
    pid_t pid = traced_child(sleep_long, 0);
    siginfo_t info;

    CHECK_ERR(trace(PTRACE_CONT, 0x3ffffff, 0, 0), ESRCH);
    CHECK_ERR(trace(PTRACE_ATTACH, 0x3ffffff, 0, 0), ESRCH);
    CHECK_ERR(trace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
    CHECK_ERR(trace(PTRACE_CONT, getppid(), 0, 0), ESRCH);
    CHECK_ERR(trace(PTRACE_CONT, pid, 0, 65), EIO);
    CHECK_ERR(trace(12345, pid, 0, 0), EIO);
    CHECK_ERR(trace(PTRACE_SETOPTIONS, pid, 0, 1ul << 30), EINVAL);
    CHECK_ERR(trace(PTRACE_INTERRUPT, pid, 0, 0), EIO); /* not seized */
    CHECK_ERR(trace(PTRACE_LISTEN, pid, 0, 0), EIO);
    CHECK_ERR(trace_at(PTRACE_GETSIGINFO, pid, 0, (void *)8), EFAULT);
    CHECK_ERR(trace_at(PTRACE_SETSIGINFO, pid, 0, (void *)8), EFAULT);
    CHECK_ERR(trace_at(PTRACE_GETREGSET, pid, (void *)1, (void *)8), EFAULT);
    CHECK_ERR(trace_at(PTRACE_GETREGSET, pid, (void *)0x7777, &info), EINVAL);
    kill(pid, SIGKILL);
    CHECK_EQ(wait_for(pid), SIGKILL);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return atoi(argv[2]);
    self = argv[0];
    syscall_stops();
    memory();
    signals();
    faults();
    events();
    exec();
    attach_to(sleep_long);
    attach_to(sleep_in_poll);
    attach_to(spin);
    attach_to_stopped();
    seize();
    wakes_up();
    stranger();
    threads();
    tracer_dies(0, 0);
    tracer_dies(PTRACE_O_EXITKILL, SIGKILL);
    tracer_is_killed();
    killed_while_traced();
    ends_of_threads();
    wait_ids();
    changes_user();
    bad_requests();
    return check_done("ptrace");
}
