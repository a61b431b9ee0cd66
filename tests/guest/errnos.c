/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run errnos
 *
 * System calls with bad pointers and bad arguments: the error, and nothing else. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096

static long bad_values[] = {1, 4096, 0x3ffffffff000, (long)1 << 62, -4096, -1};
static long unmapped, read_only;
static int null_fd, zero_fd;

typedef struct Call {
    const char *name;
    long nr, args[6];
    int bad; /* which argument is the pointer */
} Call;

/* Each with valid arguments but for the one pointer. */
#define CALL(name, bad, ...)                   \
    {                                          \
#name, SYS_##name, {__VA_ARGS__ }, bad \
    }
static const Call reads_guest[] = {
    CALL(write, 1, -2, 0, 8),
    CALL(openat, 1, AT_FDCWD, 0, O_RDONLY),
    CALL(mkdirat, 1, AT_FDCWD, 0, 0700),
    CALL(unlinkat, 1, AT_FDCWD, 0, 0),
    CALL(chdir, 0, 0),
    CALL(faccessat, 1, AT_FDCWD, 0, 0),
    CALL(truncate, 0, 0, 0),
    CALL(nanosleep, 0, 0, 0),
    CALL(clock_nanosleep, 2, CLOCK_MONOTONIC, 0, 0, 0),
    CALL(execve, 0, 0, 0, 0),
    CALL(rt_sigprocmask, 1, SIG_BLOCK, 0, 0, 8),
    CALL(rt_sigaction, 1, SIGUSR1, 0, 0, 8),
    CALL(readv, 1, -3, 0, 1),
    CALL(writev, 1, -2, 0, 1),
    CALL(memfd_create, 0, 0, 0),
    CALL(setitimer, 1, ITIMER_REAL, 0, 0),
    CALL(rt_sigtimedwait, 0, 0, 0, 0, 8),
    CALL(linkat, 1, AT_FDCWD, 0, AT_FDCWD, 0, 0),
    CALL(statfs, 0, 0, 0),
};
static const Call writes_guest[] = {
    CALL(read, 1, -3, 0, 8),
    CALL(pipe2, 0, 0, 0),
    CALL(fstat, 1, -2, 0),
    CALL(getcwd, 0, 0, 4096),
    CALL(clock_gettime, 1, CLOCK_MONOTONIC, 0),
    CALL(clock_getres, 1, CLOCK_MONOTONIC, 0),
    CALL(gettimeofday, 0, 0, 0),
    CALL(uname, 0, 0),
    CALL(getrandom, 0, 0, 16, 0),
    CALL(getrusage, 1, 0, 0),
    CALL(times, 0, 0),
    CALL(sysinfo, 0, 0),
    CALL(getitimer, 1, ITIMER_REAL, 0),
    CALL(rt_sigpending, 0, 0, 8),
    CALL(rt_sigprocmask, 2, SIG_BLOCK, 0, 0, 8),
    CALL(pread64, 1, -3, 0, 8, 0),
    CALL(sched_getaffinity, 2, 0, 128, 0),
    CALL(prlimit64, 3, 0, 7, 0, 0),
    CALL(socketpair, 3, AF_UNIX, SOCK_STREAM, 0, 0),
    CALL(statx, 4, AT_FDCWD, 0, AT_EMPTY_PATH, 0x7ff, 0),
};

static long run(const Call *c, long value)
{
    long a[6];

    for (int i = 0; i < 6; i++)
        a[i] = c->args[i] == -2 ? null_fd : c->args[i] == -3 ? zero_fd : c->args[i];
    if (c->nr == SYS_statx)
        a[1] = (long)"";
    a[c->bad] = value;
    errno = 0;
    return syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void expect_fault(const Call *c, long value)
{
    long r = run(c, value);

    check_count++;
    if (r == -1 && errno == EFAULT)
        return;
    /* /dev/null takes what it does not read */
    if (c->nr == SYS_write && r == 8)
        return;
    check_failed++;
    printf("%s with %#lx: %ld, errno %d\n", c->name, value, r, errno);
}

static void check_pointers(const Call *calls, size_t n, int writes)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < COUNT(bad_values); k++)
            expect_fault(&calls[i], bad_values[k]);
        expect_fault(&calls[i], unmapped);
        if (writes)
            expect_fault(&calls[i], read_only);
    }
}

/* The end of a mapping: what fits is moved, or nothing is. */
static void check_partial(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    struct iovec two[2] = {{p, 16}, {(void *)8, 16}};
    int ends[2];
    long r;

    munmap(p + PAGE, PAGE);
    CHECK_EQ(pipe(ends), 0);
    memset(p + PAGE - 8, 'x', 8);
    strcpy(p + PAGE - 5, "/etc");
    CHECK(open(p + PAGE - 5, O_RDONLY) >= 0); /* ends at the very end */
    memset(p + PAGE - 5, 'x', 5);
    CHECK_ERR(open(p + PAGE - 5, O_RDONLY), EFAULT);
    r = write(ends[1], p + PAGE - 8, 16);
    CHECK(r == 8 || (r == -1 && errno == EFAULT));
    r = writev(ends[1], two, 2);
    CHECK(r == 16 || (r == -1 && errno == EFAULT));
    CHECK_EQ(write(ends[1], p, 0), 0);
    CHECK_EQ(write(ends[1], (void *)8, 0), 0);
    munmap(p, PAGE);
}

static void check_arguments(void)
{
    CHECK_ERR(close(999), EBADF);
    CHECK_ERR(read(999, NULL, 0), EBADF);
    CHECK_ERR(lseek(null_fd, 0, 99), EINVAL);
    CHECK_ERR(open("/nonexistent/x", O_RDONLY), ENOENT);
    CHECK_ERR(open("/etc/passwd", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("/", O_WRONLY), EISDIR);
    CHECK_ERR(mkdir("/", 0700), EEXIST);
    CHECK_ERR(fcntl(null_fd, 9999, 0), EINVAL);
    CHECK_ERR(dup2(null_fd, -1), EBADF);
    CHECK_ERR(kill(getpid(), 99), EINVAL);
    CHECK_ERR(kill(0x7ffffff0, 0), ESRCH);
    CHECK_ERR(syscall(SYS_clock_gettime, 999, &unmapped), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, &unmapped, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_pipe2, bad_values, 0x10), EINVAL);
    CHECK_ERR(syscall(999), ENOSYS);
    CHECK_ERR(syscall(-1), ENOSYS);
    CHECK_ERR(syscall(0x7fffffffffffffff), ENOSYS);
    CHECK_ERR(syscall(SYS_futex, 1, 0, 0, NULL), EINVAL);
}

/* The calls of this machine alone. */
static void check_riscv(void)
{
    struct {
        i64 key;
        u64 value;
    } pairs[3] = {{3, 0}, {4, 0}, {1000, 7}};

    CHECK_EQ(syscall(259, &unmapped, &unmapped + 1, 0), 0);
    if (syscall(258, pairs, 3, 0, NULL, 0) == 0) {
        CHECK(pairs[0].value & 1);
        CHECK_EQ(pairs[1].value & 3, 3);
        CHECK_EQ(pairs[2].key, -1);
    } else {
        CHECK_EQ(errno, ENOSYS);
    }
}

int main(void)
{
    void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    unmapped = (long)hole;
    read_only = (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    null_fd = open("/dev/null", O_RDWR);
    zero_fd = open("/dev/zero", O_RDWR);
    check_pointers(reads_guest, COUNT(reads_guest), 0);
    check_pointers(writes_guest, COUNT(writes_guest), 1);
    check_partial();
    check_arguments();
#ifdef __riscv
    check_riscv();
#endif
    return check_done("errnos");
}
