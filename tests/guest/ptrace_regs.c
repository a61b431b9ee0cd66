/* SPDX-License-Identifier: MIT */
/*
 * Run: tests/guest_run ptrace_regs
 *
 * What a tracer does to registers and code: reads and changes them, changes system
 * calls, plants breakpoints, steps, calls functions; and seccomp's stops.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

/* struct user_regs_struct: pc, then x1 to x31 */
enum { PC, RA, SP, A0 = 10, A1, A2, A7 = 17, REGS = 32, FP_WORDS = 33, FA0 = 10 };

static long trace(long request, pid_t pid, unsigned long addr, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

static long regset(long request, pid_t pid, int note, void *at, size_t *size)
{
    struct iovec iov = {at, *size};
    long r = trace(request, pid, (unsigned long)note, (unsigned long)&iov);

    *size = iov.iov_len;
    return r;
}

static void get(pid_t pid, u64 regs[REGS])
{
    size_t size = REGS * sizeof *regs;

    CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, regs, &size), 0);
    CHECK_EQ(size, REGS * sizeof *regs);
}

static void set(pid_t pid, u64 regs[REGS])
{
    size_t size = REGS * sizeof *regs;

    CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_PRSTATUS, regs, &size), 0);
}

static int wait_for(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static int stopped(int sig, int event) { return sig << 8 | 0x7f | event << 16; }

static void go_on(long request, pid_t pid, int sig, int want)
{
    CHECK_EQ(trace(request, pid, 0, (unsigned long)sig), 0);
    CHECK_EQ(wait_for(pid), want);
}

static pid_t traced_child(void (*body)(void), unsigned long options)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        trace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        body();
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    CHECK_EQ(trace(PTRACE_SETOPTIONS, pid, 0, options), 0);
    return pid;
}

/* ---- registers at a breakpoint of the program's own ---- */

static void show_registers(void)
{
    register u64 a0 __asm__("a0") = 0x1111;
    register u64 a1 __asm__("a1") = 0x2222;
    register double fa0 __asm__("fa0") = 2.5;

    __asm__ volatile("ebreak\n"
                     ".option push\n"
                     ".option norvc\n"
                     "nop\n"
                     ".option pop\n"
                     : "+r"(a0), "+r"(a1), "+f"(fa0));
    _exit(a0 == 0x3333 && a1 == 0x2222 && fa0 == -8 ? 0 : 1);
}

static void registers(void)
{
    pid_t pid = traced_child(show_registers, 0);
    u64 regs[REGS], fp[FP_WORDS], part[2];
    size_t size = sizeof fp;
    siginfo_t info;
    double d;
    u16 code = 0;

    go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, 0));
    CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info), 0);
    CHECK_EQ(info.si_code, TRAP_BRKPT);
    get(pid, regs);
    CHECK_EQ(info.si_addr, (void *)regs[PC]);
    CHECK_EQ(regs[A0], 0x1111);
    CHECK_EQ(regs[A1], 0x2222);
    CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRFPREG, fp, &size), 0);
    CHECK_EQ(size, sizeof fp);
    memcpy(&d, &fp[FA0], sizeof d);
    CHECK(d == 2.5);
    size = sizeof part;
    CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, part, &size), 0);
    CHECK_EQ(part[1], regs[RA]);
    size = 12;
    CHECK_ERR(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, part, &size), EINVAL);
    d = -8;
    memcpy(&fp[FA0], &d, sizeof d);
    size = sizeof fp;
    CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_PRFPREG, fp, &size), 0);
    regs[A0] = 0x3333;
    memcpy(&code, (void *)regs[PC], sizeof code); /* the same in both of us */
    regs[PC] += (code & 3) == 3 ? 4 : 2;
    set(pid, regs);
    go_on(PTRACE_CONT, pid, 0, 0);
}

/* ---- breakpoints, steps, calls ---- */

static volatile u64 calls;

static __attribute__((noinline)) u64 work(u64 a)
{
    calls++;
    return a + 1;
}

static void work_often(void)
{
    u64 sum = 0;

    for (int i = 0; i < 200; i++) /* translated, and hot, before the first stop */
        sum += work((u64)i);
    raise(SIGUSR1);
    sum = work(1) + work(2);
    raise(SIGUSR1);
    sum += work(3);
    _exit(calls == 203 && sum == 9 ? 0 : 1);
}

static u64 peek(pid_t pid, u64 addr)
{
    u64 word = 0;

    CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, addr, (unsigned long)&word), 0);
    return word;
}

enum { EBREAK = 0x00100073 };

static void breakpoints(void)
{
    pid_t pid = traced_child(work_often, 0);
    u64 at = (u64)work, was = peek(pid, at), regs[REGS];
    int steps = 0;

    go_on(PTRACE_CONT, pid, 0, stopped(SIGUSR1, 0));
    CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, (was & ~0xffffffffull) | EBREAK), 0);
    for (u64 i = 1; i <= 2; i++) {
        go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, 0));
        get(pid, regs);
        CHECK_EQ(regs[PC], at);
        CHECK_EQ(regs[A0], i);
        CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, was), 0);
        if (i == 1) {
            go_on(PTRACE_SINGLESTEP, pid, 0, stopped(SIGTRAP, 0));
            CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, (was & ~0xffffffffull) | EBREAK),
                     0);
        }
    }
    /* Out of the function, instruction by instruction. */
    do {
        go_on(PTRACE_SINGLESTEP, pid, 0, stopped(SIGTRAP, 0));
        get(pid, regs);
    } while (++steps < 100 && regs[PC] >= at && regs[PC] < at + 64);
    CHECK(steps > 2 && steps < 40);
    CHECK_EQ(regs[A0], 3);
    go_on(PTRACE_CONT, pid, 0, stopped(SIGUSR1, 0));
    go_on(PTRACE_CONT, pid, 0, 0);
}

/* At a stop in a system call, as a debugger calls a function. */
static void call_in(pid_t pid)
{
    u64 regs[REGS], other[REGS], was = peek(pid, (u64)work), n;

    get(pid, regs);
    memcpy(other, regs, sizeof other);
    other[PC] = (u64)work;
    other[A0] = 41;
    other[SP] -= 256;
    other[RA] = 0; /* where nothing is */
    set(pid, other);
    go_on(PTRACE_CONT, pid, 0, stopped(SIGSEGV, 0));
    get(pid, other);
    CHECK_EQ(other[A0], 42);
    CHECK_EQ(was, peek(pid, (u64)work));
    n = peek(pid, (u64)&calls);
    CHECK_EQ(n, calls + 1);
    set(pid, regs);
}

static void sleep_once(void)
{
    const struct timespec time = {.tv_nsec = 100 * 1000000};

    _exit(nanosleep(&time, NULL) != 0);
}

static void calls_in_a_call(void)
{
    const struct timespec little = {.tv_nsec = 10 * 1000000};
    pid_t pid = traced_child(sleep_once, 0);

    CHECK_EQ(trace(PTRACE_CONT, pid, 0, 0), 0);
    nanosleep(&little, NULL);
    syscall(SYS_tkill, pid, SIGSTOP);
    CHECK_EQ(wait_for(pid), stopped(SIGSTOP, 0));
    call_in(pid);
    go_on(PTRACE_CONT, pid, 0, 0);
}

/* ---- system calls that become others ---- */

static void ask_pid(void)
{
    long a = syscall(SYS_getpid), b = syscall(SYS_getpid), c = syscall(SYS_getpid);

    _exit(a == getppid() && b == 77 && c == 99 ? 0 : 1);
}

static void change_calls(void)
{
    pid_t pid = traced_child(ask_pid, PTRACE_O_TRACESYSGOOD);
    int call = stopped(SIGTRAP | 0x80, 0);
    u64 regs[REGS];

    go_on(PTRACE_SYSCALL, pid, 0, call);
    get(pid, regs);
    CHECK_EQ(regs[A7], SYS_getpid);
    regs[A7] = SYS_getppid;
    set(pid, regs);
    go_on(PTRACE_SYSCALL, pid, 0, call);
    get(pid, regs);
    CHECK_EQ(regs[A0], getpid());

    go_on(PTRACE_SYSCALL, pid, 0, call);
    go_on(PTRACE_SYSCALL, pid, 0, call);
    get(pid, regs);
    CHECK_EQ(regs[A0], pid);
    regs[A0] = 77; /* another result */
    set(pid, regs);

    go_on(PTRACE_SYSCALL, pid, 0, call);
    get(pid, regs);
    regs[A7] = ~0ull; /* none at all */
    set(pid, regs);
    go_on(PTRACE_SYSCALL, pid, 0, call);
    get(pid, regs);
    regs[A0] = 99;
    set(pid, regs);
    go_on(PTRACE_CONT, pid, 0, 0);
}

/* ---- seccomp ---- */

static void filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 1234),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(code), code};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    if (syscall(SYS_getppid) != getpid() || syscall(SYS_getppid) != -1 ||
        errno != ENOSYS)
        _exit(1);
    /* a call that a tracer makes it is asked about again */
    _exit(syscall(SYS_getppid) == -1 && errno == 77 && syscall(SYS_getppid) == 4444 &&
                  syscall(SYS_getpgid, 0) > 0
              ? 0
              : 2);
}

/* Filters sleep while a tracer with the right to it wants that. */
static void suspend(pid_t pid)
{
    long r = trace(PTRACE_SETOPTIONS, pid, 0,
                   PTRACE_O_TRACESECCOMP | PTRACE_O_SUSPEND_SECCOMP);

    if (geteuid() == 0)
        CHECK_EQ(r, 0);
    else
        CHECK_ERR(r, EPERM);
}

static void seccomp_stops(void)
{
    pid_t pid = traced_child(filtered, PTRACE_O_TRACESECCOMP);
    struct ptrace_syscall_info info;
    u64 regs[REGS], data = 0;

    go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, PTRACE_EVENT_SECCOMP));
    CHECK_EQ(trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&data), 0);
    CHECK_EQ(data, 1234);
    CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, (unsigned long)&info),
             84);
    CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_SECCOMP);
    CHECK_EQ(info.seccomp.nr, SYS_getppid);
    CHECK_EQ(info.seccomp.ret_data, 1234);
    CHECK_EQ(info.arch, 0xc00000f3);
    get(pid, regs);
    regs[A7] = SYS_getpid;
    set(pid, regs);
    go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, PTRACE_EVENT_SECCOMP));
    get(pid, regs);
    regs[A7] = 0x7777; /* no such call */
    set(pid, regs);
    go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, PTRACE_EVENT_SECCOMP));
    get(pid, regs);
    regs[A7] = SYS_getpgid;
    set(pid, regs);
    go_on(PTRACE_CONT, pid, 0, stopped(SIGTRAP, PTRACE_EVENT_SECCOMP));
    get(pid, regs);
    regs[A7] = ~0ul; /* none */
    regs[A0] = 4444;
    set(pid, regs);
    suspend(pid);
    go_on(PTRACE_CONT, pid, 0, geteuid() == 0 ? 0 : 2 << 8);
}

/* A call of no number is none, also where a tracer sees it. */
static void call_nothing(void)
{
    _exit(syscall(-1, 5) == -1 && errno == ENOSYS ? 0 : 1);
}

static void no_call(void)
{
    pid_t pid = traced_child(call_nothing, PTRACE_O_TRACESYSGOOD);
    int status = 0, n = 0;

    while (trace(PTRACE_SYSCALL, pid, 0, 0) == 0 && (status = wait_for(pid)) != 0 &&
           WIFSTOPPED(status))
        n++;
    CHECK_EQ(status, 0);
    CHECK_EQ(n, 3); /* the call, exit's begin */
}

int main(void)
{
    registers();
    breakpoints();
    calls_in_a_call();
    change_calls();
    seccomp_stops();
    no_call();
    return check_done("ptrace_regs");
}
