/* SPDX-License-Identifier: MIT */
/*
 * -sandbox on: what the process may ask of its kernel once the guest begins to run.
 * Back ends are open by then, so a list of system calls is enough (seccomp): no program
 * is run, no process made, no file opened.  Where a folder is shared or a network is
 * there, files must still be opened: Landlock keeps them to that folder, and to the one
 * file that names the host's DNS servers.
 *
 * What is not on the list fails with EPERM, and what nobody asks for by accident is the
 * end of the process.  State cannot be saved from inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fs.h"
#include "net.h"

/* ---- the lists ---- */

static const int always[] = {
    /* memory, threads, signals */
    SCMP_SYS(arch_prctl),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(futex_waitv),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sysinfo),
    /* time and chance */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime),
    /* what is open */
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(fallocate),
    SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fstat),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(lseek),
    SCMP_SYS(newfstatat),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(pselect6),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(select),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(statx),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

static const int network[] = {
    SCMP_SYS(bind),       SCMP_SYS(connect), SCMP_SYS(listen), SCMP_SYS(openat),
    SCMP_SYS(socketpair), SCMP_SYS(socket),  SCMP_SYS(stat),
};

static const int folders[] = {
    SCMP_SYS(chmod),      SCMP_SYS(fchmod),   SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),     SCMP_SYS(fchownat), SCMP_SYS(fstatfs),
    SCMP_SYS(getdents64), SCMP_SYS(linkat),   SCMP_SYS(mkdirat),
    SCMP_SYS(mknodat),    SCMP_SYS(openat),   SCMP_SYS(openat2),
    SCMP_SYS(readlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(symlinkat),  SCMP_SYS(unlinkat), SCMP_SYS(utimensat),
};

static const int never[] = {
    SCMP_SYS(add_key),
    SCMP_SYS(bpf),
    SCMP_SYS(chroot),
    SCMP_SYS(delete_module),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(finit_module),
    SCMP_SYS(fork),
    SCMP_SYS(init_module),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(kexec_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(kill),
    SCMP_SYS(mount),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(pivot_root),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(ptrace),
    SCMP_SYS(reboot),
    SCMP_SYS(request_key),
    SCMP_SYS(setns),
    SCMP_SYS(setuid),
    SCMP_SYS(tkill),
    SCMP_SYS(umount2),
    SCMP_SYS(unshare),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(vfork),
};

/* ---- seccomp ---- */

static int filter_list(scmp_filter_ctx f, u32 action, const int *list, u32 n)
{
    int error = 0;

    for (u32 i = 0; i < n && !error; i++)
        error = seccomp_rule_add(f, action, list[i], 0);
    return error;
}

static const struct {
    int call;
    u32 argument;
    u64 mask, value;
} with[] = {
    {SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD}, /* threads, no processes */
    {SCMP_SYS(prctl), 0, ~0u, PR_SET_NAME},
    {SCMP_SYS(ioctl), 1, ~0u, FIONBIO}, /* and no typing into the terminal */
    {SCMP_SYS(ioctl), 1, ~0u, FIONREAD},
    {SCMP_SYS(ioctl), 1, ~0u, TCGETS},
    {SCMP_SYS(ioctl), 1, ~0u, TCSETS},
    {SCMP_SYS(ioctl), 1, ~0u, TCSETSF},
    {SCMP_SYS(ioctl), 1, ~0u, TCSETSW},
    {SCMP_SYS(ioctl), 1, ~0u, TIOCGWINSZ},
};

static int filter_arguments(scmp_filter_ctx f)
{
    int error = 0;

    for (u32 i = 0; i < G_N_ELEMENTS(with) && !error; i++)
        error = seccomp_rule_add(f, SCMP_ACT_ALLOW, with[i].call, 1,
                                 SCMP_CMP(with[i].argument, SCMP_CMP_MASKED_EQ,
                                          with[i].mask, with[i].value));
    if (!error) /* signals of its own threads */
        error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, getpid()));
    if (!error) /* glibc makes do with clone, whose flags can be seen */
        error = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return error;
}

/* For all threads.  0, or -errno. */
static int filter_load(bool has_network, bool has_folders)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error;

    if (!f)
        return -ENOMEM;
    error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!error)
        error = filter_list(f, SCMP_ACT_ALLOW, always, G_N_ELEMENTS(always));
    if (!error && has_network)
        error = filter_list(f, SCMP_ACT_ALLOW, network, G_N_ELEMENTS(network));
    if (!error && has_folders)
        error = filter_list(f, SCMP_ACT_ALLOW, folders, G_N_ELEMENTS(folders));
    if (!error)
        error = filter_list(f, SCMP_ACT_KILL_PROCESS, never, G_N_ELEMENTS(never));
    if (!error)
        error = filter_arguments(f);
    if (!error)
        error = seccomp_load(f);
    seccomp_release(f);
    return error;
}

/* ---- Landlock ---- */

enum {
    READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE,
    READ = READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    FIRST_RIGHTS = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1, /* those of the first version */
    ALL_RIGHTS = FIRST_RIGHTS | LANDLOCK_ACCESS_FS_REFER,
};

static bool land_allow(int ruleset, int fd, u64 rights)
{
    const struct landlock_path_beneath_attr rule = {rights, fd};

    return !syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
                    0);
}

static bool land_folders(const Machine *m, int ruleset, u64 rights)
{
    for (u32 i = 0; i < m->devices->len; i++) {
        const Device *d = m->devices->pdata[i];
        const Fs *fs = (const Fs *)d;

        if (d->type == &fs_local &&
            !land_allow(ruleset, fs->root,
                        (fs->read_only ? READ : ALL_RIGHTS) & rights))
            return false;
    }
    return true;
}

/* What is opened from now on lies in the shared folders.  False: errno. */
static bool land_lock(const Machine *m, bool has_network)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    const struct landlock_ruleset_attr all = {version < 2 ? FIRST_RIGHTS : ALL_RIGHTS};
    int ruleset, resolver = open("/etc/resolv.conf", O_PATH | O_CLOEXEC);
    bool ok;

    if (version < 1)
        return false;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    ok = ruleset >= 0 && land_folders(m, ruleset, all.handled_access_fs) &&
         (!has_network || resolver < 0 || land_allow(ruleset, resolver, READ_FILE)) &&
         !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
         !syscall(SYS_landlock_restrict_self, ruleset, 0);
    if (ruleset >= 0)
        close(ruleset);
    if (resolver >= 0)
        close(resolver);
    return ok;
}

/* ---- both ---- */

bool sandbox_enter(Machine *m, char **error)
{
    bool has_network = false, has_folders = false;
    int failed;

    for (u32 i = 0; i < m->devices->len; i++) {
        const Device *d = m->devices->pdata[i];

        has_network |= d->type->free == net_free;
        has_folders |= d->type == &fs_local;
    }
    if (!land_lock(m, has_network) && (has_network || has_folders)) {
        *error = g_strdup_printf("-sandbox on: with a network or a shared folder the "
                                 "host needs Landlock: %s",
                                 g_strerror(errno));
        return false;
    }
    failed = filter_load(has_network, has_folders);
    if (failed)
        *error = g_strdup_printf("-sandbox on: seccomp: %s", g_strerror(-failed));
    return !failed;
}
