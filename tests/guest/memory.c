/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run memory
 *
 * mmap, munmap, mprotect, mremap, brk, madvise, mincore: what is where, what faults,
 * what the errors are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf escape;

static void on_fault(int sig) { siglongjmp(escape, sig); }

/* The signal that reading (writing) this address raises; 0: none. */
static int reads(volatile char *p)
{
    int sig = sigsetjmp(escape, 1);

    if (!sig)
        (void)*p;
    return sig;
}

static int writes(volatile char *p)
{
    int sig = sigsetjmp(escape, 1);

    if (!sig)
        *p = 1;
    return sig;
}

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, ANON, -1, 0);

    CHECK(p != MAP_FAILED);
    CHECK_EQ((u64)p % PAGE, 0);
    return p;
}

static void check_basics(void)
{
    char *p = map(4, RW);

    for (size_t i = 0; i < 4 * PAGE; i++)
        if (p[i])
            CHECK_EQ(p[i], 0);
    memset(p, 7, 4 * PAGE);
    CHECK_EQ(munmap(p + PAGE, PAGE), 0);
    CHECK_EQ(reads(p + PAGE), SIGSEGV);
    CHECK_EQ(reads(p + 2 * PAGE - 1), SIGSEGV);
    CHECK_EQ(reads(p + PAGE - 1), 0);
    CHECK_EQ(reads(p + 2 * PAGE), 0);
    CHECK(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
    CHECK_EQ(p[PAGE], 0);
    CHECK_EQ(p[PAGE - 1], 7);
    CHECK_EQ(munmap(p, 4 * PAGE), 0);
    CHECK_EQ(munmap(p, 4 * PAGE), 0);
}

static void check_protection(void)
{
    char *p = map(3, RW);

    CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_READ), 0);
    CHECK_EQ(writes(p + PAGE), SIGSEGV);
    CHECK_EQ(reads(p + PAGE), 0);
    CHECK_EQ(writes(p + PAGE - 1), 0);
    CHECK_EQ(writes(p + 2 * PAGE), 0);
    CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_NONE), 0);
    CHECK_EQ(reads(p + PAGE), SIGSEGV);
    CHECK_EQ(mprotect(p, 3 * PAGE, RW), 0);
    CHECK_EQ(writes(p + PAGE), 0);
    CHECK_ERR(mprotect(p + 1, PAGE, RW), EINVAL);
    munmap(p, 3 * PAGE);
    CHECK_ERR(mprotect(p, PAGE, RW), ENOMEM);
}

static void check_where(void)
{
    char *p = map(8, PROT_NONE), *q;
    int fd;

    munmap(p, 8 * PAGE);
    q = mmap(p, PAGE, RW, ANON, -1, 0);
    CHECK_EQ(q, p); /* a free hint is taken */
    CHECK_ERR(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    q = mmap(p, PAGE, RW, ANON, -1, 0);
    CHECK(q != p && q != MAP_FAILED);
    munmap(p, PAGE);
    munmap(q, PAGE);
    CHECK_ERR(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0), EBADF);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, 0, 1), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, 1ul << 62, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(mmap((void *)(1ul << 62), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(mmap((void *)-PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(munmap((void *)-PAGE, PAGE), EINVAL);
    CHECK_ERR(munmap(p, -PAGE), EINVAL);
    fd = open("/proc/self/exe", O_RDONLY);
    q = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
    CHECK(q == NULL || q == MAP_FAILED); /* there or nowhere */
    close(fd);
    q = mmap((void *)-PAGE, PAGE, RW, ANON, -1, 0);
    CHECK(q != MAP_FAILED);
    munmap(q, PAGE);
}

static void check_file(void)
{
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *shared, *private, c;

    CHECK_EQ(ftruncate(fd, 2 * PAGE + 100), 0);
    CHECK_EQ(pwrite(fd, "abc", 3, PAGE), 3);
    shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, PAGE);
    private = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, PAGE);
    CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    CHECK(!memcmp(shared, "abc", 3) && !memcmp(private, "abc", 3));
    shared[0] = 'X';
    private[1] = 'Y';
    CHECK_EQ(msync(shared, PAGE, MS_SYNC), 0);
    CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
    CHECK_EQ(c, 'X');
    CHECK_EQ(pread(fd, &c, 1, PAGE + 1), 1);
    CHECK_EQ(c, 'b');
    CHECK_EQ(shared[PAGE + 200], 0);
    munmap(shared, 2 * PAGE);
    munmap(private, 2 * PAGE);
    private = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK_EQ(reads(private + 2 * PAGE), 0);
    CHECK_EQ(reads(private + 3 * PAGE), SIGBUS);
    munmap(private, 4 * PAGE);
    private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
    CHECK_EQ(writes(private + 2 * PAGE), 0);
    for (int i = 0; i < 2; i++) { /* neither leaves the other's signal blocked */
        CHECK_EQ(writes(private + 3 * PAGE), SIGBUS);
        CHECK_EQ(writes((char *)16), SIGSEGV);
    }
    munmap(private, 4 * PAGE);
    close(fd);
    fd = open("mapped", O_RDONLY);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
    close(fd);
    unlink("mapped");
}

static void check_remap(void)
{
    char *p = map(4, RW), *q;

    memset(p, 5, 4 * PAGE);
    CHECK_EQ(mremap(p, 4 * PAGE, 2 * PAGE, 0), p);
    CHECK_EQ(reads(p + 2 * PAGE), SIGSEGV);
    q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED);
    CHECK_EQ(q[2 * PAGE - 1], 5);
    CHECK_EQ(q[2 * PAGE], 0);
    q[64 * PAGE - 1] = 9;
    if (q != p)
        CHECK_EQ(reads(p), SIGSEGV);
    p = map(64, PROT_NONE);
    CHECK_EQ(mremap(q, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
    CHECK_EQ(p[64 * PAGE - 1], 9);
    CHECK_EQ(reads(q), SIGSEGV);
    CHECK_ERR(mremap(p + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERR(mremap(p, PAGE, 0, 0), EINVAL);
    CHECK_ERR(mremap(p, 64 * PAGE, PAGE, MREMAP_FIXED, p), EINVAL);
    munmap(p, 64 * PAGE);
    CHECK_ERR(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

static void check_brk(void)
{
    char *start = sbrk(0), *p = sbrk(10 * PAGE);

    CHECK_EQ(p, start);
    memset(p, 3, 10 * PAGE);
    CHECK_EQ(sbrk(-9 * (long)PAGE), start + 10 * PAGE);
    CHECK_EQ(p[PAGE - 1], 3);
    CHECK_EQ(sbrk(9 * PAGE), start + PAGE);
    CHECK_EQ(p[2 * PAGE], 0); /* given back, and fresh again */
    CHECK_EQ(sbrk(-10 * (long)PAGE), start + 10 * PAGE);
    CHECK_ERR(sbrk(1l << 60), ENOMEM);
    CHECK_EQ(sbrk(0), start);
}

static void check_advice(void)
{
    char *p = map(3, RW);
    unsigned char there[3];

    memset(p, 8, 3 * PAGE);
    CHECK_EQ(mincore(p, 3 * PAGE, there), 0);
    CHECK_EQ(there[0] & 1, 1);
    CHECK_EQ(madvise(p + PAGE, PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(p[PAGE], 0);
    CHECK_EQ(p[0], 8);
    CHECK_EQ(p[2 * PAGE], 8);
    CHECK_EQ(mlock(p, PAGE), 0);
    CHECK_EQ(munlock(p, PAGE), 0);
    munmap(p, 3 * PAGE);
    CHECK_ERR(madvise(p, PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_ERR(mincore(p, PAGE, there), ENOMEM);
}

static void check_shm(void)
{
    int id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
    char *a, *b;

    CHECK(id >= 0);
    a = shmat(id, NULL, 0);
    b = shmat(id, NULL, SHM_RDONLY);
    CHECK(a != (char *)-1 && b != (char *)-1 && a != b);
    a[100] = 42;
    CHECK_EQ(b[100], 42);
    CHECK_EQ(writes(b), SIGSEGV);
    CHECK_EQ(shmdt(a), 0);
    CHECK_EQ(reads(a), SIGSEGV);
    CHECK_EQ(shmdt(b), 0);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

/* Many mappings, some freed: they must neither overlap nor run out. */
static void check_many(void)
{
    enum { N = 400 };
    static char *at[N];
    u64 state = 12345;
    int wrong = 0;

    for (int round = 0; round < 4000; round++) {
        int i = (int)(random_next(&state) % N);
        size_t pages = 1 + (size_t)i % 7;

        if (at[i]) {
            wrong += *(int *)at[i] != i || *(int *)(at[i] + pages * PAGE - 4) != i;
            munmap(at[i], pages * PAGE);
            at[i] = NULL;
        } else {
            at[i] = map(pages, RW);
            *(int *)at[i] = *(int *)(at[i] + pages * PAGE - 4) = i;
        }
    }
    CHECK_EQ(wrong, 0);
}

/* An access across two pages, the second missing, leaves the first alone. */
static void check_across(void)
{
    char *p = map(2, RW);
    u64 *at = (u64 *)(p + PAGE - 4);

    mprotect(p + PAGE, PAGE, PROT_NONE);
    if (!sigsetjmp(escape, 1))
        *(volatile u64 *)at = ~0ull;
    CHECK_EQ(*(u32 *)at, 0);
    munmap(p, 2 * PAGE);
}

/* The pages of a shared map in another order; code on them, too. */
static void check_remap_pages(void)
{
    int fd = memfd_create("pages", 0);
    u32 *p, code[2] = {0x00100513, 0x8067}; /* li a0, 1; ret */

    CHECK_EQ(ftruncate(fd, 3 * PAGE), 0);
    for (u32 i = 0; i < 3; i++, code[0] += 1 << 20)
        CHECK_EQ(pwrite(fd, code, sizeof code, i * PAGE), sizeof code);
    p = mmap(NULL, 3 * PAGE, RW | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
#ifdef __riscv
    CHECK_EQ(((int (*)(void))p)(), 1);
#endif
    CHECK_EQ(remap_file_pages(p, 2 * PAGE, 0, 1, 0), 0);
    CHECK_EQ(p[0], 0x00200513);
    CHECK_EQ(p[PAGE / 4], 0x00300513);
    CHECK_EQ(p[2 * PAGE / 4], 0x00300513);
#ifdef __riscv
    CHECK_EQ(((int (*)(void))p)(), 2);
#endif
    p[0] = code[0];
    CHECK_EQ(pread(fd, code, 4, PAGE), 4);
    CHECK_EQ(code[0], p[0]);
    CHECK_ERR(remap_file_pages(p, PAGE, PROT_READ, 0, 0), EINVAL);
    CHECK_ERR(remap_file_pages(p, 0, 0, 0, 0), EINVAL);
    munmap(p, 3 * PAGE);
    CHECK_ERR(remap_file_pages(p, PAGE, 0, 0, 0), EINVAL);
    p = (u32 *)map(1, RW);
    CHECK_ERR(remap_file_pages(p, PAGE, 0, 0, 0), EINVAL);
    munmap(p, PAGE);
    close(fd);
}

/* Code in memory that advice empties is not run again. */
static void check_code_dropped(void)
{
#ifdef __riscv
    const int advice[] = {MADV_DONTNEED, 24 /* MADV_DONTNEED_LOCKED */};
    const u32 code[] = {0x00100513, 0x00008067}; /* li a0, 1; ret */

    signal(SIGILL, on_fault);
    for (size_t i = 0; i < COUNT(advice); i++) {
        char *p = map(1, RW | PROT_EXEC);
        int sig;

        memcpy(p, code, sizeof code);
        __builtin___clear_cache(p, p + sizeof code);
        CHECK_EQ(((int (*)(void))p)(), 1);
        CHECK_EQ(madvise(p, PAGE, advice[i]), 0);
        sig = sigsetjmp(escape, 1);
        if (!sig)
            ((void (*)(void))p)();
        CHECK_EQ(sig, SIGILL);
        munmap(p, PAGE);
    }
#endif
}

/* More than a board's address space, though what is small stays within that. */
static void check_large(void)
{
    const size_t size = 1ul << 39;
    char *p = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0), *q = map(1, RW);

    CHECK(p != MAP_FAILED);
    CHECK_EQ(mprotect(p + size / 2, PAGE, RW), 0);
    p[size / 2] = 1;
#ifdef __riscv
    CHECK((u64)p >= 1ul << 38);
    CHECK((u64)q < 1ul << 38 && (u64)&p < 1ul << 38 && (u64)check_large < 1ul << 38);
#endif
    CHECK_EQ(munmap(p, size), 0);
    munmap(q, PAGE);
}

int main(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    check_basics();
    check_protection();
    check_where();
    check_file();
    check_remap();
    check_brk();
    check_advice();
    check_shm();
    check_many();
    check_across();
    check_remap_pages();
    check_code_dropped();
    check_large();
    return check_done("memory");
}
