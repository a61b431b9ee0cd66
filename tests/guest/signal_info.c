/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run signal_info
 *
 * All 64 signals, and what siginfo says of each source: kill, tgkill, sigqueue, timers
 * with overruns, message queues, children, I/O, seccomp.  Then what fork and exec leave
 * of signals. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "catch.h"

static void wait_until_seen(void)
{
    for (int i = 0; i < 20000 && !count; i++)
        usleep(1000);
    CHECK(count);
}

/* Past libc, which keeps two for itself. */
typedef struct Action {
    void *handler;
    u64 flags;
#ifndef __riscv
    void *restorer;
#endif
    u64 mask;
} Action;

static void check_all_actions(void)
{
    for (int sig = 1; sig <= 64; sig++) {
        Action act = {.handler = SIG_IGN, .flags = SA_RESTART, .mask = ~0ull}, old;
        int fixed = sig == SIGKILL || sig == SIGSTOP;

        CHECK_EQ(syscall(SYS_rt_sigaction, sig, NULL, &old, 8), 0);
        CHECK((u64)old.handler <= 1); /* what we were started with */
        CHECK_EQ(old.mask | old.flags, 0);
        CHECK_EQ(syscall(SYS_rt_sigaction, sig, &act, NULL, 8), fixed ? -1 : 0);
        CHECK_EQ(syscall(SYS_rt_sigaction, sig, NULL, &old, 8), 0);
        CHECK_EQ((u64)old.handler, fixed ? 0 : 1);
        CHECK_EQ(old.mask,
                 fixed ? 0 : ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
        act.handler = SIG_DFL;
        act.mask = act.flags = 0;
        syscall(SYS_rt_sigaction, sig, &act, NULL, 8);
    }
}

static void check_all_delivered(void)
{
    for (int sig = 1; sig <= 64; sig++) {
        if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
            continue;
        catch (sig, on_info, 0);
        forget();
        CHECK_EQ(kill(getpid(), sig), 0);
        CHECK_EQ(count, 1);
        CHECK_EQ(seen.si_signo, sig);
        CHECK_EQ(seen.si_code, SI_USER);
        CHECK_EQ(seen.si_pid, getpid());
        CHECK_EQ(seen.si_uid, getuid());
        forget();
        CHECK_EQ(raise(sig), 0);
        CHECK_EQ(seen.si_code, SI_TKILL);
        change(SIG_BLOCK, sig);
        forget();
        CHECK_EQ(kill(getpid(), sig), 0);
        CHECK_EQ(kill(getpid(), sig), 0);
        CHECK_EQ(count, 0);
        change(SIG_UNBLOCK, sig);
        CHECK_EQ(count, sig < 32 ? 1 : 2);
        signal(sig, SIG_DFL);
    }
}

/* All defaults but those that stop: what a parent sees. */
static void check_all_ends(void)
{
    const char *spared = "\x11\x12\x13\x14\x15\x16\x17\x1c"; /* ignored, or they stop */

    for (int sig = 1; sig <= 64; sig++) {
        int status = 0;
        pid_t pid;

        if (sig == 32 || sig == 33 || (sig < 32 && strchr(spared, sig)))
            continue;
        pid = fork();
        if (pid == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            kill(getpid(), sig);
            _exit(1);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), sig);
    }
}

/* ---- queues ---- */

static int order[64];

static void on_order(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (count < 64)
        order[count] = sig << 16 | info->si_value.sival_int;
    count++;
}

/* More than a handful, of two kinds; each kind in its order. */
static void check_queues(void)
{
    int next[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        catch (SIGRTMIN + i, on_order, 0);
        change(SIG_BLOCK, SIGRTMIN + i);
    }
    count = 0;
    for (int i = 0; i < 60; i++)
        CHECK_EQ(sigqueue(getpid(), SIGRTMIN + i % 2, (union sigval){i / 2}), 0);
    change(SIG_UNBLOCK, SIGRTMIN + 1);
    CHECK_EQ(count, 30);
    change(SIG_UNBLOCK, SIGRTMIN);
    CHECK_EQ(count, 60);
    for (int i = 0; i < 60; i++) {
        int kind = (order[i] >> 16) - SIGRTMIN;

        CHECK_EQ(kind, i < 30);
        CHECK_EQ(order[i] & 0xffff, next[kind]++);
    }
}

/* Both at once: the greater's handler is entered last, and so runs first. */
static void check_nesting_order(void)
{
    sigset_t both, old;

    sigemptyset(&both);
    sigaddset(&both, SIGRTMIN);
    sigaddset(&both, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &both, &old);
    count = 0;
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){1});
    sigqueue(getpid(), SIGRTMIN, (union sigval){2});
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_EQ(count, 2);
    CHECK_EQ(order[0], (SIGRTMIN + 1) << 16 | 1);
    CHECK_EQ(order[1], SIGRTMIN << 16 | 2);
}

static void check_queue_limit(void)
{
    struct rlimit old, few;
    int sent = 0, error = 0, status;
    pid_t pid = checking_child(); /* its pending signals go with it */

    if (pid == 0) {
        CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &old), 0);
        few = old;
        few.rlim_cur = 100;
        CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &few), 0);
        change(SIG_BLOCK, SIGRTMIN);
        count = 0;
        while (sent < 200 && sigqueue(getpid(), SIGRTMIN, (union sigval){sent}) == 0)
            sent++;
        error = errno;
        CHECK(sent <= 100);
        CHECK_EQ(error, EAGAIN);
        CHECK_EQ(kill(getpid(), SIGRTMIN), 0); /* goes without siginfo */
        change(SIG_UNBLOCK, SIGRTMIN);
        CHECK(count == sent || count == sent + 1);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- sources ---- */

static void check_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN + 2,
                             .sigev_value = {.sival_ptr = (void *)0x123456789abcdef}};
    struct itimerspec every = {{0, 1000000}, {0, 1000000}}, never = {0};
    timer_t id;

    catch (SIGRTMIN + 2, on_info, 0);
    forget();
    change(SIG_BLOCK, SIGRTMIN + 2);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &every, NULL), 0);
    usleep(50000);
    change(SIG_UNBLOCK, SIGRTMIN + 2);
    CHECK(count >= 1);
    CHECK_EQ(timer_settime(id, 0, &never, NULL), 0);
    change(SIG_BLOCK, SIGRTMIN + 2);
    forget();
    CHECK_EQ(timer_settime(id, 0, &every, NULL), 0);
    usleep(50000);
    CHECK_EQ(timer_settime(id, 0, &never, NULL), 0);
    change(SIG_UNBLOCK, SIGRTMIN + 2);
    if (count) { /* a stopped timer's signal may be dropped */
        CHECK_EQ(seen.si_code, SI_TIMER);
        CHECK_EQ((u64)seen.si_value.sival_ptr, 0x123456789abcdef);
        CHECK_EQ(seen.si_overrun, timer_getoverrun(id));
    }
    CHECK_EQ(timer_delete(id), 0);
}

static void check_message_queue(void)
{
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1,
                             .sigev_value = {.sival_int = 77}};
    mqd_t q;

    mq_unlink("/tessera-info");
    q = mq_open("/tessera-info", O_CREAT | O_RDWR, 0600, &attr);
    CHECK(q >= 0);
    catch (SIGUSR1, on_info, 0);
    forget();
    CHECK_EQ(mq_notify(q, &event), 0);
    CHECK_EQ(mq_send(q, "message", 8, 0), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(seen.si_code, SI_MESGQ);
    CHECK_EQ(seen.si_value.sival_int, 77);
    CHECK_EQ(seen.si_pid, getpid());
    mq_close(q);
    mq_unlink("/tessera-info");
}

static void child_is(int code, int status, pid_t pid)
{
    wait_until_seen();
    CHECK_EQ(seen.si_code, code);
    CHECK_EQ(seen.si_status, status);
    CHECK_EQ(seen.si_pid, pid);
    CHECK_EQ(seen.si_uid, getuid());
    forget();
}

static void check_child(void)
{
    pid_t pid;

    catch (SIGCHLD, on_info, SA_RESTART);
    forget();
    pid = fork();
    while (pid == 0)
        pause();
    kill(pid, SIGSTOP);
    child_is(CLD_STOPPED, SIGSTOP, pid);
    kill(pid, SIGCONT);
    child_is(CLD_CONTINUED, SIGCONT, pid);
    catch (SIGCHLD, on_info, SA_RESTART | SA_NOCLDSTOP);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, NULL, WUNTRACED), pid);
    CHECK_EQ(count, 0);
    kill(pid, SIGKILL);
    child_is(CLD_KILLED, SIGKILL, pid);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    catch (SIGCHLD, on_info, SA_RESTART | SA_NOCLDWAIT);
    pid = fork();
    if (pid == 0)
        _exit(3);
    child_is(CLD_EXITED, 3, pid);
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_IGN);
    if ((pid = fork()) == 0)
        _exit(3);
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void check_io(void)
{
    int fd[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    catch (SIGRTMIN + 3, on_info, 0);
    CHECK_EQ(fcntl(fd[0], F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(fd[0], F_SETSIG, SIGRTMIN + 3), 0);
    CHECK_EQ(fcntl(fd[0], F_SETFL, O_ASYNC | O_NONBLOCK), 0);
    forget();
    CHECK_EQ(write(fd[1], "x", 1), 1);
    CHECK(count >= 1);
    CHECK_EQ(seen.si_code, POLL_IN);
    CHECK_EQ(seen.si_fd, fd[0]);
    CHECK(seen.si_band & 1 /* POLLIN */);
    close(fd[0]);
    close(fd[1]);
}

/* In a child: getppid traps. */
static void check_seccomp(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | 0x55),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {COUNT(program), program};
    int status = -1;
    pid_t pid = checking_child();

    if (pid == 0) {
        catch (SIGSYS, on_info, 0);
        forget();
        CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0), 0);
        syscall(SYS_getppid);
        CHECK_EQ(count, 1);
        CHECK_EQ(seen.si_code, 1 /* SYS_SECCOMP */);
        CHECK_EQ(seen.si_syscall, SYS_getppid);
        CHECK_EQ(seen.si_errno, 0x55);
        CHECK(seen.si_call_addr != NULL);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- fork and exec ---- */

static u8 stack[16384];

static void check_fork(void)
{
    sigset_t pending;
    stack_t now, mine = {.ss_sp = stack, .ss_size = sizeof stack};
    int status = -1;
    pid_t pid;

    catch (SIGUSR1, on_info, 0);
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    change(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    pid = checking_child();
    if (pid == 0) {
        sigpending(&pending);
        CHECK(!sigismember(&pending, SIGUSR1));
        forget();
        change(SIG_UNBLOCK, SIGUSR1);
        CHECK_EQ(count, 0);
        raise(SIGUSR1);
        CHECK_EQ(count, 1); /* the handler and the mask are inherited */
        CHECK_EQ(sigaltstack(NULL, &now), 0);
        CHECK_EQ((u64)now.ss_sp, (u64)stack);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    forget();
    change(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(count, 2); /* of the thread's and of the process's */
}

static void *exec_from_thread(void *self)
{
    execl(self, "signal_info", "after-exec", NULL);
    return NULL;
}

/* Blocked and pending signals stay over exec, ignored ones too, handlers go. */
static void check_exec(int from_thread)
{
    stack_t mine = {.ss_sp = stack, .ss_size = sizeof stack};
    int status = -1;
    pthread_t thread;
    pid_t pid = fork();

    if (pid == 0) {
        char id[16];

        snprintf(id, sizeof id, "%d", getpid());
        setenv("WAS", id, 1);
        sigaltstack(&mine, NULL);
        catch (SIGUSR1, on_info, 0);
        catch (SIGSEGV, on_info, 0);
        catch (SIGRTMIN, on_info, 0);
        signal(SIGUSR2, SIG_IGN);
        signal(SIGBUS, SIG_IGN);
        change(SIG_BLOCK, SIGUSR1);
        change(SIG_BLOCK, SIGRTMIN);
        kill(getpid(), SIGUSR1);
        sigqueue(getpid(), SIGRTMIN, (union sigval){41});
        sigqueue(getpid(), SIGRTMIN, (union sigval){42});
        if (from_thread) {
            pthread_create(&thread, NULL, exec_from_thread, "/proc/self/exe");
            pthread_join(thread, NULL);
        }
        execl("/proc/self/exe", "signal_info", "after-exec", NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static int after_exec(void)
{
    struct sigaction act;
    struct timespec none = {0, 0};
    sigset_t set;
    siginfo_t info;
    stack_t now;

    CHECK_EQ(atoi(getenv("WAS")), getpid());
    CHECK_EQ(syscall(SYS_gettid), getpid());
    for (int sig = 1; sig <= 64; sig++) {
        if (sigaction(sig, NULL, &act))
            continue;
        CHECK_EQ((u64)act.sa_handler, sig == SIGUSR2 || sig == SIGBUS);
    }
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags, SS_DISABLE);
    sigprocmask(SIG_BLOCK, NULL, &set);
    for (int sig = 1; sig <= 64; sig++)
        CHECK_EQ(sigismember(&set, sig) > 0, sig == SIGUSR1 || sig == SIGRTMIN);
    sigpending(&set);
    CHECK(sigismember(&set, SIGUSR1) && sigismember(&set, SIGRTMIN));
    for (int i = 41; i <= 42; i++) {
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        CHECK_EQ(sigtimedwait(&set, &info, &none), SIGRTMIN);
        CHECK_EQ(info.si_value.sival_int, i);
    }
    fflush(stdout);
    return check_failed != 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return after_exec();
    check_all_actions();
    check_all_delivered();
    check_all_ends();
    check_queues();
    check_nesting_order();
    check_queue_limit();
    check_timer();
    check_message_queue();
    check_child();
    check_io();
    check_seccomp();
    check_fork();
    check_exec(0);
    check_exec(1);
    return check_done("signal_info");
}
