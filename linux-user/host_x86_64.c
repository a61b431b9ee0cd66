/* SPDX-License-Identifier: MIT */
/* Host system calls, signal contexts and guarded copies on x86-64. */
#include <sys/syscall.h>
#include "user.h"

_Static_assert(SYS_RESTART_SA == -512 && SYS_RESTART == -513, "the assembler has them");

i64 safe_syscall_begin(_Atomic u32 *interrupted, long nr, long a, long b, long c,
                       long d, long e, long f);
extern const char safe_syscall_test[], safe_syscall_insn[], safe_syscall_done[];
extern const char safe_syscall_not[], safe_syscall_again[];
extern const char copy_insn[], copy_done[];
void signal_restorer(void);

/*
 * From the test to the syscall instruction nothing has happened yet: a signal there
 * moves the pc to safe_syscall_not.  Where the kernel would restart the call after a
 * handler with SA_RESTART, as all of ours are, it moves the pc back to the instruction;
 * rcx then has what the instruction left there, the address after it.
 */
__asm__(".text\n"
        ".globl safe_syscall_begin, safe_syscall_test, safe_syscall_insn\n"
        ".globl safe_syscall_done, safe_syscall_not, safe_syscall_again\n"
        ".globl signal_restorer\n"
        ".type safe_syscall_begin, @function\n"
        "safe_syscall_begin:\n"
        "    mov %rdi, %r11\n"
        "    mov %rsi, %rax\n"
        "    mov %rdx, %rdi\n"
        "    mov %rcx, %rsi\n"
        "    mov %r8, %rdx\n"
        "    mov %r9, %r10\n"
        "    mov 8(%rsp), %r8\n"
        "    mov 16(%rsp), %r9\n"
        "    xor %ecx, %ecx\n"
        "safe_syscall_test:\n"
        "    cmpl $0, (%r11)\n"
        "    jne safe_syscall_not\n"
        "safe_syscall_insn:\n"
        "    syscall\n"
        "safe_syscall_done:\n"
        "    ret\n"
        "safe_syscall_not:\n"
        "    mov $-513, %rax\n"
        "    ret\n"
        "safe_syscall_again:\n"
        "    mov $-512, %rax\n"
        "    ret\n"
        ".size safe_syscall_begin, . - safe_syscall_begin\n"
        ".type signal_restorer, @function\n"
        "signal_restorer:\n"
        "    mov $15, %eax\n" /* rt_sigreturn */
        "    syscall\n"
        ".size signal_restorer, . - signal_restorer\n");

i64 safe_syscall_6(long nr, long a, long b, long c, long d, long e, long f)
{
    return safe_syscall_begin(&task_self->interrupted, nr, a, b, c, d, e, f);
}

i64 host_syscall_6(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    i64 r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}

__attribute__((noinline, noclone)) bool fault_copy(void *to, const void *from,
                                                   size_t len)
{
    __asm__ volatile(".globl copy_insn, copy_done\n"
                     "copy_insn:\n"
                     "    rep movsb\n"
                     "copy_done:\n"
                     : "+D"(to), "+S"(from), "+c"(len)
                     :
                     : "memory");
    return !len;
}

static bool pc_within(const ucontext_t *context, const char *start, const char *end)
{
    u64 pc = (u64)context->uc_mcontext.gregs[REG_RIP];

    return pc >= (u64)start && pc < (u64)end;
}

bool context_leave_copy(ucontext_t *context)
{
    if (!pc_within(context, copy_insn, copy_done))
        return false;
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)copy_done;
    return true;
}

/* Does the syscall instruction write rcx?  With FRED it does not. */
static bool syscall_marks(void)
{
    long nr = SYS_getpid, rcx = 0;

    __asm__ volatile("syscall" : "+a"(nr), "+c"(rcx) : : "r11", "memory");
    return rcx;
}

/* Without a mark a signal just before the instruction counts as one during it. */
void context_leave_syscall(ucontext_t *context)
{
    greg_t *regs = context->uc_mcontext.gregs;

    if (regs[REG_RIP] == (greg_t)safe_syscall_insn &&
        (regs[REG_RCX] == (greg_t)safe_syscall_done || !syscall_marks()))
        regs[REG_RIP] = (greg_t)safe_syscall_again;
    else if (pc_within(context, safe_syscall_test, safe_syscall_done))
        regs[REG_RIP] = (greg_t)safe_syscall_not;
}

void context_call(ucontext_t *context, void (*fn)(void))
{
    greg_t *regs = context->uc_mcontext.gregs;

    regs[REG_RSP] = (greg_t)align_down((u64)regs[REG_RSP] - 256, 16) - 8;
    regs[REG_RIP] = (greg_t)fn;
    regs[REG_EFL] &= ~0x400; /* direction flag */
}

struct KernelAction {
    void *handler;
    u64 flags;
    void (*restorer)(void);
    u64 mask;
};

i64 host_sigaction(int sig, void *handler, u64 flags, u64 mask)
{
    const u64 sa_restorer = 0x04000000;
    struct KernelAction action = {handler, flags | sa_restorer, signal_restorer, mask};

    return host_syscall(SYS_rt_sigaction, sig, &action, NULL, sizeof mask);
}

void *host_sighandler(int sig)
{
    struct KernelAction action = {0};

    host_syscall(SYS_rt_sigaction, sig, NULL, &action, sizeof action.mask);
    return action.handler;
}
