/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run userfault
 *
 * userfaultfd: threads wait for pages that another thread provides, which meanwhile
 * makes and drops code.  Passes on a real kernel, too; where that refuses userfaultfd,
 * it says so and nothing is tested. */
#define _GNU_SOURCE
#include "userfault.h"

/* ---- the handshake, and what is refused ---- */

static void check_handshake(void)
{
    struct uffdio_api a = {.api = 1}, all = {.api = UFFD_API, .features = ~0ull};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

    CHECK_ERR(syscall(SYS_userfaultfd, 0x40), EINVAL);
    CHECK_ERR(ioctl(fd, UFFDIO_API, &a), EINVAL);
    CHECK_EQ(a.api, 0);
    CHECK_ERR(ioctl(fd, UFFDIO_API, &all), EINVAL);
    CHECK_ERR(ioctl(fd, UFFDIO_API, NULL), EFAULT);
    a = (struct uffdio_api){.api = UFFD_API};
    CHECK_EQ(ioctl(fd, UFFDIO_API, &a), 0);
    CHECK_EQ(a.api, UFFD_API);
    CHECK(a.ioctls & 1ull << _UFFDIO_REGISTER);
    CHECK_EQ(close(fd), 0);
    CHECK_ERR(ioctl(fd, UFFDIO_API, &a), EBADF);
    CHECK_ERR(ioctl(0, UFFDIO_API, &a), ENOTTY);
}

/* Ranges that lead nowhere, or out of the guest's memory. */
static void check_ranges(int fd, u8 *p)
{
    const u64 far[] = {1ull << 47, 1ull << 63, ~0ull << 12};
    struct uffdio_copy c = {.dst = (u64)p, .src = (u64)p + PAGE, .len = 0};
    struct uffdio_range none = {0};

    CHECK_ERR(watch(fd, p + 1, PAGE, UFFDIO_REGISTER_MODE_MISSING), EINVAL);
    CHECK_ERR(watch(fd, p, 1, UFFDIO_REGISTER_MODE_MISSING), EINVAL);
    CHECK_ERR(watch(fd, p, PAGE, 0), EINVAL);
    CHECK_ERR(watch(fd, p, 0, UFFDIO_REGISTER_MODE_MISSING), EINVAL);
    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c), EINVAL);
    CHECK_ERR(ioctl(fd, UFFDIO_WAKE, &none), EINVAL);
    for (size_t i = 0; i < COUNT(far); i++) {
        struct uffdio_zeropage z = {.range = {far[i], PAGE}};

        CHECK_ERR(watch(fd, (void *)far[i], PAGE, UFFDIO_REGISTER_MODE_MISSING),
                  EINVAL);
        CHECK_ERR(watch(fd, p, far[i], UFFDIO_REGISTER_MODE_MISSING), EINVAL);
        CHECK_ERR(ioctl(fd, UFFDIO_ZEROPAGE, &z), EINVAL);
        c.src = far[i];
        c.len = PAGE;
        CHECK(ioctl(fd, UFFDIO_COPY, &c) < 0);
    }
}

static void check_refused(void)
{
    u8 *p = fresh(PROT_READ | PROT_WRITE);
    int fd = fault_fd(0);
    struct uffdio_copy c = {.dst = (u64)p, .src = (u64)p + PAGE, .len = PAGE};

    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c), ENOENT);
    check_ranges(fd, p);
    p[PAGE] = 7;
    CHECK_EQ(watch(fd, p, PAGE, UFFDIO_REGISTER_MODE_MISSING), 0);
    CHECK_EQ(ioctl(fd, UFFDIO_COPY, &c), 0);
    CHECK_EQ(c.copy, PAGE);
    CHECK_EQ(p[0], 7);
    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c), EEXIST);
    CHECK_EQ(c.copy, -EEXIST);
    c.dst = (u64)p + PAGE;
    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c), ENOENT);
    CHECK_EQ(munmap(p, LEN), 0);
    CHECK_ERR(watch(fd, p, PAGE, UFFDIO_REGISTER_MODE_MISSING), EINVAL);
    c.dst = (u64)p;
    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c), ENOENT);
    close(fd);
}

/* ---- accesses ---- */

static u64 expected(u64 addr)
{
    u64 word[2] = {pattern(addr & ~7ull), pattern((addr & ~7ull) + 8)}, v;

    memcpy(&v, (u8 *)word + (addr & 7), 8);
    return v;
}

static void check_accesses(void)
{
    u8 *p = serve_begin(PROT_READ | PROT_WRITE, NULL), *q = p;
    volatile double *d;
    u64 v;
    u8 page[PAGE];

    CHECK_EQ(*(volatile u8 *)(q + 5), (u8)expected((u64)q + 5));
    q += PAGE;
    CHECK_EQ(*(volatile u16 *)(q + 6), (u16)expected((u64)q + 6));
    q += PAGE;
    *(volatile u32 *)(q + 4) = 5;
    CHECK_EQ(*(volatile u64 *)q, (pattern((u64)q) & 0xffffffff) | 5ull << 32);
    q += PAGE;
    memcpy(&v, q + PAGE - 3, 8); /* of two pages */
    CHECK_EQ(v, expected((u64)q + PAGE - 3));
    q += 2 * PAGE;
    *(volatile u64 *)(q + PAGE - 4) = 6; /* the same, written */
    CHECK_EQ(*(volatile u32 *)(q + PAGE - 4), 6);
    CHECK_EQ(*(volatile u32 *)(q + PAGE), 0);
    q += 2 * PAGE;
    d = (volatile double *)q;
    *d = *(d + PAGE / 8) * 0 + 1.5;
    CHECK(*d == 1.5 || *d != *d);
    q += 2 * PAGE;
    CHECK_EQ(__atomic_fetch_add((u64 *)q, 3, __ATOMIC_SEQ_CST), pattern((u64)q));
    CHECK_EQ(*(volatile u64 *)q, pattern((u64)q) + 3);
    q += PAGE;
    v = pattern((u64)q);
    CHECK(__atomic_compare_exchange_n((u64 *)q, &v, 8, 0, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST));
    CHECK_EQ(*(volatile u64 *)q, 8);
    q += PAGE;
    CHECK_EQ(__atomic_fetch_or((u32 *)q, 2, __ATOMIC_SEQ_CST), (u32)pattern((u64)q));
    q += PAGE;
    fill_pattern(page, (u64)q);
    CHECK(!memcmp(page, q, PAGE));
    CHECK_EQ(server.seen, 13);
    serve_end(p);
}

/* ---- many that wait, while code is made and dropped ---- */

static void *read_pages(void *arg)
{
    u64 first = (u64)arg;

    for (u64 i = 0; i < PAGES; i++) {
        u64 *p = (u64 *)(shared_pages + (i * 7 + first) % PAGES * PAGE);

        CHECK_EQ(*p, pattern((u64)p));
        CHECK_EQ(__atomic_fetch_add(p + 1 + first, i, __ATOMIC_SEQ_CST),
                 pattern((u64)(p + 1 + first)));
    }
    return NULL;
}

static void check_many(void (*before)(const struct uffd_msg *))
{
    pthread_t thread[THREADS];

    shared_pages = serve_begin(PROT_READ | PROT_WRITE, before);
    for (u64 i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, read_pages, (void *)i);
    for (u64 i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    CHECK(server.seen >= PAGES);
    serve_end(shared_pages);
}

/* Processes that share our memory wait as threads do. */
static int read_beside(void *arg)
{
    for (u64 i = 0; i < PAGES; i++) {
        volatile u64 *p = (u64 *)(shared_pages + i * PAGE);

        if (*p != pattern((u64)p))
            return 1;
    }
    return 3 + (arg != NULL);
}

static void check_beside(int flags)
{
    static u8 stack[1 << 16] __attribute__((aligned(16)));
    int status = -1;
    pid_t pid;

    shared_pages = serve_begin(PROT_READ | PROT_WRITE, new_code);
    pid = clone(read_beside, stack + sizeof stack, flags | SIGCHLD, NULL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 3 << 8);
    CHECK_EQ(server.seen, PAGES);
    serve_end(shared_pages);
}

/* ---- code in pages that are provided ---- */

static _Atomic u32 code_adds;

static void fill_code(u8 *page, u64 addr)
{
    (void)addr;
    make_code(page, code_adds);
}

static void *call_pages(void *arg)
{
    u64 sum = (u64)arg;

    for (u32 i = 0; i < PAGES; i++)
        sum = ((CodeFn *)(shared_pages + i * PAGE))(sum);
    return (void *)sum;
}

static void check_code(void)
{
    pthread_t thread[2];
    void *sum;

    shared_pages = serve_begin(PROT_READ | PROT_WRITE | PROT_EXEC, new_code);
    server.fill = fill_code;
    for (u32 round = 1; round <= 3; round++) {
        code_adds = round;
        for (u64 i = 0; i < COUNT(thread); i++)
            pthread_create(&thread[i], NULL, call_pages, (void *)i);
        for (u64 i = 0; i < COUNT(thread); i++) {
            pthread_join(thread[i], &sum);
            CHECK_EQ(sum, i + PAGES * round);
        }
        CHECK_EQ(madvise(shared_pages, LEN, MADV_DONTNEED), 0);
        __builtin___clear_cache((char *)shared_pages, (char *)shared_pages + LEN);
    }
    serve_end(shared_pages);
}

/* A range that is filled at once has a page of code in its midst. */
static void check_fill_over_code(void)
{
    u8 *p = fresh(PROT_READ | PROT_WRITE | PROT_EXEC), *from = fresh(PROT_READ);
    int fd = fault_fd(0);
    struct uffdio_copy c = {.dst = (u64)p, .src = (u64)from, .len = 3 * PAGE};
    struct uffdio_copy one = {.dst = (u64)p + 4 * PAGE, .src = (u64)p, .len = PAGE};

    make_code(p + PAGE, 3);
    CHECK_EQ(((CodeFn *)(p + PAGE))(1), 4);
    CHECK_EQ(watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
    CHECK_ERR(ioctl(fd, UFFDIO_COPY, &c) ? -1 : 0, EAGAIN); /* as far as the code */
    CHECK_EQ(c.copy, PAGE);
    make_code(p, 5);
    CHECK_EQ(ioctl(fd, UFFDIO_COPY, &one), 0);
    __builtin___clear_cache((char *)p, (char *)p + LEN);
    CHECK_EQ(((CodeFn *)(p + 4 * PAGE))(1), 6);
    CHECK_EQ(((CodeFn *)(p + PAGE))(1), 4);
    close(fd);
    munmap(p, LEN);
    munmap(from, LEN);
}
/* ---- other ways ---- */

static sigjmp_buf *after_bus;
static void *bus_address;
static int bus_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    bus_address = info->si_addr;
    bus_code = info->si_code;
    siglongjmp(*after_bus, 1);
}

/* In place of waiting. */
static void check_sigbus(void)
{
    struct sigaction a = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;
    int fd = fault_fd(UFFD_FEATURE_SIGBUS);
    u8 *p = fresh(PROT_READ | PROT_WRITE);
    sigjmp_buf back;

    CHECK_EQ(watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
    sigaction(SIGBUS, &a, &old);
    after_bus = &back;
    if (!sigsetjmp(back, 1)) {
        p[PAGE] = 1;
        CHECK(!"reached");
    }
    CHECK((u64)bus_address - (u64)(p + PAGE) < PAGE);
    CHECK_ERR(syscall(SYS_getcwd, p, PAGE), EFAULT);
    sigaction(SIGBUS, &old, NULL);
    close(fd);
    munmap(p, LEN);
}

/* Linux 6.6 and 6.8: pages that cannot be read, and pages that move. */
static void check_newer(void)
{
    const u32 poison_page = 0xc020aa08, move_page = 0xc028aa05;
    struct sigaction a = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;
    int fd = fault_fd(1 << 14 | 1 << 16);
    u8 *p = fresh(PROT_READ | PROT_WRITE | PROT_EXEC), *q;
    u64 poison[4] = {(u64)p, PAGE}, move[5] = {(u64)p + PAGE, 0, PAGE};
    sigjmp_buf back;

    if (fd < 0) {
        printf("poisoned and moved pages are not there\n");
        return;
    }
    q = fresh(PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK_EQ(watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
    CHECK_EQ(ioctl(fd, poison_page, poison), 0);
    CHECK_EQ(poison[3], PAGE);
    sigaction(SIGBUS, &a, &old);
    after_bus = &back;
    if (!sigsetjmp(back, 1)) {
        p[8] = 1;
        CHECK(!"reached");
    }
    CHECK((u64)bus_address - (u64)p < PAGE);
    CHECK(bus_code == BUS_MCEERR_AR || bus_code == BUS_ADRERR);
    sigaction(SIGBUS, &old, NULL);
    make_code(q, 3);
    __builtin___clear_cache((char *)q, (char *)q + PAGE);
    CHECK_EQ(((CodeFn *)q)(1), 4);
    move[1] = (u64)q;
    CHECK_EQ(ioctl(fd, move_page, move), 0);
    CHECK_EQ(((CodeFn *)(p + PAGE))(2), 5);
    CHECK_EQ(*(volatile u8 *)q, 0);
    close(fd);
    munmap(p, LEN);
    munmap(q, LEN);
}

static void *write_first(void *arg)
{
    *(volatile u64 *)arg = 5;
    return NULL;
}

/* What waits is a write to a page that is there. */
static void check_protected(void)
{
    int fd = fault_fd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    u8 *p = fresh(PROT_READ | PROT_WRITE | PROT_EXEC);
    struct uffdio_writeprotect w = {{(u64)p, PAGE}, UFFDIO_WRITEPROTECT_MODE_WP};
    struct pollfd wait = {fd, POLLIN, 0};
    struct uffd_msg m = {0};
    pthread_t thread;

    if (fd < 0 || watch(fd, p, LEN, UFFDIO_REGISTER_MODE_WP)) {
        printf("write protection is not there\n");
        close(fd);
        return;
    }
    make_code(p, 2);
    __builtin___clear_cache((char *)p, (char *)p + PAGE);
    CHECK_EQ(((CodeFn *)p)(1), 3); /* protected for our sake, too */
    CHECK_EQ(ioctl(fd, UFFDIO_WRITEPROTECT, &w), 0);
    CHECK_EQ(pthread_create(&thread, NULL, write_first, p + PAGE - 8), 0);
    CHECK_EQ(poll(&wait, 1, -1), 1);
    CHECK_EQ(read(fd, &m, sizeof m), sizeof m);
    CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
    CHECK(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
    CHECK_EQ(m.arg.pagefault.address & ~(u64)(PAGE - 1), p);
    new_code(NULL);
    CHECK_EQ(((CodeFn *)p)(1), 3);
    CHECK_EQ(*(volatile u64 *)(p + PAGE - 8), 0);
    w.mode = 0;
    CHECK_EQ(ioctl(fd, UFFDIO_WRITEPROTECT, &w), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(*(volatile u64 *)(p + PAGE - 8), 5);
    close(fd);
    munmap(p, LEN);
}

static void *read_twice(void *arg)
{
    u32 tid = (u32)syscall(SYS_gettid);

    CHECK_EQ(*(volatile u8 *)arg, 0);
    CHECK_EQ(*((volatile u8 *)arg + PAGE), 9);
    return (void *)(u64)tid;
}

/* Zero pages, pages of a file that are there already, and who faulted. */
static void check_shared(void)
{
    int fd = fault_fd(UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MINOR_SHMEM);
    int file = (int)syscall(SYS_memfd_create, "pages", 0);
    u8 *p, *q;
    struct pollfd wait = {fd, POLLIN, 0};
    struct uffdio_zeropage z = {0};
    struct uffdio_continue c = {0};
    struct uffd_msg m[2] = {0};
    pthread_t thread;
    void *tid;

    if (fd < 0) {
        printf("minor faults are not there\n");
        close(file);
        return;
    }
    CHECK_EQ(ftruncate(file, LEN), 0);
    p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    q = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    q[PAGE] = 9;
    CHECK_EQ(
        watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR),
        0);
    CHECK_EQ(pthread_create(&thread, NULL, read_twice, p), 0);
    CHECK_EQ(poll(&wait, 1, -1), 1);
    CHECK_EQ(read(fd, &m[0], sizeof m[0]), sizeof m[0]);
    z.range = (struct uffdio_range){(u64)p, PAGE};
    CHECK_EQ(ioctl(fd, UFFDIO_ZEROPAGE, &z), 0);
    CHECK_EQ(poll(&wait, 1, -1), 1);
    CHECK_EQ(read(fd, &m[1], sizeof m[1]), sizeof m[1]);
    CHECK(m[1].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR);
    c.range = (struct uffdio_range){(u64)p + PAGE, PAGE};
    CHECK_EQ(ioctl(fd, UFFDIO_CONTINUE, &c), 0);
    CHECK_EQ(c.mapped, PAGE);
    pthread_join(thread, &tid);
    CHECK_EQ(m[0].arg.pagefault.feat.ptid, (u64)tid);
    close(fd);
    close(file);
    munmap(p, LEN);
    munmap(q, LEN);
}

static void *drop_two(void *arg)
{
    CHECK_EQ(madvise(arg, 2 * PAGE, MADV_DONTNEED), 0);
    return NULL;
}

/* Who drops pages waits until that is known. */
static void check_removed(void)
{
    int fd = fault_fd(UFFD_FEATURE_EVENT_REMOVE);
    u8 *p = fresh(PROT_READ | PROT_WRITE | PROT_EXEC);
    struct pollfd wait = {fd, POLLIN, 0};
    struct uffd_msg m = {0};
    pthread_t thread;

    make_code(p, 2);
    __builtin___clear_cache((char *)p, (char *)p + PAGE);
    CHECK_EQ(((CodeFn *)p)(1), 3);
    CHECK_EQ(watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING), 0);
    CHECK_EQ(pthread_create(&thread, NULL, drop_two, p), 0);
    CHECK_EQ(poll(&wait, 1, -1), 1);
    new_code(NULL);
    CHECK_EQ(read(fd, &m, sizeof m), sizeof m);
    CHECK_EQ(m.event, UFFD_EVENT_REMOVE);
    CHECK_EQ(m.arg.remove.start, p);
    CHECK_EQ(m.arg.remove.end, p + 2 * PAGE);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(fd);
    munmap(p, LEN);
}

/* The other way to a descriptor. */
static void check_device(void)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    struct uffdio_api a = {.api = UFFD_API};
    int fd;

    if (device < 0)
        return;
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(ioctl(fd, UFFDIO_API, &a), 0);
    CHECK_ERR(ioctl(device, USERFAULTFD_IOC_NEW, 0x40), EINVAL);
    close(fd);
    close(device);
}
int main(void)
{
    if (no_userfaultfd())
        return check_done("userfault");
    check_handshake();
    check_refused();
    check_accesses();
    check_many(NULL);
    check_many(new_code);
    check_beside(CLONE_VM);
    check_beside(CLONE_VM | CLONE_VFORK);
    check_code();
    check_fill_over_code();
    check_sigbus();
    check_newer();
    check_protected();
    check_shared();
    check_removed();
    check_device();
    return check_done("userfault");
}
