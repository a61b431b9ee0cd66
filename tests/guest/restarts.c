/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run restarts
 *
 * Each system call that can wait meets a signal while it waits: without SA_RESTART it
 * is interrupted, with it it goes on or is interrupted, as the lists of signal(7) and
 * the kernel say.  A second thread sends the signal once the call sleeps. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

/* What a case's functions share. */
static int fd[4];
static long id;
static pid_t pid;
static u32 word;
static char buf[1 << 16];
static const struct timespec minute = {60, 0};

static volatile sig_atomic_t handled;
static _Atomic int returned;
static pid_t waiter;

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}

static void nothing(void) {}

/* ---- pipes, ttys and other files ---- */

static void pipe_empty(void) { CHECK_EQ(pipe(fd), 0); }

static void pipe_full(void)
{
    pipe_empty();
    CHECK_EQ(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
    while (write(fd[1], buf, sizeof buf) > 0)
        ;
    CHECK_EQ(fcntl(fd[1], F_SETFL, 0), 0);
}

static void feed(void) { CHECK(write(fd[1], "1234567\n", 8) == 8); }

static void drain(void)
{
    CHECK_EQ(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    while (read(fd[0], buf, sizeof buf) > 0)
        ;
}

static long do_read(void) { return read(fd[0], buf, 8); }
static long do_write(void) { return write(fd[1], buf, 1000); }

static long do_readv(void)
{
    struct iovec v[2] = {{buf, 4}, {buf + 4, 4}};

    return syscall(SYS_readv, fd[0], v, 2);
}

static void two_pipes(void)
{
    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(pipe(fd + 2), 0);
}

static long do_splice(void) { return splice(fd[0], NULL, fd[3], NULL, 8, 0); }
static long do_tee(void) { return tee(fd[0], fd[3], 8, 0); }

static void tty(void)
{
    fd[1] = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fd[1] >= 0 && grantpt(fd[1]) == 0 && unlockpt(fd[1]) == 0);
    fd[0] = open(ptsname(fd[1]), O_RDWR | O_NOCTTY);
    CHECK(fd[0] >= 0);
}

static void event(void) { fd[0] = fd[1] = eventfd(0, 0); }

static void timer(void)
{
    fd[0] = fd[1] = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK_EQ(timerfd_settime(fd[0], 0, &(struct itimerspec){.it_value = minute}, NULL),
             0);
}

static void timer_now(void)
{
    struct itimerspec at = {.it_value = {0, 1}};

    CHECK_EQ(timerfd_settime(fd[0], 0, &at, NULL), 0);
}

static void watch(void)
{
    fd[0] = inotify_init();
    CHECK(mkdir("watched", 0700) == 0 || errno == EEXIST);
    CHECK(inotify_add_watch(fd[0], "watched", IN_CREATE) >= 0);
}

static long do_read_much(void) { return read(fd[0], buf, sizeof buf); }

static void make_file(void)
{
    unlink("watched/file");
    close(open("watched/file", O_CREAT | O_RDWR, 0600));
}

static void fifo(void) { CHECK(mkfifo("fifo", 0600) == 0 || errno == EEXIST); }
static long do_open(void) { return fd[0] = open("fifo", O_RDONLY); }
static void open_other(void) { fd[1] = open("fifo", O_RDWR | O_NONBLOCK); }

/* ---- locks, held by a child ---- */

static void child_holds(int (*lock)(int file))
{
    char c;

    CHECK_EQ(pipe(fd + 1), 0);
    fd[0] = open("lock", O_CREAT | O_RDWR, 0600);
    pid = fork();
    if (!pid) {
        int file = open("lock", O_RDWR);

        lock(file);
        c = write(fd[2], "x", 1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(fd[1], &c, 1), 1);
}

static void end_child(void) { kill(pid, SIGKILL); }
static int flock_all(int file) { return flock(file, LOCK_EX); }
static void flocked(void) { child_holds(flock_all); }
static long do_flock(void) { return flock(fd[0], LOCK_EX); }

static int record_lock(int file)
{
    return fcntl(file, F_SETLK, &(struct flock){.l_type = F_WRLCK});
}

static void locked(void) { child_holds(record_lock); }

static long do_setlkw(void)
{
    return fcntl(fd[0], F_SETLKW, &(struct flock){.l_type = F_WRLCK});
}

static long do_ofd_setlkw(void)
{
    return fcntl(fd[0], F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK});
}

/* ---- sockets ---- */

static void pair(void) { CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0); }

static void limit(int option, int file)
{
    CHECK_EQ(setsockopt(file, SOL_SOCKET, option, &(struct timeval){60, 0},
                        sizeof(struct timeval)),
             0);
}

static void pair_timed(void)
{
    pair();
    limit(SO_RCVTIMEO, fd[0]);
}

static void pair_full(void)
{
    pair();
    while (send(fd[1], buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
}

static void pair_full_timed(void)
{
    pair_full();
    limit(SO_SNDTIMEO, fd[1]);
}

static long do_recv(void) { return recv(fd[0], buf, 8, 0); }
static long do_send(void) { return send(fd[1], buf, 1000, 0); }

static long do_recvmsg(void)
{
    struct iovec v = {buf, 8};

    return recvmsg(fd[0], &(struct msghdr){.msg_iov = &v, .msg_iovlen = 1}, 0);
}

static long do_recvmmsg(void)
{
    struct iovec v = {buf, 8};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};

    return recvmmsg(fd[0], &m, 1, 0, NULL);
}

static long do_sendmsg(void)
{
    struct iovec v = {buf, 1000};

    return sendmsg(fd[1], &(struct msghdr){.msg_iov = &v, .msg_iovlen = 1}, 0);
}

static const struct sockaddr_un *name(void)
{
    static struct sockaddr_un un = {.sun_family = AF_UNIX};

    snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "restarts-%d", getpid());
    return &un;
}

static long connect_to(int file)
{
    return connect(file, (void *)name(), sizeof(struct sockaddr_un));
}

static void listener(void)
{
    fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    fd[1] = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(fd[0], (void *)name(), sizeof(struct sockaddr_un)), 0);
    CHECK_EQ(listen(fd[0], 0), 0);
}

static void listener_timed(void)
{
    listener();
    limit(SO_RCVTIMEO, fd[0]);
}

static long do_accept(void) { return fd[2] = accept(fd[0], NULL, NULL); }
static void call_it(void) { CHECK_EQ(connect_to(fd[1]), 0); }

/* The queue is full: one more waits. */
static void crowd(void)
{
    listener();
    CHECK_EQ(connect_to(fd[1]), 0);
    fd[2] = socket(AF_UNIX, SOCK_STREAM, 0);
}

static void crowd_timed(void)
{
    crowd();
    limit(SO_SNDTIMEO, fd[2]);
}

static long do_connect(void) { return connect_to(fd[2]); }
static void take_one(void) { fd[3] = accept(fd[0], NULL, NULL); }

/* ---- children ---- */

static void child(void)
{
    pid = fork();
    while (!pid)
        pause();
}

static long do_wait4(void) { return wait4(pid, NULL, 0, NULL); }

static long do_waitid(void)
{
    siginfo_t info;

    return waitid(P_PID, pid, &info, WEXITED);
}

/* ---- futexes ---- */

static void zero(void) { word = 0; }

static long do_futex(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long do_futex_timed(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &minute, NULL, 0);
}

static long do_futex_until(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += 60;
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &at, NULL, ~0u);
}

static long do_waitv(void)
{
    struct {
        u64 value, addr;
        u32 flags, reserved;
    } v = {0, (u64)&word, 2 /* 32 bits */, 0};
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += 60;
    return syscall(449, &v, 1, 0, &at, CLOCK_MONOTONIC);
}

static void wake(void) { syscall(SYS_futex, &word, FUTEX_WAKE, 1); }

static void *hold(void *arg)
{
    word = (u32)syscall(SYS_gettid);
    *(_Atomic int *)arg = 1;
    while (*(_Atomic int *)arg != 2)
        usleep(1000);
    syscall(SYS_futex, &word, FUTEX_UNLOCK_PI);
    return NULL;
}

static pthread_t holder;
static _Atomic int holding;

static void pi_held(void)
{
    holding = 0;
    CHECK_EQ(pthread_create(&holder, NULL, hold, (void *)&holding), 0);
    while (!holding)
        usleep(1000);
}

static long do_lock_pi(void)
{
    return syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL);
}

static void pi_release(void)
{
    holding = 2;
    pthread_join(holder, NULL);
}

/* ---- queues and semaphores ---- */

/* Its name is of the whole machine, so it goes at once. */
static void queue(void)
{
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char own[32];

    snprintf(own, sizeof own, "/restarts-%d", getpid());
    fd[0] = mq_open(own, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
    CHECK(fd[0] >= 0);
    mq_unlink(own);
}

static void queue_full(void)
{
    queue();
    CHECK_EQ(mq_send(fd[0], buf, 8, 0), 0);
}

static long do_mq_receive(void) { return mq_receive(fd[0], buf, 8, NULL); }
static long do_mq_send(void) { return mq_send(fd[0], buf, 8, 0); }
static void mq_put(void) { CHECK_EQ(mq_send(fd[0], buf, 8, 0), 0); }
static void mq_take(void) { CHECK_EQ(mq_receive(fd[0], buf, 8, NULL), 8); }

static long do_mq_timed(void)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 60;
    return mq_timedreceive(fd[0], buf, 8, NULL, &at);
}

static void messages(void) { id = msgget(IPC_PRIVATE, 0600); }
static long do_msgrcv(void) { return msgrcv((int)id, buf, 8, 0, 0); }

static void messages_full(void)
{
    messages();
    *(long *)buf = 1;
    while (msgsnd((int)id, buf, 4096, IPC_NOWAIT) == 0)
        ;
}

static long do_msgsnd(void) { return msgsnd((int)id, buf, 4096, 0); }
static void messages_end(void) { msgctl((int)id, IPC_RMID, NULL); }
static void semaphore(void) { id = semget(IPC_PRIVATE, 1, 0600); }
static long do_semop(void) { return semop((int)id, &(struct sembuf){0, -1, 0}, 1); }

static long do_semtimedop(void)
{
    return semtimedop((int)id, &(struct sembuf){0, -1, 0}, 1, &minute);
}

static void semaphore_end(void) { semctl((int)id, 0, IPC_RMID); }

/* ---- sleeping and polling: never restarted ---- */

static long do_nanosleep(void)
{
    struct timespec left = {0, 0};
    long r = nanosleep(&minute, &left);

    CHECK(left.tv_sec >= 50 && left.tv_sec < 60);
    return r;
}

static long do_clock_nanosleep(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += 60;
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, &at);
    return errno ? -1 : 0;
}

static long do_poll(void) { return poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, 60000); }
static long do_poll_ever(void)
{
    return poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, -1);
}

static long do_select(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd[0], &set);
    return select(fd[0] + 1, &set, NULL, NULL, &(struct timeval){60, 0});
}

static long do_pselect(void)
{
    sigset_t none;

    sigemptyset(&none);
    return pselect(0, NULL, NULL, NULL, NULL, &none);
}

static long do_epoll(void)
{
    struct epoll_event e;

    return epoll_wait(fd[0], &e, 1, -1);
}

static void epoll(void) { fd[0] = epoll_create1(0); }

static long do_sigsuspend(void)
{
    sigset_t none;

    sigemptyset(&none);
    return sigsuspend(&none);
}

static long do_sigtimedwait(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigtimedwait(&set, NULL, &minute);
}

static long do_sigwaitinfo(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigwaitinfo(&set, NULL);
}

static void aio(void)
{
    id = 0;
    CHECK_EQ(syscall(SYS_io_setup, 1, &id), 0);
}

static long do_getevents(void)
{
    u64 event[4];

    return syscall(SYS_io_getevents, id, 1, 1, event, NULL);
}

static void aio_end(void) { syscall(SYS_io_destroy, id); }

/* ---- the cases ---- */

typedef enum Fate { AGAIN, NEVER, ALWAYS } Fate; /* with SA_RESTART; without too */

static const struct Case {
    const char *name;
    void (*begin)(void);
    long (*call)(void);
    void (*release)(void);
    Fate fate;
} cases[] = {
    {"read pipe", pipe_empty, do_read, feed, AGAIN},
    {"readv pipe", pipe_empty, do_readv, feed, AGAIN},
    {"write pipe", pipe_full, do_write, drain, AGAIN},
    {"splice", two_pipes, do_splice, feed, AGAIN},
    {"tee", two_pipes, do_tee, feed, AGAIN},
    {"read tty", tty, do_read, feed, AGAIN},
    {"read eventfd", event, do_read, feed, AGAIN},
    {"read timerfd", timer, do_read, timer_now, AGAIN},
    {"read inotify", watch, do_read_much, make_file, AGAIN},
    {"open fifo", fifo, do_open, open_other, AGAIN},
    {"flock", flocked, do_flock, end_child, AGAIN},
    {"F_SETLKW", locked, do_setlkw, end_child, AGAIN},
    {"F_OFD_SETLKW", locked, do_ofd_setlkw, end_child, AGAIN},
    {"recv", pair, do_recv, feed, AGAIN},
    {"recv timed", pair_timed, do_recv, feed, NEVER},
    {"read timed", pair_timed, do_read, feed, NEVER},
    {"recvmsg", pair, do_recvmsg, feed, AGAIN},
    {"recvmsg timed", pair_timed, do_recvmsg, feed, NEVER},
    {"recvmmsg", pair, do_recvmmsg, feed, AGAIN},
    {"send", pair_full, do_send, drain, AGAIN},
    {"send timed", pair_full_timed, do_send, drain, NEVER},
    {"sendmsg", pair_full, do_sendmsg, drain, AGAIN},
    {"accept", listener, do_accept, call_it, AGAIN},
    {"accept timed", listener_timed, do_accept, call_it, NEVER},
    {"connect", crowd, do_connect, take_one, AGAIN},
    {"connect timed", crowd_timed, do_connect, take_one, NEVER},
    {"wait4", child, do_wait4, end_child, AGAIN},
    {"waitid", child, do_waitid, end_child, AGAIN},
    {"futex", zero, do_futex, wake, AGAIN},
    {"futex timed", zero, do_futex_timed, wake, NEVER},
    {"futex until", zero, do_futex_until, wake, NEVER},
    {"futex_waitv", zero, do_waitv, wake, AGAIN},
    {"futex lock_pi", pi_held, do_lock_pi, pi_release, ALWAYS},
    {"mq_receive", queue, do_mq_receive, mq_put, AGAIN},
    {"mq_timedreceive", queue, do_mq_timed, mq_put, AGAIN},
    {"mq_send", queue_full, do_mq_send, mq_take, AGAIN},
    {"msgrcv", messages, do_msgrcv, messages_end, NEVER},
    {"msgsnd", messages_full, do_msgsnd, messages_end, NEVER},
    {"semop", semaphore, do_semop, semaphore_end, NEVER},
    {"semtimedop", semaphore, do_semtimedop, semaphore_end, NEVER},
    {"nanosleep", nothing, do_nanosleep, nothing, NEVER},
    {"clock_nanosleep", nothing, do_clock_nanosleep, nothing, NEVER},
    {"poll", pipe_empty, do_poll, nothing, NEVER},
    {"poll for ever", pipe_empty, do_poll_ever, nothing, NEVER},
    {"select", pipe_empty, do_select, nothing, NEVER},
    {"pselect", nothing, do_pselect, nothing, NEVER},
    {"epoll_wait", epoll, do_epoll, nothing, NEVER},
    {"sigsuspend", nothing, do_sigsuspend, nothing, NEVER},
    {"sigtimedwait", nothing, do_sigtimedwait, nothing, NEVER},
    {"sigwaitinfo", nothing, do_sigwaitinfo, nothing, NEVER},
    {"io_getevents", aio, do_getevents, aio_end, NEVER},
};

/* ---- the second thread ---- */

static int sleeps(void)
{
    char path[64], state = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", waiter);
    f = fopen(path, "r");
    CHECK(f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
    if (f)
        fclose(f);
    return state == 'S';
}

/* Until the call sleeps, or has returned. */
static void wait_for_sleep(void)
{
    for (int seen = 0; seen < 3 && !returned; usleep(1000))
        seen = sleeps() ? seen + 1 : 0;
}

static void *sender(void *arg)
{
    const struct Case *c = arg;

    wait_for_sleep();
    CHECK_EQ(syscall(SYS_tgkill, getpid(), waiter, SIGUSR1), 0);
    while (!handled && !returned)
        usleep(500);
    wait_for_sleep();
    c->release();
    return NULL;
}

static void run(const struct Case *c, int flags)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = flags};
    int again = c->fate == ALWAYS || (c->fate == AGAIN && flags);
    pthread_t thread;
    long r;
    int error;

    memset(fd, -1, sizeof fd);
    pid = 0;
    handled = returned = 0;
    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    c->begin();
    CHECK_EQ(pthread_create(&thread, NULL, sender, (void *)c), 0);
    r = c->call();
    error = errno;
    returned = 1;
    pthread_join(thread, NULL);
    if (again ? r < 0 : r != -1 || error != EINTR)
        printf("%s%s: %ld, errno %d\n", c->name, flags ? " with SA_RESTART" : "", r,
               error);
    CHECK(again ? r >= 0 : r == -1 && error == EINTR);
    CHECK_EQ(handled, 1);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    for (size_t i = 0; i < COUNT(fd); i++)
        if (fd[i] > 2)
            close(fd[i]);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/restartsXXXXXX";

    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    waiter = (pid_t)syscall(SYS_gettid);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (argc > 1 && strcmp(argv[1], cases[i].name))
            continue;
        run(&cases[i], 0);
        run(&cases[i], SA_RESTART);
    }
    CHECK(chdir("/") == 0);
    snprintf(buf, sizeof buf, "rm -r %s", dir);
    CHECK_EQ(system(buf), 0);
    return check_done("restarts");
}
