/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run newer
 *
 * System calls younger than most C libraries, and those by which one number serves many
 * operations (keys, memory policies).  What the host's kernel is too old for, or built
 * without, is left out; an address that is not the guest's is EFAULT everywhere. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

enum { /* the headers may lack them */
       NR_futex_wake = 454,
       NR_futex_wait,
       NR_futex_requeue,
       NR_statmount,
       NR_listmount,
       NR_lsm_list_modules = 461,
       NR_setxattrat = 463,
       NR_getxattrat,
       NR_listxattrat,
       NR_removexattrat,
       NR_open_tree_attr,
       NR_file_getattr,
};

#define BAD ((void *)0x10)

/* Has the host's kernel the call that came with this version? */
static int kernel(int major, int minor)
{
    struct utsname u;
    int have_major = 0, have_minor = 0;

    uname(&u);
    sscanf(u.release, "%d.%d", &have_major, &have_minor);
    return have_major > major || (have_major == major && have_minor >= minor);
}

/* ---- futexes ---- */

enum { FUTEX2_32 = 2, FUTEX2_PRIV = 128 };

static u32 word, other, woken;

static void *waiter(void *arg)
{
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
        syscall(NR_futex_wait, &word, 0ul, 0xfffffffful, FUTEX2_32 | FUTEX2_PRIV, NULL,
                0);
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return arg;
}

static void test_futex(void)
{
    struct {
        u64 value, addr;
        u32 flags, pad;
    } pair[2] = {{1, (u64)&word, FUTEX2_32, 0}, {0, (u64)&other, FUTEX2_32, 0}};
    struct timespec soon = {0, 1000};
    pthread_t thread;

    CHECK_ERR(syscall(NR_futex_wait, BAD, 0, 0xfffffffful, FUTEX2_32, NULL, 0), EFAULT);
    CHECK_ERR(syscall(NR_futex_wait, &word, 1, 0xfffffffful, FUTEX2_32, NULL, 0),
              EAGAIN);
    CHECK_ERR(syscall(NR_futex_wait, &word, 0, 0xfffffffful, FUTEX2_32, &soon,
                      CLOCK_MONOTONIC),
              ETIMEDOUT);
    CHECK_ERR(
        syscall(NR_futex_wait, &word, 0, 0xfffffffful, FUTEX2_32, BAD, CLOCK_MONOTONIC),
        EFAULT);
    pthread_create(&thread, NULL, waiter, NULL);
    usleep(20000);
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    syscall(NR_futex_wake, &word, 0xfffffffful, 1, FUTEX2_32 | FUTEX2_PRIV);
    pthread_join(thread, NULL);
    CHECK_EQ(woken, 1);
    CHECK_EQ(syscall(NR_futex_requeue, pair, 0, 1, 1), 0);
    pair[0].value = 7;
    CHECK_ERR(syscall(NR_futex_requeue, pair, 0, 1, 1), EAGAIN);
    CHECK_ERR(syscall(NR_futex_requeue, BAD, 0, 1, 1), EFAULT);
}

/* ---- mounts and modules ---- */

static void test_mounts(void)
{
    struct {
        u32 size, pad;
        u64 id, param;
    } ask = {sizeof ask, 0, 0, 1 /* STATMOUNT_SB_BASIC */};
    u64 ids[64], buf[128] = {0};
    struct statx s;

    if (!kernel(6, 8))
        return;
    CHECK_EQ(syscall(SYS_statx, AT_FDCWD, "/", 0, 0x4000 /* unique id */, &s), 0);
    memcpy(&ask.id, (char *)&s + 0x90, sizeof ask.id);
    CHECK_EQ(syscall(NR_statmount, &ask, buf, sizeof buf, 0), 0);
    CHECK(buf[1] & 1);
    CHECK_ERR(syscall(NR_statmount, &ask, BAD, sizeof buf, 0), EFAULT);
    CHECK_ERR(syscall(NR_statmount, BAD, buf, sizeof buf, 0), EFAULT);
    ask.id = ~0ul; /* of the root */
    ask.param = 0;
    CHECK((long)syscall(NR_listmount, &ask, ids, COUNT(ids), 0) > 0);
    CHECK_ERR(syscall(NR_listmount, &ask, BAD, COUNT(ids), 0), EFAULT);
}

static void test_modules(void)
{
    u64 ids[32];
    u32 size = sizeof ids;
    long n;

    if (!kernel(6, 8))
        return;
    n = syscall(NR_lsm_list_modules, ids, &size, 0);
    if (n < 0 && errno == ENOSYS) /* a kernel without them */
        return;
    CHECK(n >= 0);
    CHECK_EQ(size, n * 8);
    CHECK_ERR(syscall(NR_lsm_list_modules, ids, BAD, 0), EFAULT);
    CHECK_ERR(syscall(NR_lsm_list_modules, BAD, &size, 0), EFAULT);
}

/* ---- attributes ---- */

static void test_xattr(int file, const char *name)
{
    struct {
        u64 value;
        u32 size, flags;
    } set = {(u64) "hello", 5, 0}, get;
    char value[16] = "", list[64];

    if (!kernel(6, 13) || (fsetxattr(file, "user.try", "x", 1, 0) && errno == ENOTSUP))
        return;
    get = set;
    get.value = (u64)value;
    get.size = sizeof value;
    CHECK_EQ(syscall(NR_setxattrat, AT_FDCWD, name, 0, "user.a", &set, sizeof set), 0);
    CHECK_EQ(syscall(NR_getxattrat, AT_FDCWD, name, 0, "user.a", &get, sizeof get), 5);
    CHECK(!strcmp(value, "hello"));
    CHECK(syscall(NR_listxattrat, AT_FDCWD, name, 0, list, sizeof list) >= 7);
    CHECK_EQ(syscall(NR_removexattrat, AT_FDCWD, name, 0, "user.a"), 0);
    CHECK_ERR(syscall(NR_getxattrat, AT_FDCWD, name, 0, "user.a", &get, sizeof get),
              ENODATA);
    get.value = set.value = (u64)BAD;
    CHECK_ERR(syscall(NR_setxattrat, AT_FDCWD, name, 0, "user.a", &set, sizeof set),
              EFAULT);
    CHECK_ERR(syscall(NR_getxattrat, AT_FDCWD, name, 0, "user.try", &get, sizeof get),
              EFAULT);
    CHECK_ERR(syscall(NR_setxattrat, AT_FDCWD, name, 0, "user.a", BAD, sizeof set),
              EFAULT);
    CHECK_ERR(syscall(NR_setxattrat, AT_FDCWD, name, 0, "user.a", &set, 1), EINVAL);
}

static void test_attributes(void)
{
    char name[] = "newer.file";
    u64 attr[8] = {0};
    int file = open(name, O_CREAT | O_RDWR, 0600);

    CHECK(file >= 0);
    test_xattr(file, name);
    if (kernel(6, 17) && (syscall(NR_file_getattr, AT_FDCWD, name, attr, 24, 0) == 0 ||
                          errno != EOPNOTSUPP)) {
        CHECK_EQ(syscall(NR_file_getattr, AT_FDCWD, name, attr, 24, 0), 0);
        CHECK_ERR(syscall(NR_file_getattr, AT_FDCWD, name, BAD, 24, 0), EFAULT);
    }
    close(file);
    unlink(name);
}

/* ---- memory policies ---- */

static void test_policies(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    int mode = -1, status[2] = {-1, -1}, node0 = 0;
    u64 nodes = 1, set[16] = {0};
    void *pages[2] = {p, p + page};

    p[0] = p[page] = 1;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) && errno == ENOSYS)
        return; /* a kernel without NUMA */
    CHECK_EQ(mode, 0);
    CHECK_EQ(syscall(SYS_mbind, p, page, 2 /* MPOL_BIND */, &nodes, 64, 0), 0);
    CHECK_EQ(syscall(SYS_get_mempolicy, &mode, set, 1024, p, 2 /* of p */), 0);
    CHECK_EQ(mode, 2);
    CHECK_EQ(set[0], 1);
    CHECK_EQ(syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0), 0);
    CHECK_EQ(status[0], 0);
    CHECK_EQ(syscall(SYS_move_pages, 0, 1, pages, &node0, status, 2 /* MF_MOVE */), 0);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, BAD, NULL, status, 0), EFAULT);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, NULL, BAD, 0), EFAULT);
    munmap(p + page, page);
    CHECK_ERR(syscall(SYS_mbind, p, 2 * page, 2, &nodes, 64, 0), EFAULT);
    CHECK_ERR(syscall(SYS_mbind, p, page, 2, BAD, 64, 0), EFAULT);
    CHECK_ERR(syscall(SYS_get_mempolicy, BAD, NULL, 0, NULL, 0), EFAULT);
    munmap(p, page);
}

/* ---- keys and events ---- */

static void test_keys(void)
{
    char text[64] = "";
    long id = syscall(SYS_add_key, "user", "newer", "secret", 6, -2 /* process's */);

    if (id < 0) /* no keys in this kernel, or none for us */
        return;
    CHECK_EQ(syscall(SYS_keyctl, KEYCTL_READ, id, text, sizeof text), 6);
    CHECK(!memcmp(text, "secret", 6));
    CHECK_EQ(syscall(SYS_keyctl, KEYCTL_UPDATE, id, "other", 5), 0);
    CHECK_EQ(syscall(SYS_keyctl, KEYCTL_READ, id, text, sizeof text), 5);
    CHECK(syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, text, sizeof text) > 5);
    CHECK(strstr(text, ";newer"));
    CHECK_EQ(syscall(SYS_keyctl, KEYCTL_SEARCH, -2, "user", "newer", 0), id);
    CHECK_ERR(syscall(SYS_keyctl, KEYCTL_SEARCH, -2, "user", BAD, 0), EFAULT);
    CHECK_ERR(syscall(SYS_keyctl, KEYCTL_READ, id, BAD, 6), EFAULT);
    CHECK_ERR(syscall(SYS_keyctl, KEYCTL_UPDATE, id, BAD, 6), EFAULT);
    CHECK_ERR(syscall(SYS_keyctl, 12345, 0, 0, 0), EOPNOTSUPP);
    CHECK_EQ(syscall(SYS_keyctl, KEYCTL_REVOKE, id), 0);
}

static void test_events(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof attr,
                                   .config = PERF_COUNT_SW_TASK_CLOCK};
    u64 count = 0;
    long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

    if (fd >= 0) { /* else the host does not allow it */
        for (volatile int i = 0; i < 100000; i++)
            ;
        CHECK_EQ(read((int)fd, &count, sizeof count), sizeof count);
        CHECK(count > 0);
        close((int)fd);
    }
    CHECK(fd >= 0 || errno != ENOSYS);
    attr.type = PERF_TYPE_BREAKPOINT;
    CHECK_ERR(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_perf_event_open, BAD, 0, -1, -1, 0), EFAULT);
}

static void test_process_madvise(void)
{
    u8 *p =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec v = {p, 8192};
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    p[0] = 1;
    CHECK_EQ(syscall(SYS_process_madvise, fd, &v, 1, MADV_COLD, 0), 8192);
    CHECK_EQ(p[0], 1);
    CHECK_ERR(syscall(SYS_process_madvise, fd, &v, 1, MADV_COLD, 1), EINVAL);
    CHECK_ERR(syscall(SYS_process_madvise, fd, &v, 1, 12345, 0), EINVAL);
    CHECK_ERR(syscall(SYS_process_madvise, fd, BAD, 1, MADV_COLD, 0), EFAULT);
    CHECK_ERR(syscall(SYS_process_madvise, -1, &v, 1, MADV_COLD, 0), EBADF);
    munmap(p, 8192);
    close(fd);
}

static long clone_3(struct clone_args *a)
{
    long pid = syscall(SYS_clone3, a, sizeof *a);

    if (pid == 0)
        _exit(getpid() % 100);
    return pid;
}

/* A child with a number of our choice, where we may choose it. */
static void test_set_tid(void)
{
    pid_t tid = 300 + getpid() / 2; /* below pid_max, where numbers start anew */
    struct clone_args a = {
        .exit_signal = SIGCHLD, .set_tid = (u64)&tid, .set_tid_size = 1};
    long pid = clone_3(&a);
    int status = -1;

    if (pid < 0) {
        CHECK(errno == EPERM || errno == EEXIST);
    } else {
        CHECK_EQ(pid, tid);
        CHECK_EQ(waitpid((pid_t)pid, &status, 0), pid);
        CHECK_EQ(status, tid % 100 << 8);
    }
    a.set_tid = 0;
    CHECK_EQ(clone_3(&a), -1);
    CHECK_EQ(errno, EINVAL);
    a.set_tid = (u64)BAD;
    CHECK_EQ(clone_3(&a), -1);
    CHECK_EQ(errno, EFAULT);
    a = (struct clone_args){
        .exit_signal = SIGCHLD, .flags = CLONE_INTO_CGROUP, .cgroup = 1000};
    CHECK_EQ(clone_3(&a), -1);
    CHECK_EQ(errno, EBADF);
}

int main(void)
{
    if (kernel(6, 7))
        test_futex();
    test_mounts();
    test_modules();
    test_attributes();
    test_policies();
    test_keys();
    test_events();
    test_process_madvise();
    test_set_tid();
    return check_done("newer");
}
