/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run userfault_waits
 *
 * What befalls threads that wait for pages (userfaultfd): signals, fork, the end of
 * their process, other owners of the page; and system calls that touch such pages.
 * Passes on a real kernel, too. */
#define _GNU_SOURCE
#include "userfault.h"

/* ---- one that waits, and what happens to it meanwhile ---- */

static void *read_first(void *arg)
{
    u64 *p = arg, v = *(volatile u64 *)p;

    CHECK_EQ(v, pattern((u64)p));
    return NULL;
}

static pthread_t wait_begin(u8 **p)
{
    pthread_t thread;

    *p = serve_begin(PROT_READ | PROT_WRITE, NULL);
    server.hold = 1;
    CHECK_EQ(pthread_create(&thread, NULL, read_first, *p), 0);
    until_waiting(1);
    return thread;
}

static void wait_end(u8 *p, pthread_t thread)
{
    server.hold = 0;
    pthread_join(thread, NULL);
    serve_end(p);
}

static pthread_t handled_by;

static void on_usr1(int sig)
{
    (void)sig;
    handled_by = pthread_self();
    flag++;
}

static void check_signal(void)
{
    u8 *p;
    pthread_t thread = wait_begin(&p);
    struct sigaction a = {.sa_handler = on_usr1};

    sigaction(SIGUSR1, &a, NULL);
    for (u32 n = 1; n <= 3; n++) {
        pthread_kill(thread, SIGUSR1);
        while (flag < n) /* before it has its page */
            nap();
        CHECK(pthread_equal(handled_by, thread));
    }
    wait_end(p, thread);
}

/* A signal that comes soon before it waits is handled before its page is there. */
static void *touch_pages(void *arg)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    u64 sum = ~0ull;
    timer_t timer;

    e._sigev_un._tid = (int)syscall(SYS_gettid);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &e, &timer), 0);
    for (u64 i = 0; i < PAGES; i++) {
        const struct itimerspec soon = {.it_value.tv_nsec = 500 + (long)i * 200};

        CHECK_EQ(timer_settime(timer, 0, &soon, NULL), 0);
#pragma GCC unroll 1024
        for (u64 j = 0; j < 1024; j++) /* for long, and straight on */
            sum = ~0ull / (sum | 1);
        sum += *((volatile u8 *)arg + i * PAGE);
        while (flag <= i)
            ;
    }
    timer_delete(timer);
    return (void *)sum;
}

static void await_handler(const struct uffd_msg *m)
{
    u64 i = (m->arg.pagefault.address - (u64)shared_pages) / PAGE;

    while (flag <= i)
        nap();
}

static void check_early_signals(void)
{
    struct sigaction a = {.sa_handler = on_usr1};
    pthread_t thread;

    sigaction(SIGUSR1, &a, NULL);
    for (u32 round = 0; round < 4; round++) {
        shared_pages = serve_begin(PROT_READ | PROT_WRITE, await_handler);
        CHECK_EQ(pthread_create(&thread, NULL, touch_pages, shared_pages), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(server.seen, PAGES);
        serve_end(shared_pages);
    }
}

static void be_stepped(void)
{
    u8 *p = fresh(PROT_READ);
    int fd = fault_fd(0);

    signal(SIGUSR1, SIG_DFL);
    if (fd < 0 || watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING) ||
        ptrace(PTRACE_TRACEME, 0, 0, 0))
        _exit(1);
    raise(SIGSTOP);
    _exit(*(volatile u8 *)p); /* nobody provides it */
}

/* A step that waits ends by a signal. */
static void check_step(void)
{
    int status = -1, stopped, looks = 0;
    pid_t pid = fork();

    if (pid == 0)
        be_stepped();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGSTOP << 8 | 0x7f);
    do {
        CHECK_EQ(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
        for (looks = 0; !(stopped = waitpid(pid, &status, WNOHANG)); looks++) {
            if (looks == 100)
                kill(pid, SIGUSR1);
            nap();
        }
        CHECK_EQ(stopped, pid);
    } while (status == (SIGTRAP << 8 | 0x7f));
    CHECK_EQ(status, SIGUSR1 << 8 | 0x7f);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static void check_fork(void)
{
    u8 *p;
    pthread_t thread = wait_begin(&p);

    for (int i = 0; i < 3; i++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) /* registered with the parent alone */
            _exit(p[0] == 0 && p[PAGE] == 0 ? 7 : 1);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 7 << 8);
    }
    new_code(NULL);
    wait_end(p, thread);
}

/* Ends the process by itself, by a signal or by another program. */
static int end_while_waiting(int how)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        u8 *p;

        wait_begin(&p);
        new_code(NULL);
        if (how == 0)
            exit(9);
        if (how == 1)
            raise(SIGKILL);
        execl("/proc/self/exe", "userfault", "exit", NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void check_end(void)
{
    CHECK_EQ(end_while_waiting(0), 9 << 8);
    CHECK_EQ(end_while_waiting(1), SIGKILL);
    CHECK_EQ(end_while_waiting(2), 11 << 8);
}

static void *read_zero(void *arg)
{
    CHECK_EQ(*(volatile u8 *)arg, 0);
    return NULL;
}

/* Its range is unregistered, or the descriptor closed: the page is the kernel's. */
static void check_released(void)
{
    for (int how = 0; how < 2; how++) {
        u8 *p = fresh(PROT_READ);
        int fd = fault_fd(0);
        struct pollfd wait = {fd, POLLIN, 0};
        struct uffdio_range range = {(u64)p, LEN};
        pthread_t thread;

        CHECK_EQ(watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
        CHECK_EQ(pthread_create(&thread, NULL, read_zero, p + PAGE), 0);
        CHECK_EQ(poll(&wait, 1, -1), 1);
        new_code(NULL);
        if (how)
            close(fd);
        else
            CHECK_EQ(ioctl(fd, UFFDIO_UNREGISTER, &range), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        if (!how)
            close(fd);
        munmap(p, LEN);
    }
}

/* ---- system calls that touch such pages ---- */

static void check_calls(void)
{
    u8 *p = serve_begin(PROT_READ | PROT_WRITE, new_code), *q = p;
    struct sigaction *a;
    struct timespec *ts;
    int pipes[2];
    u64 v = 0;

    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(write(pipes[1], q, 8), 8); /* the host's kernel reads it */
    CHECK_EQ(read(pipes[0], q + PAGE, 8), 8);
    memcpy(&v, q + PAGE, 8);
    CHECK_EQ(v, pattern((u64)q));
    q += 2 * PAGE;
    ts = (struct timespec *)q;
    CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ts), 0);
    CHECK(ts->tv_nsec < 1000000000);
    q += PAGE;
    CHECK_ERR(nanosleep((struct timespec *)q, NULL), EINVAL); /* a pattern */
    q += PAGE;
    a = (struct sigaction *)q;
    CHECK_EQ(sigaction(SIGUSR2, NULL, a), 0);
    CHECK(a->sa_handler == SIG_DFL);
    q += PAGE;
    CHECK(syscall(SYS_getcwd, q + 16, PAGE / 2) > 0);
    CHECK(q[16] == '/' || q[16] == '(');
    q += PAGE;
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, q, 8), 0);
    CHECK_EQ(*(u64 *)q, 0);
    close(pipes[0]);
    close(pipes[1]);
    CHECK_EQ(server.seen, 7);
    serve_end(p);
}
int main(int argc, char **argv)
{
    if (argc > 1)
        return argv[1][0] == 'e' ? 11 : 1;
    if (no_userfaultfd())
        return check_done("userfault_waits");
    check_signal();
    check_early_signals();
    check_step();
    check_fork();
    check_end();
    check_released();
    check_calls();
    return check_done("userfault_waits");
}
