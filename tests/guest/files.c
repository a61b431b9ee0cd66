/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run files
 *
 * Files, directories, descriptors, waiting for them, sockets, clocks, identity: what
 * programs use every day and where the two ABIs differ. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <signal.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static void check_file(void)
{
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0640);
    struct iovec v[2] = {{"he", 2}, {"llo\n", 4}};
    struct stat st;
    char buf[16] = "";

    CHECK(fd >= 0);
    CHECK_ERR(open("f", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    CHECK_EQ(writev(fd, v, 2), 6);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 6);
    CHECK_EQ(st.st_mode & 0777, 0640 & ~umask(umask(022)));
    CHECK(S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_blksize > 0);
    CHECK(st.st_mtime > 1600000000 && st.st_uid == getuid());
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    CHECK_EQ(read(fd, buf, sizeof(buf)), 4);
    CHECK(!strcmp(buf, "llo\n"));
    CHECK_EQ(pwrite(fd, "J", 1, 0), 1);
    CHECK_EQ(pread(fd, buf, 5, 0), 5);
    CHECK(!memcmp(buf, "Jello", 5));
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(flock(fd, LOCK_EX), 0);
    CHECK_EQ(rename("f", "g"), 0);
    CHECK_EQ(link("g", "h"), 0);
    CHECK_EQ(stat("h", &st), 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(unlink("h"), 0);
    CHECK_EQ(chmod("g", 0600), 0);
    CHECK_EQ(access("g", R_OK | W_OK), 0);
    CHECK_ERR(access("f", F_OK), ENOENT);
    close(fd);
    unlink("g");
}

static void check_large_offsets(void)
{
    int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);
    const off_t far = 5000000000;
    struct stat st;
    char c = 0;

    CHECK_EQ(pwrite(fd, "x", 1, far), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_END), far + 1);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, far + 1);
    CHECK(st.st_blocks < 1000);
    CHECK_EQ(pread(fd, &c, 1, far), 1);
    CHECK_EQ(c, 'x');
    CHECK_EQ(ftruncate(fd, far * 2), 0);
    CHECK_EQ(lseek(fd, -1, SEEK_END), far * 2 - 1);
    CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    close(fd);
    unlink("large");
}

/* O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE have other values on x86. */
static void check_open_flags(void)
{
    struct stat st;

    CHECK_EQ(symlink("/nowhere/at/all", "link"), 0);
    CHECK_EQ(lstat("link", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("link", O_RDONLY), ENOENT);
    CHECK_EQ(unlink("link"), 0);
    close(open("plain", O_CREAT | O_WRONLY, 0600));
    CHECK_ERR(open("plain", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK(close(open(".", O_RDONLY | O_DIRECTORY)) == 0);
    CHECK(close(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) == 0);
    CHECK(close(open(".", O_TMPFILE | O_RDWR, 0600)) == 0 || errno == EOPNOTSUPP);
    CHECK_EQ(unlink("plain"), 0);
}

static void check_directory(void)
{
    char name[32], here[4096];
    unsigned seen = 0;
    struct dirent *e;
    DIR *d;

    CHECK_EQ(mkdir("dir", 0755), 0);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "dir/entry%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    d = opendir("dir");
    while ((e = readdir(d)))
        if (!strncmp(e->d_name, "entry", 5) && e->d_type == DT_REG)
            seen |= 1u << atoi(e->d_name + 5);
    closedir(d);
    CHECK_EQ(seen, 0xfffff);
    CHECK_ERR(rmdir("dir"), ENOTEMPTY);
    CHECK_EQ(chdir("dir"), 0);
    CHECK(getcwd(here, sizeof(here)) && strlen(here) > 4);
    CHECK(!strcmp(here + strlen(here) - 4, "/dir"));
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "entry%d", i);
        CHECK_EQ(unlink(name), 0);
    }
    CHECK_EQ(chdir(".."), 0);
    CHECK_EQ(rmdir("dir"), 0);
}

static void check_pipes(void)
{
    int ends[2], other[2], n;
    char buf[8];

    CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    CHECK_ERR(read(ends[0], buf, 8), EAGAIN);
    CHECK_EQ(write(ends[1], "abcdef", 6), 6);
    CHECK_EQ(ioctl(ends[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 6);
    CHECK_EQ(pipe(other), 0);
    CHECK_EQ(tee(ends[0], other[1], 3, 0), 3);
    CHECK_EQ(splice(ends[0], NULL, other[1], NULL, 2, 0), 2);
    CHECK_EQ(read(other[0], buf, 8), 5);
    CHECK(!memcmp(buf, "abcab", 5));
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(ends[1], "x", 1), EPIPE);
    close(ends[1]);
    close(other[0]);
    close(other[1]);
}

/* struct epoll_event is packed on x86 and not here. */
static void check_epoll(void)
{
    struct epoll_event e[4], ask;
    int ep = epoll_create1(EPOLL_CLOEXEC), fd[3];

    for (int i = 0; i < 3; i++) {
        fd[i] = eventfd((unsigned)i, EFD_NONBLOCK);
        ask =
            (struct epoll_event){.events = EPOLLIN, .data.u64 = 0x1234567800000000 + i};
        CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ask), 0);
    }
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ask), EEXIST);
    memset(e, 0x55, sizeof(e));
    CHECK_EQ(epoll_wait(ep, e, 4, 1000), 2);
    CHECK_EQ(e[0].data.u64 + e[1].data.u64, 2 * 0x1234567800000000 + 3);
    CHECK_EQ(e[0].events, EPOLLIN);
    CHECK_EQ(e[1].events, EPOLLIN);
    CHECK_EQ(((u8 *)&e[2])[0], 0x55);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd[1], NULL), 0);
    CHECK_EQ(epoll_wait(ep, e, 4, 0), 1);
    CHECK_EQ(e[0].data.u64, 0x1234567800000002);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    close(ep);
}

static void check_poll(void)
{
    struct pollfd p[2] = {{.events = POLLIN}, {.fd = -1}};
    struct timespec brief = {0, 2000000};
    int ends[2];
    fd_set set;

    CHECK_EQ(pipe(ends), 0);
    p[0].fd = ends[0];
    CHECK_EQ(poll(p, 2, 1), 0);
    CHECK_EQ(ppoll(p, 2, &brief, NULL), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(poll(p, 2, -1), 1);
    CHECK_EQ(p[0].revents, POLLIN);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    CHECK_EQ(select(ends[0] + 1, &set, NULL, NULL, NULL), 1);
    CHECK(FD_ISSET(ends[0], &set));
    CHECK_EQ(pselect(ends[0] + 1, &set, NULL, NULL, &brief, NULL), 1);
    close(ends[1]);
    CHECK_EQ(poll(p, 1, -1), 1);
    CHECK_EQ(p[0].revents, POLLIN | POLLHUP);
    close(ends[0]);
}

static void check_special_fds(void)
{
    struct itimerspec soon = {.it_value = {0, 1000000}};
    int t = timerfd_create(CLOCK_MONOTONIC, 0), s, n;
    struct signalfd_siginfo info;
    sigset_t set;
    u64 v = 0;

    CHECK_EQ(timerfd_settime(t, 0, &soon, NULL), 0);
    CHECK_EQ(read(t, &v, 8), 8);
    CHECK_EQ(v, 1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s = signalfd(-1, &set, 0);
    raise(SIGUSR1);
    CHECK_EQ(read(s, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_signo, SIGUSR1);
    CHECK_EQ(info.ssi_pid, getpid());
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    n = inotify_init1(IN_NONBLOCK);
    CHECK(inotify_add_watch(n, ".", IN_CREATE) >= 0);
    close(open("seen", O_CREAT | O_WRONLY, 0600));
    unlink("seen");
    CHECK(read(n, (char[512]){0}, 512) > (long)sizeof(struct inotify_event));
    close(t);
    close(s);
    close(n);
}

static void send_fd(int to, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } u = {0};
    struct iovec v = {"m", 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = u.buf,
                       .msg_controllen = sizeof(u.buf)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    CHECK_EQ(sendmsg(to, &m, 0), 1);
}

static int receive_fd(int from)
{
    char control[CMSG_SPACE(sizeof(int))], text;
    struct iovec v = {&text, 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;

    CHECK_EQ(recvmsg(from, &m, 0), 1);
    CHECK_EQ(text, 'm');
    CHECK(CMSG_FIRSTHDR(&m) != NULL);
    if (CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    return fd;
}

static void check_sockets(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"}, peer;
    int pair[2], one = 1, s, c, a, fd;
    socklen_t len = sizeof(int);
    char buf[8];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_EQ(send(pair[0], "abc", 3, 0), 3);
    CHECK_EQ(recv(pair[1], buf, 8, MSG_PEEK), 3);
    CHECK_EQ(recv(pair[1], buf, 8, 0), 3);
    fd = open("/dev/null", O_RDONLY);
    send_fd(pair[0], fd);
    a = receive_fd(pair[1]);
    CHECK(a >= 0 && a != fd && read(a, buf, 1) == 0);
    close(a);
    close(fd);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_TYPE, &one, &len), 0);
    CHECK_EQ(one, SOCK_STREAM);
    CHECK_EQ(bind(s, (struct sockaddr *)&name, sizeof(name)), 0);
    CHECK_EQ(listen(s, 1), 0);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&name, sizeof(name)), 0);
    len = sizeof(peer);
    a = accept4(s, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK);
    CHECK(a >= 0);
    CHECK_ERR(recv(a, buf, 1, 0), EAGAIN);
    CHECK_EQ(shutdown(c, SHUT_WR), 0);
    CHECK_EQ(recv(a, buf, 1, 0), 0);
    unlink("socket");
    close(s), close(c), close(a), close(pair[0]), close(pair[1]);
}

static void check_sendfile(void)
{
    int fd = open("from", O_RDWR | O_CREAT | O_TRUNC, 0600), to[2];
    off_t at = 2;
    char buf[8];

    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(pipe(to), 0);
    CHECK_EQ(sendfile(to[1], fd, &at, 4), 4);
    CHECK_EQ(at, 6);
    CHECK_EQ(read(to[0], buf, 8), 4);
    CHECK(!memcmp(buf, "2345", 4));
    close(fd), close(to[0]), close(to[1]);
    unlink("from");
}

static void check_time(void)
{
    struct timespec a, b, nap = {0, 3000000};
    struct timeval tv;
    u64 t0, t1;

    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &a), 0);
#ifdef __riscv
    __asm__ volatile("rdtime %0" : "=r"(t0));
    CHECK_EQ(nanosleep(&nap, NULL), 0);
    __asm__ volatile("rdtime %0" : "=r"(t1));
    CHECK(t1 > t0);
    __asm__ volatile("rdcycle %0\n\trdinstret %1" : "=r"(t0), "=r"(t1));
#else
    t0 = t1 = 0;
    CHECK_EQ(nanosleep(&nap, NULL), 0);
#endif
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &b), 0);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 3000000);
    CHECK_EQ(gettimeofday(&tv, NULL), 0);
    CHECK(labs(tv.tv_sec - time(NULL)) <= 1);
    CHECK(clock() >= 0);
    CHECK_EQ(utimensat(AT_FDCWD, "/nonexistent", NULL, 0) == -1 ? errno : 0, ENOENT);
}

static void check_identity(void)
{
    struct utsname u;
    struct rlimit limit;
    struct statvfs fs;
    struct sysinfo info;
    struct rusage usage;
    cpu_set_t cpus;
    char buf[64] = "", path[4096];
    ssize_t n;

    CHECK_EQ(uname(&u), 0);
    CHECK(!strcmp(u.sysname, "Linux"));
#ifdef __riscv
    CHECK(!strcmp(u.machine, "riscv64"));
#endif
    CHECK_EQ(getrandom(buf, 64, 0), 64);
    CHECK(memcmp(buf, buf + 32, 32) != 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(limit.rlim_cur > 2);
    CHECK_EQ(statvfs(".", &fs), 0);
    CHECK(fs.f_bsize > 0 && fs.f_blocks > 0);
    CHECK_EQ(sysinfo(&info), 0);
    CHECK(info.totalram > 0 && info.mem_unit > 0);
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    CHECK_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    CHECK(CPU_COUNT(&cpus) > 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0);
    CHECK_EQ(sysconf(_SC_PAGESIZE), 4096);
    CHECK(getpid() > 0 && getppid() > 0);
    n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    CHECK(n > 5 && !memcmp(path + n - 5, "files", 5));
}

/* /proc/self: of the guest, and soon read. */
static void check_proc(void)
{
    char line[4096], *stack = line;
    int code = 0, on_stack = 0;
    time_t start = time(NULL);
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long from, to;

    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx", &from, &to) != 2)
            break;
        code |= (u64)check_proc >= from && (u64)check_proc < to;
        on_stack |= (u64)stack >= from && (u64)stack < to;
    }
    CHECK(code);
    CHECK(on_stack);
    CHECK(time(NULL) - start <= 1);
    if (f)
        fclose(f);
    f = fopen("/proc/self/cmdline", "r");
    CHECK(f && fread(line, 1, sizeof(line), f) >= 6);
    CHECK(!strcmp(line + strlen(line) - 5, "files"));
    fclose(f);
}

int main(void)
{
    check_proc();
    check_file();
    check_large_offsets();
    check_open_flags();
    check_directory();
    check_pipes();
    check_epoll();
    check_poll();
    check_special_fds();
    check_sockets();
    check_sendfile();
    check_time();
    check_identity();
    return check_done("files");
}
