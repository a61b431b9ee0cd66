/* SPDX-License-Identifier: MIT */
/*
 * A process that shares its parent's memory and runs beside it (CLONE_VM alone).  Host
 * code in it needs libc's thread-local data, which is its parent's memory, too: so a
 * thread of the parent's, the keeper, makes it by a vfork.  The child runs on the
 * keeper's data while the kernel holds the keeper; when the child has ended or called
 * execve the keeper frees what it leaves behind, and ends.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "sig.h"
#include "task.h"

enum { KEEPER_STACK = 64 * 1024, CHILD_STACK = 256 * 1024 };

enum { WAITS, GO, RUNS, FAILED };

typedef struct Share {
    Process process; /* the child's: signal actions are its own */
    Task *task;
    CloneArgs args;
    _Atomic u32 state;
    _Atomic u32 users; /* the parent and the keeper */
    i32 pid;           /* the kernel writes it before the child runs */
    int error;
    u8 *stack;
    _Alignas(16) u8 altstack[SIGNAL_ALTSTACK];
} Share;

static void set_state(Share *s, u32 state)
{
    s->state = state;
    host_syscall(SYS_futex, &s->state, FUTEX_WAKE, 1);
}

static void wait_while(Share *s, u32 state)
{
    while (s->state == state)
        host_syscall(SYS_futex, &s->state, FUTEX_WAIT, state, NULL);
}

static void release(Share *s)
{
    if (atomic_fetch_sub(&s->users, 1) == 1)
        free(s);
}

static int run_child(void *arg)
{
    Share *s = arg;
    Task *t = s->task;

    t->tid = (i32)host_syscall(SYS_gettid);
    if (s->args.flags & CLONE_PARENT_SETTID)
        PUT(t, s->args.parent_tid, &s->pid);
    if (s->args.flags & CLONE_CHILD_SETTID)
        PUT(t, s->args.child_tid, &t->tid);
    exec_thread_begin(t->env);
    signal_thread_begin(t, s->altstack);
    ptrace_share_child(t, t->process == &s->process);
    set_state(s, RUNS);
    cpu_loop(t);
    return 0;
}

static void free_child(Share *s)
{
    Task *t = s->task;

    ptrace_share_end(t->process, s->pid);
    exec_thread_lost(t->env);
    exec_thread_end(t->env);
    for (size_t i = 0; i < ARRAY_SIZE(t->left); i++)
        free(t->left[i]);
    env_free(t->env);
    task_free(t);
}

/* A thread of ours. */
static void *keeper_main(void *arg)
{
    Share *s = arg;
    u64 flags = (s->args.flags & (CLONE_HOST_FLAGS | CLONE_SIGHAND)) | CLONE_VM |
                CLONE_VFORK | CLONE_PARENT_SETTID | (u64)s->args.exit_signal;

    wait_while(s, WAITS);
    exec_lend_thread();
    if (clone(run_child, s->stack + CHILD_STACK, (int)flags, s, &s->pid) < 0) {
        s->error = errno;
        env_free(s->task->env);
        task_free(s->task);
        set_state(s, FAILED);
    } else {
        set_state(s, RUNS); /* it may have been killed before it could say so */
        free_child(s);
    }
    free(s->stack);
    release(s);
    return NULL;
}

/* The child's process and task, not running yet. */
static bool make_task(Share *s, Task *t)
{
    Process *p = t->process;
    Env *env = env_new(p->cache);

    lock_take(&p->signal_lock);
    s->process = *p;
    lock_leave(&p->signal_lock);
    s->process.signal_lock = (Lock){0};
    s->process.n_tasks = 0;
    s->process.gdb = NULL;
    explain_vfork(&s->process);
    if (!(s->args.flags & CLONE_SIGHAND))
        p = &s->process;
    s->task = env ? task_new(p, env) : NULL;
    if (!s->task) {
        if (env)
            env_free(env);
        return false;
    }
    s->task->mask = t->mask;
    s->task->vfork_child = true;
    s->task->seccomp = seccomp_share(t->seccomp);
    s->task->seccomp_strict = t->seccomp_strict;
    if (s->args.flags & CLONE_CHILD_CLEARTID)
        s->task->clear_child_tid = s->args.child_tid;
    task_inherit(s->task, t->env, &s->args);
    return true;
}

static Share *share_new(Task *t, const CloneArgs *a)
{
    Share *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->args = *a;
    s->users = 2;
    s->stack = aligned_alloc(16, CHILD_STACK);
    if (s->stack && make_task(s, t))
        return s;
    free(s->stack);
    free(s);
    return NULL;
}

i64 task_clone_shared(Task *t, const CloneArgs *a)
{
    Share *s = share_new(t, a);
    pthread_t keeper;
    i32 pidfd = -1;
    i64 r;

    if (!s)
        return -ENOMEM;
    r = -task_thread_new(&keeper, KEEPER_STACK, keeper_main, s);
    if (r < 0) {
        env_free(s->task->env);
        task_free(s->task);
        free(s->stack);
        free(s);
        return r;
    }
    signal_reclaim(t);
    set_state(s, GO);
    wait_while(s, GO);
    r = s->state == FAILED ? -s->error : s->pid;
    release(s);
    if (r > 0 && (a->flags & CLONE_PIDFD)) {
        pidfd = (i32)host_syscall(SYS_pidfd_open, r, 0);
        PUT(t, a->pidfd, &pidfd);
    }
    return r;
}
