/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run seal.  mseal: what it refuses afterwards, and where it is
 * refused itself.  Passes on a kernel of 6.17 or newer, too.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul

enum { MSEAL = 462 };

static long seal(void *p, size_t size, unsigned long flags)
{
    return syscall(MSEAL, p, size, flags);
}

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

/* Its middle page of three is sealed. */
static void check_refusals(void)
{
    const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    char *p = map(3, PROT_READ | PROT_WRITE), *q = p + PAGE, *other = map(3, PROT_READ);

    strcpy(q, "kept");
    CHECK_EQ(seal(q, PAGE, 0), 0);
    CHECK_EQ(seal(q, PAGE, 0), 0); /* again: as it is */
    CHECK_ERR(munmap(q, PAGE), EPERM);
    CHECK_ERR(munmap(p, 3 * PAGE), EPERM);
    CHECK_ERR(mprotect(q, PAGE, PROT_READ), EPERM);
    CHECK_ERR(mmap(q, PAGE, PROT_READ, fixed, -1, 0), EPERM);
    CHECK_ERR(mremap(q, PAGE, 2 * PAGE, 0), EPERM);
    CHECK_ERR(mremap(q, PAGE, PAGE, 0), EPERM);
    CHECK_ERR(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other), EPERM);
    CHECK_ERR(mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q), EPERM);
    CHECK_EQ(strcmp(q, "kept"), 0);
    CHECK_EQ(madvise(q, PAGE, MADV_DONTNEED), 0); /* it may be written anyway */
    CHECK_EQ(q[0], 0);
    strcpy(q, "written");
    CHECK_EQ(strcmp(q, "written"), 0);
    CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0); /* its neighbours are free */
    CHECK_EQ(munmap(p, PAGE), 0);
    CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
}

static void check_advice(void)
{
    char *p = map(1, PROT_READ | PROT_WRITE);

    strcpy(p, "kept");
    CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
    CHECK_EQ(seal(p, PAGE, 0), 0);
    CHECK_ERR(madvise(p, PAGE, MADV_DONTNEED), EPERM);
    CHECK_ERR(madvise(p, PAGE, MADV_FREE), EPERM);
    CHECK_ERR(madvise(p, PAGE, MADV_WIPEONFORK), EPERM);
    CHECK_ERR(madvise(p, PAGE, MADV_DONTFORK), EPERM);
    CHECK_EQ(madvise(p, PAGE, MADV_WILLNEED), 0);
    CHECK_EQ(strcmp(p, "kept"), 0);
    p = map(3, PROT_READ | PROT_WRITE);
    CHECK_EQ(mprotect(p + 2 * PAGE, PAGE, PROT_READ), 0);
    CHECK_EQ(seal(p, PAGE, 0), 0);
    CHECK_EQ(seal(p + 2 * PAGE, PAGE, 0), 0);
    CHECK_EQ(madvise(p, 2 * PAGE, MADV_DONTNEED), 0); /* what follows is not meant */
}

static void check_bad_calls(void)
{
    char *p = map(3, PROT_READ);

    CHECK_EQ(munmap(p + PAGE, PAGE), 0);
    CHECK_ERR(seal(p, 3 * PAGE, 0), ENOMEM);
    CHECK_EQ(munmap(p, PAGE), 0); /* nothing of it was sealed */
    CHECK_ERR(seal(p + 2 * PAGE + 1, PAGE, 0), EINVAL);
    CHECK_ERR(seal(p + 2 * PAGE, PAGE, 1), EINVAL);
    CHECK_ERR(seal(p + 2 * PAGE, -1ul, 0), EINVAL);
    CHECK_ERR(seal(p + 2 * PAGE, -2 * PAGE, 0), EINVAL);
    CHECK_EQ(seal(p + 2 * PAGE, 0, 0), 0);
    CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
}

static void check_heap(void)
{
    char *end = sbrk(0), *p = (char *)(((u64)end + PAGE - 1) & -PAGE);

    CHECK_EQ(brk(p + 2 * PAGE), 0);
    CHECK_EQ(seal(p + PAGE, PAGE, 0), 0);
    CHECK_EQ(brk(p + 3 * PAGE), 0);
    CHECK_EQ(brk(p), 0); /* the kernel leaves it as it is */
    CHECK_EQ((u64)sbrk(0), (u64)(p + 3 * PAGE));
}

static void check_shared(void)
{
    int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
    char *p = map(1, PROT_READ), *q;

    CHECK_EQ(seal(p, PAGE, 0), 0);
    CHECK(id >= 0);
    CHECK_ERR(shmat(id, p, SHM_REMAP), EPERM);
    q = shmat(id, NULL, 0);
    CHECK(q != (char *)-1);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
    CHECK_EQ(shmdt(q), 0);
}

/* Sealed code runs, and what is translated of it is not seen. */
static void check_code(void)
{
    CHECK_EQ(seal((void *)((u64)&check_code & -PAGE), PAGE, 0), 0);
    CHECK_ERR(mprotect((void *)((u64)&check_code & -PAGE), PAGE, PROT_READ), EPERM);
}

static void check_fork(void)
{
    char *p = map(1, PROT_READ);
    pid_t pid;
    int status;

    CHECK_EQ(seal(p, PAGE, 0), 0);
    pid = fork();
    if (pid == 0)
        _exit(munmap(p, PAGE) == -1 && errno == EPERM ? 7 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 7 << 8);
}

int main(void)
{
    check_refusals();
    check_advice();
    check_bad_calls();
    check_heap();
    check_shared();
    check_code();
    check_fork();
    return check_done("seal");
}
