/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run faults
 *
 * Signals that the program causes: code and address of faults by loads, stores and
 * fetches, traps, faults while blocked or ignored; the same signals sent by others;
 * alternate stacks, armed, disarmed and full. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include "catch.h"

#define DISARM ((int)(1u << 31)) /* SS_AUTODISARM */

static sigjmp_buf back;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    on_info(sig, info, context);
    siglongjmp(back, 1);
}

/* ---- faults ---- */

typedef enum Access { LOAD, STORE, FETCH, LOAD_8, STORE_8 } Access;

static void fault(Access how, u8 *at, int sig, int code, const u8 *addr)
{
    forget();
    if (!sigsetjmp(back, 1)) {
        switch (how) {
        case LOAD: (void)*(volatile u8 *)at; break;
        case STORE: *(volatile u8 *)at = 1; break;
        case FETCH: ((void (*)(void))(void *)at)(); break;
        case LOAD_8: (void)*(volatile u64 *)(void *)at; break;
        case STORE_8: *(volatile u64 *)(void *)at = 1; break;
        }
    }
    CHECK_EQ(count, 1);
    CHECK_EQ(seen.si_signo, sig);
    CHECK_EQ(seen.si_code, code);
    CHECK_EQ((u64)seen.si_addr, (u64)addr);
}

static void check_faults(void)
{
    FILE *f = tmpfile();
    u8 *p = mmap(NULL, 5 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0),
       *file = mmap(NULL, 2 << 12, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);

    CHECK_EQ(ftruncate(fileno(f), 100), 0);
    mprotect(p + 0x1000, 0x1000, PROT_NONE);
    mprotect(p + 0x2000, 0x1000, PROT_READ);
    munmap(p + 0x4000, 0x1000);
    for (int i = 0; i < 3; i++)
        catch ((int[]){SIGSEGV, SIGBUS, SIGILL}[i], on_fault, 0);
    fault(LOAD, p + 0x4010, SIGSEGV, SEGV_MAPERR, p + 0x4010);
    fault(STORE, p + 0x4011, SIGSEGV, SEGV_MAPERR, p + 0x4011);
    fault(FETCH, p + 0x4010, SIGSEGV, SEGV_MAPERR, p + 0x4010);
    fault(LOAD, p + 0x1012, SIGSEGV, SEGV_ACCERR, p + 0x1012);
    fault(STORE, p + 0x1013, SIGSEGV, SEGV_ACCERR, p + 0x1013);
    fault(STORE, p + 0x2014, SIGSEGV, SEGV_ACCERR, p + 0x2014);
    fault(FETCH, p + 0x2016, SIGSEGV, SEGV_ACCERR, p + 0x2016);
    fault(LOAD, (u8 *)8, SIGSEGV, SEGV_MAPERR, (u8 *)8);
    fault(LOAD, file + 0x1020, SIGBUS, BUS_ADRERR, file + 0x1020);
    fault(STORE, file + 0x1021, SIGBUS, BUS_ADRERR, file + 0x1021);
    fault(LOAD_8, p + 0xffd, SIGSEGV, SEGV_ACCERR, p + 0x1000);
    fault(STORE_8, p + 0x3ffc, SIGSEGV, SEGV_MAPERR, p + 0x4000);
    fclose(f);
}

static void check_traps(void)
{
    catch (SIGTRAP, on_fault, 0);
    forget();
    if (!sigsetjmp(back, 1))
#ifdef __riscv
        __asm__ volatile("ebreak");
    CHECK_EQ(seen.si_code, TRAP_BRKPT);
#else
        __asm__ volatile("int3");
#endif
    CHECK_EQ(seen.si_signo, SIGTRAP);
    forget();
    if (!sigsetjmp(back, 1))
#ifdef __riscv
        __asm__ volatile(".4byte 0xffffffff");
    CHECK_EQ(seen.si_code, ILL_ILLOPC);
#else
        __asm__ volatile("ud2");
#endif
    CHECK_EQ(seen.si_signo, SIGILL);
#ifdef __riscv
    {
        long quotient;

        forget();
        __asm__ volatile("div %0, %1, zero" : "=r"(quotient) : "r"(1l));
        CHECK_EQ(quotient, -1); /* no SIGFPE */
        CHECK_EQ(count, 0);
    }
#endif
}

/* A fault whose signal is blocked or ignored ends the process all the same. */
static void check_blocked_fault(int ignored)
{
    volatile int *nowhere = (int *)8;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(2); /* what ends a process by a fault may say so */
        if (ignored)
            signal(SIGSEGV, SIG_IGN);
        else
            change(SIG_BLOCK, SIGSEGV);
        __asm__ volatile("" : "+r"(nowhere));
        *nowhere = 1;
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* Sent, not caused, such a signal waits like any other. */
static void check_sent_faults(void)
{
    struct timespec soon = {0, 20000000};
    sigset_t set;
    siginfo_t info;

    for (int i = 0; i < 4; i++) {
        int sig = (int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE}[i];
        pid_t pid;

        change(SIG_BLOCK, sig);
        sigemptyset(&set);
        sigaddset(&set, sig);
        CHECK_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
        pid = fork();
        if (pid == 0) {
            usleep(10000);
            sigqueue(getppid(), sig, (union sigval){5});
            _exit(0);
        }
        CHECK_EQ(sigwaitinfo(&set, &info), sig);
        CHECK_EQ(info.si_code, SI_QUEUE);
        CHECK_EQ(info.si_pid, pid);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
        change(SIG_UNBLOCK, sig);
    }
}

/* ---- alternate stacks ---- */

static u8 stack[4 * 16384];
static int depth;

static void on_stack(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    stack_t now;

    (void)info;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK((u8 *)&now >= stack && (u8 *)&now < stack + sizeof stack);
    CHECK_EQ(now.ss_flags, uc->uc_stack.ss_flags & DISARM ? SS_DISABLE : SS_ONSTACK);
    CHECK_EQ((u64)uc->uc_stack.ss_sp, (u64)stack);
    if (now.ss_flags == SS_ONSTACK)
        CHECK_ERR(sigaltstack(&now, NULL), EPERM);
    if (depth++ == 0)
        raise(sig);
    count++;
}

static void check_altstack(int flags)
{
    stack_t new = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = flags}, now;
    struct sigaction act = {.sa_sigaction = on_stack,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    count = 0;
    depth = flags ? 1 : 0; /* a disarmed one is used once */
    CHECK_EQ(sigaltstack(&new, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR2, &act, NULL), 0);
    raise(SIGUSR2);
    CHECK_EQ(count, flags ? 1 : 2);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ((u64)now.ss_sp, (u64)stack); /* armed again */
    CHECK_EQ(now.ss_flags, flags);
    new.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&new, NULL), 0);
    new.ss_flags = 0;
    new.ss_size = 100;
    CHECK_ERR(sigaltstack(&new, NULL), ENOMEM);
    new.ss_flags = 0x100;
    CHECK_ERR(sigaltstack(&new, NULL), EINVAL);
}

static void endless(int sig)
{
    (void)sig;
    raise(SIGUSR2);
}

/* Handler upon handler until the stack is full: SIGSEGV, on the same full stack. */
static void check_full_stack(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        stack_t new = {.ss_sp = stack, .ss_size = sizeof stack};
        struct sigaction act = {.sa_handler = endless,
                                .sa_flags = SA_ONSTACK | SA_NODEFER};

        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(2);
        sigaltstack(&new, NULL);
        sigaction(SIGUSR2, &act, NULL);
        act.sa_flags = SA_ONSTACK;
        sigaction(SIGSEGV, &act, NULL);
        raise(SIGUSR2);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
    check_faults();
    check_traps();
    check_blocked_fault(0);
    check_blocked_fault(1);
    check_sent_faults();
    check_altstack(0);
    check_altstack(DISARM);
    check_full_stack();
    return check_done("faults");
}
