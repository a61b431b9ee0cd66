/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run traps
 *
 * Synchronous signals: number, si_code, si_addr, the pc in the context, and going on
 * after the handler has moved it; alternate stacks, masks, nesting. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096

static volatile struct Seen {
    int sig, code, count;
    u64 addr, pc, sp;
} seen;

/* Notes everything; skips skip bytes of code, or returns to the caller (0). */
static volatile int skip;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;

    seen.sig = sig;
    seen.code = info->si_code;
    seen.addr = (u64)info->si_addr;
    seen.pc = mc->__gregs[REG_PC];
    seen.sp = (u64)__builtin_frame_address(0);
    seen.count++;
    mc->__gregs[REG_PC] = skip ? seen.pc + skip : mc->__gregs[REG_RA];
}

static void handle(int sig, int flags)
{
    struct sigaction act = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | flags};

    CHECK_EQ(sigaction(sig, &act, NULL), 0);
    memset((void *)&seen, 0, sizeof(seen));
}

/* Runs one instruction that traps; the pc must be its own. */
#define TRAP(bytes, text, ...)                                                   \
    ({                                                                           \
        u64 pc_;                                                                 \
                                                                                 \
        skip = bytes;                                                            \
        __asm__ volatile("la %0, 1f\n\t.option push\n\t.option norvc\n1:\t" text \
                         "\n\t.option pop"                                       \
                         : "=&r"(pc_)                                            \
                         : __VA_ARGS__                                           \
                         : "memory", "t0", "t1");                                \
        CHECK_EQ(seen.pc, pc_);                                                  \
    })

static void check_illegal(void)
{
    handle(SIGILL, 0);
    TRAP(4, ".4byte 0xffffffff", "r"(0));
    CHECK_EQ(seen.sig, SIGILL);
    CHECK_EQ(seen.code, ILL_ILLOPC);
    CHECK_EQ(seen.addr, seen.pc);
    TRAP(2, ".2byte 0", "r"(0));
    TRAP(4, "csrw cycle, zero", "r"(0));
    TRAP(4, "csrr t0, mstatus", "r"(0));
    TRAP(4, "csrr t0, 0x7c0", "r"(0));
    TRAP(4, "mret", "r"(0));
    TRAP(4, "sfence.vma", "r"(0));
    TRAP(4, ".4byte 0x3805b2af", "r"(0)); /* an amo.d with a reserved funct5 */
    __asm__ volatile("csrwi frm, 5");
    TRAP(4, "fadd.s ft0, ft0, ft0, dyn", "r"(0));
    __asm__ volatile("csrwi frm, 0");
    TRAP(4, ".4byte 0x0020d053", "r"(0)); /* fadd.s with rm 5 */
    CHECK_EQ(seen.count, 10);
}

static void check_break(void)
{
    handle(SIGTRAP, 0);
    TRAP(4, "ebreak", "r"(0));
    CHECK_EQ(seen.sig, SIGTRAP);
    CHECK_EQ(seen.code, TRAP_BRKPT);
    CHECK_EQ(seen.addr, seen.pc);
    TRAP(2, ".option rvc\n\tc.ebreak", "r"(0));
    CHECK_EQ(seen.count, 2);
}

static void check_segv(void)
{
    char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    handle(SIGSEGV, 0);
    TRAP(4, "sw zero, 12(%1)", "r"(page));
    CHECK_EQ(seen.code, SEGV_ACCERR);
    CHECK_EQ(seen.addr, page + 12);
    munmap(page, PAGE);
    TRAP(4, "lb t0, 5(%1)", "r"(page));
    CHECK_EQ(seen.code, SEGV_MAPERR);
    CHECK_EQ(seen.addr, page + 5);
    TRAP(4, "ld t0, -8(%1)", "r"(8));
    CHECK_EQ(seen.addr, 0);
    TRAP(4, "ld t0, 0(%1)", "r"(0x7ffffffffffff000)); /* the host cannot say this */
    CHECK_EQ(seen.addr, 0x7ffffffffffff000);
    CHECK_EQ(seen.code, SEGV_MAPERR);
    TRAP(4, "sd t0, 0(%1)", "r"(0xffffffffffffff00));
    TRAP(4, "fsd ft0, -8(%1)", "r"(0x8000000000000000));
    CHECK_EQ(seen.addr, 0x7ffffffffffffff8);
    TRAP(4, "lr.d t0, (%1)", "r"(page));
    CHECK_EQ(seen.addr, page);
    TRAP(4, "amoswap.d t0, t1, (%1)", "r"(page));
    CHECK_EQ(seen.sig, SIGSEGV);
    CHECK_EQ(seen.count, 8);
}

static void jump_to(u64 to)
{
    skip = 0;
    ((void (*)(void))to)();
    CHECK_EQ(seen.pc, to & ~1ull);
    CHECK_EQ(seen.addr, to & ~1ull);
}

static void check_jumps(void)
{
    char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    handle(SIGSEGV, 0);
    jump_to(0);
    CHECK_EQ(seen.code, SEGV_MAPERR);
    jump_to((u64)page + 16);
    CHECK_EQ(seen.code, SEGV_ACCERR);
    munmap(page, PAGE);
    jump_to((u64)page + 18);
    CHECK_EQ(seen.code, SEGV_MAPERR);
    jump_to((u64)page + 1);
    CHECK_EQ(seen.count, 4);
}

/* Before the end of code, the first half of an instruction. */
static void check_half(char *end)
{
    *(short *)(end - 2) = 0x13;
    __asm__ volatile("fence.i" ::: "memory");
    skip = 0;
    ((void (*)(void))(end - 2))();
    CHECK_EQ(seen.pc, end - 2);
    CHECK_EQ(seen.addr, end);
}

static void check_halves(void)
{
    int fd = memfd_create("half", 0);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    handle(SIGSEGV, 0);
    mprotect(p + PAGE, PAGE, PROT_READ);
    check_half(p + PAGE);
    CHECK_EQ(seen.code, SEGV_ACCERR);
    munmap(p + PAGE, PAGE);
    check_half(p + PAGE);
    CHECK_EQ(seen.code, SEGV_MAPERR);
    CHECK_EQ(ftruncate(fd, PAGE), 0);
    p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
    handle(SIGBUS, 0);
    check_half(p + PAGE);
    CHECK_EQ(seen.sig, SIGBUS);
    CHECK_EQ(seen.count, 1);
    close(fd);
}

static void check_bus(void)
{
    int fd = memfd_create("short", 0);
    char *p;

    CHECK_EQ(ftruncate(fd, PAGE), 0);
    p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
    handle(SIGBUS, 0);
    TRAP(4, "lw t0, 0(%1)", "r"(p + PAGE));
    CHECK_EQ(seen.sig, SIGBUS);
    CHECK_EQ(seen.code, BUS_ADRERR);
    CHECK_EQ(seen.addr, p + PAGE);
    jump_to((u64)p + PAGE + 8); /* code beyond the end */
    CHECK_EQ(seen.sig, SIGBUS);
    CHECK_EQ(seen.code, BUS_ADRERR);
    CHECK_EQ(seen.count, 2);
    munmap(p, 2 * PAGE);
    close(fd);
}

/* Misaligned atomics trap; everything else works at any address. */
static void check_misaligned(void)
{
    u64 words[3] = {0x0706050403020100, 0x0f0e0d0c0b0a0908, 0};
    char *odd = (char *)words + 5;
    u64 v;
    double d;

    handle(SIGBUS, 0);
    TRAP(4, "amoadd.w t0, t1, (%1)", "r"(odd));
    CHECK_EQ(seen.code, BUS_ADRALN);
    CHECK_EQ(seen.addr, odd);
    TRAP(4, "lr.d t0, (%1)", "r"(odd - 1));
    TRAP(4, "amoor.d t0, t1, (%1)", "r"(odd - 1));
    CHECK_EQ(seen.count, 3);
    __asm__ volatile("ld %0, 0(%1)" : "=r"(v) : "r"(odd) : "memory");
    CHECK_EQ(v, 0x0c0b0a0908070605);
    __asm__ volatile("fld %0, 0(%1)" : "=f"(d) : "r"(odd) : "memory");
    memcpy(&v, &d, 8);
    CHECK_EQ(v, 0x0c0b0a0908070605);
    __asm__ volatile("lhu %0, 2(%1)" : "=r"(v) : "r"(odd) : "memory");
    CHECK_EQ(v, 0x0807);
    __asm__ volatile("sw %0, 4(%1)" : : "r"(0x11223344), "r"(odd) : "memory");
    CHECK_EQ(words[1], 0x0f0e0d1122334408);
}

static void check_alternate_stack(void)
{
    char *stack = malloc(SIGSTKSZ * 4);
    stack_t alt = {.ss_sp = stack, .ss_size = SIGSTKSZ * 4}, old;

    CHECK_EQ(sigaltstack(&alt, NULL), 0);
    handle(SIGSEGV, SA_ONSTACK);
    TRAP(4, "lb t0, 0(%1)", "r"(0));
    CHECK(seen.sp > (u64)stack && seen.sp <= (u64)stack + SIGSTKSZ * 4);
    handle(SIGSEGV, 0);
    TRAP(4, "lb t0, 0(%1)", "r"(0));
    CHECK(seen.sp < (u64)stack || seen.sp > (u64)stack + SIGSTKSZ * 4);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_sp, stack);
    CHECK_EQ(old.ss_flags, 0);
    alt.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&alt, NULL), 0);
    alt.ss_flags = 0;
    alt.ss_size = 100;
    CHECK_ERR(sigaltstack(&alt, NULL), ENOMEM);
    free(stack);
}

static sigjmp_buf escape;
static volatile int depth;

static void on_overflow(int sig)
{
    (void)sig;
    siglongjmp(escape, 1);
}

static volatile int never;

__attribute__((noinline)) static int recurse(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    depth = n;
    return never ? 0 : recurse(n + 1) + frame[0];
}

static void check_stack_overflow(void)
{
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction act = {.sa_handler = on_overflow, .sa_flags = SA_ONSTACK};

    CHECK_EQ(sigaltstack(&alt, NULL), 0);
    sigaction(SIGSEGV, &act, NULL);
    for (int i = 0; i < 3; i++) {
        depth = 0;
        if (!sigsetjmp(escape, 1))
            recurse(0);
        CHECK(depth > 1000 && depth < 10000);
    }
    alt.ss_flags = SS_DISABLE;
    sigaltstack(&alt, NULL);
}

int main(void)
{
    check_illegal();
    check_break();
    check_segv();
    check_jumps();
    check_halves();
    check_bus();
    check_misaligned();
    check_alternate_stack();
    check_stack_overflow();
    return check_done("traps");
}
