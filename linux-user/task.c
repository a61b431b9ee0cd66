/* SPDX-License-Identifier: MIT */
/*
 * Guest threads and processes.  A thread is a host thread; fork is the host's fork.
 * A vfork child runs on the parent's own Task and Env while the parent waits in the
 * kernel, as with a real vfork: what the child leaves behind is put back afterwards,
 * memory apart.
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "sig.h"
#include "task.h"

enum { THREAD_STACK = 256 * 1024, VFORK_STACK = 256 * 1024, ROBUST_LIMIT = 2048 };

Task *task_new(Process *p, Env *env)
{
    Task *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->process = p;
    t->env = env;
    t->altstack.flags = SS_DISABLE;
    env->task = t;
    p->n_tasks++;
    return t;
}

void task_free(Task *t)
{
    t->process->n_tasks--;
    seccomp_drop(t->seccomp);
    free(t);
}

void task_block_all(void)
{
    u64 all = ~0ull;

    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
}

/* ---- registers ---- */

/* What of an Env a clone inherits, and a vfork child must not change. */
typedef struct Registers {
    u64 g[ENV_GLOBALS], pc, key_flags, guest_state[8];
    u32 mxcsr;
} Registers;

static void save(Registers *r, const Env *env)
{
    memcpy(r->g, env->g, sizeof r->g);
    memcpy(r->guest_state, env->guest_state, sizeof r->guest_state);
    r->pc = env->pc;
    r->key_flags = env->key_flags;
    r->mxcsr = env->mxcsr;
}

static void restore(Env *env, const Registers *r)
{
    memcpy(env->g, r->g, sizeof r->g);
    memcpy(env->guest_state, r->guest_state, sizeof r->guest_state);
    env->pc = r->pc;
    if (env->key_flags != r->key_flags)
        exec_forget_jumps(env);
    env->key_flags = r->key_flags;
    env->mxcsr = r->mxcsr;
    env->res_addr = ~0ull;
}

void task_inherit(Task *child, const Env *from, const CloneArgs *a)
{
    Registers r;

    if (child->env != from) {
        save(&r, from);
        restore(child->env, &r);
    }
    child->process->abi->clone_regs(child->env, from, a);
}

/* ---- threads ---- */

typedef struct Birth {
    Task *task;
    CloneArgs args;
    _Atomic u32 parent; /* BUSY: it still reads the tid and writes what it must */
    bool first;         /* of the process's besides the main one */
    _Alignas(16) u8 altstack[SIGNAL_ALTSTACK];
} Birth;

enum { BUSY, DONE, AWAITED }; /* AWAITED: busy, and the thread wants to end */

static __thread Birth *birth;

/* The thread's last step but one: its parent must not find it gone.  A first thread's
 * first step, too: libc's handlers are in place of the guest's. */
static void wait_for_parent(Birth *b)
{
    u32 seen = BUSY;

    if (!atomic_compare_exchange_strong(&b->parent, &seen, AWAITED) && seen == DONE)
        return;
    while (b->parent != DONE)
        host_syscall(SYS_futex, &b->parent, FUTEX_WAIT_PRIVATE, AWAITED, NULL);
}

static void parent_is_done(Birth *b)
{
    if (atomic_exchange(&b->parent, DONE) == AWAITED)
        host_syscall(SYS_futex, &b->parent, FUTEX_WAKE_PRIVATE, 1);
}

/* The kernel's id of a thread that runs: it is in the name of its CPU clock. */
static i32 thread_tid(pthread_t thread)
{
    clockid_t clock;

    return pthread_getcpuclockid(thread, &clock) ? 0 : ~(clock >> 3);
}

static void *thread_main(void *arg)
{
    Birth *b = birth = arg;
    Task *t = b->task;
    Env *env = t->env;
    u64 unshared = (CLONE_FS | CLONE_FILES) & ~b->args.flags;

    t->tid = thread_tid(pthread_self());
    ptrace_thread_begin(t);
    if (b->first)
        wait_for_parent(b);
    if (b->args.flags & CLONE_CHILD_SETTID)
        PUT(t, b->args.child_tid, &t->tid);
    if (b->args.flags & CLONE_PARENT_SETTID)
        PUT(t, b->args.parent_tid, &t->tid);
    if (unshared)
        unshare((int)unshared);
    exec_thread_begin(env);
    signal_thread_begin(t, b->altstack);
    if (t->process->gdb)
        gdb_thread_begin(t);
    cpu_loop(t);
    task_leave(t);
    free(b);
    return NULL;
}

void task_leave(Task *t)
{
    Env *env = t->env;
    int code = t->exit_code;
    bool leader = t->tid == getpid();

    signal_thread_end(t);
    if (t->kick_timer)
        host_syscall(SYS_timer_delete, t->kick_timer - 1);
    ptrace_thread_end(t);
    if (t->gdb)
        gdb_thread_end(t);
    exec_thread_end(env);
    env_free(env);
    task_free(t);
    if (leader)
        host_syscall(SYS_exit, code); /* the wait status, when it is the last */
}

int task_thread_new(pthread_t *thread, size_t stack, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    memset(&all, 0xff, sizeof all);
    pthread_attr_setsigmask_np(&attr, &all);
    error = pthread_create(thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return error;
}

static Birth *birth_new(Task *t, const CloneArgs *a)
{
    Birth *b = malloc(sizeof *b);
    Env *env = b ? env_new(t->process->cache) : NULL;
    Task *child = env ? task_new(t->process, env) : NULL;

    if (!child) {
        if (env)
            env_free(env);
        free(b);
        return NULL;
    }
    b->args = *a;
    b->task = child;
    b->parent = BUSY;
    b->first = t->process->n_tasks == 2; /* it is counted */
    child->mask = t->mask;
    child->seccomp = seccomp_share(t->seccomp);
    child->seccomp_strict = t->seccomp_strict;
    if (a->flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = a->child_tid;
    task_inherit(child, t->env, a);
    ptrace_thread_new(t, child, a);
    return b;
}

static i64 clone_thread(Task *t, const CloneArgs *a)
{
    Birth *b = birth_new(t, a);
    pthread_t thread;
    i32 tid = 0;
    int error;

    if (!b)
        return -EAGAIN;
    error = task_thread_new(&thread, THREAD_STACK, thread_main, b);
    if (error) {
        ptrace_thread_end(b->task);
        env_free(b->task->env);
        task_free(b->task);
        free(b);
    } else {
        tid = thread_tid(thread); /* it waits for us before it ends */
        if (a->flags & CLONE_PARENT_SETTID)
            PUT(t, a->parent_tid, &tid);
        if (b->first)
            signal_reclaim(t);
        parent_is_done(b);
        if (ptrace_clone_event(t, a))
            ptrace_event(t, PTRACE_EVENT_CLONE, (u64)tid);
    }
    return error ? -error : tid;
}

/* ---- fork ---- */

static void lock_all(Task *t)
{
    Process *p = t->process;

    lock_take(&p->signal_lock);
    lock_take(&p->mem->lock);
    exec_fork_prepare(p->cache, t->env);
    symbols_lock(p->symbols);
}

static void unlock_all(Process *p)
{
    symbols_unlock(p->symbols);
    lock_leave(&p->mem->lock);
    lock_leave(&p->signal_lock);
}

/* The child is another kernel task: nothing of its own is pending. */
static void become_child(Task *t, const CloneArgs *a)
{
    t->tid = gettid();
    exec_thread_is(t->env);
    memset(t->queue, 0, sizeof t->queue);
    t->n_queued = 0;
    t->interrupted = 0;
    t->kick_timer = 0;
    t->kick_soon = false;
    t->robust_list = 0;
    t->clear_child_tid = a->flags & CLONE_CHILD_CLEARTID ? a->child_tid : 0;
    if (a->stack)
        t->altstack = (SigStack){.flags = SS_DISABLE};
    task_inherit(t, t->env, a);
}

static i64 fork_child(Task *t, const CloneArgs *a)
{
    Process *p = t->process;

    unlock_all(p);
    p->n_tasks = 1;
    exec_fork_child(p->cache, t->env);
    explain_fork(p, t->env);
    become_child(t, a);
    if (a->flags & CLONE_CHILD_SETTID)
        PUT(t, a->child_tid, &t->tid);
    ptrace_fork_child(t, a);
    signal_host_mask(t->mask);
    if (t->gdb)
        gdb_fork_child(t);
    return SYS_KEEP;
}

static void tell_parent(Task *t, const CloneArgs *a, i32 pid, i32 pidfd)
{
    if (a->flags & CLONE_PARENT_SETTID)
        PUT(t, a->parent_tid, &pid);
    if (a->flags & CLONE_PIDFD)
        PUT(t, a->pidfd, &pidfd);
}

/* The fork itself, where libc's does not do: as if by the parent's own clone. */
static i64 host_clone(const CloneArgs *a, u64 flags)
{
    struct clone_args c = {.flags = flags | (a->flags & CLONE_INTO_CGROUP),
                           .exit_signal = (u64)a->exit_signal,
                           .set_tid = a->n_tids ? (u64)a->tids : 0,
                           .set_tid_size = a->n_tids,
                           .cgroup = (u64)a->cgroup};

    if (!a->n_tids && !(a->flags & CLONE_INTO_CGROUP))
        return host_syscall(SYS_clone, flags | (u64)a->exit_signal, 0, 0, 0, 0);
    return host_syscall(SYS_clone3, &c, sizeof c);
}

static i64 clone_fork(Task *t, const CloneArgs *a)
{
    Process *p = t->process;
    u64 flags = a->flags & CLONE_HOST_FLAGS;
    i32 pidfd = -1;
    i64 pid;

    if (t->gdb)
        gdb_fork_begin(t, false);
    lock_all(t);
    task_block_all();
    if (a->exit_signal == SIGCHLD && !flags && !a->n_tids &&
        !(a->flags & CLONE_INTO_CGROUP))
        pid = host(fork()); /* takes care of libc's own locks */
    else
        pid = host_clone(a, flags);
    if (pid == 0)
        return fork_child(t, a);
    unlock_all(p);
    exec_fork_parent(p->cache);
    if (pid > 0 && (a->flags & CLONE_PIDFD))
        pidfd = (i32)host_syscall(SYS_pidfd_open, pid, 0);
    if (pid > 0)
        tell_parent(t, a, (i32)pid, pidfd);
    signal_host_mask(t->mask);
    if (t->gdb)
        gdb_fork_parent(t, (i32)pid);
    if (pid > 0 && ptrace_clone_event(t, a))
        ptrace_event(t, ptrace_clone_event(t, a), (u64)pid);
    return pid;
}

/* ---- vfork ---- */

typedef struct Vfork {
    Task *task;
    const CloneArgs *args;
    Process process; /* the child's: signal actions are its own */
} Vfork;

static int vfork_child(void *arg)
{
    Vfork *v = arg;
    Task *t = v->task;

    if (!(v->args->flags & CLONE_SIGHAND))
        t->process = &v->process;
    t->vfork_child = true;
    ptrace_vfork_child(t, v->args);
    become_child(t, v->args);
    if (v->args->flags & CLONE_CHILD_SETTID)
        PUT(t, v->args->child_tid, &t->tid);
    signal_update(t);
    signal_host_mask(t->mask);
    if (t->gdb)
        gdb_vfork_child(t);
    cpu_loop(t);
    return 0;
}

static i64 clone_vfork(Task *t, const CloneArgs *a)
{
    u64 flags = (a->flags & (CLONE_HOST_FLAGS | CLONE_VM | CLONE_VFORK | CLONE_PIDFD)) |
                (u64)a->exit_signal;
    Vfork v = {.task = t, .args = a};
    Registers registers;
    Task saved;
    i32 pid, pidfd = -1;
    u8 *stack = aligned_alloc(16, VFORK_STACK);
    i64 r;

    if (!stack)
        return -ENOMEM;
    save(&registers, t->env);
    if (t->gdb)
        gdb_fork_begin(t, true);
    task_block_all();
    saved = *t; /* with what came until now */
    lock_take(&t->process->signal_lock);
    v.process = *t->process;
    lock_leave(&t->process->signal_lock);
    v.process.signal_lock = (Lock){0};
    explain_vfork(&v.process);
    pid = clone(vfork_child, stack + VFORK_STACK, (int)flags, &v, &pidfd);
    r = host(pid);
    for (size_t i = 0; i < ARRAY_SIZE(t->left); i++)
        free(t->left[i]);
    exec_thread_lost(t->env);
    *t = saved;
    restore(t->env, &registers);
    free(stack);
    if (pid > 0)
        tell_parent(t, a, pid, pidfd);
    signal_host_mask(t->mask);
    if (t->gdb)
        gdb_vfork_parent(t);
    ptrace_vfork_parent(t, pid);
    return r;
}

i64 task_clone(Task *t, const CloneArgs *a)
{
    u64 kind = a->flags & (CLONE_VM | CLONE_THREAD | CLONE_VFORK);

    if (((a->flags & CLONE_THREAD) && !(a->flags & CLONE_SIGHAND)) ||
        ((a->flags & CLONE_SIGHAND) && !(a->flags & CLONE_VM)))
        return -EINVAL;
    if (signal_ready(t))
        return SYS_RESTART;
    if (kind & CLONE_THREAD)
        return t->vfork_child ? -EAGAIN : clone_thread(t, a);
    if (kind == (CLONE_VM | CLONE_VFORK))
        return clone_vfork(t, a);
    if (kind & CLONE_VM)
        return task_clone_shared(t, a);
    return clone_fork(t, a);
}

/* ---- the end ---- */

/* There may be nothing behind a mapped word (the file has ended): it is tried first. */
static void robust_unlock(Task *t, u64 futex)
{
    _Atomic u32 *word = futex & 3 ? NULL : guest_ptr(t, futex, 4, GUEST_WRITE);
    u32 value;

    if (!word || !GET(t, futex, &value))
        return;
    do
        if ((value & FUTEX_TID_MASK) != (u32)t->tid)
            return;
    while (!atomic_compare_exchange_weak(word, &value,
                                         (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
    if (value & FUTEX_WAITERS)
        host_syscall(SYS_futex, word, FUTEX_WAKE, 1);
}

/* What the kernel does for a robust list of its own addresses. */
static void robust_end(Task *t)
{
    struct {
        u64 next, offset, pending;
    } head;
    u64 entry;

    if (!t->robust_list || !GET(t, t->robust_list, &head))
        return;
    entry = head.next & ~1ull;
    for (int i = 0; i < ROBUST_LIMIT && entry != t->robust_list; i++) {
        u64 next;
        bool more = GET(t, entry, &next);

        if (entry != (head.pending & ~1ull))
            robust_unlock(t, entry + head.offset);
        if (!more)
            break;
        entry = next & ~1ull;
    }
    if (head.pending)
        robust_unlock(t, (head.pending & ~1ull) + head.offset);
}

static void robust_end_of(Env *env, void *ctx) { robust_end(env->task); }

void task_robust_end(Task *t)
{
    if (t->vfork_child)
        robust_end(t);
    else
        cache_each_env(t->process->cache, robust_end_of, NULL);
}

static void clear_tid(Task *t)
{
    const u32 zero = 0;

    if (t->clear_child_tid && PUT(t, t->clear_child_tid, &zero))
        host_syscall(SYS_futex, space_host(&t->process->mem->space, t->clear_child_tid),
                     FUTEX_WAKE, 1);
}

static void process_end(Process *p, int code)
{
    task_stats(p);
    explain_end(p, "exited with status %d", code & 0xff);
}

/* A signal that the thread has taken is for the process, and may not end with it. */
static bool may_exit(Task *t)
{
    task_block_all();
    if (t->vfork_child || !signal_ready(t))
        return true;
    signal_host_mask(t->mask);
    return false;
}

i64 task_exit(Task *t, int code)
{
    if (!may_exit(t))
        return SYS_RESTART;
    if (birth && !t->vfork_child)
        wait_for_parent(birth);
    ptrace_thread_exit(t, (u32)(code & 0xff) << 8);
    robust_end(t);
    if (t->vfork_child)
        task_exit_group(t, code);
    if (t->process->n_tasks == 1)
        process_end(t->process, code);
    clear_tid(t);
    if (t->process->n_tasks == 1)
        ptrace_process_end(t, (u32)(code & 0xff) << 8);
    t->exiting = true;
    t->exit_code = code;
    return SYS_KEEP;
}

void task_exit_group(Task *t, int code)
{
    signal_let_die(t->process);
    task_robust_end(t);
    if (t->vfork_child)
        clear_tid(t);
    else
        process_end(t->process, code);
    if (t->gdb)
        gdb_process_end(t, code, 0);
    ptrace_process_end(t, (u32)(code & 0xff) << 8);
    _exit(code & 0xff);
}

i64 task_set_tid_address(Task *t, u64 addr)
{
    t->clear_child_tid = addr;
    return t->tid;
}

i64 task_set_robust_list(Task *t, u64 head, u64 len)
{
    if (len != 3 * sizeof(u64))
        return -EINVAL;
    t->robust_list = head;
    t->robust_len = len;
    return 0;
}
