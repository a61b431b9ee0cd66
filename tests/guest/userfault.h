/* SPDX-License-Identifier: MIT */
/* What the tests of userfaultfd share: memory whose pages a thread provides, and that
 * thread, which may be made to do other things before. */
#ifndef GUEST_USERFAULT_H
#define GUEST_USERFAULT_H

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { PAGE = 4096, PAGES = 64, THREADS = 4, LEN = PAGES * PAGE };

typedef struct Server {
    pthread_t thread;
    int fd, stop[2];
    void (*before)(const struct uffd_msg *m); /* between a fault and its page */
    void (*fill)(u8 *page, u64 addr);
    _Atomic u32 seen;
    _Atomic u32 hold; /* pages are not provided yet */
} Server;

static Server server = {.fd = -1};
static _Atomic u32 flag;

static void nap(void) { usleep(1000); }

/* ---- the thread that provides pages ---- */

static u64 pattern(u64 addr) { return addr * 0x9e3779b97f4a7c15ull | 1; }

static void fill_pattern(u8 *page, u64 addr)
{
    for (u64 i = 0; i < PAGE; i += 8) {
        u64 v = pattern(addr + i);

        memcpy(page + i, &v, 8);
    }
}

static void provide(const struct uffd_msg *m)
{
    static u8 page[PAGE] __attribute__((aligned(PAGE)));
    u64 addr = m->arg.pagefault.address & ~(u64)(PAGE - 1);
    struct uffdio_copy c = {.dst = addr, .src = (u64)page, .len = PAGE};

    server.fill(page, addr);
    if (ioctl(server.fd, UFFDIO_COPY, &c))
        CHECK_EQ(errno, EEXIST);
    else
        CHECK_EQ(c.copy, PAGE);
}

static void *serve(void *arg)
{
    struct pollfd p[2] = {{server.fd, POLLIN, 0}, {server.stop[0], POLLIN, 0}};

    (void)arg;
    for (;;) {
        struct uffd_msg m;

        if (poll(p, 2, -1) < 0)
            continue;
        if (p[1].revents)
            return NULL;
        if (read(server.fd, &m, sizeof m) != sizeof m)
            continue;
        server.seen++;
        if (server.before)
            server.before(&m);
        while (server.hold)
            nap();
        provide(&m);
    }
}

static int fault_fd(u64 features)
{
    struct uffdio_api a = {.api = UFFD_API, .features = features};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && ioctl(fd, UFFDIO_API, &a)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int watch(int fd, void *at, u64 len, u64 mode)
{
    struct uffdio_register r = {{(u64)at, len}, mode, 0};

    return ioctl(fd, UFFDIO_REGISTER, &r);
}

static u8 *fresh(int prot)
{
    u8 *p = mmap(NULL, LEN, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

/* Memory whose pages the server provides. */
static u8 *serve_begin(int prot, void (*before)(const struct uffd_msg *))
{
    u8 *p = fresh(prot);

    server.fd = fault_fd(0);
    server.before = before;
    server.fill = fill_pattern;
    server.seen = server.hold = flag = 0;
    CHECK(server.fd >= 0);
    CHECK_EQ(watch(server.fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
    CHECK_EQ(pipe(server.stop), 0);
    CHECK_EQ(pthread_create(&server.thread, NULL, serve, NULL), 0);
    return p;
}

static void serve_end(u8 *p)
{
    CHECK_EQ(write(server.stop[1], "", 1), 1);
    CHECK_EQ(pthread_join(server.thread, NULL), 0);
    close(server.stop[0]);
    close(server.stop[1]);
    close(server.fd);
    munmap(p, LEN);
}

static inline void until_waiting(u32 n)
{
    while (server.seen < n)
        nap();
}

/* ---- making code, and dropping it ---- */

#ifdef __riscv
static const u32 add_one = 0x00150513 /* addi a0, a0, 1 */, ret = 0x00008067;
#else
static const u32 add_one = 0x01c78348 /* add $1, %rdi */, ret = 0xc3f88948;
#endif
enum { ADDS = PAGE / 4 - 1 };

typedef u64 CodeFn(u64);

/* A function that adds so much, in a page. */
static void make_code(u8 *page, u32 adds)
{
    for (u32 i = 0; i < adds; i++)
        memcpy(page + 4 * i, &add_one, 4);
    memcpy(page + 4 * adds, &ret, 4);
}

static void new_code(const struct uffd_msg *m)
{
    u8 *p = fresh(PROT_READ | PROT_WRITE | PROT_EXEC);

    (void)m;
    for (u32 i = 0; i < 8; i++) {
        make_code(p + i * PAGE, ADDS);
        __builtin___clear_cache((char *)p + i * PAGE, (char *)p + (i + 1) * PAGE);
        CHECK_EQ(((CodeFn *)(p + i * PAGE))(i), i + ADDS);
    }
    munmap(p, LEN);
}

static u8 *shared_pages;

/* Is there none? */
static inline int no_userfaultfd(void)
{
    int fd = fault_fd(0);

    if (fd < 0) {
        printf("no userfaultfd here: %s\n", strerror(errno));
        CHECK(errno == EPERM || errno == ENOSYS);
        return 1;
    }
    close(fd);
    return 0;
}

#endif
