/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run file_calls
 *
 * Files, directories and descriptors: every structure that crosses the border, bad
 * addresses, files of /proc that describe the guest. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "check.h"

#define BAD ((void *)0x1000)

static void check_stat(void)
{
    struct timespec times[2] = {{1000000001, 123456789}, {1000000002, 987654321}};
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0640);
    struct statx sx;
    struct stat a, b;

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(fchmod(fd, 0604), 0);
    CHECK_EQ(futimens(fd, times), 0);
    CHECK_EQ(fstat(fd, &a), 0);
    CHECK_EQ(stat("file", &b), 0);
    CHECK_EQ(memcmp(&a, &b, sizeof a), 0);
    CHECK_EQ(a.st_mode, S_IFREG | 0604);
    CHECK_EQ(a.st_size, 10);
    CHECK_EQ(a.st_nlink, 1);
    CHECK_EQ(a.st_uid, getuid());
    CHECK_EQ(a.st_atim.tv_sec, 1000000001);
    CHECK_EQ(a.st_mtim.tv_sec, 1000000002);
    CHECK_EQ(a.st_mtim.tv_nsec, 987654321);
    CHECK(a.st_blksize >= 512);
    CHECK_EQ(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &sx), 0);
    CHECK_EQ(sx.stx_ino, a.st_ino);
    CHECK_EQ(sx.stx_size, 10);
    CHECK_EQ(symlink("file", "link"), 0);
    CHECK_EQ(lstat("link", &b), 0);
    CHECK(S_ISLNK(b.st_mode));
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "file", BAD, 0), EFAULT);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, BAD, &a, 0), EFAULT);
    CHECK_ERR(stat("nothing", &a), ENOENT);
    close(fd);
}

static void check_flags(void)
{
    int fd;

    CHECK_EQ(mkdir("dir", 0755), 0);
    CHECK_ERR(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("file", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    fd = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    fd = open("file", O_WRONLY | O_APPEND | O_NONBLOCK);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
             O_WRONLY | O_APPEND | O_NONBLOCK);
    close(fd);
}

static void check_vectors(void)
{
    char a[4] = "", b[16] = "", zero[4096];
    struct iovec out[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
    struct iovec in[2] = {{a, 3}, {b, 16}};
    int fd = open("vector", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t at = 2;
    int to;

    CHECK_EQ(writev(fd, out, 3), 8);
    CHECK_EQ(preadv(fd, in, 2, 0), 8);
    CHECK_EQ(memcmp(a, "abc", 3) | memcmp(b, "defgh", 5), 0);
    CHECK_EQ(pwrite(fd, "XY", 2, 1), 2);
    CHECK_EQ(pread(fd, b, 16, 0), 8);
    CHECK_EQ(memcmp(b, "aXYdefgh", 8), 0);
    CHECK_ERR(pread(fd, BAD, 4, 0), EFAULT);
    CHECK_ERR(preadv(fd, BAD, 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_preadv, fd, in, -1, 0, 0), EINVAL);
    CHECK_ERR(pwrite(fd, BAD, 4, 0), EFAULT);
    to = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(sendfile(to, fd, &at, 4), 4);
    CHECK_EQ(at, 6);
    at = 0;
    CHECK_EQ(copy_file_range(fd, &at, to, NULL, 8, 0), 8);
    CHECK_EQ(pread(to, zero, sizeof zero, 0), 12);
    CHECK_EQ(memcmp(zero, "YdefaXYdefgh", 12), 0);
    close(fd);
    close(to);
}

/* A buffer that ends in unmapped memory: the call gets as far as it can. */
static void check_edges(void)
{
    char *p =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int ends[2];

    CHECK_EQ(munmap(p + 4096, 4096), 0);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "hello", 5), 5);
    CHECK_EQ(read(ends[0], p + 4096 - 16, 4096), 5);
    CHECK_EQ(memcmp(p + 4096 - 16, "hello", 5), 0);
    CHECK_EQ(mprotect(p, 4096, PROT_READ), 0);
    CHECK_EQ(write(ends[1], "hello", 5), 5);
    CHECK_ERR(read(ends[0], p, 16), EFAULT);
    close(ends[0]);
    close(ends[1]);
}

static void check_names(void)
{
    char cwd[PATH_MAX], text[64];
    struct statfs fs;
    struct dirent *e;
    DIR *dir;
    int n = 0;

    CHECK(getcwd(cwd, sizeof cwd) != NULL);
    CHECK_ERR(syscall(SYS_getcwd, cwd, 1), ERANGE);
    CHECK_EQ(readlink("link", text, sizeof text), 4);
    CHECK_EQ(memcmp(text, "file", 4), 0);
    CHECK_ERR(readlink("file", text, sizeof text), EINVAL);
    CHECK_EQ(link("file", "hard"), 0);
    CHECK_EQ(rename("hard", "dir/hard"), 0);
    CHECK_EQ(access("dir/hard", R_OK | W_OK), 0);
    CHECK_ERR(access("dir/none", F_OK), ENOENT);
    CHECK_EQ(mkfifo("dir/fifo", 0600), 0);
    CHECK_EQ(truncate("file", 4), 0);
    CHECK_EQ(statfs(".", &fs), 0);
    CHECK(fs.f_bsize > 0);
    dir = opendir("dir");
    while ((e = readdir(dir)))
        n += !strcmp(e->d_name, "fifo") ? e->d_type == DT_FIFO
                                        : !strcmp(e->d_name, "hard");
    CHECK_EQ(n, 2);
    closedir(dir);
    CHECK_ERR(rmdir("dir"), ENOTEMPTY);
    CHECK_EQ(unlink("dir/fifo") | unlink("dir/hard") | rmdir("dir"), 0);
}

static void check_fcntl(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 4};
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    int fd = open("file", O_RDWR), copy;

    CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
    CHECK_EQ(fcntl(fd, F_GETLK, &lock), 0);
    CHECK_EQ(lock.l_type, F_UNLCK);
    CHECK_EQ(fcntl(fd, F_OFD_GETLK, &(struct flock){.l_type = F_WRLCK, .l_len = 1}), 0);
    CHECK_ERR(fcntl(fd, F_SETLK, BAD), EFAULT);
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(fcntl(fd, F_SETOWN_EX, &owner), 0);
    owner.pid = 0;
    CHECK_EQ(fcntl(fd, F_GETOWN_EX, &owner), 0);
    CHECK_EQ(owner.pid, getpid());
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    CHECK(copy >= 100);
    CHECK_EQ(dup3(fd, 200, O_CLOEXEC), 200);
    CHECK_EQ(close_range(100, 200, 0), 0);
    CHECK_ERR(fcntl(copy, F_GETFD), EBADF);
    CHECK_ERR(close(200), EBADF);
    close(fd);
}

static void check_poll(void)
{
    struct pollfd fds[2];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788},
                       got[4];
    struct timeval soon = {0, 1000};
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    fd_set in;

    CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
    CHECK_ERR(read(ends[0], got, 1), EAGAIN);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    CHECK_EQ(epoll_wait(epoll, got, 4, 1), 0);
    fds[0] = (struct pollfd){ends[0], POLLIN, 0};
    fds[1] = (struct pollfd){ends[1], POLLOUT, 0};
    CHECK_EQ(poll(fds, 2, 0), 1);
    CHECK_EQ(fds[1].revents, POLLOUT);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(poll(fds, 2, -1), 2);
    CHECK_EQ(epoll_wait(epoll, got, 4, -1), 1);
    CHECK_EQ(got[0].data.u64, 0x1122334455667788);
    CHECK_EQ(got[0].events, EPOLLIN);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    CHECK_EQ(select(ends[0] + 1, &in, NULL, NULL, &soon), 1);
    CHECK(FD_ISSET(ends[0], &in));
    CHECK_EQ(ioctl(ends[0], FIONREAD, &got), 0);
    CHECK_EQ(*(int *)got, 1);
    CHECK_ERR(ioctl(ends[0], TIOCGWINSZ, got), ENOTTY);
    CHECK_ERR(ioctl(ends[0], FIONREAD, BAD), EFAULT);
    CHECK_ERR(syscall(SYS_ppoll, BAD, 1, NULL, NULL, 8), EFAULT);
    close(ends[0]);
    close(ends[1]);
    close(epoll);
}

static void check_special(void)
{
    struct itimerspec when = {{0, 0}, {0, 1000}};
    int event = eventfd(3, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    int notify = inotify_init1(IN_CLOEXEC), memory = memfd_create("test", 0);
    u64 n;

    CHECK_EQ(write(event, &(u64){4}, 8), 8);
    CHECK_EQ(read(event, &n, 8), 8);
    CHECK_EQ(n, 7);
    CHECK_EQ(timerfd_settime(timer, 0, &when, NULL), 0);
    CHECK_EQ(read(timer, &n, 8), 8);
    CHECK_EQ(n, 1);
    CHECK(inotify_add_watch(notify, ".", IN_CREATE) > 0);
    CHECK_EQ(ftruncate(memory, 4096), 0);
    CHECK_EQ(lseek(memory, 0, SEEK_END), 4096);
    close(event);
    close(timer);
    close(notify);
    close(memory);
}

static size_t slurp(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY);
    size_t len = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, out + len, size - 1 - len)) > 0)
        len += n;
    out[len] = 0;
    close(fd);
    return len;
}

static void check_proc(const char *name)
{
    static char text[1 << 20];
    char own[PATH_MAX], path[64];
    struct utsname u;

    CHECK_EQ(uname(&u), 0);
    CHECK_EQ(strcmp(u.machine, "riscv64"), 0);
    memset(own, 0, sizeof own);
    CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    CHECK(strstr(own, "file_calls") != NULL);
    snprintf(path, sizeof path, "/proc/%d/cmdline", getpid());
    CHECK_EQ(slurp(path, text, sizeof text), strlen(name) + 1);
    CHECK_EQ(strcmp(text, name), 0);
    CHECK(slurp("/proc/self/auxv", text, sizeof text) % 16 == 0);
    CHECK(slurp("/proc/self/maps", text, sizeof text) > 0);
    CHECK(strstr(text, "[stack]") != NULL);
    CHECK(strstr(text, "file_calls") != NULL);
    CHECK(slurp("/proc/cpuinfo", text, sizeof text) > 0);
    CHECK(strstr(text, "rv64") != NULL);
}

int main(int argc, char **argv)
{
    char dir[] = "file_calls.XXXXXX";

    CHECK_EQ(argc, 1);
    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    check_stat();
    check_flags();
    check_vectors();
    check_names();
    check_fcntl();
    check_poll();
    check_edges();
    check_special();
    check_proc(argv[0]);
    return check_done("file_calls");
}
