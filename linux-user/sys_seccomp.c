/* SPDX-License-Identifier: MIT */
/*
 * Seccomp: the guest's filters see the guest's numbers, so they are run here, before a
 * system call is made.  They bind the guest, not us: a program that breaks out of the
 * emulator leaves them behind.
 *
 * A thread has filters of its own, and the process those that TSYNC gave to all.  A
 * filter is never changed; children share those of their parents, and execve hands them
 * on in a file (-seccomp).  Listeners: seccomp_listen.c.
 */
#include <linux/audit.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "bpf.h"
#include "ptrace.h"
#include "sys.h"

typedef struct Head {
    u32 n;     /* instructions */
    u32 turn;  /* of its listener; 0: it has none */
    u32 flags; /* those that are kept: SECCOMP_FILTER_FLAG_LOG */
    u32 id;    /* copies of one filter have the same */
} Head;

struct Seccomp {
    Seccomp *older;
    _Atomic u32 users; /* threads and newer filters */
    u32 total;         /* instructions of it and all older ones, as the kernel counts */
    Head head;
    struct sock_filter program[];
};

enum { TOTAL_MOST = 32768, EACH_COSTS = 4 }; /* MAX_INSNS_PER_PATH */

/* ---- lists of filters ---- */

Seccomp *seccomp_share(Seccomp *s)
{
    if (s)
        atomic_fetch_add(&s->users, 1);
    return s;
}

void seccomp_drop(Seccomp *s)
{
    while (s && atomic_fetch_sub(&s->users, 1) == 1) {
        Seccomp *older = s->older;

        free(s);
        s = older;
    }
}

/* Puts a copy of the program at the head of a list; 0 or -errno. */
static i64 add(Seccomp *_Atomic *list, const struct sock_filter *program, Head head)
{
    Seccomp *older = *list, *s;
    u32 n = head.n, total = (older ? older->total + EACH_COSTS : 0) + n;

    if (!bpf_check(program, n))
        return -EINVAL;
    if (total > TOTAL_MOST || !(s = malloc(sizeof *s + n * sizeof *program)))
        return -ENOMEM;
    s->older = older; /* its user is now s */
    s->users = 1;
    s->total = total;
    s->head = head;
    memcpy(s->program, program, n * sizeof *program);
    *list = s;
    return 0;
}

/* The same, oldest first, for all of another list. */
static i64 add_all(Seccomp *_Atomic *list, const Seccomp *s)
{
    i64 r = s ? add_all(list, s->older) : 0;

    return s && r == 0 ? add(list, s->program, s->head) : r;
}

/* ---- a system call meets them ---- */

static i32 action_of(u32 result) { return (i32)(result & SECCOMP_RET_ACTION_FULL); }

typedef struct Verdict {
    u32 answer;
    u32 turn; /* of the filter that gave it */
} Verdict;

static bool is_action(Verdict v, u32 action)
{
    return (v.answer & SECCOMP_RET_ACTION_FULL) == action;
}

/* The strictest answer; among equals the newest filter's. */
static void ask(const Seccomp *s, const struct seccomp_data *data, Verdict *v)
{
    for (; s; s = s->older) {
        u32 answer = bpf_run(s->program, data);

        if (action_of(answer) < action_of(v->answer))
            *v = (Verdict){answer, s->head.turn};
    }
}

u32 seccomp_arch(const Task *t)
{
    return t->process->abi->elf_machine | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE;
}

static void trap(Task *t, u32 data)
{
    siginfo_t info = {.si_signo = SIGSYS, .si_code = 1 /* SYS_SECCOMP */};

    info.si_errno = (int)data;
    info.si_call_addr = (void *)t->env->pc;
    info.si_syscall = (int)t->sys.nr;
    info.si_arch = seccomp_arch(t);
    signal_force_info(t, &info);
}

/* The thread ends; the process too, when it was the last one. */
static i64 kill_thread(Task *t, int sig)
{
    if (t->process->n_tasks == 1 || t->vfork_child)
        signal_die(t, sig);
    return task_exit(t, sig);
}

static bool strict_allows(const Task *t)
{
    static const char *const names[] = {"read", "write", "exit", "rt_sigreturn"};
    const SysDesc *d = sys_desc(t->sys.nr);

    for (size_t i = 0; d && i < ARRAY_SIZE(names); i++)
        if (!strcmp(d->name, names[i]))
            return true;
    return false;
}

static Verdict verdict_of(const Task *t)
{
    struct seccomp_data data = {.nr = (int)t->sys.nr,
                                .arch = seccomp_arch(t),
                                .instruction_pointer = t->env->pc};
    Verdict v = {SECCOMP_RET_ALLOW, 0};

    for (size_t i = 0; i < ARRAY_SIZE(data.args); i++)
        data.args[i] = t->sys.arg[i];
    ask(t->seccomp, &data, &v);
    ask(t->process->seccomp, &data, &v);
    return v;
}

/* The tracer looks at the call, and the filters at what it makes of it. */
static Verdict verdict_traced(Task *t, Verdict v)
{
    if (!ptrace_seccomp(t, v.answer & SECCOMP_RET_DATA))
        return (Verdict){SECCOMP_RET_ERRNO | ENOSYS, 0};
    if (t->sys.nr == ~0ull)
        return v;
    v = verdict_of(t);
    return is_action(v, SECCOMP_RET_TRACE) ? (Verdict){SECCOMP_RET_ALLOW, 0} : v;
}

bool seccomp_stops(Task *t, i64 *result)
{
    Verdict v;
    u32 told;

    if (t->seccomp_strict) {
        *result = strict_allows(t) ? 0 : kill_thread(t, SIGKILL);
        return *result;
    }
    if (t->traced && t->ptrace->options & PTRACE_O_SUSPEND_SECCOMP)
        return false;
    v = verdict_of(t);
    if (is_action(v, SECCOMP_RET_TRACE))
        v = verdict_traced(t, v);
    told = v.answer & SECCOMP_RET_DATA;
    *result = SYS_KEEP;
    switch (v.answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG: return false;
    case SECCOMP_RET_ERRNO: *result = -(i64)MIN(told, 4095u); return true;
    case SECCOMP_RET_TRAP: trap(t, told); return true;
    case SECCOMP_RET_TRACE: return true; /* the tracer says -1: the registers stay */
    case SECCOMP_RET_USER_NOTIF: return seccomp_notify(t, v.turn, result);
    case SECCOMP_RET_KILL_THREAD: *result = kill_thread(t, SIGSYS); return true;
    default: signal_die(t, SIGSYS);
    }
}

/* ---- new filters ---- */

static bool is_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return host_syscall(SYS_capget, &header, caps) == 0 &&
           caps[0].effective & 1u << CAP_SYS_ADMIN;
}

/* no_new_privs came with TSYNC. */
static void catch_up(const Task *t)
{
    if (t->process->no_new_privs)
        host_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

i64 seccomp_no_new_privs(const Task *t)
{
    catch_up(t);
    return host_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static bool may_filter(void)
{
    return host_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1 || is_admin();
}

static bool has(const Seccomp *s, u32 id)
{
    while (s && s->head.id != id)
        s = s->older;
    return s;
}

u32 seccomp_newest(const Task *t)
{
    return t->seccomp_strict ? ~0u : t->seccomp ? t->seccomp->head.id : 0;
}

static void publish(const Task *t)
{
    if (t->ptrace)
        t->ptrace->filter = seccomp_newest(t);
}

/* A thread that has a filter which the caller has not; 0: there is none. */
static i32 astray(const Task *t)
{
    PtraceSlot *s;

    for (u32 i = 0; (s = ptrace_next(&i, getpid())); i++)
        if (s != t->ptrace && s->state != TRACEE_EXITED && s->filter &&
            !has(t->seccomp, s->filter) && !has(t->process->seccomp, s->filter))
            return s->tid;
    return 0;
}

/* The program becomes all threads', and so do those that the caller has. */
static i64 add_for_all(Task *t, const struct sock_filter *program, Head head)
{
    Process *p = t->process;
    i64 r;

    lock_take(&p->signal_lock);
    r = add_all(&p->seccomp, t->seccomp);
    if (r == 0)
        r = add(&p->seccomp, program, head);
    lock_leave(&p->signal_lock);
    if (r == 0) {
        seccomp_drop(t->seccomp);
        t->seccomp = NULL;
        p->no_new_privs |= seccomp_no_new_privs(t) == 1;
    }
    return r;
}

static u32 last_turn(const Seccomp *s)
{
    u32 turn = 0;

    for (; s; s = s->older)
        turn = MAX(turn, s->head.turn);
    return turn;
}

/* Returns the listener, if it is to have one. */
static i64 add_filter(Task *t, u64 flags, const struct sock_filter *program, u32 n)
{
    const bool all = flags & SECCOMP_FILTER_FLAG_TSYNC;
    Head head = {.n = n, .flags = flags & SECCOMP_FILTER_FLAG_LOG};
    i64 listener = 0, r;

    if (!bpf_check(program, n))
        return -EINVAL;
    r = all ? astray(t) : 0;
    if (r > 0)
        return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : r;
    head.id = ++t->process->seccomp_ids;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
        head.turn = MAX(last_turn(t->seccomp), last_turn(t->process->seccomp)) + 1;
        listener = seccomp_listen(head.turn, (u32)flags);
        if (listener < 0)
            return listener;
    }
    r = all ? add_for_all(t, program, head) : add(&t->seccomp, program, head);
    if (r < 0 && head.turn)
        close((int)listener);
    publish(t);
    return r < 0 ? r : listener;
}

/* Which go together, and which are known at all. */
static bool flags_are_good(u64 flags)
{
    const u64 known =
        SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
        SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER |
        SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    const u64 both = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER;
    const bool listens = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;

    return !(flags & ~known) &&
           ((flags & both) != both || flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) &&
           (listens || !(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
}

static i64 set_filter(Task *t, u64 flags, u64 addr)
{
    struct {
        u16 n, pad[3];
        u64 program;
    } g;
    struct sock_filter program[BPF_PROGRAM_LONGEST];

    if (!flags_are_good(flags))
        return -EINVAL;
    if (!GET(t, addr, &g))
        return -EFAULT;
    if (g.n == 0 || g.n > BPF_PROGRAM_LONGEST)
        return -EINVAL;
    catch_up(t);
    if (!may_filter())
        return -EACCES;
    if (!guest_read(t, program, g.program, g.n * sizeof *program))
        return -EFAULT;
    return t->seccomp_strict ? -EINVAL : add_filter(t, flags, program, g.n);
}

static i64 set_strict(Task *t)
{
    if (t->seccomp || t->process->seccomp)
        return -EINVAL;
    t->seccomp_strict = true;
    publish(t);
    return 0;
}

static i64 action_available(Task *t, u64 flags, u64 addr)
{
    u32 action;

    if (flags)
        return -EINVAL;
    if (!GET(t, addr, &action))
        return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW: return 0;
    case SECCOMP_RET_USER_NOTIF: /* as the host has it */
        return host_syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    default: return -EOPNOTSUPP;
    }
}

/* The structures of listeners have the host's layout. */
static i64 notif_sizes(Task *t, u64 flags, u64 addr)
{
    struct seccomp_notif_sizes sizes;
    i64 r = host_syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, flags, &sizes);

    return r < 0 || PUT(t, addr, &sizes) ? r : -EFAULT;
}

i64 sys_seccomp(Task *t, u64 op, u64 flags, u64 addr)
{
    switch ((u32)op) {
    case SECCOMP_SET_MODE_STRICT: return flags || addr ? -EINVAL : set_strict(t);
    case SECCOMP_SET_MODE_FILTER: return set_filter(t, (u32)flags, addr);
    case SECCOMP_GET_ACTION_AVAIL: return action_available(t, (u32)flags, addr);
    case SECCOMP_GET_NOTIF_SIZES: return notif_sizes(t, (u32)flags, addr);
    default: return -EINVAL;
    }
}

i64 seccomp_prctl(Task *t, u64 mode, u64 addr)
{
    switch (mode) {
    case SECCOMP_MODE_STRICT: return set_strict(t);
    case SECCOMP_MODE_FILTER: return set_filter(t, 0, addr);
    default: return -EINVAL;
    }
}

u32 seccomp_count(const Task *t)
{
    u32 n = 0;

    for (const Seccomp *s = t->seccomp; s; s = s->older)
        n++;
    for (const Seccomp *s = t->process->seccomp; s; s = s->older)
        n++;
    return n;
}

i64 seccomp_mode(const Task *t)
{
    return t->seccomp || t->process->seccomp ? SECCOMP_MODE_FILTER
                                             : SECCOMP_MODE_DISABLED;
}

/* ---- another process's filters, for its tracer ---- */

void seccomp_heads(const Task *t, u64 heads[2])
{
    heads[0] = (u64)t->seccomp;
    heads[1] = (u64)t->process->seccomp;
}

/* Reads filters, newest first, at most that many; *at: where the last one is. */
static u32 read_list(i32 tid, const u64 heads[2], u32 most, Seccomp *last, u64 *at)
{
    u32 n = 0;

    for (u32 i = 0; i < 2; i++) {
        u64 next = heads[i];

        while (next && n < most && board_read(tid, next, last, sizeof *last)) {
            *at = next;
            next = (u64)last->older;
            n++;
        }
    }
    return n;
}

bool seccomp_may_look(const Task *t) { return is_admin() && !seccomp_is_on(t); }

i64 seccomp_look(const Task *t, i32 tid, const u64 heads[2], u64 nth, SeccompView *out)
{
    Seccomp s;
    u64 at;
    u32 n;

    if (!seccomp_may_look(t))
        return -EACCES;
    n = read_list(tid, heads, TOTAL_MOST, &s, &at);
    if (nth >= n)
        return n ? -ENOENT : -EINVAL;
    n = read_list(tid, heads, n - (u32)nth, &s, &at);
    if (n == 0 || s.head.n > BPF_PROGRAM_LONGEST)
        return -ESRCH; /* it has ended meanwhile */
    *out = (SeccompView){at + offsetof(Seccomp, program), s.head.n, s.head.flags};
    return 0;
}

/* ---- across execve: a file of programs, oldest first, each after its head ---- */

static bool put_list(int fd, const Seccomp *s)
{
    size_t size = s ? s->head.n * sizeof *s->program : 0;

    return !s || (put_list(fd, s->older) &&
                  write(fd, &s->head, sizeof s->head) == sizeof s->head &&
                  write(fd, s->program, size) == (ssize_t)size);
}

int seccomp_exec_begin(const Task *t)
{
    int fd = (int)memfd_create("seccomp", 0);

    catch_up(t);
    if (fd >= 0 && put_list(fd, t->process->seccomp) && put_list(fd, t->seccomp) &&
        lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -ENOMEM;
}

void seccomp_adopt(Task *t, const char *file)
{
    struct sock_filter program[BPF_PROGRAM_LONGEST];
    int fd = options_fd(file);
    bool good = fd >= 0;
    Head head;

    while (good && read(fd, &head, sizeof head) == sizeof head) {
        ssize_t size = (ssize_t)(head.n * sizeof *program);

        head.id = ++t->process->seccomp_ids;
        good = head.n <= BPF_PROGRAM_LONGEST &&
               read(fd, program, (size_t)size) == size &&
               add(&t->seccomp, program, head) == 0;
    }
    if (!good || !t->seccomp)
        fatal(1, "-seccomp %s: no filters there", file);
    close(fd);
}
