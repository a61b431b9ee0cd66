/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run smc
 *
 * Code that changes: written, patched often, patched by the host, by another thread,
 * by itself, beside data, behind another mapping, unmapped and mapped again.
 * (qemu-riscv64 7.2 does not notice writes through the other mapping.) */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096
#define RWX  (PROT_READ | PROT_WRITE | PROT_EXEC)

enum { RET = 0x00008067 };

typedef int Code(void);

static u32 li_a0(int value) { return (u32)value << 20 | 10 << 7 | 0x13; }
static void fence_i(void) { __asm__ volatile("fence.i" ::: "memory"); }

static void flush(void *start, size_t len)
{
    CHECK_EQ(syscall(259, start, (char *)start + len, 0), 0);
}

static u32 *map_code(size_t pages)
{
    void *p = mmap(NULL, pages * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

static void put(u32 *at, int value)
{
    at[0] = li_a0(value);
    at[1] = RET;
}

static int call(void *at) { return ((Code *)at)(); }

static void check_fence(void)
{
    u32 *code = map_code(1);

    for (int i = 0; i < 200; i++) {
        put(code, i);
        fence_i();
        CHECK_EQ(call(code), i);
    }
    for (int i = 0; i < 200; i++) {
        put(code, i);
        flush(code, 8);
        CHECK_EQ(call(code), i);
    }
    munmap(code, PAGE);
}

/* A page that is written again and again while it runs, in several functions. */
static void check_hot_page(void)
{
    u32 *code = map_code(1);
    int wrong = 0;

    for (int f = 0; f < 8; f++)
        put(code + 32 * f, f);
    for (int i = 0; i < 20000; i++) {
        u32 *at = code + 32 * (i & 7);

        put(at, i & 2047);
        fence_i();
        wrong += call(at) != (i & 2047);
        wrong += call(code + 32 * (i >> 3 & 7)) > 2047;
    }
    CHECK_EQ(wrong, 0);
    munmap(code, PAGE);
}

/* li a0,1; sw a1,12(a2); fence.i; li a0,2 (changed by the store); ret.  Without the
 * fence, the old or the new instruction may run. */
static void check_own_block(void)
{
    static const u32 text[] = {0x00100513, 0x00b62623, 0x0000100f, 0x00200513, RET};
    u32 *code = map_code(1);
    int (*run)(u64 zero, u64 insn, u32 * at) = (void *)code;

    memcpy(code, text, sizeof(text));
    fence_i();
    CHECK_EQ(run(0, li_a0(2), code), 2);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(run(0, li_a0(i), code), i);
    code[2] = 0x00000013;
    fence_i();
    for (int i = 100; i < 200; i++) {
        int r = run(0, li_a0(i), code);

        CHECK(r == i || r == i - 1);
        fence_i();
        CHECK_EQ(code[3], li_a0(i));
    }
    munmap(code, PAGE);
}

/* Counter in the page of the loop that counts:
 * 1: ld t0,64(a0); addi t0,t0,1; sd t0,64(a0); addi a1,a1,-1; bnez a1,1b; ret */
static void check_data_beside(void)
{
    static const u32 loop[] = {0x04053283, 0x00128293, 0x04553023,
                               0xfff58593, 0xfe0598e3, RET};
    u32 *code = map_code(1);
    void (*run)(u32 * base, u64 n) = (void *)code;

    memcpy(code, loop, sizeof(loop));
    fence_i();
    run(code, 100000);
    CHECK_EQ(*(u64 *)(code + 16), 100000);
    for (int i = 0; i < 1000; i++)
        run(code, 2);
    CHECK_EQ(*(u64 *)(code + 16), 102000);
    munmap(code, PAGE);
}

static void check_protect(void)
{
    u32 *code = map_code(1);

    for (int i = 0; i < 500; i++) {
        CHECK_EQ(mprotect(code, PAGE, PROT_READ | PROT_WRITE), 0);
        put(code, i);
        CHECK_EQ(mprotect(code, PAGE, PROT_READ | PROT_EXEC), 0);
        flush(code, 8);
        CHECK_EQ(call(code), i);
    }
    munmap(code, PAGE);
}

/* One page of memory, written in one place and run in another. */
static void check_two_views(void)
{
    int fd = memfd_create("code", 0);
    u32 *write_view, *run_view;

    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, PAGE), 0);
    write_view = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    run_view = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(write_view != MAP_FAILED && run_view != MAP_FAILED);
    for (int i = 0; i < 300; i++) {
        put(write_view, i);
        flush(run_view, 8);
        CHECK_EQ(call(run_view), i);
    }
    put(write_view, 1234);
    fence_i();
    CHECK_EQ(call(run_view), 1234);
    munmap(write_view, PAGE);
    munmap(run_view, PAGE);
    close(fd);
}

/* A file's code, mapped privately, then changed in the file by write(2). */
static void check_host_writes(void)
{
    u32 *code = map_code(1), text[2];
    int ends[2];

    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < 100; i++) {
        put(text, i);
        CHECK_EQ(write(ends[1], text, sizeof(text)), sizeof(text));
        CHECK_EQ(read(ends[0], code, sizeof(text)), sizeof(text));
        fence_i();
        CHECK_EQ(call(code), i);
    }
    close(ends[0]);
    close(ends[1]);
    munmap(code, PAGE);
}

static sigjmp_buf escape;
static volatile u64 fault_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    fault_addr = (u64)info->si_addr;
    siglongjmp(escape, 1);
}

static int call_faults(void *at)
{
    if (sigsetjmp(escape, 1))
        return 1;
    call(at);
    return 0;
}

static void check_unmap(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old;
    u32 *code = map_code(1);

    sigaction(SIGSEGV, &act, &old);
    for (int i = 0; i < 20; i++) {
        put(code, i);
        fence_i();
        CHECK_EQ(call(code), i);
        munmap(code, PAGE);
        CHECK_EQ(call_faults(code), 1);
        CHECK_EQ(fault_addr, code);
        CHECK(mmap(code, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
              code);
    }
    put(code, 5);
    fence_i();
    CHECK_EQ(call(code), 5);
    CHECK_EQ(mprotect(code, PAGE, PROT_READ), 0);
    CHECK_EQ(call_faults(code), 1);
    CHECK_EQ(mprotect(code, PAGE, RWX), 0);
    CHECK_EQ(call(code), 5);
    CHECK(mmap(code, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          code);
    put(code, 6);
    fence_i();
    CHECK_EQ(call(code), 6);
    sigaction(SIGSEGV, &old, NULL);
    munmap(code, PAGE);
}

/* A moved mapping takes its code with it. */
static void check_remap(void)
{
    u32 *code = map_code(1), *room = map_code(4), *moved;

    put(code, 11);
    put(room, 12);
    fence_i();
    CHECK_EQ(call(code), 11);
    CHECK_EQ(call(room), 12);
    moved = mremap(code, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    CHECK(moved == room);
    CHECK_EQ(call(moved), 11);
    munmap(room, 4 * PAGE);
}

/* An instruction half in one page, half in the next; then only that half changes. */
static void check_straddle(void)
{
    u32 *code = map_code(2);
    u16 *at = (u16 *)((char *)code + PAGE - 2);
    u32 insn;

    for (int i = 0; i < 100; i++) {
        insn = li_a0(i);
        memcpy(at, &insn, 4);
        memcpy(at + 2, &(u32){RET}, 4);
        fence_i();
        CHECK_EQ(call(at), i);
        insn = li_a0(i + 16);
        at[1] = (u16)(insn >> 16);
        fence_i();
        CHECK_EQ(call(at), i + 16);
    }
    munmap(code, 2 * PAGE);
}

static volatile int patching;

static void *patch_loop(void *code)
{
    for (int i = 0; i < 3000; i++) {
        __atomic_store_n((u32 *)code, li_a0(i & 1 ? 100 : 200), __ATOMIC_SEQ_CST);
        fence_i();
    }
    patching = 0;
    return NULL;
}

/* Another thread runs what this one patches: it sees one or the other. */
static void check_other_thread(void)
{
    u32 *code = map_code(1);
    pthread_t thread;
    int wrong = 0;

    put(code, 100);
    fence_i();
    patching = 1;
    CHECK_EQ(pthread_create(&thread, NULL, patch_loop, code), 0);
    while (patching) {
        int r = call(code);

        wrong += r != 100 && r != 200;
        fence_i();
    }
    pthread_join(thread, NULL);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(call(code), 100);
    munmap(code, PAGE);
}

static __thread sigjmp_buf away;

static void on_gone(int sig)
{
    (void)sig;
    siglongjmp(away, 1);
}

/* Maps, fills and unmaps a page again and again. */
static void *map_loop(void *code)
{
    u32 *p = code;

    for (int round = 0; round < 300; round++) {
        mmap(p, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        for (int i = 0; i < 500; i++)
            p[i] = li_a0(100);
        p[500] = RET;
        fence_i();
        munmap(p, PAGE);
    }
    patching = 0;
    return NULL;
}

/* Code that may be gone at any moment: it runs or it faults. */
static void check_vanishing(void)
{
    volatile int good = 0, wrong = 0;
    u32 *code = map_code(1);
    pthread_t thread;
    int r;

    signal(SIGSEGV, on_gone);
    signal(SIGILL, on_gone);
    patching = 1;
    CHECK_EQ(pthread_create(&thread, NULL, map_loop, code), 0);
    while (patching) {
        if (sigsetjmp(away, 1))
            continue;
        r = call(code);
        r == 100 ? good++ : wrong++;
    }
    pthread_join(thread, NULL);
    CHECK_EQ(wrong, 0);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGILL, SIG_DFL);
}

/* More code than a small cache holds, all of it run twice. */
static void check_much_code(void)
{
    enum { PAGES = 256, STEP = 16 };
    u32 *code = map_code(PAGES);
    size_t n = PAGES * PAGE / sizeof(u32);
    u64 sum = 0;

    for (size_t i = 0; i < n; i += STEP) {
        for (int k = 0; k < STEP - 2; k++)
            code[i + k] = 0x00150513; /* addi a0,a0,1 */
        put(code + i + STEP - 2, (int)(i / STEP & 1023));
    }
    fence_i();
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < n; i += STEP)
            sum += call(code + i);
    CHECK_EQ(sum, n / STEP * 1023);
    munmap(code, PAGES * PAGE);
}

int main(void)
{
    check_fence();
    check_hot_page();
    check_own_block();
    check_data_beside();
    check_protect();
    check_two_views();
    check_host_writes();
    check_unmap();
    check_remap();
    check_straddle();
    check_other_thread();
    check_vanishing();
    check_much_code();
    return check_done("smc");
}
