/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run uring
 *
 * io_uring without a library: files, vectors, sockets, polls, timeouts, paths, epoll,
 * registered buffers and files, what is refused, bad addresses, a child, closing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define BAD         ((u64)0x10)
#define LOAD(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

typedef struct Ring {
    int fd;
    u8 *sq;
    size_t size;
    struct io_uring_params p;
    struct io_uring_sqe *entries;
} Ring;

static Ring ring;
static u64 next_data = 100;

static u32 *word(u32 offset) { return (u32 *)(ring.sq + offset); }

static int ring_open(Ring *r, unsigned n, unsigned flags)
{
    const int prot = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;

    memset(&r->p, 0, sizeof r->p);
    r->p.flags = flags;
    r->fd = (int)syscall(SYS_io_uring_setup, n, &r->p);
    if (r->fd < 0)
        return -1;
    r->size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
    r->sq = mmap(NULL, r->size, prot, how, r->fd, IORING_OFF_SQ_RING);
    r->entries = mmap(NULL, r->p.sq_entries * sizeof *r->entries, prot, how, r->fd,
                      IORING_OFF_SQES);
    return r->sq == MAP_FAILED || r->entries == MAP_FAILED ? -1 : 0;
}

/* A new entry, zero but for these; its user_data is the next number. */
static struct io_uring_sqe *entry(unsigned op, int fd, const void *addr, u32 len,
                                  u64 off)
{
    u32 tail = *word(ring.p.sq_off.tail), index = tail & (ring.p.sq_entries - 1);
    struct io_uring_sqe *e = &ring.entries[index];

    memset(e, 0, sizeof *e);
    e->opcode = (u8)op;
    e->fd = fd;
    e->addr = (u64)addr;
    e->len = len;
    e->off = off;
    e->user_data = ++next_data << 32;
    word(ring.p.sq_off.array)[index] = index;
    STORE(word(ring.p.sq_off.tail), tail + 1);
    return e;
}

static long enter(unsigned n, unsigned least)
{
    return syscall(SYS_io_uring_enter, ring.fd, n, least, IORING_ENTER_GETEVENTS, NULL,
                   0);
}

/* The oldest completion's result, which must be of this user_data (0: of any). */
static i32 completion(u64 data)
{
    u32 head = *word(ring.p.cq_off.head);
    struct io_uring_cqe *c = (void *)(ring.sq + ring.p.cq_off.cqes);
    i32 result;

    if (head == LOAD(word(ring.p.cq_off.tail)))
        enter(0, 1);
    c += head & (ring.p.cq_entries - 1);
    CHECK(!data || c->user_data == data);
    result = c->res;
    STORE(word(ring.p.cq_off.head), head + 1);
    return result;
}

/* Submits the entry, waits, says what came of it. */
static i32 outcome(const struct io_uring_sqe *e)
{
    u64 data = e->user_data;

    CHECK_EQ(enter(1, 1), 1);
    return completion(data);
}

static void test_files(int file)
{
    char text[] = "written by a ring", got[32] = "";
    struct iovec v[2] = {{got + 8, 8}, {got, 8}};

    CHECK_EQ(outcome(entry(IORING_OP_NOP, -1, NULL, 0, 0)), 0);
    CHECK_EQ(outcome(entry(IORING_OP_WRITE, file, text, sizeof text, 50)), sizeof text);
    CHECK_EQ(outcome(entry(IORING_OP_READ, file, got, sizeof text, 50)), sizeof text);
    CHECK(!strcmp(got, text));
    CHECK_EQ(outcome(entry(IORING_OP_READV, file, v, 2, 50)), 16);
    CHECK(!memcmp(got, "by a rinwritten ", 16));
    CHECK_EQ(outcome(entry(IORING_OP_WRITEV, file, v, 2, 0)), 16);
    CHECK_EQ(pread(file, got, 16, 0), 16);
    CHECK(!memcmp(got, "written by a rin", 16));
    CHECK_EQ(outcome(entry(IORING_OP_FSYNC, file, NULL, 0, 0)), 0);
    CHECK_EQ(outcome(entry(IORING_OP_READ, -1, got, 1, 0)), -EBADF);
}

static void test_paths(void)
{
    struct statx s = {0};
    struct io_uring_sqe *e = entry(IORING_OP_OPENAT, AT_FDCWD, "uring.other", 0600, 0);
    i32 fd;

    e->open_flags = O_CREAT | O_RDWR;
    fd = outcome(e);
    CHECK(fd > 2);
    e = entry(IORING_OP_STATX, AT_FDCWD, "uring.other", 0x7ff, (u64)&s);
    CHECK_EQ(outcome(e), 0);
    CHECK_EQ(s.stx_mode & 0777, 0600);
    CHECK_EQ(outcome(entry(IORING_OP_FALLOCATE, fd, (void *)5000, 0, 0)), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 5000);
    e = entry(IORING_OP_RENAMEAT, AT_FDCWD, "uring.other", (u32)AT_FDCWD,
              (u64) "uring.new");
    CHECK_EQ(outcome(e), 0);
    CHECK_EQ(outcome(entry(IORING_OP_CLOSE, fd, NULL, 0, 0)), 0);
    CHECK_ERR(close(fd), EBADF);
    CHECK_EQ(outcome(entry(IORING_OP_UNLINKAT, AT_FDCWD, "uring.new", 0, 0)), 0);
    CHECK_EQ(outcome(entry(IORING_OP_UNLINKAT, AT_FDCWD, "uring.new", 0, 0)), -ENOENT);
}

static void test_sockets(void)
{
    char got[16] = "";
    int pair[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(outcome(entry(IORING_OP_SEND, pair[0], "hello", 6, 0)), 6);
    CHECK_EQ(outcome(entry(IORING_OP_RECV, pair[1], got, sizeof got, 0)), 6);
    CHECK(!strcmp(got, "hello"));
    CHECK_EQ(outcome(entry(IORING_OP_SHUTDOWN, pair[0], NULL, SHUT_WR, 0)), 0);
    CHECK_EQ(outcome(entry(IORING_OP_RECV, pair[1], got, sizeof got, 0)), 0);
    close(pair[0]);
    close(pair[1]);
}

static void test_waiting(void)
{
    struct timespec soon = {0, 3000000};
    struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abcdef}}, got;
    int told = eventfd(0, 0), epoll = epoll_create1(0);
    u64 value = 1, poll_data, cancelled;
    struct io_uring_sqe *e;

    CHECK_EQ(outcome(entry(IORING_OP_TIMEOUT, -1, &soon, 1, 0)), -ETIME);
    e = entry(IORING_OP_POLL_ADD, told, NULL, 0, 0);
    e->poll32_events = POLLIN;
    poll_data = e->user_data;
    CHECK_EQ(enter(1, 0), 1);
    CHECK_EQ(write(told, &value, 8), 8);
    CHECK_EQ(completion(poll_data), POLLIN);
    CHECK_EQ(read(told, &value, 8), 8);
    e = entry(IORING_OP_POLL_ADD, told, NULL, 0, 0);
    e->poll32_events = POLLIN;
    poll_data = e->user_data;
    entry(IORING_OP_ASYNC_CANCEL, -1, (void *)poll_data, 0, 0);
    CHECK_EQ(enter(2, 2), 2);
    cancelled = (u64)completion(0) + (u64)completion(0); /* in any order */
    CHECK_EQ(cancelled, (u64)-ECANCELED);
    e = entry(IORING_OP_EPOLL_CTL, epoll, &event, EPOLL_CTL_ADD, (u64)told);
    CHECK_EQ(outcome(e), 0);
    CHECK_EQ(write(told, &value, 8), 8);
    CHECK_EQ(epoll_wait(epoll, &got, 1, 1000), 1);
    CHECK_EQ(got.data.u64, event.data.u64);
    CHECK_EQ(got.events, EPOLLIN);
    close(told);
    close(epoll);
}

/* The limit and the mask of the wait itself. */
static void test_limits(void)
{
    struct {
        i64 sec, nsec;
    } soon = {0, 2000000};
    struct io_uring_getevents_arg arg = {.ts = (u64)&soon};
    const unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;

    CHECK_ERR(syscall(SYS_io_uring_enter, ring.fd, 0, 1, flags, &arg, sizeof arg),
              ETIME);
    arg.ts = BAD;
    CHECK_ERR(syscall(SYS_io_uring_enter, ring.fd, 0, 1, flags, &arg, sizeof arg),
              EFAULT);
    CHECK_ERR(syscall(SYS_io_uring_enter, ring.fd, 0, 1, flags, BAD, sizeof arg),
              EFAULT);
    CHECK_ERR(syscall(SYS_io_uring_enter, ring.fd, 0, 1, flags, &arg, 8), EINVAL);
    CHECK_ERR(syscall(SYS_io_uring_enter, ring.fd, 0, 0, 1u << 31, NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_io_uring_enter, 999, 0, 0, 0, NULL, 0), EBADF);
    CHECK_EQ(syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL, 0), -1);
}

static void test_registered(int file)
{
    static char area[8192];
    struct iovec v = {area, sizeof area}, bad = {(void *)BAD, 100};
    struct {
        struct io_uring_probe p;
        struct io_uring_probe_op ops[64];
    } probe = {0};
    struct io_uring_sqe *e;
    int files[2] = {file, -1};

    CHECK_EQ(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &v, 1),
             0);
    strcpy(area + 100, "fixed");
    e = entry(IORING_OP_WRITE_FIXED, file, area + 100, 6, 0);
    CHECK_EQ(outcome(e), 6);
    e = entry(IORING_OP_READ_FIXED, file, area + 200, 6, 0);
    CHECK_EQ(outcome(e), 6);
    CHECK(!strcmp(area + 200, "fixed"));
    CHECK_EQ(
        syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
    CHECK_ERR(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &bad, 1),
              EFAULT);
    CHECK_EQ(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, files, 2),
             0);
    e = entry(IORING_OP_READ, 0, area, 6, 0);
    e->flags = IOSQE_FIXED_FILE;
    CHECK_EQ(outcome(e), 6);
    CHECK(!strcmp(area, "fixed"));
    CHECK_EQ(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PROBE, &probe, 64),
             0);
    CHECK(probe.p.ops_len > IORING_OP_READ);
    CHECK(probe.ops[IORING_OP_READ].flags & IO_URING_OP_SUPPORTED);
    CHECK(!(probe.ops[IORING_OP_RECVMSG].flags & IO_URING_OP_SUPPORTED));
    CHECK_ERR(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PROBE, BAD, 64),
              EFAULT);
    CHECK_ERR(syscall(SYS_io_uring_register, ring.fd, 12345, NULL, 0), EINVAL);
}

static void test_refused(int file)
{
    struct iovec v = {(void *)BAD, 8};
    Ring none;

    CHECK_EQ(outcome(entry(IORING_OP_RECVMSG, file, &v, 1, 0)), -EINVAL);
    CHECK_EQ(outcome(entry(200, file, NULL, 1, 0)), -EINVAL);
    CHECK_EQ(outcome(entry(IORING_OP_READ, file, (void *)BAD, 8, 0)), -EFAULT);
    CHECK_EQ(outcome(entry(IORING_OP_WRITE, file, (void *)-8l, 8, 0)), -EFAULT);
    CHECK_EQ(outcome(entry(IORING_OP_READV, file, (void *)BAD, 1, 0)), -EFAULT);
    CHECK_EQ(outcome(entry(IORING_OP_READV, file, &v, 1, 0)), -EFAULT);
    CHECK_EQ(outcome(entry(IORING_OP_OPENAT, AT_FDCWD, (void *)BAD, 0, 0)), -EFAULT);
    CHECK_EQ(outcome(entry(IORING_OP_TIMEOUT, -1, (void *)BAD, 1, 0)), -EFAULT);
    CHECK_EQ(ring_open(&none, 4, IORING_SETUP_SQPOLL), -1);
    CHECK_ERR(syscall(SYS_io_uring_setup, 4, BAD), EFAULT);
}

/* An array entry that names no entry is dropped. */
static void test_bad_index(void)
{
    u32 tail = *word(ring.p.sq_off.tail);

    word(ring.p.sq_off.array)[tail & (ring.p.sq_entries - 1)] = 0x7fffffff;
    STORE(word(ring.p.sq_off.tail), tail + 1);
    CHECK_EQ(enter(1, 0), 0);
    CHECK_EQ(outcome(entry(IORING_OP_NOP, -1, NULL, 0, 0)), 0);
}

static void test_child(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        CHECK_EQ(outcome(entry(IORING_OP_NOP, -1, NULL, 0, 0)), 0);
        close(ring.fd);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    if (vfork() == 0) {
        close(ring.fd);
        _exit(0);
    }
    wait(&status);
    CHECK_EQ(outcome(entry(IORING_OP_NOP, -1, NULL, 0, 0)), 0);
}

/* Another file takes the descriptor of a ring: it can be mapped. */
static void test_replaced(int file)
{
    Ring other;
    char *p, c = 0;

    CHECK_EQ(ring_open(&other, 4, 0), 0);
    CHECK_EQ(dup3(file, other.fd, 0), other.fd);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, other.fd, 0);
    CHECK(p != MAP_FAILED && p != (void *)other.sq);
    CHECK_EQ(pread(file, &c, 1, 0), 1);
    CHECK_EQ(p[0], c);
    CHECK_EQ(syscall(SYS_io_uring_enter, other.fd, 1, 0, 0, NULL, 0), -1);
    CHECK_EQ(errno, EOPNOTSUPP);
    munmap(p, 4096);
    close(other.fd);
}

/* A ring that is closed lets go of what it waits for. */
static void test_close(void)
{
    int pair[2];
    char c;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    entry(IORING_OP_RECV, pair[0], &c, 1, 0);
    CHECK_EQ(enter(1, 0), 1);
    close(pair[0]);
    munmap(ring.sq, ring.size);
    munmap(ring.entries, ring.p.sq_entries * sizeof *ring.entries);
    CHECK_EQ(close(ring.fd), 0);
    CHECK_EQ(read(pair[1], &c, 1), 0); /* the other end is closed now */
    close(pair[1]);
}

/* The setting came with Linux 6.6. */
static int kernel_may(void)
{
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "r");
    int off = f ? fgetc(f) : '2';

    if (f)
        fclose(f);
    return off == '0';
}

int main(void)
{
    int file = open("uring.file", O_CREAT | O_TRUNC | O_RDWR, 0600);

    if (ring_open(&ring, 8, 0) &&
        (errno == EPERM || (errno == ENOSYS && !kernel_may())))
        return check_done("uring"); /* the host forbids it or is too old */
    CHECK(ring.fd >= 0 && ring.sq != MAP_FAILED && ring.entries != MAP_FAILED);
    if (check_failed)
        return check_done("uring");
    for (int i = 0; i < 3; i++) /* around the ring */
        test_files(file);
    test_paths();
    test_sockets();
    test_waiting();
    test_limits();
    test_registered(file);
    test_refused(file);
    test_bad_index();
    test_child();
    test_replaced(file);
    test_close();
    close(file);
    unlink("uring.file");
    return check_done("uring");
}
