/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_operand
 *
 * host_operands against the processor: instructions that fault, in every form of an
 * address, and some that name an address without using it. */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include "../tcache/tb.h"

/* Low, so that it can be an address without a register. */
#define NOWHERE 0x10000000ul

static struct {
    sigjmp_buf back;
    u32 n;
    u64 at, operand[HOST_OPERANDS];
} seen;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    seen.at = (u64)info->si_addr;
    seen.n = host_operands(context, seen.operand);
    siglongjmp(seen.back, 1);
}

static void begin(void)
{
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    void *p = mmap((void *)NOWHERE, 1 << 20, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    cr_assert_eq(p, (void *)NOWHERE);
    sigaction(SIGSEGV, &a, NULL);
}

static void check(const char *insn)
{
    bool found = false;

    for (u32 i = 0; i < seen.n; i++)
        found |= seen.operand[i] == seen.at;
    cr_expect(found, "%s: %u operands, %lx; the fault is at %lx", insn, seen.n,
              seen.n ? seen.operand[0] : 0, seen.at);
}

/* rbx, r13: nowhere; rcx, r12: 3; rsi, rdi: nowhere, too. */
#define TRY(insn)                                                                \
    do {                                                                         \
        if (!sigsetjmp(seen.back, 1)) {                                          \
            register u64 base asm("r13") = NOWHERE + 4096;                       \
            register u64 index asm("r12") = 3;                                   \
            asm volatile(insn                                                    \
                         :                                                       \
                         : "b"(NOWHERE + 4096), "c"(3ul), "r"(base), "r"(index), \
                           "S"(NOWHERE + 8192), "D"(NOWHERE + 512)               \
                         : "rax", "rdx", "r8", "xmm0", "xmm9", "memory");        \
            cr_expect_fail("%s did not fault", insn);                            \
        }                                                                        \
        check(insn);                                                             \
    } while (0)

Test(operand, addresses)
{
    begin();
    TRY("mov (%%rbx), %%al");
    TRY("mov (%%r13), %%rax");
    TRY("mov 8(%%rbx), %%eax");
    TRY("mov -8(%%r13), %%r8w");
    TRY("mov 0x1234(%%rbx), %%rax");
    TRY("mov -0x1234(%%rbx,%%rcx,8), %%rax");
    TRY("mov 3(%%r13,%%r12,4), %%rax");
    TRY("mov (%%rbx,%%r12), %%rax");
    TRY("mov 0x10000000(,%%rcx,2), %%rax");
    TRY("mov 0x10000040, %%eax");
    TRY("mov %%gs:(%%rbx), %%eax");
}

Test(operand, instructions)
{
    begin();
    TRY("movb $1, (%%rbx)");
    TRY("movw $1, 2(%%rbx)");
    TRY("movq $1, (%%r13)");
    TRY("mov %%r8, (%%r13)");
    TRY("movzbl (%%rbx), %%eax");
    TRY("movswq (%%rbx,%%rcx,2), %%rax");
    TRY("movslq (%%rbx), %%rax");
    TRY("add %%rax, (%%rbx)");
    TRY("cmp (%%rbx), %%eax");
    TRY("cmpb $3, 1(%%rbx)");
    TRY("testl $3, (%%rbx)");
    TRY("imul $3, (%%rbx), %%rax");
    TRY("shlq $3, (%%rbx)");
    TRY("incl (%%rbx)");
    TRY("xchg %%rax, (%%rbx)");
    TRY("lock xaddl %%eax, (%%rbx)");
    TRY("lock cmpxchgq %%rdx, (%%r13)");
    TRY("lock orb $1, (%%rbx)");
    TRY("bswap %%rax; movbe (%%rbx), %%rax");
    TRY("cmovne (%%rbx), %%rax");
    TRY("popcnt (%%rbx), %%rax");
}

Test(operand, vectors)
{
    begin();
    TRY("movss (%%rbx), %%xmm0");
    TRY("movsd %%xmm9, 8(%%r13,%%r12,8)");
    TRY("movq (%%rbx), %%xmm0");
    TRY("movd %%xmm0, (%%rbx)");
    TRY("movdqu (%%rbx), %%xmm9");
    TRY("movups %%xmm0, -16(%%rbx)");
    TRY("addsd (%%rbx), %%xmm0");
    TRY("pcmpeqb (%%rbx), %%xmm0");
    TRY("rep movsb");
    TRY("rep movsq");
    TRY("rep stosb");
    TRY("lodsq");
    TRY("cmpsb");
    if (__builtin_cpu_supports("avx2")) {
        TRY("vmovsd (%%rbx), %%xmm0");
        TRY("vmovsd %%xmm9, 8(%%r13,%%r12,8)");
        TRY("vmovdqu -32(%%rbx,%%rcx), %%ymm9");
        TRY("vmovd (%%r13), %%xmm9");
    }
    if (__builtin_cpu_supports("bmi2"))
        TRY("shlx %%rcx, (%%r13), %%rax");
    if (__builtin_cpu_supports("avx512vl")) {
        TRY("vmovdqu64 64(%%rbx), %%ymm16");
        TRY("vmovdqu64 %%zmm16, -128(%%r13,%%r12)");
        TRY("vmovdqu8 7(%%rbx), %%xmm17");
        TRY("vmovups 32(%%rbx), %%ymm17");
        TRY("vpcmpub $4, 64(%%rbx), %%ymm17, %%k1");
        TRY("vpxorq 64(%%r13,%%rcx), %%ymm17, %%ymm17");
    }
}

/* None of these uses memory, at least not by an address in a register. */
Test(operand, none)
{
    static const u8 code[][16] = {
        {0x48, 0x8d, 0x03},                         /* lea (%rbx), %rax */
        {0x0f, 0x1f, 0x44, 0x03, 0x00},             /* nopl 0(%rbx,%rax) */
        {0x66, 0x0f, 0x1f, 0x04, 0x1b},             /* nopw (%rbx,%rbx) */
        {0x0f, 0x18, 0x0b},                         /* prefetcht0 (%rbx) */
        {0x48, 0x89, 0xd8},                         /* mov %rbx, %rax */
        {0x48, 0x8b, 0x05, 0x10, 0x00, 0x00, 0x00}, /* mov 16(%rip), %rax */
        {0x0f, 0x84, 0x03, 0x03, 0x00, 0x00},       /* je */
        {0xe8, 0x03, 0x03, 0x00, 0x00},             /* call */
        {0xc3},                                     /* ret */
        {0x90},                                     /* nop */
        {0xeb, 0x03},                               /* jmp */
        {0x48, 0xc7, 0xc0, 0x03},                   /* mov $3, %rax */
        {0xb8, 0x03},                               /* mov $3, %eax */
        {0x0f, 0x05},                               /* syscall */
        {0xc5, 0xf8, 0x77},                         /* vzeroupper */
        {0x62, 0xf2, 0x7d, 0x48, 0x58, 0x43, 0x01}, /* vpbroadcastd 4(%rbx), %zmm0 */
        {0x62, 0xe1, 0x7e, 0x08, 0x10, 0x43, 0x01}, /* vmovss 4(%rbx), %xmm16 */
    };
    u64 operand[HOST_OPERANDS];

    for (size_t i = 0; i < ARRAY_SIZE(code); i++) {
        ucontext_t context = {0};

        context.uc_mcontext.gregs[REG_RBX] = NOWHERE;
        context.uc_mcontext.gregs[REG_RIP] = (greg_t)code[i];
        cr_expect_eq(host_operands(&context, operand), 0, "%zu: %lx", i, operand[0]);
    }
}
