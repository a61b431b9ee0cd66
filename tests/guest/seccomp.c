/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run seccomp
 *
 * Filters of system calls: what each answer does, arguments and numbers as the guest
 * has them, inheritance by threads, children and execve, bad programs. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "child.h"

#ifdef __riscv
#define ARCH_RISCV64 (243u | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#else /* to try this test on a real kernel */
#define ARCH_RISCV64 (62u | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif
#define FIELD(f)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define RETURN(v)       BPF_STMT(BPF_RET | BPF_K, (v))
#define IF(op, v, skip) BPF_JUMP(BPF_JMP | (op) | BPF_K, (v), 0, (skip))

static char *self;

static long install(struct sock_filter *program, unsigned n, unsigned flags)
{
    struct sock_fprog p = {(unsigned short)n, program};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* One number gets one answer, all others are allowed. */
static long answer(long nr, unsigned what, unsigned flags)
{
    struct sock_filter program[] = {
        FIELD(arch),  IF(BPF_JEQ, ARCH_RISCV64, 3),
        FIELD(nr),    IF(BPF_JEQ, (unsigned)nr, 1),
        RETURN(what), RETURN(SECCOMP_RET_ALLOW),
    };

    return install(program, COUNT(program), flags);
}

/* ---- answers ---- */

/* The number after a word in /proc/self/status. */
static int status_of(const char *word)
{
    size_t n = strlen(word);
    char line[256];
    int value = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, word, n) && line[n] == ':')
            value = atoi(line + n + 1);
    if (f)
        fclose(f);
    return value;
}

static void refuse(void)
{
    CHECK_EQ(status_of("Seccomp"), 0);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_ERRNO | 77, 0), 0);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
    CHECK_ERR(syscall(SYS_getppid), 77);
    CHECK(getpid() > 0);
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_ERRNO | 78, 0), 0);
    CHECK_ERR(syscall(SYS_getppid), 78); /* the newer of equals */
    CHECK_EQ(status_of("Seccomp"), 2);
    CHECK_EQ(status_of("Seccomp_filters"), 2);
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_LOG, 0), 0);
    CHECK_ERR(syscall(SYS_getppid), 78); /* the stricter */
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_TRACE, 0), 0);
    CHECK_ERR(syscall(SYS_getpgid, 0), ENOSYS);
    CHECK_EQ(answer(SYS_getsid, SECCOMP_RET_ERRNO, 0), 0);
    CHECK_EQ(syscall(SYS_getsid, 0), 0);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL), EINVAL);
}

static volatile sig_atomic_t traps;
static siginfo_t trapped;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    trapped = *info;
    traps++;
}

static void raise_trap(void)
{
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    long r;

    sigaction(SIGSYS, &action, NULL);
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_TRAP | 5, 0), 0);
    r = syscall(SYS_getppid);
    CHECK_EQ(traps, 1);
    CHECK_EQ(trapped.si_signo, SIGSYS);
    CHECK_EQ(trapped.si_code, 1);
    CHECK_EQ(trapped.si_errno, 5);
    CHECK_EQ(trapped.si_syscall, SYS_getppid);
    CHECK_EQ(trapped.si_arch, ARCH_RISCV64);
    CHECK(trapped.si_call_addr != NULL);
    (void)r; /* what a0 was */
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_KILL_PROCESS, 0), 0);
    signal(SIGSYS, SIG_IGN);
    syscall(SYS_getppid);
    printf("a trap cannot be ignored\n");
}

static void kill_process(void)
{
    answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0);
    syscall(SYS_getppid);
    printf("still alive\n");
}

static void *killed_thread(void *arg)
{
    answer(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0);
    syscall(SYS_getppid);
    *(int *)arg = 1;
    return arg;
}

static void kill_thread(void)
{
    int alive = 0;
    pthread_t thread;

    pthread_create(&thread, NULL, killed_thread, &alive);
    pthread_join(thread, NULL);
    CHECK_EQ(alive, 0);
    CHECK(getppid() > 0); /* the filter was the thread's */
}

static void strict(void)
{
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), 0);
    syscall(SYS_write, 1, "", 0);
    syscall(SYS_getppid);
    syscall(SYS_exit, 9);
}

static void strict_exit(void)
{
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL), 0);
    syscall(SYS_exit, 9);
}

/* ---- arguments, arithmetic ---- */

static void arguments(void)
{
    struct sock_filter program[] = {
        FIELD(nr),
        IF(BPF_JEQ, SYS_getpriority, 13),
        FIELD(args[0]), /* the low half: A = 0x1234 */
        BPF_STMT(BPF_ST, 3),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8),
        BPF_STMT(BPF_MISC | BPF_TAX, 0), /* X = 0x12 */
        BPF_STMT(BPF_LD | BPF_MEM, 3),
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 2), /* 0x911 */
        IF(BPF_JEQ, 0x911, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        IF(BPF_JGT, 4, 2),
        BPF_STMT(BPF_JMP | BPF_JA, 0),
        RETURN(SECCOMP_RET_ERRNO | 99),
        RETURN(SECCOMP_RET_ERRNO | 98),
        RETURN(SECCOMP_RET_ALLOW),
    };

    CHECK_EQ(install(program, COUNT(program), 0), 0);
    CHECK_ERR(syscall(SYS_getpriority, 0x500001234ul, 0), 99);
    CHECK_ERR(syscall(SYS_getpriority, 0x400001234ul, 0), 98);
    CHECK_ERR(syscall(SYS_getpriority, 0x500001235ul, 0), 99);
    CHECK_ERR(syscall(SYS_getpriority, 0x500001334ul, 0), 98);
    CHECK(getpid() > 0);
}

/* ---- inheritance ---- */

static void *ask_parent(void *arg)
{
    *(long *)arg = syscall(SYS_getppid) == -1 ? errno : 0;
    return arg;
}

static volatile int go;

static void *ask_later(void *arg)
{
    while (!go)
        usleep(1000);
    return ask_parent(arg);
}

static void threads(void)
{
    long error = 0, later = 0;
    pthread_t one, two;

    pthread_create(&two, NULL, ask_later, &later);
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_ERRNO | 71, 0), 0);
    pthread_create(&one, NULL, ask_parent, &error);
    pthread_join(one, NULL);
    CHECK_EQ(error, 71);
    CHECK_EQ(answer(SYS_getsid, SECCOMP_RET_ERRNO | 72, SECCOMP_FILTER_FLAG_TSYNC), 0);
    go = 1;
    pthread_join(two, NULL);
    CHECK_EQ(later, 71); /* the older came along with the one for all */
    CHECK_ERR(syscall(SYS_getsid, 0), 72);
}

static volatile pid_t other_tid;

static void *filter_alone(void *arg)
{
    int former = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

    if (*(int *)arg)
        CHECK_EQ(answer(SYS_getsid, SECCOMP_RET_ERRNO | 75, 0), 0);
    other_tid = gettid();
    while (!go)
        usleep(1000);
    CHECK(former || !*(int *)arg);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1); /* it came along */
    return arg;
}

/* Threads follow the caller only where it has all that they have. */
static void all_or_none(void)
{
    const unsigned all = SECCOMP_FILTER_FLAG_TSYNC;
    const unsigned error = all | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    pthread_t thread;

    for (int alone = 0; alone < 2; alone++) {
        go = other_tid = 0;
        pthread_create(&thread, NULL, filter_alone, &alone);
        while (!other_tid)
            usleep(1000);
        CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_ERRNO | 72, all),
                 alone ? other_tid : 0);
        CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_ERRNO | 73, error), alone ? -1 : 0);
        CHECK(!alone || errno == ESRCH);
        go = 1;
        pthread_join(thread, NULL);
        CHECK_ERR(syscall(SYS_getpgid, 0), 73);
    }
    CHECK_EQ(answer(SYS_getpgid, SECCOMP_RET_ERRNO | 74, all), 0);
    CHECK_ERR(syscall(SYS_getpgid, 0), 74);
}

static void child_asks(void) { CHECK_ERR(syscall(SYS_getppid), 73); }

static void children(void)
{
    CHECK_EQ(answer(SYS_getppid, SECCOMP_RET_ERRNO | 73, 0), 0);
    CHECK_EQ(in_child(child_asks), 0);
    fflush(stdout);
    if (vfork() == 0)
        execl(self, self, "executed", NULL);
    int status = -1;
    wait(&status);
    CHECK_EQ(status, 0);
    execl(self, self, "executed", NULL);
}

static void no_execve(void)
{
    CHECK_EQ(answer(SYS_execve, SECCOMP_RET_ERRNO | 74, 0), 0);
    CHECK_ERR(execl(self, self, "executed", NULL), 74);
}

/* ---- what is refused ---- */

static void bad_programs(void)
{
    static const struct sock_filter bad[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 1),   /* not aligned */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),  /* beyond seccomp_data */
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),   /* a byte */
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),   /* relative to X */
        BPF_STMT(BPF_LD | BPF_MEM, 16),          /* beyond its memory */
        BPF_STMT(BPF_STX, ~0u),                  /* the same */
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),  /* by zero */
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), /* too far */
        BPF_STMT(BPF_ALU | 0xf0, 0),             /* unknown */
        BPF_STMT(0xff00 | BPF_ALU | BPF_ADD, 1), /* unknown */
        BPF_STMT(BPF_JMP | BPF_JA, 1),           /* behind the end */
        BPF_STMT(BPF_JMP | BPF_JA, ~0u),         /* backwards */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 200, 0),
        BPF_STMT(BPF_RET | BPF_X, 0),
    };
    struct sock_filter allow[2] = {RETURN(SECCOMP_RET_ALLOW),
                                   RETURN(SECCOMP_RET_ALLOW)};
    struct sock_fprog p = {2, (void *)0x10};
    unsigned action = 0x12340000;

    for (size_t i = 0; i < COUNT(bad); i++) {
        allow[0] = bad[i];
        CHECK_ERR(install(allow, 2, 0), EINVAL);
    }
    allow[1] = bad[0];
    allow[0] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    CHECK_ERR(install(allow, 2, 0), EINVAL);
    CHECK_ERR(install(allow, 0, 0), EINVAL);
    CHECK_ERR(install(allow, 4097, 0), EINVAL);
    CHECK_ERR(install(allow, 1, 1u << 31), EINVAL);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), EFAULT);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 16), EFAULT);
    CHECK_ERR(syscall(SYS_seccomp, 99, 0, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
    action = SECCOMP_RET_TRAP;
    CHECK_EQ(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

static void too_many(void)
{
    static struct sock_filter program[4000];
    long r = 0;
    int i;

    for (size_t k = 0; k < COUNT(program); k++)
        program[k] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    for (i = 0; i < 20 && (r = install(program, COUNT(program), 0)) == 0; i++)
        ;
    CHECK_EQ(r, -1);
    CHECK_EQ(errno, ENOMEM);
    CHECK(i > 2 && i < 10); /* how long the kernel makes them differs */
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        child_asks();
        return check_failed != 0;
    }
    self = argv[0];
    CHECK_EQ(in_child(bad_programs), 0);
    CHECK_EQ(in_child(too_many), 0);
    CHECK_EQ(in_child(refuse), 0);
    CHECK_EQ(in_child(arguments), 0);
    CHECK_EQ(in_child(raise_trap) & 0x7f, SIGSYS);
    CHECK_EQ(in_child(kill_process) & 0x7f, SIGSYS);
    CHECK_EQ(in_child(kill_thread), 0);
    CHECK_EQ(in_child(strict) & 0x7f, SIGKILL);
    CHECK_EQ(in_child(strict_exit), 9 << 8);
    CHECK_EQ(in_child(threads), 0);
    CHECK_EQ(in_child(all_or_none), 0);
    CHECK_EQ(in_child(children), 0);
    CHECK_EQ(in_child(no_execve), 0);
    return check_done("seccomp");
}
