/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run patched   (and -m cached: its code comes from a file then)
 *
 * A program that changes its own text: by mprotect and stores, by mapping another file
 * over it, by unmapping and mapping it again.  What runs is what is there.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { PAGE = 4096 };

/* addi a0, a0, N; ret - alone on its pages, and between others. */
__asm__(".text\n.balign 4096\n"
        ".globl text_start\ntext_start:\n"
        ".globl add_one\nadd_one: .option push\n.option norvc\n"
        "addi a0, a0, 1\nret\n.option pop\n"
        ".balign 4096\n"
        ".globl add_ten\nadd_ten: .option push\n.option norvc\n"
        "addi a0, a0, 10\nret\n.option pop\n"
        ".balign 4096\n"
        ".globl text_end\ntext_end:\n");

/* At the end of all text: from one page into the next. */
__asm__(".section last_text,\"ax\",@progbits\n"
        ".option push\n.option norvc\n.balign 4096\n.zero 4092\n"
        ".globl fall_through\nfall_through:\naddi a0, a0, 1\n"
        ".globl next_page\nnext_page:\naddi a0, a0, 2\nret\n"
        ".balign 4096\n.option pop\n.text\n");

extern char text_start[], text_end[], next_page[];
extern u64 fall_through(u64 x);
extern u64 add_one(u64 x), add_ten(u64 x);

static u64 (*volatile one)(u64) = add_one;
static u64 (*volatile ten)(u64) = add_ten;

static u64 many(u64 (*volatile f)(u64), u64 n)
{
    u64 x = 0;

    for (u64 i = 0; i < n; i++)
        x = f(x);
    return x;
}

static u32 addi(u32 n) { return n << 20 | 10 << 15 | 10 << 7 | 0x13; }

static void patch(void *at, u32 insn)
{
    void *page = (void *)((u64)at & ~(u64)(PAGE - 1));

    CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    *(volatile u32 *)at = insn;
    CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_EXEC), 0);
    __builtin___clear_cache((char *)at, (char *)at + 4);
}

static void by_stores(void)
{
    CHECK_EQ(many(one, 5000), 5000);
    patch((void *)one, addi(3));
    CHECK_EQ(many(one, 5000), 15000);
    CHECK_EQ(many(ten, 5000), 50000);
    patch((void *)one, addi(1));
    CHECK_EQ(many(one, 5000), 5000);
}

/* All at once writable and executable; no fence but the one that is asked for. */
static void writable_text(void)
{
    CHECK_EQ(mprotect(text_start, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    for (u32 i = 2; i < 20; i++) {
        *(volatile u32 *)text_start = addi(i);
        __builtin___clear_cache(text_start, text_start + 4);
        CHECK_EQ(many(one, 10), 10 * i);
    }
    *(volatile u32 *)text_start = addi(1);
    CHECK_EQ(mprotect(text_start, PAGE, PROT_READ | PROT_EXEC), 0);
    __builtin___clear_cache(text_start, text_start + 4);
}

static int other_text(u32 n)
{
    char name[] = "/tmp/patched.XXXXXX";
    u32 code[PAGE / 4] = {addi(n), 0x00008067};
    int fd = mkstemp(name);

    CHECK(fd >= 0);
    unlink(name);
    CHECK_EQ(write(fd, code, sizeof code), sizeof code);
    return fd;
}

static void by_maps(void)
{
    int fd = other_text(7);

    CHECK_EQ(many(ten, 5000), 50000);
    CHECK_EQ((u64)mmap((void *)ten, PAGE, PROT_READ | PROT_EXEC,
                       MAP_PRIVATE | MAP_FIXED, fd, 0),
             (u64)ten);
    CHECK_EQ(many(ten, 5000), 35000);
    CHECK_EQ(many(one, 5000), 5000);
    CHECK_EQ(munmap((void *)ten, PAGE), 0);
    close(fd);
    fd = other_text(4);
    CHECK_EQ((u64)mmap((void *)ten, PAGE, PROT_READ | PROT_EXEC,
                       MAP_PRIVATE | MAP_FIXED, fd, 0),
             (u64)ten);
    CHECK_EQ(many(ten, 5000), 20000);
    close(fd);
}

/* What is saved of a mapping ends where that does. */
static void over_the_end(void)
{
    u64 (*volatile through)(u64) = fall_through;

    CHECK_EQ(many(through, 3000), 9000);
    patch(next_page, addi(20));
    CHECK_EQ(many(through, 3000), 63000);
}

/* A child changes what its parent goes on running. */
static void in_child(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        patch((void *)one, addi(100));
        _exit(many(one, 3) == 300 ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(many(one, 5000), 5000);
}

int main(void)
{
    in_child();
    by_stores();
    writable_text();
    by_maps();
    in_child();
    over_the_end();
    return check_done("patched");
}
