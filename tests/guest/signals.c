/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run signals
 *
 * Asynchronous signals: timers over loops and calculations, restarted and interrupted
 * system calls, masks, nesting, queues, waiting. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t ticks, got, order[8];
static volatile siginfo_t info_seen;

static void on_tick(int sig)
{
    (void)sig;
    ticks++;
}

static void on_info(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    memcpy((void *)&info_seen, info, sizeof(*info));
    got++;
}

static void catch (int sig, void (*fn)(int), int flags)
{
    struct sigaction act = {.sa_handler = fn, .sa_flags = flags};

    CHECK_EQ(sigaction(sig, &act, NULL), 0);
}

static void every(long first_us, long then_us)
{
    struct itimerval t = {{0, then_us}, {0, first_us}};

    CHECK_EQ(setitimer(ITIMER_REAL, &t, NULL), 0);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* A loop without calls ends when the handler says so, and soon. */
static void check_endless_loop(void)
{
    double start = now();

    catch (SIGALRM, on_tick, 0);
    ticks = 0;
    every(50000, 0);
    __asm__ volatile("1: lw t0, 0(%0)\n\tbeqz t0, 1b" : : "r"(&ticks) : "t0", "memory");
    CHECK(now() - start < 2);
    ticks = 0;
    every(20000, 0);
    __asm__ volatile("1: lw t0, 0(%0)\n\tbnez t0, 2f\n\tj 1b\n2:"
                     :
                     : "r"(&ticks)
                     : "t0", "memory");
    CHECK_EQ(ticks, 1);
}

static sigjmp_buf escape;

static void on_escape(int sig)
{
    (void)sig;
    siglongjmp(escape, 1);
}

/* "j ." and an indirect jump to itself: nothing but the handler ends them. */
static void check_escape(void)
{
    catch (SIGALRM, on_escape, 0);
    for (int i = 0; i < 3; i++) {
        every(10000, 0);
        if (!sigsetjmp(escape, 1))
            __asm__ volatile("1: j 1b");
        every(10000, 0);
        if (!sigsetjmp(escape, 1))
            __asm__ volatile("la t0, 1f\n1: jr t0" ::: "t0");
    }
    CHECK(1);
}

static u64 int_work(u64 n)
{
    u64 s = 88172645463325252, h = HASH_START;

    while (n--)
        h = hash_add(h, random_next(&s));
    return h;
}

static double float_work(int n)
{
    double x = 0.5, sum = 0;

    for (int i = 1; i < n; i++) {
        x = 3.99 * x * (1 - x);
        sum += x / i;
    }
    return sum;
}

/* The handler uses every kind of register; the work must not notice. */
static void on_storm(int sig)
{
    volatile double d = float_work(5);
    volatile u64 v = int_work(3);

    (void)sig, (void)d, (void)v;
    __asm__ volatile("csrwi fcsr, 0x1f");
    ticks++;
}

static void check_storm(void)
{
    u64 want = int_work(1000);
    double fwant = float_work(3000);
    int wrong = 0;
    double start = now();

    catch (SIGALRM, on_storm, SA_RESTART);
    __asm__ volatile("csrwi fcsr, 0");
    ticks = 0;
    every(300, 300);
    while ((ticks < 300 && now() - start < 5)) {
        wrong += int_work(1000) != want;
        wrong += float_work(3000) != fwant;
    }
    every(0, 0);
    CHECK_EQ(wrong, 0);
    CHECK(ticks >= 100);
}

static void check_interrupted_calls(void)
{
    struct timespec left, wait = {5, 0};
    struct pollfd none = {.fd = -1};
    int ends[2];
    char c;

    CHECK_EQ(pipe(ends), 0);
    catch (SIGALRM, on_tick, 0);
    every(20000, 0);
    CHECK_ERR(read(ends[0], &c, 1), EINTR);
    every(20000, 0);
    CHECK_ERR(nanosleep(&wait, &left), EINTR);
    CHECK(left.tv_sec == 4);
    every(20000, 0);
    CHECK_ERR(poll(&none, 0, 5000), EINTR);
    every(20000, 0);
    CHECK_ERR(select(0, NULL, NULL, NULL, &(struct timeval){5, 0}), EINTR);
    every(20000, 20000); /* on a slow day the first comes before pause */
    CHECK_ERR(pause(), EINTR);
    catch (SIGALRM, on_tick, SA_RESTART);
    every(20000, 0);
    CHECK_ERR(poll(&none, 0, 5000), EINTR); /* never restarted */
    close(ends[0]);
    close(ends[1]);
}

static int write_end;

static void on_alarm_write(int sig)
{
    (void)sig;
    if (++ticks == 3)
        CHECK_EQ(write(write_end, "x", 1), 1);
}

static void check_restarted_call(void)
{
    int ends[2];
    char c = 0;

    CHECK_EQ(pipe(ends), 0);
    write_end = ends[1];
    ticks = 0;
    catch (SIGALRM, on_alarm_write, SA_RESTART);
    every(10000, 10000);
    CHECK_EQ(read(ends[0], &c, 1), 1);
    every(0, 0);
    CHECK_EQ(c, 'x');
    CHECK(ticks >= 3);
    close(ends[0]);
    close(ends[1]);
}

static void on_nested(int sig)
{
    order[got++] = sig;
    if (sig == SIGUSR1) {
        raise(SIGUSR2); /* not masked: runs at once */
        raise(SIGUSR1); /* masked: after this one */
        order[got++] = -1;
        signal(SIGUSR1, SIG_IGN);
    }
}

static void check_nesting(void)
{
    got = 0;
    catch (SIGUSR1, on_nested, 0);
    catch (SIGUSR2, on_nested, 0);
    raise(SIGUSR1);
    CHECK_EQ(got, 3);
    CHECK_EQ(order[0], SIGUSR1);
    CHECK_EQ(order[1], SIGUSR2);
    CHECK_EQ(order[2], -1);
}

static void check_flags(void)
{
    struct sigaction act = {.sa_handler = on_tick}, old;

    act.sa_flags = SA_RESETHAND | SA_NODEFER;
    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == on_tick);
    CHECK_EQ(old.sa_flags & (SA_RESETHAND | SA_NODEFER), SA_RESETHAND | SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_ERR(sigaction(SIGKILL, &act, NULL), EINVAL);
    CHECK_ERR(sigaction(65, &act, NULL), EINVAL);
}

static void check_masks(void)
{
    sigset_t set, old, pending;

    catch (SIGUSR1, on_tick, 0);
    ticks = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(ticks, 0);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGUSR1));
    CHECK_ERR(sigsuspend(&old), EINTR);
    CHECK_EQ(ticks, 1);
    raise(SIGUSR1);
    CHECK_EQ(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    CHECK_EQ(ticks, 2);
}

static void check_queue(void)
{
    struct sigaction act = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    sigset_t set, old;

    sigaction(SIGRTMIN, &act, NULL);
    got = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 40 + i}), 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_EQ(got, 3);
    CHECK_EQ(info_seen.si_code, SI_QUEUE);
    CHECK_EQ(info_seen.si_value.sival_int, 42);
    CHECK_EQ(info_seen.si_pid, getpid());
    sigaction(SIGUSR1, &act, NULL);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(info_seen.si_signo, SIGUSR1);
    CHECK_EQ(info_seen.si_code, SI_USER);
}

static void check_waiting(void)
{
    struct timespec brief = {0, 10000000};
    sigset_t set, old;
    siginfo_t info;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR2);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    CHECK_EQ(info.si_signo, SIGUSR2);
    CHECK_ERR(sigtimedwait(&set, &info, &brief), EAGAIN);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void check_child(void)
{
    struct sigaction act = {.sa_sigaction = on_info,
                            .sa_flags = SA_SIGINFO | SA_RESTART};
    int status;
    pid_t pid;

    sigaction(SIGCHLD, &act, NULL);
    got = 0;
    pid = fork();
    if (!pid)
        _exit(7);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 7);
    CHECK_EQ(got, 1);
    CHECK_EQ(info_seen.si_code, CLD_EXITED);
    CHECK_EQ(info_seen.si_pid, pid);
    CHECK_EQ(info_seen.si_status, 7);
    signal(SIGCHLD, SIG_DFL);
}

static void check_posix_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN + 1,
                             .sigev_value = {.sival_int = 99}};
    struct sigaction act = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    struct itimerspec spec = {.it_value = {0, 5000000}};
    timer_t id;

    sigaction(SIGRTMIN + 1, &act, NULL);
    got = 0;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &id), 0);
    CHECK_EQ(timer_settime(id, 0, &spec, NULL), 0);
    while (!got)
        usleep(2000);
    CHECK_EQ(info_seen.si_code, SI_TIMER);
    CHECK_EQ(info_seen.si_value.sival_int, 99);
    CHECK_EQ(timer_delete(id), 0);
}

int main(void)
{
    check_endless_loop();
    check_escape();
    check_storm();
    check_interrupted_calls();
    check_restarted_call();
    check_nesting();
    check_flags();
    check_masks();
    check_queue();
    check_waiting();
    check_child();
    check_posix_timer();
    return check_done("signals");
}
