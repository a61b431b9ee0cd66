/* SPDX-License-Identifier: MIT */
/*
 * When a core file is written and what its name is, as core(5) says; and how the
 * kernel comes to report one in the wait status.  What is in it is core_file.c's.
 */
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include "core.h"
#include "sig.h"

#define CORE_SIGNALS                                                               \
    (BIT_(SIGQUIT) | BIT_(SIGILL) | BIT_(SIGTRAP) | BIT_(SIGABRT) | BIT_(SIGBUS) | \
     BIT_(SIGFPE) | BIT_(SIGSEGV) | BIT_(SIGXCPU) | BIT_(SIGXFSZ) | BIT_(SIGSYS))

#define PATTERN "/proc/sys/kernel/core_pattern"

static u64 soft_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_CORE, &limit) ? 0 : limit.rlim_cur;
}

static bool is_off(const Process *p)
{
    return p->options.core && !strcmp(p->options.core, "off");
}

/* Bytes that the file may have. */
static u64 core_limit(const Process *p)
{
    if (is_off(p))
        return 0;
    return p->options.core ? RLIM_INFINITY : soft_limit();
}

void core_update(Process *p)
{
    /* Where none is wanted, the kernel may not write one of us. */
    u64 signals = core_limit(p) || soft_limit() ? CORE_SIGNALS : 0;

    if (signals != p->core_signals)
        signal_take(p, signals);
}

/* ---- the name ---- */

static void add_number(GString *out, i64 n) { g_string_append_printf(out, "%ld", n); }

/* The path with ! for its slashes, as the kernel does. */
static void add_path(GString *out, const char *path)
{
    for (; *path; path++)
        g_string_append_c(out, *path == '/' ? '!' : *path);
}

static void expand(const Task *t, int sig, char c, GString *out)
{
    struct utsname host;
    char comm[17] = "";

    switch (c) {
    case '%': g_string_append_c(out, '%'); break;
    case 'p':
    case 'P': add_number(out, getpid()); break;
    case 'i':
    case 'I': add_number(out, t->tid); break;
    case 'u': add_number(out, getuid()); break;
    case 'g': add_number(out, getgid()); break;
    case 's': add_number(out, sig); break;
    case 't': add_number(out, time(NULL)); break;
    case 'e':
    case 'f':
        prctl(PR_GET_NAME, comm);
        add_path(out, comm);
        break;
    case 'E': add_path(out, t->process->exe ? t->process->exe : ""); break;
    case 'h':
        if (uname(&host) == 0)
            g_string_append(out, host.nodename);
        break;
    }
}

char *core_name(const Task *t, int sig, const char *pattern)
{
    GString *out = g_string_new(NULL);

    for (; *pattern; pattern++) {
        if (*pattern != '%')
            g_string_append_c(out, *pattern);
        else if (pattern[1])
            expand(t, sig, *++pattern, out);
    }
    return g_string_free(out, false);
}

/* Of the kernel's settings; NULL: a program is to get the file. */
static char *kernel_pattern(void)
{
    g_autofree char *uses_pid = NULL;
    char *text = NULL;

    if (!g_file_get_contents(PATTERN, &text, NULL, NULL))
        return g_strdup("core");
    g_strchomp(text);
    if (*text == '|') {
        g_free(text);
        return NULL;
    }
    if (!strstr(text, "%p") &&
        g_file_get_contents("/proc/sys/kernel/core_uses_pid", &uses_pid, NULL, NULL) &&
        *uses_pid == '1') {
        char *with_pid = g_strconcat(text, ".%p", NULL);

        g_free(text);
        return with_pid;
    }
    return text;
}

/* ---- the wait status ---- */

/*
 * Only a core file of the kernel's sets WCOREDUMP.  So it is let write one, of a page
 * and in a folder of its own, which a child takes away when we are dead.
 */
typedef struct Decoy {
    char dir[32];
    char *name; /* of the file; from the current folder, which is dir */
    int pidfd;  /* ours */
} Decoy;

static bool decoy_begin(Decoy *d)
{
    strcpy(d->dir, "/tmp/tessera-XXXXXX");
    d->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (d->pidfd < 0 || unshare(CLONE_FS) || !mkdtemp(d->dir))
        return false;
    return chdir(d->dir) == 0 || rmdir(d->dir);
}

/* A child like fork's, without what libc does about it. */
static void decoy_child(const Decoy *d)
{
    struct pollfd death = {.fd = d->pidfd, .events = POLLIN};
    u64 all = ~0ull;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    if (d->pidfd > 0) /* readers wait for the end */
        host_syscall(SYS_close_range, 0, d->pidfd - 1, 0);
    host_syscall(SYS_close_range, d->pidfd + 1, ~0u, 0);
    host_syscall(SYS_poll, &death, 1, 60 * 1000);
    host_syscall(SYS_unlink, d->name);
    host_syscall(SYS_rmdir, d->dir);
    host_syscall(SYS_exit_group, 0);
}

static void write_setting(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        log_printf("%s: %s\n", file, strerror(errno));
    close(fd);
}

/* A page is the least that the kernel writes. */
static bool allow_page(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) || limit.rlim_max < PAGE_SIZE)
        return false;
    limit.rlim_cur = PAGE_SIZE;
    return setrlimit(RLIMIT_CORE, &limit) == 0;
}

static void forbid(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
}

static void report_in_status(const Task *t, int sig)
{
    g_autofree char *pattern = kernel_pattern();
    Decoy d = {0};
    i64 child;

    if (!pattern || strchr(pattern, '/') || t->vfork_child || !allow_page() ||
        !decoy_begin(&d)) {
        forbid();
        return;
    }
    d.name = core_name(t, sig, pattern);
    child = host_syscall(SYS_clone, 0, 0, NULL, NULL, 0);
    if (child == 0)
        decoy_child(&d);
    if (child < 0) { /* nobody would take it away */
        rmdir(d.dir);
        forbid();
    }
}

/* ---- dying ---- */

void core_dump(Task *t, const siginfo_t *info)
{
    Process *p = t->process;
    int sig = info->si_signo;
    g_autofree char *pattern = NULL;
    g_autofree char *name = NULL;
    u64 limit = core_limit(p);

    if (!(signal_bit(sig) & CORE_SIGNALS))
        return;
    write_setting("/proc/self/coredump_filter", "0"); /* of us: no memory */
    if (is_off(p))
        forbid();
    if (!limit || prctl(PR_GET_DUMPABLE) != 1)
        return;
    pattern = p->options.core ? g_strdup(p->options.core) : kernel_pattern();
    if (!pattern)
        return;
    name = core_name(t, sig, pattern);
    if (core_write(t, info, name, limit))
        report_in_status(t, sig);
    else
        forbid(); /* ours would say nothing to anybody */
}
