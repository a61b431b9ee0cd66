/* SPDX-License-Identifier: MIT */
/*
 * execve: a guest program is run by another tessera with our options; a host program
 * by the host.  What would fail fails here, before anything is lost.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "sig.h"

#define SELF "/proc/self/exe"

enum { EXE_FD_LOWEST = 512 }; /* out of the way of the guest's */

void task_keep_exe(Process *p)
{
    int fd = p->exe_fd < 0 ? open(SELF, O_PATH | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    p->exe_fd = fcntl(fd, F_DUPFD_CLOEXEC, EXE_FD_LOWEST);
    if (p->exe_fd < 0)
        p->exe_fd = fd;
    else
        close(fd);
}

/* One that execve does not close; to be read, if that may be. */
static int copy_of(int fd)
{
    int copy = -1;
    char link[32];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fcntl(fd, F_GETFL) & O_PATH)
        copy = open(link, O_RDONLY);
    return copy >= 0 ? copy : dup(fd);
}

static bool is_readable(int fd) { return fd >= 0 && !(fcntl(fd, F_GETFL) & O_PATH); }

static bool is_script(int fd)
{
    char head[2];

    return is_readable(fd) && pread(fd, head, sizeof head, 0) == sizeof head &&
           !memcmp(head, "#!", sizeof head);
}

/* The path that a new tessera can open: relative to dir by way of /proc.  Of a
 * descriptor that execve would close there is a copy then, else *copy is -1. */
static i64 program_path(int dir, const char *path, int flags, char out[PATH_MAX],
                        int *copy)
{
    int n;

    if (*path == 0 && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (*path == 0) {
        int fd_flags = fcntl(dir, F_GETFD);

        if (fd_flags < 0)
            return -EBADF;
        if ((fd_flags & FD_CLOEXEC) && (*copy = dir = copy_of(dir)) < 0)
            return -errno;
        n = snprintf(out, PATH_MAX, "/proc/self/fd/%d", dir);
    } else if (*path == '/' || dir == AT_FDCWD) {
        n = snprintf(out, PATH_MAX, "%s", path);
    } else {
        n = snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", dir, path);
    }
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* tessera OPTIONS -0 ARGV0 PROGRAM ARGS: pointers into ours and the guest's. */
static char **tessera_argv(const Process *p, const char *path, char **argv)
{
    size_t n = 0, n_guest = 0;
    char **all;

    while (argv[n_guest])
        n_guest++;
    all = options_argv(&p->options, n_guest + 13, &n);
    if (!all)
        return NULL;
    all[n++] = "-0";
    all[n++] = n_guest ? argv[0] : "";
    all[n++] = "--";
    all[n++] = (char *)path;
    for (size_t i = 1; i < n_guest; i++)
        all[n++] = argv[i];
    all[n] = NULL;
    return all;
}

/* There is room for it. */
static void insert_option(char **all, char *name, char *value)
{
    size_t n = 0;

    while (all[n])
        n++;
    memmove(all + 3, all + 1, n * sizeof *all);
    all[1] = name;
    all[2] = value;
}

/* -ENOENT: there is no way to our own file. */
static i64 exec_self(const Process *p, char **argv, char **envp)
{
    if (p->exe_fd >= 0)
        return safe_syscall(SYS_execveat, p->exe_fd, "", argv, envp, AT_EMPTY_PATH);
    if (access(SELF, F_OK) == 0)
        return safe_syscall(SYS_execve, SELF, argv, envp);
    if (p->options.binfmt) /* AT_EXECFN is the guest's program */
        return -ENOENT;
    return safe_syscall(SYS_execve, getauxval(AT_EXECFN), argv, envp); /* no /proc */
}

/* May the kernel start it, which knows nothing of our options? */
static bool kernel_may(const Task *t)
{
    const Process *p = t->process;

    return p->options.binfmt && !p->options.prefix && !p->traced && !t->gdb &&
           !t->seccomp && !p->seccomp;
}

/* Does executing the file give rights that only the kernel can give? */
static bool gives_rights(const char *host_path)
{
    struct stat st;

    return (stat(host_path, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID))) ||
           getxattr(host_path, "security.capability", NULL, 0) > 0;
}

/* elf_probe; what is not for us to read may be for the kernel to run. */
static i64 probe(const Task *t, const char *host_path, FileKind *kind)
{
    i64 r = elf_probe(t->process, host_path, kind);

    if (r != -EACCES || !kernel_may(t))
        return r;
    *kind = FILE_HOST;
    return 0;
}

/* Returns only where it fails. */
static i64 exec_guest(const Task *t, const char *host_path, char **all, char **argv,
                      char **envp)
{
    const Process *p = t->process;
    i64 r;

    if (kernel_may(t) && gives_rights(host_path))
        safe_syscall(SYS_execve, host_path, argv, envp);
    r = exec_self(p, all, envp);
    if (r == -ENOENT && p->options.binfmt)
        r = safe_syscall(SYS_execve, host_path, argv, envp);
    return r;
}

/* Our own fault handlers become default actions; what the guest ignores stays so. */
static void mirror_fault_signals(Process *p)
{
    for (int sig = 1; sig <= SIGNALS; sig++)
        if ((p->traced || signal_bit(sig) & FAULT_SIGNALS) &&
            p->actions[sig].handler == ABI_SIG_IGN)
            host_sigaction(sig, SIG_IGN, 0, 0);
}

/* The guest's filters of system calls for the new program: a descriptor, none (-1) or
 * -errno. */
static int hand_on_filters(const Task *t, char **all, char text[32])
{
    int fd;

    if (!t->seccomp && !t->process->seccomp)
        return -1;
    if (!all) /* a program for the host would be without */
        return -EACCES;
    fd = seccomp_exec_begin(t);
    snprintf(text, 32, "fd:%d", fd);
    insert_option(all, "-seccomp", text);
    return fd;
}

/* copy: a descriptor of the program that nobody else needs, or -1. */
static i64 exec_program(Task *t, char *program, int copy, char **argv, char **envp)
{
    static char *none[] = {NULL};
    Process *p = t->process;
    char buf[PATH_MAX], open[16];
    const char *host_path = path_host(p, program, buf);
    char **all = NULL;
    FileKind kind;
    char gdb[32] = "", seccomp[32], ptrace[TRACEE_TEXT];
    int debugger = -1, filters;
    i64 r;

    if ((r = probe(t, host_path, &kind)) < 0)
        return r;
    if (is_script(copy)) /* its interpreter could not open it */
        return -ENOENT;
    if (signal_ready(t))
        return SYS_RESTART;
    if (kind == FILE_GUEST && !(all = tessera_argv(p, program, argv ? argv : none)))
        return -ENOMEM;
    if ((filters = hand_on_filters(t, all, seccomp)) < -1) {
        free(all);
        return filters;
    }
    snprintf(open, sizeof open, "fd:%d", copy);
    if (all && is_readable(copy))
        insert_option(all, "-program", open);
    if (all && t->gdb)
        debugger = gdb_exec_begin(t);
    if (debugger >= 0)
        snprintf(gdb, sizeof gdb, "fd:%d", debugger);
    if (all && p->options.gdb)
        insert_option(all, "-g", gdb); /* also against a variable that says other */
    if (all && ptrace_exec_begin(t, ptrace))
        insert_option(all, "-ptrace", ptrace);
    if (!t->vfork_child)
        task_stats(p);
    if (!t->vfork_child && !all)
        explain_end(p, "went on as %s", host_path);
    memcpy(t->left, (void *[]){argv, envp, all}, sizeof t->left);
    mirror_fault_signals(p);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &t->mask, NULL, sizeof t->mask);
    if (all)
        r = exec_guest(t, host_path, all, argv ? argv : none, envp ? envp : none);
    else
        r = safe_syscall(SYS_execve, host_path, argv ? argv : none, envp ? envp : none);
    memset(t->left, 0, sizeof t->left);
    if (all && t->gdb)
        gdb_exec_failed(t, debugger);
    if (filters >= 0)
        close(filters);
    free(all);
    signal_init_faults();
    if (p->traced)
        signal_watch(p, true);
    signal_host_mask(t->mask);
    return r == SYS_RESTART_SA ? SYS_RESTART : r;
}

i64 task_exec(Task *t, int dir, const char *path, char **argv, char **envp, int flags)
{
    char program[PATH_MAX];
    int copy = -1;
    i64 r = program_path(dir, path, flags, program, &copy);

    if (r == 0)
        r = exec_program(t, program, copy, argv, envp);
    if (copy >= 0)
        close(copy);
    return r;
}
