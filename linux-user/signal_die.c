/* SPDX-License-Identifier: MIT */
/* How a process ends by a signal: what is said about it, and the wait status. */
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include "ptrace.h"

/* ---- which mapping ---- */

/* The line of /proc/self/maps for a host address: its file and offset. */
static bool find_file(u64 host_addr, char *path, u64 *offset)
{
    char line[PATH_MAX + 100];
    FILE *f = fopen("/proc/self/maps", "re");
    bool found = false;

    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned long long start, end, off;

        *path = 0;
        if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %4095[^\n]", &start, &end, &off,
                   path) < 3)
            continue;
        found = host_addr >= start && host_addr < end;
        *offset = off + host_addr - start;
    }
    if (f)
        fclose(f);
    return found && *path == '/';
}

void mem_describe(Process *p, u64 addr, char *out, size_t size)
{
    Memory *m = p->mem;
    char path[PATH_MAX];
    u64 offset;

    if (!mem_mapped(m, addr, 1))
        snprintf(out, size, "unmapped");
    else if (addr >= m->stack_start && addr < m->stack_end)
        snprintf(out, size, "[stack]");
    else if (addr >= m->brk_start && addr < m->brk)
        snprintf(out, size, "[heap]");
    else if (find_file((u64)space_host(&m->space, addr), path, &offset))
        snprintf(out, size, "%s+0x%llx", path, (long long)offset);
    else
        snprintf(out, size, "anonymous");
}

/* ---- the end ---- */

static const char *signal_name(int sig)
{
    const char *name = sigabbrev_np(sig);

    return name ? name : "signal";
}

static bool is_fault(const siginfo_t *info)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        if (info->si_signo == faults[i])
            return info->si_code > 0;
    return false;
}

void signal_die(Task *t, int sig)
{
    u64 only = ~signal_bit(sig);

    task_robust_end(t);
    task_stats(t->process);
    if (!t->vfork_child)
        explain_end(t->process, "killed by SIG%s", signal_name(sig));
    if (t->gdb)
        gdb_process_end(t, 0, sig);
    ptrace_process_end(t, (u32)sig);
    host_sigaction(sig, SIG_DFL, 0, 0);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &only, NULL, sizeof only);
    host_syscall(SYS_tgkill, getpid(), gettid(), sig);
    _exit(128 + sig); /* not a signal that kills */
}

void signal_let_die(const Process *p)
{
    if (p->dying == getpid())
        ptrace_park();
}

/* The first thread's signal counts; a Process may be that of several processes. */
static void begin_to_die(Process *p)
{
    if (atomic_exchange(&p->dying, getpid()) == getpid())
        ptrace_park();
}

void signal_die_of(Task *t, const siginfo_t *info, const char *why)
{
    begin_to_die(t->process);
    if (is_fault(info) || why)
        crash_report(t, info, why);
    core_dump(t, info);
    signal_die(t, info->si_signo);
}

void signal_bug(int sig, const siginfo_t *info, const ucontext_t *context)
{
    u64 all = 0;

    crash_bug(task_self, sig, (void *)context->uc_mcontext.gregs[REG_RIP],
              info->si_addr);
    host_sigaction(sig, SIG_DFL, 0, 0);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    host_syscall(SYS_tgkill, getpid(), gettid(), sig);
    _exit(128 + sig);
}
