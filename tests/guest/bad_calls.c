/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run bad_calls
 *
 * Every system call number with bad addresses and absurd numbers, each in a child of
 * its own: the emulator must answer or let the child die of a signal, never crash,
 * hang or damage its parent. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { LAST = 480, TRIES = 24 };

/* Those that would reach beyond the child, or only wait. */
static int is_excluded(int nr)
{
    static const int list[] = {
        SYS_kill,          SYS_tkill,
        SYS_tgkill,        SYS_rt_sigqueueinfo,
        SYS_reboot,        SYS_clone,
        SYS_clone3,        SYS_vhangup,
        SYS_umount2,       SYS_mount,
        SYS_pivot_root,    SYS_swapon,
        SYS_swapoff,       SYS_acct,
        SYS_syslog,        SYS_sethostname,
        SYS_settimeofday,  SYS_clock_settime,
        SYS_adjtimex,      SYS_setns,
        SYS_clock_adjtime, SYS_setdomainname,
        SYS_sync,          SYS_rt_tgsigqueueinfo,
        SYS_setpriority,   SYS_sched_setaffinity,
        SYS_ioprio_set,    SYS_process_mrelease,
        SYS_exit,          SYS_exit_group,
        SYS_msgget,        SYS_semget,
        SYS_shmget,        SYS_ioctl,
        SYS_unshare,       SYS_chroot,
        SYS_quotactl,
    };

    for (size_t i = 0; i < COUNT(list); i++)
        if (list[i] == nr)
            return 1;
    return 0;
}

/* Blocked for good; or its own memory or stack frame taken away. */
static int may_die(int nr, int sig)
{
    return sig == SIGALRM ||
           (sig == SIGSEGV && (nr == SYS_rt_sigreturn || nr == SYS_munmap ||
                               nr == SYS_mmap || nr == SYS_mremap));
}

static u64 odd_value(u64 *state, char *page)
{
    u64 values[] = {0,
                    1,
                    8,
                    100,
                    4095,
                    ~0ull,
                    ~0ull - 7,
                    1ull << 31,
                    1ull << 63,
                    0x1000,
                    (u64)page,
                    (u64)page + 4090,
                    (u64)page + 4096,
                    0x7fffffffffff,
                    random_next(state)};

    return values[random_next(state) % COUNT(values)];
}

static void make_calls(int nr)
{
    char *page =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u64 state = 88172645463325252ull + (u64)nr;

    munmap(page + 4096, 4096);
    memset(page, 'x', 4096);
    alarm(1);
    for (int i = 0; i < TRIES; i++) {
        u64 a[6];

        for (int k = 0; k < 6; k++)
            a[k] = odd_value(&state, page);
        if (a[0] <= 2)
            a[0] = 99; /* not the descriptors we print to */
        syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    _exit(0);
}

int main(void)
{
    struct rlimit none = {0, 0};
    char dir[] = "calls.XXXXXX";

    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    setrlimit(RLIMIT_CORE, &none);
    for (int nr = 0; nr < LAST; nr++) {
        int status = 0;
        pid_t pid;

        if (is_excluded(nr))
            continue;
        pid = fork();
        if (!pid)
            make_calls(nr);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) ? status == 0 : may_die(nr, WTERMSIG(status)));
    }
    return check_done("bad_calls");
}
