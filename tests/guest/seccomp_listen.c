/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run seccomp_listen
 *
 * Listeners of system call filters: answers, descriptors given, calls that go on,
 * what a signal, execve, fork, threads and the end of either side do.  Passes on a
 * real kernel too. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "child.h"

#ifdef __riscv
#define ARCH (243u | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#else
#define ARCH (62u | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif
#define FIELD(f)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define RETURN(v)       BPF_STMT(BPF_RET | BPF_K, (v))
#define IF(op, v, skip) BPF_JUMP(BPF_JMP | (op) | BPF_K, (v), 0, (skip))
#define LISTEN          SECCOMP_FILTER_FLAG_NEW_LISTENER
#define TSYNC           SECCOMP_FILTER_FLAG_TSYNC
#define TSYNC_ESRCH     SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define KILLABLE        SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define ID_VALID_OLD    SECCOMP_IOR(2, u64) /* first defined with the wrong direction */

typedef struct seccomp_notif Notice;

static char *self;
static int listener = -1;
static pid_t group; /* asking for it may be what is listened to */

static long install(struct sock_filter *program, unsigned n, unsigned flags)
{
    struct sock_fprog p = {(unsigned short)n, program};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* One number gets one answer, all others are allowed. */
static int answer(long nr, unsigned what, unsigned flags)
{
    struct sock_filter program[] = {FIELD(nr), IF(BPF_JEQ, (unsigned)nr, 1),
                                    RETURN(what), RETURN(SECCOMP_RET_ALLOW)};

    return (int)install(program, COUNT(program), flags);
}

static int notify(long nr, unsigned flags)
{
    return answer(nr, SECCOMP_RET_USER_NOTIF, flags);
}

/* ---- the two sides: a child that is listened to, and its parent ---- */

static void fd_send(int socket, int fd)
{
    char byte = 0, room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = room,
                       .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK_EQ(sendmsg(socket, &m, 0), 1);
}

static int fd_receive(int socket)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = room,
                       .msg_controllen = sizeof room};
    int fd = -1;

    CHECK_EQ(recvmsg(socket, &m, 0), 1);
    if (m.msg_controllen >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

/* A child that is notified of nr runs it; the listener comes over a socket. */
static pid_t start(long nr, unsigned flags, void (*run)(void))
{
    int pair[2];
    pid_t pid;

    fflush(stdout);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid = fork();
    if (pid == 0) {
        int fd = notify(nr, LISTEN | flags);

        check_failed = 0;
        CHECK(fd >= 0);
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        fd_send(pair[1], fd);
        close(fd);
        close(pair[0]);
        close(pair[1]);
        run();
        fflush(stdout);
        _exit(check_failed != 0);
    }
    close(pair[1]);
    listener = fd_receive(pair[0]);
    CHECK(listener >= 0);
    close(pair[0]);
    return pid;
}

/* The child has ended as it should, and nobody can ask any more. */
static void finish(pid_t pid, int expected)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, expected);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLHUP);
    close(listener);
    listener = -1;
}

static Notice receive(long nr)
{
    Notice n = {0};

    CHECK_EQ(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    CHECK_EQ(n.data.nr, nr);
    CHECK_EQ(n.data.arch, ARCH);
    CHECK_EQ(n.flags, 0);
    return n;
}

static int reply(u64 id, int error, i64 value, u32 flags)
{
    struct seccomp_notif_resp r = {
        .id = id, .val = value, .error = error, .flags = flags};

    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static int go_on(u64 id) { return reply(id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

static int is_valid(u64 id)
{
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* ---- answers ---- */

static void child_asks(void)
{
    CHECK_EQ(syscall(SYS_getpgid, 0x1234567887654321), 7654321);
    CHECK_ERR(syscall(SYS_getpgid, 2), EXDEV);
    CHECK_EQ(syscall(SYS_getpgid, 0), group);
    CHECK_ERR(syscall(SYS_getpgid, -1), ESRCH);
    CHECK_EQ(syscall(SYS_getpgid, 5), 0x123456789abcdef);
    CHECK_ERR(syscall(SYS_getpgid, 6), 4095);
    CHECK_EQ(syscall(SYS_getpgid, 7), 7777);
    CHECK_EQ(syscall(SYS_getpgid, 8), -5000);
    for (int error = 512; error <= 516; error++)
        CHECK_ERR(syscall(SYS_getpgid, 9), error); /* no signal is there: as it is */
    CHECK_ERR(syscall(SYS_getpgid, 10), 512);
}

static void answers(void)
{
    struct pollfd p = {.events = POLLIN | POLLOUT};
    pid_t pid = start(SYS_getpgid, 0, child_asks);
    Notice n;

    p.fd = listener;
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLIN);
    n = receive(SYS_getpgid);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_EQ(n.pid, pid);
    CHECK_EQ(n.data.args[0], 0x1234567887654321);
    CHECK(n.data.instruction_pointer - (u64)(uintptr_t)syscall < 256);
    CHECK(is_valid(n.id));
    CHECK(!is_valid(n.id + 1));
    CHECK_ERR(reply(n.id + 1, 0, 0, 0), ENOENT);
    CHECK_ERR(reply(n.id, -1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
    CHECK_ERR(reply(n.id, 0, 1, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
    CHECK_ERR(reply(n.id, 0, 1, 2), EINVAL);
    CHECK_EQ(reply(n.id, 0, 7654321, 0), 0);
    n = receive(SYS_getpgid);
    CHECK_EQ(reply(n.id, -EXDEV, 99, 0), 0);
    CHECK_EQ(go_on(receive(SYS_getpgid).id), 0);
    CHECK_EQ(go_on(receive(SYS_getpgid).id), 0);
    CHECK_EQ(reply(receive(SYS_getpgid).id, 0, 0x123456789abcdef, 0), 0);
    CHECK_EQ(reply(receive(SYS_getpgid).id, -4095, 0, 0), 0);
    CHECK_EQ(reply(receive(SYS_getpgid).id, 7777, 1, 0), 0);
    CHECK_EQ(reply(receive(SYS_getpgid).id, -5000, 0, 0), 0);
    for (int error = 512; error <= 516; error++)
        CHECK_EQ(reply(receive(SYS_getpgid).id, -error, 0, 0), 0);
    CHECK_EQ(reply(receive(SYS_getpgid).id, 0, -512, 0), 0);
    finish(pid, 0);
}

/* ---- the usual one: a folder made for the child, by its name ---- */

static void child_makes(void)
{
    CHECK_EQ(mkdirat(AT_FDCWD, "listen.one", 0700), 0);
    CHECK_ERR(mkdirat(AT_FDCWD, "listen.forbidden", 0700), EPERM);
    CHECK_ERR(mkdirat(AT_FDCWD, (char *)8, 0700), EFAULT);
}

static void make_for(pid_t pid)
{
    Notice n = receive(SYS_mkdirat);
    char name[64] = "";
    struct iovec to = {name, sizeof name - 1},
                 from = {(void *)(uintptr_t)n.data.args[1], sizeof name - 1};
    ssize_t got = process_vm_readv((pid_t)n.pid, &to, 1, &from, 1, 0);

    CHECK_EQ(n.pid, pid);
    CHECK_EQ(n.data.args[2], 0700);
    CHECK(is_valid(n.id));
    if (got < 1)
        CHECK_EQ(reply(n.id, -EFAULT, 0, 0), 0);
    else if (strcmp(name, "listen.one"))
        CHECK_EQ(reply(n.id, -EPERM, 0, 0), 0);
    else
        CHECK_EQ(reply(n.id, mkdir(name, 0700) ? -errno : 0, 0, 0), 0);
}

static void folders(void)
{
    pid_t pid;

    rmdir("listen.one");
    pid = start(SYS_mkdirat, 0, child_makes);
    for (int i = 0; i < 3; i++)
        make_for(pid);
    finish(pid, 0);
    CHECK_EQ(rmdir("listen.one"), 0);
    CHECK_ERR(rmdir("listen.forbidden"), ENOENT);
}

/* ---- descriptors given ---- */

static void child_reads(void)
{
    char byte = 0;
    int fd = (int)syscall(SYS_getpgid, 1);

    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'a');
    CHECK_EQ(syscall(SYS_getpgid, 2), 77);
    CHECK_EQ(fcntl(77, F_GETFD), 0);
    CHECK_EQ(read(77, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    fd = (int)syscall(SYS_getpgid, 3);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'c');
}

static int give(u64 id, int fd, u32 newfd, u32 newfd_flags, u32 flags)
{
    struct seccomp_notif_addfd a = {.id = id,
                                    .flags = flags,
                                    .srcfd = (u32)fd,
                                    .newfd = newfd,
                                    .newfd_flags = newfd_flags};

    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

static void descriptors(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_reads);
    int pipe_[2], there;
    Notice n = receive(SYS_getpgid);

    CHECK_EQ(pipe(pipe_), 0);
    CHECK_EQ(write(pipe_[1], "abc", 3), 3);
    CHECK_ERR(give(n.id, 9999, 0, 0, 0), EBADF);
    CHECK_ERR(give(n.id, pipe_[0], 5, 0, 0), EINVAL);
    CHECK_ERR(give(n.id, pipe_[0], 0, 0, 1u << 31), EINVAL);
    CHECK_ERR(give(n.id + 1, pipe_[0], 0, 0, 0), ENOENT);
    there = give(n.id, pipe_[0], 0, O_CLOEXEC, 0);
    CHECK(there >= 0);
    CHECK_EQ(reply(n.id, 0, there, 0), 0);
    n = receive(SYS_getpgid);
    CHECK_EQ(give(n.id, pipe_[0], 77, 0, SECCOMP_ADDFD_FLAG_SETFD), 77);
    CHECK_EQ(reply(n.id, 0, 77, 0), 0);
    n = receive(SYS_getpgid);
    CHECK(give(n.id, pipe_[0], 0, 0, SECCOMP_ADDFD_FLAG_SEND) >= 0);
    CHECK_ERR(reply(n.id, 0, 0, 0), ENOENT);
    finish(pid, 0);
    close(pipe_[0]);
    close(pipe_[1]);
}

/* ---- ends ---- */

static void child_waits(void)
{
    syscall(SYS_getpgid, 1);
    CHECK(0);
}

static void killed(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_waits);
    Notice n = receive(SYS_getpgid);

    CHECK(is_valid(n.id));
    kill(pid, SIGKILL);
    finish(pid, SIGKILL);
    pid = start(SYS_getpgid, 0, child_waits);
    n = receive(SYS_getpgid);
    kill(pid, SIGTERM);
    while (is_valid(n.id))
        usleep(1000);
    CHECK_ERR(reply(n.id, 0, 0, 0), ENOENT);
    CHECK_ERR(give(n.id, 0, 0, 0, 0), ENOENT);
    finish(pid, SIGTERM);
}

static void child_unheard(void)
{
    CHECK_ERR(syscall(SYS_getpgid, 1), ENOSYS); /* while it waits */
    CHECK_ERR(syscall(SYS_getpgid, 0), ENOSYS); /* and later */
    CHECK(notify(SYS_getpgid, LISTEN) >= 0);    /* there may be another now */
}

static void closed(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_unheard);
    int status = -1;

    receive(SYS_getpgid);
    close(listener);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- signals ---- */

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}

static void child_handles(void)
{
    struct sigaction a = {.sa_handler = on_signal};

    sigaction(SIGUSR1, &a, NULL);
    a.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &a, NULL);
    CHECK_ERR(syscall(SYS_getpgid, 1), EINTR);
    CHECK_EQ(handled, 1);
    CHECK_EQ(syscall(SYS_getpgid, 2), 222);
    CHECK_EQ(handled, 2);
    CHECK_EQ(syscall(SYS_getpgid, 3), 333);
    CHECK_EQ(handled, 2); /* one that is ignored */
}

static void interrupted(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_handles);
    Notice n = receive(SYS_getpgid);
    u64 id = n.id;

    kill(pid, SIGUSR1);
    n = receive(SYS_getpgid);
    CHECK(n.id != id);
    CHECK(!is_valid(id));
    CHECK_EQ(n.data.args[0], 2);
    id = n.id;
    kill(pid, SIGUSR2);
    n = receive(SYS_getpgid); /* the same call again */
    CHECK(n.id != id);
    CHECK_EQ(n.data.args[0], 2);
    CHECK_EQ(reply(n.id, 0, 222, 0), 0);
    n = receive(SYS_getpgid);
    CHECK_EQ(n.data.args[0], 3);
    kill(pid, SIGCHLD);
    CHECK_EQ(reply(n.id, 0, 333, 0), 0);
    finish(pid, 0);
}

static void child_patient(void)
{
    signal(SIGUSR1, on_signal);
    CHECK_EQ(syscall(SYS_getpgid, 1), 111);
    CHECK_EQ(handled, 1);
    child_waits();
}

/* Once it is received only what kills ends the wait. */
static void patient(void)
{
    pid_t pid = start(SYS_getpgid, KILLABLE, child_patient);
    Notice n = receive(SYS_getpgid);

    kill(pid, SIGUSR1);
    usleep(20000);
    CHECK(is_valid(n.id));
    CHECK_EQ(reply(n.id, 0, 111, 0), 0);
    receive(SYS_getpgid);
    kill(pid, SIGKILL);
    finish(pid, SIGKILL);
}

/* ---- threads, children, other programs ---- */

static void *thread_asks(void *arg)
{
    long i = (long)(intptr_t)arg;

    CHECK_EQ(syscall(SYS_getpgid, i), i * 1000 + gettid());
    return NULL;
}

static void child_threads(void)
{
    pthread_t thread[8];

    for (long i = 0; i < (long)COUNT(thread); i++)
        pthread_create(&thread[i], NULL, thread_asks, (void *)(intptr_t)i);
    for (size_t i = 0; i < COUNT(thread); i++)
        pthread_join(thread[i], NULL);
}

static void threads(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_threads);
    Notice n[8];

    for (int i = 0; i < 8; i++)
        n[i] = receive(SYS_getpgid);
    for (int i = 7; i >= 0; i--)
        CHECK_EQ(reply(n[i].id, 0, (i64)n[i].data.args[0] * 1000 + n[i].pid, 0), 0);
    finish(pid, 0);
}

static void child_forks(void)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(syscall(SYS_getpgid, 1) != 10);
    CHECK_EQ(syscall(SYS_getpgid, 2), 20);
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    if (vfork() == 0)
        _exit(syscall(SYS_getpgid, 3) != 30);
    wait(&status);
    CHECK_EQ(status, 0);
    execl(self, self, "executed", NULL);
}

static void children(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_forks);

    for (int i = 0; i < 4; i++) {
        Notice n = receive(SYS_getpgid);

        CHECK_EQ(n.pid == (u32)pid, n.data.args[0] == 2 || n.data.args[0] == 4);
        CHECK_EQ(reply(n.id, 0, (i64)n.data.args[0] * 10, 0), 0);
    }
    finish(pid, 0);
}

/* execve itself goes on, or does not. */
static void child_executes(void)
{
    CHECK_ERR(execl(self, self, "nothing", NULL), 74);
    execl(self, self, "nothing", NULL);
    CHECK(0);
}

static void executes(void)
{
    pid_t pid = start(SYS_execve, 0, child_executes);

    CHECK_EQ(reply(receive(SYS_execve).id, -74, 0, 0), 0);
    CHECK_EQ(go_on(receive(SYS_execve).id), 0);
    finish(pid, 5 << 8);
}

/* ---- with other filters ---- */

static void child_filters(void)
{
    CHECK_ERR(notify(SYS_getsid, LISTEN), EBUSY); /* one for all of its filters */
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_TRACE, 0), 0);
    CHECK_EQ(syscall(SYS_getpgid, 1), 11); /* stricter than TRACE */
    CHECK_EQ(answer(SYS_getsid, SECCOMP_RET_USER_NOTIF, 0), 0);
    CHECK_ERR(syscall(SYS_getsid, 0), ENOSYS); /* this one has none */
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_ERRNO | 75, 0), 0);
    CHECK_ERR(syscall(SYS_getpgid, 1), 75); /* the stricter */
}

static void filters(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_filters);

    CHECK_EQ(reply(receive(SYS_getpgid).id, 0, 11, 0), 0);
    finish(pid, 0);
}

/* A closed one's numbers do not come to the next one. */
static void child_twice(void)
{
    int old = notify(SYS_getpgid, LISTEN), fd;

    close(old);
    fd = notify(SYS_getsid, LISTEN);
    CHECK(fd >= 0);
    CHECK_ERR(syscall(SYS_getpgid, 0), ENOSYS);
    close(fd);
    CHECK_ERR(syscall(SYS_getsid, 0), ENOSYS);
}

/* What comes first in a new pid namespace is its init: nobody comes before our child.
 */
static void child_unshares(void)
{
    int status = -1;
    pid_t pid;

    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) && unshare(CLONE_NEWPID))
        return; /* not allowed here */
    CHECK(notify(SYS_getpgid, LISTEN) >= 0);
    pid = fork();
    if (pid == 0)
        _exit(getpid() == 1 ? 7 : 8);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 7 << 8);
}

/* ---- one process that listens to itself ---- */

static void *listen_here(void *arg)
{
    Notice n = receive(SYS_getpgid);

    (void)arg;
    CHECK_EQ(reply(n.id, 0, n.pid, 0), 0);
    return NULL;
}

static void *ask_here(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
        usleep(1000);
    CHECK_EQ(syscall(SYS_getpgid, 1), gettid());
    return NULL;
}

static void here(void)
{
    pthread_t listens, asks;
    int ready = 0;

    pthread_create(&listens, NULL, ask_here, &ready);
    listener = notify(SYS_getpgid, LISTEN | TSYNC | TSYNC_ESRCH);
    CHECK(listener >= 0);
    asks = listens;
    pthread_create(&listens, NULL, listen_here, NULL);
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    pthread_join(asks, NULL);
    pthread_join(listens, NULL);
    close(listener);
    CHECK_ERR(syscall(SYS_getpgid, 1), ENOSYS);
}

/* ---- what is refused ---- */

static void bad_installs(void)
{
    struct sock_filter bad = BPF_STMT(BPF_RET | BPF_X, 0);
    struct seccomp_notif_sizes sizes = {0};
    unsigned action = SECCOMP_RET_USER_NOTIF;

    CHECK_ERR(notify(SYS_getpgid, LISTEN | TSYNC), EINVAL);
    CHECK_ERR(notify(SYS_getpgid, KILLABLE), EINVAL);
    CHECK_ERR(notify(SYS_getpgid, LISTEN | 1u << 31), EINVAL);
    CHECK_ERR(install(&bad, 1, LISTEN), EINVAL);
    CHECK_ERR(install((void *)8, 1, LISTEN), EFAULT);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, LISTEN, 8), EFAULT);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes), 0);
    CHECK_EQ(sizes.seccomp_notif, sizeof(Notice));
    CHECK_EQ(sizes.seccomp_notif_resp, sizeof(struct seccomp_notif_resp));
    CHECK_EQ(sizes.seccomp_data, sizeof(struct seccomp_data));
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &sizes), EINVAL);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, 8), EFAULT);
}

static void bad_requests(void)
{
    pid_t pid = start(SYS_getpgid, 0, child_waits);
    Notice n = {.flags = 1};
    int other;

    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n), EINVAL); /* not zero */
    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, 8), EFAULT);
    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, NULL), EFAULT);
    n = receive(SYS_getpgid);
    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, 8), EFAULT);
    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, 8), EFAULT);
    CHECK_ERR(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, 8), EFAULT);
    CHECK_EQ(ioctl(listener, ID_VALID_OLD, &n.id), 0);
    other = open("/dev/null", O_RDWR);
    CHECK_EQ(ioctl(other, SECCOMP_IOCTL_NOTIF_RECV, &n), -1);
    CHECK(errno == ENOTTY || errno == EINVAL);
    CHECK_ERR(ioctl(-1, SECCOMP_IOCTL_NOTIF_SEND, &n), EBADF);
    close(other);
    kill(pid, SIGKILL);
    finish(pid, SIGKILL);
}

/* Where the host does not let listeners be. */
static int refused(void)
{
    CHECK_ERR(notify(SYS_getpgid, LISTEN), EINVAL);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK(syscall(SYS_getpgid, 0) > 0);
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_ERRNO | 71, 0), 0);
    CHECK_ERR(syscall(SYS_getpgid, 0), 71);
    return check_done("refused");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "refused"))
        return refused();
    if (argc > 1)
        return strcmp(argv[1], "executed") ? 5 : syscall(SYS_getpgid, 4) != 40;
    self = argv[0];
    group = getpgrp();
    alarm(100);
    CHECK_EQ(in_child(bad_installs), 0);
    CHECK_EQ(in_child(bad_requests), 0);
    CHECK_EQ(in_child(here), 0);
    CHECK_EQ(in_child(child_twice), 0);
    CHECK_EQ(in_child(child_unshares), 0);
    answers();
    folders();
    descriptors();
    killed();
    closed();
    interrupted();
    patient();
    threads();
    children();
    executes();
    filters();
    return check_done("seccomp_listen");
}
