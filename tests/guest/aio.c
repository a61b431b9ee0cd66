/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run aio
 *
 * The kernel's asynchronous I/O: every kind of request, what an event says, cancelling,
 * limits in time, bad contexts and addresses, a child's view, threads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define BAD ((void *)0x10)

static aio_context_t context;
static int file;

static long submit(struct iocb *b)
{
    struct iocb *list[] = {b};

    return syscall(SYS_io_submit, context, 1, list);
}

static struct iocb request(unsigned op, void *buf, size_t n, off_t offset)
{
    return (struct iocb){.aio_data = (u64)buf + 1,
                         .aio_lio_opcode = (u16)op,
                         .aio_fildes = (u32)file,
                         .aio_buf = (u64)buf,
                         .aio_nbytes = n,
                         .aio_offset = offset};
}

/* Makes one request; what its event says came of it. */
static i64 outcome(struct iocb *b)
{
    struct io_event e = {0};

    CHECK_EQ(submit(b), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &e, NULL), 1);
    CHECK_EQ(e.data, b->aio_data);
    CHECK_EQ(e.obj, b);
    return e.res;
}

static void test_requests(void)
{
    char text[] = "some text to write", got[32] = "";
    struct iovec v[2] = {{got + 5, 5}, {got, 5}};
    struct iocb b = request(IOCB_CMD_PWRITE, text, sizeof text, 100);

    CHECK_EQ(outcome(&b), sizeof text);
    b = request(IOCB_CMD_PREAD, got, sizeof text, 100);
    CHECK_EQ(outcome(&b), sizeof text);
    CHECK(!strcmp(got, text));
    b = request(IOCB_CMD_PREADV, v, 2, 100);
    CHECK_EQ(outcome(&b), 10);
    CHECK(!memcmp(got, "text some ", 10));
    b = request(IOCB_CMD_PWRITEV, v, 2, 0);
    CHECK_EQ(outcome(&b), 10);
    CHECK_EQ(pread(file, got, 10, 0), 10);
    CHECK(!memcmp(got, "some text ", 10));
    b = request(IOCB_CMD_FSYNC, NULL, 0, 0);
    CHECK_EQ(outcome(&b), 0);
    b = request(IOCB_CMD_PREAD, got, 8, 1000);
    CHECK_EQ(outcome(&b), 0);
}

static void test_many(void)
{
    enum { MANY = 20 };
    struct iocb b[MANY], *list[MANY + 1];
    struct io_event e[MANY];
    char bytes[MANY];
    u64 sum = 0;
    int n = 0;

    for (int i = 0; i < MANY; i++) {
        bytes[i] = (char)i;
        b[i] = request(IOCB_CMD_PWRITE, &bytes[i], 1, i);
        b[i].aio_data = (u64)i;
        list[i] = &b[i];
    }
    list[MANY] = BAD;
    CHECK_EQ(syscall(SYS_io_submit, context, MANY + 1, list), MANY);
    while (n < MANY) {
        long r = syscall(SYS_io_getevents, context, 1, 7, e, NULL);

        CHECK(r > 0 && r <= 7);
        if (r <= 0)
            break;
        for (int i = 0; i < r; i++) {
            CHECK_EQ(e[i].res, 1);
            CHECK_EQ(e[i].obj, &b[e[i].data]);
            sum += e[i].data;
        }
        n += (int)r;
    }
    CHECK_EQ(sum, MANY * (MANY - 1) / 2);
}

static volatile sig_atomic_t signals;

static void count(int sig)
{
    (void)sig;
    signals++;
}

/* A request that does not end by itself. */
static void test_waiting(void)
{
    struct timespec soon = {0, 2000000};
    struct io_event e = {0};
    int event = eventfd(0, 0), told = eventfd(0, EFD_NONBLOCK);
    struct iocb b = {.aio_lio_opcode = IOCB_CMD_POLL,
                     .aio_fildes = (u32)event,
                     .aio_buf = 1 /* POLLIN */,
                     .aio_flags = IOCB_FLAG_RESFD,
                     .aio_resfd = (u32)told};
    u64 value = 1, set = ~0ul, unblocked = 0;
    struct {
        u64 *set, size;
    } mask = {&unblocked, 8};
    struct itimerval timer = {.it_value.tv_usec = 20000};

    signal(SIGALRM, count);
    CHECK_EQ(submit(&b), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &e, &soon), 0);
    CHECK_EQ(write(event, &value, 8), 8);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &e, NULL), 1);
    CHECK_EQ(e.obj, &b);
    CHECK_EQ(e.res, 1);
    CHECK_EQ(read(told, &value, 8), 8);
    CHECK_EQ(read(event, &value, 8), 8);
    CHECK_EQ(submit(&b), 1);
    CHECK_ERR(syscall(SYS_io_cancel, context, &b, &e), EINPROGRESS);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &e, NULL), 1);
    CHECK_EQ(e.obj, &b);
    CHECK_ERR(syscall(SYS_io_cancel, context, &b, &e), EINVAL);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &set, 8);
    syscall(SYS_setitimer, ITIMER_REAL, &timer, NULL);
    CHECK_ERR(syscall(SYS_io_pgetevents, context, 1, 1, &e, NULL, &mask), EINTR);
    CHECK_EQ(signals, 1);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
    CHECK_ERR(syscall(SYS_io_pgetevents, context, 1, 1, &e, NULL, BAD), EFAULT);
    close(event);
    close(told);
}

static void test_errors(void)
{
    struct iocb b = request(IOCB_CMD_PREAD, BAD, 8, 0), *list[] = {BAD};
    struct io_event e;
    struct iovec v = {BAD, 8};
    aio_context_t other = 0, taken = 1;
    char c;

    CHECK_EQ(outcome(&b), -EFAULT);
    b = request(IOCB_CMD_PREADV, &v, 1, 0);
    CHECK_ERR(submit(&b), EFAULT);
    b = request(IOCB_CMD_PREADV, BAD, 1, 0);
    CHECK_ERR(submit(&b), EFAULT);
    b = request(99, &c, 1, 0);
    CHECK_ERR(submit(&b), EINVAL);
    b = request(IOCB_CMD_PREAD, &c, 1, 0);
    b.aio_fildes = 999;
    CHECK_ERR(submit(&b), EBADF);
    CHECK_ERR(submit(BAD), EFAULT);
    CHECK_ERR(syscall(SYS_io_submit, context, 1, BAD), EFAULT);
    CHECK_ERR(syscall(SYS_io_submit, context, -1, list), EINVAL);
    CHECK_EQ(syscall(SYS_io_submit, context, 0, NULL), 0);
    CHECK_ERR(syscall(SYS_io_submit, 0x1234, 0, list), EINVAL);
    CHECK_ERR(syscall(SYS_io_getevents, context, 2, 1, &e, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_io_getevents, context, 0, 1, BAD, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_io_getevents, context, 0, 1, &e, BAD), EFAULT);
    CHECK_EQ(syscall(SYS_io_getevents, context, 0, 1ul << 40, &e, NULL), 0);
    CHECK_ERR(syscall(SYS_io_getevents, 0x1234, 0, 1, &e, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_io_cancel, 0x1234, &b, &e), EINVAL);
    CHECK_ERR(syscall(SYS_io_destroy, 0x1234), EINVAL);
    CHECK_ERR(syscall(SYS_io_setup, 10, BAD), EFAULT);
    CHECK_ERR(syscall(SYS_io_setup, 10, &taken), EINVAL);
    CHECK_ERR(syscall(SYS_io_setup, 0, &other), EINVAL);
}

static void test_child(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) { /* a context is its maker's only */
        struct io_event e;
        aio_context_t own = 0;

        CHECK_ERR(syscall(SYS_io_getevents, context, 0, 1, &e, NULL), EINVAL);
        CHECK_EQ(syscall(SYS_io_setup, 4, &own), 0);
        CHECK_EQ(syscall(SYS_io_destroy, own), 0);
        fflush(stdout);
        _exit(check_failed != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

static void *writer(void *arg)
{
    for (int i = 0; i < 200; i++) {
        static __thread struct iocb b;
        struct io_event e;
        u64 data = (u64)arg + (u64)i;

        b = request(IOCB_CMD_PWRITE, &data, 8, 8 * (i64)(u64)arg);
        submit(&b);
        syscall(SYS_io_getevents, context, 1, 1, &e, NULL); /* some thread's */
        if (e.res != 8)
            return arg;
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread[4];

    for (size_t i = 0; i < COUNT(thread); i++)
        pthread_create(&thread[i], NULL, writer, (void *)(1000 * i));
    for (size_t i = 0; i < COUNT(thread); i++) {
        void *bad;

        pthread_join(thread[i], &bad);
        CHECK(bad == NULL);
    }
}

int main(void)
{
    file = open("aio.file", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(file >= 0);
    CHECK_EQ(syscall(SYS_io_setup, 32, &context), 0);
    CHECK(context != 0);
    CHECK(*(u32 *)(context + 16) != 0xa10a10a1); /* no ring that libaio would read */
    test_requests();
    test_many();
    test_waiting();
    test_errors();
    test_child();
    test_threads();
    CHECK_EQ(syscall(SYS_io_destroy, context), 0);
    CHECK_ERR(syscall(SYS_io_destroy, context), EINVAL);
    close(file);
    unlink("aio.file");
    return check_done("aio");
}
